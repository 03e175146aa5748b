"""The requests of a peer: by the ids of the calls that `gong-source` has loaded before, a hundred in each."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import duckdb
import urllib3

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

LOADED, RESULT = "gong_calls.duckdb", "result.duckdb"
MOST_IDS = 100
_FLAGS: dict[str, Any] = {
    "parties": True,
    "content": dict.fromkeys(
        (
            "topics",
            "trackers",
            "trackerOccurrences",
            "callOutcome",
            "brief",
            "structure",
            "outline",
            "highlights",
            "keyPoints",
        ),
        True,
    ),
    "interaction": dict.fromkeys(("speakers", "video", "personInteractionStats", "questions"), True),
    "collaboration": {"publicComments": True},
}
DETAILS: dict[str, Any] = {
    "contentSelector": {"context": "Extended", "contextTiming": ["Now"], "exposedFields": _FLAGS}
}


def loaded_calls() -> dict[str, datetime]:
    """The calls to ask for, latest first, with their call times."""
    with duckdb.connect(LOADED, read_only=True) as db:
        db.execute("set timezone = 'UTC'")
        sql = "select id, call_time from gong.calls where not is_private order by call_time desc, id"
        return dict(db.execute(sql).fetchall())


def answers(path: str, body: dict[str, Any], ids: list[str]) -> Iterator[tuple[list[str], bytes]]:
    """The ids of each request, and the body of the answer."""
    headers = urllib3.make_headers(basic_auth="key:secret", keep_alive=True)
    headers["Content-Type"] = "application/json"
    with urllib3.PoolManager(headers=headers) as pool:
        for first in range(0, len(ids), MOST_IDS):
            asked = ids[first : first + MOST_IDS]
            sent = json.dumps({"filter": {"callIds": asked}} | body)
            answer = pool.request("POST", os.environ["GONG_URL"] + path, body=sent)
            if answer.status != 200:
                raise RuntimeError(f"{answer.status}: {answer.data[:200]!r}")
            yield asked, answer.data
