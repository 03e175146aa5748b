"""What dlt has to know of each table: its columns, its key, and how rows are merged into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt

from gong_source.resources.bookkeeping import FETCHED_WINDOWS
from gong_source.resources.declare import TOMBSTONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dlt.extract import DltResource

    from gong_source.resources.declare import Resource, Table

# dlt keeps the strategy in the stored schema, so every load must use the same one. Rows that did not change are not
# written again. So `_dlt_load_id` names the load in which a row last changed.
MERGE = {"disposition": "merge", "strategy": "upsert", "skip_unchanged_rows": True}
# The rows of a call in a child table become those of the package, where it has any, or a tombstone.
MERGE_CHILDREN = MERGE | {"strategy": "cdc"}


def dlt_resource(resource: Resource, function: Callable[..., Iterator[Any]], *more: Table) -> DltResource:
    """The dlt resource of `resource`, with all that dlt has to know of its tables, the ledger and `more`."""
    made: DltResource = dlt.resource(function, name=resource.name, max_table_nesting=0)()
    # The variants first: a variant starts from the hints that the resource has at that moment.
    first, *others = resource.tables
    for table in dict.fromkeys((*others, FETCHED_WINDOWS, *(table for table in more if table is not first))):
        made.apply_hints(table_name=table.name, create_table_variant=True, **_hints(table))
    made.apply_hints(**_hints(first))
    return made


def _hints(table: Table) -> dict[str, Any]:
    merge_key = {"merge_key": table.parent_key} if table.is_child else {}
    return {
        **merge_key,
        "primary_key": list(table.primary_key),
        "write_disposition": MERGE_CHILDREN if table.is_child else MERGE,
        "file_format": "parquet",
        "columns": {
            column.name: {
                "name": column.name,
                "data_type": column.dlt_type,
                "nullable": column.name not in table.primary_key,
                "description": column.description,
                **({"hard_delete": True} if column.name == TOMBSTONE else {}),
            }
            for column in table.columns
        },
    }
