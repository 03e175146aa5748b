"""Pages -> typed Arrow tables, driven by the declarations in `resources`.

A column holds the values that fit its type exactly. A value that does not fit, and a field without a column, go to
`extra` as JSON. So nothing that Gong sends is lost, and no unexpected value stops a load.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from gong_source.errors import RecordError
from gong_source.records.lists import nest
from gong_source.resources.declare import LOAD_ID_COLUMN, Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gong_source.api.client import Page
    from gong_source.records.lists import Fields
    from gong_source.resources.declare import Resource

ARROW_TYPES = {
    "text": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
}
_WIRE_TYPES = {
    "text": frozenset({str}),
    "timestamp": frozenset({str}),
    "bigint": frozenset({int}),
    "double": frozenset({int, float}),
    "bool": frozenset({bool}),
}
_NONE = type(None)
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_FINER_THAN_MICROSECONDS = re.compile(r"([.,]\d{6})\d+")
_NUL = re.compile(rb"\0")
LARGEST_EXACT_FLOAT = 2.0**63
_DOES_NOT_FIT = (TypeError, ValueError, OverflowError, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class ParsedRecords:
    """The records of some pages as columns, in the order received.

    `arrays` holds the column of each field of Gong's API. `extras` holds, by row number, what no column can hold.
    """

    arrays: dict[str, pa.Array]
    extras: dict[int, dict[str, Any]]
    size: int

    def to_arrow(self, table: Table, **more: pa.Array) -> pa.Table:
        """The records as a table; `more` are the columns that are not fields of Gong's API, null where left out."""
        schema = arrow_schema(table)
        arrays = {**self.arrays, **more}
        if self.extras:
            kept = [encode(self.extras[row]) if row in self.extras else None for row in range(self.size)]
            arrays["extra"] = pa.array(kept, pa.string())
        columns = [arrays[f.name] if f.name in arrays else pa.nulls(self.size, f.type) for f in schema]
        return pa.Table.from_arrays(columns, schema=schema)


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of `table`; only its primary key is not nullable."""
    key = table.primary_key
    return pa.schema([pa.field(c.name, ARROW_TYPES[c.dlt_type], nullable=c.name not in key) for c in table.columns])


def with_load_id(table: pa.Table, load_id: str) -> pa.Table:
    """`table` with dlt's load id in every row. dlt adds the id to Arrow tables only if the user configures that."""
    return table.append_column(LOAD_ID_COLUMN, pa.repeat(pa.scalar(load_id, pa.string()), len(table)))


