"""The declarations: every column declared once, in the words of the API where it holds a field of the API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from gong_source.resources import BOOKKEEPING, RESOURCES, TABLES
from gong_source.resources.bookkeeping import FETCHED_WINDOWS
from gong_source.resources.calls import CALLS
from gong_source.resources.people import USERS
from gong_source.simulator.call import API_FIELDS

if TYPE_CHECKING:
    from gong_source.resources.declare import Column, Resource, Table

COLUMNS = [(table, column) for table in TABLES for column in table.columns]
OF_RECORDS = {table.name for resource in RESOURCES.values() for table in (resource.table, *resource.children)}


def snake(field: str) -> str:
    """The name in snake case."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", field).lower()


def test_every_documented_field_of_a_call_has_its_column() -> None:
    """All twenty fields that Gong documents for a call are columns, in its order, under its names in snake case."""
    assert tuple(CALLS.table.fields) == API_FIELDS
    assert [column.name for column in CALLS.table.fields.values()] == [snake(field) for field in API_FIELDS]


@pytest.mark.parametrize("field", [field for field in API_FIELDS if field == "id" or field.endswith("Id")])
def test_ids_are_text(field: str) -> None:
    """Ids have up to 20 digits, more than any integer column holds."""
    assert CALLS.table.fields[field].type == "text"


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=lambda value: value.name)
def test_column(table: Table, column: Column) -> None:
    """A column's name is plain in every warehouse, its meaning is described, and times say that they are UTC."""
    assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
    assert not column.name.startswith("_dlt")
    assert column.description.endswith(".")
    assert column.type != "timestamp" or "UTC" in column.description
    assert (column.field is None) or table.name in OF_RECORDS


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_table(table: Table) -> None:
    """A table has one name for each column, its first column is text, and its key is made of its columns."""
    assert len(set(table.column_names)) == len(table.column_names)
    assert set(table.primary_key) <= set(table.column_names)
    assert table.primary_key[0] == table.column_names[0]
    assert table.columns[0].type == "text"
    assert table.description.endswith(".")


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
def test_resource(resource: Resource) -> None:
    """A resource is named like its table, is keyed by Gong's id, keeps unknown fields, and marks deletions.

    What hangs on a call is keyed by its id, and `calls` says whether the call is deleted.
    """
    (key,) = resource.table.primary_key

    assert resource.name == resource.table.name
    assert resource.table.columns[0].field
    assert key == ("call_id" if resource.by_id else "id")
    assert {"extra"} | (set() if resource.by_id else {"deleted_at"}) <= set(resource.table.column_names)
    assert resource.scope.startswith("api:")
    assert not resource.windowed or resource.time_column in resource.table.column_names
    assert resource.count(1) == f"1 {resource.singular}"
    assert resource.count(2000) == f"2,000 {resource.plural}"


@pytest.mark.parametrize(
    "child", [child for resource in RESOURCES.values() for child in resource.children], ids=lambda child: child.name
)
def test_child_table(child: Table) -> None:
    """A child table is keyed by call and position, keeps unknown fields, and has a column for tombstones."""
    assert child.primary_key == ("call_id", "position")
    assert child.column_names[-3:] == ["call_time", "extra", "is_tombstone"]
    outer = {name for rows in child.rows for name, _ in rows.outer}
    own = {column.name for column in child.columns if column.field}
    assert outer | own == set(child.column_names[2:-3])


def test_history_watches_columns_of_its_resource() -> None:
    """What a history keeps are columns of the record's own table."""
    assert USERS.history is not None
    assert USERS.history.watched == ["manager_id", "title", "is_active"]
    assert set(USERS.history.watched) <= set(USERS.table.column_names)


def test_names() -> None:
    """The tables that others build upon keep their names."""
    assert [*RESOURCES] == ["calls", "users", "workspaces", "call_details", "call_content", "transcripts"]
    assert [table.name for table in BOOKKEEPING] == ["fetched_windows", "arrivals", "verifications", "runs"]
    assert len({table.name for table in TABLES}) == len(TABLES)
    assert FETCHED_WINDOWS.fields == {}


def test_a_snapshot_has_no_time_column() -> None:
    """Asking a resource that Gong lists whole for its time column is an error with words, also under `python -O`."""
    with pytest.raises(TypeError, match="Gong lists users without a time range"):
        _ = USERS.time_column
