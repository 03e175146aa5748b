"""Reads what runs and verifications have written down: how they ended, and how many requests they sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gong_source.resources.bookkeeping import RUNS, VERIFICATIONS
from gong_source.warehouse.ledger import LOADED
from gong_source.windows import Window, midnight, now, utc

if TYPE_CHECKING:
    from datetime import date, datetime

    from gong_source.resources.declare import Resource
    from gong_source.warehouse.warehouse import Warehouse

# The row of a verification includes the requests of its repair.
_REQUESTS_OF_LOADS = f"select fetched_at, requests from {LOADED} where fetched_at >= %s and mode <> 'repair'"
_REQUESTS_OF_RUNS = f"select started_at, requests from {{dataset}}.{RUNS.name} where started_at >= %s"
_REQUESTS_OF_VERIFICATIONS = f"select started_at, requests from {{dataset}}.{VERIFICATIONS.name} where started_at >= %s"
_LAST_SYNCED = (
    f"select max(fetched_at) from {LOADED} where resource = %s and mode = 'sync' and coalesce(workspace_id, '') = %s"
)


def requests_today(warehouse: Warehouse) -> int:
    """Requests that all runs into this dataset sent on the current UTC day."""
    today = midnight(now())
    return requests_by_day(warehouse, today).get(today.date(), 0)


def requests_by_day(warehouse: Warehouse, since: datetime) -> dict[date, int]:
    """Requests that all runs into this dataset sent on each UTC day from `since` on; a day without any is left out."""
    parts: Counter[date] = Counter()
    runs: Counter[date] = Counter()
    for sql, days in ((_REQUESTS_OF_LOADS, parts), (_REQUESTS_OF_VERIFICATIONS, parts), (_REQUESTS_OF_RUNS, runs)):
        for at, sent in warehouse.query(sql, since):
            days[utc(at).date()] += int(sent or 0)
    # A run that was killed has no row in `runs`; a run that finished no window has none in the ledger.
    return {day: max(parts[day], runs[day]) for day in sorted({*parts, *runs})}


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last command that loaded or tried to: when it ended (UTC), how, and why not better."""

    command: str
    at: datetime
    status: str
    message: str | None
    requests: int


def last_run(warehouse: Warehouse) -> LastRun | None:
    """The last command that loaded into the dataset or tried to; None if none is written down."""
    found = warehouse.query(
        f"select command, finished_at, status, message, requests from {{dataset}}.{RUNS.name}"
        " order by finished_at desc limit 1"
    )
    if not found:
        return None
    command, at, status, message, requests = found[0]
    return LastRun(command, utc(at), status, message, int(requests))


def last_done_sync(warehouse: Warehouse, resource: Resource, workspace_id: str | None) -> datetime | None:
    """When the last sync of the workspace began that did all it had to do with `resource`, UTC; None if none did.

    Without any sync in the table of runs, as for a dlt pipeline of one's own, when a sync last asked for records.
    """
    named, known = f"%,{resource.name},%", warehouse.known_tables().get(RUNS.name, {}).get("columns", {})
    # An earlier version has not written these two columns.
    done = "done" if "done" in known else "case when status = 'done' then resources end"
    workspace = "coalesce(workspace_id, '')" if "workspace_id" in known else "''"
    found = warehouse.query(
        f"select count(*), max(case when concat(',', {done}, ',') like %s then started_at end)"
        f" from {{dataset}}.{RUNS.name}"
        f" where command = 'sync' and concat(',', resources, ',') like %s and {workspace} = %s",
        named,
        named,
        workspace_id or "",
    )
    if not found or not found[0][0]:
        found = warehouse.query(_LAST_SYNCED, resource.name, workspace_id or "")
        return utc(found[0][0]) if found and found[0][0] is not None else None
    return None if found[0][1] is None else utc(found[0][1])


@dataclass(frozen=True, slots=True)
class Verified:
    """The last verification: of which range (None: a snapshot), when, and with what outcome."""

    window: Window | None
    at: datetime
    outcome: str
    deep: bool
    differing_windows: int


def last_verified(warehouse: Warehouse, resource: Resource, workspace_id: str | None) -> Verified | None:
    """The last verification of `resource`, for `workspace_id` or all workspaces; None if there was none."""
    rows = warehouse.query(
        "select verified_from, verified_to, finished_at, outcome, is_deep, differing_windows, workspace_id"
        f" from {{dataset}}.{VERIFICATIONS.name} where resource = %s order by finished_at desc",
        resource.name,
    )
    for start, end, at, outcome, deep, differing, workspace in rows:
        if workspace in {None, workspace_id}:
            window = None if start is None else Window(utc(start), utc(end))
            return Verified(window, utc(at), outcome, bool(deep), int(differing))
    return None
