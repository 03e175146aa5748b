"""A hash of all that the rows of a record hold: it changes with any of it, and with nothing else."""

from __future__ import annotations

import hashlib
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gong_source.children import Family
    from gong_source.resources.declare import Resource, Table

# No text holds these bytes: they do not occur in UTF-8.
_NULL, _END = b"\xff", b"\xfe"


def content_hashes(resource: Resource, family: Family) -> list[str]:
    """The hash of each record, in the order of the rows of `family`."""
    ids = family.root[resource.table.columns[0].name].to_pylist()
    hashes = [hashlib.sha256() for _ in ids]
    for table in (resource.table, *resource.children):
        rows = family.children[table.name] if table.is_child else family.root
        counts = _counts(rows[table.parent_key], ids) if table.is_child else [1] * len(ids)
        for digest, count in zip(hashes, counts, strict=True):
            digest.update(b"%d " % count)
        for name in _content_columns(table) if rows.num_rows else ():
            for parts in _bytes_of(rows[name].combine_chunks(), counts):
                for digest, part, count in zip(hashes, parts, counts, strict=True):
                    if count:
                        digest.update(part)
    return [digest.hexdigest()[:32] for digest in hashes]


def joined(texts: pa.Array, counts: Sequence[int], between: bytes) -> list[memoryview]:
    """The first texts with `between` in between, then the next ones: as many as `counts` says each time."""
    lists = pa.ListArray.from_arrays(pa.array(_ends(counts), pa.int32()), texts.cast(pa.binary()))
    return [memoryview(text.as_buffer()) for text in pc.binary_join(lists, between)]


def _content_columns(table: Table) -> list[str]:
    """The columns with what Gong sent; the number of a row is in its place."""
    outer = {name for rows in table.rows for name, _ in rows.outer}
    return [column.name for column in table.columns if column.field or column.name in {*outer, "extra"}]


def _counts(found: pa.ChunkedArray, ids: Sequence[str]) -> list[int]:
    """How often each of the ids occurs."""
    counted = pc.value_counts(found)
    by_id = dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))
    return [by_id.get(record_id, 0) for record_id in ids]


def _bytes_of(column: pa.Array, counts: Sequence[int]) -> Iterable[Iterable[bytes | memoryview]]:
    """The values of each record as bytes, in one or more parts: no other values with the same counts give the same."""
    if pa.types.is_string(column.type):
        texts = column.cast(pa.binary())
        texts = pc.fill_null(texts, _NULL) if texts.null_count else texts
        return joined(texts, counts, _END), [_END] * len(counts)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    return _slices(column.is_valid().cast(pa.uint8()), counts), _slices(_without_nulls(column), counts)


def _without_nulls(column: pa.Array) -> pa.Array:
    return pc.fill_null(column, pa.scalar(0, column.type)) if column.null_count else column


def _slices(numbers: pa.Array, counts: Sequence[int]) -> list[memoryview]:
    """The bytes in memory of the first numbers, then of the next ones."""
    width, data = numbers.type.bit_width // 8, memoryview(numbers.buffers()[1])
    return [data[(numbers.offset + a) * width : (numbers.offset + b) * width] for a, b in pairwise(_ends(counts))]


def _ends(counts: Sequence[int]) -> list[int]:
    return [*accumulate(counts, initial=0)]
