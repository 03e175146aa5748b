"""Pages -> typed Arrow tables, driven by `tables.py`.

A column holds what fits its type exactly; what does not fit, and every field without a column, goes to `extra` as JSON,
so that nothing Gong says is lost and no surprise stops a load.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from gong_source.errors import RecordError
from gong_source.resources.declare import CALLS, LOAD_ID_COLUMN, Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gong_source.api.client import Page
    from gong_source.windows import Window

# Which time files a call that is not a conference. Gong documents `started`; recordings of live tenants suggest
# `scheduled` wherever it is set. Conferences are filed by `scheduled` either way.
FiledBy = Literal["scheduled", "started"]

_ARROW_TYPES = {
    "text": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
}
_WIRE_TYPES: dict[str, type] = {"text": str, "timestamp": str, "bigint": int, "bool": bool}
_NONE = type(None)
# a call as Gong sends it
_SENT = pa.struct(
    [(field, _ARROW_TYPES["text" if c.type == "timestamp" else c.type]) for field, c in CALLS.fields.items()]
)
_JSON = json.JSONEncoder(sort_keys=True)
_TOO_FINE = re.compile(r"([.,]\d{6})\d+")  # below a microsecond
_LARGEST_EXACT = 2.0**63
_UNFIT = (TypeError, ValueError, OverflowError, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A call whose two times both lie in its window, so that only asking Gong tells which one files it."""

    id: str
    scheduled: datetime
    started: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls as an Arrow table, with what was learnt on the way.

    `filed_by` is the rule that a call near the window's edge gave away, `ambiguous` a call that could settle it,
    `surprises` the number of calls with something in `extra`.
    """

    table: pa.Table
    surprises: int
    filed_by: FiledBy | None
    ambiguous: Ambiguous | None


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of `table`; only its primary key is not nullable."""
    return pa.schema(
        [pa.field(c.name, _ARROW_TYPES[c.type], nullable=c.name != table.primary_key) for c in table.columns]
    )


def with_load_id(table: pa.Table, load_id: str) -> pa.Table:
    """`table` with dlt's load id in every row: dlt adds it to Arrow tables only if its user's configuration says so."""
    return table.append_column(LOAD_ID_COLUMN, pa.array([load_id] * len(table), pa.string()))


