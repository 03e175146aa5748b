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
from dlt.pipeline.exceptions import PipelineStepFailed
from tenants import END, QUARTER_BEGINS, nine_windows

from gong_source import gong, status, sync
from gong_source.api.client import CALLS as CALLS_ENDPOINT
from gong_source.api.fetch import Walk
from gong_source.resources.declare import CALLS
from gong_source.rows import page_times
from gong_source.settings import connect
from gong_source.simulator import Call, Fault, Tenant
from gong_source.source import CallsConverter, CallsPackage, chunk_source
from gong_source.windows import Window, iso, now, reach, utc

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]


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
    """The incremental value moves to the end of what was asked for, over empty windows too, and holds no hashes."""
    pipeline.run(source(serve(Tenant()), start_date=iso(days_ago(3))))

    state = pipeline.state["sources"]["gong"]["resources"]["calls"]["incremental"]["call_time"]

    assert END <= state["last_value"] <= now()
    assert state["unique_hashes"] == []
    assert rows("select count(*) from gong.calls") == [(0,)]
    assert len(rows("describe gong.calls")) == len(CALLS.columns) + 1


def test_start_date_moved_earlier_is_honoured(serve: Serve, source: Any, pipeline: dlt.Pipeline) -> None:
    """Moved to an earlier day, it has that range loaded; moved back, nothing is lost or asked for again."""
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
    """In the pipeline of a command for one workspace, the library asks again for the time of all the others."""
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
    converter = CallsConverter(client, "started")
    walk = Walk(client, CALLS_ENDPOINT, [Window(reached, now())], converter, page_times)
    own.run(chunk_source(CallsPackage(walk, converter, mode="sync", watermark=reached), reached))
    walk.close()
    client.transport.close()

    own.run(source(simulator, **where))

    assert rows("select count(*), count(distinct id) from gong.calls") == [(41, 41)]


def test_record_without_an_id_loads_nothing_and_says_so(serve: Serve, source: Any, pipeline: dlt.Pipeline) -> None:
    """One package is all or nothing: the run fails with Gong's request id, and the next one loads all."""
    tenant = Tenant.generate(250, start=days_ago(10), end=END, seed=4)
    simulator = serve(tenant, faults=(Fault(kind="record_without_id", numbers=[2]),))

    with pytest.raises(PipelineStepFailed) as failed:
        pipeline.run(source(simulator, start_date=iso(days_ago(10))))
    pipeline.run(source(simulator, start_date=iso(days_ago(10))))

    assert "has no usable id" in str(failed.value)
    assert simulator.requests[1].request_id in str(failed.value)
    assert rows("select count(*) from gong.calls") == [(250,)]


def test_quota_in_mid_run_commits_what_was_walked(
    serve: Serve, source: Any, pipeline: dlt.Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    """A Retry-After of hours ends the package early with a warning, and the watermark stands at what was walked."""
    tenant = nine_windows(pages=2)
    # of nine windows with two pages each, fifteen answers finish six at the least
    limited = serve(tenant, faults=(Fault(kind="status", status=429, retry_after=21_600, numbers=range(16, 99)),))
    pipeline.run(source(limited, start_date=iso(QUARTER_BEGINS)))
    loaded = rows("select count(*) from gong.calls")[0][0]
    windows = rows("select window_start, window_end from gong.call_windows")
    walked = [Window(utc(start), utc(end)) for start, end in windows]
    reached = rows("select max(watermark) from gong.call_windows")[0][0]

    # another address is another throttle: the rest comes without the wait
    rest = serve(tenant)
    pipeline.run(source(rest, start_date=iso(QUARTER_BEGINS)))

    assert "Gong asks to wait until" in caplog.text
    assert 6 <= len(walked) <= 8
    assert loaded == pytest.approx(150 * len(walked), abs=2)
    assert reached == reach(QUARTER_BEGINS, walked)
    assert min(r.query["fromDateTime"] for r in rest.requests) == iso(max(QUARTER_BEGINS, reached - timedelta(days=7)))
    assert rows("select count(*) from gong.calls") == [(9 * 150,)]


def test_interval_of_a_scheduler_is_kept_to(serve: Serve, source: Any, pipeline: dlt.Pipeline) -> None:
    """With an end value, as dlt takes from an orchestrator, just that range is asked for and the state stays."""
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


def test_building_the_source_does_no_io(
    serve: Serve, source: Any, monkeypatch: pytest.MonkeyPatch, own_place: Any
) -> None:
    """Neither a connection nor a file comes from building it."""
    simulator = serve(Tenant())

    def refuse(*_: Any) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    built = source(simulator)

    assert list(built.resources) == ["calls"]
    assert list(own_place.iterdir()) == []
    assert simulator.requests == []


def test_commands_go_on_where_the_library_left_off(serve: Serve, source: Any, settings_for: SettingsFor) -> None:
    """A dataset filled by `pipeline.run` is known to the commands: status shows it, sync asks for the lookback."""
    tenant = Tenant.generate(600, start=days_ago(60), end=END, seed=7)
    simulator = serve(tenant)
    dlt.pipeline("gong_calls", destination="duckdb", dataset_name="gong").run(
        source(simulator, start_date=iso(days_ago(60)))
    )

    shown = status()
    result = sync(settings=settings_for(simulator, start_date=iso(days_ago(60))))

    assert shown.rows == 600
    assert shown.watermark is not None
    assert result.ranges[0].start == shown.watermark - timedelta(days=7)
    assert result.calls_changed == 0


def test_hints_say_how_the_tables_are_merged(serve: Serve, source: Any, pipeline: dlt.Pipeline) -> None:
    """Primary key, merge strategy, file format and descriptions are in dlt's schema for whoever reads it."""
    pipeline.run(source(serve(Tenant())))

    for name, key in (("calls", "id"), ("call_windows", "walk_id")):
        table = pipeline.default_schema.tables[name]
        assert table["write_disposition"] == "merge"
        assert table["x-merge-strategy"] == "upsert"  # type: ignore[typeddict-item]
        assert table["file_format"] == "parquet"
        assert table["columns"][key]["primary_key"] is True
        assert all(c.get("description") for n, c in table["columns"].items() if n != "_dlt_load_id")
    assert json.dumps(pipeline.default_schema.to_dict(), default=str).count("secret") == 0
