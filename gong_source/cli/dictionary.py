"""What can be loaded, as text for people and as the page `docs/tables.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gong_source.resources.declare import Resource, Table
    from gong_source.runs.tables import Dictionary


def tables_text(dictionary: Dictionary) -> str:
    """What can be loaded, for people."""
    lines = []
    for resource in dictionary.resources:
        lines += ["", f"resource {resource.name}: {_origin(resource)}"]
        for shown in resource.tables:
            lines += _table_lines(shown)
    lines += ["", "in every dataset"]
    for shown in dictionary.bookkeeping:
        lines += _table_lines(shown)
    if dictionary.views:
        lines += ["", "views, which loads make when their tables are there"]
    for view in dictionary.views:
        width = max(map(len, view.columns))
        lines += [f"  {view.name}: {view.question} {view.rows}"]
        lines += [f"    {name:<{width}}  {text}" for name, text in view.columns.items()]
    return "\n".join(lines[1:])


def _origin(resource: Resource) -> str:
    how = resource.selection + (", as a snapshot" if resource.selection == "whole" else "")
    return f"{resource.endpoint}, scope {resource.scope}, loaded {how}"


def _table_lines(shown: Table) -> list[str]:
    width = max(map(len, shown.column_names))
    columns = [f"    {c.name:<{width}}  {c.dlt_type:<9}  {c.description}" for c in shown.columns]
    return [f"  {shown.name}: {shown.description}", *columns]


def tables_markdown(dictionary: Dictionary) -> str:
    """What can be loaded, as a page in Markdown."""
    lines = [
        "# Tables",
        "",
        "This page is the output of `gong-source tables --markdown`. Times are UTC. Every table also has the column",
        "`_dlt_load_id`: the load in which the row last changed, as in `_dlt_loads`. Unchanged rows are not written",
        "again. Rows of `runs` and `verifications` come without a load, and have none.",
    ]
    for resource in dictionary.resources:
        lines += ["", f"## Resource `{resource.name}`", "", f"{_origin(resource)}."]
        for shown in resource.tables:
            lines += _table_markdown(shown)
    lines += ["", "## In every dataset"]
    for shown in dictionary.bookkeeping:
        lines += _table_markdown(shown)
    if dictionary.views:
        lines += [
            "",
            "## Views",
            "",
            "The commands make a view as soon as its tables are there, and keep it up to date. Local days and weeks",
            "are those of the setting `time_zone`.",
        ]
    for view in dictionary.views:
        names = ", ".join(f"`{name}`" for name in view.tables)
        lines += ["", f"### `{view.name}`", "", f"**{view.question}** {view.rows} It reads {names}.", ""]
        lines += ["| column | description |", "|---|---|"]
        lines += [f"| `{name}` | {text} |" for name, text in view.columns.items()]
    return "\n".join(lines)


def _table_markdown(shown: Table) -> list[str]:
    key = ", ".join(f"`{name}`" for name in shown.primary_key)
    lines = ["", f"### `{shown.name}`", "", f"{shown.description} Primary key: {key}.", ""]
    lines += ["| column | type | field in Gong | description |", "|---|---|---|---|"]
    for column in shown.columns:
        field = f"`{column.field}`" if column.field else ""
        lines.append(f"| `{column.name}` | {column.dlt_type} | {field} | {column.description} |")
    return lines
