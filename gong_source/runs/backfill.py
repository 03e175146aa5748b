"""`backfill`: loads a past range of time, skipping what is already loaded. Never moves the watermark."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gong_source.api.by_id import MOST_IDS
from gong_source.api.plan import LISTS, RECORDS_PER_PAGE, WITH_CONTENT
from gong_source.connection import connect
from gong_source.errors import ConfigurationError, MissingScope
from gong_source.resources import RESOURCES
from gong_source.runs.ending import as_json
from gong_source.runs.load_by_id import call_filter, hide_private, load_due, sharing
from gong_source.runs.load_content import WindowLoad
from gong_source.runs.results import LoadResult, add_results
from gong_source.runs.run import open_run
from gong_source.settings import resolve_settings
from gong_source.stored.due import CallFilter, due_calls
from gong_source.stored.tenant import known_tenant
from gong_source.warehouse.ledger import read_ledger
from gong_source.warehouse.warehouse import Target, open_warehouse
from gong_source.windows import Window, days_before, intersect, iso, now, subtract, union

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from gong_source.api.client import Client
    from gong_source.resources.declare import Resource
    from gong_source.runs.results import ResourceResult
    from gong_source.runs.run import Control, Run
    from gong_source.settings import GongSettings
    from gong_source.warehouse.ledger import Ledger
    from gong_source.warehouse.warehouse import Warehouse

# A plan asks for the count of each range, one request for each. More ranges than this are counted as one.
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
    """Loads what no run has covered in `[start, end)` (UTC), for each chosen resource with a past; all with `refresh`.

    An `end` in the future means now. After an early end, the same call continues, but with `refresh` it begins anew.
    `settings` default to dlt's configuration. Raises `ConfigurationError`, `WrongTenant`, `DatasetLocked` or
    `DestinationFailed`; what Gong refuses is in the result.
    """
    settings = settings or resolve_settings()
    asked, resources = _asked(start, end), _with_past(settings)
    with open_run(target or Target(), settings, control, command="backfill") as run:
        result = run.result = LoadResult("backfill", notes=run.notes)
        for members in sharing(resources):
            if all(name in result.resources and result.resources[name].status == "failed" for name in _names(members)):
                continue
            parts = _backfill_resources(run, members, asked, refresh=refresh, read=set(result.resources))
            add_results(result.resources, parts)
            if any(part.ends_run for part in parts.values()):
                break
        result.conclude(run.client.transport.usage, run.seconds)
        if refresh and result.status == "paused":
            message = (result.message or "").removesuffix(". Run the same command to continue")
            result.message = f"{message}. With --refresh the same command begins anew: choose a shorter range"
    return result


def _backfill_resources(
    run: Run, members: Sequence[Resource], asked: Window, *, refresh: bool, read: AbstractSet[str]
) -> dict[str, ResourceResult]:
    """Loads resources that share requests; `read` are those that have been read with the list of calls."""
    resource = members[0]
    if resource.by_id:
        was_read = read >= _names(members)
        moment = None if refresh and not was_read else now()
        calls = due_calls(run.warehouse.query, members, call_filter(run, asked), moment)
        return load_due(run, members, mode="backfill", calls=calls)
    results = _backfill_windows(run, resource, asked, refresh=refresh)
    if results[resource.name].missing_scope and resource.fallback is not None:
        results |= _backfill_windows(run, resource.fallback, asked, refresh=refresh)
    hide_private(run)
    return results


def _names(resources: Sequence[Resource]) -> set[str]:
    return {resource.name for resource in resources}


def _backfill_windows(run: Run, resource: Resource, asked: Window, *, refresh: bool) -> dict[str, ResourceResult]:
    moment, ledger = now(), run.ledger(resource)
    ranges = ledger.widened([asked], moment) if refresh else ranges_to_fetch(ledger, asked, run.settings.lookback_days)
    if not ranges:
        run.note(f"{resource.name}: {asked} is loaded already; --refresh loads it again")
    load = WindowLoad(run, resource, ranges, mode="backfill", moment=moment, refresh=refresh)
    results = load.recent()
    if results[resource.name].status != "failed" and not results[resource.name].ends_run:
        add_results(results, load.older())
    return results


@dataclass(frozen=True, slots=True)
class Plan:
    """What a backfill would take; `records` is Gong's count, the rest follows from it.

    `bytes` is what Gong would send, for calls of usual length.
    """

    ranges: dict[str, list[Window]]
    records: dict[str, int]
    windows: int
    requests: int
    bytes: int
    seconds: float
    days: float
    requests_used: int

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON's types, times in RFC 3339."""
        plan = as_json(self) | {"calls": self.records.get("calls", 0)}
        return {"command": "backfill", "status": "done", "requests": plan.pop("requests_used"), "plan": plan}


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
    asked, chosen = _asked(start, end), _with_past(settings)
    resources = [resource for resource in chosen if resource.windowed]
    with open_warehouse(target or Target(), command="backfill", write=False) as warehouse:
        warehouse.restore(chosen)
        by_id = _due(warehouse, settings, chosen, asked, refresh=refresh)
        ledgers = {resource.name: read_ledger(warehouse, resource, settings.workspace_id) for resource in resources}
        known, dataset = known_tenant(warehouse.query), warehouse.dataset
    client = connect(settings)
    client.expect(known, dataset)
    try:
        counted = [_count(client, one, ledgers[one.name], asked, settings, refresh=refresh) for one in resources]
        rate = client.transport.throttle.requests_per_second
    finally:
        client.transport.close()
    costs = [_cost(found, chosen, resource) for resource, _, found in counted]
    windows, requests = sum(cost[0] for cost in costs), sum(cost[1] for cost in costs)
    records = {resource.name: sum(found) for resource, _, found in counted}
    with_list = _with_list([resource for resource, *_ in counted], chosen)
    requests += _requests_by_id(by_id, records, with_list, refresh=refresh)
    return Plan(
        ranges={resource.name: ranges for resource, ranges, _ in counted},
        records=records,
        windows=windows,
        requests=requests,
        bytes=sum(RESOURCES[name].record_bytes * number for name, number in records.items()),
        seconds=requests / rate,
        days=requests / settings.daily_request_budget,
        requests_used=client.transport.usage.requests,
    )


