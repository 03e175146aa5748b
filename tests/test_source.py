"""`pipeline.run(gong())` in anyone's own dlt script is a correct sync by itself."""

from __future__ import annotations

import json
import socket
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pytest
from dlt.extract.exceptions import ResourcesNotFoundError
from dlt.pipeline.exceptions import PipelineStepFailed
from tenants import END, ONE_AT_A_TIME, QUARTER_BEGINS, calls_within, several_windows

from gong_source import ConfigurationError, gong, status, sync
from gong_source.api.endpoints import CALLS as CALLS_ENDPOINT
from gong_source.api.fetch import Fetch
from gong_source.connection import connect
from gong_source.packages.sources import chunk_source
from gong_source.packages.window_package import WindowPackage
from gong_source.records.batch import Converter
from gong_source.records.call_time import Rule, page_times
from gong_source.resources.calls import CALLS
from gong_source.simulator import Call, Fault, Tenant
from gong_source.windows import Window, iso, now, reach, utc

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]


ALL = ["calls", "users", "workspaces", "call_details", "call_content", "transcripts"]


def days_ago(days: float) -> datetime:
    """A moment before the end of the tenant's calls."""
    return END - timedelta(days=days)


@pytest.fixture
def pipeline() -> dlt.Pipeline:
    """A user's own pipeline."""
    return dlt.pipeline("own", destination="duckdb", dataset_name="gong")


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Builds the source for a simulator, with its credentials in the environment as a user would have them."""

    def build(simulator: Simulator, **arguments: Any) -> Any:
        prefix = "SOURCES__GONG__CREDENTIALS__"
        monkeypatch.setenv(f"{prefix}ACCESS_KEY", "key")
        monkeypatch.setenv(f"{prefix}ACCESS_KEY_SECRET", "secret")
        monkeypatch.setenv(f"{prefix}BASE_URL", simulator.base_url)
        return gong(**({"requests_per_second": 1000.0} | arguments))

    return build


def rows(sql: str) -> list[tuple[Any, ...]]:
    """The result of a query on the loaded file."""
    with duckdb.connect("own.duckdb", read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()


def test_each_run_brings_the_table_up_to_date(serve: Serve, source: Any, pipeline: dlt.Pipeline) -> None:
    """All calls at first; then the lookback alone, with late and edited calls right and nothing else rewritten."""
    tenant = Tenant.generate(3000, start=days_ago(60), end=END, seed=1)
    simulator = serve(tenant)
    pipeline.run(source(simulator, start_date=iso(days_ago(60))))
    first = rows("select id from gong.calls order by id")
    newest = max(tenant.calls, key=lambda i: tenant.effective_time(tenant.calls[i], "documented") or END)
    tenant.edit(newest, title="renamed")
    tenant.add(Call("5", started=days_ago(2)))
    simulator.reset_requests()

    info = pipeline.run(source(simulator, start_date=iso(days_ago(60))))

    assert first == [(i,) for i in sorted(set(tenant.calls) - {"5"})]
    changed = rows(f"select id, title from gong.calls where _dlt_load_id = '{info.loads_ids[0]}' order by id")
    assert changed == sorted([("5", None), (newest, "renamed")])
    assert rows("select count(*), count(distinct id) from gong.calls") == [(3001, 3001)]
    assert len(simulator.requests) <= 5
    asked = datetime.fromisoformat(simulator.requests[0].query["fromDateTime"])
    assert days_ago(7.1) < asked <= days_ago(6.9)


def test_incremental_state_is_covered_up_to(serve: Serve, source: Any, pipeline: dlt.Pipeline) -> None:
    """The incremental value moves to the end of what was fetched, also over empty windows, and has no hashes."""
    pipeline.run(source(serve(Tenant()), start_date=iso(days_ago(3))))

    state = pipeline.state["sources"]["gong"]["resources"]["calls"]["incremental"]["call_time"]

    assert END <= state["last_value"] <= now()
    assert state["unique_hashes"] == []
    assert rows("select count(*) from gong.calls") == [(0,)]
    assert len(rows("describe gong.calls")) == len(CALLS.table.columns) + 1


def test_start_date_moved_earlier_is_honoured(serve: Serve, source: Any, pipeline: dlt.Pipeline) -> None:
    """A start date moved to an earlier day loads that range; moved back, nothing is lost or fetched again."""
    tenant = Tenant.generate(1000, start=days_ago(200), end=END, seed=2)
    simulator = serve(tenant)
    pipeline.run(source(simulator, start_date=iso(days_ago(20))))
    pipeline.run(source(simulator, start_date=iso(days_ago(200))))
    simulator.reset_requests()
    pipeline.run(source(simulator, start_date=iso(days_ago(200))))

    assert rows("select count(*) from gong.calls") == [(1000,)]
    assert len(simulator.requests) == 1


def test_another_workspace_starts_from_its_own_beginning(serve: Serve, source: Any, pipeline: dlt.Pipeline) -> None:
    """The watermark of one workspace says nothing about the others."""
    tenant = Tenant.generate(400, start=days_ago(40), end=END, seed=3, workspaces=2)
    simulator = serve(tenant)
    one, other = tenant.workspace_ids
    pipeline.run(source(simulator, start_date=iso(days_ago(40)), workspace_id=one))
    pipeline.run(source(simulator, start_date=iso(days_ago(40)), workspace_id=other))

    assert rows("select count(*) from gong.calls") == [(400,)]


def test_a_command_for_one_workspace_covers_nothing_for_all(
    serve: Serve, source: Any, settings_for: SettingsFor
) -> None:
    """After a command for one workspace, a plain run in the same pipeline fetches the time of all workspaces."""
    tenant = Tenant.generate(40, start=days_ago(40), end=END, seed=3, workspaces=2)
    simulator = serve(tenant)
    one, other = tenant.workspace_ids
    where = {"start_date": iso(days_ago(40)), "lookback_days": 0.0}
    own = dlt.pipeline("gong_calls", destination=dlt.destinations.duckdb("own.duckdb"), dataset_name="gong")
    own.run(source(simulator, **where))
    reached = now()
    tenant.add(Call("5", started=reached, fields={"workspaceId": other}))
    while now() <= reached:
        time.sleep(0.05)
    # what a command for one workspace does to the state, which both find in the destination
    client = connect(settings_for(simulator, workspace_id=one))
    converter = Converter(client, CALLS, Rule(others="started"))
    fetch = Fetch(client, CALLS_ENDPOINT, [Window(reached, now())], converter, page_times)
    own.run(chunk_source(WindowPackage(fetch, converter, mode="sync", watermark=reached), reached))
    fetch.close()
    client.transport.close()

    own.run(source(simulator, **where))

    assert rows("select count(*), count(distinct id) from gong.calls") == [(41, 41)]


def test_record_without_an_id_loads_nothing_and_says_so(serve: Serve, source: Any, pipeline: dlt.Pipeline) -> None:
    """A package is loaded completely or not at all: the run fails with Gong's request id; the next run loads all."""
    tenant = Tenant.generate(250, start=days_ago(10), end=END, seed=4)
    simulator = serve(tenant, faults=(Fault(kind="record_without_id", numbers=range(2, 50)),))

    with pytest.raises(PipelineStepFailed) as failed:
        pipeline.run(source(simulator, start_date=iso(days_ago(10))))
    sent, simulator.faults = [request.request_id for request in simulator.requests], []
    pipeline.run(source(simulator, start_date=iso(days_ago(10))))

    assert "has no usable id" in str(failed.value)
    assert any(request_id in str(failed.value) for request_id in sent[1:]), "the first page was right"
    assert rows("select count(*) from gong.calls") == [(250,)]