def to_table(table: Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of our own making, as a typed Arrow table."""
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(table))


def calls_batch(pages: Sequence[Page], window: Window, filed_by: FiledBy | None) -> Batch:
    """The calls on `pages`, all received for `window`, in the order received.

    Raises `RecordError` for a call without a usable id.
    """
    records = [record for page in pages for record in page.records]
    arrays, extras = _as_sent(records, pages) or _one_by_one(_exact(pages))
    call_times, learnt, ambiguous = _call_times(arrays, window, filed_by)
    size = len(records)
    kept = [_JSON.encode(extras[row]) if row in extras else None for row in range(size)]
    arrays["call_time"] = call_times
    arrays["extra"] = pa.array(kept, pa.string())
    arrays["deleted_at"] = pa.nulls(size, _ARROW_TYPES["timestamp"])
    schema = arrow_schema(CALLS)
    table = pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)
    return Batch(table, len(extras), learnt, ambiguous)


def _exact(pages: Iterable[Page]) -> list[dict[str, Any]]:
    """The records with integers of any size and ids as text; raises `RecordError` for one that has no usable id."""
    exact = []
    for page in pages:
        for position, record in enumerate(page.exact_records()):
            call_id = record.get("id") if isinstance(record, dict) else None
            if type(call_id) is int:
                call_id = str(call_id)
            if not _is_id(call_id):
                raise RecordError(
                    f"call {position + 1} of a page has no usable id: {json.dumps(record)[:80]}"
                    f" (Gong's request id: {page.request_id}); nothing of its window is loaded, the next run asks again"
                )
            exact.append(record | {"id": call_id})
    return exact


def _is_id(value: object) -> bool:
    return type(value) is str and value.isprintable() and not value.isspace() and value != ""


# the columns of the API fields, and by row what they cannot hold
_Columns = tuple[dict[str, pa.Array], dict[int, dict[str, Any]]]


def _as_sent(records: Sequence[Any], pages: Sequence[Page]) -> _Columns | None:
    """The columns, built at once, if every value fits as it was sent; else None. Five times faster than one by one."""
    if not set(map(type, records)) <= {dict} or any(b"\\u0000" in page.body for page in pages):
        return None
    if not all(_is_id(record.get("id")) for record in records):
        return None
    extras = _unknown(records)
    if any(map(_may_be_inexact, extras.values())):
        extras = _unknown(_exact(pages))
    arrays = {}
    try:
        for (field, column), array in zip(CALLS.fields.items(), pa.array(records, _SENT).flatten(), strict=True):
            if column.type == "bigint" and not {type(record.get(field)) for record in records} <= {int, _NONE}:
                return None
            arrays[column.name] = array.cast(_ARROW_TYPES[column.type])
            if column.type == "timestamp":
                pc.min_max(arrays[column.name]).as_py()  # raises for a year that Python does not know
    except _UNFIT:
        return None
    return arrays, extras


def _may_be_inexact(value: Any) -> bool:
    """Whether a float in `value` may have been an integer: the fast parser makes floats of those over 64 bits."""
    if type(value) is dict:
        return any(map(_may_be_inexact, value.values()))
    if type(value) is list:
        return any(map(_may_be_inexact, value))
    return type(value) is float and not abs(value) < _LARGEST_EXACT


def _unknown(records: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """By row, the fields without a column."""
    known = CALLS.fields.keys()
    return {
        row: {field: value for field, value in record.items() if field not in known}
        for row, record in enumerate(records)
        if not record.keys() <= known
    }


def _one_by_one(records: Sequence[dict[str, Any]]) -> _Columns:
    """The columns, with each value looked at."""
    extras = _unknown(records)
    arrays = {}
    for field, column in CALLS.fields.items():
        wire = [record.get(field) for record in records]
        try:
            arrays[column.name] = _fitting(wire, column)
        except _UNFIT:
            arrays[column.name] = _fitting(
                [_fitted(value, row, column, extras) for row, value in enumerate(wire)], column
            )
    return arrays, extras


def _fitting(wire: list[Any], column: Column) -> pa.Array:
    """The values as an Arrow array; raises if one of them does not fit the column exactly."""
    if not set(map(type, wire)) <= {_WIRE_TYPES[column.type], _NONE}:
        raise TypeError(f"a value that is not {column.type}")
    if column.type == "timestamp":
        return pa.array([None if value is None else _instant(value) for value in wire], _ARROW_TYPES["timestamp"])
    array = pa.array(wire, _ARROW_TYPES[column.type])
    if column.type == "text" and _holds_nul(array):
        raise ValueError("a NUL, which Postgres cannot hold")
    return array


def _instant(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None or _TOO_FINE.search(text):
        raise ValueError("a time without an offset, or finer than a microsecond")
    return time.astimezone(UTC)


def _holds_nul(texts: pa.Array) -> bool:
    data = texts.buffers()[2]
    # the raw bytes first, as that is twenty times faster; what pads them may hold a NUL too
    return data is not None and b"\0" in data.to_pybytes() and bool(pc.any(pc.match_substring(texts, "\0")).as_py())


def _fitted(value: Any, row: int, column: Column, extras: dict[int, dict[str, Any]]) -> Any:
    """The value, or what of it the column can hold; if that is less, the value is kept in `extras`."""
    if value is None:
        return None
    if type(value) is int and column.type == "text":
        return str(value)
    try:
        _fitting([value], column)
    except _UNFIT:
        extras.setdefault(row, {})[str(column.field)] = value
        if type(value) is str and column.type == "timestamp" and _TOO_FINE.search(value):
            return _fitted(_TOO_FINE.sub(r"\1", value), row, column, {})
        if type(value) is not str or column.type != "text":
            return None
        # a NUL, or half a surrogate pair: the rest of the text is still worth having
        return value.encode(errors="replace").decode().replace("\0", "?")
    return value


def _call_times(
    arrays: Mapping[str, pa.Array], window: Window, filed_by: FiledBy | None
) -> tuple[pa.Array, FiledBy | None, Ambiguous | None]:
    """The call time of each call, the rule learnt from the window's edges, and a call that could tell the rule.

    Gong answered for `window`, so a time outside of it cannot be the one that files the call.
    """
    scheduled, started = arrays["scheduled"], arrays["started"]
    start, end = (pa.scalar(bound, _ARROW_TYPES["timestamp"]) for bound in (window.start, window.end))
    conference = pc.fill_null(pc.equal(arrays["direction"], "Conference"), fill_value=False)
    by_schedule = pc.or_(conference, filed_by == "scheduled")
    # of a call that shows neither, only the window that listed it is known
    first = pc.coalesce(pc.if_else(by_schedule, scheduled, started), scheduled, started, start)
    second = pc.coalesce(pc.if_else(by_schedule, started, scheduled), first)
    in_first, in_second = (pc.and_(pc.less_equal(start, time), pc.less(time, end)) for time in (first, second))
    times = pc.if_else(pc.and_not(in_second, in_first), second, first)
    telling = pc.and_not(pc.not_equal(first, second), conference)
    learnt: FiledBy | None = None
    ambiguous: Ambiguous | None = None
    edges = pc.indices_nonzero(pc.and_(telling, pc.xor(in_first, in_second)))
    if len(edges):
        row = edges[-1].as_py()
        learnt = "scheduled" if times[row] == scheduled[row] else "started"
    inside = pc.indices_nonzero(pc.and_(telling, pc.and_(in_first, in_second)))
    if len(inside):
        row = inside[0].as_py()
        ambiguous = Ambiguous(arrays["id"][row].as_py(), scheduled[row].as_py(), started[row].as_py())
    return times, learnt, ambiguous


def page_times(page: Page) -> list[datetime]:
    """The times on a page of calls, as a hint to where its calls lie; what cannot be read is left out."""
    times = []
    for record in page.records:
        try:
            time = datetime.fromisoformat(record.get("scheduled") or record["started"])
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        if time.tzinfo is not None:
            times.append(time)
    return times
