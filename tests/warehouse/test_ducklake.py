"""A DuckLake, for several readers or machines: no reader is ever refused or sees half a package."""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING, Any

import pytest
from places import ducklake_place
from tenants import END, days_ago, truth

from gong_source import ConfigurationError, DestinationFailed, Target, status, sync
from gong_source.runs.run import open_run
from gong_source.simulator import Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Event
    from pathlib import Path

    from places import Place
    from servers import PostgresServer

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

SPAWN = multiprocessing.get_context("spawn")


def use(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the environment in which runs load into the place."""
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)


def poll(where: tuple[str, Path, dict[str, str], str], stop: Event, reads: Any) -> None:
    """Opens the lake, counts its calls and closes it, again and again until it is stopped; returns what it saw."""
    place = ducklake_place(*where)
    while not stop.is_set():
        reads.put(place.fetch("select count(*) from gong.calls")[0][0])
        stop.wait(0.3)
    reads.put(None)


@pytest.mark.parametrize("catalog", ["sqlite", "postgres"])
def test_readers_see_a_package_as_a_whole_and_are_never_refused(
    catalog: str,
    postgres: PostgresServer,
    lake_extensions: dict[str, str],
    serve: Serve,
    settings_for: SettingsFor,
    monkeypatch: pytest.MonkeyPatch,
    own_place: Path,
    dataset: str,
) -> None:
    """A program that opens the lake again and again during a load sees the calls before it or after it."""
    address = f"sqlite:///{own_place}/lake.sqlite" if catalog == "sqlite" else postgres.database(dataset)
    where = (address, own_place / "files", lake_extensions, dataset)
    place = ducklake_place(*where)
    use(place, monkeypatch)
    sync(place.target, settings=settings_for(serve(Tenant()), start_date=iso(days_ago(30))))
    tenant = Tenant.generate(5000, start=days_ago(6), end=END, seed=6)
    stop, reads = SPAWN.Event(), SPAWN.Queue()
    reader = SPAWN.Process(target=poll, args=(where, stop, reads))
    reader.start()
    seen = [reads.get(timeout=60)]

    sync(place.target, settings=settings_for(serve(tenant), start_date=iso(days_ago(30))))
    stop.set()
    while (read := reads.get(timeout=60)) is not None:
        seen.append(read)
    reader.join()

    assert reader.exitcode == 0
    assert set(seen) <= {0, 5000}
    assert len(seen) > 3
    assert place.calls() == truth(tenant)
    held = (own_place / "files").rglob("*.parquet")
    assert any(held)


def test_catalog_that_lets_in_one_program_at_a_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog in a DuckDB file would keep readers out, just as a DuckDB file does."""
    monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG", "duckdb:///lake.duckdb")

    with pytest.raises(ConfigurationError, match="its catalog must be SQLite or Postgres, not duckdb"):
        status(Target("ducklake"))


def test_connection_to_the_catalog_is_not_held_while_nothing_is_asked(
    postgres: PostgresServer,
    lake_extensions: dict[str, str],
    serve: Serve,
    settings_for: SettingsFor,
    monkeypatch: pytest.MonkeyPatch,
    own_place: Path,
    dataset: str,
) -> None:
    """While a run waits for Gong, a server that ends idle sessions ends none of its own; nor is one left afterwards."""
    place = ducklake_place(postgres.database(dataset), own_place / "files", lake_extensions, dataset)
    use(place, monkeypatch)
    settings = settings_for(serve(Tenant.generate(5, start=days_ago(6), end=END, seed=6)), start_date=iso(days_ago(7)))
    assert sync(place.target, settings=settings).status == "done"

    with open_run(place.target, settings, None, command="sync") as run:
        assert soon(lambda: sessions(postgres, dataset) == 1)  # that of the lock
        assert run.warehouse.query("select count(*) from {dataset}.calls") == [(5,)]
        assert soon(lambda: sessions(postgres, dataset) == 1)
    assert sessions(postgres, dataset) == 0


def soon(condition: Callable[[], bool]) -> bool:
    """Whether the condition becomes true in time."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def sessions(server: PostgresServer, database: str) -> int:
    """The number of open sessions in a database."""
    import psycopg2

    connection = psycopg2.connect(server.url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("select count(*) from pg_stat_activity where datname = %s", (database,))
            return int(cursor.fetchall()[0][0])
    finally:
        connection.close()


def test_password_of_the_catalog_is_in_no_message(
    lake_extensions: dict[str, str], monkeypatch: pytest.MonkeyPatch, own_place: Path, dataset: str
) -> None:
    """DuckDB names the whole address of a catalog that does not answer."""
    place = ducklake_place("postgres://me:s3cr3t-word@127.0.0.1:1/x", own_place / "files", lake_extensions, dataset)
    use(place, monkeypatch)

    with pytest.raises(DestinationFailed, match="cannot open") as caught:
        status(place.target)

    assert "s3cr3t-word" not in str(caught.value)
    assert "drop the whole dataset" not in str(caught.value)


def test_checkpoint_by_somebody_else_during_a_run_hides_no_row(
    lake_extensions: dict[str, str],
    serve: Serve,
    settings_for: SettingsFor,
    monkeypatch: pytest.MonkeyPatch,
    own_place: Path,
    dataset: str,
) -> None:
    """DuckLake keeps small changes in its catalog, in tables that a checkpoint drops."""
    place = ducklake_place(f"sqlite:///{own_place}/lake.sqlite", own_place / "files", lake_extensions, dataset)
    use(place, monkeypatch)
    tenant = Tenant.generate(5, start=days_ago(6), end=END, seed=6)
    settings = settings_for(serve(tenant), start_date=iso(days_ago(7)))
    assert sync(place.target, settings=settings).status == "done"
    place.write("alter table gong.calls add column mine varchar")
    tenant.edit(next(iter(tenant.calls)), title="new")
    assert sync(place.target, settings=settings).status == "done"

    with open_run(place.target, settings, None, command="sync") as run:
        assert run.warehouse.query("select count(*) from {dataset}.calls") == [(5,)]
        place.write("checkpoint")
        assert run.warehouse.query("select count(*) from {dataset}.calls") == [(5,)]
