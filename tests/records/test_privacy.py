"""What must not be stored reaches no column, no `extra` and no hash; everything else stays as it is."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from gong_source import gong
from gong_source.api.client import Page
from gong_source.api.responses import loads
from gong_source.errors import ConfigurationError
from gong_source.records.answers import AnswerReader
from gong_source.records.batch import read_batch
from gong_source.records.call_time import Rule
from gong_source.records.privacy import KEEP_ALL, KEPT_OF_PRIVATE, Privacy, _fields, read_columns
from gong_source.records.rows import read_records
from gong_source.resources import RESOURCES, TABLES
from gong_source.resources.calls import CALLS
from gong_source.resources.details import CALL_CONTENT, CALL_DETAILS
from gong_source.resources.people import USERS
from gong_source.resources.transcripts import TRANSCRIPTS
from gong_source.settings import GongSettings, resolve_settings, resolve_without_key
from gong_source.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

    from gong_source.resources.declare import Resource, Table

DAY = Window(datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC))
LISTS = {"calls": "calls", "users": "users", "workspaces": "workspaces"}
# Every field of every table that a person can exclude.
EXCLUDABLE = [
    (table.name, column.name)
    for resource in RESOURCES.values()
    for table in (resource.table, *resource.children)
    for column in table.columns
    if _fields(table, column)
    and column.name not in table.primary_key
    and (table.name, column.name) not in {("calls", n) for n in ("workspace_id", "scheduled", "started", "is_private")}
]
NOT_EXCLUDABLE = [
    (table.name, column.name)
    for table in TABLES
    for column in table.columns
    if (table.name, column.name) not in EXCLUDABLE
]
CALL: dict[str, Any] = {
    "id": "7",
    "url": "https://a.app.gong.io/call?id=7",
    "title": "call-title",
    "scheduled": "2026-01-05T12:00:00Z",
    "started": "2026-01-05T12:01:00Z",
    "duration": 777001,
    **{name: f"call-{name}" for name in ("primaryUserId", "direction", "system", "scope", "media", "language")},
    **{name: f"call-{name}" for name in ("workspaceId", "sdrDisposition", "clientUniqueId", "customData", "purpose")},
    "meetingUrl": "call-meetingUrl",
    "isPrivate": False,
    "calendarEventId": "call-calendarEventId",
}
USER: dict[str, Any] = {
    "id": "8",
    **{name: f"user-{name}" for name in ("emailAddress", "trustedEmailAddress", "firstName", "lastName", "title")},
    **{name: f"user-{name}" for name in ("phoneNumber", "extension", "managerId", "meetingConsentPageUrl")},
    "created": "2020-02-03T04:05:06Z",
    "active": True,
    "emailAliases": ["user-alias"],
    "settings": {
        "webConferencesRecorded": True,
        "preventWebConferenceRecording": True,
        "telephonyCallsImported": True,
        "emailsImported": True,
        "preventEmailImport": True,
        "nonRecordedMeetingsImported": True,
        "gongConnectEnabled": True,
    },
    "personalMeetingUrls": ["user-meeting"],
    "spokenLanguages": [{"language": "user-language"}],
    "conferencingProviders": ["user-conferencing"],
}
BOB: dict[str, Any] = {
    "id": "party-bob",
    "userId": "user-bob",
    "speakerId": "speaker-bob",
    "name": "Bob Bold",
    "emailAddress": " Bob@Example.com ",
    "title": "Head of Bobs",
    "phoneNumber": "+1 (555) 010-0199",
    "affiliation": "External",
    "methods": ["Invitee", "Attendee"],
    "context": [
        {
            "system": "crm-bob",
            "objects": [
                {
                    "objectType": "Contact-bob",
                    "objectId": "object-bob",
                    "timing": "Now-bob",
                    "fields": [{"name": "Email", "value": "bob-in-crm"}],
                }
            ],
        }
    ],
}
ANN = BOB | {"id": "party-ann", "name": "Ann Inside", "affiliation": "Internal"}
MEASURES = {
    "talk_ratio": "Talk Ratio",
    "longest_monologue_seconds": "Longest Monologue",
    "longest_customer_story_seconds": "Longest Customer Story",
    "interactivity": "Interactivity",
    "patience": "Patience",
}
DETAILS: dict[str, Any] = {
    "metaData": {"id": "7", "isPrivate": False},
    "parties": [BOB, ANN],
    "context": [
        {
            "system": "crm-call",
            "objects": [
                {
                    "objectType": "Account",
                    "objectId": "object-call",
                    "timing": "Now-call",
                    "fields": [{"name": "Name", "value": "Acme"}],
                }
            ],
        }
    ],
    "interaction": {
        "speakers": [{"id": "speaker-party", "userId": "speaker-user", "talkTime": 1234.5}],
        "interactionStats": [{"name": name, "value": 1000.5 + number} for number, name in enumerate(MEASURES.values())],
        "video": [{"name": "Browser", "duration": 2345.5}],
        "questions": {"companyCount": 88001, "nonCompanyCount": 88002},
    },
    "content": {
        "callOutcome": {"id": "outcome-id", "category": "outcome-category", "name": "outcome-name"},
        "trackers": [
            {
                "id": "tracker-id",
                "name": "tracker-name",
                "type": "KEYWORD",
                "count": 99001,
                "occurrences": [{"startTime": 3456.5, "speakerId": "tracker-speaker"}],
                "phrases": [
                    {
                        "phrase": "phrase-text",
                        "count": 99002,
                        "occurrences": [{"startTime": 4567.5, "speakerId": "phrase-speaker"}],
                    }
                ],
            }
        ],
        "topics": [{"name": "topic-name", "duration": 5678.5}],
        "brief": "the-brief",
        "structure": [{"name": "structure-name", "duration": 6789.5}],
        "outline": [
            {
                "section": "outline-section",
                "startTime": 7001.5,
                "duration": 7002.5,
                "items": [{"startTime": 7003.5, "text": "outline-text"}],
            }
        ],
        "highlights": [{"title": "highlight-title", "items": [{"text": "highlight-text", "startTimes": [8001.5]}]}],
        "keyPoints": [{"text": "key-point"}],
    },
    "collaboration": {
        "publicComments": [
            {
                "id": "comment-id",
                "commenterUserId": "comment-user",
                "comment": "comment-text",
                "posted": "2021-03-04T05:06:07Z",
                "inReplyTo": "comment-reply",
                "audioStartTime": 9001.5,
                "audioEndTime": 9002.5,
                "duringCall": True,
            }
        ]
    },
}
TRANSCRIPT: dict[str, Any] = {
    "callId": "7",
    "transcript": [
        {
            "speakerId": "said-by",
            "topic": "said-topic",
            "sentences": [{"start": 111001, "end": 111002, "text": "said-text"}],
        }
    ],
}


def page_of(*records: Any, name: str = "calls") -> Page:
    """A page as the client makes it, of these records."""
    body = json.dumps({name: list(records)}).encode()
    return Page(loads(body)[name], None, None, "trace", name, body)


def tables_of(privacy: Privacy, resource: Resource, record: dict[str, Any]) -> dict[str, pa.Table]:
    """The tables of one record, read in the way in which runs read it."""
    if resource is CALLS:
        return {"calls": read_batch(CALLS, [page_of(record)], DAY, Rule(), privacy).table}
    if not resource.by_id:
        records = privacy.clean_records(resource, read_records(resource, [page_of(record, name=resource.name)]))
        return {resource.table.name: records.to_arrow(resource.table)}
    family = answer_of(privacy, resource, record)[0].family
    return {resource.table.name: family.root, **family.children}


def answer_of(privacy: Privacy, resource: Resource, record: dict[str, Any]) -> Any:
    """What the reader makes of an answer about one call."""
    members = [CALL_DETAILS, CALL_CONTENT] if resource is not TRANSCRIPTS else [TRANSCRIPTS]
    reader = AnswerReader(members, {"7": DAY.start}, private=True, privacy=privacy)
    content = reader(["7"], [page_of(record)])
    return [found for found in content if found.resource is resource]


RECORDS = {
    "calls": CALL,
    "users": USER,
    "workspaces": {"id": "9", "name": "workspace-name", "description": "workspace-text"},
    "call_details": DETAILS,
    "call_content": DETAILS,
    "transcripts": TRANSCRIPT,
}


def resource_of(table_name: str) -> Resource:
    """The resource that fills a table."""
    return next(r for r in RESOURCES.values() if table_name in {table.name for table in r.tables})


def table_named(name: str) -> Table:
    """The declaration of a table."""
    return next(table for table in TABLES if table.name == name)


def with_values(value: Any, path: str, replacement: Any) -> Any:
    """A copy of a record in which the field at a path, in each element of lists, holds something else."""
    name, _, rest = path.partition(".")
    plain, bracket, inside = name.partition("[")
    if plain not in value:
        return value
    if bracket:
        wanted = inside.rstrip("]").partition("=")
        elements = [
            with_values(e, rest, replacement) if not wanted[0] or e.get(wanted[0]) == wanted[2] else e
            for e in value[plain]
        ]
        return value | {plain: elements}
    return value | {plain: with_values(value[plain], rest, replacement) if rest else replacement}


@pytest.mark.parametrize(("table", "column"), EXCLUDABLE, ids=lambda value: value)
def test_excluded_column_is_null_and_nothing_else_changes(table: str, column: str) -> None:
    """For every column that Gong fills: null, with the same type. Other fields keep their values."""
    resource = resource_of(table)
    before = tables_of(KEEP_ALL, resource, RECORDS[resource.name])
    privacy = Privacy(excluded=read_columns(f"{table}.{column}"))
    after = tables_of(privacy, resource, RECORDS[resource.name])
    assert any(v is not None for v in before[table][column].to_pylist()), "the example says nothing"
    for name, rows in before.items():
        nulls = privacy.null_columns(table_named(name))
        assert after[name].schema == rows.schema
        expected = [row | dict.fromkeys(nulls) for row in rows.to_pylist()]
        if name == "call_interaction_stats" and table == "call_details":  # its field is in one row of that table
            expected = [row | {"value": None} if MEASURES.get(column) == row["name"] else row for row in expected]
        assert after[name].to_pylist() == expected
    assert set(after[table][column].to_pylist()) == {None}


@pytest.mark.parametrize(("table", "column"), EXCLUDABLE, ids=lambda value: value)
@pytest.mark.parametrize("odd", [{"odd": "SECRET"}, ["SECRET"], "SECRET\0", 0.5, 10**30], ids=str)
def test_value_that_fits_no_column_does_not_stay_in_extra(table: str, column: str, odd: Any) -> None:
    """Neither in the own row's extra nor in that of the call, whatever Gong sends."""
    resource = resource_of(table)
    record = RECORDS[resource.name]
    for path in _fields(table_named(table), next(c for c in table_named(table).columns if c.name == column)):
        record = with_values(record, path, odd)
    found = tables_of(Privacy(excluded=frozenset({(table, column)})), resource, record)
    assert "SECRET" not in shown(found)
    assert {value for rows in found.values() for value in rows["extra"].to_pylist()} == {None}


