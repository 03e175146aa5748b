"""`sync`: everything that is missing up to now, and the lookback again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gong_source.connection import DEFAULT_DAYS, connect, resolve_settings
from gong_source.errors import ConfigurationError
from gong_source.runs.chunks import LoadResult, Progress, load_ranges
from gong_source.runs.ledger import Ledger, read_ledger, requests_today
from gong_source.runs.pipeline import Target, open_warehouse
from gong_source.windows import Window, days_before, iso, now, parse, subtract, union

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

    from gong_source.connection import GongSettings


def sync(
    target: Target | None = None,
    *,
    settings: GongSettings | None = None,
    stopped: threading.Event | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_note: Callable[[str], None] = lambda note: None,
    max_requests: int | None = None,
) -> LoadResult:
    """Loads all calls since the start date that are not covered yet, and those of the lookback again.

    `settings` default to dlt's configuration; `stopped` ends the run early, with what was walked loaded. Raises
    `ConfigurationError`, `DatasetLocked` or `DestinationFailed`; what Gong refuses is told in the result.
    """
    settings = settings or resolve_settings()
    with open_warehouse(target or Target(), command="sync", write=True) as warehouse:
        client = connect(settings, stopped=stopped, max_requests=max_requests)
        try:
            warehouse.restore()
            drained = warehouse.drain()
            ledger = read_ledger(warehouse, settings.workspace_id)
            client.transport.throttle.learn_used_today(requests_today(warehouse))
            moment = now()
            start, note = _start(settings, ledger, moment)
            result = LoadResult("sync", missing(ledger, start, moment, settings.lookback_days))
            for text in [*(["loaded what an earlier run had left"] if drained else []), *([note] if note else [])]:
                result.notes.append(text)
                on_note(text)
            load_ranges(
                warehouse, client, result.ranges, result, watermark=ledger.watermark or start, on_progress=on_progress
            )
        finally:
            client.transport.close()
    return result


def missing(ledger: Ledger, start: datetime, end: datetime, lookback_days: float) -> list[Window]:
    """What a sync up to `end` has to ask for: what is not covered, what may have come late, what was unsettled."""
    again = []
    if ledger.watermark is not None:
        recent = max(start, days_before(ledger.watermark, lookback_days))
        if recent < end:
            again.append(Window(recent, end))
        again += ledger.unsettled_since(days_before(end, lookback_days))
    return union([*subtract([Window(start, end)], ledger.covered), *again])


def _start(settings: GongSettings, ledger: Ledger, moment: datetime) -> tuple[datetime, str | None]:
    """Where the coverage is to begin, and what to tell the user about it."""
    if settings.start_date:
        start = parse(settings.start_date, "start_date")
        if start >= moment:
            raise ConfigurationError(f"start_date: {settings.start_date} lies in the future")
        return start, None
    if ledger.sync_start is not None:
        return ledger.sync_start, None
    start = days_before(moment, DEFAULT_DAYS)
    return start, (
        f"no start date is set: taking the last {DEFAULT_DAYS} days, from {iso(start)}; set"
        " SOURCES__GONG__START_DATE=2024-01-01, or start_date under [sources.gong], for more"
    )
