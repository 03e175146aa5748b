"""Records with lists of objects inside them -> one table for the records, and tables for the elements of the lists.

The declarations alone say which lists become rows. What no column holds goes to `extra`: in the row of its element,
or in the row of the record if the element has no row of its own. The key is then its place: `content.outline[2]`.

A `Level` is one list of the declarations, with its elements from all records, one after another. The records are a
level too, with an empty path. Every column is read from a whole level at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from gong_source.records.lists import RECORDS, list_shapes, split_path
from gong_source.records.rows import (
    ARROW_TYPES,
    LARGEST_EXACT_FLOAT,
    ParsedRecords,
    encode,
    fit,
    keep,
    may_be_inexact,
    value_at,
    without_column,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gong_source.records.lists import Fields, ListShape
    from gong_source.resources.declare import Column, Resource, Table

_NONE = type(None)
# A number of JSON with an exponent, where a value begins.
_WITH_EXPONENT = r"(^|[:\[,])-?[0-9.]+e[+0-9]"


@dataclass(frozen=True, slots=True)
class Family:
    """Records with the elements of their lists: the rows of a resource's table, and those of its child tables by name.

    `root` has one row for each record, `children` the rows of their elements, both in the order received. `unmapped`
    counts the records with something in an `extra`, their own or that of an element.
    """

    root: pa.Table
    children: dict[str, pa.Table]
    unmapped: int


def read_families(resource: Resource, records: Sequence[dict[str, Any]], call_times: Sequence[datetime]) -> Family:
    """The tables of `records`, each of which has a usable id as text; `call_times` has the call time of each."""
    return family_of(resource, _read_levels(resource, records), call_times)


def read_families_fast(
    resource: Resource, records: Sequence[dict[str, Any]], call_times: Sequence[datetime]
) -> Family | None:
    """The same for records from the fast parser. None: a number may have lost digits, so parse the page exactly."""
    levels = _read_levels(resource, records)
    if any(map(_may_be_inexact, levels.values())):
        return None
    return family_of(resource, levels, call_times)


@dataclass(slots=True)
class Level:
    """The elements of one list from all records; the place of an element among them is its row.

    For each element, `around` is the row of the element around it, in the level of the list around, and `numbers` its
    number in its own list. `arrays` holds the columns by their fields, `extras` by row what no column holds. Without
    `elements`, the arrays hold all of them.
    """

    shape: ListShape
    size: int
    around: pa.Array
    numbers: pa.Array
    arrays: dict[str, pa.Array]
    extras: dict[int, Any]
    elements: list[Any]


Levels = dict[str, Level]


def _read_levels(resource: Resource, records: Sequence[dict[str, Any]]) -> Levels:
    levels: Levels = {}
    for path, shape in list_shapes(resource).items():
        if path == RECORDS:
            levels[path] = _read_level(shape, [list(records)])
        else:
            around, inside = split_path(path)
            levels[path] = _read_level(shape, _lists(levels[around].elements, inside, empty_too=shape.empty_too))
    for level in levels.values():
        _pick(levels, level)
    return levels


def _lists(elements: list[Any], path: str, *, empty_too: bool) -> list[list[Any]]:
    """The list at `path` in each element; with `empty_too`, `{}` stands for no element of an object."""
    lists = [value if type(value) is list else [] for value in _values(elements, path)]
    if empty_too:
        objects = _values(elements, path.rpartition(".")[0])
        lists = [found or [{}] * (type(value) is dict) for found, value in zip(lists, objects, strict=True)]
    return lists


def _values(elements: list[Any], path: str) -> list[Any]:
    """The value at `path` in each element: None if it is missing, the element itself if the path is empty."""
    if not path:
        return elements
    if "." not in path:
        try:
            return [element.get(path) for element in elements]
        except AttributeError:  # an element that is not an object
            pass
    return [value_at(element, path) for element in elements]


def _read_level(shape: ListShape, lists: list[list[Any]]) -> Level:
    elements = list(chain.from_iterable(lists))
    other: dict[int, Any] = {}
    if not _are_objects(elements):
        other = {row: element for row, element in enumerate(elements) if type(element) is not dict}
    extras = _unmapped(elements, shape.fields)
    arrays = {path: _column(_values(elements, path), column, extras) for path, column in shape.columns.items()}
    for path, texts in shape.flags.items():
        wire = _values(elements, path)
        _keep_other_texts(wire, path, texts, extras)
        for text in texts:
            arrays[f"{path}[={text}]"] = pa.array(
                [None if type(v) is not list else text in v for v in wire], pa.bool_()
            )
    starts = pa.array([0, *accumulate(map(len, lists))], pa.int64())
    around = pc.list_parent_indices(pa.LargeListArray.from_arrays(starts, pa.nulls(len(elements))))
    numbers = pc.subtract(row_numbers(len(elements)), starts.take(around))
    extras = {row: extra for row, extra in extras.items() if extra} | other
    return Level(shape, len(elements), around, numbers, arrays, extras, elements)


def row_numbers(size: int) -> pa.Array:
    """The numbers of so many rows, from 0."""
    return _numbers(size.bit_length()).slice(0, size)


@cache
def _numbers(bits: int) -> pa.Array:
    """The numbers with so many bits."""
    ones = pa.repeat(pa.scalar(1, pa.int64()), 2**bits)
    return pc.subtract(pc.cumulative_sum(ones), 1)


def _unmapped(elements: list[Any], fields: Fields) -> dict[int, dict[str, Any]]:
    """By row, the fields of objects that have no column, also those inside an object."""
    if _are_mapped(elements, fields):
        return {}
    return {row: without_column(element, fields) for row, element in enumerate(elements) if type(element) is dict}


def _are_mapped(elements: list[Any], fields: Fields) -> bool:
    """Whether all elements are objects in which every field has a column. Looks at a field of all elements at once."""
    if not _are_objects(elements) or not set().union(*elements) <= fields.keys():
        return False
    for name, inner in fields.items():
        if type(inner) is list and not {type(element.get(name)) for element in elements} <= {list, _NONE}:
            return False
        if type(inner) is dict:
            objects = [value for element in elements if (value := element.get(name)) is not None]
            if not _are_mapped(objects, inner):
                return False
    return True


def _are_objects(elements: list[Any]) -> bool:
    return set(map(type, elements)) <= {dict}


def _column(wire: list[Any], column: Column, extras: dict[int, dict[str, Any]]) -> pa.Array:
    """The values as a column; `extras`, by row, keeps what it cannot hold."""
    if column.type != "pairs":
        return fit(wire, column, extras)
    texts = []
    for row, value in enumerate(wire):
        pairs, is_exact = _by_name(value)
        texts.append(None if pairs is None else encode(pairs))
        if not is_exact:
            keep(value, str(column.field), extras.setdefault(row, {}))
    return pa.array(texts, pa.string())


def _by_name(pairs: Any) -> tuple[dict[str, Any] | None, bool]:
    """A list of objects with name and value as one object; and whether that holds all of it."""
    if type(pairs) is not list:
        return None, pairs is None
    try:
        values: dict[str, Any] = {pair["name"]: pair["value"] for pair in pairs}
    except (KeyError, TypeError):  # a pair that is not an object with both
        values = {}
    is_exact = len(values) == len(pairs) and set(map(len, pairs)) <= {2} and set(map(type, values)) <= {str}
    if is_exact:
        return values, True
    values, is_exact = {}, True
    for pair in pairs:
        if type(pair) is dict and type(name := pair.get("name")) is str:
            is_exact = is_exact and name not in values and pair.keys() <= {"name", "value"}
            values[name] = pair.get("value")
        else:
            is_exact = False
    return values, is_exact


def _keep_other_texts(wire: list[Any], path: str, texts: list[str], extras: dict[int, dict[str, Any]]) -> None:
    """Keeps each list with anything that has no column."""
    for row, value in enumerate(wire):
        if type(value) is list and not all(text in texts for text in value):
            keep(value, path, extras.setdefault(row, {}))


def _pick(levels: Levels, level: Level) -> None:
    """Adds the columns that take a value from the first object with a certain name in a list."""
    for path, (inside, condition, value) in level.shape.picks.items():
        name, _, text = condition.partition("=")
        picked = levels[inside]
        rows = pc.indices_nonzero(pc.equal(picked.arrays[name], text))
        around = picked.around.take(rows).to_pylist()
        first = dict(zip(reversed(around), reversed(rows.to_pylist()), strict=True))
        wanted = pa.array([first.get(row) for row in range(level.size)], pa.int64())
        level.arrays[path] = picked.arrays[value].take(wanted)


def _may_be_inexact(level: Level) -> bool:
    """Whether the fast parser may have changed a number in a column or in `extra`."""
    columns = level.shape.columns.items()
    numbers = [level.arrays[path] for path, column in columns if column.type == "double"]
    if any(pc.all(pc.less(pc.abs(array), LARGEST_EXACT_FLOAT)).as_py() is False for array in numbers):
        return True
    texts = [path for path, column in columns if column.type in {"json", "pairs"}]
    values = [_values(level.elements, path) for path in texts if _holds_large_float(level.arrays[path])]
    return may_be_inexact([*level.extras.values(), *values])


def _holds_large_float(texts: pa.Array) -> bool:
    """Whether JSON texts may hold a float of 1e16 or more. To look at the text is far faster than at each value."""
    return bool(pc.any(pc.match_substring_regex(texts, _WITH_EXPONENT)).as_py())


def family_of(resource: Resource, levels: Levels, call_times: Sequence[datetime]) -> Family:
    """The tables of all levels; `call_times` has the call time of each record."""
    _keep_outer(levels)
    _move_to_records(levels)
    records = levels[RECORDS]
    times = pa.array(call_times, ARROW_TYPES["timestamp"])
    arrays = {column.name: records.arrays[path] for path, column in resource.table.fields.items()}
    root = ParsedRecords(arrays, records.extras, records.size).to_arrow(resource.table, call_time=times)
    ids = arrays[resource.table.columns[0].name]
    children = {table.name: _child_table(table, levels, ids, times) for table in resource.children}
    unmapped: set[int] = set()
    for path, level in levels.items():
        if level.extras:
            unmapped.update(_rows_at(RECORDS, levels, path).take(pa.array(level.extras, pa.int64())).to_pylist())
    return Family(root, children, len(unmapped))


def _rows_at(outer: str, levels: Levels, path: str) -> pa.Array:
    """For each element of the list `path`, the row of the element of `outer` that it is inside of."""
    rows = None
    while path != outer:
        around = levels[path].around
        rows, path = around if rows is None else around.take(rows), split_path(path)[0]
    return row_numbers(levels[path].size) if rows is None else rows


def _keep_outer(levels: Levels) -> None:
    """Keeps in `extra` the values that only rows further inside would have, where there are no such rows."""
    for path, level in levels.items():
        for inside, lists in level.shape.outer.items():
            in_rows = [_runs(_rows_at(path, levels, rows))[0] for rows in lists]
            if max(map(len, in_rows)) == level.size:
                continue
            with_rows = {row for rows in in_rows for row in rows.to_pylist()}
            values = _values(level.elements, inside) if level.elements else level.arrays[inside].to_pylist()
            for row, value in enumerate(values):
                if value is not None and row not in with_rows:
                    keep(value, inside, level.extras.setdefault(row, {}))


def _move_to_records(levels: Levels) -> None:
    """Moves what is kept of elements without a row to the records."""
    for path, level in levels.items():
        if not level.shape.has_rows:
            for row, extra in level.extras.items():
                record, place = _place(levels, path, row)
                levels[RECORDS].extras.setdefault(record, {})[place] = extra
            level.extras = {}


def _place(levels: Levels, path: str, row: int) -> tuple[int, str]:
    """The record of an element, and its place there: `parties[0].context[1]`."""
    parts: list[str] = []
    while path != RECORDS:
        level = levels[path]
        path, inside = split_path(path)
        parts.insert(0, f"{inside}[{level.numbers[row].as_py()}]")
        row = level.around[row].as_py()
    return row, ".".join(parts)


def _child_table(table: Table, levels: Levels, ids: pa.Array, times: pa.Array) -> pa.Table:
    parts, parts_records = [], []
    for rows in table.rows:
        level = levels[rows.path]
        arrays = {column.name: level.arrays[path] for path, column in table.fields.items()}
        for name, source in rows.outer:
            path = source if source.endswith("[]") else split_path(source)[0]
            values = levels[path].numbers if path == source else levels[path].arrays[split_path(source)[1]]
            arrays[name] = values.take(_rows_at(path, levels, rows.path))
        records = _rows_at(RECORDS, levels, rows.path)
        more = {table.parent_key: ids.take(records), "call_time": times.take(records)}
        parts.append(ParsedRecords(arrays, level.extras, level.size).to_arrow(table, **more))
        parts_records.append(records)
    found, records = pa.concat_tables(parts), pa.concat_arrays(parts_records)
    if len(parts) > 1:
        order = pc.sort_indices(records)  # a stable sort
        found, records = found.take(order), records.take(order)
    index = found.schema.get_field_index("position")
    return found.set_column(index, found.schema.field(index), _positions(records))


def _positions(records: pa.Array) -> pa.Array:
    """The number of each row among those of its record; `records` is sorted."""
    _, ends = _runs(records)
    starts = pa.concat_arrays([pa.array([0], pa.int64()), ends]).slice(0, len(ends))
    first = pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(ends, starts))
    return pc.subtract(row_numbers(len(records)), first)


def _runs(rows: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The different numbers in `rows`, which are sorted, and where each ends."""
    runs = pc.run_end_encode(rows, run_end_type=pa.int64())
    return runs.values, runs.run_ends