def _requests_by_id(
    by_id: Sequence[tuple[list[Resource], int]], records: dict[str, int], with_list: Collection[str], *, refresh: bool
) -> int:
    """How many requests name calls, and adds their number to `records`.

    The resources `with_list` come with the list of calls, so that only stored calls are named.
    """
    requests = 0
    for members, stored in by_id:
        listed = records.get("calls", 0)  # the backfill loads them first; they are due then
        due = max(stored, listed) if refresh else stored + listed
        named = max(0, due - listed) if members[0].name in with_list else due
        requests += math.ceil(named / MOST_IDS)
        records |= {member.name: due for member in members}
    return requests


def _count(
    client: Client, resource: Resource, ledger: Ledger, asked: Window, settings: GongSettings, *, refresh: bool
) -> tuple[Resource, list[Window], list[int]]:
    """The resource as the key may list it, the ranges to load, and Gong's counts of them."""
    own = ledger.of(resource)
    ranges = own.widened([asked], now()) if refresh else ranges_to_fetch(own, asked, settings.lookback_days)
    try:
        return resource, ranges, _totals(client, resource, ranges)
    except MissingScope:
        if resource.fallback is None:
            raise
        return _count(client, resource.fallback, ledger, asked, settings, refresh=refresh)


def _with_list(listed: Sequence[Resource], chosen: Sequence[Resource]) -> set[str]:
    """The names of the resources that are read from the same list as the calls."""
    return {resource.name for resource in chosen if any(resource.comes_with(one) for one in listed)}


def _cost(counts: Sequence[int], chosen: Sequence[Resource], resource: Resource) -> tuple[int, int]:
    """How many windows and requests ranges of a resource with so many records take."""
    with_content = any(other.comes_with(resource) for other in chosen)
    target = (WITH_CONTENT if with_content else LISTS).target
    windows = sum(max(1, math.ceil(total / target)) for total in counts)
    # The last page of a window is half empty on average.
    return windows, sum(max(1, math.ceil(total / RECORDS_PER_PAGE)) for total in counts) + windows // 2


def _totals(client: Client, resource: Resource, ranges: list[Window]) -> list[int]:
    """Gong's counts of the ranges; of many ranges, that of the time that they span."""
    asked = ranges if len(ranges) <= _MOST_QUESTIONS else [Window(ranges[0].start, ranges[-1].end)]
    return [client.page(resource.endpoint, window).total or 0 for window in asked]


def ranges_to_fetch(ledger: Ledger, asked: Window, lookback_days: float) -> list[Window]:
    """What of `asked` has not been fetched, or was unsettled when it was, lately."""
    moment = now()
    unsettled = ledger.unsettled_since(days_before(moment, lookback_days))
    wanted = union([*subtract([asked], ledger.covered), *intersect(unsettled, [asked])])
    return ledger.widened(wanted, moment)


def _asked(start: datetime, end: datetime) -> Window:
    moment = now()
    if start >= moment:
        raise ConfigurationError(f"--from {iso(start)} must lie in the past; it is {iso(moment)} now")
    if start >= end:
        raise ConfigurationError(f"--from {iso(start)} must lie before --to {iso(end)}")
    return Window(start, min(end, moment))  # a time to come must not count as covered


def _due(
    warehouse: Warehouse, settings: GongSettings, chosen: Sequence[Resource], asked: Window, *, refresh: bool
) -> list[tuple[list[Resource], int]]:
    """The resources that share requests, and how many of the stored calls they would be asked for."""
    wanted = CallFilter(settings.keeps_private, settings.workspace_id, asked)
    moment = None if refresh else now()
    by_id = [resource for resource in chosen if resource.by_id]
    return [(members, len(due_calls(warehouse.query, members, wanted, moment))) for members in sharing(by_id)]


def _with_past(settings: GongSettings) -> list[Resource]:
    """The chosen resources that a range of time selects from; raises `ConfigurationError` if there is none."""
    windowed = [resource for resource in settings.chosen if resource.selection != "whole"]
    if not windowed:
        names = ", ".join(resource.name for resource in settings.chosen)
        raise ConfigurationError(f"{names}: Gong lists these whole, without a date range; gong-source sync loads them")
    return windowed
