"""Reads from the warehouse what the report shows. The databases count; few rows come over."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gong_source.report.days import Day, days_of
from gong_source.resources import RESOURCES
from gong_source.resources.bookkeeping import RUNS, VERIFICATIONS
from gong_source.resources.calls import CALLS
from gong_source.resources.people import USERS
from gong_source.runs.status import read_status
from gong_source.warehouse.arrivals import read_late
from gong_source.warehouse.history import requests_by_day
from gong_source.warehouse.views import translate
from gong_source.windows import Window, days_before, midnight, now, subtract, union, utc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from gong_source.runs.status import ResourceStatus, StatusResult
    from gong_source.settings import GongSettings
    from gong_source.warehouse.warehouse import Warehouse

# How far back each part looks.
REQUEST_DAYS = 30
ACTIVITY_WEEKS = 52
_RUNS_SHOWN = 20
_VERIFICATIONS_SHOWN = 10
_REPS_SHOWN = 10

_COUNTED = "c.deleted_at is null and not coalesce(c.is_private, false) and c.call_time >= {since}"
_BEGUN = "local_time(coalesce(c.started, c.scheduled, c.call_time))"
_NEWEST = "select max(c.call_time) from calls as c where c.deleted_at is null and not coalesce(c.is_private, false)"
_WEEKS = f"""
    select week_of({_BEGUN}) as local_week, c.scope, c.direction, c.media, count(*), sum(coalesce(c.duration, 0))
    from calls as c where {_COUNTED} group by 1, 2, 3, 4
"""
_HOURS = f"""
    select cast({_BEGUN} as date) as local_day, extract(hour from {_BEGUN}) as local_hour, count(*)
    from calls as c where {_COUNTED} group by 1, 2
"""
_REPS = f"""
    select c.primary_user_id, count(*) as calls, sum(coalesce(c.duration, 0)) as seconds
    from calls as c where {_COUNTED} and c.primary_user_id is not null
    group by 1 order by 2 desc, 1 limit {_REPS_SHOWN}
