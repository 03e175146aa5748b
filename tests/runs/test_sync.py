"""`sync`, from the simulator's HTTP to the rows of a DuckDB file."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from tenants import END, ONE_AT_A_TIME, QUARTER_BEGINS, calls_within, days_ago, nine_windows, several_windows, truth

from gong_source import ConfigurationError, Control, Target, Window, backfill, status, sync
from gong_source.resources.bookkeeping import FETCHED_WINDOWS
from gong_source.resources.calls import CALLS
from gong_source.simulator import SMALL, Call, Fault, Tenant
from gong_source.windows import iso, now

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

FILE = Path("gong_calls.duckdb")


def rows(sql: str, file: Path = FILE) -> list[tuple[Any, ...]]:
    """The result of a query on the loaded file."""
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()


def table(file: Path = FILE) -> dict[str, dict[str, Any]]:
    """The loaded calls by id, each in the shape that Gong served it, with instants for times."""
    columns = CALLS.table.fields
    loaded = {}
    for *values, extra in rows(f"select {', '.join(c.name for c in columns.values())}, extra from gong.calls", file):
        record = dict(zip(columns, values, strict=True))
        loaded[record["id"]] = record | (json.loads(extra) if extra else {})
    assert len(loaded) == rows("select count(*) from gong.calls", file)[0][0]
    return loaded


@pytest.mark.parametrize("rule", ["documented", "scheduled"])
@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_every_call_and_every_field_arrives(serve: Serve, settings_for: SettingsFor, rule: str, order: str) -> None:
    """One row per call, each field and instant as served, call_time by the tenant's own rule, in either page order."""
    tenant = Tenant.generate(6000, start=days_ago(400), end=END, seed=3, unknown_fields=True, wild=True)
    simulator = serve(tenant, rule=rule, order=order)

    result = sync(settings=settings_for(simulator, start_date=iso(days_ago(401))))

    assert (result.status, result.calls_received, result.failures) == ("done", 6000, [])
    assert table() == truth(tenant)
    filed = dict(rows("select id, call_time from gong.calls"))
    timed = {i: call for i, call in tenant.calls.items() if call.scheduled or call.started}
    assert {i for i, call in timed.items() if filed[i] != tenant.effective_time(call, rule)} == set()
    untimed = [(filed[i], tenant.effective_time(call, rule)) for i, call in tenant.calls.items() if i not in timed]
    windows = dict(rows("select window_start, window_end from gong.fetched_windows"))
    assert [(start, real) for start, real in untimed if not start <= real < windows[start]] == []
    assert len(untimed) > 10
    assert result.unmapped > 0
    assert len(simulator.requests) == result.requests <= 66


def test_second_sync_with_nothing_new_is_one_request_and_rewrites_nothing(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """A lookback of fewer than 100 calls is one request; no row changes; the watermark moves on."""
    tenant = Tenant.generate(300, start=days_ago(100), end=END, seed=1)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(100)))
    first = sync(settings=settings)
    before = rows("select id, _dlt_load_id from gong.calls order by id")
    simulator.reset_requests()

    second = sync(settings=settings)

    assert [request.path for request in simulator.requests] == ["/v2/calls"]
    assert second.requests == 1
    assert second.calls_changed == 0
    assert rows("select id, _dlt_load_id from gong.calls order by id") == before
    assert second.watermark is not None
    assert first.watermark is not None
    assert second.watermark >= first.watermark
    asked = simulator.requests[0].query["fromDateTime"]
    assert datetime.fromisoformat(asked) == first.watermark - timedelta(days=7)


def test_late_edited_and_redated_calls_in_the_lookback_are_right_after_the_next_sync(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """What arrives late, changes or moves within the lookback is corrected; only those rows are rewritten."""
    tenant = Tenant.generate(400, start=days_ago(60), end=END, seed=2)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(60)))
    sync(settings=settings)
    recent = [i for i, c in tenant.calls.items() if (c.started or c.scheduled or END) > days_ago(5)]
    tenant.edit(recent[0], title="Trimmed", duration=7, isPrivate=True)
    tenant.redate(recent[1], started=days_ago(6), scheduled=days_ago(6))
    tenant.add(Call("77", scheduled=None, started=days_ago(3), fields={"title": "late"}))

    result = sync(settings=settings)

    assert result.calls_changed == 3
    assert table() == truth(tenant)


