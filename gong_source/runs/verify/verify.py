"""`verify`: compares Gong with the warehouse, and repairs the differences if asked to."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gong_source.connection import connect
from gong_source.errors import ConfigurationError, QuotaExhausted, RecordError, RequestFailed, RunStopped
from gong_source.resources import RESOURCES
from gong_source.resources.bookkeeping import VERIFICATIONS
from gong_source.runs.load_by_id import hide_private, sharing
from gong_source.runs.record import add_row
from gong_source.runs.run import open_run
from gong_source.runs.verification import REPAIR_HINT, Verification, VerifyResult
from gong_source.runs.verify.by_id import verify_by_id
from gong_source.runs.verify.whole import verify_whole
from gong_source.runs.verify.windowed import Terms, verify_windows
from gong_source.settings import resolve_settings
from gong_source.stored.deletions import refusal
from gong_source.warehouse.ledger import read_ledger, workspaces
from gong_source.warehouse.mark_and_remove import apply_policy
from gong_source.warehouse.mixed import report, tenants_in
from gong_source.warehouse.warehouse import Target, open_warehouse
from gong_source.windows import Window, days_before, intersect, iso, now, now_exactly

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from gong_source.resources.declare import Resource
    from gong_source.runs.run import Control, Run
    from gong_source.runs.verification import Difference
    from gong_source.settings import GongSettings

_CENTURY_DAYS = 36_525


def verify(
    target: Target | None = None,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    repair: bool = False,
    deep: bool = False,
    accept_deletions: bool = False,
    settings: GongSettings | None = None,
    control: Control | None = None,
) -> VerifyResult:
    """Compares Gong with the warehouse over `[start, end)` (UTC; default: all that runs have covered).

    Compares counts, and records where the counts differ; with `deep`, every record. Resources that Gong only lists
    whole are compared whole. Writes one row of `verifications` for each resource. With `repair`, the run also loads the
    windows that differ again, and gives the records that Gong no longer lists `deleted_at`. Where too many are missing
    at once, none is marked, unless `accept_deletions` is set. `settings` default to dlt's configuration. Raises
    `ConfigurationError`, `WrongTenant`, `DatasetLocked` or `DestinationFailed`; what Gong refuses is in the result.
    """
    settings = settings or resolve_settings()
    share = float("inf") if accept_deletions else settings.max_deleted_share
    with open_warehouse(target or Target(), command="verify", write=False) as warehouse:
        warehouse.require()  # an open run would create the dataset
    with open_run(target or Target(), settings, control, command="verify") as run:
        result = run.result = VerifyResult(deep, repair, notes=run.notes)
        chosen = [run.listed_as(resource) for resource in settings.chosen]
        ranges = {r.name: _ranges(run, r, start, end) for r in chosen}
        for members in sharing(chosen):
            parts = {r.name: Verification(r.name, ranges[r.name], deep, repair) for r in members}
            result.resources |= parts
            for resource in members:
                if tenants := tenants_in(run.warehouse, resource):
                    run.note(report(resource, tenants))
            _verify(run, members, parts, Terms(repair, deep, share))
            if any(part.ends_run for part in parts.values()):
                break
        if repair:
            hide_private(run)
        result.conclude(run.client.transport.usage, run.seconds)
    return result


def verify_recent(run: Run) -> VerifyResult | None:
    """Verifies and repairs the last `verify_days` of each windowed resource.

    Sends at most `verify_request_budget` requests, and no more than the run may still send. None if it may send none,
    which is noted, or if the ledger covers nothing of these days.
    """
    settings, began = run.settings, time.monotonic()
    allowed = settings.verify_request_budget
    if run.control.max_requests is not None:
        allowed = min(allowed, run.control.max_requests - run.client.transport.usage.requests)
    moment = now()
    recent = [Window(days_before(moment, settings.verify_days), moment)]
    windowed = [run.listed_as(resource) for resource in settings.chosen if resource.windowed]
    ledgers = {r.name: read_ledger(run.warehouse, r, settings.workspace_id) for r in windowed}
    ranges = {name: intersect(ledger.covered, recent) for name, ledger in ledgers.items()}
    if not any(ranges.values()):
        return None
    if allowed < 1:
        run.note("the last days were not verified: this run's budget of requests is used up")
        return None
    client = connect(settings, stopped=run.control.stopped, max_requests=allowed)
    client.tenant = run.client.tenant
    result = VerifyResult(deep=False, repair=True)
    # The other half of the requests is for loading what is found, so that even a small budget makes progress.
    terms = Terms(True, False, settings.max_deleted_share, max(1, allowed // 2))
    try:
        own_run = replace(run, client=client, ledgers=ledgers)
        for resource in windowed:
            part = result.resources[resource.name] = Verification(resource.name, ranges[resource.name], False, True)
            _verify(own_run, [resource], {resource.name: part}, terms)
            if part.ends_run:
                break
        hide_private(own_run)
        result.conclude(client.transport.usage, time.monotonic() - began)
    finally:
        client.transport.close()
    return result


def _ranges(run: Run, resource: Resource, start: datetime | None, end: datetime | None) -> list[Window]:
    """What to verify: the range that was asked for, else all that the ledger covers; none for what has no ranges."""
    if not resource.windowed:
        if not resource.by_id or (start is None and end is None):
            return []
        last = min(end or now(), now())
        return [_range(start or days_before(last, _CENTURY_DAYS), last)]
    covered = run.ledger(resource).covered
    if not covered and (start is None or end is None):
        others = ", ".join(workspaces(run.warehouse, resource))
        but = f", but in workspace {others}: name it with --workspace-id" if others else ""
        raise ConfigurationError(
            f"no {resource.plural} have been loaded yet{but or '; run gong-source sync first, or give --from and --to'}"
        )
    if start is None and end is None:
        return covered
    first = start if start is not None else covered[0].start
    last = min(end if end is not None else covered[-1].end, now())
    return [_range(first, last)]


def _range(start: datetime, end: datetime) -> Window:
    if start >= end:
        raise ConfigurationError(f"--from {iso(start)} must lie before the end of the range, {iso(end)}")
    return Window(start, end)


def _verify(run: Run, members: Sequence[Resource], results: Mapping[str, Verification], terms: Terms) -> None:
    """Verifies resources that share requests, fills in `results`, and writes the row of each."""
    moment, usage, resource = now_exactly(), run.client.transport.usage, members[0]
    sent_before, result = usage.requests, results[resource.name]
    try:
        if resource.windowed:
            verify_windows(run, resource, result, terms, moment)
        elif resource.by_id:
            verify_by_id(run, members, results, terms)
        else:
            verify_whole(run, resource, result, terms)
    except (ConfigurationError, QuotaExhausted, RunStopped, RequestFailed, RecordError) as cause:
        for part in results.values():
            part.end_with(cause)
    result.requests = usage.requests - sent_before
    for member in members:
        _write_row(run, member, results[member.name], terms, moment)


def _write_row(run: Run, resource: Resource, result: Verification, terms: Terms, moment: datetime) -> None:
    """Concludes a verification, and writes its row."""
    _conclude(resource, result)
    if terms.repair and resource.windowed and result.outcome != "refused":
        marked = run.warehouse.query(
            f"select count(*) from {{dataset}}.{resource.table.name} where deleted_at = %s", moment
        )
        result.marked_deleted = int(marked[0][0]) if marked else 0
        apply_policy(run.warehouse, resource, run.settings.deleted_calls)
    add_row(run.warehouse, resource, VERIFICATIONS, _row(run, result, moment))


def _conclude(resource: Resource, result: Verification) -> None:
    """Sets the outcome, and the message about it."""
    refused = [found for found in result.windows if found.outcome == "refused"]
    if result.status in {"paused", "failed"}:
        result.outcome = "paused" if result.status == "paused" else "failed"
        if result.resume_from:
            message = (result.message or "").removesuffix(". Run the same command to continue")
            result.message = f"{message}; --from {iso(result.resume_from)} continues from there"
        if refused:
            result.message = f"{result.message}; {_refusal(resource, refused)}"
    elif refused:
        result.outcome, result.status = "refused", "incomplete"
        if not resource.by_id:  # the load of the repair has said what is kept
            result.message = _refusal(resource, refused)
    elif any(found.outcome == "differs" for found in result.windows):
        result.outcome, result.status = "differs", "incomplete"
        result.message = _difference(resource, result)
    elif result.failures:
        result.outcome, result.status = "differs", "incomplete"
    else:
        result.outcome = "repaired" if result.differing else "clean"


def _difference(resource: Resource, result: Verification) -> str:
    if result.repair:
        return (
            "some windows still differ; run it again" if resource.windowed else "the list still differs; run it again"
        )
    number = len(result.differing)
    what = (
        f"{number:,} {'window differs' if number == 1 else 'windows differ'}"
        if resource.windowed
        else (f"the {resource.plural} differ")
    )
    return f"{what}{REPAIR_HINT}"


def _refusal(resource: Resource, windows: Sequence[Difference]) -> str:
    missing, stored = sum(found.surplus for found in windows), sum(found.stored for found in windows)
    if not resource.windowed:
        return refusal(resource, missing, stored)
    return refusal(
        resource, missing, stored, f" in {windows[0].window}" if len(windows) == 1 else f" in {len(windows)} windows"
    )


def _row(run: Run, result: Verification, started_at: datetime) -> dict[str, Any]:
    last = result.ranges[-1].end if result.ranges else None
    return {
        "verification_id": uuid.uuid4().hex,
        "resource": result.resource,
        "verified_from": result.ranges[0].start if result.ranges else None,
        "verified_to": result.resume_from or last,
        "workspace_id": None if RESOURCES[result.resource].selection == "whole" else run.client.workspace_id,
        "is_deep": result.deep,
        "is_repair": result.repair,
        "outcome": result.outcome,
        "listed": None if result.resume_from else result.listed,
        "stored": None if result.resume_from else result.stored,
        "differing_windows": len(result.differing),
        "missing": result.total("missing"),
        "changed": result.total("changed"),
        "surplus": result.total("surplus"),
        "unsettled": result.total("unsettled"),
        "marked_deleted": result.marked_deleted,
        "requests": result.requests,
        "started_at": started_at,
        "finished_at": now_exactly(),
    }
