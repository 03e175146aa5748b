"""Descriptions of tables and columns as comments in the database, for databases where dlt writes none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gong_source.resources.declare import Table


# The comment of a table or view (column None), or of one of its columns; None where there is none.
Comments = Mapping[tuple[str, str | None], str | None]


def read_comments(client: Any, sql: str) -> Comments:
    """The comments of all tables, views and columns in the dataset.

    The columns of the query `sql` are `schema_name`, `table_name`, `column_name` (null for the table itself) and
    `text`.
    """
    rows = client.execute_sql(
        f"select table_name, column_name, text from ({sql}) as c where schema_name = %s", client.dataset_name
    )
    return {(table, column): text for table, column, text in rows or ()}


def write_comments(client: Any, tables: Sequence[Table], found: Comments) -> None:
    """Writes the descriptions of `tables` that differ from the comments that were found.

    A column of a new version is not there before the first load that fills it.
    """
    literal = client.capabilities.escape_literal
    statements = []
    for table in tables:
        name = client.make_qualified_table_name(table.name)
        if found.get((table.name, None)) != table.description:
            statements.append(f"comment on table {name} is {literal(table.description)}")
        for column in table.columns:
            if found.get((table.name, column.name), column.description) != column.description:
                column_name = f"{name}.{client.escape_column_name(column.name)}"
                statements.append(f"comment on column {column_name} is {literal(column.description)}")
    if statements:
        with client.begin_transaction():  # a lake keeps a snapshot of each transaction
            for statement in statements:
                client.execute_sql(statement)
