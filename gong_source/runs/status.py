"""`status`: what the warehouse holds, read from the warehouse alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gong_source.warehouse.arrivals import Delays, read_delays
from gong_source.warehouse.ledger import Ledger, Verified, last_verified, read_ledger, requests_today
from gong_source.warehouse.warehouse import Target, open_warehouse
from gong_source.windows import Window, days_before, iso, now, subtract, utc

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class StatusResult:
    """The state of a dataset; times are UTC. `lookback` is what the next sync asks for again.

    `verified` is the last verification, `arrivals` how late calls turned up lately; None if there is nothing to tell.
    """

    place: str
    dataset: str
    rows: int
    deleted: int
    first_call: datetime | None
    last_call: datetime | None
    watermark: datetime | None
    covered: list[Window]
    gaps: list[Window]
    unsettled: list[Window]
    lookback: Window | None
    last_run: datetime | None
    last_run_mode: str | None
    requests_today: int
    windows: int
    verified: Verified | None
    arrivals: Delays | None

    def as_json(self) -> dict[str, Any]:
        """The result as JSON's types, times in RFC 3339."""
        return {
            "command": "status",
            "status": "done",
            **{name: _plain(getattr(self, name)) for name in self.__dataclass_fields__},
        }


def _plain(value: Any) -> Any:
    if isinstance(value, Window):
        return [iso(value.start), iso(value.end)]
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Verified | Delays):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return iso(value) if hasattr(value, "tzinfo") else value


def status(
    target: Target | None = None, *, lookback_days: float = 7.0, workspace_id: str | None = None
) -> StatusResult:
    """What the dataset holds, without a request to Gong; raises `DestinationFailed` if it cannot be read."""
    target = target or Target()
    with open_warehouse(target, command="status", write=False) as warehouse:
        warehouse.restore()
        ledger = read_ledger(warehouse, workspace_id)
        counted = warehouse.query(
            "select count(*), count(deleted_at), min(call_time), max(call_time) from {dataset}.calls"
        )
        used = requests_today(warehouse)
        verified = last_verified(warehouse, workspace_id)
        arrivals = read_delays(warehouse, lookback_days)
    rows, deleted, first, last = counted[0] if counted else (0, 0, None, None)
    latest = ledger.entries[-1] if ledger.entries else None
    return StatusResult(
        place=warehouse.place,
        dataset=target.dataset,
        rows=int(rows),
        deleted=int(deleted),
        first_call=utc(first) if first else None,
        last_call=utc(last) if last else None,
        watermark=ledger.watermark,
        covered=ledger.covered,
        gaps=_gaps(ledger),
        unsettled=ledger.unsettled,
        lookback=_lookback(ledger, lookback_days),
        last_run=latest.fetched_at if latest else None,
        last_run_mode=latest.mode if latest else None,
        requests_today=used,
        windows=len(ledger.entries),
        verified=verified,
        arrivals=arrivals,
    )


def _gaps(ledger: Ledger) -> list[Window]:
    """What has never been asked for between the first and the last covered moment."""
    covered = ledger.covered
    return subtract([Window(covered[0].start, covered[-1].end)], covered) if covered else []


def _lookback(ledger: Ledger, days: float) -> Window | None:
    end = now()
    if ledger.watermark is None or ledger.sync_start is None:
        return None
    start = max(ledger.sync_start, days_before(ledger.watermark, days))
    return Window(start, end) if start < end else None
