"""Details, content or transcripts as dlt does it by itself: records with their lists, which dlt makes child tables of.

    python -m benchmarks.peers.dlt_lists transcripts

Parquet without compression, and no Python code for single records. The fields of a CRM object, moments and roles stay
JSON, as in our tables.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import dlt
import orjson

from benchmarks.peers.asking import DETAILS, RESULT, answers, loaded_calls

if TYPE_CHECKING:
    from collections.abc import Iterator


def _json(name: str) -> dict[str, Any]:
    return {"columns": {name: {"name": name, "data_type": "json"}}}


@dlt.resource(primary_key="callId", write_disposition="merge", file_format="parquet")
def transcripts() -> Iterator[Any]:
    """The transcripts of all calls."""
    for _, body in answers("/v2/calls/transcript", {}, list(loaded_calls())):
        yield orjson.loads(body)["callTranscripts"]


@dlt.resource(
    primary_key="id",
    write_disposition="merge",
    file_format="parquet",
    nested_hints={
        "parties": _json("methods"),
        "context": {},
        ("context", "objects"): _json("fields"),
        ("parties", "context"): {},
        ("parties", "context", "objects"): _json("fields"),
        "content__highlights": {},
        ("content__highlights", "items"): _json("start_times"),
    },
)
def details() -> Iterator[Any]:
    """Details and content of all calls."""
    for _, body in answers("/v2/calls/extensive", DETAILS, list(loaded_calls())):
        records = orjson.loads(body)["calls"]
        for record in records:
            record["id"] = record.pop("metaData")["id"]
        yield records


def main() -> None:
    """Loads the dataset `bench` in result.duckdb."""
    dlt.config["runtime.dlthub_telemetry"] = False
    dlt.config["data_writer.disable_compression"] = True
    destination = dlt.destinations.duckdb(RESULT)
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench", pipelines_dir="dlt")
    pipeline.run(transcripts() if sys.argv[1] == "transcripts" else details())


if __name__ == "__main__":
    main()
