"""Records with lists inside become the rows of several tables, and nothing of them is lost."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gong_source.api.client import Page
from gong_source.api.responses import loads
from gong_source.records.children import Family, read_families, read_families_fast
from gong_source.records.children import family_of as family_of_levels
from gong_source.records.quick import quick_levels, quick_reader
from gong_source.records.rows import arrow_schema
from gong_source.resources.conversations import child, header
from gong_source.resources.declare import CallIds, Column, Resource, Rows
from gong_source.resources.details import CALL_CONTENT, CALL_DETAILS
from gong_source.resources.transcripts import TRANSCRIPTS

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
# What the real resources do not use: objects inside elements, times, flags and picks of elements, a list two objects
# deep, and a value that only outer columns hold.
MIXED = replace(
    TRANSCRIPTS,
    table=header("mixed", "", "callId", (Column("minutes", "double", "", "a.minutes"),)),
    children=(
        child(
            "parts",
            "",
            (
                Column("part_id", "text", "", "id"),
                Column("city", "text", "", "place.city"),
                Column("at", "timestamp", "", "at"),
                Column("is_good", "bool", "", "isGood"),
                Column("size", "double", "", "size"),
                Column("count", "bigint", "", "count"),
                Column("tags", "json", "", "tags"),
                Column("is_red", "bool", "", "colours[=red]"),
                Column("first", "text", "", "items[name=first].value"),
                Column("zone", "text", "", None),
            ),
            Rows("a.b.parts[]", (("zone", "a.zone"),), empty_too=True),
        ),
        child(
            "items",
            "",
            (
                Column("name", "text", "", "name"),
                Column("value", "text", "", "value"),
                Column("city", "text", "", None),
                Column("colour", "text", "", None),
                Column("number", "bigint", "", None),
            ),
            Rows(
                "a.b.parts[].items[]",
                (
                    ("city", "a.b.parts[].place.city"),
                    ("colour", "a.b.parts[].colour"),
                    ("number", "a.b.parts[].items[]"),
                ),
            ),
        ),
        child(
            "notes",
            "",
            (Column("note", "text", "", "note"), Column("colour", "text", "", None)),
            Rows("a.b.parts[].notes[]", (("colour", "a.b.parts[].colour"),)),
        ),
    ),
)
# What Arrow can read alone, beyond what transcripts have: objects, several lists, an outer value without a row.
SIMPLE = replace(
    TRANSCRIPTS,
    select=CallIds(awaited="a.groups"),
    table=header("simple", "", "callId", (Column("title", "text", "", "a.title"), Column("size", "bigint", "", "n"))),
    children=(
        child(
            "members",
            "",
            (
                Column("name", "text", "", "name"),
                Column("is_good", "bool", "", "b.isGood"),
                Column("group", "text", "", None),
                Column("number", "bigint", "", None),
            ),
            Rows("a.groups[].in.members[]", (("group", "a.groups[].name"), ("number", "a.groups[]")), empty_too=True),
        ),
        child("notes", "", (Column("note", "text", "", "note"),), Rows("notes[]")),
    ),
)
RESOURCES = [CALL_DETAILS, CALL_CONTENT, TRANSCRIPTS, MIXED, SIMPLE]
QUICK = [TRANSCRIPTS, SIMPLE]


def same(one: Family, other: Family) -> bool:
    """Whether both have the same tables, with the same types."""
    return (
        one.unmapped == other.unmapped
        and one.root.equals(other.root)
        and one.children.keys() == other.children.keys()
        and all(table.equals(other.children[name]) for name, table in one.children.items())
    )


def both(resource: Resource, body: bytes) -> tuple[Family, Family | None]:
    """What the page with this JSON list of records becomes, read exactly and fast."""
    page = Page(loads(body), None, None, "", "x", b'{"x": ' + body + b"}")
    times = [NOON + timedelta(hours=hour) for hour in range(len(page.records))]
    return read_families(resource, page.exact_records(), times), read_families_fast(resource, page.records, times)


def quickly(resource: Resource, body: bytes) -> Family | None:
    """What the same page becomes without Python's objects; None if it is not read so."""
    read = quick_reader([resource])
    found = read(b'{"%b": %b}' % (resource.endpoint.list_key.encode(), body)) if read else None
    levels = None if found is None else quick_levels(resource, found.columns, ())
    if found is None or levels is None:
        return None
    return family_of_levels(resource, levels, [NOON + timedelta(hours=hour) for hour in range(len(found.columns))])


def family_of(resource: Resource, *records: Any, raw: str | None = None) -> Family:
    """The tables of these records, or of the JSON text of a list; the faster ways must give the same or nothing."""
    body = (json.dumps(list(records)) if raw is None else raw).encode()
    family, fast = both(resource, body)
    assert fast is None or same(fast, family)
    quick = quickly(resource, body)
    assert quick is None or same(quick, family)
    return family


