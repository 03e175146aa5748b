"""`status`: what the warehouse has, read from the warehouse alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gong_source.dates import in_words
from gong_source.resources import RESOURCES
from gong_source.resources.calls import CALLS
from gong_source.runs.ending import as_json
from gong_source.settings import resolve_without_key
from gong_source.stored.due import CallFilter, count_calls
from gong_source.warehouse.arrivals import Delays, read_delays, read_found_later
from gong_source.warehouse.history import (
    LastRun,
    Verified,
    last_done_sync,
    last_run,
    last_verified,
    requests_today,
)
from gong_source.warehouse.ledger import Ledger, last_read, read_ledger
from gong_source.warehouse.mixed import TenantRows, tenants_in
from gong_source.warehouse.warehouse import Target, open_warehouse
from gong_source.windows import Window, days_before, now, subtract, utc, whole_second

if TYPE_CHECKING:
    from datetime import datetime

    from gong_source.resources.declare import Resource
    from gong_source.settings import GongSettings
    from gong_source.warehouse.warehouse import Warehouse

# Calls of a century are all calls; one that is planned has a negative age.
_CENTURY = 36_525.0
_AGES = (("under 1 day", -_CENTURY, 1.0), ("1 to 7 days", 1.0, 7.0), ("over 7 days", 7.0, _CENTURY))


@dataclass(frozen=True, slots=True)
class Lack:
    """How many `calls` of some age, out of how many, have nothing of a resource yet."""

    age: str
    calls: int
    of: int


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    """The state of one resource; times are UTC, None where there is nothing to say.

    `rows` are those of its table, `deleted` those that Gong no longer lists. `current_to` is the time up to which it is
    covered, or of its last snapshot, and `age_seconds` how long ago that was. `lookback` is what the next sync fetches
    again. `verified` is the last verification, `arrivals` says how late records arrived lately. `lacks` says how many
    calls have nothing yet of a resource that is requested by call id, and `found_later` how long after the call Gong
    had what it did not have at first. Of such a resource, `current_to` is when the last sync began that asked for all
    calls that were due.
    """

    name: str
    rows: int
    deleted: int
    last_run: datetime | None
    last_run_mode: str | None
    verified: Verified | None
    current_to: datetime | None = None
    age_seconds: float | None = None
    first_record: datetime | None = None
    last_record: datetime | None = None
    watermark: datetime | None = None
    covered: list[Window] = field(default_factory=list)
    gaps: list[Window] = field(default_factory=list)
    unsettled: list[Window] = field(default_factory=list)
    lookback: Window | None = None
    windows: int = 0
    arrivals: Delays | None = None
    lacks: list[Lack] = field(default_factory=list)
    found_later: Delays | None = None


@dataclass(frozen=True, slots=True)
class StatusResult:
    """The state of a dataset and of its resources; times are UTC. `exists` is false before the first load.

    `tenants` is empty, unless rows of several Gong tenants lie in one table. `message` names the resources that are
    older than the caller allows.
    """

    place: str
    dataset: str
    exists: bool
    requests_today: int
    resources: dict[str, ResourceStatus]
    tenants: list[TenantRows] = field(default_factory=list)
    message: str | None = None
    last_command: LastRun | None = None

    def as_json(self) -> dict[str, Any]:
        """The result as JSON's types, times in RFC 3339; the facts about calls also stand at the top."""
        plain: dict[str, Any] = as_json(self)
        calls = {name: value for name, value in plain["resources"].get("calls", {}).items() if name != "name"}
        return {"command": "status", "status": "incomplete" if self.message else "done", **calls, **plain}


def status(
    target: Target | None = None, *, settings: GongSettings | None = None, max_age_seconds: float | None = None
) -> StatusResult:
    """What the dataset has of the chosen resources, without a request to Gong.

    With `max_age_seconds`, `message` names the resources that are not current to so long ago. A snapshot may be older
    by `snapshot_hours`, as no sync reads it before.
    `settings` default to dlt's configuration; they need no access key. Raises `ConfigurationError`, or
    `DestinationFailed` if the dataset cannot be read.
    """
    settings = settings or resolve_without_key()
    with open_warehouse(target or Target(), command="status", write=False) as warehouse:
        found = read_status(warehouse, settings)
    return replace(found, message=_too_old(found.resources, settings, max_age_seconds))


def read_status(warehouse: Warehouse, settings: GongSettings) -> StatusResult:
    """What the open dataset has of the chosen resources. Raises `ConfigurationError` or `DestinationFailed`."""
    with warehouse.connected():
        exists = warehouse.exists()
        warehouse.restore(settings.chosen)
        listed_to = _listed_to(warehouse, settings) if any(r.by_id for r in settings.chosen) else None
        return StatusResult(
            place=warehouse.place,
            dataset=str(warehouse.pipeline.dataset_name),
            exists=exists,
            requests_today=requests_today(warehouse),
            resources={r.name: _status(warehouse, r, settings, listed_to) for r in settings.chosen},
            tenants=[found for resource in settings.chosen for found in tenants_in(warehouse, resource)],
            last_command=last_run(warehouse),
        )


