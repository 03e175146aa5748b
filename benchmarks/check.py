"""Whether a table holds what the tenant serves."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.contestants import Contestant
    from gong_source.simulator import Tenant

_FIELDS = ("scheduled", "started", "duration", "title", "newField")


def truth(tenant: Tenant) -> dict[str, tuple[Any, ...]]:
    """What is served for each call, by id, times as instants."""
    rows = {}
    for call_id in tenant.calls:
        served = tenant.served(call_id)
        for name in ("scheduled", "started"):
            served[name] = None if served[name] is None else datetime.fromisoformat(served[name])
        rows[call_id] = tuple(served.get(name) for name in _FIELDS)
    return rows


def faults(contestant: Contestant, folder: Path, expected: dict[str, tuple[Any, ...]]) -> list[str]:
    """What is wrong with the table that `contestant` left in `folder`, in words; nothing if it is right."""
    with duckdb.connect(str(folder / contestant.file), read_only=True) as db:
        db.execute("set timezone = 'UTC'")
        rows = db.execute(contestant.query).fetchall()
    found = {
        str(call_id): (*values, None if new_field is None else json.loads(new_field))
        for call_id, *values, new_field in rows
    }
    wrong = []
    if len(rows) != len(expected):
        wrong.append(f"{len(rows):,} rows")
    if len(found) != len(rows):
        wrong.append(f"{len(rows) - len(found):,} ids twice")
    if missing := len(expected.keys() - found.keys()):
        wrong.append(f"{missing:,} calls missing")
    for position, name in enumerate(_FIELDS):
        differ = sum(found[call_id][position] != expected[call_id][position] for call_id in found.keys() & expected)
        if differ:
            wrong.append(f"{differ:,} {name} differ")
    return wrong