def rows_of(family: Family, name: str) -> list[dict[str, Any]]:
    """The rows of a child table."""
    rows: list[dict[str, Any]] = family.children[name].to_pylist()
    return rows


def extra_of(row: dict[str, Any]) -> Any:
    """What `extra` of a row has."""
    return None if row["extra"] is None else json.loads(row["extra"])


def details(**more: Any) -> dict[str, Any]:
    """A call of `call_details`."""
    return {"metaData": {"id": "7"}, **more}


def content(**more: Any) -> dict[str, Any]:
    """A call of `call_content` with this content."""
    return {"metaData": {"id": "7"}, "content": more}


def transcript(*monologues: Any) -> dict[str, Any]:
    """A call of `transcripts`."""
    return {"callId": "7", "transcript": list(monologues)}


def mixed(*parts: Any, **more: Any) -> dict[str, Any]:
    """A call of the made-up resource."""
    return {"callId": "7", "a": {"b": {"parts": list(parts)}, **more}}


# what Gong sends


def test_details_as_gong_sends_them() -> None:
    """Each list becomes the rows of its table, with the values around its elements."""
    fields = [{"name": "Amount", "value": 50000}, {"name": "Close", "value": None}]
    account = {"objectType": "Account", "objectId": "001", "fields": fields, "timing": "Now"}
    lead = {"objectType": "Lead", "objectId": "00Q", "fields": [], "timing": "Now"}
    moment = {"startTime": 61.5, "speakerId": "5"}
    record = {
        "metaData": {"id": "7"},
        "context": [{"system": "Salesforce", "objects": [account]}],
        "parties": [
            {"id": "p1", "speakerId": "5", "methods": ["Invitee"], "context": []},
            {"id": "p2", "name": "Ann", "methods": [], "context": [{"system": "HubSpot", "objects": [lead]}]},
            {"id": "p3"},
        ],
        "content": {
            "trackers": [
                {
                    "id": "t1",
                    "name": "Price",
                    "count": 3,
                    "type": "KEYWORD",
                    "occurrences": [moment],
                    "phrases": [{"phrase": "cost", "count": 1, "occurrences": [moment, moment]}],
                },
                {"id": "t2", "count": 0, "occurrences": [], "phrases": []},
            ],
            "topics": [{"name": "Intro", "duration": 30}],
            "callOutcome": {"id": "o", "category": "Won", "name": "Yes"},
        },
        "interaction": {
            "interactionStats": [{"name": "Talk Ratio", "value": 0.5}, {"name": "New", "value": 2}],
            "questions": {"companyCount": 3, "nonCompanyCount": 4},
        },
    }
    family, fast = both(CALL_DETAILS, json.dumps([record]).encode())

    assert fast is not None
    assert same(fast, family)
    assert family.unmapped == 0
    (root,) = family.root.to_pylist()
    assert (root["call_id"], root["outcome_name"], root["talk_ratio"], root["patience"]) == ("7", "Yes", 0.5, None)
    assert (root["company_questions"], root["call_time"], root["asked_at"], root["extra"]) == (3, NOON, None, None)
    people = rows_of(family, "call_participants")
    assert [(p["position"], p["party_id"], p["is_invitee"], p["is_attendee"]) for p in people] == [
        (0, "p1", True, False),
        (1, "p2", False, False),
        (2, "p3", None, None),
    ]
    objects = rows_of(family, "call_crm_objects")
    assert [(o["position"], o["party_id"], o["system"], o["object_id"], o["fields"]) for o in objects] == [
        (0, None, "Salesforce", "001", '{"Amount":50000,"Close":null}'),
        (1, "p2", "HubSpot", "00Q", "{}"),
    ]
    moments = rows_of(family, "call_tracker_occurrences")
    assert [(m["position"], m["tracker_id"], m["phrase"], m["start_seconds"]) for m in moments] == [
        (0, "t1", None, 61.5),
        (1, "t1", "cost", 61.5),
        (2, "t1", "cost", 61.5),
    ]
    assert {row["call_time"] for table in family.children.values() for row in table.to_pylist()} == {NOON}
    assert [len(family.children[n]) for n in ("call_speakers", "call_trackers", "call_video")] == [0, 2, 0]


def test_transcripts_of_several_calls() -> None:
    """Sentences are numbered within their call; a monologue without sentences has a row of its own."""
    sentence = {"start": 5, "end": 9, "text": "Hello."}
    one = transcript(
        {"speakerId": "s1", "topic": None, "sentences": [sentence, sentence]},
        {"speakerId": "s2", "topic": "Price", "sentences": []},
    )
    two = {"callId": "8", "transcript": [{"speakerId": "s3", "sentences": [sentence]}]}
    family = family_of(TRANSCRIPTS, one, {"callId": "9"}, two)

    rows = rows_of(family, "transcript_sentences")
    assert [
        (r["call_id"], r["position"], r["monologue"], r["speaker_id"], r["topic"], r["start_ms"]) for r in rows
    ] == [
        ("7", 0, 0, "s1", None, 5),
        ("7", 1, 0, "s1", None, 5),
        ("7", 2, 1, "s2", "Price", None),
        ("8", 0, 0, "s3", None, 5),
    ]
    assert [row["call_time"] for row in rows] == [NOON] * 3 + [NOON + timedelta(hours=2)]
    assert family.root.column("call_id").to_pylist() == ["7", "9", "8"]
    assert family.unmapped == 0


