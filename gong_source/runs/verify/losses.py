"""What the warehouse's own tables tell of calls that it lost, without a request: rows that somebody deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gong_source.resources.declare import CALL_ARRIVALS, CALL_WINDOWS, LOAD_ID_COLUMN
from gong_source.windows import Window, union, utc

if TYPE_CHECKING:
    from gong_source.warehouse.warehouse import Warehouse

# The loads that first brought calls of which there are no rows any more.
_LOADS = f"""
    select distinct a.load_id from {{dataset}}.{CALL_ARRIVALS.name} as a
    left join {{dataset}}.calls as c on c.id = a.id where c.id is null
"""
# Enough for a hint; where more is lost, the counts show it.
_MOST_LOADS = 1000
# Of such loads, the windows that hold fewer calls now than they brought.
_WINDOWS = f"""
    select walked.window_start, walked.window_end
    from {{dataset}}.{CALL_WINDOWS.name} as walked
    left join {{dataset}}.calls as c
    on c.call_time >= walked.window_start and c.call_time < walked.window_end
    and (walked.workspace_id is null or c.workspace_id = walked.workspace_id)
    where walked.{LOAD_ID_COLUMN} in (%s)
    group by walked.walk_id, walked.window_start, walked.window_end, walked.rows
    having count(c.id) < walked.rows
"""


def windows_with_losses(warehouse: Warehouse) -> list[Window]:
    """The time in which the warehouse holds fewer calls than it was given, as disjoint windows, the shortest first.

    A hint and no proof: a call that moved in time is missed where it was, and a late call hides a loss.
    """
    loads = [load_id for (load_id,) in warehouse.query(_LOADS)][:_MOST_LOADS]
    rows = warehouse.query(_WINDOWS.replace("%s", ", ".join(["%s"] * len(loads))), *loads) if loads else []
    return sorted(union(Window(utc(start), utc(end)) for start, end in rows), key=lambda window: window.seconds)
