"""What Arrow's parser reads alone, and what it must leave to the exact one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gong_source.records.quick import quick_levels, quick_reader
from gong_source.resources.details import CALL_CONTENT, CALL_DETAILS
from gong_source.resources.transcripts import TRANSCRIPTS

SENTENCE = {"start": 5, "end": 9, "text": "Hello."}


def transcript(*sentences: str) -> str:
    """The JSON text of a call with one monologue of these sentences."""
    return (
        f'{{"callId": "7", "transcript": [{{"speakerId": "1", "topic": null, "sentences": [{", ".join(sentences)}]}}]}}'
    )


def body_of(records: str, more: str = "") -> bytes:
    """An answer with these records."""
    return f'{{"requestId": "r", {more} "callTranscripts": {records}}}'.encode(errors="surrogatepass")


def is_read(body: bytes) -> bool:
    """Whether the body is read without the exact parser."""
    read = quick_reader([TRANSCRIPTS])
    assert read is not None
    found = read(body)
    return found is not None and quick_levels(TRANSCRIPTS, found.columns, ()) is not None


def test_what_gong_says_about_the_list_is_known() -> None:
    """Total, page cursor and request id; unknown fields beside the list do not matter."""
    about = '"records": {"totalRecords": 250, "currentPageSize": 100, "cursor": "abc", "new": [1]}, "newer": "x",'
    read = quick_reader([TRANSCRIPTS])
    assert read is not None
    found = read(body_of(f"[{transcript(json.dumps(SENTENCE))}]", about))
    assert found is not None
    assert found.payload["requestId"] == "r"
    about_list = found.payload["records"]
    assert (about_list["totalRecords"], about_list["cursor"]) == (250, "abc")
    bare = read(b'{"callTranscripts": []}')
    assert bare is not None
    assert (bare.payload, len(bare.columns)) == ({"requestId": None, "records": None}, 0)


@pytest.mark.parametrize("resources", [[CALL_DETAILS], [CALL_CONTENT], [CALL_DETAILS, CALL_CONTENT]])
def test_resources_with_other_columns_are_parsed(resources: list[Any]) -> None:
    """Numbers with fractions, JSON, times and picked values are not read in the same way by Arrow."""
    assert quick_reader(resources) is None


@pytest.mark.parametrize(
    "sentence",
    [
        '{"start": 1, "end": 2, "text": "x"}',
        "{}",
        '{"text": null}',
        '{"text": "\\u00e9 \\ud83d\\ude00 é \\"\\\\ \\n"}',
        '{"start": -9223372036854775808, "end": 9223372036854775807}',
    ],
)
def test_sentences_as_declared_are_read(sentence: str) -> None:
    """Every usual sentence."""
    assert is_read(body_of(f"[{transcript(sentence)}]"))
    assert is_read(body_of(f"[{transcript()}, {transcript(sentence, sentence)}]"))
    assert is_read(body_of(f"[\n{transcript(sentence)}\n]") + b"\n")


@pytest.mark.parametrize(
    "sentence",
    [
        '{"new": 1}',
        '{"new": null}',
        '{"text": 5}',
        '{"text": ["x"]}',
        '{"start": 1.0}',
        '{"start": "1"}',
        '{"start": true}',
        '{"start": 9223372036854775808}',
        '{"start": NaN}',
        '{"start": 1, "start": 2}',
        '{"start": null, "start": 2}',
        '{"text": "a\\u0000b"}',
        '{"text": "a\\ud83d"}',
        '{"text": "a\\ude00"}',
        '{"text": "a\\tb"}'.replace("\\t", "\t"),
        '{"text": "\udcff"}',
        "null",
        "5",
        "[]",
        "{,}",
    ],
)
def test_anything_else_is_left_to_the_exact_parser(sentence: str) -> None:
    """Unknown fields, other types, and texts that a column cannot hold."""
    assert not is_read(body_of(f"[{transcript(sentence)}]"))
    assert not is_read(body_of(f"[{transcript('{}', sentence)}, {transcript()}]"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b" null",
        b"[]",
        b"5",
        b"{}",
        b"\xef\xbb\xbf" + body_of("[]"),
        body_of("null"),
        body_of("{}"),
        body_of("[null]"),
        body_of("[5]"),
        body_of("[]") + body_of("[]"),
        body_of("[]") + b"\n{}",
        body_of("[]") + b"\n null",
        body_of("[]") + b"\0x",
        body_of("[]")[:-1],
        body_of("[]", '"records": 5,'),
        body_of("[]", '"records": {"totalRecords": 1.5},'),
        body_of("[]", '"callTranscripts": [],'),
        body_of('[{"callId": "7", "transcript": {}}]'),
        body_of('[{"callId": "7", "transcript": [null]}]'),
        body_of('[{"callId": "7", "transcript": [{"speakerId": 5}]}]'),
        body_of('[{"callId": "7", "metaData": {"isPrivate": true}}]'),
    ],
)
def test_other_bodies_are_left_to_the_exact_parser(body: bytes) -> None:
    """What is no answer at all, and what is not a list of objects; nothing of it may crash Arrow."""
    assert not is_read(body)