def shown(tables: dict[str, pa.Table]) -> str:
    """All that the tables hold, as text."""
    return str({name: rows.to_pylist() for name, rows in tables.items()})


@pytest.mark.parametrize(
    ("column", "changes"),
    [
        ("call_content.brief", {"content": "SECRET"}),
        ("call_content.brief", {"content": ["SECRET"]}),
        ("call_participants.name", {"parties": "SECRET"}),
        ("call_participants.name", {"parties": {"name": "SECRET"}}),
        ("call_participants.name", {"parties": ["SECRET", BOB]}),
        ("call_crm_objects.fields", {"parties": [BOB | {"context": {"objects": "SECRET"}}]}),
        ("call_outline.text", {"content": {"outline": [{"section": "s", "items": "SECRET"}]}}),
        ("call_outline.section", {"content": {"outline": ["SECRET"]}}),
        ("call_interaction_stats.value", {"interaction": {"interactionStats": "SECRET"}}),
    ],
)
def test_other_shapes_on_the_way_to_an_excluded_field_do_not_stay(column: str, changes: dict[str, Any]) -> None:
    """Where a list or object has another form than Gong documents, it could hold the value: it goes too."""
    record = DETAILS | changes
    for resource in (CALL_DETAILS, CALL_CONTENT):
        assert "SECRET" not in shown(tables_of(Privacy(excluded=read_columns(column)), resource, record))
    kept = [shown(tables_of(KEEP_ALL, resource, record)) for resource in (CALL_DETAILS, CALL_CONTENT)]
    assert any("SECRET" in text for text in kept)


