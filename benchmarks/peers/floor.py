"""The floor: the same pages with requests, orjson, Arrow and one DuckDB table; no dlt, no guard, no retry, no merge."""

from __future__ import annotations

import json
import os
from datetime import datetime

import duckdb
import orjson
import pyarrow as pa
import requests

from gong_source.simulator.call import API_FIELDS as FIELDS

TYPES = {
    "scheduled": pa.timestamp("us", "UTC"),
    "started": pa.timestamp("us", "UTC"),
    "duration": pa.int64(),
    "isPrivate": pa.bool_(),
}
SCHEMA = pa.schema([*((name, TYPES.get(name, pa.string())) for name in FIELDS), ("extra", pa.string())])
KNOWN = set(FIELDS)
PAGES_PER_INSERT = 100


def prepared(call: dict[str, object]) -> dict[str, object]:
    """The call with its times parsed, and what has no column as JSON."""
    for name in ("scheduled", "started"):
        if (text := call[name]) is not None:
            call[name] = datetime.fromisoformat(str(text))
    if not call.keys() <= KNOWN:
        call["extra"] = json.dumps({name: value for name, value in call.items() if name not in KNOWN})
    return call


def main() -> None:
    """Fetches all pages in one chain and writes them to `calls` in result.duckdb."""
    db = duckdb.connect("result.duckdb")
    db.execute("set timezone = 'UTC'")
    db.register("empty", SCHEMA.empty_table())
    db.execute("create table calls as from empty")
    session = requests.Session()
    session.auth = ("key", "secret")
    params = {"fromDateTime": "2024-01-01T00:00:00Z", "toDateTime": "2026-01-01T00:00:00Z"}
    rows: list[dict[str, object]] = []
    pages = 0
    while True:
        answer = orjson.loads(session.get(os.environ["GONG_URL"] + "/v2/calls", params=params, timeout=60).content)
        rows += map(prepared, answer["calls"])
        pages += 1
        cursor = answer["records"].get("cursor")
        if pages % PAGES_PER_INSERT == 0 or not cursor:
            db.register("batch", pa.Table.from_pylist(rows, schema=SCHEMA))
            db.execute("insert into calls from batch")
            rows = []
        if not cursor:
            break
        params["cursor"] = cursor
    db.close()


if __name__ == "__main__":
    main()