def test_first_run_that_finds_nothing_leaves_typed_tables(serve: Serve, settings_for: SettingsFor) -> None:
    """Both tables exist with every column in its type, although Gong listed nothing; the window is in the ledger."""
    simulator = serve(Tenant())

    result = sync(settings=settings_for(simulator, start_date=iso(days_ago(3))))

    assert (result.status, result.calls_received, result.requests) == ("done", 0, 1)
    types = {
        "text": "VARCHAR",
        "timestamp": "TIMESTAMP WITH TIME ZONE",
        "bigint": "BIGINT",
        "double": "DOUBLE",
        "bool": "BOOLEAN",
    }
    for declared in (CALLS.table, FETCHED_WINDOWS):
        found = {name: kind for name, kind, *_ in rows(f"describe gong.{declared.name}")}
        assert {c.name: types[c.dlt_type] for c in declared.columns}.items() <= found.items()
    assert rows("select rows, total_records, settled, mode from gong.fetched_windows") == [(0, 0, True, "sync")]


def test_ledger_has_the_cost_of_each_window(serve: Serve, settings_for: SettingsFor) -> None:
    """The ledger's requests add up to those that the server got, its rows to the calls, its windows to the range."""
    tenant = Tenant.generate(4500, start=days_ago(20), end=END, seed=4)
    simulator = serve(tenant, faults=(Fault(kind="status", status=503, numbers=range(3, 6)),))

    result = sync(settings=settings_for(simulator, start_date=iso(days_ago(20))))

    assert rows("select sum(requests), sum(rows), min(window_start), max(window_end) from gong.fetched_windows") == [
        (len(simulator.requests), 4500, days_ago(20), result.watermark)
    ]
    known = {request.request_id for request in simulator.requests}
    ids = rows("select first_request_id, last_request_id from gong.fetched_windows")
    assert {i for pair in ids for i in pair} <= known


def test_without_a_start_date_the_first_sync_says_what_it_takes(serve: Serve, settings_for: SettingsFor) -> None:
    """The last 30 days, with a note that says how to change that; later syncs continue from there without a note."""
    simulator = serve(Tenant.generate(200, start=days_ago(90), end=END, seed=5))

    first = sync(settings=settings_for(simulator))
    second = sync(settings=settings_for(simulator))

    assert "last 30 days" in first.notes[0]
    assert "SOURCES__GONG__START_DATE" in first.notes[0]
    assert first.ranges[0].seconds == 30 * 86400
    assert second.notes == []
    assert second.ranges[0].start == first.watermark - timedelta(days=7)


def test_start_date_moved_earlier_is_honoured(serve: Serve, settings_for: SettingsFor) -> None:
    """The next sync fetches the new range and the lookback, and nothing in between."""
    tenant = Tenant.generate(900, start=days_ago(300), end=END, seed=6)
    simulator = serve(tenant)
    sync(settings=settings_for(simulator, start_date=iso(days_ago(50))))

    result = sync(settings=settings_for(simulator, start_date=iso(days_ago(300))))

    assert result.ranges[0] == Window(days_ago(300), days_ago(50))
    assert len(result.ranges) == 2
    assert table() == truth(tenant)