def test_two_lists_of_one_table_stay_with_their_record() -> None:
    """Within each record, the rows of the first list come before those of the second."""
    records = [
        {
            "metaData": {"id": call},
            "parties": [{"context": [{"objects": [{"objectId": f"{call} party"}]}]}],
            "context": [{"objects": [{"objectId": f"{call} call"}]}],
        }
        for call in ("1", "2")
    ]
    rows = rows_of(family_of(CALL_DETAILS, *records), "call_crm_objects")

    assert [row["object_id"] for row in rows] == ["1 call", "1 party", "2 call", "2 party"]
    assert [row["position"] for row in rows] == [0, 1, 0, 1]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.table.name)
def test_no_records(resource: Resource) -> None:
    """Without records, each table has its types and no rows."""
    family = family_of(resource)

    assert family.root.equals(arrow_schema(resource.table).empty_table())
    for table in resource.children:
        assert family.children[table.name].equals(arrow_schema(table).empty_table())


@pytest.mark.parametrize("parties", [None, [], "absent"])
def test_list_without_elements(parties: Any) -> None:
    """A missing list, null and an empty list are the same: no rows."""
    family = family_of(CALL_DETAILS, details() if parties == "absent" else details(parties=parties))

    assert family.children["call_participants"].num_rows == 0
    assert family.unmapped == 0


@pytest.mark.parametrize("items", [None, [], "absent"])
def test_object_around_no_elements(items: Any) -> None:
    """A section without items has one row, without a text."""
    section = {"section": "Intro", "startTime": 1.5, "duration": 20}
    record = content(outline=[section | ({} if items == "absent" else {"items": items}), {"items": [{"text": "a"}]}])
    family = family_of(CALL_CONTENT, record)

    rows = rows_of(family, "call_outline")
    assert [(r["position"], r["section"], r["section_seconds"], r["text"]) for r in rows] == [
        (0, "Intro", 20, None),
        (1, None, None, "a"),
    ]
    assert family.unmapped == 0


def test_object_around_a_list_two_objects_deep() -> None:
    """The object around the list decides: without it there is no row."""
    records = [{"callId": "1"}, {"callId": "2", "a": {"b": None}}, {"callId": "3", "a": {"b": {}, "zone": "z"}}]
    family = family_of(MIXED, *records)

    assert [(row["call_id"], row["zone"], row["extra"]) for row in rows_of(family, "parts")] == [("3", "z", None)]


def test_duplicates_and_order_are_kept() -> None:
    """Equal elements are rows of their own, in Gong's order."""
    topics = [{"name": name, "duration": 1} for name in "bab"]
    family = family_of(CALL_DETAILS, details(content={"topics": topics}))

    assert [(row["position"], row["name"]) for row in rows_of(family, "call_topics")] == [(0, "b"), (1, "a"), (2, "b")]


# what no column holds


def test_unknown_field_of_an_element() -> None:
    """It stays in the row of its element; null too, as in the records' own rows."""
    family = family_of(CALL_DETAILS, details(parties=[{"id": "1"}, {"id": "2", "pronouns": {"x": [1]}, "new": None}]))

    assert [extra_of(row) for row in rows_of(family, "call_participants")] == [
        None,
        {"pronouns": {"x": [1]}, "new": None},
    ]
    assert family.root.column("extra").to_pylist() == [None]
    assert family.unmapped == 1


def test_unknown_field_inside_an_object_of_an_element() -> None:
    """It stays in the row of its element, under the name of the object."""
    family = family_of(MIXED, mixed({"place": {"city": "Rome", "zip": 1}}, {"place": "Rome"}))

    rows = rows_of(family, "parts")
    assert [(row["city"], extra_of(row)) for row in rows] == [
        ("Rome", {"place": {"zip": 1}}),
        (None, {"place": "Rome"}),
    ]


def test_unknown_field_of_an_element_without_a_row() -> None:
    """It stays in the row of the record, and the key says where it was."""
    family = family_of(
        CALL_CONTENT, content(outline=[{"items": [{}]}, {"items": [{}]}, {"items": [{}, {}], "mood": "calm"}])
    )
    assert extra_of(family.root.to_pylist()[0]) == {"content.outline[2]": {"mood": "calm"}}
    assert {row["extra"] for row in rows_of(family, "call_outline")} == {None}

    family = family_of(CALL_DETAILS, details(parties=[{}, {"context": [{}, {"objects": [], "url": "x"}]}]))
    assert extra_of(family.root.to_pylist()[0]) == {"parties[1].context[1]": {"url": "x"}}


