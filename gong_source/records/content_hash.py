"""A hash of all that the rows of a record hold: it changes with any of it, and with nothing else."""

from __future__ import annotations

import hashlib
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gong_source.records.children import Family
    from gong_source.resources.declare import Resource, Table

# The rows from the first number up to the second one.
Span = tuple[int, int]


def content_hashes(resource: Resource, family: Family) -> list[str]:
    """The hash of each record, in the order of the rows of `family`."""
    ids = family.root[resource.table.columns[0].name].to_pylist()
    hashes = [hashlib.sha256() for _ in ids]
    for table in (resource.table, *resource.children):
        rows = family.children[table.name] if table.is_child else family.root
        counts = _counts(rows[table.parent_key], ids) if table.is_child else [1] * len(ids)
        for digest, count in zip(hashes, counts, strict=True):
            digest.update(b"%d " % count)
        with_rows = [digest for digest, count in zip(hashes, counts, strict=True) if count]
        spans = [*pairwise(accumulate(filter(None, counts), initial=0))]
        for name in _content_columns(table) if spans else ():
            for parts in _bytes_of(rows[name].combine_chunks(), spans):
                for digest, part in zip(with_rows, parts, strict=True):
                    digest.update(part)
    return [digest.hexdigest()[:32] for digest in hashes]


def bytes_of_texts(texts: pa.Array, spans: Sequence[Span]) -> list[memoryview]:
    """The texts of each span as UTF-8, one after another. None may be null."""
    ends, data = memoryview(texts.buffers()[1]).cast("i"), memoryview(texts.buffers()[2] or b"")
    at = ends[texts.offset :]
    return [data[at[a] : at[b]] for a, b in spans]


def _content_columns(table: Table) -> list[str]:
    """The columns with what Gong sent; the number of a row is in its place."""
    outer = {name for rows in table.rows for name, _ in rows.outer}
    return [column.name for column in table.columns if column.field or column.name in {*outer, "extra"}]


def _counts(found: pa.ChunkedArray, ids: Sequence[str]) -> list[int]:
    """How often each of the ids occurs."""
    counted = pc.value_counts(found)
    by_id = dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))
    return [by_id.get(record_id, 0) for record_id in ids]


def _bytes_of(column: pa.Array, spans: Sequence[Span]) -> Iterator[list[memoryview]]:
    """The values of each span as bytes, in two parts: no other values in as many rows give the same."""
    if pa.types.is_string(column.type):
        lengths = pc.binary_length(column)
        yield _slices(pc.fill_null(lengths, -1) if column.null_count else lengths, spans)
        yield bytes_of_texts(pc.fill_null(column, "") if column.null_count else column, spans)
    else:
        numbers = column.cast(pa.uint8()) if pa.types.is_boolean(column.type) else column
        yield _slices(column.is_valid().cast(pa.uint8()), spans)
        yield _slices(pc.fill_null(numbers, pa.scalar(0, numbers.type)) if column.null_count else numbers, spans)


def _slices(numbers: pa.Array, spans: Sequence[Span]) -> list[memoryview]:
    """The bytes in memory of the numbers in each span."""
    width = numbers.type.bit_width // 8
    data = memoryview(numbers.buffers()[1])[numbers.offset * width :]
    return [data[a * width : b * width] for a, b in spans]
