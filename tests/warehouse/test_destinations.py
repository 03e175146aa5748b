"""The same promises on DuckDB, a DuckLake, a real Postgres, and an emulator of BigQuery; or on BigQuery itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dlt.common.configuration.specs.gcp_credentials import GcpDefaultCredentials
from places import TYPES, Place
from tenants import END, days_ago, truth

from gong_source import status, sync, verify
from gong_source.cli.main import main
from gong_source.resources import RESOURCES
from gong_source.resources.bookkeeping import ARRIVALS, BOOKKEEPING, VERIFICATIONS
from gong_source.runs.run import Control
from gong_source.settings import read_names
from gong_source.simulator import Call, Fault, Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

AWKWARD = (
    "",
    " spaces ",
    "NULL",
    "\\N",
    "null",
    'say "hi", it\'s; 50% of {this} %s',
    "two\nlines\r\nand\ta tab",
    "back\\slash \\x41 \\u0041",
    "Zoë 会議 🎉 \u202eright\u202c",
    "2024-01-05T10:00:00",
    "00123",
    "before\0after",
    "x" * 100_000,
)


def test_every_value_is_exact(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Instants to the microsecond, 20-digit ids, any text, nulls beside empty text, and values for `extra`."""
    tenant = Tenant(workspaces=2)
    for number, text in enumerate(AWKWARD):
        moment = days_ago(3) + timedelta(seconds=number, microseconds=number * 1001 + 1)
        fields = {"title": text, "customData": text, "url": None, "duration": number, "isPrivate": number % 2 == 0}
        tenant.add(Call(str(18446744073709551610 + number), started=moment, scheduled=days_ago(3), fields=fields))
    odd = {"duration": "12 minutes", "newField": {"a": [1, 12345678901234567890, None, "é\0"]}, "isPrivate": "no"}
    tenant.add(Call("1", started=days_ago(2), fields=odd))
    tenant.add(Call("2", started=days_ago(1), fields={}))
    simulator = serve(tenant)

    result = sync(place.target, settings=settings_for(simulator, start_date=iso(days_ago(5))))

    assert (result.status, result.calls_received, result.unmapped) == ("done", len(AWKWARD) + 2, 2)
    assert place.calls() == truth(tenant)
    nul = place.fetch("select title, extra from gong.calls where id = '18446744073709551621'")
    assert [(title, json.loads(extra)) for title, extra in nul] == [
        ("before?after", {"customData": "before\0after", "title": "before\0after"})
    ]
    assert place.fetch("select count(*) from gong.calls where call_time is null") == [(0,)]


