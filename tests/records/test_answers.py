"""Whichever way an answer is read, the content of its calls is the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gong_source.api.client import LazyRecords, Page
from gong_source.api.responses import loads
from gong_source.errors import RecordError
from gong_source.records.answers import AnswerReader, text_totals
from gong_source.records.privacy import KEEP_ALL, Privacy, read_columns
from gong_source.resources.transcripts import TRANSCRIPTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gong_source.records.answers import Content

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ASKED = ["1", "2", "3", "4"]
TIMES = {call_id: NOON + timedelta(hours=hour) for hour, call_id in enumerate(ASKED)}
KEY = "callTranscripts"


def reader(privacy: Privacy = KEEP_ALL) -> AnswerReader:
    """A reader for answers about these calls."""
    return AnswerReader([TRANSCRIPTS], TIMES, privacy=privacy)


def page_of(body: bytes, *, quick: bool) -> Page:
    """The page that the client makes of a body; with `quick`, read by Arrow if it can."""
    read = reader().quick
    assert read is not None
    found = read(body) if quick else None
    if found is None:
        return Page(loads(body)[KEY], None, None, "r", KEY, body)
    return Page(LazyRecords(body, KEY), None, None, "r", KEY, body, found.columns)


def contents(bodies: Sequence[bytes], *, quick: bool, privacy: Privacy = KEEP_ALL) -> Content | str:
    """What an answer of these pages holds, or the error."""
    try:
        (content,) = reader(privacy)(ASKED, [page_of(body, quick=quick) for body in bodies])
    except RecordError as error:
        return str(error)
    return content


def same(one: Content | str, two: Content | str) -> bool:
    """Whether both have the same rows, ids, hashes and complete calls, or the same error."""
    if isinstance(one, str) or isinstance(two, str):
        return one == two
    names = one.family.children.keys() | two.family.children.keys()
    return (
        (one.ids, one.hashes, one.complete) == (two.ids, two.hashes, two.complete)
        and one.family.unmapped == two.family.unmapped
        and one.family.root.equals(two.family.root)
        and all(one.family.children[name].equals(two.family.children[name]) for name in names)
    )


def call(call_id: Any, *texts: Any, **more: Any) -> dict[str, Any]:
    """A transcript with one monologue."""
    spoken = [{"start": number, "end": number + 1, "text": text} for number, text in enumerate(texts)]
    return {"callId": call_id, "transcript": [{"speakerId": "s", "topic": None, "sentences": spoken}], **more}


def body_of(*records: Any) -> bytes:
    """An answer with these records."""
    return json.dumps({"requestId": "r", "records": {"totalRecords": len(records)}, KEY: records}).encode()


ids = st.sampled_from([*ASKED, "5", "", 1, 2, None, "\x01"]) | st.sampled_from(ASKED)
odd = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.just({}), st.just([]), st.just([None]))
text = st.text(max_size=4) | st.none()
sentence = st.fixed_dictionaries({}, optional={"start": st.integers(-5, 5), "end": st.none(), "text": text})
monologue = st.fixed_dictionaries(
    {}, optional={"speakerId": text, "topic": text, "sentences": st.lists(sentence, max_size=3) | st.none()}
)
unusual = st.fixed_dictionaries({}, optional={"sentences": odd, "text": odd, "new": odd, "speakerId": odd})
talk = st.lists(st.one_of(monologue, monologue, monologue, unusual, odd), max_size=3)
record = st.fixed_dictionaries(
    {"callId": ids},
    optional={"transcript": talk, "metaData": st.fixed_dictionaries({"isPrivate": st.booleans()})},
)
usual = st.fixed_dictionaries(
    {"callId": st.sampled_from(ASKED)}, optional={"transcript": st.lists(monologue, max_size=2)}
)
answers = st.lists(st.lists(usual | usual | usual | record, max_size=3), min_size=1, max_size=3)


@settings(max_examples=400, deadline=None, suppress_health_check=[*HealthCheck])
@given(pages=answers, hidden=st.booleans())
def test_both_ways_give_the_same(pages: list[list[Any]], hidden: bool) -> None:
    """Also with odd ids, ids twice or not asked for, private calls, several pages, and excluded columns."""
    excluded = "transcript_sentences.topic,transcript_sentences.text" if hidden else ""
    privacy = Privacy(read_columns(excluded))
    bodies = [body_of(*records) for records in pages]
    assert same(contents(bodies, quick=True, privacy=privacy), contents(bodies, quick=False, privacy=privacy))


def test_usual_answer_is_read_without_python_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing asks for the records of the pages."""
    monkeypatch.delattr(LazyRecords, "__getitem__")
    monkeypatch.setattr(Page, "exact_records", None)
    bodies = [body_of(call("2", "Hello there.", None), call("1")), body_of(call("4", "x"))]
    content = contents(bodies, quick=True)
    assert not isinstance(content, str)
    assert (content.ids, content.complete) == (["2", "1", "4"], {"1", "2", "4"})
    (sentences,) = content.family.children.values()
    assert sentences["call_time"].to_pylist() == [TIMES["2"], TIMES["2"], TIMES["1"], TIMES["4"]]
    assert text_totals(sentences) == {"2": (1, 2), "4": (1, 1)}


@pytest.mark.parametrize(
    "neighbour", [call("2", "a\0b"), call("2", 10**30), call("2", "x", new=1), call(2, "x"), call("5", "x")]
)
def test_hash_does_not_depend_on_the_neighbours(neighbour: Any) -> None:
    """Beside a call that needs the exact parser, a call has the hash that it has alone."""
    alone = contents([body_of(call("1", "Hello.", None))], quick=True)
    beside = contents([body_of(neighbour, call("1", "Hello.", None))], quick=True)
    assert not isinstance(alone, str)
    assert not isinstance(beside, str)
    assert beside.hashes["1"] == alone.hashes["1"]


def test_of_two_records_with_one_id_the_last_counts() -> None:
    """On one page, and on two."""
    for bodies in ([body_of(call("1", "a"), call("1", "b"))], [body_of(call("1", "a")), body_of(call("1", "b"))]):
        content = contents(bodies, quick=True)
        assert not isinstance(content, str)
        assert content.family.children["transcript_sentences"]["text"].to_pylist() == ["b"]
