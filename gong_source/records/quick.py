"""Answers without anything unexpected -> Arrow, without Python's objects in between, several times faster.

What comes out is exactly what `children.py` makes of the same answer. Whatever is not as declared, an unknown field or
a value of another type, is left to it: then there is no result here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json

from gong_source.api.responses import QuickAnswer
from gong_source.records.children import Level, Levels, row_numbers
from gong_source.records.lists import RECORDS, list_shapes, split_path
from gong_source.records.rows import ARROW_TYPES, holds_nul
from gong_source.resources.declare import CallIds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gong_source.api.responses import QuickReader
    from gong_source.records.lists import Fields, ListShape
    from gong_source.resources.declare import Resource

# Other types have values that Arrow reads in another way than `rows.py`, or that are no column of their own.
_READ_ALIKE = frozenset({"text", "bigint", "bool"})
# What the client needs beside the list.
_ENVELOPE = (
    ("requestId", pa.string()),
    ("records", pa.struct([("totalRecords", pa.int64()), ("cursor", pa.string())])),
)


def quick_reader(members: Sequence[Resource]) -> QuickReader | None:
    """A function that reads a body with answers for `members`; None if they are not simple enough."""
    resource, list_key = members[0], members[0].endpoint.list_key
    shapes = list_shapes(resource)
    if len(members) > 1 or not _is_simple(resource, shapes):
        return None
    kind = pa.list_(_wire_type(shapes, RECORDS, shapes[RECORDS].fields))
    # Unknown fields beside the list are of no interest, and inside it they show in the type.
    parse = json.ParseOptions(
        explicit_schema=pa.schema([*_ENVELOPE, (list_key, kind)]), unexpected_field_behavior="infer"
    )

    def read(body: bytes) -> QuickAnswer | None:
        # Arrow crashes where a body is `null`, and takes a line break for the end of a record.
        if not body.startswith(b"{"):
            return None
        try:
            block = json.ReadOptions(use_threads=False, block_size=len(body) + 1)
            found = json.read_json(pa.BufferReader(body), block, parse)
            found.validate(full=True)  # texts that are no UTF-8
        except (pa.ArrowException, OverflowError):
            return None
        lists = found[list_key]
        if len(found) != 1 or lists.type != kind or lists.null_count:
            return None
        payload = {name: found[name][0].as_py() for name, _ in _ENVELOPE}
        return QuickAnswer(payload, lists.combine_chunks().flatten())

    return read


def quick_levels(resource: Resource, records: pa.Array, without: Collection[str]) -> Levels | None:
    """The lists in these records, without the fields at the paths `without`; None if something is not as declared."""
    levels: Levels = {}
    elements = {RECORDS: records}
    for path, shape in list_shapes(resource).items():
        if path == RECORDS:
            around, numbers = pa.nulls(len(records), pa.int64()), row_numbers(len(records))
        else:
            outer, inside = split_path(path)
            found = _elements(elements[outer], inside, empty_too=shape.empty_too)
            if found is None:
                return None
            elements[path], around, numbers = found
        arrays = {field: _values(elements[path], field) for field in shape.columns}
        if any(pa.types.is_string(array.type) and holds_nul(array) for array in arrays.values()):
            return None
        levels[path] = Level(shape, len(elements[path]), around, numbers, arrays, {}, [])
    for path in without:
        of_list, _, field = path.rpartition("[].")
        arrays = levels[f"{of_list}[]" if of_list else RECORDS].arrays
        arrays[field] = pa.nulls(len(arrays[field]), arrays[field].type)
    return None if records.null_count else levels


def _is_simple(resource: Resource, shapes: Mapping[str, ListShape]) -> bool:
    """Whether all of a record is read, and every value is a column as it is."""
    assert isinstance(resource.select, CallIds)
    columns = [column for shape in shapes.values() for column in shape.columns.values()]
    picked = any(shape.flags or shape.picks for shape in shapes.values())
    awaits_list = f"{resource.select.awaited}[]" in shapes
    return awaits_list and not picked and not resource.select.blocks and {c.type for c in columns} <= _READ_ALIKE


def _wire_type(shapes: Mapping[str, ListShape], path: str, fields: Fields, inside: str = "") -> pa.DataType:
    """The type of an object with these fields, at `inside` in an element of the list `path`."""
    types: list[tuple[str, pa.DataType]] = []
    for name, inner in fields.items():
        here = f"{inside}.{name}".removeprefix(".")
        if isinstance(inner, dict):
            kind = _wire_type(shapes, path, inner, here)
        elif isinstance(inner, list):
            listed = f"{path}.{here}[]".removeprefix(".")
            kind = pa.list_(_wire_type(shapes, listed, shapes[listed].fields))
        else:
            kind = ARROW_TYPES[inner.type]
        types.append((name, kind))
    return pa.struct(types)


def _elements(outer: pa.Array, inside: str, *, empty_too: bool) -> tuple[pa.Array, pa.Array, pa.Array] | None:
    """The elements of the list `inside` in all of `outer`; for each, the row of the element around it, and its number.

    None if one is null. With `empty_too`, an object around a list without elements gives one that is null.
    """
    lists = _values(outer, inside)
    elements, around = pc.list_flatten(lists), pc.list_parent_indices(lists)
    if elements.null_count:
        return None
    starts = pc.subtract(pc.cumulative_sum(lengths := _lengths(lists)), lengths)
    numbers = pc.subtract(row_numbers(len(elements)), starts.take(around))
    if empty_too:
        objects = _values(outer, inside.rpartition(".")[0])
        empty = pc.indices_nonzero(pc.and_(pc.equal(lengths, 0), objects.is_valid())).cast(pa.int64())
        if len(empty):
            around = pa.concat_arrays([around, empty])
            order = pc.sort_indices(around)  # a stable sort
            rows = pa.concat_arrays([row_numbers(len(elements)), pa.nulls(len(empty), pa.int64())])
            numbers = pa.concat_arrays([numbers, pa.repeat(pa.scalar(0, pa.int64()), len(empty))])
            elements, around, numbers = elements.take(rows.take(order)), around.take(order), numbers.take(order)
    return elements, around, numbers


def _lengths(lists: pa.Array) -> pa.Array:
    return pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int64())


def _values(elements: pa.Array, path: str) -> Any:
    """The value at `path` in each element; null where an object around it is."""
    for name in path.split(".") if path else ():
        elements = pc.struct_field(elements, name)
    return elements
