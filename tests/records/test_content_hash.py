"""The hash of a call's content changes with anything in its rows, and with nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gong_source.records.children import Family, read_families
from gong_source.records.content_hash import content_hashes
from gong_source.resources.details import CALL_CONTENT, CALL_DETAILS
from gong_source.resources.transcripts import TRANSCRIPTS

if TYPE_CHECKING:
    from gong_source.resources.declare import Resource

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def family_of(resource: Resource, *records: dict[str, Any]) -> Family:
    """The rows of these records."""
    return read_families(resource, records, [NOON] * len(records))


def rows_of(family: Family, call_id: str) -> list[Any]:
    """All rows of a call."""
    tables = [family.root, *family.children.values()]
    return [[row for row in table.to_pylist() if row["call_id"] == call_id] for table in tables]


texts = st.sampled_from([None, "", "a", "aa", "ab", "b", " ", "\x01"])
numbers = st.sampled_from([None, 0, 1, -1])
sentences = st.fixed_dictionaries({"text": texts, "start": numbers, "end": numbers})
monologues = st.fixed_dictionaries({"speakerId": texts, "topic": texts, "sentences": st.lists(sentences, max_size=2)})
records = st.fixed_dictionaries({"transcript": st.lists(monologues, max_size=2), "new": st.sampled_from(["", "a"])})


@settings(max_examples=300, deadline=None)
@given(one=records, two=records, neighbour=records)
def test_hashes_are_equal_if_the_rows_are(one: Any, two: Any, neighbour: Any) -> None:
    """Also beside another call, whose rows have other nulls."""
    first = family_of(TRANSCRIPTS, one | {"callId": "7"})
    second = family_of(TRANSCRIPTS, neighbour | {"callId": "8"}, two | {"callId": "7"})
    same = rows_of(first, "7") == rows_of(second, "7")
    assert (content_hashes(TRANSCRIPTS, first)[0] == content_hashes(TRANSCRIPTS, second)[1]) == same


@pytest.mark.parametrize(
    ("resource", "one", "two"),
    [
        (CALL_DETAILS, {"content": {"topics": [{"duration": 1}]}}, {"content": {"topics": [{"duration": 1.5}]}}),
        (CALL_DETAILS, {"parties": [{"methods": []}]}, {"parties": [{"methods": ["Invitee"]}]}),
        (CALL_DETAILS, {"parties": [{}]}, {"parties": [{}, {}]}),
        (CALL_DETAILS, {"parties": [{"id": "1"}, {}]}, {"parties": [{}, {"id": "1"}]}),
        (CALL_DETAILS, {}, {"new": None}),
        (
            CALL_CONTENT,
            {"collaboration": {"publicComments": [{"posted": "2026-01-05T12:00:00Z"}]}},
            {"collaboration": {"publicComments": [{"posted": "2026-01-05T12:00:00.000001Z"}]}},
        ),
        (CALL_CONTENT, {"content": {"brief": "a"}}, {"content": {"brief": None}}),
    ],
)
def test_values_of_every_type_count(resource: Resource, one: Any, two: Any) -> None:
    """Each gives another hash than the other."""
    with_id = {"metaData": {"id": "7"}}
    first, second = (content_hashes(resource, family_of(resource, record | with_id)) for record in (one, two))
    assert first != second
    assert first == content_hashes(resource, family_of(resource, one | with_id))


def test_hash_stays_the_same_in_later_versions() -> None:
    """Else every call would be loaded once more after an upgrade."""
    record = {"callId": "7", "transcript": [{"speakerId": "1", "sentences": [{"start": 5, "text": "é"}]}]}
    assert content_hashes(TRANSCRIPTS, family_of(TRANSCRIPTS, record)) == ["801ad2d50bbe3b83b9c1ccc749109f96"]


def test_no_records() -> None:
    """No rows, no hashes."""
    assert content_hashes(CALL_DETAILS, family_of(CALL_DETAILS)) == []