def test_start_date_moved_later_leaves_a_gap_and_no_further_requests(serve: Serve, settings_for: SettingsFor) -> None:
    """After an interrupted first sync and a later start date, the next syncs fetch only the lookback."""
    tenant = Tenant.generate(3000, start=days_ago(300), end=END, seed=9)
    simulator = serve(tenant)
    cut_short = settings_for(simulator, start_date=iso(days_ago(300)))
    assert sync(settings=cut_short, control=Control(max_requests=12)).status == "paused"
    later = settings_for(simulator, start_date=iso(days_ago(30)))

    first = sync(settings=later)
    simulator.reset_requests()
    second = sync(settings=later)

    assert first.watermark is not None
    assert second.watermark is not None
    assert END <= first.watermark <= second.watermark
    assert len(simulator.requests) == 1
    assert status().resources["calls"].gaps != []
    recent = {
        i for i, call in tenant.calls.items() if (tenant.effective_time(call, "documented") or END) >= days_ago(30)
    }
    assert recent <= set(table())
    sync(settings=cut_short)
    assert table() == truth(tenant)


def test_a_run_that_loads_nothing_says_that_nothing_is_covered(serve: Serve, settings_for: SettingsFor) -> None:
    """A run that loaded nothing reports no watermark."""
    simulator = serve(Tenant(), faults=[Fault(kind="status", status=401)])

    result = sync(settings=settings_for(simulator, start_date=iso(days_ago(30))))

    assert (result.status, result.watermark) == ("failed", None)


def test_clock_before_all_that_is_loaded_is_reported(serve: Serve, settings_for: SettingsFor) -> None:
    """A machine whose clock is before all loaded data sends no request."""
    simulator = serve(Tenant.generate(10, start=days_ago(20), end=END, seed=1))
    sync(settings=settings_for(simulator, start_date=iso(days_ago(30))))
    with duckdb.connect(str(FILE)) as connection:
        connection.execute(
            "update gong.fetched_windows set window_start = window_start + interval 1 year,"
            " window_end = window_end + interval 1 year, watermark = watermark + interval 1 year"
        )
    simulator.reset_requests()

    with pytest.raises(ConfigurationError, match="this machine's clock says"):
        sync(settings=settings_for(simulator))

    assert simulator.requests == []


def test_call_without_id_fails_its_window_and_only_that(serve: Serve, settings_for: SettingsFor) -> None:
    """A ninth of the window is reported with Gong's request id, the rest is loaded; the next sync fetches it again."""
    tenant = nine_windows()
    simulator = serve(tenant, faults=(Fault(kind="record_without_id", numbers=[5, 9]),))
    settings = settings_for(simulator, start_date=iso(QUARTER_BEGINS))

    first = sync(settings=settings)
    loaded = len(table())
    second = sync(settings=settings)

    assert first.status == "incomplete"
    assert len(first.failures) == 1
    assert simulator.requests[8].request_id in first.failures[0]
    assert first.watermark is not None
    assert first.watermark < second.watermark
    assert loaded == first.calls_received
    assert loaded == pytest.approx(450 - 50, abs=1)
    assert second.status == "done"
    assert table() == truth(tenant)


def test_run_that_can_load_nothing_has_failed(serve: Serve, settings_for: SettingsFor) -> None:
    """If the only window fails, the run has failed, and its one message has the reason."""
    page = Fault(kind="html", path="/v2/calls")

    result = sync(settings=settings_for(serve(Tenant(), faults=(page,))))

    assert (result.status, result.windows) == ("failed", 0)
    assert "1 of 1 windows could not be loaded. The first: [" in str(result.message)
    assert "a body that is not JSON" in str(result.message)


def test_wrong_key_is_reported_once(serve: Serve, settings_for: SettingsFor) -> None:
    """An error that concerns every resource ends the run after the first request."""
    simulator = serve(Tenant(), access_key_secret="another")

    result = sync(settings=settings_for(simulator, resources="all"))

    assert (result.status, list(result.resources), len(simulator.requests)) == ("failed", ["calls"], 1)
    assert str(result.message).count("answered 401") == 1


