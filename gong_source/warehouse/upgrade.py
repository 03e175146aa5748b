"""Adds the columns of a new version to the tables that an earlier version has made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gong_source.packages.sources import empty_source
from gong_source.resources import RESOURCES
from gong_source.resources.bookkeeping import BOOKKEEPING
from gong_source.resources.calls import CALLS

if TYPE_CHECKING:
    from gong_source.resources.declare import Table
    from gong_source.warehouse.warehouse import Warehouse


def upgrade(warehouse: Warehouse) -> None:
    """Loads a package without rows for all tables that lack a column; does nothing if none does.

    dlt adds a column with the first package that has rows for its table. Before that, a comparison would already read
    the column. Raises `DestinationFailed`.
    """
    known = warehouse.known_tables()

    def lacks_a_column(table: Table) -> bool:
        return table.name in known and any(name not in known[table.name]["columns"] for name in table.column_names)

    old = {resource: list(filter(lacks_a_column, resource.tables)) for resource in RESOURCES.values()}
    old[CALLS] += filter(lacks_a_column, BOOKKEEPING)  # each table needs a resource to go with
    if any(old.values()):
        warehouse.load(empty_source({resource: tables for resource, tables in old.items() if tables}))
