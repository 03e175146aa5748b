"""What must not be stored is nowhere on disk after a real sync; a setting that comes later cleans what is stored."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from conversations import ALL
from places import duckdb_place
from tenants import END, days_ago

from gong_source import ConfigurationError, status, sync, verify, write_report
from gong_source.records.privacy import read_columns
from gong_source.report.write import can_report
from gong_source.resources import TABLES
from gong_source.simulator import SMALL, Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gong_source.resources.declare import Column, Table
    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

SECRET, MAIL, KEY = "xq7secretxq7", "xq7.mail@example.com", "xq7-the-key-xq7"
TEXTS = "calls.title,call_content.brief,transcript_sentences.text"
# The last one hides nothing: then the secrets are found, so the search can fail.
HIDDEN: list[dict[str, Any]] = [
    {
        "exclude_columns": [
            "calls.title",
            "call_content.brief",
            "transcript_sentences.text",
            *(f"call_participants.{name}" for name in ("name", "email_address", "title")),
        ]
    },
    {"personal_data": "drop", "exclude_columns": TEXTS},
    {
        "personal_data": "hash",
        "personal_data_key": KEY,
        "exclude_columns": TEXTS,
    },
    {"private_calls": "drop"},
    {},
]
# In a process of its own, so that all files are closed.
_SYNC = """
import json, sys
from gong_source import Target, resolve_settings, sync
result = sync(Target(), settings=resolve_settings(**json.loads(sys.argv[1])))
assert result.status == "done", result
"""
_PIPELINE = """
import dlt, json, sys
from gong_source import gong
pipeline = dlt.pipeline("gong_calls", destination="duckdb", dataset_name="gong")
pipeline.run(gong(**json.loads(sys.argv[1])))
"""


def _secretive(calls: int = 3, *, private: bool = False, unknown_fields: bool = False) -> Tenant:
    """A tenant with secrets in calls, participants and transcripts; `private`: all its calls are."""
    person = {"id": "p1", "affiliation": "External", "name": SECRET, "emailAddress": MAIL, "title": {"odd": SECRET}}
    person |= {"linkedIn": SECRET} if unknown_fields else {}
    tenant = Tenant.generate(calls, start=days_ago(6), end=END, seed=3, content=SMALL)
    for call_id in tenant.calls:
        tenant.edit(call_id, title=SECRET, isPrivate=private)
        tenant.set_content(call_id, parties=[person], brief=SECRET)
        sentences = [{"start": 0, "end": 1, "text": SECRET}]
        tenant.set_transcript(call_id, [{"speakerId": "s", "topic": None, "sentences": sentences}])
    return tenant


def _on_disk(folder: Path) -> set[str]:
    """Which of the secrets are in a file below the folder."""
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert any(len(content) > 1000 for content in contents)
    return {text for text in (SECRET, MAIL, KEY) if any(text.encode() in content for content in contents)}


@pytest.mark.parametrize("program", [_SYNC, _PIPELINE], ids=["sync", "pipeline"])
@pytest.mark.parametrize("hidden", HIDDEN, ids=lambda value: "-".join(value) or "nothing")
def test_hidden_values_are_nowhere_on_disk(
    own_place: Path, tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, hidden: dict[str, Any], program: str
) -> None:
    """Not in the database, its log, nor in any file of dlt's folder, which keeps its packages here; nor is the key."""
    monkeypatch.setenv("LOAD__DELETE_COMPLETED_JOBS", "false")
    if "personal_data_key" in hidden:  # as dlt finds it, and may write it into its trace
        monkeypatch.setenv("SOURCES__GONG__PERSONAL_DATA_KEY", KEY)
    given = {name: value for name, value in hidden.items() if name != "personal_data_key"}
    tenant = _secretive(private="private_calls" in hidden, unknown_fields="personal_data" in hidden or not hidden)
    credentials = {"access_key": "key", "access_key_secret": "secret", "base_url": serve(tenant).base_url}
    given |= {"credentials": credentials, "resources": ALL, "requests_per_second": 1000.0}
    command = [sys.executable, "-c", program, json.dumps(given)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr
    with duckdb.connect(str(own_place / "gong_calls.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from gong.calls").fetchall() == [(3,)]
    for folder in (own_place, tmp_path / "dlt"):
        assert _on_disk(folder) == (set() if hidden else {SECRET, MAIL})
    assert KEY not in ran.stdout + ran.stderr


def test_setting_that_comes_later_cleans_what_is_stored(
    own_place: Path, serve: Serve, settings_for: SettingsFor
) -> None:
    """`verify --deep --repair` loads everything again, and does not take the nulls for a lost scope."""
    place = duckdb_place(own_place / "gong_calls.duckdb", "gong")
    chosen = {"resources": f"{ALL},users", "start_date": iso(days_ago(8))}
    simulator = serve(_secretive(15, unknown_fields=True))
    columns = ["calls.title", "call_content.brief", "transcript_sentences.text", "users.title"]
    sync(place.target, settings=settings_for(simulator, **chosen))
    stored = "select (select count(*) from gong.calls), (select count(*) from gong.call_participants)"
    counts = place.fetch(stored)
    later = settings_for(simulator, **chosen, exclude_columns=columns, personal_data="drop")
    assert place.fetch("select sum(words) > 0 from gong.transcripts") == [(True,)]

    assert verify(place.target, settings=later, deep=True, repair=True).outcome == "repaired"

    for column in columns:
        table, _, name = column.partition(".")
        assert place.fetch(f"select count({name}) from gong.{table}") == [(0,)], column
    hidden = ("name", "email_address", "extra")
    assert place.fetch(f"select {', '.join(f'count({n})' for n in hidden)} from gong.call_participants") == [(0, 0, 0)]
    assert place.fetch("select count(words), count(sentences) from gong.transcripts") == [(0, 0)]
    assert place.fetch("select count(title) from gong.user_history where valid_to is null") == [(0,)]
    assert place.fetch(stored) == counts
    assert verify(place.target, settings=later, deep=True).outcome == "clean"


def test_private_calls_are_counted_and_verified(own_place: Path, serve: Serve, settings_for: SettingsFor) -> None:
    """With `drop`, a private call keeps a row, and nothing differs."""
    place = duckdb_place(own_place / "gong_calls.duckdb", "gong")
    tenant = _secretive(12)
    private = list(tenant.calls)[:4]
    for call_id in private:
        tenant.edit(call_id, isPrivate=True)
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8)), private_calls="drop")
    sync(place.target, settings=settings)
    assert place.fetch("select count(*), count(title), count(url) from gong.calls") == [(12, 8, 8)]
    assert place.fetch("select count(*) from gong.calls where is_private and call_time is not null") == [(4,)]
    assert place.fetch("select count(*) from gong.transcripts") == [(8,)]
    assert verify(place.target, settings=settings, deep=True).outcome == "clean"
    tenant.delete(private[0])
    assert verify(place.target, settings=settings, repair=True).resources["calls"].marked_deleted == 1