"""
_NAMES = "select u.id, u.first_name, u.last_name, u.email_address from users as u"


@dataclass(frozen=True, slots=True)
class Ran:
    """One run, as the table `runs` has it; times are UTC."""

    command: str
    resources: str
    started_at: datetime
    finished_at: datetime
    status: str
    message: str | None
    requests: int
    records: int
    changed: int


@dataclass(frozen=True, slots=True)
class Checked:
    """One verification: of which resource and range (None: a snapshot), when (UTC), and what it found."""

    resource: str
    window: Window | None
    at: datetime
    outcome: str
    deep: bool
    missing: int
    changed: int
    surplus: int


@dataclass(frozen=True, slots=True)
class Trust:
    """Whether one resource can be trusted.

    `days` say for each UTC day what is known about it; empty for a snapshot. `late` counts the records that syncs found
    late in the last 90 days, by the whole days after their time.
    """

    status: ResourceStatus
    days: Sequence[Day]
    late: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Week:
    """The calls of one week (its Monday, local time) that are alike: how many, and how long in hours."""

    week: date
    scope: str
    direction: str
    media: str
    calls: int
    hours: float


@dataclass(frozen=True, slots=True)
class Rep:
    """A host of calls; `name` is None if the table `users` has none."""

    name: str | None
    calls: int
    hours: float


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened in the calls of the last weeks that are neither deleted nor private; local times.

    `hours` counts calls by weekday (0: Monday) and hour. `with_users` says whether the table `users` is there.
    """

    weeks: Sequence[Week]
    hours: Mapping[tuple[int, int], int]
    reps: Sequence[Rep]
    with_users: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the report shows. Times are UTC unless they are called local; local is the setting `time_zone`."""

    made_at: datetime
    status: StatusResult
    destination: str
    time_zone: str
    budget: int
    snapshot_hours: float
    trust: Sequence[Trust]
    not_loaded: Sequence[str]
    requests: Mapping[date, int]
    runs: Sequence[Ran]
    verifications: Sequence[Checked]
    activity: Activity | None


def gather(warehouse: Warehouse, settings: GongSettings) -> Facts:
    """The facts about all resources in the dataset. Raises `DestinationFailed` if it cannot be read."""
    status = read_status(warehouse, settings)
    loaded = [part for part in status.resources.values() if part.last_run is not None]
    warehouse.close()  # then DuckDB gives its memory back
    with warehouse.connected():
        verifications = _verifications(warehouse, settings.workspace_id)
        return Facts(
            made_at=now(),
            status=status,
            destination=warehouse.destination.name,
            time_zone=settings.time_zone,
            budget=settings.daily_request_budget,
            trust=[_trust(warehouse, part, verifications) for part in loaded],
            not_loaded=[name for name, part in status.resources.items() if part.last_run is None],
            requests=requests_by_day(warehouse, midnight(days_before(now(), REQUEST_DAYS - 1))),
            runs=_runs(warehouse),
            verifications=verifications[:_VERIFICATIONS_SHOWN],
            snapshot_hours=settings.snapshot_hours,
            activity=_activity(warehouse, settings.time_zone) if CALLS.name in settings.resources else None,
        )


def _trust(warehouse: Warehouse, part: ResourceStatus, verifications: Sequence[Checked]) -> Trust:
    resource = RESOURCES[part.name]
    if not resource.windowed:
        return Trust(part, [], {})
    verified: list[Window] = []
    for checked in reversed(verifications):  # a later one that did not end well takes back what an earlier one proved
        if checked.window and checked.resource == part.name:
            proven = checked.outcome in {"clean", "repaired"}
            verified = union([*verified, checked.window]) if proven else subtract(verified, [checked.window])
    late = Counter(int(max(days, 0)) for mode, days in read_late(warehouse, resource) if mode == "sync")
    return Trust(part, days_of(part.covered, part.unsettled, verified), late)


def _verifications(warehouse: Warehouse, workspace_id: str | None) -> list[Checked]:
    """The verifications of all workspaces, and those of this one, the last first."""
    rows = warehouse.query(
        "select workspace_id, resource, verified_from, verified_to, finished_at, outcome, is_deep, missing, changed,"
        f" surplus from {{dataset}}.{VERIFICATIONS.name} order by finished_at desc"
    )
    return [
        Checked(
            resource, None if start is None else Window(utc(start), utc(end)), utc(at), outcome, bool(deep), *counts
        )
        for workspace, resource, start, end, at, outcome, deep, *counts in rows
        if workspace in {None, workspace_id}
    ]


def _runs(warehouse: Warehouse) -> list[Ran]:
    rows = warehouse.query(
        "select command, resources, started_at, finished_at, status, message, requests, records, changed"
        f" from {{dataset}}.{RUNS.name} order by started_at desc limit {_RUNS_SHOWN}"
    )
    return [
        Ran(command, resources, utc(started), utc(finished), status, message, *map(int, counts))
        for command, resources, started, finished, status, message, *counts in rows
    ]


def _activity(warehouse: Warehouse, zone: str) -> Activity | None:
    """None if there is no call to show."""

    def rows(sql: str, **values: str) -> list[tuple[Any, ...]]:
        with warehouse.connected() as client:
            return warehouse.query(translate(sql.format(**values), client, zone))

    found = rows(_NEWEST)
    if not found or found[0][0] is None:
        return None
    newest = midnight(utc(found[0][0]))
    since = days_before(newest, newest.weekday() + 7 * (ACTIVITY_WEEKS - 1))  # a Monday
    bound = {"since": f"cast('{since.isoformat()}' as timestamptz)"}
    weeks = [
        Week(week, scope or "Unknown", direction or "Unknown", media or "Unknown", int(calls), float(seconds) / 3600)
        for week, scope, direction, media, calls, seconds in rows(_WEEKS, **bound)
        if week >= since.date()  # a zone west of UTC has its Sunday evening then
    ]
    hours: dict[tuple[int, int], int] = defaultdict(int)
    for day, hour, calls in rows(_HOURS, **bound):
        if day >= since.date():
            hours[day.weekday(), int(hour)] += int(calls)
    with_users = USERS.table.name in warehouse.known_tables()
    names = {user_id: _name(*parts) for user_id, *parts in rows(_NAMES)} if with_users else {}
    reps = [Rep(names.get(host), int(calls), float(seconds) / 3600) for host, calls, seconds in rows(_REPS, **bound)]
    return Activity(weeks, dict(hours), reps, with_users)


def _name(first: str | None, last: str | None, email: str | None) -> str | None:
    return " ".join(part for part in (first, last) if part) or email
