"""Who loads the tenant: the command of each, and the query that shows what it made of the calls."""

from __future__ import annotations

import sys
from dataclasses import dataclass

OURS, FLOOR, DEFAULT = "gong-source sync", "floor without dlt", "dlt rest_api, default settings"


@dataclass(frozen=True)
class Contestant:
    """`query` selects id, scheduled, started, duration, title and newField (as JSON text) from the database `file`."""

    name: str
    command: tuple[str, ...]
    file: str
    query: str


def _peer(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"benchmarks.peers.{name}", *arguments)


CONTESTANTS = (
    Contestant(
        OURS,
        (sys.executable, "-m", "gong_source.cli", "sync", "--json"),
        "gong_calls.duckdb",
        "select id, scheduled, started, duration, title, extra::json ->> '$.newField' from gong.calls",
    ),
    Contestant(
        FLOOR,
        _peer("floor"),
        "result.duckdb",
        "select id, scheduled, started, duration, title, extra::json ->> '$.newField' from calls",
    ),
    Contestant(
        "DuckDB read_json",
        _peer("read_json"),
        "result.duckdb",
        "select id, scheduled, started, duration, title, newField::json::text from calls",
    ),
    Contestant(
        "dlt rest_api, best settings",
        _peer("rest_api", "--tuned"),
        "result.duckdb",
        "select id, scheduled, started, duration, title, new_field::text from bench.calls",
    ),
    Contestant(
        DEFAULT,
        _peer("rest_api"),
        "result.duckdb",
        """select id, scheduled, started, duration, title, case when new_field__score is not null then
               json_object('score', new_field__score, 'labels', (select list(value order by _dlt_list_idx)
               from bench.calls__new_field__labels as label where label._dlt_parent_id = call._dlt_id))::text end
           from bench.calls as call""",
    ),
)
EMPTY_DLT = _peer("empty_dlt")
HELP = (sys.executable, "-m", "gong_source.cli", "--help")