def test_unknown_field_of_the_record() -> None:
    """It stays in the row of the record, also inside an object that is known."""
    family = family_of(CALL_DETAILS, details(new=1, content={"newThing": {"b": 1, "a": 2}}, media=None))

    assert family.root.column("extra").to_pylist() == ['{"content":{"newThing":{"a":2,"b":1}},"media":null,"new":1}']


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"parties": "x"}, {"parties": "x"}),
        ({"parties": {"id": "1"}}, {"parties": {"id": "1"}}),
        ({"content": []}, {"content": []}),
        ({"content": 0}, {"content": 0}),
        ({"content": {"trackers": {}}}, {"content": {"trackers": {}}}),
        ({"content": {"callOutcome": [1]}}, {"content": {"callOutcome": [1]}}),
        ({"interaction": {"interactionStats": "x"}}, {"interaction": {"interactionStats": "x"}}),
    ],
    ids=str,
)
def test_list_and_object_in_each_others_place(more: Any, kept: Any) -> None:
    """The whole value stays in the row of the record, and there are no rows."""
    family = family_of(CALL_DETAILS, details(**more))

    assert extra_of(family.root.to_pylist()[0]) == kept
    assert sum(table.num_rows for table in family.children.values()) == 0
    assert family.unmapped == 1


def test_list_of_another_type_inside_an_element() -> None:
    """It stays with the element: in its row, or at its place in the row of the record."""
    family = family_of(CALL_DETAILS, details(content={"trackers": [{"id": "1", "phrases": "x"}]}))
    assert [extra_of(row) for row in rows_of(family, "call_trackers")] == [{"phrases": "x"}]

    family = family_of(TRANSCRIPTS, transcript({"sentences": []}, {"speakerId": "5", "sentences": {"text": "x"}}))
    assert extra_of(family.root.to_pylist()[0]) == {"transcript[1]": {"sentences": {"text": "x"}}}
    assert [row["speaker_id"] for row in rows_of(family, "transcript_sentences")] == [None, "5"]


@pytest.mark.parametrize("value", [None, "x", "", 0, 1.5, False, [], ["id"], [["id", "1"]]], ids=repr)
def test_element_that_is_not_an_object(value: Any) -> None:
    """It has a row without values, and `extra` is the element."""
    family = family_of(CALL_DETAILS, details(parties=[{"id": "1"}, value]))

    (_, row) = rows_of(family, "call_participants")
    assert row["extra"] == json.dumps(value, separators=(",", ":"))
    assert (row["call_id"], row["position"], row["party_id"], row["is_invitee"]) == ("7", 1, None, None)
    assert family.unmapped == 1


@pytest.mark.parametrize("value", [None, "x", 0, []], ids=repr)
def test_element_without_a_row_that_is_not_an_object(value: Any) -> None:
    """It stays at its place in the row of the record, and counts as a monologue."""
    family = family_of(TRANSCRIPTS, transcript(value, {"sentences": [{"text": "a"}]}))

    assert extra_of(family.root.to_pylist()[0]) == {"transcript[0]": value}
    assert [(row["monologue"], row["text"]) for row in rows_of(family, "transcript_sentences")] == [(1, "a")]


def test_value_around_without_a_row_to_be_in() -> None:
    """The system of a context without objects stays in the row of the record."""
    family = family_of(CALL_DETAILS, details(context=[{"system": "Generic", "objects": []}, {"objects": [{}]}]))

    assert extra_of(family.root.to_pylist()[0]) == {"context[0]": {"system": "Generic"}}
    assert [row["system"] for row in rows_of(family, "call_crm_objects")] == [None]


def test_value_around_that_does_not_fit() -> None:
    """It stays with the element that it is a field of, once."""
    family = family_of(
        CALL_DETAILS,
        details(
            content={"trackers": [{"id": [1], "occurrences": [{}, {}]}]}, context=[{"system": 5.5, "objects": [{}]}]
        ),
    )
    assert [extra_of(row) for row in rows_of(family, "call_trackers")] == [{"id": [1]}]
    assert extra_of(family.root.to_pylist()[0]) == {"context[0]": {"system": 5.5}}
    assert [(r["tracker_id"], r["extra"]) for r in rows_of(family, "call_tracker_occurrences")] == [(None, None)] * 2


def test_value_around_that_only_rows_inside_have() -> None:
    """A field that is no column of the element's own row stays there if all lists inside are empty."""
    record = mixed(
        {"colour": "red", "items": [{"name": "n"}]},
        {"colour": "blue", "items": [], "notes": []},
        {"colour": "green", "notes": [{"note": "m"}]},
        zone="z",
    )
    family = family_of(MIXED, record)

    rows = rows_of(family, "parts")
    assert [(row["zone"], extra_of(row)) for row in rows] == [("z", None), ("z", {"colour": "blue"}), ("z", None)]
    assert [(row["colour"], row["number"]) for row in rows_of(family, "items")] == [("red", 0)]
    assert [row["colour"] for row in rows_of(family, "notes")] == ["green"]


