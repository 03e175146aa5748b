"""Pages -> typed Arrow tables, driven by `tables.py`.

A column holds what fits its type exactly; what does not fit, and every field without a column, goes to `extra` as JSON,
so that nothing Gong says is lost and no surprise stops a load.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from gong_source.errors import RecordError
from gong_source.tables import CALLS, LOAD_ID_COLUMN, Column, Table

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
    plain = set(map(type, records)) <= {dict} and {type(record.get("id")) for record in records} <= {str}
    arrays, values, extras = _columns(records if plain else _exact(pages))
    if plain and any(type(value) in {float, dict, list} for extra in extras.values() for value in extra.values()):
        # the fast parser may have cost a large integer its last digits
        arrays, values, extras = _columns(_exact(pages))
    if any(not call_id.isprintable() or not call_id.strip() for call_id in values["id"]):
        _exact(pages)
    call_times, learnt, ambiguous = _call_times(values, window, filed_by)
    size = len(records)
    kept = [json.dumps(extras[row], sort_keys=True) if row in extras else None for row in range(size)]
    arrays["call_time"] = pa.array(call_times, _ARROW_TYPES["timestamp"])
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
            if not isinstance(call_id, str) or not call_id.strip() or not call_id.isprintable():
                raise RecordError(
                    f"call {position + 1} of a page has no usable id: {json.dumps(record)[:80]}"
                    f" (Gong's request id: {page.request_id}); nothing of its window is loaded, the next run asks again"
                )
            exact.append(record | {"id": call_id})
    return exact


_Columns = tuple[dict[str, pa.Array], dict[str, list[Any]], dict[int, dict[str, Any]]]


def _columns(records: Sequence[dict[str, Any]]) -> _Columns:
    """The columns of the API fields as Arrow arrays and as values, and by row what they cannot hold."""
    known = CALLS.fields.keys()
    extras: dict[int, dict[str, Any]] = {}
    for row, record in enumerate(records):
        if not record.keys() <= known:
            extras[row] = {field: value for field, value in record.items() if field not in known}
    arrays, values = {}, {}
    for field, column in CALLS.fields.items():
        wire = [record.get(field) for record in records]
        try:
            arrays[column.name], values[column.name] = _fitting(wire, column)
        except (TypeError, ValueError, OverflowError, pa.ArrowException):
            arrays[column.name], values[column.name] = _fitting(
                [_fitted(value, row, column, extras) for row, value in enumerate(wire)], column
            )
    return arrays, values, extras


def _fitting(wire: list[Any], column: Column) -> tuple[pa.Array, list[Any]]:
    """The values as an Arrow array and as Python's; raises if one of them does not fit the column exactly."""
    if not set(map(type, wire)) <= {_WIRE_TYPES[column.type], _NONE}:
        raise TypeError(f"a value that is not {column.type}")
    values = wire
    if column.type == "timestamp":
        parse = datetime.fromisoformat
        values = [value if value is None else parse(value) for value in wire]
        if any(value is not None and value.tzinfo is None for value in values):
            raise ValueError("a time without an offset")
    array = pa.array(values, _ARROW_TYPES[column.type])
    if column.type == "text" and pc.any(pc.match_substring(array, "\0")).as_py():
        raise ValueError("a NUL, which Postgres cannot hold")
    return array, values


def _fitted(value: Any, row: int, column: Column, extras: dict[int, dict[str, Any]]) -> Any:
    """The value, or what of it the column can hold; if that is less, the value is kept in `extras`."""
    if value is None:
        return None
    if type(value) is int and column.type == "text":
        return str(value)
    try:
        _fitting([value], column)
    except (TypeError, ValueError, OverflowError, pa.ArrowException):
        extras.setdefault(row, {})[str(column.field)] = value
        if type(value) is not str or column.type != "text":
            return None
        # a NUL, or half a surrogate pair: the rest of the text is still worth having
        return value.encode(errors="replace").decode().replace("\0", "?")
    return value


def _call_times(
    values: Mapping[str, list[Any]], window: Window, filed_by: FiledBy | None
) -> tuple[list[datetime | None], FiledBy | None, Ambiguous | None]:
    """The call time of each call, the rule learnt from the window's edges, and a call that could tell the rule.

    Gong answered for `window`, so a time outside of it cannot be the one that files the call.
    """
    times: list[datetime | None] = []
    ambiguous: Ambiguous | None = None
    learnt: FiledBy | None = None
    rows = zip(values["id"], values["direction"], values["scheduled"], values["started"], strict=True)
    for call_id, direction, scheduled, started in rows:
        if scheduled is None or started is None or scheduled == started:
            # of a call that shows neither, only the window that listed it is known
            times.append((started if scheduled is None else scheduled) or window.start)
            continue
        conference = direction == "Conference"
        first, second = (scheduled, started) if conference or filed_by == "scheduled" else (started, scheduled)
        inside = first in window
        if inside == (second in window):
            if inside and not conference and ambiguous is None:
                ambiguous = Ambiguous(call_id, scheduled, started)
        elif not conference:
            learnt = "scheduled" if (first if inside else second) is scheduled else "started"
        times.append(first if inside or second not in window else second)
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
