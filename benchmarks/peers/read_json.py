"""DuckDB alone: the pages' bytes go to a file as they come, and `read_json` makes a table of them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import duckdb
import requests

CURSOR = re.compile(rb'"cursor":"([^"]+)"')


def main() -> None:
    """Writes `calls` in result.duckdb, types as DuckDB infers them, but for the times."""
    session = requests.Session()
    session.auth = ("key", "secret")
    params: dict[str, str | bytes] = {"fromDateTime": "2024-01-01T00:00:00Z", "toDateTime": "2026-01-01T00:00:00Z"}
    with Path("pages.ndjson").open("wb") as pages:
        while True:
            body = session.get(os.environ["GONG_URL"] + "/v2/calls", params=params, timeout=60).content
            pages.write(body + b"\n")
            found = CURSOR.search(body)
            if found is None:
                break
            params["cursor"] = found[1]
    with duckdb.connect("result.duckdb") as db:
        db.execute("set timezone = 'UTC'")
        db.execute(
            "create table calls as"
            " select * replace (scheduled::timestamptz as scheduled, started::timestamptz as started)"
            " from (select unnest(call) from (select unnest(calls) as call"
            " from read_json('pages.ndjson', format = 'newline_delimited')))"
        )


if __name__ == "__main__":
    main()