# values


@pytest.mark.parametrize(
    ("raw", "column", "value", "kept"),
    [
        ('"id": 12345678901234567890123', "part_id", "12345678901234567890123", None),
        ('"id": 5', "part_id", "5", None),
        ('"id": true', "part_id", None, {"id": True}),
        ('"id": "a\\u0000b"', "part_id", "a?b", {"id": "a\0b"}),
        ('"id": "a\\ud83d"', "part_id", "a?", {"id": "a\ud83d"}),
        ('"at": "2026-01-05T10:00:00.5+02:00"', "at", datetime(2026, 1, 5, 8, 0, 0, 500_000, tzinfo=UTC), None),
        ('"at": "2026-01-05T10:00:00"', "at", None, {"at": "2026-01-05T10:00:00"}),
        ('"at": 5', "at", None, {"at": 5}),
        (
            '"at": "2026-01-05T10:00:00.1234567Z"',
            "at",
            datetime(2026, 1, 5, 10, 0, 0, 123_456, tzinfo=UTC),
            {"at": "2026-01-05T10:00:00.1234567Z"},
        ),
        ('"isGood": 1', "is_good", None, {"isGood": 1}),
        ('"isGood": true', "is_good", True, None),
        ('"count": true', "count", None, {"count": True}),
        ('"count": 1.0', "count", None, {"count": 1.0}),
        ('"count": 9223372036854775807', "count", 2**63 - 1, None),
        ('"count": 9223372036854775808', "count", None, {"count": 2**63}),
        ('"count": 98765432109876543210987', "count", None, {"count": 98765432109876543210987}),
        ('"size": true', "size", None, {"size": True}),
        ('"size": 3', "size", 3.0, None),
        ('"size": 9007199254740992', "size", 2.0**53, None),
        ('"size": 9007199254740993', "size", 2.0**53, {"size": 2**53 + 1}),
        ('"size": 1152921504606846976', "size", 2.0**60, None),
        ('"size": 18446744073709551616', "size", 2.0**64, None),
        ('"size": 18446744073709551617', "size", 2.0**64, {"size": 2**64 + 1}),
        (f'"size": 1{"0" * 400}', "size", None, {"size": 10**400}),
        ('"size": 1e400', "size", None, {"size": "1e400"}),
        ('"size": NaN', "size", None, {"size": "NaN"}),
        ('"size": -9223372036854775809', "size", -(2.0**63), {"size": -(2**63) - 1}),
        ('"new": -9223372036854775809', "part_id", None, {"new": -(2**63) - 1}),
        ('"tags": [98765432109876543210987]', "tags", "[98765432109876543210987]", None),
        ('"tags": [NaN, {"a": 1e400}]', "tags", '["NaN",{"a":"1e400"}]', None),
        ('"tags": "\\u0000"', "tags", '"\\u0000"', None),
        ('"new": 98765432109876543210987', "part_id", None, {"new": 98765432109876543210987}),
        ('"new": [1, {"a": 98765432109876543210987}]', "part_id", None, {"new": [1, {"a": 98765432109876543210987}]}),
    ],
)
def test_values(raw: str, column: str, value: Any, kept: Any) -> None:
    """A column holds what fits it exactly; `extra` has the rest, with every digit."""
    family = family_of(MIXED, raw=f'[{{"callId": "7", "a": {{"b": {{"parts": [{{"count": 1}}, {{{raw}}}]}}}}}}]')

    (_, row) = rows_of(family, "parts")
    assert (row[column], extra_of(row)) == (value, kept)
    assert type(row[column]) is type(value)


@pytest.mark.parametrize(
    ("fields", "column", "is_kept"),
    [
        (None, None, False),
        ([], {}, False),
        ([{"name": "b", "value": [1]}, {"name": "a"}], {"a": None, "b": [1]}, False),
        ([{"name": "a", "value": 1}, {"name": "a", "value": 2}], {"a": 2}, True),
        ([{"name": "a", "value": 1, "label": "A"}], {"a": 1}, True),
        ([{"name": 5, "value": 1}, {"name": "a", "value": 1}], {"a": 1}, True),
        ([{"value": 1}, None, "x"], {}, True),
        ({"a": 1}, None, True),
        ("x", None, True),
    ],
    ids=str,
)
def test_pairs(fields: Any, column: Any, is_kept: bool) -> None:
    """Names and values are one JSON object; what that cannot hold stays in `extra` as a whole."""
    family = family_of(CALL_DETAILS, details(context=[{"objects": [{"fields": fields}]}]))

    (row,) = rows_of(family, "call_crm_objects")
    assert row["fields"] == (None if column is None else json.dumps(column, sort_keys=True, separators=(",", ":")))
    assert extra_of(row) == ({"fields": fields} if is_kept else None)


