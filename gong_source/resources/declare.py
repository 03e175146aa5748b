"""Every column of every table, declared once: its name, Gong's field, its type, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["text", "timestamp", "bigint", "double", "bool"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `field` is the API field that it holds, None for what this package adds."""

    name: str
    type: ColumnType
    description: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table; its first column is its primary key."""

    name: str
    description: str
    columns: tuple[Column, ...]

    @property
    def primary_key(self) -> str:
        """The name of the column that identifies a row; never null."""
        return self.columns[0].name

    @property
    def fields(self) -> dict[str, Column]:
        """The columns that hold an API field, by that field."""
        return {column.field: column for column in self.columns if column.field}


CALLS = Table(
    "calls",
    "One row for each call that Gong lists, kept current.",
    (
        Column("id", "text", "Gong's id of the call: up to 20 digits, kept as text.", "id"),
        Column("url", "text", "Address of the call's page in Gong.", "url"),
        Column("title", "text", "Title of the call.", "title"),
        Column("scheduled", "timestamp", "When the call was scheduled to start, UTC.", "scheduled"),
        Column("started", "timestamp", "When the recording started, UTC.", "started"),
        Column("duration", "bigint", "Length of the call in seconds, as measured by Gong.", "duration"),
        Column("primary_user_id", "text", "Gong's id of the user who hosts the call.", "primaryUserId"),
        Column("direction", "text", "Inbound, Outbound, Conference or Unknown.", "direction"),
        Column("system", "text", "Where the call was held, for example Zoom; free text.", "system"),
        Column("scope", "text", "Internal, External or Unknown.", "scope"),
        Column("media", "text", "Video or Audio.", "media"),
        Column("language", "text", "Spoken language, ISO 639-2/B; und: undetermined, zxx: no speech.", "language"),
        Column("workspace_id", "text", "Gong's id of the workspace that the call belongs to.", "workspaceId"),
        Column("sdr_disposition", "text", "Disposition of the call as set in the dialer.", "sdrDisposition"),
        Column("client_unique_id", "text", "The call's id in the system that recorded it.", "clientUniqueId"),
        Column("custom_data", "text", "Data that the recording system attached to the call.", "customData"),
        Column("purpose", "text", "Purpose of the call.", "purpose"),
        Column("meeting_url", "text", "Address of the meeting; of an uploaded call, of its media.", "meetingUrl"),
        Column("is_private", "bool", "Whether the call is private in Gong.", "isPrivate"),
        Column("calendar_event_id", "text", "The call's id in the calendar.", "calendarEventId"),
        Column(
            "call_time",
            "timestamp",
            "The time by which Gong files the call: scheduled or started, UTC; of a call that shows neither, the start"
            " of the window in which Gong listed it.",
        ),
        Column("extra", "text", "JSON object of all that Gong sent and no column can hold; null if nothing."),
        Column("deleted_at", "timestamp", "When the call was found to be no longer listed by Gong, UTC; else null."),
    ),
)

CALL_WINDOWS = Table(
    "call_windows",
    "The ledger: one row for each window walked, committed with its calls.",
    (
        Column("walk_id", "text", "Identifies this walk of the window."),
        Column("window_start", "timestamp", "Start of the window, inclusive, UTC."),
        Column("window_end", "timestamp", "End of the window, exclusive, UTC."),
        Column("workspace_id", "text", "The workspace asked for; null: all workspaces."),
        Column("mode", "text", "The run that walked it: sync, backfill or repair."),
        Column("total_records", "bigint", "Gong's own count of the calls in the window."),
        Column("rows", "bigint", "Calls received, each counted once."),
        Column("pages", "bigint", "Pages received."),
        Column("requests", "bigint", "Requests sent for it, with retries and those that planned it."),
        Column("waited_seconds", "double", "Seconds spent waiting for the throttle and for retries."),
        Column("first_request_id", "text", "Gong's request id of the first page."),
        Column("last_request_id", "text", "Gong's request id of the last page."),
        Column("surprises", "bigint", "Calls with something that only the column extra could hold."),
        Column("fetched_at", "timestamp", "When the walk of the window began, UTC."),
        Column("settled", "bool", "False: Gong counts more calls than it delivers; it is still processing some."),
        Column("watermark", "timestamp", "Covered up to this time once the row is committed, UTC; null in a backfill."),
    ),
)

TABLES = (CALLS, CALL_WINDOWS)

VERIFICATIONS = Table(
    "verifications",
    "One row for each comparison of Gong with this dataset.",
    (
        Column("verification_id", "text", "Identifies the verification."),
        Column("verified_from", "timestamp", "Start of the range verified, inclusive, UTC."),
        Column("verified_to", "timestamp", "End of the range verified, exclusive, UTC."),
        Column("workspace_id", "text", "The workspace asked for; null: all workspaces."),
        Column("is_deep", "bool", "True: every call was compared; false: counts, and the calls where they differ."),
        Column("is_repair", "bool", "Whether what differed was to be repaired."),
        Column("outcome", "text", "clean, repaired, differs, refused (too many calls gone), paused or failed."),
        Column("gong_calls", "bigint", "Gong's count of the calls in the range; null if the run ended before."),
        Column("held_calls", "bigint", "Calls held in the range before any repair; null if the run ended before."),
        Column("differing_windows", "bigint", "Windows in which Gong and this dataset differed."),
        Column("missing", "bigint", "Calls listed by Gong and not held."),
        Column("changed", "bigint", "Calls held otherwise than Gong lists them."),
        Column("surplus", "bigint", "Calls held that Gong no longer lists."),
        Column("unsettled", "bigint", "Calls that Gong counts and does not list yet."),
        Column("marked_deleted", "bigint", "Calls that got deleted_at."),
        Column("requests", "bigint", "Requests sent."),
        Column("started_at", "timestamp", "When the verification began, UTC."),
        Column("finished_at", "timestamp", "When the verification ended, UTC."),
    ),
)

CALL_ARRIVALS = Table(
    "call_arrivals",
    "One row for each call ever loaded: when it was first seen here.",
    (
        Column("id", "text", "Gong's id of the call."),
        Column("first_seen_at", "timestamp", "When the load that first held the call was committed, UTC."),
        Column("load_id", "text", "That load, in _dlt_loads and call_windows."),
        Column("mode", "text", "The run that brought it: sync, backfill or repair; null if it died before it said so."),
        Column("is_late", "bool", "Whether its window had been asked for before, and the call was not listed then."),
    ),
)

# dlt's own column on every table: in `calls`, the load in which the row last changed.
LOAD_ID_COLUMN = "_dlt_load_id"
