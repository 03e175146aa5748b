"""What the warehouse's own tables show of rows that somebody deleted there, without a request to Gong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gong_source.stored.query import placeholders
from gong_source.windows import Window, union, utc

if TYPE_CHECKING:
    from gong_source.resources.declare import Resource
    from gong_source.warehouse.warehouse import Warehouse

# The loads that first brought records of which there are no rows any more.
_LOADS = """
    select distinct a.load_id from {{dataset}}.arrivals as a
    left join {{dataset}}.{table} as c on c.id = a.id where c.id is null and a.resource = '{resource}'
"""
# Enough for a hint. Where more is lost, the counts show it.
_MOST_LOADS = 1000
# Of those loads, the windows that have fewer records now than they brought.
_WINDOWS = """
    select fetched.window_start, fetched.window_end
    from {{dataset}}.fetched_windows as fetched
    left join {{dataset}}.{table} as c
    on c.{column} >= fetched.window_start and c.{column} < fetched.window_end
    and (fetched.workspace_id is null or {workspace} = fetched.workspace_id)
    where fetched.resource = '{resource}' and fetched._dlt_load_id in ({load_ids})
    group by fetched.fetch_id, fetched.window_start, fetched.window_end, fetched.rows
    having count(c.id) < fetched.rows
"""


def windows_with_losses(warehouse: Warehouse, resource: Resource) -> list[Window]:
    """The time in which the warehouse has fewer records than it was given, as disjoint windows, the shortest first.

    A hint and no proof: a record that moved in time is missing where it was, and a late record hides a loss.
    """
    names = {"table": resource.table.name, "resource": resource.name, "column": resource.time_column}
    load_ids = [load_id for (load_id,) in warehouse.query(_LOADS.format(**names))][:_MOST_LOADS]
    if not load_ids:
        return []
    workspace = "c.workspace_id" if resource.can_filter_by_workspace else "null"
    rows = warehouse.query(_WINDOWS.format(**names, workspace=workspace, load_ids=placeholders(load_ids)), *load_ids)
    return sorted(union(Window(utc(start), utc(end)) for start, end in rows), key=lambda window: window.seconds)
