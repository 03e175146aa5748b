"""`backfill`: ranges are loaded completely, resumed, and never fetched twice."""

from __future__ import annotations

import math
import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from tenants import END, ONE_AT_A_TIME, QUARTER_BEGINS, several_windows

from gong_source import ConfigurationError, Control, Window, backfill, plan_backfill, status, sync
from gong_source.api.plan import LISTS
from gong_source.simulator import Call, Fault, Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]


def days_ago(days: float) -> datetime:
    """A moment before the end of the tenant's calls."""
    return END - timedelta(days=days)


def ids() -> list[str]:
    """The ids in the table, in order; a duplicate would show."""
    with duckdb.connect("gong_calls.duckdb", read_only=True) as connection:
        return [row[0] for row in connection.execute("select id from gong.calls order by id").fetchall()]


def test_range_is_complete_and_the_second_run_costs_no_request(serve: Serve, settings_for: SettingsFor) -> None:
    """All calls of the range and no other. The same command again sends no request; --refresh fetches all again."""
    tenant = Tenant.generate(3000, start=days_ago(800), end=END, seed=1)
    simulator = serve(tenant)
    settings = settings_for(simulator)

    first = backfill(days_ago(600), days_ago(100), settings=settings)
    loaded = ids()
    second = backfill(days_ago(600), days_ago(100), settings=settings)
    third = backfill(days_ago(600), days_ago(100), settings=settings, refresh=True)

    range_ = Window(days_ago(600), days_ago(100))
    inside = [i for i, c in tenant.calls.items() if (tenant.effective_time(c, "documented") or END) in range_]
    assert first.status == second.status == third.status == "done"
    assert loaded == sorted(inside)
    assert (second.requests, second.windows) == (0, 0)
    assert "loaded already" in second.notes[0]
    assert third.calls_received == first.calls_received == len(loaded)
    assert third.calls_changed == 0


def test_what_any_run_covered_is_subtracted(serve: Serve, settings_for: SettingsFor) -> None:
    """After a sync and another backfill only the rest is fetched, and the watermark stays where the sync left it."""
    tenant = Tenant.generate(2000, start=days_ago(400), end=END, seed=2)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(50)))
    synced = sync(settings=settings)
    backfill(days_ago(200), days_ago(150), settings=settings)

    rest = backfill(days_ago(400), END, settings=settings)

    assert list(rest.ranges) == [Window(days_ago(400), days_ago(200)), Window(days_ago(150), days_ago(50))]
    assert ids() == sorted(tenant.calls)
    assert status().resources["calls"].watermark == synced.watermark
    assert status().resources["calls"].gaps == []


def test_backfill_of_recent_days_does_not_hide_late_calls_from_the_first_sync(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """Time that a backfill fetched within the lookback is fetched again by the next sync."""
    tenant = Tenant.generate(300, start=days_ago(30), end=END, seed=3)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(30)))
    backfill(days_ago(30), END, settings=settings)
    tenant.add(Call("99", started=days_ago(2)))

    first = sync(settings=settings)

    assert ids() == sorted(tenant.calls)
    assert first.ranges[0].start >= days_ago(7.1)
    assert first.watermark is not None
    assert first.watermark >= END, "covered up to now: the backfill covered the rest"


def test_plan_asks_for_little_and_loads_nothing(serve: Serve, settings_for: SettingsFor) -> None:
    """--plan shows calls, windows, requests, time and quota, with one request per missing range."""
    tenant = Tenant.generate(20_000, start=days_ago(365), end=END, seed=4)
    simulator = serve(tenant)
    settings = settings_for(simulator, requests_per_second=3.0, daily_request_budget=100)

    plan = plan_backfill(days_ago(365), END, settings=settings)

    assert len(simulator.requests) == plan.requests_used == 1
    assert plan.records == {"calls": 20_000}
    assert plan.windows == math.ceil(20_000 / LISTS.target)
    assert 200 <= plan.requests <= 210
    assert plan.seconds == pytest.approx(plan.requests / 3)
    assert plan.days == pytest.approx(plan.requests / 100)
    assert status().resources["calls"].rows == 0


def test_plan_of_what_is_covered_asks_for_nothing(serve: Serve, settings_for: SettingsFor) -> None:
    """Where nothing is missing the plan is empty."""
    simulator = serve(Tenant.generate(10, start=days_ago(300), end=days_ago(200), seed=5))
    settings = settings_for(simulator)
    backfill(days_ago(300), days_ago(200), settings=settings)
    simulator.reset_requests()

    plan = plan_backfill(days_ago(300), days_ago(200), settings=settings)

    assert (plan.ranges, plan.requests, len(simulator.requests)) == ({"calls": []}, 0, 0)


def test_end_in_the_future_covers_up_to_now_only(serve: Serve, settings_for: SettingsFor) -> None:
    """Future time never counts as covered."""
    simulator = serve(Tenant())

    result = backfill(days_ago(1), END + timedelta(days=30), settings=settings_for(simulator))

    assert result.ranges[0].end < END + timedelta(days=1)
    with pytest.raises(ConfigurationError, match="must lie in the past; it is"):
        backfill(END + timedelta(days=1), END + timedelta(days=30), settings=settings_for(simulator))


