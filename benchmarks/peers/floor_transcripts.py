"""The floor for transcripts: urllib3, Arrow's JSON reader, Parquet, DuckDB; no dlt, no guard, no retry, no merge."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json

from benchmarks.peers.asking import answers, loaded_calls
from benchmarks.peers.rows import TIME, Tables, parents, positions

_SENTENCE = pa.struct([("start", pa.int64()), ("end", pa.int64()), ("text", pa.string())])
_MONOLOGUE = pa.struct([("speakerId", pa.string()), ("topic", pa.string()), ("sentences", pa.list_(_SENTENCE))])
_CALL = pa.struct([("callId", pa.string()), ("transcript", pa.list_(_MONOLOGUE))])
_BODY = pa.schema([("callTranscripts", pa.list_(_CALL))])
_OPTIONS = json.ParseOptions(explicit_schema=_BODY, unexpected_field_behavior="ignore")


def tables(body: bytes, asked: pa.Array, times: pa.Array) -> tuple[pa.Table, pa.Table]:
    """The headers of the calls asked for, and the sentences of an answer."""
    read = json.ReadOptions(block_size=len(body) + 1, use_threads=False)
    answer = json.read_json(pa.BufferReader(body), read, _OPTIONS)
    calls = answer["callTranscripts"].combine_chunks().flatten()
    ids, transcripts = calls.field("callId"), calls.field("transcript")
    monologues = transcripts.flatten()
    sentences = monologues.field("sentences")
    rows = sentences.flatten()
    lists, spoken = np.asarray(pc.list_value_length(transcripts)), np.asarray(pc.list_value_length(sentences))
    monologue = parents(spoken)
    sizes = np.diff(np.concatenate([[0], np.cumsum(spoken)])[np.concatenate([[0], np.cumsum(lists)])])
    call = parents(sizes)
    place = pc.index_in(ids, asked)
    found = pa.table(
        {
            "call_id": ids.take(call),
            "position": positions(sizes),
            "monologue": positions(lists)[monologue],
            "speaker_id": monologues.field("speakerId").take(monologue),
            "topic": monologues.field("topic").take(monologue),
            "start_ms": rows.field("start"),
            "end_ms": rows.field("end"),
            "text": rows.field("text"),
            "call_time": times.take(place).take(call),
        }
    )
    words = np.asarray(pc.add(pc.count_substring(found["text"], " "), 1).combine_chunks())
    counts = np.add.reduceat(words, np.concatenate([[0], np.cumsum(sizes)[:-1]]))
    row = pc.index_in(asked, ids)
    header = {"call_id": asked, "call_time": times, "sentences": pa.array(sizes).take(row)}
    return pa.table(header | {"words": pa.array(counts).take(row)}), found


def main() -> None:
    """Loads `transcripts` and `transcript_sentences` into result.duckdb."""
    calls, out = loaded_calls(), Tables()
    for asked, body in answers("/v2/calls/transcript", {}, list(calls)):
        ids, times = pa.array(asked), pa.array([calls[i] for i in asked], TIME)
        headers, sentences = tables(body, ids, times)
        out.add("transcripts", headers)
        out.add("transcript_sentences", sentences)
    out.load()


if __name__ == "__main__":
    main()
