"""`tables`: the dictionary of what can be loaded, from the declarations alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gong_source.resources import RESOURCES
from gong_source.resources.bookkeeping import BOOKKEEPING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gong_source.resources.declare import Resource, Table


@dataclass(frozen=True, slots=True)
class Dictionary:
    """The resources with their tables, and the tables of this package that every dataset has."""

    resources: Sequence[Resource]
    bookkeeping: Sequence[Table]

    def as_json(self) -> dict[str, Any]:
        """The dictionary as JSON's types."""
        resources = [
            {
                "resource": resource.name,
                "endpoint": str(resource.endpoint),
                "scope": resource.scope,
                "loaded": "by time range" if resource.windowed else "whole",
                "tables": [_table_as_json(table) for table in resource.tables],
            }
            for resource in self.resources
        ]
        bookkeeping = [_table_as_json(table) for table in self.bookkeeping]
        return {"command": "tables", "status": "done", "resources": resources, "bookkeeping": bookkeeping}


def tables(names: Sequence[str] | None = None) -> Dictionary:
    """The dictionary of the resources with these names; default: all resources."""
    return Dictionary([RESOURCES[name] for name in names or RESOURCES], BOOKKEEPING)


def _table_as_json(table: Table) -> dict[str, Any]:
    columns = [
        {
            "name": column.name,
            "type": column.dlt_type,
            "description": column.description,
            "field": column.field,
        }
        for column in table.columns
    ]
    key = list(table.primary_key)
    return {"table": table.name, "description": table.description, "primary_key": key, "columns": columns}