def test_first_run_that_finds_nothing_leaves_typed_described_tables(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """All tables exist with every column in its declared type and described, though Gong listed no call."""
    simulator = serve(Tenant(users=2))
    # Each table costs seconds in a lake and in the emulator; `test_conversations.py` reads them all there.
    few = place.target.destination in {"ducklake", "bigquery"}
    resources = "calls,users,workspaces" if few else "all"
    result = sync(place.target, settings=settings_for(simulator, resources=resources, start_date=iso(days_ago(3))))

    assert (result.status, result.calls_received) == ("done", 0)
    tables = [table for name in read_names(resources) for table in RESOURCES[name].tables]
    names = dict(zip(("text", "timestamp", "bigint", "double", "bool"), TYPES[place.target.destination], strict=True))
    names |= dict.fromkeys(("json", "pairs"), names["text"])
    expected = {"users": 2, "user_history": 2, "workspaces": 1, "fetched_windows": 3 if few else 5, "runs": 1}
    for table in (*tables, *BOOKKEEPING):
        columns = place.fetch(
            "select column_name, data_type from gong.INFORMATION_SCHEMA.COLUMNS"
            if place.target.destination == "bigquery"
            else f"select column_name, data_type from information_schema.columns where table_name = '{table.name}'"
            f" and table_schema = '{place.target.dataset}'"
        )
        assert {(column.name, names[column.type]) for column in table.columns} <= set(columns)
        assert place.fetch(f"select count(*) from gong.{table.name}") == [(expected.get(table.name, 0),)]
        shown = place.described(table.name)
        assert shown[None] == table.description
        if place.keeps_layout:
            assert {column.name: shown[column.name] for column in table.columns} == {
                column.name: column.description for column in table.columns
            }


def test_users_and_workspaces_end_as_gong_lists_them(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Added, edited, removed and reappearing records: as Gong lists them, deletions marked, nothing else written."""
    tenant = Tenant(users=130, workspaces=3)
    settings = settings_for(serve(tenant), resources="users,workspaces", snapshot_hours=0)
    first = sync(place.target, settings=settings)
    unchanged = place.fetch("select id, _dlt_load_id from gong.users")
    edited, gone, back = tenant.users.ids[:3]
    tenant.users.edit(edited, title="a 'new' title", emailAliases=["x@example.com"], newField=[1, None])
    tenant.users.remove(gone)
    tenant.users.remove(back)
    tenant.workspaces.edit(tenant.workspace_ids[1], name=None)
    added = tenant.users.add(firstName="Zoë")
    second = sync(place.target, settings=settings)
    tenant.users.restore(back)
    third = sync(place.target, settings=settings)
    verified = verify(place.target, settings=settings)

    assert [result.status for result in (first, second, third)] == ["done"] * 3
    assert (second.resources["users"].changed, third.resources["users"].changed) == (4, 1)
    assert (verified.outcome, verified.listed) == ("clean", 133)
    stored = place.fetch("select id, title, email_aliases, created_at from gong.users where deleted_at is null")
    assert {row[0]: row[1:] for row in stored} == {
        user["id"]: (user["title"], json.dumps(user["emailAliases"]), datetime.fromisoformat(user["created"]))
        for user in tenant.users
    }
    assert place.fetch("select id from gong.users where deleted_at is not null") == [(gone,)]
    assert place.fetch(f"select name from gong.workspaces where id = '{tenant.workspace_ids[1]}'") == [(None,)]
    touched = {edited, gone, back, added}
    now = place.fetch("select id, _dlt_load_id from gong.users")
    assert {row for row in now if row[0] not in touched} == {row for row in unchanged if row[0] not in touched}
    open_states = place.fetch("select count(*), count(distinct user_id) from gong.user_history where valid_to is null")
    assert open_states == [(130, 130)]


def test_late_edited_deleted_and_doubled_calls_end_as_one_true_row_each(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """Repeated rows, windows fetched twice, late, edited and deleted calls: one row each, as Gong has it now."""
    tenant = Tenant.generate(700, start=days_ago(20), end=END, seed=2, unknown_fields=True)
    simulator = serve(tenant, faults=(Fault(kind="duplicate_rows", rows=3),))
    settings = settings_for(simulator, start_date=iso(days_ago(20)))
    first = sync(place.target, settings=settings)
    assert place.calls() == truth(tenant)
    recent = [i for i, c in tenant.calls.items() if (c.started or c.scheduled or END) > days_ago(5)]
    tenant.edit(recent[0], title="Trimmed", duration=7, isPrivate=True)
    tenant.edit(recent[1], title=None)
    tenant.redate(recent[2], started=days_ago(6), scheduled=days_ago(6))
    tenant.add(Call("77", started=days_ago(3), fields={"title": "late"}))
    gone = recent[3:5]
    was = {call_id: truth(tenant)[call_id] for call_id in gone}
    for call_id in gone:
        tenant.delete(call_id)

    second = sync(place.target, settings=settings)

    assert place.calls() == truth(tenant) | was
    assert {i for (i,) in place.fetch("select id from gong.calls where deleted_at is not null")} == set(gone)
    assert (first.calls_received, second.calls_changed, second.resources["calls"].marked_deleted) == (700, 6, 2)


def test_empty_machine_takes_over_from_the_destination_and_rewrites_nothing(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """State and ledger come from the destination: only the lookback is fetched again, and no row is written again."""
    tenant = Tenant.generate(150, start=days_ago(90), end=END, seed=1)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(90)))
    first = sync(place.target, settings=settings)
    before = sorted(place.fetch("select id, _dlt_load_id from gong.calls"))
    shutil.rmtree(os.environ["DLT_DATA_DIR"])
    simulator.reset_requests()

    second = sync(place.target, settings=settings)

    assert [request.path for request in simulator.requests] == ["/v2/calls"]
    asked = datetime.fromisoformat(simulator.requests[0].query["fromDateTime"])
    assert first.watermark is not None
    assert asked == first.watermark - timedelta(days=7)
    assert second.calls_changed == 0
    assert sorted(place.fetch("select id, _dlt_load_id from gong.calls")) == before
    shown = status(place.target)
    calls = shown.resources["calls"]
    assert (calls.rows, calls.watermark, calls.gaps) == (150, second.watermark, [])


def test_second_machine_leaves_at_once_and_nothing_is_lost(
    place: Place, serve: Serve, settings_for: SettingsFor, tmp_path: Path
) -> None:
    """While one run loads, another with a data folder of its own fails and names the holder; both then have all."""
    tenant = Tenant.generate(400, start=days_ago(30), end=END, seed=4)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(30)))
    others: list[subprocess.CompletedProcess[str]] = []

    def sync_elsewhere(_progress: object) -> None:
        if not others:
            others.append(sync_as_another_machine(place, simulator, tmp_path / "elsewhere"))

    result = sync(place.target, settings=settings, control=Control(on_progress=sync_elsewhere))

    shown = json.loads(others[0].stdout)
    assert (others[0].returncode, shown["error"]) == (1, "DatasetLocked")
    assert "is being loaded by gong-source sync" in shown["message"]
    assert f"PID {os.getpid()}" in shown["message"]
    assert result.status == "done"
    assert place.calls() == truth(tenant)
    again = sync_as_another_machine(place, simulator, tmp_path / "elsewhere")
    assert (again.returncode, again.stderr) == (0, "")
    assert place.calls() == truth(tenant)


def sync_as_another_machine(place: Place, simulator: Simulator, data: Path) -> subprocess.CompletedProcess[str]:
    """`gong-source sync --json` in a process with a data folder of its own."""
    environment = {
        **os.environ,
        "DLT_DATA_DIR": str(data),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "SOURCES__GONG__CREDENTIALS__ACCESS_KEY": "key",
        "SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET": "secret",
        "SOURCES__GONG__CREDENTIALS__BASE_URL": simulator.base_url,
        "SOURCES__GONG__START_DATE": iso(days_ago(30)),
        "SOURCES__GONG__REQUESTS_PER_SECOND": "1000",
    }
    command = [sys.executable, "-m", "gong_source.cli", "sync", "--json"]
    command += ["--destination", place.target.destination, "--dataset", place.target.dataset]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_verify_compares_exactly_and_repairs(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """What a sync loaded is found equal call by call; a missed, a changed and a deleted call are found and repaired."""
    tenant = Tenant.generate(200, start=days_ago(40), end=END, seed=9)
    settings = settings_for(serve(tenant), start_date=iso(days_ago(40)))
    sync(place.target, settings=settings)
    equal = verify(place.target, deep=True, settings=settings)
    old = [i for i, call in tenant.calls.items() if (call.started or END) < days_ago(20)]
    tenant.edit(old[0], title="changed")
    tenant.delete(old[1])
    tenant.add(Call("77", started=days_ago(30), fields={"title": "missed"}))

    repaired = verify(place.target, deep=True, repair=True, settings=settings)

    assert (equal.outcome, equal.differing) == ("clean", [])
    found = {name: repaired.total(name) for name in ("missing", "changed", "surplus")}
    assert (repaired.outcome, found) == ("repaired", {"missing": 1, "changed": 1, "surplus": 1})
    assert place.fetch("select id from gong.calls where deleted_at is not null") == [(old[1],)]
    held = place.calls()
    assert {call_id: held[call_id] for call_id in tenant.calls} == truth(tenant)
    for table in (ARRIVALS, VERIFICATIONS):
        assert place.described(table.name)[None] == table.description


@pytest.mark.parametrize(
    ("destination", "missing", "message"),
    [
        ("postgres", "psycopg2", "pip install '.[postgres]'"),
        ("postgres", "adbc_driver_postgresql", "pip install '.[postgres]'"),
        ("ducklake", "psycopg2", "pip install '.[ducklake]'"),
        ("bigquery", "google.cloud.bigquery", "pip install '.[bigquery]'"),
        ("postgres", None, "set DESTINATION__POSTGRES__CREDENTIALS=postgresql://user:password@host:5432/database"),
        ("bigquery", None, "GOOGLE_APPLICATION_CREDENTIALS="),
        ("oracle", None, "choose duckdb, ducklake, postgres, bigquery"),
    ],
)
def test_missing_driver_or_credentials_are_one_line_that_says_what_to_do(
    destination: str,
    missing: str | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own_place: Path,
) -> None:
    """Exit code 2, and one line with the command to run or the variable to set."""
    if missing is not None:
        monkeypatch.setitem(sys.modules, missing, None)  # as if it were not installed
    elif destination == "postgres":
        pytest.importorskip("adbc_driver_postgresql", reason="the extra postgres is not installed")
    elif destination == "bigquery":
        pytest.importorskip("google.cloud.bigquery", reason="the extra bigquery is not installed")
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # no question to a metadata server
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(own_place))
    monkeypatch.setattr(GcpDefaultCredentials, "_LAST_FAILED_DEFAULT", 0.0)  # dlt would remember it for other tests

    code = main(["status", "--destination", destination])

    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert len(printed.err.splitlines()) == 1
    assert message in printed.err


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ("postgresql://user:s3cr3t@server:5432/database", "For another destination, use --destination"),
        ("postgresql://user:s3cr3t@server:port/database", "the path of a file, not an address"),
        ("s3://bucket/gong.duckdb", "the path of a file, not an address"),
        ("duckdb://server/gong.duckdb", "the path of a file, not an address"),
        ("md:database", "the path of a file, not an address"),
        (":memory:", "set DESTINATION__DUCKDB__CREDENTIALS=<path of the file>"),
        (":pipeline:", "set DESTINATION__DUCKDB__CREDENTIALS=<path of the file>"),
    ],
)
def test_address_is_not_a_place_for_duckdb(
    credentials: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own_place: Path,
) -> None:
    """Exit code 2 and one line without the address; no file is made."""
    for name in ("ACCESS_KEY", "ACCESS_KEY_SECRET"):
        monkeypatch.setenv(f"SOURCES__GONG__CREDENTIALS__{name}", "key")
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", credentials)

    code = main(["sync"])

    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert len(printed.err.splitlines()) == 1
    assert message.lower() in printed.err.lower()
    assert "s3cr3t" not in printed.err
    assert [*own_place.iterdir()] == []
