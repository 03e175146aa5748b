"""`sync`: everything that is missing up to now, and the lookback again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gong_source.errors import ConfigurationError
from gong_source.runs.load import LoadResult, load_ranges
from gong_source.runs.run import open_run
from gong_source.runs.verify.verify import verify_recent
from gong_source.settings import DEFAULT_DAYS, resolve_settings
from gong_source.warehouse.warehouse import Target
from gong_source.windows import Window, days_before, iso, now, parse, subtract, union

if TYPE_CHECKING:
    from datetime import datetime

    from gong_source.runs.run import Control, Run
    from gong_source.settings import GongSettings
    from gong_source.warehouse.ledger import Ledger


def sync(
    target: Target | None = None, *, settings: GongSettings | None = None, control: Control | None = None
) -> LoadResult:
    """Loads all calls since the start date that are not covered yet, and those of the lookback again.

    `settings` default to dlt's configuration. Raises `ConfigurationError`, `DatasetLocked` or `DestinationFailed`; what
    Gong refuses is told in the result. With the setting `verify_days`, verifies and repairs the last days in the end.
    """
    settings = settings or resolve_settings()
    with open_run(target or Target(), settings, control, command="sync") as run:
        moment = now()
        start = _start(settings, run, moment)
        result = LoadResult("sync", missing(run.ledger, start, moment, settings.lookback_days), notes=run.notes)
        load_ranges(run, result, watermark=max(run.ledger.watermark or start, start))
        if result.status == "done" and settings.verify_days:
            _verify(run, settings, result)
    return result


def _verify(run: Run, settings: GongSettings, result: LoadResult) -> None:
    """Verifies and repairs the last days; a verification that its budget ends goes on after the next sync."""
    verification = result.verification = verify_recent(run, settings)
    if verification is None:
        return
    if verification.status in {"incomplete", "failed"}:
        result.status, result.message = "incomplete", verification.message
    elif verification.status == "paused":
        run.note(f"the verification was not finished: {verification.message}")


def missing(ledger: Ledger, start: datetime, end: datetime, lookback_days: float) -> list[Window]:
    """What a sync up to `end` has to ask for: what is not covered, what may have come late, what was unsettled."""
    again = [*ledger.unsettled_since(days_before(end, lookback_days)), *ledger.backfilled_early(lookback_days)]
    if ledger.watermark is not None:
        recent = max(start, days_before(ledger.watermark, lookback_days))
        if recent < end:
            again.append(Window(recent, end))
    return union([*subtract([Window(start, end)], ledger.covered), *again])


def _start(settings: GongSettings, run: Run, moment: datetime) -> datetime:
    """Where the coverage is to begin; tells the user if that was nobody's choice."""
    if settings.start_date:
        start = parse(settings.start_date, "start_date")
        if start >= moment:
            raise ConfigurationError(f"start_date: {settings.start_date} lies in the future")
        return start
    begun = run.ledger.sync_start
    if begun is not None and begun >= moment:
        raise ConfigurationError(
            f"this machine's clock says {iso(moment)}, but calls are loaded from {iso(begun)}: set it"
        )
    if begun is not None:
        return begun
    start = days_before(moment, DEFAULT_DAYS)
    run.note(
        f"no start date is set: taking the last {DEFAULT_DAYS} days, from {iso(start)}; set"
        " SOURCES__GONG__START_DATE=2024-01-01, or start_date under [sources.gong], for more"
    )
    return start
