"""`backfill`: makes a past range complete, asking only for what no run has covered yet. Never moves the watermark."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gong_source.api.client import CALLS
from gong_source.api.plan import CALLS_PER_PAGE, TARGET_CALLS
from gong_source.errors import ConfigurationError
from gong_source.runs.load import LoadResult, load_ranges
from gong_source.runs.run import open_run
from gong_source.settings import connect, resolve_settings
from gong_source.warehouse.ledger import read_ledger
from gong_source.warehouse.warehouse import Target, open_warehouse
from gong_source.windows import Window, days_before, intersect, iso, now, subtract, union

if TYPE_CHECKING:
    from datetime import datetime

    from gong_source.runs.run import Control
    from gong_source.settings import GongSettings
    from gong_source.warehouse.ledger import Ledger

# Ranges asked for one by one when planning; if there are more, they are asked for as one that spans them.
_MOST_QUESTIONS = 8


def backfill(
    start: datetime,
    end: datetime,
    target: Target | None = None,
    *,
    refresh: bool = False,
    settings: GongSettings | None = None,
    control: Control | None = None,
) -> LoadResult:
    """Makes `[start, end)` (UTC) complete: walks what of it no run has covered, or all of it with `refresh`.

    An `end` in the future means now. The same call goes on where an earlier one stopped. `settings` default to dlt's
    configuration. Raises `ConfigurationError`, `DatasetLocked` or `DestinationFailed`; what Gong refuses is told in the
    result.
    """
    settings = settings or resolve_settings()
    asked = _asked(start, end)
    with open_run(target or Target(), settings, control, command="backfill") as run:
        ranges = [asked] if refresh else missing(run.ledger, asked, settings.lookback_days)
        if not ranges:
            run.note(f"{asked} is covered already; --refresh asks for it again")
        result = LoadResult("backfill", ranges, notes=run.notes)
        load_ranges(run, result)
    return result


@dataclass(frozen=True, slots=True)
class Plan:
    """What a backfill would take; `calls` is Gong's count, the rest follows from it."""

    ranges: list[Window]
    calls: int
    windows: int
    requests: int
    seconds: float
    days: float
    requests_used: int

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON's types, times in RFC 3339."""
        return {
            "command": "backfill",
            "status": "done",
            "plan": {
                "ranges": [[iso(window.start), iso(window.end)] for window in self.ranges],
                "calls": self.calls,
                "windows": self.windows,
                "requests": self.requests,
                "seconds": round(self.seconds),
                "days": round(self.days, 2),
            },
            "requests": self.requests_used,
        }


def plan_backfill(
    start: datetime,
    end: datetime,
    target: Target | None = None,
    *,
    refresh: bool = False,
    settings: GongSettings | None = None,
) -> Plan:
    """What `backfill` with the same arguments would take; asks Gong for a few counts and loads nothing."""
    settings = settings or resolve_settings()
    asked = _asked(start, end)
    with open_warehouse(target or Target(), command="backfill", write=False) as warehouse:
        warehouse.restore()
        ledger = read_ledger(warehouse, settings.workspace_id)
    ranges = [asked] if refresh else missing(ledger, asked, settings.lookback_days)
    questions = ranges if len(ranges) <= _MOST_QUESTIONS else [Window(ranges[0].start, ranges[-1].end)]
    client = connect(settings)
    try:
        totals = [client.page(CALLS, window).total or 0 for window in questions]
        rate = client.transport.throttle.requests_per_second
    finally:
        client.transport.close()
    windows = sum(max(1, math.ceil(total / TARGET_CALLS)) for total in totals)
    # a window's last page is half empty on average
    requests = sum(max(1, math.ceil(total / CALLS_PER_PAGE)) for total in totals) + windows // 2
    return Plan(
        ranges=ranges,
        calls=sum(totals),
        windows=windows,
        requests=requests,
        seconds=requests / rate,
        days=requests / settings.daily_request_budget,
        requests_used=client.transport.usage.requests,
    )


def missing(ledger: Ledger, asked: Window, lookback_days: float) -> list[Window]:
    """What of `asked` has not been asked for, or was unsettled when it was, lately."""
    unsettled = ledger.unsettled_since(days_before(now(), lookback_days))
    return union([*subtract([asked], ledger.covered), *intersect(unsettled, [asked])])


def _asked(start: datetime, end: datetime) -> Window:
    end = min(end, now())  # a time to come must not count as covered
    if start >= end:
        raise ConfigurationError(f"--from {iso(start)} must lie before --to {iso(end)}, and before now")
    return Window(start, end)