def test_quota_in_the_middle_ends_in_a_clean_stop_and_goes_on_later(serve: Serve, settings_for: SettingsFor) -> None:
    """What was fetched is loaded, the result says when to run again, and only unfinished windows are repeated."""
    tenant = several_windows()
    simulator = serve(tenant, faults=(Fault(kind="status", status=429, retry_after=21_600, numbers=range(60, 999)),))
    settings = settings_for(simulator, start_date=iso(QUARTER_BEGINS))

    paused = sync(settings=settings, control=Control(max_requests=ONE_AT_A_TIME))
    windows = dict(rows("select window_start, window_end from gong.fetched_windows"))
    times = [moment for (moment,) in rows("select call_time from gong.calls")]
    again = sync(settings=settings)

    assert paused.status == "paused"
    assert paused.retry_at is not None
    assert timedelta(hours=5.9) < paused.retry_at - now() <= timedelta(hours=6.1)
    assert paused.windows == len(windows) == 1
    assert len(times) == paused.calls_received == calls_within(tenant, windows.items())
    assert all(any(start <= moment < end for start, end in windows.items()) for moment in times)
    assert (again.status, again.requests) == ("paused", 0), "no request before Retry-After has run out"


def test_start_date_that_is_not_a_date_is_a_configuration_error(serve: Serve, settings_for: SettingsFor) -> None:
    """A start date that is not a date is refused before any request."""
    simulator = serve(Tenant())

    with pytest.raises(ConfigurationError, match=r"start_date.*not a date"):
        sync(settings=settings_for(simulator, start_date="yesterday-ish"))
    with pytest.raises(ConfigurationError, match="future"):
        sync(settings=settings_for(simulator, start_date="2999-01-01"))
    assert simulator.requests == []


def test_machine_that_starts_empty_goes_on_from_the_warehouse(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without its working folder, the next sync fetches only the lookback."""
    tenant = Tenant.generate(2000, start=days_ago(200), end=END, seed=9)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(200)))
    sync(settings=settings)
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "another machine"))

    result = sync(settings=settings)

    assert result.requests <= 2
    assert result.calls_changed == 0
    assert table() == truth(tenant)


def test_two_folders_never_share_state(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same command in another folder loads everything into that folder's file, whatever was synced elsewhere."""
    tenant = Tenant.generate(500, start=days_ago(50), end=END, seed=10)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(50)))
    sync(settings=settings)
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)

    result = sync(settings=settings)

    assert result.calls_changed == 500
    assert table() == truth(tenant)


def test_unsettled_window_is_asked_for_again(serve: Serve, settings_for: SettingsFor) -> None:
    """A window in which Gong still processes a call is not an error, is shown by status, and is fetched again."""
    tenant = Tenant.generate(300, start=days_ago(90), end=END, seed=11)
    tenant.add(Call("88", started=days_ago(60), available_at=END.timestamp() + 3600))
    clock = {"now": END.timestamp()}
    simulator = serve(tenant, clock=lambda: clock["now"])
    settings = settings_for(simulator, start_date=iso(days_ago(90)))

    first = sync(settings=settings)
    unsettled = status().resources["calls"].unsettled
    clock["now"] += 7200
    second = sync(settings=settings)

    assert first.status == "done"
    assert len(first.unsettled) == len(unsettled) == 1
    assert days_ago(60) in unsettled[0]
    assert second.calls_changed == 1
    assert status().resources["calls"].unsettled == []
    assert table() == truth(tenant)


def test_workspace_has_its_own_coverage(serve: Serve, settings_for: SettingsFor) -> None:
    """A sync for one workspace does not count for the others."""
    tenant = Tenant.generate(400, start=days_ago(40), end=END, seed=12, workspaces=2)
    simulator = serve(tenant)
    one, _ = tenant.workspace_ids
    sync(settings=settings_for(simulator, start_date=iso(days_ago(40)), workspace_id=one))
    of_one = set(table())

    sync(settings=settings_for(simulator, start_date=iso(days_ago(40))))

    assert of_one == {i for i in tenant.calls if tenant.served(i)["workspaceId"] == one}
    assert table() == truth(tenant)


