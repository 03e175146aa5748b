"""When each record was first seen: table `arrivals`, filled after each load from what the load brought."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from gong_source.packages.sources import rows_source
from gong_source.resources.bookkeeping import ARRIVALS
from gong_source.warehouse.ledger import LOADS
from gong_source.windows import days_before, now, utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gong_source.resources.declare import Resource
    from gong_source.warehouse.warehouse import Warehouse

# The arrivals of so many days show how the tenant behaves today.
ARRIVAL_DAYS = 90
_SAFE_SHARE = 0.8

# The new records of all loads since the last one recorded. What a run that dies leaves out, the next run records, also
# where the load left only its records. A record is late if an earlier load had fetched its time.
_RECORD = """
    insert into {{dataset}}.arrivals (resource, id, first_seen_at, load_id, mode, is_late)
    with new_rows as (
        select c.id, c.{column} as filed_at, {workspace} as workspace_id, c._dlt_load_id as load_id,
            coalesce(l.inserted_at, current_timestamp) as inserted_at
        from {{dataset}}.{table} as c
        left join {loads} as l on l.load_id = c._dlt_load_id
        left join {{dataset}}.arrivals as a on a.id = c.id and a.resource = '{resource}'
        where a.id is null and c._dlt_load_id >= %s
    ),
    modes as (
        select _dlt_load_id as load_id, max(mode) as mode from {{dataset}}.fetched_windows
        where resource = '{resource}' group by 1
    ),
    fetched as (
        select w._dlt_load_id as load_id, w.window_start, w.window_end, w.workspace_id
        from {{dataset}}.fetched_windows as w
        join {loads} as l on l.load_id = w._dlt_load_id
        where w.resource = '{resource}'
    ),
    late as (
        select distinct new_rows.id from new_rows join fetched
        on fetched.window_start <= new_rows.filed_at and fetched.window_end > new_rows.filed_at
        and fetched.load_id < new_rows.load_id
        where fetched.workspace_id is null or fetched.workspace_id = new_rows.workspace_id
    )
    select '{resource}', new_rows.id, new_rows.inserted_at, new_rows.load_id, modes.mode, late.id is not null
    from new_rows
    left join modes on modes.load_id = new_rows.load_id
    left join late on late.id = new_rows.id
"""
_NEWEST = """
    select (select max(load_id) from {{dataset}}.arrivals where resource = '{resource}'),
           (select max(_dlt_load_id) from {{dataset}}.{table})
"""
_LATE = """
    select a.mode, a.first_seen_at, c.{column}
    from {{dataset}}.arrivals as a join {{dataset}}.{table} as c on c.id = a.id
    where a.resource = '{resource}' and a.is_late and a.first_seen_at >= %s and c.{column} is not null
"""


def _for(resource: Resource, sql: str) -> str:
    """The statement for one resource; `{dataset}` still stands for the dataset's name."""
    return sql.format(
        resource=resource.name,
        table=resource.table.name,
        column=resource.time_column,
        workspace="c.workspace_id" if "workspace_id" in resource.table.column_names else "null",
        loads=LOADS,
    )


def record_arrivals(warehouse: Warehouse, resource: Resource, load_ids: Sequence[str] = ()) -> None:
    """Adds the new records of a windowed resource to `arrivals`; rows that are there never change.

    `load_ids` are this run's. If the clock was set back, they may come before what is recorded.
    """
    found = warehouse.query(_for(resource, _NEWEST))
    if not found:
        if not warehouse.query(f"select count(*) from {{dataset}}.{resource.table.name}"):
            return
        warehouse.load(rows_source(resource, ARRIVALS, []))  # a plain dlt pipeline has loaded without the table
        found = warehouse.query(_for(resource, _NEWEST))
    recorded, loaded = found[0]
    first = min([*load_ids, recorded or ""]) if load_ids else recorded or ""
    if loaded is not None and (recorded is None or recorded < loaded or first < recorded):
        warehouse.execute(_for(resource, _RECORD), first)


@dataclass(frozen=True, slots=True)
class Delays:
    """How many days after its call time a late record appeared, for records that syncs found in time fetched before.

    `beyond` counts the records that only a repair or a backfill found, later than the lookback reaches. `enough` says
    whether the lookback is long enough, as far as these records show.
    """

    records: int
    median: float
    p99: float
    longest: float
    beyond: int
    enough: bool


def read_late(warehouse: Warehouse, resource: Resource) -> list[tuple[str | None, float]]:
    """The late records of the last 90 days: which kind of run found each, and how many days after its call time."""
    rows = warehouse.query(_for(resource, _LATE), days_before(now(), ARRIVAL_DAYS))
    return [(mode, (utc(seen) - utc(time)).total_seconds() / 86400) for mode, seen, time in rows]


def read_delays(warehouse: Warehouse, resource: Resource, lookback_days: float) -> Delays | None:
    """The arrival delays of the last 90 days; None if no record arrived late."""
    delays = read_late(warehouse, resource)
    synced = sorted(delay for mode, delay in delays if mode == "sync")
    beyond = sum(mode in {"backfill", "repair"} and delay > lookback_days for mode, delay in delays)
    if not synced and not beyond:
        return None
    longest = synced[-1] if synced else 0.0
    # A record that appears later than the lookback reaches is not seen. Near its end, more may be behind it.
    return _delays(synced, beyond, enough=beyond == 0 and longest <= _SAFE_SHARE * lookback_days)


def read_found_later(warehouse: Warehouse, resource: Resource) -> Delays | None:
    """How long after a call Gong had what it did not have when it was first asked; in the last 90 days, None if never.

    Only for a resource whose header says when something was found.
    """
    if "found_at" not in resource.table.column_names:
        return None
    rows = warehouse.query(
        f"select found_at, call_time from {{dataset}}.{resource.table.name}"
        " where found_at > first_asked_at and found_at >= %s",
        days_before(now(), ARRIVAL_DAYS),
    )
    days = sorted((utc(found) - utc(time)).total_seconds() / 86400 for found, time in rows)
    return _delays(days, 0, enough=True) if days else None


def _delays(days: Sequence[float], beyond: int, *, enough: bool) -> Delays:
    """The delays in days, sorted, in short."""
    shown = days or [0.0]
    p99 = shown[min(len(shown) - 1, int(len(shown) * 0.99))]
    return Delays(len(days), median(shown), p99, shown[-1], beyond, enough)
