"""Where details are chosen, one list gives the calls and all that belongs to them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from conversations import ALL, ask_again, difference, is_question, public_tenant
from places import Place, duckdb_place
from tenants import END, days_ago

from gong_source import backfill, check, status, sync, verify
from gong_source.runs.backfill import plan_backfill
from gong_source.simulator import Call, Fault, Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gong_source.settings import GongSettings
    from gong_source.simulator import Request, Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

LIST, EXTENSIVE, TRANSCRIPT = "/v2/calls", "/v2/calls/extensive", "/v2/calls/transcript"
DETAILS = "calls,call_details,call_content"
START = days_ago(10)


@pytest.fixture
def place(own_place: Path) -> Place:
    """A DuckDB file."""
    return duckdb_place(own_place / "gong_calls.duckdb", "gong")


def _kind(request: Request) -> str:
    if request.path != EXTENSIVE:
        return request.path
    if "callIds" in request.body["filter"]:
        return "by id"
    return "with content" if "contentSelector" in request.body else "question" if is_question(request) else "list"


def _kinds(simulator: Simulator) -> list[str]:
    return [kind for request in simulator.requests if (kind := _kind(request)) != "question"]


def test_first_sync_takes_a_request_for_a_hundred_calls(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Calls and all that belongs to them come with the same requests, in the same package."""
    tenant = public_tenant(230)
    simulator = serve(tenant)
    result = sync(place.target, settings=settings_for(simulator, resources=DETAILS, start_date=iso(START)))
    assert result.status == "done"
    assert _kinds(simulator) == ["with content"] * 3
    for name in ("call_details", "call_content"):
        assert (result.resources[name].asked, result.resources[name].received) == (230, 230)
    packages = "select distinct _dlt_load_id from gong."
    assert place.fetch(packages + "calls") == place.fetch(packages + "call_participants")
    ledger = place.fetch("select resource, endpoint, requests > 0 from gong.fetched_windows order by resource")
    assert ledger == [
        (name, f"POST {EXTENSIVE}", name == "calls") for name in ("call_content", "call_details", "calls")
    ]


