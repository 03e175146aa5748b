"""Which lists of a record become rows, and which fields their elements have: what the declarations say about them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gong_source.resources.declare import Column, Resource, Rows, Table

_FLAG = re.compile(r"([^\[]+)\[=(.*)\]")
_PICK = re.compile(r"([^\[]+)\[([^=]+)=(.*)\]\.(.+)")
# The path of the records themselves.
RECORDS = ""
# A field's column, an empty list for a list of records, or for an object the same for each of its fields.
Fields = dict[str, "Column | list[Any] | Fields"]


@dataclass(slots=True)
class ListShape:
    """What the declarations say about one list, or about the records.

    `columns` are the values that are read from an element, by their fields. Of these, `outer` lists the ones that are
    not columns of the element's own row, with the lists whose rows have them. `flags` are the columns for the texts in
    a list of texts, `picks` those for values from a list inside. `fields` are all names that an element may have.
    """

    path: str
    has_rows: bool = False
    empty_too: bool = False
    columns: dict[str, Column] = field(default_factory=dict)
    outer: dict[str, list[str]] = field(default_factory=dict)
    flags: dict[str, list[str]] = field(default_factory=dict)
    picks: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    fields: Fields = field(default_factory=dict)

    def read(self, columns: Mapping[str, Column]) -> None:
        """Adds the columns of the element's own row."""
        self.has_rows = True
        for path, column in columns.items():
            if flag := _FLAG.fullmatch(path):
                self.flags.setdefault(flag[1], []).append(flag[2])
            elif pick := _PICK.fullmatch(path):
                inside = f"{self.path}.{pick[1]}[]".removeprefix(".")
                self.picks[path] = (inside, f"{pick[2]}={pick[3]}", pick[4])
            else:
                self.columns[path] = column


def nest(by_path: Mapping[str, Column | list[Any]]) -> Fields:
    """The same by the names of the fields; those inside an object under the name of the object."""
    fields: Fields = {}
    for path, column in by_path.items():
        *outer, name = path.split(".")
        level = fields
        for part in outer:
            inner = level.setdefault(part, {})
            assert isinstance(inner, dict)
            level = inner
        level[name] = column
    return fields


def split_path(path: str) -> tuple[str, str]:
    """The list around, and the rest: `a[].b.c` and `a[].b.c[]` are `b.c` inside of `a[]`."""
    around, _, inside = path.removesuffix("[]").rpartition("[].")
    return f"{around}[]" if around else RECORDS, inside


@cache
def list_shapes(resource: Resource) -> dict[str, ListShape]:
    """The lists in a record by their paths; the list around another comes before it."""
    shapes = {RECORDS: ListShape(RECORDS)}
    lists = [(table, rows) for table in resource.children for rows in table.rows]
    for _, rows in lists:
        for end in re.finditer(r"\[\]", rows.path):
            shapes.setdefault(path := rows.path[: end.end()], ListShape(path))
    shapes[RECORDS].read(resource.table.fields)
    for table, rows in lists:
        shapes[rows.path].empty_too = rows.empty_too
        shapes[rows.path].read(table.fields)
    for table, rows in lists:
        _declare_outer(shapes, table, rows)
    for shape in shapes.values():
        inside = [split_path(path)[1] for path in shapes if path and split_path(path)[0] == shape.path]
        shape.fields = nest({**shape.columns, **{path: [] for path in (*shape.flags, *inside)}})
    return shapes


def _declare_outer(shapes: dict[str, ListShape], table: Table, rows: Rows) -> None:
    by_name = {column.name: column for column in table.columns}
    for name, source in rows.outer:
        path, inside = split_path(source)
        shape = shapes[path]
        if not source.endswith("[]") and (inside not in shape.columns or inside in shape.outer):
            shape.columns[inside] = replace(by_name[name], field=inside)
            shape.outer.setdefault(inside, []).append(rows.path)
