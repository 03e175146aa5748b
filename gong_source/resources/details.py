"""Who took part in a call and what Gong measured (call_details), and what Gong wrote about it (call_content)."""

from gong_source.api import endpoints
from gong_source.resources.conversations import child, header
from gong_source.resources.declare import CallIds, Column, Resource, Rows, Table

_SPEAKER_ID = "Id of the speaker, as in call_participants.speaker_id; null if Gong knows none."


def _stat(column: str, name: str, description: str) -> Column:
    return Column(column, "double", description, f"interaction.interactionStats[name={name}].value")


def _durations(name: str, description: str, column: str, what: str, path: str) -> Table:
    """A child table of names with a duration each."""
    return child(
        name,
        description,
        (
            Column(column, "text", what, "name"),
            Column("seconds", "double", "How long, in seconds. Gong also lists some with 0.", "duration"),
        ),
        Rows(path),
    )


_DETAILS = header(
    "call_details",
    "One row for each call whose details Gong was asked for. The lists are in tables of their own.",
    "metaData.id",
    (
        Column("outcome_id", "text", "Gong's id of the outcome of the call.", "content.callOutcome.id"),
        Column("outcome_category", "text", "Category of the outcome.", "content.callOutcome.category"),
        Column("outcome_name", "text", "Name of the outcome.", "content.callOutcome.name"),
        _stat("talk_ratio", "Talk Ratio", "Share of the talk that is the host's, from 0 to 1."),
        _stat("longest_monologue_seconds", "Longest Monologue", "The host's longest monologue, in seconds."),
        _stat(
            "longest_customer_story_seconds",
            "Longest Customer Story",
            "The longest talk about a customer, in seconds.",
        ),
        _stat("interactivity", "Interactivity", "How often host and others took turns, as Gong scores it."),
        _stat("patience", "Patience", "How long the host waits before speaking, in seconds."),
        Column(
            "company_questions", "bigint", "Questions that your company asked.", "interaction.questions.companyCount"
        ),
        Column(
            "customer_questions", "bigint", "Questions that the others asked.", "interaction.questions.nonCompanyCount"
        ),
    ),
)

_PARTICIPANTS = child(
    "call_participants",
    "One row for each person whom Gong lists for a call.",
    (
        Column("party_id", "text", "Gong's id of the person within the call.", "id"),
        Column("user_id", "text", "Gong's id of the user, if the person is one; as in users.id.", "userId"),
        Column(
            "speaker_id", "text", "Joins to transcripts and trackers; null for a person who did not speak.", "speakerId"
        ),
        Column("name", "text", "Name of the person.", "name"),
        Column("email_address", "text", "Email address of the person.", "emailAddress"),
        Column("title", "text", "Job title of the person.", "title"),
        Column("phone_number", "text", "Phone number of the person.", "phoneNumber"),
        Column("affiliation", "text", "Internal, External or Unknown.", "affiliation"),
        Column("is_invitee", "bool", "Whether the person was invited.", "methods[=Invitee]"),
        Column("is_attendee", "bool", "Whether the person took part.", "methods[=Attendee]"),
    ),
    Rows("parties[]"),
)

_SPEAKERS = child(
    "call_speakers",
    "One row for each person who spoke in a call.",
    (
        Column("party_id", "text", "Id of the person within the call, as in call_participants.party_id.", "id"),
        Column("user_id", "text", "Gong's id of the user, if the person is one.", "userId"),
        Column("talk_seconds", "double", "How long the person spoke, in seconds.", "talkTime"),
    ),
    Rows("interaction.speakers[]"),
)

_CRM_OBJECTS = child(
    "call_crm_objects",
    "One row for each object of the CRM that Gong links to a call or to one of its people.",
    (
        Column("party_id", "text", "Id of the person that the object is linked to; null: linked to the call."),
        Column("system", "text", "The CRM: Salesforce, HubSpot, MicrosoftDynamic or Generic."),
        Column("object_type", "text", "For example Account, Opportunity, Contact, Lead or User.", "objectType"),
        Column("object_id", "text", "Id of the object in the CRM.", "objectId"),
        Column("timing", "text", "Now or TimeOfCall: from which moment the fields are.", "timing"),
        Column("fields", "pairs", "JSON object of the object's fields: name and value, of any type.", "fields"),
    ),
    Rows("context[].objects[]", (("system", "context[].system"),)),
    Rows(
        "parties[].context[].objects[]",
        (("party_id", "parties[].id"), ("system", "parties[].context[].system")),
    ),
)

_TRACKERS = child(
    "call_trackers",
    "One row for each tracker that Gong lists for a call, also those with a count of 0.",
    (
        Column("tracker_id", "text", "Gong's id of the tracker.", "id"),
        Column("name", "text", "Name of the tracker.", "name"),
        Column("type", "text", "KEYWORD or SMART.", "type"),
        Column("count", "bigint", "How often it was mentioned, as Gong counts.", "count"),
    ),
    Rows("content.trackers[]"),
)

_PHRASES = child(
    "call_tracker_phrases",
    "One row for each phrase of a tracker in a call.",
    (
        Column("tracker_id", "text", "Gong's id of the tracker."),
        Column("phrase", "text", "The phrase.", "phrase"),
        Column("count", "bigint", "How often it was said, as Gong counts.", "count"),
    ),
    Rows("content.trackers[].phrases[]", (("tracker_id", "content.trackers[].id"),)),
)

