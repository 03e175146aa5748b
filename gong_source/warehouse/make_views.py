"""Makes the views of a dataset in its database, and makes them anew when their definition has changed."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gong_source.warehouse.failures import innermost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gong_source.warehouse.views import LocalView

logger = logging.getLogger(__name__)

_OURS = re.compile(r"\(gong-source view ([0-9a-f]{8})\)$")


def to_make(view: LocalView, exists: bool, description: str | None) -> bool:
    """Whether the view has to be made or made anew, given what the database has under its name.

    A view or table of somebody else is left alone, with a warning.
    """
    found = _OURS.search(description or "")
    if exists and not found:
        logger.warning(
            "the view %s is not made: there is a table or view of that name that this package has not made", view.name
        )
        return False
    return found is None or found[1] != view.mark


def write_views(
    client: Any,
    views: Sequence[LocalView],
    found: Mapping[tuple[str, str | None], str | None],
    *,
    describe_columns: bool = True,
) -> None:
    """Makes the views that are missing or differ, where views have comments.

    `found` are the comments of the dataset's tables, views and columns. A view is replaced, or if its columns changed
    too much for that, made anew in one transaction. If another view depends on it, it stays, with a warning.
    """
    for view in views:
        if to_make(view, (view.name, None) in found, found.get((view.name, None))):
            try:
                _replace(client, view, view.view.columns if describe_columns else {})
            except Exception as error:  # noqa: BLE001 - whatever the database says, the tables are loaded
                warn(view, error)


def warn(view: LocalView, error: Exception) -> None:
    """Says that the view could not be made, and why."""
    reason = " ".join(str(innermost(error)).partition("HINT:")[0].split())  # Postgres names what depends on the view
    logger.warning(
        "the view %s could not be made or brought up to date: %s. The tables are loaded. If another view stands in the"
        " way, drop that view, run the command again, and create it anew",
        view.name,
        reason,
    )


def _replace(client: Any, view: LocalView, columns: Mapping[str, str]) -> None:
    name = client.make_qualified_table_name(view.name)
    literal = client.capabilities.escape_literal
    select = view.select(client)
    comments = [f"comment on view {name} is {literal(view.description)}"] + [
        f"comment on column {name}.{client.escape_column_name(column)} is {literal(text)}"
        for column, text in columns.items()
    ]
    with suppress(Exception):  # the next try says what is wrong
        _run(client, f"create or replace view {name} as {select}", *comments)
        return
    _run(client, f"drop view if exists {name}", f"create view {name} as {select}", *comments)


def _run(client: Any, *statements: str) -> None:
    with client.begin_transaction():
        for statement in statements:
            client.execute_sql(statement)