def _too_old(parts: dict[str, ResourceStatus], settings: GongSettings, allowed: float | None) -> str | None:
    """What is older than allowed, in words."""
    if allowed is None:
        return None
    old = []
    for part in parts.values():
        extra = settings.snapshot_hours * 3600 if RESOURCES[part.name].selection == "whole" else 0.0
        if part.age_seconds is None:
            old.append(f"{part.name}: {'no sync has finished' if part.rows else 'nothing is loaded'} yet")
        elif part.age_seconds > allowed + extra:
            old.append(f"{part.name} is {in_words(part.age_seconds)} old, more than {in_words(allowed + extra)}")
    return "; ".join(old) or None


def _age(current_to: datetime | None) -> float | None:
    return None if current_to is None else max(0.0, (now() - utc(current_to)).total_seconds())


def _listed_to(warehouse: Warehouse, settings: GongSettings) -> datetime | None:
    """The time up to which all calls are listed, UTC."""
    ledger = read_ledger(warehouse, CALLS, settings.workspace_id)
    return ledger.of(ledger.listed_as(CALLS)).watermark


def _status(
    warehouse: Warehouse, resource: Resource, settings: GongSettings, listed_to: datetime | None
) -> ResourceStatus:
    verified = last_verified(warehouse, resource, settings.workspace_id)
    if resource.by_id:
        return _status_by_id(warehouse, resource, settings, verified, listed_to)
    if not resource.windowed:
        return _status_of_snapshot(warehouse, resource, verified)
    ledger = read_ledger(warehouse, resource, settings.workspace_id)
    ledger = ledger.of(ledger.listed_as(resource))
    column = resource.time_column
    workspace = [settings.workspace_id] if settings.workspace_id is not None else []
    counted = warehouse.query(
        f"select count(*), count(deleted_at), min({column}), max({column}) from {{dataset}}.{resource.table.name}"
        f"{' where workspace_id = %s' if workspace else ''}",
        *workspace,
    )
    rows, deleted, first, latest = counted[0] if counted else (0, 0, None, None)
    last_entry = ledger.entries[-1] if ledger.entries else None
    return ResourceStatus(
        name=resource.name,
        rows=int(rows),
        deleted=int(deleted),
        last_run=last_entry.fetched_at if last_entry else None,
        last_run_mode=last_entry.mode if last_entry else None,
        verified=verified,
        current_to=ledger.watermark,
        age_seconds=_age(ledger.watermark),
        first_record=utc(first) if first else None,
        last_record=utc(latest) if latest else None,
        watermark=ledger.watermark,
        covered=ledger.covered,
        gaps=_gaps(ledger),
        unsettled=ledger.unsettled,
        lookback=_lookback(ledger, settings.lookback_days),
        windows=len(ledger.entries),
        arrivals=read_delays(warehouse, resource, settings.lookback_days),
    )


def _status_of_snapshot(warehouse: Warehouse, resource: Resource, verified: Verified | None) -> ResourceStatus:
    counted = warehouse.query(f"select count(*), count(deleted_at) from {{dataset}}.{resource.table.name}")
    rows, deleted = counted[0] if counted else (0, 0)
    last = last_read(warehouse, resource)
    mode = "snapshot" if last else None
    return ResourceStatus(resource.name, int(rows), int(deleted), last, mode, verified, last, _age(last))


def _status_by_id(
    warehouse: Warehouse,
    resource: Resource,
    settings: GongSettings,
    verified: Verified | None,
    listed_to: datetime | None,
) -> ResourceStatus:
    wanted = CallFilter(settings.keeps_private, settings.workspace_id)
    last, moment = last_read(warehouse, resource), now()
    current_to = last_done_sync(warehouse, resource, settings.workspace_id) if last else None
    if current_to is not None and (listed_to is None or listed_to < whole_second(current_to)):
        current_to = listed_to  # nobody has asked for what later calls have, because the calls are not listed yet
    _, rows, _ = count_calls(warehouse.query, resource, wanted)
    lacks = []
    for age, youngest, oldest in _AGES:
        window = Window(days_before(moment, oldest), days_before(moment, youngest))
        calls, _, found = count_calls(warehouse.query, resource, replace(wanted, window=window))
        lacks += [Lack(age, calls - found, calls)] if found < calls else []
    mode = "by id" if last else None
    return ResourceStatus(
        name=resource.name,
        rows=rows,
        deleted=0,
        last_run=last,
        last_run_mode=mode,
        verified=verified,
        current_to=current_to,
        age_seconds=_age(current_to),
        lacks=lacks,
        found_later=read_found_later(warehouse, resource),
    )


def _gaps(ledger: Ledger) -> list[Window]:
    """What has never been fetched between the first and the last covered moment."""
    covered = ledger.covered
    return subtract([Window(covered[0].start, covered[-1].end)], covered) if covered else []


def _lookback(ledger: Ledger, days: float) -> Window | None:
    early, end = ledger.fetched_early(days), now()
    return Window(early[0].start, end) if early and early[0].start < end else None