def to_table(table: Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of Python values as a typed Arrow table."""
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(table))


def read_records(resource: Resource, pages: Sequence[Page]) -> ParsedRecords:
    """The records on `pages`.

    Raises `RecordError` for a record without a usable id.
    """
    records = [record for page in pages for record in page.own_fields()]
    fast = _convert_fast(resource.table, records, pages)
    arrays, extras = fast or _convert_each(resource.table, _exact(resource, pages))
    return ParsedRecords(arrays, extras, len(records))


def _exact(resource: Resource, pages: Iterable[Page]) -> list[dict[str, Any]]:
    """The records with integers of any size and ids as text; raises `RecordError` for a record without a usable id."""
    id_field = str(resource.table.columns[0].field)
    exact = []
    for page in pages:
        for position, record in enumerate(page.exact_fields()):
            record_id = record.get(id_field) if isinstance(record, dict) else None
            if type(record_id) is int:
                record_id = str(record_id)
            if not is_id(record_id):
                raise RecordError(
                    f"{resource.singular} {position + 1} of a page has no usable id: {encode(record_id)[:80]}"
                    f" (Gong's request id: {page.request_id}). Nothing from the same {_fetched_as(resource)} is loaded;"
                    " the next run asks again"
                )
            exact.append(record | {id_field: record_id})
    return exact


def _fetched_as(resource: Resource) -> str:
    return "window" if resource.windowed else "list"


def is_id(value: object) -> bool:
    """Whether the value can be an id: text that can be read."""
    return type(value) is str and value.isprintable() and not value.isspace() and value != ""


@cache
def _fields_by_name(table: Table) -> Fields:
    return nest(table.fields)


@cache
def _wire_type(table: Table) -> pa.DataType | None:
    """The type of a record as Gong sends it; None for a table whose records hold lists or objects."""
    columns = table.fields.values()
    if any(column.type == "json" or "." in str(column.field) for column in columns):
        return None
    return pa.struct([(c.field, ARROW_TYPES["text" if c.type == "timestamp" else c.type]) for c in columns])


# the columns of the API fields, and by row what they cannot hold
_Columns = tuple[dict[str, pa.Array], dict[int, dict[str, Any]]]


def _convert_fast(table: Table, records: Sequence[Any], pages: Sequence[Page]) -> _Columns | None:
    """The columns if every value fits as Gong sent it, else None. Five times faster than one value at a time."""
    wire_type = _wire_type(table)
    if wire_type is None or not set(map(type, records)) <= {dict} or any(b"\\u0000" in page.body for page in pages):
        return None
    id_field = table.columns[0].field
    if not all(is_id(record.get(id_field)) for record in records):
        return None
    extras = _unmapped(table, records)
    if any(map(may_be_inexact, extras.values())):
        extras = _unmapped(table, [record for page in pages for record in page.exact_fields()])
    arrays = {}
    try:
        for (field, column), array in zip(table.fields.items(), pa.array(records, wire_type).flatten(), strict=True):
            if column.type == "bigint" and not {type(record.get(field)) for record in records} <= {int, _NONE}:
                return None
            arrays[column.name] = array.cast(ARROW_TYPES[column.type])
            if column.type == "timestamp":
                pc.min_max(arrays[column.name]).as_py()  # raises for a year that Python does not know
    except _DOES_NOT_FIT:
        return None
    return arrays, extras


def may_be_inexact(value: Any) -> bool:
    """Whether a float in `value` may have been an integer: the fast parser makes floats of integers over 64 bits."""
    waiting: list[Iterable[Any]] = [[value]]
    while waiting:
        for inner in waiting.pop():
            kind = type(inner)
            if kind is dict:
                waiting.append(inner.values())
            elif kind is list:
                waiting.append(inner)
            elif kind is float and not abs(inner) < LARGEST_EXACT_FLOAT:
                return True
    return False


def _unmapped(table: Table, records: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """By row, the fields without a column."""
    fields = _fields_by_name(table)
    if _wire_type(table) is None:
        suspects = list(enumerate(records))
    else:
        known = fields.keys()
        suspects = [(row, record) for row, record in enumerate(records) if not record.keys() <= known]
    extras = {row: without_column(record, fields) for row, record in suspects}
    return {row: extra for row, extra in extras.items() if extra}


def without_column(record: dict[str, Any], fields: Fields) -> dict[str, Any]:
    """The fields of `record` that have no column, also those inside an object."""
    rest: dict[str, Any] = {}
    for name, value in record.items():
        inner = fields.get(name)
        if inner is None:
            rest[name] = value
        elif type(inner) is dict and value is not None:
            unknown = without_column(value, inner) if type(value) is dict else value
            if unknown != {}:
                rest[name] = unknown
        elif type(inner) is list and value is not None and type(value) is not list:
            rest[name] = value
    return rest


def _convert_each(table: Table, records: Sequence[dict[str, Any]]) -> _Columns:
    """The columns, with each value looked at."""
    extras = _unmapped(table, records)
    arrays = {}
    for field, column in table.fields.items():
        arrays[column.name] = fit([value_at(record, field) for record in records], column, extras)
    return arrays, {row: extra for row, extra in extras.items() if extra}


def fit(wire: list[Any], column: Column, extras: dict[int, dict[str, Any]]) -> pa.Array:
    """The values as the column holds them; `extras`, by row, keeps those that do not fit."""
    try:
        return _to_array(wire, column)
    except _DOES_NOT_FIT:
        fitted = [_best_fit(value, column, extras.setdefault(row, {})) for row, value in enumerate(wire)]
        return _to_array(fitted, column)


def value_at(record: dict[str, Any], path: str) -> Any:
    """The value of a field; None if it, or an object around it, is missing."""
    value: Any = record
    for name in path.split("."):
        value = value.get(name) if type(value) is dict else None
    return value


def _to_array(wire: list[Any], column: Column) -> pa.Array:
    """The values as an Arrow array; raises if a value does not fit the column exactly."""
    if column.type == "json":
        return pa.array([None if value is None else encode(value) for value in wire], pa.string())
    # Arrow itself refuses anything but text for text.
    if column.type != "text" and not set(map(type, wire)) <= _WIRE_TYPES[column.type] | {_NONE}:
        raise TypeError(f"a value that is not {column.type}")
    if column.type == "timestamp":
        return pa.array([None if value is None else _instant(value) for value in wire], ARROW_TYPES["timestamp"])
    array = pa.array(wire, ARROW_TYPES[column.type])
    if column.type == "text" and holds_nul(array):
        raise ValueError("a NUL, which Postgres cannot store")
    return array


def _instant(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None or _FINER_THAN_MICROSECONDS.search(text):
        raise ValueError("a time without an offset, or finer than a microsecond")
    return time.astimezone(UTC)


def holds_nul(texts: pa.Array) -> bool:
    """Whether one of the texts holds a NUL."""
    data = texts.buffers()[2]
    # The raw bytes first: that is many times faster. Their padding may hold a NUL too.
    return (
        data is not None
        and _NUL.search(memoryview(data)) is not None
        and bool(pc.any(pc.match_substring(texts, "\0")).as_py())
    )


def _best_fit(value: Any, column: Column, extra: dict[str, Any]) -> Any:
    """The value, or the part of it that the column can hold. In that case `extra` keeps the whole value."""
    if value is None:
        return None
    if type(value) is int and column.type in {"text", "double"}:
        return str(value) if column.type == "text" else _as_float(value, str(column.field), extra)
    try:
        _to_array([value], column)
    except _DOES_NOT_FIT:
        keep(value, str(column.field), extra)
        if type(value) is str and column.type == "timestamp" and _FINER_THAN_MICROSECONDS.search(value):
            return _best_fit(_FINER_THAN_MICROSECONDS.sub(r"\1", value), column, {})
        if type(value) is not str or column.type != "text":
            return None
        # A NUL, or half of a surrogate pair: the rest of the text is still useful.
        return value.encode(errors="replace").decode().replace("\0", "?")
    return value


def _as_float(value: int, path: str, extra: dict[str, Any]) -> float | None:
    nearest = float(str(value))  # infinite if no float is that large
    if nearest != value:
        keep(value, path, extra)
    return nearest if math.isfinite(nearest) else None


def keep(value: Any, path: str, extra: dict[str, Any]) -> None:
    """Puts `value` into `extra` at the place where Gong sent it."""
    *outer, name = path.split(".")
    for part in outer:
        extra = extra.setdefault(part, {})
    extra[name] = value


def encode(value: Any) -> str:
    """`value` as JSON text with sorted keys, without spaces, however deep its lists and objects are nested."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # an integer over 64 bits, half of a surrogate pair, or nested very deep
        return _encode_slowly(value)


def _encode_slowly(value: Any) -> str:
    """The same text without recursion."""
    parts: list[str] = []
    waiting: list[Any] = [(value,)]  # a value in a tuple, or text that is ready
    while waiting:
        item = waiting.pop()
        if type(item) is str:
            parts.append(item)
        elif type(item[0]) is dict and item[0]:
            pieces: list[Any] = ["{"]
            for name in sorted(item[0]):
                pieces += [f"{_JSON.encode(name)}:", (item[0][name],), ","]
            waiting += [*reversed([*pieces[:-1], "}"])]
        elif type(item[0]) is list and item[0]:
            pieces = ["["]
            for element in item[0]:
                pieces += [(element,), ","]
            waiting += [*reversed([*pieces[:-1], "]"])]
        else:
            parts.append(_JSON.encode(item[0]))
    return "".join(parts)


def distinct(parts: Sequence[pa.Table], key: str) -> tuple[pa.Table, set[str]]:
    """The rows of `parts` as one table, with the last of those that share a key, and their keys."""
    table = pa.concat_tables(parts)
    keys: list[str] = table.column(key).to_pylist()
    last = {value: row for row, value in enumerate(keys)}
    if len(last) < len(keys):
        table = table.take(pa.array(sorted(last.values())))
    return table, set(last)