def test_request_budget_of_a_run_ends_it_cleanly_and_the_next_goes_on(serve: Serve, settings_for: SettingsFor) -> None:
    """--max-requests: never more are sent, what was fetched is loaded, and finished windows are not fetched again."""
    tenant = Tenant.generate(4500, start=days_ago(300), end=days_ago(30), seed=6)
    simulator = serve(tenant)
    settings = settings_for(simulator)
    needed = 0
    for _ in range(5):
        simulator.reset_requests()
        result = backfill(days_ago(300), days_ago(30), settings=settings, control=Control(max_requests=20))
        needed += len(simulator.requests)
        assert len(simulator.requests) <= 20
        if result.status == "done":
            break
        assert (result.status, result.retry_at) == ("paused", None)

    assert result.status == "done"
    assert ids() == sorted(tenant.calls)
    # a window that the budget cut off is fetched again: with so few requests one at a time is in flight
    assert needed <= 45 * 2


def test_daily_quota_is_finished_over_several_days(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the day's quota is used up, the run ends at once; the runs of the next days finish the range."""
    tenant = several_windows()
    clock = {"now": END.timestamp()}
    simulator = serve(tenant, daily_quota=60, clock=lambda: clock["now"])
    settings = settings_for(simulator)
    statuses = []
    for day in range(9):
        # every day on another machine: its throttle knows nothing of the day before
        monkeypatch.setenv("DLT_DATA_DIR", f"machine-{day}")
        result = backfill(QUARTER_BEGINS, END, settings=settings, control=Control(max_requests=ONE_AT_A_TIME))
        statuses.append(result.status)
        if result.status == "done":
            break
        assert result.retry_at is not None
        assert result.calls_received > 0
        clock["now"] += 86_400

    assert statuses[-1] == "done"
    assert set(statuses[:-1]) == {"paused"}
    assert ids() == sorted(tenant.calls)


@pytest.mark.usefixtures("one_day")
def test_daily_budget_leaves_room_for_others_and_is_known_across_machines(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The budget of a day counts over runs and machines, by the ledger."""
    tenant = Tenant.generate(9000, start=days_ago(300), end=days_ago(30), seed=8)
    simulator = serve(tenant)
    settings = settings_for(simulator, daily_request_budget=60)

    first = backfill(days_ago(300), days_ago(30), settings=settings)
    monkeypatch.setenv("DLT_DATA_DIR", "another-machine")
    second = backfill(days_ago(300), days_ago(30), settings=settings)

    assert first.status == second.status == "paused"
    assert "daily_request_budget" in (second.message or "")
    assert second.retry_at is not None
    assert second.retry_at.hour == 0
    # the ledger knows the requests of finished windows only
    assert len(simulator.requests) <= 60 + 40


def test_expired_page_cursor_costs_its_window_only(serve: Serve, settings_for: SettingsFor) -> None:
    """A page cursor that expires in the middle of a window has that window fetched again, and no other."""
    tenant = Tenant.generate(2700, start=days_ago(300), end=days_ago(30), seed=9)
    simulator = serve(tenant, faults=(Fault(kind="expire_cursor", times=1),))

    result = backfill(days_ago(300), days_ago(30), settings=settings_for(simulator))

    (expired,) = [request for request in simulator.requests if request.status == 400]
    asked = Counter(tuple(request.query.values()) for request in simulator.requests)
    again = {(start, end) for (start, end, *_), times in asked.items() if times > 1}
    assert result.status == "done"
    assert result.calls_received == 2700
    assert again == {(expired.query["fromDateTime"], expired.query["toDateTime"])}
    assert max(asked.values()) == 2


def test_stop_event_ends_the_run_and_keeps_what_was_fetched(serve: Serve, settings_for: SettingsFor) -> None:
    """Control.stopped ends a run between requests; the result says so, and the next run continues."""
    tenant = several_windows()
    # the last window is never fetched to its end before the stop
    simulator = serve(tenant, faults=(Fault(kind="slow", seconds=3600.0, numbers=range(60, 999)),))
    stopped = threading.Event()
    seen: list[Any] = []

    def stop_soon(progress: Any) -> None:
        seen.append(progress)
        if progress.windows:
            stopped.set()

    control = Control(stopped=stopped, on_progress=stop_soon, max_requests=ONE_AT_A_TIME)
    first = backfill(QUARTER_BEGINS, END, settings=settings_for(simulator), control=control)
    simulator.faults = []
    second = backfill(QUARTER_BEGINS, END, settings=settings_for(simulator))

    assert (first.status, first.interrupted) == ("paused", True)
    assert 0 < first.calls_received < len(tenant)
    assert seen[-1].records > 0
    assert second.status == "done"
    assert ids() == sorted(tenant.calls)