_OCCURRENCES = child(
    "call_tracker_occurrences",
    "One row for each moment of a call in which a tracker, or one of its phrases, was mentioned.",
    (
        Column("tracker_id", "text", "Gong's id of the tracker."),
        Column("phrase", "text", "The phrase; null: Gong lists the moment for the tracker as a whole."),
        Column("phrase_number", "bigint", "Number of the phrase in Gong's list, from 0; null: for the whole tracker."),
        Column("start_seconds", "double", "The moment, in seconds from the start of the recording.", "startTime"),
        Column("speaker_id", "text", _SPEAKER_ID, "speakerId"),
    ),
    Rows("content.trackers[].occurrences[]", (("tracker_id", "content.trackers[].id"),)),
    Rows(
        "content.trackers[].phrases[].occurrences[]",
        (
            ("tracker_id", "content.trackers[].id"),
            ("phrase", "content.trackers[].phrases[].phrase"),
            ("phrase_number", "content.trackers[].phrases[]"),
        ),
    ),
)

_STATS = child(
    "call_interaction_stats",
    "One row for each measure of the host's way to talk in a call.",
    (
        Column("name", "text", "Name of the measure, for example Talk Ratio.", "name"),
        Column("value", "double", "Its value.", "value"),
    ),
    Rows("interaction.interactionStats[]"),
)

CALL_DETAILS = Resource(
    "call_details",
    singular="call with details",
    plural="calls with details",
    endpoint=endpoints.EXTENSIVE_CALLS,
    scope="api:calls:read:extensive",
    select=CallIds(
        awaited="parties",
        changes=True,
        blocks=(
            "parties",
            "context",
            "interaction",
            "content.trackers",
            "content.topics",
            "content.callOutcome",
        ),
        selector=(
            "parties",
            "content.topics",
            "content.trackers",
            "content.trackerOccurrences",
            "content.callOutcome",
            "interaction.speakers",
            "interaction.video",
            "interaction.personInteractionStats",
            "interaction.questions",
            "context",
        ),
    ),
    table=_DETAILS,
    record_bytes=20_000,
    children=(
        _PARTICIPANTS,
        _SPEAKERS,
        _CRM_OBJECTS,
        _TRACKERS,
        _PHRASES,
        _OCCURRENCES,
        _durations(
            "call_topics", "One row for each topic of a call.", "name", "Name of the topic.", "content.topics[]"
        ),
        _durations(
            "call_video",
            "One row for each kind of video in a call.",
            "name",
            "Name of the kind, for example Browser or Presentation.",
            "interaction.video[]",
        ),
        _STATS,
    ),
)

_CONTENT = header(
    "call_content",
    "One row for each call whose content Gong was asked for. The lists are in tables of their own.",
    "metaData.id",
    (Column("brief", "text", "Gong's summary of the call.", "content.brief"),),
)

_OUTLINE = child(
    "call_outline",
    "One row for each item of the outline of a call. A section without items has one row.",
    (
        Column("section", "text", "Title of the section."),
        Column("section_start_seconds", "double", "Start of the section, in seconds from the start of the recording."),
        Column("section_seconds", "double", "Length of the section, in seconds."),
        Column("item_start_seconds", "double", "Start of the item, in seconds.", "startTime"),
        Column("text", "text", "The item.", "text"),
    ),
    Rows(
        "content.outline[].items[]",
        (
            ("section", "content.outline[].section"),
            ("section_start_seconds", "content.outline[].startTime"),
            ("section_seconds", "content.outline[].duration"),
        ),
        empty_too=True,
    ),
)

_HIGHLIGHTS = child(
    "call_highlights",
    "One row for each highlight of a call. A section without highlights has one row.",
    (
        Column("title", "text", "Title of the section."),
        Column("text", "text", "The highlight.", "text"),
        Column("start_seconds", "json", "JSON list of the moments, in seconds.", "startTimes"),
    ),
    Rows("content.highlights[].items[]", (("title", "content.highlights[].title"),), empty_too=True),
)

_KEY_POINTS = child(
    "call_key_points",
    "One row for each key point of a call.",
    (Column("text", "text", "The key point.", "text"),),
    Rows("content.keyPoints[]"),
)

_COMMENTS = child(
    "call_comments",
    "One row for each public comment on a call.",
    (
        Column("comment_id", "text", "Gong's id of the comment.", "id"),
        Column("commenter_user_id", "text", "Gong's id of the user who wrote it.", "commenterUserId"),
        Column("text", "text", "The comment.", "comment"),
        Column("posted_at", "timestamp", "When it was written, UTC.", "posted"),
        Column("in_reply_to", "text", "Id of the comment that it answers.", "inReplyTo"),
        Column("audio_start_seconds", "double", "Start of the part of the call that it is about.", "audioStartTime"),
        Column("audio_end_seconds", "double", "End of that part.", "audioEndTime"),
        Column("is_during_call", "bool", "Whether it was written during the call.", "duringCall"),
    ),
    Rows("collaboration.publicComments[]"),
)

CALL_CONTENT = Resource(
    "call_content",
    singular="call with content",
    plural="calls with content",
    endpoint=endpoints.EXTENSIVE_CALLS,
    scope="api:calls:read:extensive",
    select=CallIds(
        awaited="content.brief",
        changes=True,
        blocks=(
            "content.brief",
            "content.structure",
            "content.outline",
            "content.highlights",
            "content.keyPoints",
            "collaboration",
        ),
        selector=(
            "content.brief",
            "content.structure",
            "content.outline",
            "content.highlights",
            "content.keyPoints",
            "collaboration.publicComments",
        ),
    ),
    table=_CONTENT,
    record_bytes=15_000,
    children=(
        _durations(
            "call_structure",
            "One row for each part of the structure of a call.",
            "name",
            "Name of the part.",
            "content.structure[]",
        ),
        _OUTLINE,
        _HIGHLIGHTS,
        _KEY_POINTS,
        _COMMENTS,
    ),
)
