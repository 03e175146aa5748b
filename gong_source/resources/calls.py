"""Calls: what GET /v2/calls lists, and the list with details too."""

from dataclasses import replace

from gong_source.api import endpoints
from gong_source.resources.declare import EXTRA, Column, Instants, Resource, Table

_TABLE = Table(
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
        Column("language", "text", "Spoken language, ISO 639-2/B. und: undetermined, zxx: no speech.", "language"),
        Column("workspace_id", "text", "Gong's id of the workspace that the call belongs to.", "workspaceId"),
        Column("sdr_disposition", "text", "Disposition of the call as set in the dialer.", "sdrDisposition"),
        Column("client_unique_id", "text", "The call's id in the system that recorded it.", "clientUniqueId"),
        Column("custom_data", "text", "Data that the recording system attached to the call.", "customData"),
        Column("purpose", "text", "Purpose of the call.", "purpose"),
        Column(
            "meeting_url", "text", "Address of the meeting. For an uploaded call: address of its media.", "meetingUrl"
        ),
        Column("is_private", "bool", "Whether the call is private in Gong.", "isPrivate"),
        Column("calendar_event_id", "text", "The call's id in the calendar.", "calendarEventId"),
        Column(
            "call_time",
            "timestamp",
            "The time that Gong compares with a range of time, UTC: scheduled or started. For a call that shows"
            " neither, the start of the window in which Gong listed the call.",
        ),
        EXTRA,
        Column(
            "deleted_at",
            "timestamp",
            "When a run found that Gong no longer lists the call, UTC; null for calls that Gong lists.",
        ),
    ),
    time_column="call_time",
    cluster_columns=("workspace_id", "direction"),
)

CALLS = Resource(
    "calls",
    singular="call",
    plural="calls",
    endpoint=endpoints.CALLS,
    scope="api:calls:read:basic",
    select=Instants(),
    table=_TABLE,
    record_bytes=600,
)

# Where details or content are loaded too, the list that has them lists the calls as well. What its filter compares is
# only known to be a start time.
CALLS_WITH_DETAILS = replace(
    CALLS,
    endpoint=endpoints.EXTENSIVE_CALLS,
    scope="api:calls:read:extensive",
    select=Instants(conferences=None),
    fallback=CALLS,
)
