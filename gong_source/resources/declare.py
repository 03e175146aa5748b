"""What a resource is: its endpoint, its scope, how it is selected, and the tables that it fills.

Everything else follows from a declaration: the dlt resource and its hints, the Arrow schema, the comments in the
database, the documentation, and what `check`, `sync`, `backfill`, `verify` and `status` do with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gong_source.api.endpoints import Endpoint

ColumnType = Literal["text", "timestamp", "bigint", "double", "bool", "json"]

# dlt adds this column to every table: the load in which the row last changed.
LOAD_ID_COLUMN = "_dlt_load_id"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    `field` is the field of Gong's API that the column holds, with a dot before the name of a field inside an object
    (`settings.emailsImported`); None for a column that this package adds. A column of type `json` holds lists and
    objects as JSON text.
    """

    name: str
    type: ColumnType
    description: str
    field: str | None = None

    @property
    def database_type(self) -> str:
        """The type that the column has in dlt's schema: JSON is stored as text."""
        return "text" if self.type == "json" else self.type


@dataclass(frozen=True, slots=True)
class Table:
    """One table; its primary key are the columns `key`, by default the first column alone.

    `time_column` is the time by which people filter the table: Postgres indexes it, BigQuery partitions by its day.
    `cluster` names columns by which BigQuery sorts the rows of a partition.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    time_column: str | None = None
    cluster: tuple[str, ...] = ()

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The names of the columns that identify a row; none of them is ever null."""
        return self.key or (self.columns[0].name,)

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return [column.name for column in self.columns]

    @property
    def fields(self) -> dict[str, Column]:
        """The columns that hold a field of Gong's API, by that field."""
        return {column.field: column for column in self.columns if column.field}


@dataclass(frozen=True, slots=True)
class Instants:
    """Records are selected by a range of time, which Gong compares with one of two times of the record.

    `scheduled` and `started` name the columns with the two times. `column` stores the one that Gong uses, the call
    time. Gong uses `scheduled` for a record whose column `direction` says `conference`. For other records, the tenant's
    own answers show which time Gong uses.
    """

    column: str = "call_time"
    scheduled: str = "scheduled"
    started: str = "started"
    direction: str = "direction"
    conference: str = "Conference"


@dataclass(frozen=True, slots=True)
class Whole:
    """Records cannot be selected: Gong lists all of them, as a snapshot."""


@dataclass(frozen=True, slots=True)
class History:
    """A table with one row for each state of a record that snapshots have seen.

    Its columns are `id_column`, `valid_from`, `valid_to`, and those columns of the record's own table whose changes
    make a new state.
    """

    table: Table
    id_column: str

    @property
    def watched(self) -> list[str]:
        """The columns whose changes make a new state."""
        return [name for name in self.table.names if name not in {self.id_column, "valid_from", "valid_to"}]


@dataclass(frozen=True, slots=True)
class Resource:
    """One of Gong's lists that is loaded.

    `one` and `many` are the words for its records in messages. `scope` is the scope of Gong's API that the access key
    needs. `table` holds one row for each record. `history`, if there is one, keeps the earlier states of the records.
    """

    name: str
    one: str
    many: str
    endpoint: Endpoint
    scope: str
    select: Instants | Whole
    table: Table
    history: History | None = None

    @property
    def windowed(self) -> bool:
        """Whether the list is asked for by time range."""
        return isinstance(self.select, Instants)

    @property
    def time_column(self) -> str:
        """The column by which a windowed resource is selected: its call time."""
        assert isinstance(self.select, Instants)
        return self.select.column

    @property
    def by_workspace(self) -> bool:
        """Whether Gong can list the records of one workspace alone."""
        return self.endpoint.workspace is not None

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that the resource fills."""
        return (self.table, *([self.history.table] if self.history else []))

    def count(self, number: int) -> str:
        """The number of records in words: `1 call`, `1,234 calls`."""
        return f"{number:,} {self.one if number == 1 else self.many}"
