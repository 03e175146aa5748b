"""Columns that the tables of whole conversations share: headers with one row for each call, and their child tables."""

from gong_source.resources.declare import EXTRA, TOMBSTONE, Column, Rows, Table

_CALL_ID = "Gong's id of the call; its row is in the table calls."
_CALL_TIME = Column(
    "call_time",
    "timestamp",
    "The call time when the row was written, UTC. The call may have moved since: calls.call_time is up to date.",
)
_ASKED = (
    Column("first_asked_at", "timestamp", "When Gong was first asked for this call, UTC."),
    Column(
        "asked_at",
        "timestamp",
        "When Gong gave the answer that is stored, UTC. A verification that finds no difference does not change it.",
    ),
    Column("ask_again_at", "timestamp", "When a sync asks for it again at the earliest, UTC; null: not at all."),
    Column(
        "asked_duration",
        "bigint",
        "Length of the call in seconds when Gong was asked; if it changes, the call is due.",
    ),
    Column(
        "child_rows",
        "bigint",
        "Rows of the call in the tables of its lists; null where a lost list is kept, and for private calls.",
    ),
    Column("content_hash", "text", "Changes with anything that Gong answered; null if Gong had nothing."),
)


def header(name: str, description: str, id_field: str, columns: tuple[Column, ...]) -> Table:
    """The table with one row for each call that has been asked for; `columns` are those of the answer."""
    return Table(
        name,
        description,
        (Column("call_id", "text", _CALL_ID, id_field), *columns, _CALL_TIME, *_ASKED, EXTRA),
        time_column="call_time",
        cluster_columns=("call_id",),
    )


def child(name: str, description: str, columns: tuple[Column, ...], *rows: Rows) -> Table:
    """A table with a row for each element of the lists `rows` in a call."""
    return Table(
        name,
        description,
        (
            Column("call_id", "text", _CALL_ID),
            Column("position", "bigint", "The place in Gong's order within the call, from 0."),
            *columns,
            _CALL_TIME,
            EXTRA,
            Column(TOMBSTONE, "bool", "Null. Within a load it marks a call whose list has become empty."),
        ),
        key=("call_id", "position"),
        time_column="call_time",
        cluster_columns=("call_id",),
        rows=rows,
    )
