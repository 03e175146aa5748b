"""Transcripts: what was said, sentence by sentence."""

from gong_source.api import endpoints
from gong_source.resources.conversations import child, header
from gong_source.resources.declare import CallIds, Column, Resource, Rows

_SENTENCES = child(
    "transcript_sentences",
    "One row for each sentence of a transcript.",
    (
        Column("monologue", "bigint", "Number of the monologue that the sentence is part of, from 0."),
        Column("speaker_id", "text", "Id of the speaker, as in call_participants.speaker_id."),
        Column("topic", "text", "Topic of the monologue."),
        Column(
            "start_ms", "bigint", "Start of the sentence, in milliseconds from the start of the recording.", "start"
        ),
        Column("end_ms", "bigint", "End of the sentence, in milliseconds.", "end"),
        Column("text", "text", "The sentence.", "text"),
    ),
    Rows(
        "transcript[].sentences[]",
        (
            ("monologue", "transcript[]"),
            ("speaker_id", "transcript[].speakerId"),
            ("topic", "transcript[].topic"),
        ),
        empty_too=True,
    ),
)

TRANSCRIPTS = Resource(
    "transcripts",
    singular="transcript",
    plural="transcripts",
    endpoint=endpoints.TRANSCRIPTS,
    scope="api:calls:read:transcript",
    select=CallIds(awaited="transcript", omits_empty=True),
    table=header(
        "transcripts",
        "One row for each call whose transcript Gong was asked for, found or not.",
        "callId",
        (
            Column(
                "found_at",
                "timestamp",
                "When the transcript was first found, UTC, also of a call that is private now; null: none so far.",
            ),
            Column("sentences", "bigint", "Number of sentences with text; null if nothing is stored."),
            Column("words", "bigint", "Number of words, counted by the spaces; null if nothing is stored."),
        ),
    ),
    children=(_SENTENCES,),
    record_bytes=46_000,  # half an hour of talk
)