def test_later_syncs_list_the_calls_and_ask_for_what_is_due(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """The list without content is small; a new call is asked for by its id."""
    tenant = public_tenant(12)
    simulator = serve(tenant)
    settings = settings_for(simulator, resources=ALL, start_date=iso(START))
    new = list(tenant.calls)[5]
    tenant.delete(new)
    sync(place.target, settings=settings)
    tenant.restore(new)
    simulator.reset_requests()
    result = sync(place.target, settings=settings)
    assert [_kind(request) for request in simulator.requests] == ["list", "by id", TRANSCRIPT]
    assert (result.calls_changed, result.resources["call_details"].asked) == (1, 1)
    assert difference(place, tenant) == []

    ask_again(place)
    simulator.reset_requests()
    sync(place.target, settings=settings)
    assert [_kind(request) for request in simulator.requests] == ["with content", TRANSCRIPT]


def test_after_many_lists_on_a_day_only_the_last_two_days_are_listed(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """Older days are listed as long as that takes no more than 100 requests a UTC day, for the workspace chosen."""
    simulator = serve(public_tenant(120))
    settings = settings_for(simulator, resources="calls,call_details", start_date=iso(START))
    sync(place.target, settings=settings)
    sync(place.target, settings=settings)
    copied = "w.* replace (uuid()::text as fetch_id)"
    place.write(f"insert into gong.fetched_windows select {copied} from gong.fetched_windows as w, range(300)")
    simulator.reset_requests()
    sync(place.target, settings=settings)
    (listed,) = simulator.requests
    assert listed.body["filter"]["fromDateTime"] >= iso(days_ago(2))

    empty = settings_for(simulator, resources="calls,call_details", start_date=iso(START), workspace_id="2")
    simulator.reset_requests()
    sync(place.target, settings=empty)
    assert simulator.requests[0].body["filter"]["fromDateTime"] < iso(days_ago(6))

    place.write("update gong.fetched_windows set fetched_at = fetched_at - interval 25 hour where true")
    simulator.reset_requests()
    sync(place.target, settings=settings)
    assert simulator.requests[0].body["filter"]["fromDateTime"] < iso(days_ago(6))


def _at_the_edge() -> Tenant:
    """A tenant whose lists disagree: conferences that were started a while before or after their schedule."""
    hour = timedelta(hours=1)
    times = [
        (START + hour / 2, START - hour / 2),
        (START - hour / 2, START + hour / 2),
        (days_ago(7) + hour, days_ago(7) - hour),
        (days_ago(7) - hour, days_ago(7) + hour),
        (days_ago(3), days_ago(3.1)),
    ]
    return Tenant(
        Call(str(10**17 + n), scheduled=scheduled, started=started, fields={"direction": "Conference"})
        for n, (scheduled, started) in enumerate(times)
    )


def _call_times(place: Place) -> dict[str, Any]:
    return dict(place.fetch("select id, call_time from gong.calls where deleted_at is null"))


def test_changing_the_list_marks_nothing_as_deleted(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """By the time that the other list uses, a call may lie outside the range: a day more is listed."""
    tenant = _at_the_edge()
    simulator = serve(tenant)
    by_schedule = {i: call.scheduled for i, call in tenant.calls.items() if call.scheduled and call.scheduled >= START}
    for resources, rounds in (("calls", 1), (DETAILS, 2), ("calls", 2), (DETAILS, 2)):
        settings = settings_for(simulator, resources=resources, start_date=iso(START))
        for _ in range(rounds):
            assert sync(place.target, settings=settings).resources["calls"].marked_deleted == 0
        times = _call_times(place)
        if resources == DETAILS:
            assert times == {i: call.started for i, call in tenant.calls.items()}
            assert verify(place.target, settings=settings).outcome == "clean"
        else:
            assert times.items() >= {i: time for i, time in by_schedule.items() if time > days_ago(7)}.items()
    assert len(times) == 5


def test_rule_of_each_list_is_learnt_once(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """What the answers have shown is kept for later runs, on any machine."""
    simulator = serve(public_tenant(40))
    settings = settings_for(simulator, resources=DETAILS, start_date=iso(START))
    sync(place.target, settings=settings)
    assert any(map(is_question, simulator.requests))
    simulator.reset_requests()
    sync(place.target, settings=settings)
    assert not any(map(is_question, simulator.requests))


@pytest.mark.parametrize("rule", ["documented", "scheduled", "started"])
@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_every_rule_and_order_ends_in_what_gong_serves(
    place: Place, serve: Serve, settings_for: SettingsFor, rule: str, order: str
) -> None:
    """Call times are those of the list with details, and the counts of a verification agree."""
    tenant = public_tenant(60)
    simulator = serve(tenant, extensive_rule=rule, order=order)
    settings = settings_for(simulator, resources=ALL, start_date=iso(START))
    sync(place.target, settings=settings)
    sync(place.target, settings=settings)
    assert difference(place, tenant) == []
    for chosen in (ALL, "calls"):  # the calls are compared with the list that gave them, whatever is chosen
        checked = verify(place.target, settings=settings_for(simulator, resources=chosen), deep=True)
        assert checked.outcome == "clean"
    expected = {i: tenant.effective_time(call, rule) for i, call in tenant.calls.items()}  # type: ignore[arg-type]
    assert _call_times(place) == {i: time for i, time in expected.items() if time is not None and time < END}


def test_scope_for_the_list_with_details_is_enough(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """The other list is not read, so its scope is not needed."""
    tenant = public_tenant(5)
    simulator = serve(tenant, scopes=frozenset({"api:calls:read:extensive"}))
    settings = settings_for(simulator, resources=DETAILS, start_date=iso(START))
    found = {part.name: part.granted for part in check(settings=settings).resources if part.chosen}
    assert found == {"calls": True, "call_details": True, "call_content": True}
    assert sync(place.target, settings=settings).status == "done"
    assert place.fetch("select count(*) from gong.calls") == [(5,)]


def test_without_that_scope_the_other_list_gives_the_calls(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """The run names the scope that is missing; with it, the next run loads the details of all calls."""
    tenant = public_tenant(5)
    simulator = serve(tenant, scopes=frozenset({"api:calls:read:basic"}))
    settings = settings_for(simulator, resources=DETAILS, start_date=iso(START))
    first = sync(place.target, settings=settings)
    assert (first.status, first.resources["calls"].status, first.calls_received) == ("incomplete", "done", 5)
    assert "api:calls:read:extensive" in str(first.message)
    assert verify(place.target, settings=settings).resources["calls"].outcome == "clean"
    whole = sync(place.target, settings=settings_for(serve(tenant), resources=DETAILS, start_date=iso(START)))
    assert whole.status == "done"
    assert place.fetch("select count(*) from gong.call_details") == [(5,)]


def test_call_whose_content_gong_cannot_give_costs_no_other_call(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """A window that fails with content is listed without; then the calls are asked for by id, and only one is left."""
    tenant = public_tenant(40)
    bad = next(iter(tenant.calls))
    faults = (
        Fault(kind="status", status=400, numbers={1}),
        Fault(kind="status", status=400, call_id=bad),
    )
    settings = settings_for(serve(tenant, faults=faults), resources=DETAILS, start_date=iso(START))
    result = sync(place.target, settings=settings)
    assert (result.status, result.resources["calls"].status, result.calls_received) == ("incomplete", "done", 40)
    assert f"call {bad}" in str(result.message)
    assert len(place.fetch("select call_id from gong.call_details")) == 39
    assert result.watermark is not None


def test_scope_that_is_taken_away_is_named_in_every_run(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Also if nothing is due: the calls come from the other list, and verify compares with that one."""
    tenant = public_tenant(5)
    sync(place.target, settings=settings_for(serve(tenant), resources=DETAILS, start_date=iso(START)))
    basic = serve(tenant, scopes=frozenset({"api:calls:read:basic"}))
    settings = settings_for(basic, resources=DETAILS, start_date=iso(START))
    for _ in range(2):
        result = sync(place.target, settings=settings)
        assert (result.status, result.resources["calls"].status) == ("incomplete", "done")
        assert str(result.message).count("call_details and call_content are not loaded") == 1
        assert "api:calls:read:extensive" in str(result.message)
    assert verify(place.target, settings=settings).resources["calls"].outcome == "clean"
    found = status(place.target, settings=settings).resources["calls"]
    assert (found.rows, len(found.covered)) == (5, 1)
    plan = plan_backfill(START, END, place.target, settings=settings)
    assert plan.records["calls"] == 0
    gone = next(iter(tenant.calls))
    tenant.delete(gone)
    assert sync(place.target, settings=settings).resources["calls"].marked_deleted == 1


def test_plan_of_a_backfill_without_that_scope(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """It counts the list that the backfill would read."""
    simulator = serve(public_tenant(130), scopes=frozenset({"api:calls:read:basic"}))
    settings = settings_for(simulator, resources="calls,call_details")
    plan = plan_backfill(START, END, place.target, settings=settings)
    assert (plan.records["calls"], plan.requests) == (130, 2 + 2)
    result = backfill(START, END, place.target, settings=settings)
    assert (result.status, result.resources["calls"].received) == ("incomplete", 130)
    assert str(result.message).count("call_details is not loaded") == 1


def test_call_that_is_listed_twice_has_its_rows_once(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Pages may overlap while Gong lists; each page is read on its own, and all come into one package."""
    tenant = public_tenant(230)
    twice = (Fault(kind="duplicate_rows", path=EXTENSIVE, rows=30),)
    settings = settings_for(serve(tenant, faults=twice), resources=ALL, start_date=iso(START))
    assert sync(place.target, settings=settings).status == "done"
    assert difference(place, tenant) == []
