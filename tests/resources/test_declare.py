"""The tables: every column declared once, in the words of the API where it holds an API field."""

from __future__ import annotations

import re

import pytest

from gong_source.resources import declare as tables
from gong_source.resources.declare import CALL_WINDOWS, CALLS, Column, Table
from gong_source.simulator.call import API_FIELDS

ALL = [value for value in vars(tables).values() if isinstance(value, Table)]
COLUMNS = [(table, column) for table in ALL for column in table.columns]


def snake(field: str) -> str:
    """The name in snake case."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", field).lower()


def test_every_documented_field_has_its_column() -> None:
    """All twenty fields that Gong documents for a call are columns, in its order, under its names in snake case."""
    assert tuple(CALLS.fields) == API_FIELDS
    assert [column.name for column in CALLS.fields.values()] == [snake(field) for field in API_FIELDS]


@pytest.mark.parametrize("field", [field for field in API_FIELDS if field == "id" or field.endswith("Id")])
def test_ids_are_text(field: str) -> None:
    """Ids have up to 20 digits, more than any integer column holds."""
    assert CALLS.fields[field].type == "text"


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=lambda value: value.name)
def test_column(table: Table, column: Column) -> None:
    """A column's name is plain in every warehouse, its meaning is told, and times say that they are UTC."""
    assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
    assert not column.name.startswith("_dlt")
    assert column.description.endswith(".")
    assert column.type != "timestamp" or "UTC" in column.description
    assert (column.field is None) or table is CALLS


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_table(table: Table) -> None:
    """A table has one name for each column, and its first one is a key of text."""
    names = [column.name for column in table.columns]

    assert len(set(names)) == len(names)
    assert table.primary_key == names[0]
    assert table.columns[0].type == "text"
    assert table.description.endswith(".")


def test_names() -> None:
    """The tables that others build upon keep their names."""
    assert (CALLS.name, CALL_WINDOWS.name) == ("calls", "call_windows")
    assert len({table.name for table in ALL}) == len(ALL)
    assert CALL_WINDOWS.fields == {}