@pytest.mark.parametrize(
    ("column", "others"),
    [
        ("call_interaction_stats.value", {("call_details", "patience"), ("call_details", "talk_ratio")}),
        ("call_tracker_phrases.phrase", {("call_tracker_occurrences", "phrase")}),
        ("call_participants.is_invitee", {("call_participants", "is_attendee")}),
        ("users.title", {("user_history", "title")}),
    ],
)
def test_field_that_fills_several_columns_is_null_in_all(column: str, others: set[tuple[str, str]]) -> None:
    """Else the value would be on disk all the same."""
    privacy = Privacy(excluded=read_columns(column))
    null = {(table.name, name) for table in TABLES for name in privacy.null_columns(table)}
    assert null >= {*read_columns(column), *others}


def test_one_measure_is_excluded_and_the_others_stay() -> None:
    """A value that is picked by a name is taken out of the list that holds it."""
    tables = tables_of(Privacy(excluded=read_columns("call_details.talk_ratio")), CALL_DETAILS, DETAILS)
    values = dict(tables["call_interaction_stats"].select(["name", "value"]).to_pylist()[0].items())
    assert values == {"name": "Talk Ratio", "value": None}
    (header,) = tables["call_details"].to_pylist()
    assert (header["talk_ratio"], header["patience"]) == (None, 1004.5)


