"""`tables`: the dictionary of what can be loaded, from the declarations and the files of the views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gong_source.resources import RESOURCES
from gong_source.resources.bookkeeping import BOOKKEEPING
from gong_source.warehouse.views import views_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gong_source.resources.declare import Resource, Table
    from gong_source.warehouse.views import View


@dataclass(frozen=True, slots=True)
class Dictionary:
    """The resources with their tables, the tables of this package that every dataset has, and the views on them."""

    resources: Sequence[Resource]
    bookkeeping: Sequence[Table]
    views: Sequence[View]

    def as_json(self) -> dict[str, Any]:
        """The dictionary as JSON's types."""
        resources = [
            {
                "resource": resource.name,
                "endpoint": str(resource.endpoint),
                "scope": resource.scope,
                "loaded": resource.selection,
                "tables": [_table_as_json(table) for table in resource.tables],
            }
            for resource in self.resources
        ]
        bookkeeping = [_table_as_json(table) for table in self.bookkeeping]
        views = [
            {
                "view": view.name,
                "question": view.question,
                "description": view.rows,
                "tables": view.tables,
                "columns": [{"name": name, "description": text} for name, text in view.columns.items()],
            }
            for view in self.views
        ]
        return {
            "command": "tables",
            "status": "done",
            "resources": resources,
            "bookkeeping": bookkeeping,
            "views": views,
        }


def tables(names: Sequence[str] | None = None) -> Dictionary:
    """The dictionary of the resources with these names; default: all resources."""
    resources = [RESOURCES[name] for name in names or RESOURCES]
    loaded = {table.name for table in (*(table for resource in resources for table in resource.tables), *BOOKKEEPING)}
    return Dictionary(resources, BOOKKEEPING, views_on(loaded))


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
