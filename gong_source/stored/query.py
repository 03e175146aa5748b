"""Reads the rows that are stored, through a function that runs a query on the dataset."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dlt.common.destination.exceptions import DestinationUndefinedEntity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gong_source.resources.declare import Resource, Table
    from gong_source.windows import Window

Row = dict[str, Any]
# Takes a query and its parameters, and gives the rows found; none if a table of the query does not exist. In the query,
# `{dataset}` stands for the name of the dataset.
Query = Callable[..., list[tuple[Any, ...]]]

_IDS_PER_STATEMENT = 2000
# A lake's own tables. They are not the dataset's, so an error about them does not mean that a table is not there yet.
_OF_A_LAKE = re.compile("ducklake_inlined_data|__ducklake_metadata")


def is_missing_table(error: BaseException) -> bool:
    """Whether an error of dlt says that the dataset, or a table of it, is missing."""
    return isinstance(error, DestinationUndefinedEntity) and not _OF_A_LAKE.search(str(error))


def rows_where(query: Query, table: Table, condition: str, *parameters: Any) -> list[Row]:
    """The rows of `table` that meet the condition."""
    names = table.column_names
    found = query(f"select {', '.join(names)} from {{dataset}}.{table.name} where {condition}", *parameters)
    return [dict(zip(names, row, strict=True)) for row in found]


def rows_with_ids(query: Query, table: Table, ids: Sequence[str]) -> list[Row]:
    """The rows of `table` with these values of its primary key."""
    (key,) = table.primary_key
    return [
        row
        for batch in id_batches(ids)
        for row in rows_where(query, table, f"{key} in ({placeholders(batch)})", *batch)
    ]


def in_window(resource: Resource, window: Window, workspace_id: str | None) -> tuple[str, list[Any]]:
    """The condition for the records of a windowed resource in a window, and its parameters.

    With `workspace_id`, only those of this workspace, if Gong can list them alone.
    """
    time = resource.time_column
    condition, parameters = f"{time} >= %s and {time} < %s", [window.start, window.end]
    if workspace_id is not None and resource.can_filter_by_workspace:
        return f"{condition} and workspace_id = %s", [*parameters, workspace_id]
    return condition, parameters


def select_listed(
    query: Query, resource: Resource, window: Window, workspace_id: str | None, what: str
) -> list[tuple[Any, ...]]:
    """`what` of the records that are stored in a window, as `in_window` says, and not marked as deleted."""
    condition, parameters = in_window(resource, window, workspace_id)
    return query(
        f"select {what} from {{dataset}}.{resource.table.name} where {condition} and deleted_at is null", *parameters
    )


def id_batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The ids, as many at a time as one statement takes."""
    for at in range(0, len(ids), _IDS_PER_STATEMENT):
        yield ids[at : at + _IDS_PER_STATEMENT]


def placeholders(values: Sequence[str]) -> str:
    """A placeholder for each value, for a list in SQL."""
    return ", ".join(["%s"] * len(values))