def test_pipeline_name_does_not_decide_what_is_covered(serve: Serve, settings_for: SettingsFor) -> None:
    """The ledger, not the pipeline's name, says what is covered."""
    tenant = Tenant.generate(300, start=days_ago(40), end=END, seed=13)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(40)))
    sync(Target(pipeline_name="gong_calls"), settings=settings)
    Path("gong_calls.duckdb").rename("renamed.duckdb")

    result = sync(Target(pipeline_name="renamed"), settings=settings)

    assert result.requests <= 2  # the lookback, and a question after the rule that dlt's state knew
    assert table(Path("renamed.duckdb")) == truth(tenant)


def test_backfilled_window_fetched_again_moves_no_start(serve: Serve, settings_for: SettingsFor) -> None:
    """A sync that fetches an old unsettled window again does not load all the time since then."""
    tenant = Tenant.generate(300, start=days_ago(400), end=END, seed=21)
    tenant.add(Call("88", started=days_ago(380), available_at=END.timestamp() + 3600))
    clock = {"now": END.timestamp()}
    simulator = serve(tenant, clock=lambda: clock["now"])
    settings = settings_for(simulator)
    sync(settings=settings)
    backfill(days_ago(390), days_ago(370), settings=settings)
    clock["now"] += 7200

    fetched_again = sync(settings=settings)
    next_sync = sync(settings=settings)

    assert fetched_again.ranges[0].start < days_ago(369)
    assert fetched_again.calls_changed == 1
    assert min(window.start for window in next_sync.ranges) > days_ago(31)


def test_window_that_always_fails_does_not_lengthen_the_lookback(serve: Serve, settings_for: SettingsFor) -> None:
    """The watermark stays before the window, and each sync asks for it again; the lookback keeps its length."""
    simulator = serve(nine_windows(), faults=(Fault(kind="record_without_id", numbers=[2, 7]),))
    settings = settings_for(simulator, start_date=iso(QUARTER_BEGINS), lookback_days=3.0)
    first = sync(settings=settings)
    simulator.faults = [Fault(kind="record_without_id", numbers=range(10, 100))]

    second = sync(settings=settings)

    assert first.watermark is not None
    assert first.watermark < days_ago(20)
    *_, recent = second.ranges
    assert len(second.ranges) == 2
    assert recent.start >= days_ago(4)
    assert second.watermark == first.watermark


def test_lookback_that_takes_the_whole_budget_leaves_nothing_uncovered(serve: Serve, settings_for: SettingsFor) -> None:
    """What was never loaded comes before what is fetched again, and the run says that its budget is too small."""
    tenant = Tenant.generate(2000, start=days_ago(60), end=END, seed=4, content=SMALL)
    notes: list[str] = []
    settings = settings_for(
        serve(tenant), resources="calls,call_details,call_content,users", start_date=iso(days_ago(60)), lookback_days=30
    )
    runs = 0
    while (covered := status(settings=settings).resources["calls"].covered) == [] or covered[0].seconds < 59 * 86_400:
        sync(settings=settings, control=Control(max_requests=5, on_note=notes.append))
        runs += 1
        assert runs < 12
        assert len(covered) <= 2

    assert len(table()) == 2000
    assert any("requests, and this run may send 5: allow it more, or set fewer lookback_days" in note for note in notes)


@pytest.mark.parametrize("budget", [2, 3, 20])
@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_each_run_with_a_small_budget_gets_further(
    serve: Serve, settings_for: SettingsFor, order: str, budget: int
) -> None:
    """15,000 calls in 18 months: however few requests a run may send, it covers time that no run has covered before."""
    tenant = Tenant.generate(15_000, start=days_ago(550), end=END, seed=31, shape="business")
    simulator = serve(tenant, order=order)
    settings = settings_for(simulator, start_date=iso(days_ago(550)))
    covered: list[float] = []
    loaded = []
    for _ in range(4):
        result = sync(settings=settings, control=Control(max_requests=budget))
        assert result.status == "paused"
        assert result.requests <= budget
        covered.append(sum(window.seconds for window in status().resources["calls"].covered))
        loaded.append(len(table()))

    assert all(earlier < later for earlier, later in pairwise(covered)), covered
    assert loaded == sorted(loaded)
    assert loaded[0] < loaded[-1]