def test_pair_with_a_large_number() -> None:
    """A number inside keeps every digit."""
    record = details(context=[{"objects": [{"fields": [{"name": "a", "value": 123456789012345678901}]}]}])
    (row,) = rows_of(family_of(CALL_DETAILS, record), "call_crm_objects")

    assert row["fields"] == '{"a":123456789012345678901}'


@pytest.mark.parametrize(
    ("methods", "flags", "is_kept"),
    [
        (None, (None, None), False),
        ([], (False, False), False),
        (["Attendee", "Invitee"], (True, True), False),
        (["Invitee", "Host"], (True, False), True),
        (["Invitee", None], (True, False), True),
        ([["Invitee"], {}], (False, False), True),
        ("Invitee", (None, None), True),
    ],
    ids=str,
)
def test_flags(methods: Any, flags: Any, is_kept: bool) -> None:
    """Each text of the list has its column; a list with anything else stays in `extra` too."""
    family = family_of(CALL_DETAILS, details(parties=[{"methods": methods}]))

    (row,) = rows_of(family, "call_participants")
    assert (row["is_invitee"], row["is_attendee"]) == flags
    assert extra_of(row) == ({"methods": methods} if is_kept else None)


def test_picks() -> None:
    """The first object with the name counts. What does not fit stays in the object's own row."""
    stats = [
        {"name": "Other", "value": 9},
        None,
        {"name": "Talk Ratio", "value": 0.25},
        {"name": "Talk Ratio", "value": 0.5},
        {"name": "Patience", "value": "long"},
        {"name": "Patience", "value": 3},
        {"name": ["Interactivity"], "value": 3},
    ]
    records = [details(interaction={"interactionStats": stats}), {"metaData": {"id": "8"}, "interaction": {}}]
    family = family_of(CALL_DETAILS, *records)

    first, second = family.root.to_pylist()
    assert (first["talk_ratio"], first["patience"], first["interactivity"]) == (0.25, None, None)
    assert second["talk_ratio"] is None
    assert first["extra"] is None
    rows = rows_of(family, "call_interaction_stats")
    assert [extra_of(row) for row in rows] == [None] * 4 + [{"value": "long"}, None, {"name": ["Interactivity"]}]


def test_picks_of_elements() -> None:
    """An element of a list may pick from a list of its own."""
    items = [{"name": "first", "value": "a"}, {"name": "first", "value": "b"}]
    family = family_of(MIXED, mixed({"items": []}, {"items": items}, {"items": items[1:]}))

    assert [row["first"] for row in rows_of(family, "parts")] == [None, "a", "b"]


def test_long_texts() -> None:
    """A sentence of a megabyte is kept whole."""
    texts = ["a" * 2**20, "é" * 2**20]
    family = family_of(TRANSCRIPTS, transcript({"sentences": [{"text": text} for text in texts]}))

    assert family.children["transcript_sentences"].column("text").to_pylist() == texts


@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
@pytest.mark.parametrize("field", ["new", "text", "start"])
def test_deep_values(brackets: tuple[str, str], field: str) -> None:
    """As deep as the parser reads, a value is kept."""
    deep = brackets[0] * 1000 + "1.5" + brackets[1] * 1000
    raw = f'[{{"callId": "7", "transcript": [{{"sentences": [{{"{field}": {deep}}}]}}]}}]'
    (row,) = rows_of(family_of(TRANSCRIPTS, raw=raw), "transcript_sentences")

    assert row["extra"] == f'{{"{field}":{deep}}}'


# any record: checked by a reference of its own

Node = dict[str, Any]  # by name: a Column, a Node for an object, or a list of one Node for a list


def node_of(resource: Resource) -> Node:
    """The fields that the declarations name, nested as in a record."""
    columns = [(column.field, column) for column in resource.table.columns]
    for table in resource.children:
        by_name = {column.name: column for column in table.columns}
        for rows in table.rows:
            columns += [(f"{rows.path}.{column.field}", column) for column in table.columns if column.field]
            columns += [(source, by_name[name]) for name, source in rows.outer if not source.endswith("[]")]
    node: Node = {}
    for path, column in columns:
        *outer, name = re.sub(r"\[=.*", "", path or "").split(".")
        if "=" in f"{outer}" or not name:
            continue
        inner = node
        for part in outer:
            found = inner.setdefault(part.removesuffix("[]"), [{}] if part.endswith("[]") else {})
            inner = found[0] if isinstance(found, list) else found
        inner.setdefault(name, column)
    return node


NODES = {resource.table.name: node_of(resource) for resource in RESOURCES}

