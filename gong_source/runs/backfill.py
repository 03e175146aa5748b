"""`backfill`: loads a past range of time, skipping what is already loaded. Never moves the watermark."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gong_source.api.plan import RECORDS_PER_PAGE, TARGET_RECORDS
from gong_source.connection import connect
from gong_source.errors import ConfigurationError
from gong_source.package import known_tenant
from gong_source.runs.load import load_windows
from gong_source.runs.results import LoadResult, ResourceResult, as_json
from gong_source.runs.run import open_run
from gong_source.settings import resolve_settings
from gong_source.warehouse.ledger import read_ledger
from gong_source.warehouse.warehouse import Target, open_warehouse
from gong_source.windows import Window, days_before, intersect, iso, now, subtract, union

if TYPE_CHECKING:
    from datetime import datetime

    from gong_source.api.client import Client
    from gong_source.resources.declare import Resource
    from gong_source.runs.run import Control
    from gong_source.settings import GongSettings
    from gong_source.warehouse.ledger import Ledger

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
    """Loads what no run has covered in `[start, end)` (UTC), for each chosen windowed resource; all with `refresh`.

    An `end` in the future means now. After an early end, the same call continues. `settings` default to dlt's
    configuration. Raises `ConfigurationError`, `WrongTenant`, `DatasetLocked` or `DestinationFailed`; what Gong
    refuses is in the result.
    """
    settings = settings or resolve_settings()
    asked, resources = _asked(start, end), _windowed(settings)
    with open_run(target or Target(), settings, control, command="backfill") as run:
        result = LoadResult("backfill", notes=run.notes)
        run.results.append(result)
        for resource in resources:
            ranges = [asked] if refresh else missing(run.ledger(resource), asked, settings.lookback_days)
            if not ranges:
                run.note(f"{resource.name}: {asked} is loaded already; --refresh loads it again")
            part = result.resources[resource.name] = ResourceResult(resource.name, ranges)
            load_windows(run, resource, part, mode="backfill")
            if part.ends_run:
                break
        result.conclude(run.client.transport.usage, run.seconds)
    return result


@dataclass(frozen=True, slots=True)
class Plan:
    """What a backfill would take; `records` is Gong's count, the rest follows from it."""

    ranges: dict[str, list[Window]]
    records: dict[str, int]
    windows: int
    requests: int
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
    asked, resources = _asked(start, end), _windowed(settings)
    with open_warehouse(target or Target(), command="backfill", write=False) as warehouse:
        warehouse.restore(resources)
        ledgers = {resource.name: read_ledger(warehouse, resource, settings.workspace_id) for resource in resources}
        known, dataset = known_tenant(warehouse.query), warehouse.dataset
    client = connect(settings)
    client.expect(known, dataset)
    ranges, totals = {}, {}
    try:
        for resource in resources:
            name = resource.name
            ranges[name] = [asked] if refresh else missing(ledgers[name], asked, settings.lookback_days)
            totals[name] = _totals(client, resource, ranges[name])
        rate = client.transport.throttle.requests_per_second
    finally:
        client.transport.close()
    counts = [total for found in totals.values() for total in found]
    windows = sum(max(1, math.ceil(total / TARGET_RECORDS)) for total in counts)
    # The last page of a window is half empty on average.
    requests = sum(max(1, math.ceil(total / RECORDS_PER_PAGE)) for total in counts) + windows // 2
    return Plan(
        ranges=ranges,
        records={name: sum(found) for name, found in totals.items()},
        windows=windows,
        requests=requests,
        seconds=requests / rate,
        days=requests / settings.daily_request_budget,
        requests_used=client.transport.usage.requests,
    )


def _totals(client: Client, resource: Resource, ranges: list[Window]) -> list[int]:
    """Gong's counts of the ranges; of many ranges, that of the time that they span."""
    asked = ranges if len(ranges) <= _MOST_QUESTIONS else [Window(ranges[0].start, ranges[-1].end)]
    return [client.page(resource.endpoint, window).total or 0 for window in asked]


def missing(ledger: Ledger, asked: Window, lookback_days: float) -> list[Window]:
    """What of `asked` has not been fetched, or was unsettled when it was, lately."""
    unsettled = ledger.unsettled_since(days_before(now(), lookback_days))
    return union([*subtract([asked], ledger.covered), *intersect(unsettled, [asked])])


def _asked(start: datetime, end: datetime) -> Window:
    end = min(end, now())  # a time to come must not count as covered
    if start >= end:
        raise ConfigurationError(f"--from {iso(start)} must lie before --to {iso(end)}, and before now")
    return Window(start, end)


def _windowed(settings: GongSettings) -> list[Resource]:
    """The chosen resources that are loaded by time range; raises `ConfigurationError` if there is none."""
    windowed = [resource for resource in settings.chosen if resource.windowed]
    if not windowed:
        names = ", ".join(resource.name for resource in settings.chosen)
        raise ConfigurationError(f"{names}: Gong lists these whole, without a date range; gong-source sync loads them")
    return windowed