def test_call_time_does_not_depend_on_what_is_excluded() -> None:
    """The call time is worked out first."""
    excluded = read_columns("calls.direction,calls.duration")
    record = CALL | {"direction": "Conference", "started": "2026-01-05T18:00:00Z"}
    (row,) = tables_of(Privacy(excluded), CALLS, record)["calls"].to_pylist()
    assert row["call_time"] == datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert (row["direction"], row["duration"]) == (None, None)


def test_hash_changes_only_with_what_is_stored() -> None:
    """A hash of an excluded value would show whether somebody has guessed it."""
    other = DETAILS | {"parties": [BOB | {"name": "Somebody Else"}, ANN]}

    def hashes(privacy: Privacy) -> list[Any]:
        return [answer_of(privacy, CALL_DETAILS, record)[0].hashes for record in (DETAILS, other)]

    before, after = hashes(KEEP_ALL)
    assert before != after
    for privacy in (Privacy(read_columns("call_participants.name")), Privacy(personal_data="drop")):
        before, after = hashes(privacy)
        assert before == after


def test_excluded_brief_does_not_make_a_call_incomplete() -> None:
    """Whether Gong is still at work shows in what Gong sent."""
    (content,) = answer_of(Privacy(read_columns("call_content.brief")), CALL_CONTENT, DETAILS)
    assert content.complete == {"7"}


@pytest.mark.parametrize(("table", "column"), NOT_EXCLUDABLE, ids=lambda value: value)
def test_keys_times_and_our_own_columns_cannot_be_excluded(table: str, column: str) -> None:
    """The error names the column and the reason."""
    with pytest.raises(ConfigurationError, match=rf"exclude_columns: {table}\.{column}: "):
        read_columns([f"{table}.{column}"])


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("users.emailaddress", "did you mean email_address"),
        ("call_participant.name", "did you mean call_participants"),
        ("email_address", "table.column"),
        ("user_history.title", "exclude users.title"),
        ("calls.is_private", "the runs need it"),
        ("calls.call_time", "the runs need it"),
        ("users.", "table.column"),
    ],
)
def test_wrong_column_is_named_with_the_nearest_one(written: str, hint: str) -> None:
    """Before anything is loaded."""
    with pytest.raises(ConfigurationError, match=hint):
        resolve_without_key(exclude_columns=written)


@pytest.mark.parametrize(
    "written",
    [
        "users.title, calls.title",
        ["users.title", "calls.title"],
        '["users.title", "calls.title"]',
        ("calls.title", "users.title"),
    ],
)
def test_forms_of_the_list(written: Any) -> None:
    """A list, text with commas, or a list as JSON, as an environment holds it."""
    assert read_columns(written) == {("users", "title"), ("calls", "title")}
    assert resolve_without_key(exclude_columns=written).privacy.excluded == read_columns(written)


