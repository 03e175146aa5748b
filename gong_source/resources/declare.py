"""What a resource is: its endpoint, its scope, how it is selected, and the tables that it fills.

Everything else follows from a declaration: the dlt resource and its hints, the Arrow schema, the comments in the
database, the documentation, and what `check`, `sync`, `backfill`, `verify` and `status` do with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gong_source.api.endpoints import Endpoint

ColumnType = Literal["text", "timestamp", "bigint", "double", "bool", "json", "pairs"]

# The last column of a child table.
TOMBSTONE = "is_tombstone"
# Every table has this column of dlt: the load in which the row last changed.
LOAD_ID_COLUMN = "_dlt_load_id"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    `field` is the field of Gong's answer that fills the column, with a dot before the name of a field inside an object:
    `settings.emailsImported`. None: this package computes the value. A column of type `json` holds a list or an object
    as JSON text. One of type `pairs` holds a list of objects with `name` and `value` as one JSON object.

    Two forms pick from a list: `stats[name=Patience].value` is the value of the first object in `stats` with that name,
    and `methods[=Invitee]` says whether the list of texts has that text (null if there is no list).
    """

    name: str
    type: ColumnType
    description: str
    field: str | None = None

    @property
    def dlt_type(self) -> str:
        """The type that the column has in dlt's schema: JSON is stored as text."""
        return "text" if self.type in {"json", "pairs"} else self.type


EXTRA = Column(
    "extra", "text", "JSON object of the fields and values that have no column here; null if there are none."
)


@dataclass(frozen=True, slots=True)
class Rows:
    """A list inside a record, whose elements are rows of a child table.

    `path` leads to the list, where `[]` stands for each element of a list: `parties[].context[].objects[]`. `outer`
    says which columns come from around the element: the name of the column, and the path of its value. A path that
    ends in `[]` stands for the number of that element in its list, from 0. With `empty_too`, an object around the list
    gives one row without own values if the list is empty or missing.
    """

    path: str
    outer: tuple[tuple[str, str], ...] = ()
    empty_too: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the dataset.

    `key` names the columns of the primary key. It is empty if the first column alone is the key. `time_column` is the
    time by which people filter the table: Postgres has an index on it, and BigQuery stores the rows of each of its days
    together. `cluster_columns` are the columns by which BigQuery sorts the rows of a day.

    `rows` makes it a child table: one row for each element of these lists, in Gong's order. The `field` of its columns
    is then a field of the element. Its key is the record's id and `position`, and `is_tombstone` is its last column.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    time_column: str | None = None
    cluster_columns: tuple[str, ...] = ()
    rows: tuple[Rows, ...] = ()

    @property
    def is_child(self) -> bool:
        """Whether the rows are elements of lists inside a record."""
        return bool(self.rows)

    @property
    def parent_key(self) -> str:
        """The name of the column with the id of the record; only for a child table."""
        return self.primary_key[0]

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The names of the columns that identify a row; none of them is ever null."""
        return self.key or (self.columns[0].name,)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in order."""
        return [column.name for column in self.columns]

    @property
    def fields(self) -> dict[str, Column]:
        """The columns that a field of Gong's answer fills, with that field as the key."""
        return {column.field: column for column in self.columns if column.field}


@dataclass(frozen=True, slots=True)
class Instants:
    """Gong lists the records of a time range. It compares the range with one of two times of each record.

    The two times are in the columns `scheduled` and `started`. The column `column` holds the one that Gong compares:
    the call time. For records whose column `direction` has the value `conference_value`, `conferences` says which time
    that is. For other records, and where `conferences` is None, there is no fixed rule: the answers of the tenant show
    which time Gong compares.
    """

    column: str = "call_time"
    scheduled: str = "scheduled"
    started: str = "started"
    direction: str = "direction"
    conference_value: str = "Conference"
    conferences: Literal["scheduled", "started"] | None = "scheduled"


@dataclass(frozen=True, slots=True)
class CallIds:
    """Gong answers for the calls whose ids a request names. A run asks for the calls that are due.

    `blocks` are the parts of a record that the resource reads, by their paths; empty: all. `selector` is what a request
    sends to get them. Two resources of one endpoint share their requests.

    A record without the block `awaited` is not complete: Gong may still be working on it. `changes` says that Gong
    changes a record later, also without a trace in the call. `omits_empty` says that Gong leaves out a call for which
    it has nothing, so that no answer means no content.
    """

    awaited: str
    changes: bool = False
    omits_empty: bool = False
    blocks: tuple[str, ...] = ()
    selector: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Whole:
    """No selection is possible: Gong always lists all records. Such a list is a snapshot."""


@dataclass(frozen=True, slots=True)
class History:
    """A history table: what some columns of a record held before.

    `table` has the columns `id_column` (the id of the record), `valid_from`, `valid_to` and the watched columns, which
    have the same names in the record's own table. When a snapshot shows another value in one of them, a new row begins.
    """

    table: Table
    id_column: str

    @property
    def watched(self) -> list[str]:
        """The names of the columns in which a change begins a new row."""
        return [name for name in self.table.column_names if name not in {self.id_column, "valid_from", "valid_to"}]


@dataclass(frozen=True, slots=True)
class Resource:
    """One of Gong's lists that is loaded.

    `singular` and `plural` are the words for its records in messages. `scope` is the permission in Gong that the access
    key needs. `table` holds one row for each record, `children` the elements of the lists inside it. `history` is None
    if only the current values are kept. `record_bytes` is about what Gong sends for a record.

    `fallback` is the same resource read from another endpoint, for a key that lacks the scope of this one.
    """

    name: str
    singular: str
    plural: str
    endpoint: Endpoint
    scope: str
    select: Instants | CallIds | Whole
    table: Table
    history: History | None = None
    children: tuple[Table, ...] = ()
    record_bytes: int = 1000
    fallback: Resource | None = None

    @property
    def windowed(self) -> bool:
        """Whether Gong lists the records of a time range."""
        return isinstance(self.select, Instants)

    @property
    def by_id(self) -> bool:
        """Whether Gong answers for named calls."""
        return isinstance(self.select, CallIds)

    def comes_with(self, listed: Resource) -> bool:
        """Whether the list that gives the records of `listed` can give those of this resource too."""
        return self.by_id and self.endpoint == listed.endpoint

    @property
    def selection(self) -> str:
        """In words: how Gong is asked for the records."""
        if self.by_id:
            return "by call id"
        return "by time range" if self.windowed else "whole"

    @property
    def time_column(self) -> str:
        """The name of the column with the time that Gong compares with a time range; only for a windowed resource."""
        if not isinstance(self.select, Instants):
            raise TypeError(f"Gong lists {self.plural} without a time range, so there is no column for it")
        return self.select.column

    @property
    def can_filter_by_workspace(self) -> bool:
        """Whether Gong can list the records of one workspace alone."""
        return self.endpoint.workspace is not None

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that the resource fills."""
        return (self.table, *self.children, *([self.history.table] if self.history else []))

    def count(self, number: int) -> str:
        """The number of records in words: `1 call`, `1,234 calls`."""
        return f"{number:,} {self.singular if number == 1 else self.plural}"
