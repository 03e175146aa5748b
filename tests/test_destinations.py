"""The same promises on DuckDB, on a real Postgres, and on an emulator of BigQuery."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from servers import Emulator, PostgresServer, bigquery_emulator, postgres_server

from gong_source import DestinationFailed, Target, status, sync, verify
from gong_source.cli import main
from gong_source.runs.run import Control
from gong_source.simulator import Call, Fault, Tenant
from gong_source.tables import CALL_WINDOWS, CALLS
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gong_source.connection import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

END = datetime.now(UTC).replace(microsecond=0)
TYPES = {
    "duckdb": ("VARCHAR", "TIMESTAMP WITH TIME ZONE", "BIGINT", "DOUBLE", "BOOLEAN"),
    "postgres": ("character varying", "timestamp with time zone", "bigint", "double precision", "boolean"),
    "bigquery": ("STRING", "TIMESTAMP", "INT64", "FLOAT64", "BOOL"),
}


@dataclass
class Place:
    """A dataset to load into, and a way to read it that knows nothing of this package."""

    target: Target
    query: Callable[[str], list[tuple[Any, ...]]]
    described: Callable[[str], str | None]
    environment: dict[str, str] = field(default_factory=dict)

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        return self.query(sql.replace("gong.", f"{self.target.dataset}."))

    def calls(self) -> dict[str, dict[str, Any]]:
        """The loaded calls by id, each in the shape that Gong served it, with instants for times."""
        loaded = {}
        names = ", ".join(column.name for column in CALLS.fields.values())
        for *values, extra in self.fetch(f"select {names}, extra from gong.calls"):
            record = dict(zip(CALLS.fields, values, strict=True))
            loaded[record["id"]] = record | (json.loads(extra) if extra else {})
        assert self.fetch("select count(*) from gong.calls") == [(len(loaded),)]
        return loaded


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A Postgres server for all tests of this file."""
    pytest.importorskip("psycopg2", reason="the extra postgres is not installed")
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def bigquery() -> Iterator[Emulator]:
    """A BigQuery emulator for all tests of this file."""
    pytest.importorskip("google.cloud.bigquery", reason="the extra bigquery is not installed")
    pytest.importorskip("bqemulator", reason="bqemulator is not installed")
    with bigquery_emulator() as emulator:
        yield emulator


