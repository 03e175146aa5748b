"""How Postgres fails and is shared: stopped servers, cut connections, readers, indexes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mirrors import environment_for
from places import postgres_place
from servers import PostgresServer, Wire, free_port, postgres_server
from tenants import END, days_ago, truth

from gong_source import DestinationFailed, sync
from gong_source.cli.main import main
from gong_source.runs.run import Control
from gong_source.simulator import Call, Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A Postgres server that a test may stop."""
    pytest.importorskip("adbc_driver_postgresql", reason="the extra postgres is not installed")
    with postgres_server() as server:
        yield server


def test_server_that_goes_away_costs_nothing_but_a_second_run(
    own_server: PostgresServer, serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Postgres stops before or during a run, the run ends with one line without secrets; the next one loads all."""
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


@pytest.fixture
def command(
    serve: Serve, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dataset: str
) -> Callable[[], tuple[int, list[str]]]:
    """Runs `gong-source sync` into Postgres: its exit code, and the lines that it wrote to stderr."""
    for name, value in {
        "CREDENTIALS__ACCESS_KEY": "key",
        "CREDENTIALS__ACCESS_KEY_SECRET": "secret",
        "CREDENTIALS__BASE_URL": serve(tenant).base_url,
        "START_DATE": iso(days_ago(30)),
        "REQUESTS_PER_SECOND": "1000",
    }.items():
        monkeypatch.setenv(f"SOURCES__GONG__{name}", value)

    def run() -> tuple[int, list[str]]:
        code = main(["sync", "--destination", "postgres", "--dataset", dataset])
        return code, capsys.readouterr().err.splitlines()

    return run


@pytest.fixture
def tenant() -> Tenant:
    """A tenant with calls of the last month."""
    return Tenant.generate(100, start=days_ago(30), end=END, seed=5)


def test_server_that_is_down_is_one_line(
    command: Callable[[], tuple[int, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, and one line that names the server, without the password."""
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", f"postgresql://u:secret-word@127.0.0.1:{free_port()}/db")

    code, lines = command()

    assert (code, len(lines)) == (1, 1)
    assert "Connection refused" in lines[0]
    assert "secret-word" not in lines[0]


@pytest.mark.parametrize("mends", [False, True], ids=["network down", "connection lost"])
def test_connection_cut_in_the_middle_of_a_load_costs_nothing_but_a_second_run(
    mends: bool,
    postgres: PostgresServer,
    command: Callable[[], tuple[int, list[str]]],
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    dataset: str,
) -> None:
    """If the connection is cut during a load, the run ends with one line or succeeds; the next one loads all."""
    place = postgres_place(postgres, dataset)
    with Wire(postgres.port, mends=mends).laid() as wire:
        url = postgres.url.replace(f":{postgres.port}/", f":{wire.port}/")
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
        assert command()[0] == 0
        before = place.calls()
        for number in range(3000):
            tenant.add(Call(f"7{number:05}", started=days_ago(1), fields={"title": "x" * 100}))
        wire.cut_after = wire.sent + 200_000  # the rows are more than that, and nothing else is

        code, lines = command()

        assert wire.cuts
        assert mends or code == 1
        assert place.calls() in (before, truth(tenant))
        if code:
            assert (code, len(lines)) == (1, 1)
            assert f"127.0.0.1:{wire.port}/postgres" in lines[0]
            assert "secret-word" not in lines[0]
        wire.cut_after = None
        assert command()[0] == 0
    assert place.calls() == truth(tenant)


def test_readers_of_postgres_see_a_package_as_a_whole(
    postgres: PostgresServer, serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query during a merge counts the calls before it or after it, never a part."""
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
    """If the lock's connection is cut, another run may have started: the run ends before it loads."""
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


def test_signal_during_a_load_lets_it_finish(
    postgres: PostgresServer, serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SIGTERM while rows are being merged: the load ends well, and here nothing is left to stop."""
    import psycopg2

    place = postgres_place(postgres, "gong_signalled")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres.url)
    tenant = Tenant.generate(50, start=days_ago(6), end=END, seed=5)
    simulator = serve(tenant)
    sync(place.target, settings=settings_for(simulator, start_date=iso(days_ago(7))))
    tenant.add(Call("77", started=days_ago(1)))
    waiting = "select count(*) from pg_locks where not granted and relation = 'gong_signalled.calls'::regclass"

    said = Path("stderr.txt")
    with closing(psycopg2.connect(postgres.url)) as other, said.open("w") as stderr:
        other.cursor().execute("lock table gong_signalled.calls in exclusive mode")  # readers pass
        command = ["gong_source.cli", "sync", "--destination", "postgres", "--dataset", "gong_signalled"]
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=os.environ | environment_for(simulator),
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        while place.query(waiting) == [(0,)]:
            assert process.poll() is None, said.read_text()
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        last = time.monotonic() + 20
        while "Stopping" not in said.read_text() and time.monotonic() < last:
            time.sleep(0.02)

    assert process.wait(60) == 0, said.read_text()
    assert "Stopping" in said.read_text()
    assert place.calls() == truth(tenant)
