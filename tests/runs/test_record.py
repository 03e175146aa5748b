"""The table `runs`: every command that loaded or tried to has its row, however it ended."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from tenants import END, days_ago

from gong_source import Control, QuotaExhausted, backfill, status, sync, verify
from gong_source.cli.text import status_text
from gong_source.simulator import Fault, Tenant
from gong_source.version import __version__
from gong_source.windows import iso, now, utc, whole_second

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]


def rows(sql: str) -> list[tuple[Any, ...]]:
    """What a query on the DuckDB file finds."""
    with duckdb.connect("gong_calls.duckdb", read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()


RUNS = "select command, resources, status, requests, records, changed from gong.runs order by started_at"


def test_each_command_that_loads_has_a_row(serve: Serve, settings_for: SettingsFor) -> None:
    """Command, resources, outcome and counts; `status` and a plan write nothing."""
    tenant = Tenant.generate(150, start=days_ago(5), end=END, seed=1, users=4)
    simulator = serve(tenant)
    settings = settings_for(simulator, resources=["calls", "users"], start_date=iso(days_ago(6)))
    began = now()

    results = [
        sync(settings=settings),
        backfill(days_ago(9), days_ago(7), settings=settings),
        verify(settings=settings),
    ]
    status(settings=settings)

    sent = [result.requests for result in results]
    assert rows(RUNS) == [
        ("sync", "calls,users", "done", sent[0], 154, 154),
        ("backfill", "calls,users", "done", sent[1], 0, 0),
        ("verify", "calls,users", "done", sent[2], 0, 0),
    ]
    assert sum(sent) == len(simulator.requests) == status(settings=settings).requests_today
    found = rows("select started_at, finished_at, message, tenant, version from gong.runs")
    for started, finished, message, host, version in found:
        assert began - timedelta(seconds=1) <= utc(started) <= utc(finished) <= now() + timedelta(seconds=1)
        assert (message, host, version) == (None, "127.0.0.1", __version__)


def test_repair_says_how_much_it_loaded(serve: Serve, settings_for: SettingsFor) -> None:
    """A verification that repairs counts what it has received again, and what of it is new or different."""
    settings = settings_for(
        serve(Tenant.generate(150, start=days_ago(5), end=END, seed=1)), start_date=iso(days_ago(6))
    )
    sync(settings=settings)
    with duckdb.connect("gong_calls.duckdb") as connection:
        connection.execute("delete from gong.calls where id = (select min(id) from gong.calls)")
    repaired = verify(settings=settings, repair=True).resources["calls"]

    assert rows("select records, changed from gong.runs where command = 'verify'") == [(repaired.received, 1)]
    assert 1 <= repaired.received <= 150
    assert rows("select done from gong.runs where command = 'verify'") == [("calls",)]


def test_a_run_that_fails_pauses_or_misses_something_has_a_row_with_the_reason(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """The message is the one that the command shows."""
    simulator = serve(Tenant.generate(150, start=days_ago(5), end=END, seed=1))
    settings = settings_for(simulator, start_date=iso(days_ago(6)))
    sync(settings=settings)
    simulator.faults = [Fault(kind="status", status=401, text="Validate credentials failed")]
    failed = sync(settings=settings)
    simulator.faults = []
    paused = sync(settings=settings, control=Control(max_requests=1))

    found = rows("select status, message from gong.runs order by started_at")
    assert found == [("done", None), ("failed", failed.message), ("paused", paused.message)]
    shown = status(settings=settings)
    assert shown.last_command is not None
    assert (shown.last_command.command, shown.last_command.status) == ("sync", "paused")
    assert f"last command   sync paused at {iso(whole_second(shown.last_command.at))}: this run's" in status_text(shown)
    assert failed.message is not None


def test_requests_of_a_run_that_finished_nothing_count_for_the_day(serve: Serve, settings_for: SettingsFor) -> None:
    """Another machine, which knows the dataset alone, counts them too."""
    simulator = serve(Tenant.generate(150, start=days_ago(5), end=END, seed=1))
    settings = settings_for(simulator, start_date=iso(days_ago(6)))
    sync(settings=settings)
    before = status(settings=settings).requests_today
    simulator.faults = [Fault(kind="status", status=401, text="Validate credentials failed")]

    failed = sync(settings=settings)

    assert failed.requests > 0
    assert status(settings=settings).requests_today == before + failed.requests


def test_first_run_that_loads_nothing_makes_no_dataset(serve: Serve, settings_for: SettingsFor) -> None:
    """Without tables of ours there is nothing to write into, and nothing is created."""
    simulator = serve(Tenant(), faults=(Fault(kind="status", status=401, text="Validate credentials failed"),))

    assert sync(settings=settings_for(simulator)).status == "failed"

    assert not status(settings=settings_for(simulator)).exists


def test_a_dataset_without_the_table_gets_it(serve: Serve, settings_for: SettingsFor) -> None:
    """A dataset of snapshots alone has no package that makes the table: the first run makes it with its row."""
    settings = settings_for(serve(Tenant(users=3)), resources=["users"])

    sync(settings=settings)
    sync(settings=settings)

    assert rows("select status, records from gong.runs order by started_at") == [("done", 3), ("done", 0)]


def test_a_run_that_ends_with_an_error_has_a_row(
    serve: Serve, settings_for: SettingsFor, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception of the run is its message; a row that cannot be written is a warning."""
    simulator = serve(Tenant.generate(150, start=days_ago(5), end=END, seed=1))
    settings = settings_for(simulator, start_date=iso(days_ago(6)))
    sync(settings=settings)

    def raises(_progress: object) -> None:
        raise QuotaExhausted("of the caller")

    with pytest.raises(QuotaExhausted):
        sync(settings=settings, control=Control(on_progress=raises))
    assert rows("select status, message from gong.runs order by started_at")[1] == ("failed", "of the caller")

    simulator.faults = [Fault(kind="status", status=401, text="Validate credentials failed")]
    with duckdb.connect("gong_calls.duckdb") as connection:
        connection.execute("alter table gong.runs drop column version")
    assert sync(settings=settings).status == "failed"
    assert "this run is not written down in the table runs" in caplog.text