integers = st.integers() | st.integers(-(2**80), 2**80)
numbers = integers | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(), max_size=8) | st.sampled_from(["Talk Ratio", "first", "5"])
leaves = st.one_of(st.none(), st.booleans(), numbers, texts)
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2), max_leaves=4
)
storable = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
exact = st.floats(-1e18, 1e18) | st.integers(-(2**53), 2**53)
usable: dict[str, st.SearchStrategy[Any]] = {
    "text": storable | st.sampled_from(["Talk Ratio", "first"]),
    "timestamp": st.datetimes().map(lambda at: at.replace(year=2026).isoformat() + "+02:00"),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "double": exact,
    "bool": st.booleans(),
    "json": st.lists(exact | storable, max_size=2),
    "pairs": st.dictionaries(storable, st.booleans() | storable | st.integers(-9, 9), max_size=3).map(
        lambda values: [{"name": name, "value": value} for name, value in values.items()]
    ),
}


def seldom(wild: bool, usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What is usual; one time in ten anything else, or null."""
    return st.integers(0, 19).flatmap(lambda n: anything if wild and n == 1 else st.none() if n == 2 else usual)


def values_of(node: Any, *, wild: bool) -> st.SearchStrategy[Any]:
    """Values for a node: as declared, or with anything in between."""
    if isinstance(node, Column):
        flag = str(node.field).partition("[=")[2].removesuffix("]")
        return seldom(wild, st.lists(st.just(flag), max_size=2) if flag else usable[node.type])
    if isinstance(node, list):
        return seldom(wild, st.lists(elements_of(node[0], wild=wild), max_size=3))
    return seldom(wild, objects_of(node, wild=wild))


def elements_of(node: Node, *, wild: bool) -> st.SearchStrategy[Any]:
    """Elements of a list: null is not one that is as declared."""
    return values_of(node, wild=True) if wild else objects_of(node, wild=False)


def objects_of(node: Node, *, wild: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Objects for a node, some with an unknown field."""
    known = st.fixed_dictionaries({}, optional={name: values_of(inner, wild=wild) for name, inner in node.items()})
    if not wild:
        return known
    unknown = st.dictionaries(texts.filter(lambda name: name not in node), anything, max_size=1)
    return st.builds(lambda some, more: {**some, **more}, known, st.just({}) | unknown)


def with_ids(resource: Resource, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records with usable ids."""
    *outer, name = str(resource.table.columns[0].field).split(".")
    for number, record in enumerate(records):
        at = record
        for part in outer:
            at[part] = at[part] if isinstance(at.get(part), dict) else {}
            at = at[part]
        at[name] = str(number)
    return records


def strict(value: Any) -> str:
    """Makes values differ that are equal in Python, such as 1 and True."""
    return json.dumps(value, sort_keys=True)


def at(value: Any, path: str) -> Any:
    """The value of a field; None if it is missing."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def holds(stored: Any, value: Any) -> bool:
    """Whether a column holds all of a value that Gong sent."""
    if isinstance(stored, datetime):
        return isinstance(value, str) and datetime.fromisoformat(value) == stored
    if isinstance(stored, str):
        return type(value) in {str, int} and str(value) == stored
    return type(value) in ({int, float} if isinstance(stored, float) else {type(stored)}) and bool(stored == value)


def check_row(node: Node, columns: dict[str, Column], element: Any, row: dict[str, Any]) -> None:
    """Each field of an element is in its column, or in `extra` at its place; nothing else is in a column."""
    extra = extra_of(row)
    if not isinstance(element, dict):
        assert strict(json.loads(row["extra"])) == strict(element)
        element = {}
    for path, column in columns.items():
        value = at(element, path)
        if "=" not in path and column.type not in {"json", "pairs"}:
            assert (
                row[column.name] is None
                if value is None
                else holds(row[column.name], value) or (strict(at(extra, path)) == strict(value))
            )
    for name in element.keys() - node.keys():
        assert strict(extra[name]) == strict(element[name])


def rows_in(node: Node, value: Any, path: str, empty_too: set[str]) -> Iterator[tuple[str, Node, Any]]:
    """The elements of all lists in a value, in order, with the path of their list; {} stands for none of them."""
    for name, inner in node.items() if isinstance(value, dict) else ():
        here, found = f"{path}.{name}".removeprefix("."), value.get(name)
        if isinstance(inner, dict):
            yield from rows_in(inner, found, here, empty_too)
        elif isinstance(inner, list):
            here += "[]"
            for element in (found if isinstance(found, list) else None) or [{}] * (here in empty_too):
                yield here, inner[0], element
                yield from rows_in(inner[0], element, here, empty_too)


def leaves_of(value: Any) -> Iterator[Any]:
    """All values inside that are not null, a list or an object."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from leaves_of(inner)
    elif value is not None:
        yield value


def check_record(resource: Resource, record: dict[str, Any], root: dict[str, Any], family: Family) -> None:
    """The rows of a record are those of its elements, and have all of its values."""
    node = NODES[resource.table.name]
    check_row(node, resource.table.fields, record, root)
    all_rows = [root]
    empty_too = {rows.path for table in resource.children for rows in table.rows if rows.empty_too}
    elements = list(rows_in(node, record, "", empty_too))
    for table in resource.children:
        rows = [row for row in rows_of(family, table.name) if row["call_id"] == root["call_id"]]
        assert [row["position"] for row in rows] == list(range(len(rows)))
        assert {row["call_time"] for row in rows} <= {root["call_time"]}
        expected = [found for part in table.rows for found in elements if found[0] == part.path]
        for (_, inner, element), row in zip(expected, rows, strict=True):
            check_row(inner, table.fields, element, row)
        all_rows += rows
    stored = [value for row in all_rows for value in row.values()]
    kept = [leaf for text in stored if isinstance(text, str) and text[:1] in {*'{["'} for leaf in leaves_in(text)]
    kept += [
        name for row in all_rows for name, value in (("Invitee", "is_invitee"), ("red", "is_red")) if row.get(value)
    ]
    kept += [name for row in all_rows for name, value in (("Attendee", "is_attendee"),) if row.get(value)]
    kept += [leaf for row in all_rows if row["extra"] is not None for leaf in leaves_of(extra_of(row))]
    known = set(map(strict, kept))
    texts_stored = {value for value in stored if isinstance(value, str)}
    others = [value for value in stored if value is not None and not isinstance(value, str)]
    for leaf in leaves_of(record):
        assert strict(leaf) in known or f"{leaf}" in texts_stored or any(holds_leaf(value, leaf) for value in others), (
            leaf
        )


def leaves_in(text: str) -> Iterator[Any]:
    """All values and names inside a JSON text; nothing for another text."""
    try:
        value = json.loads(text)
    except ValueError:
        return
    yield from leaves_of(value)
    yield from value if isinstance(value, dict) else ()


def holds_leaf(stored: Any, leaf: Any) -> bool:
    """As `holds`, for any value and any column."""
    try:
        return holds(stored, leaf)
    except ValueError:
        return False


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.table.name)
@settings(max_examples=60, deadline=None, suppress_health_check=[*HealthCheck])
@given(data=st.data())
def test_nothing_is_lost(resource: Resource, data: st.DataObject) -> None:
    """Whatever Gong sends, each value can be found again exactly, and the faster ways give the same or nothing."""
    drawn = data.draw(st.lists(objects_of(NODES[resource.table.name], wild=True), max_size=3))
    records = with_ids(resource, drawn)
    family = family_of(resource, *records)

    roots = family.root.to_pylist()
    assert family.root.schema == arrow_schema(resource.table)
    for table in resource.children:
        assert family.children[table.name].schema == arrow_schema(table)
    for record, root in zip(records, roots, strict=True):
        check_record(resource, record, root, family)
    with_extra = {
        row["call_id"] for t in (family.root, *family.children.values()) for row in t.to_pylist() if row["extra"]
    }
    assert family.unmapped == len(with_extra)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.table.name)
@settings(max_examples=40, deadline=None, suppress_health_check=[*HealthCheck])
@given(data=st.data())
def test_records_as_declared_are_read_fast(resource: Resource, data: st.DataObject) -> None:
    """Known fields with values of their types need no exact parser, and give no `extra` but for missing rows."""
    drawn = data.draw(st.lists(objects_of(NODES[resource.table.name], wild=False), max_size=3))
    body = json.dumps(with_ids(resource, drawn)).encode()
    family, fast = both(resource, body)

    assert fast is not None
    assert same(fast, family)
    quick = quickly(resource, body)
    assert (quick is not None) == (resource in QUICK)
    assert quick is None or same(quick, family)


# pieces of JSON in the wrong place
PIECES = [*'"\\,:[]{}-+.0eE \n\té\0', "null", "true", "1", "\\u0000", "\\ud83d", "\\u00e9", "{}", "[]"]


@pytest.mark.parametrize("resource", QUICK, ids=lambda resource: resource.table.name)
@settings(max_examples=300, deadline=None, suppress_health_check=[*HealthCheck])
@given(data=st.data())
def test_damaged_text_is_read_alike_or_not_at_all(resource: Resource, data: st.DataObject) -> None:
    """Arrow's parser accepts no text that the others refuse, and reads none in another way."""
    drawn = data.draw(st.lists(objects_of(NODES[resource.table.name], wild=False), min_size=1, max_size=2))
    body = json.dumps(with_ids(resource, drawn), ensure_ascii=data.draw(st.booleans()))
    for _ in range(data.draw(st.integers(1, 3))):
        at, piece = data.draw(st.integers(0, len(body))), data.draw(st.sampled_from(PIECES))
        body = body[:at] + piece + body[at + data.draw(st.integers(0, 4)) :]
    quick = quickly(resource, body.encode())
    if quick is not None:
        key = resource.endpoint.list_key
        page = Page([], None, None, "", key, b'{"%b": %b}' % (key.encode(), body.encode()))
        exact = page.exact_records()
        assert same(quick, read_families(resource, exact, [NOON + timedelta(hours=h) for h in range(len(exact))]))
