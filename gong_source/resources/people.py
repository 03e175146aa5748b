"""Users and workspaces. Gong always lists all of them."""

from gong_source.api import endpoints
from gong_source.resources.declare import EXTRA, Column, History, Resource, Table, Whole

_USERS = Table(
    "users",
    "One row for each user of Gong, with the values that Gong listed last.",
    (
        Column("id", "text", "Gong's id of the user: up to 20 digits, kept as text.", "id"),
        Column("email_address", "text", "Email address of the user.", "emailAddress"),
        Column("trusted_email_address", "text", "Email address that Gong trusts for the user.", "trustedEmailAddress"),
        Column("first_name", "text", "First name.", "firstName"),
        Column("last_name", "text", "Last name.", "lastName"),
        Column("title", "text", "Job title.", "title"),
        Column("phone_number", "text", "Phone number.", "phoneNumber"),
        Column("extension", "text", "Extension of the phone number.", "extension"),
        Column("manager_id", "text", "Gong's id of the user's manager; the manager is a user too.", "managerId"),
        Column(
            "meeting_consent_page_url",
            "text",
            "Address of the user's consent page, where others agree to be recorded.",
            "meetingConsentPageUrl",
        ),
        Column("created_at", "timestamp", "When the user was created in Gong, UTC.", "created"),
        Column("is_active", "bool", "Whether the user is active in Gong.", "active"),
        Column(
            "web_conferences_recorded",
            "bool",
            "Setting: web conferences of the user are recorded.",
            "settings.webConferencesRecorded",
        ),
        Column(
            "prevent_web_conference_recording",
            "bool",
            "Setting: Gong must not record web conferences of the user. Gong sends it beside web_conferences_recorded.",
            "settings.preventWebConferenceRecording",
        ),
        Column(
            "telephony_calls_imported",
            "bool",
            "Setting: telephony calls of the user are imported.",
            "settings.telephonyCallsImported",
        ),
        Column("emails_imported", "bool", "Setting: emails of the user are imported.", "settings.emailsImported"),
        Column(
            "prevent_email_import",
            "bool",
            "Setting: Gong must not import emails of the user. Gong sends it beside emails_imported.",
            "settings.preventEmailImport",
        ),
        Column(
            "non_recorded_meetings_imported",
            "bool",
            "Setting: meetings without a recording are imported.",
            "settings.nonRecordedMeetingsImported",
        ),
        Column("gong_connect_enabled", "bool", "Setting: Gong Connect is enabled.", "settings.gongConnectEnabled"),
        Column("email_aliases", "json", "Further email addresses of the user: JSON list of text.", "emailAliases"),
        Column(
            "personal_meeting_urls",
            "json",
            "Addresses of the user's meeting rooms: JSON list of text.",
            "personalMeetingUrls",
        ),
        Column(
            "spoken_languages",
            "json",
            "Languages of the user: JSON list of objects with language and primary.",
            "spokenLanguages",
        ),
        Column(
            "conferencing_providers",
            "json",
            "JSON. Gong sends this field but does not document it; it is null in all known answers.",
            "conferencingProviders",
        ),
        EXTRA,
        Column("deleted_at", "timestamp", "When a run found that Gong no longer lists the user, UTC; else null."),
    ),
)

_USER_HISTORY = Table(
    "user_history",
    "One row for each period in which manager, title and is_active of a user stayed the same, as snapshots saw them.",
    (
        Column("user_id", "text", "Gong's id of the user."),
        Column("valid_from", "timestamp", "When a snapshot first showed these values, UTC, inclusive."),
        Column(
            "valid_to",
            "timestamp",
            "When a snapshot first showed other values, or the user no longer, UTC, exclusive; null: still valid.",
        ),
        Column("manager_id", "text", "Gong's id of the user's manager."),
        Column("title", "text", "Job title."),
        Column("is_active", "bool", "Whether the user was active in Gong."),
    ),
    key=("user_id", "valid_from"),
)

USERS = Resource(
    "users",
    singular="user",
    plural="users",
    endpoint=endpoints.USERS,
    scope="api:users:read",
    select=Whole(),
    table=_USERS,
    history=History(_USER_HISTORY, "user_id"),
)

WORKSPACES = Resource(
    "workspaces",
    singular="workspace",
    plural="workspaces",
    endpoint=endpoints.WORKSPACES,
    scope="api:workspaces:read",
    select=Whole(),
    table=Table(
        "workspaces",
        "One row for each workspace of the tenant, with the values that Gong listed last.",
        (
            Column("id", "text", "Gong's id of the workspace: up to 20 digits, kept as text.", "id"),
            Column("name", "text", "Name of the workspace.", "name"),
            Column("description", "text", "Description of the workspace.", "description"),
            EXTRA,
            Column(
                "deleted_at", "timestamp", "When a run found that Gong no longer lists the workspace, UTC; else null."
            ),
        ),
    ),
)