def test_quota_in_mid_run_commits_what_was_fetched(
    serve: Serve, source: Any, pipeline: dlt.Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    """A Retry-After of hours ends the package early with a warning; the watermark is at the end of what was fetched."""
    tenant = several_windows()
    limited = serve(tenant, faults=(Fault(kind="status", status=429, retry_after=21_600, numbers=range(60, 999)),))
    pipeline.run(source(limited, start_date=iso(QUARTER_BEGINS), daily_request_budget=ONE_AT_A_TIME))
    loaded = rows("select count(*) from gong.calls")[0][0]
    windows = rows("select window_start, window_end from gong.fetched_windows")
    fetched = [Window(utc(start), utc(end)) for start, end in windows]
    reached = rows("select max(watermark) from gong.fetched_windows")[0][0]

    # another address is another throttle: the rest comes without the wait
    rest = serve(tenant)
    pipeline.run(source(rest, start_date=iso(QUARTER_BEGINS)))

    assert "Gong asks to wait until" in caplog.text
    assert len(fetched) == 1
    assert loaded == calls_within(tenant, [(window.start, window.end) for window in fetched])
    assert reached == reach(QUARTER_BEGINS, fetched)
    assert min(r.query["fromDateTime"] for r in rest.requests) == iso(max(QUARTER_BEGINS, reached - timedelta(days=7)))
    assert rows("select count(*) from gong.calls") == [(15_000,)]


def test_interval_of_a_scheduler_is_respected(serve: Serve, source: Any, pipeline: dlt.Pipeline) -> None:
    """With an end value, as dlt gets it from an orchestrator, only that range is fetched and the state stays."""
    tenant = Tenant.generate(1000, start=days_ago(100), end=END, seed=6)
    simulator = serve(tenant)
    day = source(simulator)
    day.resources["calls"].apply_hints(
        incremental=dlt.sources.incremental("call_time", initial_value=days_ago(50), end_value=days_ago(40))
    )

    pipeline.run(day)

    (low, high), *_ = rows("select min(call_time), max(call_time) from gong.calls")
    assert days_ago(50) <= low <= high < days_ago(40)
    asked = simulator.requests[0].query
    assert (asked["fromDateTime"], asked["toDateTime"]) == (iso(days_ago(50)), iso(days_ago(40)))


def test_start_date_in_the_future_is_refused(source: Any, serve: Serve) -> None:
    """A plain run gets the error that the command gives, when the source is built."""
    with pytest.raises(ConfigurationError, match="start_date: 2999-01-01 lies in the future"):
        source(serve(Tenant()), start_date="2999-01-01")


def test_building_the_source_does_no_io(
    serve: Serve, source: Any, monkeypatch: pytest.MonkeyPatch, own_place: Any
) -> None:
    """Building the source opens no connection and makes no file."""
    simulator = serve(Tenant())

    def refuse(*_: Any) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    built = source(simulator)

    assert list(built.resources) == ALL
    assert list(built.selected_resources) == ["calls"]
    assert list(own_place.iterdir()) == []
    assert simulator.requests == []


def test_commands_continue_where_the_library_left_off(serve: Serve, source: Any, settings_for: SettingsFor) -> None:
    """The commands know a dataset that `pipeline.run` has filled: status shows it, sync fetches the lookback."""
    tenant = Tenant.generate(600, start=days_ago(60), end=END, seed=7)
    simulator = serve(tenant)
    dlt.pipeline("gong_calls", destination="duckdb", dataset_name="gong").run(
        source(simulator, start_date=iso(days_ago(60)))
    )

    shown = status().resources["calls"]
    result = sync(settings=settings_for(simulator, start_date=iso(days_ago(60))))

    assert shown.rows == 600
    assert shown.watermark is not None
    assert result.ranges[0].start == shown.watermark - timedelta(days=7)
    assert result.calls_changed == 0


def test_hints_say_how_the_tables_are_merged(serve: Serve, source: Any, pipeline: dlt.Pipeline) -> None:
    """Primary key, merge strategy, file format and descriptions are in dlt's schema for whoever reads it."""
    pipeline.run(source(serve(Tenant())))

    for name, key in (("calls", "id"), ("fetched_windows", "fetch_id")):
        table = pipeline.default_schema.tables[name]
        assert table["write_disposition"] == "merge"
        assert table["x-merge-strategy"] == "upsert"  # type: ignore[typeddict-item]
        assert table["file_format"] == "parquet"
        assert table["columns"][key]["primary_key"] is True
        assert all(c.get("description") for n, c in table["columns"].items() if n != "_dlt_load_id")
    assert json.dumps(pipeline.default_schema.to_dict(), default=str).count("secret") == 0


def test_other_resources_are_selected_as_in_any_dlt_source(serve: Serve, source: Any, pipeline: dlt.Pipeline) -> None:
    """`with_resources`, attributes and `selected` work as dlt's users expect; only selected lists are fetched."""
    simulator = serve(Tenant(users=120))

    pipeline.run(source(simulator).with_resources("users"))
    after_users = [request.path for request in simulator.requests]
    built = source(simulator)
    built.calls.selected = False
    built.workspaces.selected = True
    pipeline.run(built)

    assert after_users == ["/v2/users"] * 2
    assert [request.path for request in simulator.requests[2:]] == ["/v2/workspaces"]
    assert rows("select count(*) from gong.users") == [(120,)]
    assert rows("select resource, rows from gong.fetched_windows order by rows") == [("workspaces", 1), ("users", 120)]
    assert built.users.name == "users"
    with pytest.raises(ResourcesNotFoundError):
        source(simulator).with_resources("emails")


@pytest.mark.parametrize("chosen", ["calls,users", '["calls", "users"]', ["calls", "users"], "all"], ids=str)
def test_setting_resources_selects(
    serve: Serve, source: Any, pipeline: dlt.Pipeline, monkeypatch: pytest.MonkeyPatch, chosen: Any
) -> None:
    """The setting takes names with commas, a JSON list, a list or `all`, as an argument and in the environment."""
    simulator = serve(Tenant(users=3))
    as_argument = source(simulator, resources=chosen)
    monkeypatch.setenv("SOURCES__GONG__RESOURCES", chosen if isinstance(chosen, str) else json.dumps(chosen))
    built = source(simulator)

    expected = ALL if chosen == "all" else ["calls", "users"]
    assert list(as_argument.selected_resources) == list(built.selected_resources) == expected
    pipeline.run(built)
    assert rows("select count(*) from gong.users") == [(3,)]


def test_plain_runs_mark_removed_users(
    serve: Serve, source: Any, pipeline: dlt.Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    """A user's own pipeline marks deletions as the commands do, with the same guard, and keeps to `snapshot_hours`."""
    tenant = Tenant(users=60)
    simulator = serve(tenant)

    def run(**settings: Any) -> None:
        pipeline.run(source(simulator, resources="users", **({"snapshot_hours": 0} | settings)))

    run()
    tenant.users.remove(tenant.users.ids[0])
    run()
    assert rows("select count(*), count(deleted_at) from gong.users") == [(60, 1)]
    simulator.reset_requests()
    run(snapshot_hours=24)
    assert simulator.requests == []
    for user_id in tenant.users.ids[:50]:
        tenant.users.remove(user_id)
    run()
    assert rows("select count(*), count(deleted_at) from gong.users") == [(60, 1)]
    assert "Gong no longer lists 50 of 59 users" in caplog.text
    assert rows("select count(*) from gong.user_history where valid_to is null") == [(59,)]


def test_missing_scope_leaves_out_one_resource(
    serve: Serve, source: Any, pipeline: dlt.Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are loaded, and a warning names resource and scope; a run of that resource alone fails."""
    simulator = serve(Tenant(users=3), scopes=frozenset({"api:calls:read:basic", "api:workspaces:read"}))

    pipeline.run(source(simulator, resources="all"))

    assert rows("select count(*) from gong.workspaces") == [(1,)]
    assert "users is not loaded, the other resources are" in caplog.text
    assert "api:users:read" in caplog.text
    with pytest.raises(PipelineStepFailed, match="api:users:read"):
        pipeline.run(source(simulator).with_resources("users"))


def test_dataset_of_the_old_form_is_refused(serve: Serve, source: Any, settings_for: SettingsFor) -> None:
    """Commands and plain runs refuse a dataset with the old ledger, before they send a request."""
    simulator = serve(Tenant())
    old = dlt.pipeline("gong_calls", destination="duckdb", dataset_name="gong")
    tables = [dlt.resource([{"id": "1"}], name=name) for name in ("calls", "call_windows")]
    old.run(dlt.source(lambda: tables, name="gong", section="gong")())
    with duckdb.connect("gong_calls.duckdb") as connection:
        before = connection.execute("select * from gong.calls").fetchall()
    settings = settings_for(simulator)

    for command in (sync, status):
        with pytest.raises(ConfigurationError, match=r"loaded by an earlier version.*choose another --dataset"):
            command(settings=settings)
    with pytest.raises(PipelineStepFailed, match="loaded by an earlier version"):
        old.run(source(simulator))

    assert simulator.requests == []
    with duckdb.connect("gong_calls.duckdb") as connection:
        assert connection.execute("select * from gong.calls").fetchall() == before
