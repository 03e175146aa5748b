"""`sync`: loads everything that is missing up to now, and fetches the last days again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gong_source.errors import ConfigurationError
from gong_source.runs.load import load_snapshot, load_windows
from gong_source.runs.load_by_id import hide_private, load_due, sharing
from gong_source.runs.results import LoadResult, ResourceResult
from gong_source.runs.run import open_run
from gong_source.runs.verify.verify import verify_recent
from gong_source.settings import DEFAULT_DAYS, resolve_settings
from gong_source.warehouse.deleted import apply_policy
from gong_source.warehouse.warehouse import Target
from gong_source.windows import Window, days_before, iso, now, subtract, union

if TYPE_CHECKING:
    from datetime import datetime

    from gong_source.resources.declare import Resource
    from gong_source.runs.run import Control, Run
    from gong_source.settings import GongSettings
    from gong_source.warehouse.ledger import Ledger

# Calls younger than this are asked for first.
_RECENT_DAYS = 30.0


def sync(
    target: Target | None = None, *, settings: GongSettings | None = None, control: Control | None = None
) -> LoadResult:
    """Loads all records of the chosen resources that are not covered yet, and fetches the lookback again.

    `settings` default to dlt's configuration. Raises `ConfigurationError`, `WrongTenant`, `DatasetLocked` or
    `DestinationFailed`; what Gong refuses is in the result. With the setting `verify_days`, the run then verifies and
    repairs the last days.
    """
    settings = settings or resolve_settings()
    with open_run(target or Target(), settings, control, command="sync") as run:
        moment = now()
        result = LoadResult("sync", notes=run.notes)
        run.results.append(result)
        for resource in settings.chosen:
            if not resource.by_id and not any(part.ends_run for part in result.resources.values()):
                result.resources[resource.name] = _sync_resource(run, resource, moment)
        hide_private(run)
        _sync_by_id(run, result, moment)
        result.conclude(run.client.transport.usage, run.seconds)
        if result.status == "done" and settings.verify_days:
            _verify(run, result)
    return result


def _sync_by_id(run: Run, result: LoadResult, moment: datetime) -> None:
    """Asks for the calls that are due: the recent ones of all resources first, where a budget is short."""
    groups = [members for members in sharing(run.settings.chosen) if members[0].by_id]
    recent = days_before(moment, _RECENT_DAYS)
    for since, before in ((recent, None), (None, recent)):
        for members in groups:
            if any(part.ends_run for part in result.resources.values()):
                return
            earlier = [result.resources.get(member.name) for member in members]
            if any(part is not None and part.status == "failed" for part in earlier):
                continue
            loaded = load_due(run, members, mode="sync", since=since, before=before, makes_tables=since is None)
            for name, part in loaded.items():
                if name in result.resources:
                    result.resources[name].add(part)
                else:
                    result.resources[name] = part


def _sync_resource(run: Run, resource: Resource, moment: datetime) -> ResourceResult:
    return _sync_windows(run, resource, moment) if resource.windowed else load_snapshot(run, resource)


def _sync_windows(run: Run, resource: Resource, moment: datetime) -> ResourceResult:
    ledger = run.ledger(resource)
    start = _start(run, ledger, moment)
    result = ResourceResult(resource.name, missing(ledger, start, moment, run.settings.lookback_days))
    load_windows(run, resource, result, mode="sync", watermark=max(ledger.watermark or start, start))
    apply_policy(run.warehouse, resource, run.settings.deleted_calls)  # an earlier run may have died before it
    return result


def _verify(run: Run, result: LoadResult) -> None:
    """Verifies and repairs the last days. If its budget ends first, the next sync verifies them again."""
    verification = result.verification = verify_recent(run)
    if verification is None:
        return
    if verification.status in {"incomplete", "failed"}:
        result.status, result.message = "incomplete", verification.message
    elif verification.interrupted:
        result.status, result.message, result.interrupted = "paused", verification.message, True
    elif verification.status == "paused":
        run.note(f"the verification was not finished: {verification.message}")


def missing(ledger: Ledger, start: datetime, end: datetime, lookback_days: float) -> list[Window]:
    """What a sync up to `end` has to fetch: what is not covered, what may have come late, what was unsettled."""
    to_refetch = [*ledger.unsettled_since(days_before(end, lookback_days)), *ledger.fetched_early(lookback_days)]
    return union([*subtract([Window(start, end)], ledger.covered), *to_refetch])


def _start(run: Run, ledger: Ledger, moment: datetime) -> datetime:
    """The time from which on records are loaded; adds a note when the default start date is used."""
    settings = run.settings
    if settings.start_date:
        return settings.start(moment)
    sync_start = ledger.sync_start
    if sync_start is not None and sync_start >= moment:
        raise ConfigurationError(
            f"this machine's clock says {iso(moment)}, but records are loaded from {iso(sync_start)} on: set the clock"
        )
    if sync_start is not None:
        return sync_start
    start = days_before(moment, DEFAULT_DAYS)
    run.note(
        f"no start date is set: loading the last {DEFAULT_DAYS} days, from {iso(start)}. For more, set"
        " SOURCES__GONG__START_DATE=2024-01-01, or start_date under [sources.gong]"
    )
    return start