def test_everything_excluded_is_still_loaded_and_verified(
    own_place: Path, serve: Serve, settings_for: SettingsFor
) -> None:
    """Runs, verification, status and report need none of the columns that can be excluded."""
    declared = [(table, column) for table in TABLES for column in table.columns]
    columns = [f"{table.name}.{column.name}" for table, column in declared if _can_exclude(table, column)]
    place = duckdb_place(own_place / "gong_calls.duckdb", "gong")
    tenant = Tenant.generate(30, start=days_ago(6), end=END, seed=5, content=SMALL)
    simulator = serve(tenant)
    settings = settings_for(simulator, resources="all", start_date=iso(days_ago(8)), exclude_columns=columns)
    assert sync(place.target, settings=settings).status == "done"
    asked = len(simulator.requests)
    again = sync(place.target, settings=settings)
    assert (again.status, again.calls_changed) == ("done", 0)
    assert len(simulator.requests) - asked <= 2  # the lookback; no call is due
    assert verify(place.target, settings=settings, deep=True).outcome == "clean"
    assert status(place.target, settings=settings).resources["call_details"].rows > 0
    tenant.delete(next(iter(tenant.calls)))
    assert verify(place.target, settings=settings, repair=True).resources["calls"].marked_deleted == 1
    for table in TABLES:
        names = [column.name for column in table.columns if _can_exclude(table, column)]
        counts = ", ".join(f"count({name})" for name in names)
        assert not names or set(place.fetch(f"select {counts} from gong.{table.name}")[0]) == {0}, table.name
    if can_report():
        assert write_report(own_place / "report.html", place.target, settings=settings, names=True).exists()


def _can_exclude(table: Table, column: Column) -> bool:
    try:
        return bool(read_columns(f"{table.name}.{column.name}"))
    except ConfigurationError:
        return False