@pytest.fixture(params=["duckdb", "postgres", "bigquery"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, own_place: Path) -> Place:
    """An empty dataset of its own in each destination."""
    dataset = f"gong_{abs(hash(request.node.name)) % 10**9}"
    made: Place
    if request.param == "duckdb":
        made = duckdb_place(own_place / "gong_calls.duckdb", dataset)
    elif request.param == "postgres":
        made = postgres_place(request.getfixturevalue("postgres"), dataset)
    else:
        made = bigquery_place(request.getfixturevalue("bigquery"), dataset, own_place)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def duckdb_place(file: Path, dataset: str) -> Place:
    """A dataset in a DuckDB file."""

    def query(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(file), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def described(name: str) -> str | None:
        table, _, column = name.partition(".")
        about = f"from duckdb_tables() where table_name = '{table}'"
        if column:
            about = f"from duckdb_columns() where table_name = '{table}' and column_name = '{column}'"
        return str(query(f"select comment {about}")[0][0])

    return Place(Target("duckdb", dataset), query, described)


def postgres_place(server: PostgresServer, dataset: str) -> Place:
    """A schema in the Postgres server."""
    import psycopg2

    def query(sql: str) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(server.url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def described(name: str) -> str | None:
        table, _, column = name.partition(".")
        if not column:
            return str(query(f"select obj_description('{dataset}.{table}'::regclass)")[0][0])
        position = f"select ordinal_position from information_schema.columns where table_schema = '{dataset}'"
        position += f" and table_name = '{table}' and column_name = '{column}'"
        return str(query(f"select col_description('{dataset}.{table}'::regclass, ({position}))")[0][0])

    environment = {"DESTINATION__POSTGRES__CREDENTIALS": server.url}
    return Place(Target("postgres", dataset), query, described, environment)


def bigquery_place(emulator: Emulator, dataset: str, folder: Path) -> Place:
    """A dataset in the BigQuery emulator."""
    from google.cloud.bigquery import Client
    from google.oauth2.credentials import Credentials

    def client() -> Client:
        return Client("local", credentials=Credentials(token="token"), client_options={"api_endpoint": emulator.url})

    def query(sql: str) -> list[tuple[Any, ...]]:
        with client() as connection:
            return [tuple(row.values()) for row in connection.query(sql).result()]

    def described(name: str) -> str | None:
        table, _, column = name.partition(".")
        with client() as connection:
            return None if column else connection.get_table(f"local.{dataset}.{table}").description

    return Place(Target("bigquery", dataset), query, described, emulator.environment(folder))


def days_ago(days: float) -> datetime:
    """A moment before the end of the tenant's calls."""
    return END - timedelta(days=days)


def truth(tenant: Tenant) -> dict[str, dict[str, Any]]:
    """The tenant's calls by id, with instants for times."""
    served = {}
    for call_id in tenant.calls:
        record = tenant.served(call_id)
        for name in ("scheduled", "started"):
            if record.get(name) is not None:
                record[name] = datetime.fromisoformat(record[name])
        served[call_id] = dict.fromkeys(CALLS.fields) | record
    return served


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
    """Instants to the microsecond, 20-digit ids, any text, nulls beside empty text, and what only extra can hold."""
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

    assert (result.status, result.calls_received, result.surprises) == ("done", len(AWKWARD) + 2, 2)
    assert place.calls() == truth(tenant)
    nul = place.fetch("select title, extra from gong.calls where id = '18446744073709551621'")
    assert [(title, json.loads(extra)) for title, extra in nul] == [
        ("before?after", {"customData": "before\0after", "title": "before\0after"})
    ]
    assert place.fetch("select count(*) from gong.calls where call_time is null") == [(0,)]


def test_first_run_that_finds_nothing_leaves_typed_described_tables(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """Both tables exist with every column in its declared type and described, though Gong listed nothing."""
    result = sync(place.target, settings=settings_for(serve(Tenant()), start_date=iso(days_ago(3))))

    assert (result.status, result.calls_received) == ("done", 0)
    names = dict(zip(("text", "timestamp", "bigint", "double", "bool"), TYPES[place.target.destination], strict=True))
    for table, rows in ((CALLS, 0), (CALL_WINDOWS, 1)):
        columns = place.fetch(
            "select column_name, data_type from gong.INFORMATION_SCHEMA.COLUMNS"
            if place.target.destination == "bigquery"
            else f"select column_name, data_type from information_schema.columns where table_name = '{table.name}'"
            f" and table_schema = '{place.target.dataset}'"
        )
        assert {(column.name, names[column.type]) for column in table.columns} <= set(columns)
        assert place.fetch(f"select count(*) from gong.{table.name}") == [(rows,)]
        assert place.described(table.name) == table.description
        if place.target.destination != "bigquery":  # the emulator does not keep descriptions of columns
            told = {column.name: place.described(f"{table.name}.{column.name}") for column in table.columns}
            assert told == {column.name: column.description for column in table.columns}


def test_late_edited_and_doubled_calls_end_as_one_true_row_each(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """Pages that repeat rows, windows asked for twice, late and edited calls: one row per call, as Gong has it now."""
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

    second = sync(place.target, settings=settings)

    assert place.calls() == truth(tenant)
    assert (first.calls_received, second.calls_changed) == (700, 4)


def test_empty_machine_takes_over_from_the_destination_and_rewrites_nothing(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """State and ledger come from the destination: only the lookback is asked again, and no row is written again."""
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
    told = status(place.target)
    assert (told.rows, told.watermark, told.gaps) == (150, second.watermark, [])


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

    told = json.loads(others[0].stdout)
    assert (others[0].returncode, told["error"]) == (1, "DatasetLocked")
    assert "is being loaded by gong-source sync" in told["message"]
    assert f"PID {os.getpid()}" in told["message"]
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
        "PYTHONPATH": str(Path(__file__).parents[1]),
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


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A Postgres server that a test may stop."""
    pytest.importorskip("adbc_driver_postgresql", reason="the extra postgres is not installed")
    with postgres_server() as server:
        yield server


def test_server_that_goes_away_costs_nothing_but_a_second_run(
    own_server: PostgresServer, serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before or in mid-run, Postgres makes the run end with one line without secrets; the next one has all."""
    place = postgres_place(own_server, "gong")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", own_server.url)
    tenant = Tenant.generate(500, start=days_ago(30), end=END, seed=5)
    settings = settings_for(serve(tenant), start_date=iso(days_ago(30)))

    def stop(_progress: object) -> None:
        own_server.stop()

    with pytest.raises(DestinationFailed) as cut:
        sync(place.target, settings=settings, control=Control(on_progress=stop))
    with pytest.raises(DestinationFailed) as down:
        sync(place.target, settings=settings)
    own_server.start()
    result = sync(place.target, settings=settings)

    assert "Connection refused" in str(down.value)
    for error in (cut, down):
        assert f"127.0.0.1:{own_server.port}/postgres" in str(error.value)
        assert len(str(error.value).splitlines()) == 1
        assert "secret-word" not in str(error.value)
    assert result.status == "done"
    assert place.calls() == truth(tenant)


def test_readers_of_postgres_see_a_package_as_a_whole(
    postgres: PostgresServer, serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query that runs while a package is merged counts the calls before it or those after it, never some."""
    place = postgres_place(postgres, "gong_readers")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres.url)
    settings = settings_for(serve(Tenant()), start_date=iso(days_ago(30)))
    sync(place.target, settings=settings)
    tenant = Tenant.generate(20_000, start=days_ago(6), end=END, seed=6)
    settings = settings_for(serve(tenant), start_date=iso(days_ago(30)))
    done = threading.Event()
    seen: list[int] = []

    def poll() -> None:
        while not done.is_set():
            seen.append(place.fetch("select count(*) from gong.calls")[0][0])

    reader = threading.Thread(target=poll)
    reader.start()
    sync(place.target, settings=settings)
    done.set()
    reader.join()

    assert set(seen) <= {0, 20_000}
    assert len(seen) > 10


def test_run_that_lost_its_lock_writes_nothing(
    postgres: PostgresServer, serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the connection that holds the lock is cut, another run may have begun: the run ends before it loads."""
    place = postgres_place(postgres, "gong_lost_lock")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres.url)
    tenant = Tenant.generate(50, start=days_ago(20), end=END, seed=5)
    settings = settings_for(serve(tenant), start_date=iso(days_ago(20)))
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'gong-source sync%'"

    with pytest.raises(DestinationFailed):
        sync(place.target, settings=settings, control=Control(on_progress=lambda _: place.query(cut) and None))

    assert place.query("select to_regclass('gong_lost_lock.calls')::text") == [(None,)]
    assert sync(place.target, settings=settings).status == "done"
    assert place.calls() == truth(tenant)


def test_postgres_gets_indexes_once(
    postgres: PostgresServer, serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id can be there once only, and both id and call_time are found by index; a second run adds none."""
    place = postgres_place(postgres, "gong_indexed")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres.url)
    settings = settings_for(serve(Tenant()), start_date=iso(days_ago(2)))

    for _ in range(2):
        sync(place.target, settings=settings)

    indexes = place.query("select indexdef from pg_indexes where schemaname = 'gong_indexed' and tablename = 'calls'")
    assert sorted(definition for (definition,) in indexes) == [
        "CREATE INDEX calls_call_time ON gong_indexed.calls USING btree (call_time)",
        "CREATE UNIQUE INDEX calls_key ON gong_indexed.calls USING btree (id)",
    ]


@pytest.mark.parametrize(
    ("destination", "missing", "told"),
    [
        ("postgres", "psycopg2", "pip install 'gong-source[postgres]'"),
        ("postgres", "adbc_driver_postgresql", "pip install 'gong-source[postgres]'"),
        ("bigquery", "google.cloud.bigquery", "pip install 'gong-source[bigquery]'"),
        ("postgres", None, "set DESTINATION__POSTGRES__CREDENTIALS=postgresql://user:password@host:5432/database"),
        ("bigquery", None, "GOOGLE_APPLICATION_CREDENTIALS="),
        ("oracle", None, "choose duckdb, postgres, bigquery"),
    ],
)
def test_missing_driver_or_credentials_are_one_line_that_says_what_to_do(
    destination: str,
    missing: str | None,
    told: str,
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

    code = main(["status", "--destination", destination])

    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert len(printed.err.splitlines()) == 1
    assert told in printed.err
