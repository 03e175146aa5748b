"""Marks and removes the rows of deleted records, by statements of their own beside the loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gong_source.resources import RESOURCES
from gong_source.resources.bookkeeping import ARRIVALS, FETCHED_WINDOWS
from gong_source.resources.calls import CALLS
from gong_source.resources.declare import LOAD_ID_COLUMN
from gong_source.stored.query import id_batches, placeholders

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gong_source.resources.declare import Resource
    from gong_source.warehouse.warehouse import Warehouse


def mark_deleted(warehouse: Warehouse, resource: Resource, ids: Iterable[str], moment: datetime) -> None:
    """Sets `deleted_at` of these records to `moment` where it is null, as a change by the latest load."""
    latest = f"(select max({LOAD_ID_COLUMN}) from {{dataset}}.{FETCHED_WINDOWS.name})"
    (key,) = resource.table.primary_key
    for batch in id_batches(list(ids)):
        warehouse.execute(
            f"update {{dataset}}.{resource.table.name} set deleted_at = %s, {LOAD_ID_COLUMN} = {latest}"
            f" where deleted_at is null and {key} in ({placeholders(batch)})",
            moment,
            *batch,
        )


def mark_private(warehouse: Warehouse, ids: Iterable[str]) -> None:
    """Sets `is_private` of these calls, which Gong has shown as private in an answer about their details."""
    latest = f"(select max({LOAD_ID_COLUMN}) from {{dataset}}.{FETCHED_WINDOWS.name})"
    for batch in id_batches(sorted(ids)):
        warehouse.execute(
            f"update {{dataset}}.{CALLS.table.name} set is_private = true, {LOAD_ID_COLUMN} = {latest}"
            f" where id in ({placeholders(batch)})",
            *batch,
        )


def remove_rows(warehouse: Warehouse, resource: Resource, ids: Sequence[str]) -> None:
    """Deletes the rows of these records."""
    (key,) = resource.table.primary_key
    for batch in id_batches(ids):
        warehouse.execute(
            f"delete from {{dataset}}.{resource.table.name} where {key} in ({placeholders(batch)})", *batch
        )


def apply_policy(warehouse: Warehouse, resource: Resource, deleted_calls: str) -> None:
    """Removes the rows of deleted records, or redacts their content, or keeps them, as the setting says."""
    table = resource.table
    if deleted_calls == "keep" or not warehouse.query(
        f"select 1 from {{dataset}}.{table.name} where deleted_at is not null limit 1"
    ):
        return
    _remove_content(warehouse, resource)
    if deleted_calls == "remove":
        warehouse.execute(f"delete from {{dataset}}.{table.name} where deleted_at is not null")
        if warehouse.query(f"select count(*) from {{dataset}}.{ARRIVALS.name}"):
            (key,) = table.primary_key
            warehouse.execute(
                f"delete from {{dataset}}.{ARRIVALS.name}"
                f" where resource = %s and id not in (select {key} from {{dataset}}.{table.name})",
                resource.name,
            )
    elif deleted_calls == "redact":
        # A redacted row keeps enough to be counted, and nothing of what was said or by whom.
        kept = {*table.primary_key, "workspace_id", resource.time_column, "deleted_at"}
        emptied = [name for name in table.column_names if name not in kept]
        warehouse.execute(
            f"update {{dataset}}.{table.name} set {', '.join(f'{name} = null' for name in emptied)}"
            f" where deleted_at is not null and ({' or '.join(f'{name} is not null' for name in emptied)})"
        )


def _remove_content(warehouse: Warehouse, resource: Resource) -> None:
    """Deletes all that is stored of deleted calls beside their rows in `calls`; the headers last, after their lists."""
    (key,) = resource.table.primary_key
    known = warehouse.known_tables()
    by_id = [other for other in RESOURCES.values() if other.by_id] if resource.name == CALLS.name else []
    gone = f"(select {key} from {{dataset}}.{resource.table.name} where deleted_at is not null)"
    for other in by_id:
        of_gone = f"where call_id in {gone}"
        if warehouse.query(f"select 1 from {{dataset}}.{other.table.name} {of_gone} limit 1"):
            for table in (*other.children, other.table):
                if table.name in known:
                    warehouse.execute(f"delete from {{dataset}}.{table.name} {of_gone}")


def erase_calls(warehouse: Warehouse, ids: Sequence[str]) -> dict[str, int]:
    """Deletes these calls from every table, and says how many rows each table has lost.

    The participants come last. As long as they are there, a run that was cut short can be repeated.
    """
    known = warehouse.known_tables()
    keys = {CALLS.table.name: CALLS.table.primary_key[0]}
    keys |= {table.name: table.primary_key[0] for other in RESOURCES.values() if other.by_id for table in other.tables}
    last = {"call_participants": f"{keys.pop('call_participants')} in"}
    conditions = {name: f"{key} in" for name, key in keys.items()}
    conditions |= {ARRIVALS.name: f"resource = '{CALLS.name}' and id in"} | last
    deleted = dict.fromkeys((name for name in conditions if name in known), 0)
    for name in deleted:
        for batch in id_batches(ids):
            where = f"from {{dataset}}.{name} where {conditions[name]} ({placeholders(batch)})"
            counted = warehouse.query(f"select count(*) {where}", *batch)
            if counted and counted[0][0]:
                warehouse.execute(f"delete {where}", *batch)
                deleted[name] += int(counted[0][0])
    return deleted
