"""Rows as dlt items for the package that is being extracted."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dlt

from gong_source.records.rows import to_table, with_load_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from gong_source.resources.declare import Resource, Table


def ledger_row(resource: Resource, **values: Any) -> dict[str, Any]:
    """A row of the ledger for a fetch of `resource`; `values` are its other columns."""
    return {"fetch_id": uuid.uuid4().hex, "resource": resource.name, "endpoint": str(resource.endpoint), **values}


def current_load_id() -> str:
    """The load id of the package that dlt is extracting."""
    load_id: str = dlt.current.load_package_state()["load_id"]
    return load_id


def is_new(table: Table) -> bool:
    """Whether dlt does not know `table` yet."""
    return table.name not in dlt.current.source_schema().tables


def as_stored(table: Table) -> Table:
    """`table` with the columns that dlt knows so far: an earlier version may have made it."""
    known = dlt.current.source_schema().tables.get(table.name, {}).get("columns")
    return replace(table, columns=tuple(c for c in table.columns if c.name in known)) if known else table


def rows_of(table: Table, rows: Sequence[Mapping[str, Any]], load_id: str) -> Any:
    """Rows for a table beside the resource's own, as a dlt item."""
    return dlt.mark.with_table_name(with_load_id(to_table(table, rows), load_id), table.name)


def item_of(resource: Resource, name: str, rows: pa.Table, load_id: str) -> Any:
    """Rows for a table of that name, as an item of the dlt resource of `resource`."""
    item = with_load_id(rows, load_id)
    return item if name == resource.table.name else dlt.mark.with_table_name(item, name)


def empty_new_tables(members: Sequence[Resource], load_id: str) -> Iterator[Any]:
    """The tables of `members` that dlt does not know yet, without rows, as items of the first one's dlt resource."""
    for member in members:
        for table in (member.table, *member.children):
            if is_new(table):
                yield item_of(members[0], table.name, to_table(table, []), load_id)