@pytest.mark.parametrize("written", ["users.title, calls.title", '["users.title", "calls.title"]'])
def test_list_in_the_environment_is_read_by_commands_and_source(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    """Both read the same setting; the source refuses a wrong one when it is built."""
    monkeypatch.setenv("SOURCES__GONG__EXCLUDE_COLUMNS", written)
    monkeypatch.setenv("SOURCES__GONG__CREDENTIALS__ACCESS_KEY", "a")
    monkeypatch.setenv("SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET", "b")
    assert resolve_without_key().privacy.excluded == {("users", "title"), ("calls", "title")}
    assert gong().resources.keys() == RESOURCES.keys()
    monkeypatch.setenv("SOURCES__GONG__EXCLUDE_COLUMNS", "users.titel")
    with pytest.raises(ConfigurationError, match="did you mean title"):
        gong()


def participants(privacy: Privacy, *parties: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Any]:
    """The participants of a call, its CRM objects, and the extra of its details."""
    tables = tables_of(privacy, CALL_DETAILS, DETAILS | {"parties": list(parties)})
    people, objects = tables["call_participants"].to_pylist(), tables["call_crm_objects"].to_pylist()
    return people, objects, tables["call_details"]["extra"].to_pylist()[0]


@pytest.mark.parametrize("affiliation", ["External", "Unknown", None, "internal", 5])
def test_personal_data_of_people_outside_is_dropped(affiliation: Any) -> None:
    """Name, address, number, title, unknown fields, and what the CRM has of the person; ids and the rest stay."""
    odd = {"affiliation": affiliation, "linkedIn": "SECRET", "methods": ["Invitee", "SECRET"]}
    people, objects, extra = participants(Privacy(personal_data="drop"), BOB | odd, ANN)
    bob, ann = people
    hidden = ("name", "email_address", "phone_number", "title", "extra")
    assert [bob[name] for name in hidden] == [None] * 5
    assert (bob["party_id"], bob["user_id"], bob["speaker_id"]) == ("party-bob", "user-bob", "speaker-bob")
    assert (bob["is_invitee"], bob["is_attendee"]) == (True, False)
    assert (ann["name"], ann["email_address"]) == ("Ann Inside", BOB["emailAddress"])
    found = {row["party_id"]: (row["object_id"], row["fields"], row["extra"]) for row in objects}
    assert found == {
        None: ("object-call", '{"Name":"Acme"}', None),
        "party-bob": ("object-bob", None, None),
        "party-ann": ("object-bob", '{"Email":"bob-in-crm"}', None),
    }
    assert extra is None
    assert "SECRET" not in str((people, objects))


def test_personal_data_is_hashed_with_the_key() -> None:
    """HMAC-SHA256; an address or number that is written differently has the same hash."""
    privacy = Privacy(personal_data="hash", key="the key")
    people, _, _ = participants(
        privacy, BOB, BOB | {"emailAddress": "bob@example.COM", "phoneNumber": 15550100199}, ANN
    )

    def keyed(text: str) -> str:
        return hmac.new(b"the key", text.encode(), hashlib.sha256).hexdigest()

    for bob in people[:2]:
        assert bob["email_address"] == keyed("bob@example.com")
        assert bob["phone_number"] == keyed("15550100199")
        assert (bob["name"], bob["title"]) == (keyed("Bob Bold"), keyed("Head of Bobs"))
    assert people[2]["name"] == "Ann Inside"
    other, _, _ = participants(Privacy(personal_data="hash", key="another"), BOB)
    assert other[0]["name"] != people[0]["name"]


def test_empty_values_have_no_hash() -> None:
    """Else all people without a number would be one person."""
    privacy = Privacy(personal_data="hash", key="k")
    people, _, _ = participants(privacy, BOB | {"phoneNumber": "n/a", "emailAddress": "  ", "name": "", "title": None})
    assert [people[0][name] for name in ("phone_number", "email_address", "name", "title")] == [None] * 4


@pytest.mark.parametrize("mode", ["hash", "drop"])
@pytest.mark.parametrize("field", ["id", "userId", "speakerId", "name", "emailAddress", "title", "phoneNumber"])
@pytest.mark.parametrize("odd", [{"odd": "SECRET"}, ["SECRET"], "SECRET\0", True, 1.5], ids=str)
def test_odd_values_of_people_outside_stay_nowhere(mode: str, field: str, odd: Any) -> None:
    """What fits no column would go to an extra: of the person, of the object, or of the call."""
    party = BOB | {field: odd, "context": [{"system": odd, "objects": ["SECRET", {"objectId": odd, "more": "SECRET"}]}]}
    people, objects, extra = participants(Privacy(personal_data=mode, key="k"), party, "SECRET")
    assert len(people) == 2
    assert [row["extra"] for row in [*people, *objects]] == [None] * (len(people) + len(objects))
    assert extra is None


@pytest.mark.parametrize(
    "parties",
    [
        "SECRET",
        {"name": "SECRET"},
        [BOB | {"context": "SECRET"}],
        [BOB | {"context": ["SECRET", {"system": "SECRET"}, {"objects": "SECRET"}]}],
        [BOB | {"context": [{"objects": [{"fields": "SECRET"}], "more": "SECRET"}]}],
    ],
)
def test_other_shapes_of_people_outside_stay_nowhere(parties: Any) -> None:
    """Where Gong sends something else than a list of people, nobody can know whose it is."""
    tables = tables_of(Privacy(personal_data="drop"), CALL_DETAILS, DETAILS | {"parties": parties})
    assert "SECRET" not in shown(tables)
    assert tables["call_details"]["extra"].to_pylist() == [None]


def test_long_number_as_id_of_a_person_outside_keeps_its_digits() -> None:
    """The fast parser makes a float of it, so the page is parsed exactly."""
    people, _, _ = participants(Privacy(personal_data="drop"), BOB | {"id": 12345678901234567890123})
    assert people[0]["party_id"] == "12345678901234567890123"


def test_private_call_is_dropped_except_for_its_place() -> None:
    """The row stays for the counts; the other call of the page is untouched."""
    private = CALL | {"id": "6", "isPrivate": True, "more": "SECRET"}
    page = page_of(private, CALL | {"more": "x"})
    batch = read_batch(CALLS, [page], DAY, Rule(), Privacy(drops_private=True))
    plain = read_batch(CALLS, [page], DAY, Rule()).table.to_pylist()
    row, other = batch.table.to_pylist()
    assert row == {name: value if name in KEPT_OF_PRIVATE else None for name, value in plain[0].items()}
    assert {name for name, value in row.items() if value is not None} == set(KEPT_OF_PRIVATE)
    assert other == plain[1]
    assert batch.unmapped == 1


def test_stored_rows_that_are_loaded_again_are_cleaned() -> None:
    """A deleted record is loaded once more with what was stored of it before the setting."""
    row = {"id": "8", "title": "SECRET", "first_name": "Ann", "deleted_at": DAY.start}
    (cleaned,) = Privacy(read_columns("users.title")).clean_rows(USERS.table, [row])
    assert cleaned == row | {"title": None}
    call = {"id": "7", "title": "SECRET", "is_private": True, "deleted_at": DAY.start}
    (cleaned,) = Privacy(drops_private=True).clean_rows(CALLS.table, [call])
    assert cleaned == call | {"title": None}


@pytest.mark.parametrize("key", [None, "", "  "])
def test_hash_needs_a_key(key: str | None) -> None:
    """The error says what to set."""
    with pytest.raises(ConfigurationError, match="SOURCES__GONG__PERSONAL_DATA_KEY"):
        resolve_without_key(personal_data="hash", personal_data_key=key)


@pytest.mark.parametrize(
    ("setting", "value"), [("personal_data", "remove"), ("private_calls", "none"), ("personal_data", "Hash")]
)
def test_unknown_value_is_refused_with_the_known_ones(setting: str, value: str) -> None:
    """The error lists them."""
    with pytest.raises(ConfigurationError, match="choose keep, "):
        resolve_without_key(**{setting: value})


def test_key_is_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the object that carries it, nor in an error about another setting."""
    monkeypatch.setenv("SOURCES__GONG__PERSONAL_DATA_KEY", "very-secret")
    monkeypatch.setenv("SOURCES__GONG__PERSONAL_DATA", "hash")
    settings = resolve_settings(credentials={"access_key": "a", "access_key_secret": "b"})
    assert settings.privacy.key == "very-secret"
    assert "very-secret" not in repr(settings.privacy)
    assert isinstance(settings, GongSettings)
    with pytest.raises(ConfigurationError) as error:
        resolve_without_key(exclude_columns="a.b")
    assert "very-secret" not in str(error.value)
