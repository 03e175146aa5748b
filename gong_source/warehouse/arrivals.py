"""When each call was first seen: table `call_arrivals`, filled after each load from what the load brought."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from gong_source.resources.declare import CALL_ARRIVALS, CALL_WINDOWS, LOAD_ID_COLUMN
from gong_source.source import rows_source
from gong_source.warehouse.ledger import LOADS
from gong_source.windows import days_before, now, utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gong_source.warehouse.warehouse import Warehouse

# How far back arrivals tell of the tenant as it is today.
ARRIVAL_DAYS = 90
_SAFE_SHARE = 0.8

# The new calls of all loads from the last one recorded: what a run that dies leaves out, the next one takes in, also
# of a load of which it left only the calls. A call is late if an earlier load had asked for its time.
_RECORD = f"""
    insert into {{dataset}}.{CALL_ARRIVALS.name} (id, first_seen_at, load_id, mode, is_late)
    with fresh as (
        select c.id, c.call_time, c.workspace_id, c.{LOAD_ID_COLUMN} as load_id,
            coalesce(l.inserted_at, current_timestamp) as inserted_at
        from {{dataset}}.calls as c
        left join {LOADS} as l on l.load_id = c.{LOAD_ID_COLUMN}
        left join {{dataset}}.{CALL_ARRIVALS.name} as a on a.id = c.id
        where a.id is null and c.{LOAD_ID_COLUMN} >= %s
    ),
    modes as (
        select {LOAD_ID_COLUMN} as load_id, max(mode) as mode from {{dataset}}.{CALL_WINDOWS.name} group by 1
    ),
    asked as (
        select w.{LOAD_ID_COLUMN} as load_id, w.window_start, w.window_end, w.workspace_id
        from {{dataset}}.{CALL_WINDOWS.name} as w
        join {LOADS} as l on l.load_id = w.{LOAD_ID_COLUMN}
    ),
    late as (
        select distinct fresh.id from fresh join asked
        on asked.window_start <= fresh.call_time and asked.window_end > fresh.call_time
        and asked.load_id < fresh.load_id
        where asked.workspace_id is null or asked.workspace_id = fresh.workspace_id
    )
    select fresh.id, fresh.inserted_at, fresh.load_id, modes.mode, late.id is not null
    from fresh
    left join modes on modes.load_id = fresh.load_id
    left join late on late.id = fresh.id
"""
_NEWEST = f"""
    select (select max(load_id) from {{dataset}}.{CALL_ARRIVALS.name}),
           (select max({LOAD_ID_COLUMN}) from {{dataset}}.calls)
"""
_LATE = f"""
    select a.mode, a.first_seen_at, c.call_time
    from {{dataset}}.{CALL_ARRIVALS.name} as a join {{dataset}}.calls as c on c.id = a.id
    where a.is_late and a.first_seen_at >= %s and c.call_time is not null
"""


def record_arrivals(warehouse: Warehouse, load_ids: Sequence[str] = ()) -> None:
    """Records the calls that are not in `call_arrivals` yet; what is recorded never changes.

    `load_ids` are this run's: by a clock that was set back, they may come before what is recorded.
    """
    found = warehouse.query(_NEWEST)
    if not found:
        if not warehouse.query("select count(*) from {dataset}.calls"):
            return
        warehouse.load(rows_source(CALL_ARRIVALS, []))  # to a dataset from before there was the table
        found = warehouse.query(_NEWEST)
    recorded, loaded = found[0]
    first = min([*load_ids, recorded or ""]) if load_ids else recorded or ""
    if loaded is not None and (recorded is None or recorded < loaded or first < recorded):
        warehouse.execute(_RECORD, first)


@dataclass(frozen=True, slots=True)
class Delays:
    """How long after its call time a call turned up, in days, of those that syncs found in time asked for before.

    `beyond` counts the calls that only a repair or a backfill found, later than the lookback reaches. `enough` says
    whether the lookback is long enough, as far as these tell.
    """

    calls: int
    median: float
    p99: float
    longest: float
    beyond: int
    enough: bool


def read_delays(warehouse: Warehouse, lookback_days: float) -> Delays | None:
    """The arrival delays of the last 90 days; None if no call arrived late."""
    rows = warehouse.query(_LATE, days_before(now(), ARRIVAL_DAYS))
    delays = [(mode, (utc(seen) - utc(time)).total_seconds() / 86400) for mode, seen, time in rows]
    synced = sorted(delay for mode, delay in delays if mode == "sync")
    beyond = sum(mode in {"backfill", "repair"} and delay > lookback_days for mode, delay in delays)
    if not synced and not beyond:
        return None
    shown = synced or [0.0]
    return Delays(
        calls=len(synced),
        median=median(shown),
        p99=shown[min(len(shown) - 1, int(len(shown) * 0.99))],
        longest=shown[-1],
        beyond=beyond,
        # a call that turns up later than the lookback reaches is not seen; near its end there are more behind it
        enough=beyond == 0 and shown[-1] <= _SAFE_SHARE * lookback_days,
    )
