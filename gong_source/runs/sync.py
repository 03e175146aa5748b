"""`sync`: loads everything that is missing up to now, and fetches the last days again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gong_source.api.plan import RECORDS_PER_PAGE
from gong_source.errors import ConfigurationError
from gong_source.resources.calls import CALLS
from gong_source.runs.load_by_id import hide_private, load_due, sharing
from gong_source.runs.load_content import RECENT_DAYS, WindowLoad
from gong_source.runs.load_snapshot import load_snapshot
from gong_source.runs.results import LoadResult, ResourceResult, add_results
from gong_source.runs.run import open_run
from gong_source.settings import DEFAULT_DAYS, resolve_settings
from gong_source.stored.query import select_listed
from gong_source.warehouse.mark_and_remove import apply_policy
from gong_source.warehouse.warehouse import Target
from gong_source.windows import Window, days_before, intersect, iso, midnight, now, subtract, union

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gong_source.resources.declare import Resource
    from gong_source.runs.run import Control, Run
    from gong_source.settings import GongSettings
    from gong_source.warehouse.ledger import Ledger

# Where the list with details is read, most runs of a day list the calls alone, and ask by call id for the content that
# is due. The older days of the lookback are listed too as long as that takes no more requests than this on a UTC day.
# After that, runs of the same day list the last two days.
_REQUESTS_FOR_OLDER_DAYS = 100
_LATEST_DAYS = 2.0


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
        result = run.result = LoadResult("sync", notes=run.notes)
        loads = [load for resource in settings.chosen for load in _sync_listed(run, result, resource, moment)]
        _note_missing_calls(run)
        recent = days_before(moment, RECENT_DAYS)
        hide_private(run)
        _sync_by_id(run, result, since=recent)
        if _load_older(result, loads):
            hide_private(run)
        _sync_by_id(run, result, before=recent)
        result.conclude(run.client.transport.usage, run.seconds)
        if settings.verify_days and result.status in {"done", "incomplete"} and not _is_over(result):
            _verify(run, result)
    return result


def _sync_listed(run: Run, result: LoadResult, resource: Resource, moment: datetime) -> list[WindowLoad]:
    """Loads a resource that Gong lists. Of calls with content, only the last days: the loads returned do the rest."""
    if resource.by_id or _is_over(result):
        return []
    if not resource.windowed:
        result.resources[resource.name] = load_snapshot(run, resource)
        return []
    loads, parts = _load_windows(run, resource, moment)
    if parts[resource.name].missing_scope and resource.fallback is not None:
        loads, more = _load_windows(run, resource.fallback, moment)
        parts |= more
    add_results(result.resources, parts)
    apply_policy(run.warehouse, resource, run.settings.deleted_calls)  # an earlier run may have died before it
    return loads


def _load_windows(run: Run, resource: Resource, moment: datetime) -> tuple[list[WindowLoad], dict[str, ResourceResult]]:
    """Loads what is missing, and the lookback again; the loads, which may have a rest to do, and the results."""
    ledger = run.ledger(resource)
    start = _start(run, ledger, moment)
    ranges = ranges_to_fetch(ledger, start, moment, run.settings.lookback_days)
    missing = subtract([Window(start, moment)], ledger.covered)
    if _has_listed_enough(run, resource, ledger, moment):
        latest = [Window(days_before(moment, _LATEST_DAYS), moment)]
        ranges = union([*missing, *intersect(ranges, latest)])
    watermark = max(ledger.watermark or start, start)
    again = subtract(ranges, missing)
    if not _takes_the_budget(run, resource, again):
        load = WindowLoad(run, resource, ranges, mode="sync", moment=moment, watermark=watermark)
        return [load], load.recent()
    # The lookback alone would use up the budget, in each run anew: what was never loaded comes first.
    first = WindowLoad(run, resource, missing, mode="sync", moment=moment, watermark=watermark)
    results = first.recent()
    if not results[resource.name].ends_run:
        add_results(results, first.older())
    part = results[resource.name]
    if part.ends_run or part.missing_scope:
        return [], results
    load = WindowLoad(
        run, resource, again, mode="sync", moment=moment, watermark=part.watermark or watermark, covered=part.loaded
    )
    add_results(results, load.recent())
    return [load], results


def _takes_the_budget(run: Run, resource: Resource, ranges: Sequence[Window]) -> bool:
    """Whether fetching these ranges again would take most of the requests that the run may still send."""
    if run.control.max_requests is None or not ranges:
        return False
    query, workspace_id = run.warehouse.query, run.settings.workspace_id
    counts = [select_listed(query, resource, window, workspace_id, "count(*)") for window in ranges]
    pages = int(sum(found[0][0] for found in counts if found) / RECORDS_PER_PAGE) + len(ranges)
    if pages == 1 or pages * 2 <= run.control.max_requests - run.client.transport.usage.requests:
        return False
    most = run.control.max_requests
    run.note(
        f"fetching the last days again takes about {pages:,} requests, and this run may send {most:,}:"
        " allow it more, or set fewer lookback_days"
    )
    return True


def _load_older(result: LoadResult, loads: Sequence[WindowLoad]) -> bool:
    """Loads what is left of the windows; whether there was anything."""
    found = False
    for load in loads:
        failed = result.resources[load.name].status == "failed"
        if not failed and not _is_over(result) and (parts := load.older()):
            add_results(result.resources, parts)
            found = True
    return found


def _sync_by_id(run: Run, result: LoadResult, *, since: datetime | None = None, before: datetime | None = None) -> None:
    """Asks for the calls that are due, of one part of the time: the recent ones come first where a budget is short."""
    for members in sharing(run.settings.chosen):
        earlier = [result.resources.get(member.name) for member in members]
        failed = any(part is not None and part.status == "failed" for part in earlier)
        if members[0].by_id and not failed and not _is_over(result):
            loaded = load_due(run, members, mode="sync", since=since, before=before, makes_tables=since is None)
            add_results(result.resources, loaded)


def _note_missing_calls(run: Run) -> None:
    """Says why nothing is due if what calls have is chosen, but no calls are stored or chosen."""
    chosen = run.settings.chosen
    if any(resource.windowed for resource in chosen) or not any(resource.by_id for resource in chosen):
        return
    if not run.warehouse.query(f"select 1 from {{dataset}}.{CALLS.table.name} limit 1"):
        run.note("no calls are loaded, so there is nothing to ask for: choose the resource calls too")


def _is_over(result: LoadResult) -> bool:
    return any(part.ends_run for part in result.resources.values())


def _has_listed_enough(run: Run, resource: Resource, ledger: Ledger, moment: datetime) -> bool:
    """Whether enough runs of this UTC day have listed the whole lookback, so that its last two days will do now."""
    days = run.settings.lookback_days
    if resource.fallback is None or days <= _LATEST_DAYS:
        return False
    older = Window(days_before(moment, days), days_before(moment, _LATEST_DAYS))
    counted = select_listed(run.warehouse.query, resource, older, run.settings.workspace_id, "count(*)")
    requests = (counted[0][0] if counted else 0) / RECORDS_PER_PAGE
    return requests * ledger.times_covered(older, midnight(moment)) > _REQUESTS_FOR_OLDER_DAYS


def _verify(run: Run, result: LoadResult) -> None:
    """Verifies and repairs the last days. If its budget ends first, the next sync verifies them again."""
    from gong_source.runs.verify.verify import verify_recent

    verification = result.verification = verify_recent(run)
    if verification is None:
        return
    messages = "; ".join(filter(None, [result.message, verification.message]))
    if verification.status in {"incomplete", "failed"}:
        result.status, result.message = "incomplete", messages
    elif verification.interrupted:
        result.status, result.message, result.interrupted = "paused", messages, True
    elif verification.status == "paused":
        run.note(f"the verification was not finished: {verification.message}")


def ranges_to_fetch(ledger: Ledger, start: datetime, end: datetime, lookback_days: float) -> list[Window]:
    """What a sync up to `end` has to fetch: what is not covered, what may have come late, what was unsettled."""
    to_refetch = [*ledger.unsettled_since(days_before(end, lookback_days)), *ledger.fetched_early(lookback_days)]
    wanted = union([*subtract([Window(start, end)], ledger.covered), *to_refetch])
    return ledger.widened(wanted, end)


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
