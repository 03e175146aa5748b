"""`verify`: differences between Gong and the warehouse are found and repaired, and nothing else is changed."""

from __future__ import annotations

import json
import random
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as st
from mirrors import (
    ALL_COLUMNS,
    END,
    LARGE,
    SMALL,
    between,
    change,
    damage,
    days_ago,
    environment_for,
    killed,
    lose,
    mirror,
    rows,
    sent,
    snapshot,
    started,
    table,
    truth,
)

from gong_source import ConfigurationError, Control, Window, backfill, status, sync, verify
from gong_source.api.transport import Usage
from gong_source.cli.main import main
from gong_source.cli.text import status_text, verify_text
from gong_source.resources.bookkeeping import VERIFICATIONS
from gong_source.runs.verification import REPAIR_HINT, Verification, VerifyResult
from gong_source.simulator import Call, Fault, Tenant
from gong_source.windows import iso, now, split

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.runs.run import Progress
    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

FEW = {"calls": 40, "days": 60, "long_gap_share": 0.3}
_COUNTS = ("listed", "stored", "missing", "changed", "surplus", "unsettled")


def run_cli(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """The exit code of a command against the simulator."""
    for name, value in environment_for(simulator).items():
        monkeypatch.setenv(name, value)
    return main([*options])


# --- a warehouse that is true


def test_a_clean_warehouse_costs_three_requests_and_gets_one_row(serve: Serve, settings_for: SettingsFor) -> None:
    """However many calls: the whole range is counted first; only the verification itself is written."""
    _, simulator, settings = mirror(serve, settings_for, LARGE)
    before, windows = snapshot(), rows("select * from gong.fetched_windows order by fetch_id")

    result = verify(settings=settings)

    assert (result.status, result.outcome, result.windows) == ("done", "clean", [])
    assert (result.listed, result.stored) == (6000, 6000)
    assert sent(simulator) == result.requests == 3
    first = simulator.requests[0].query
    covered = status().resources["calls"].covered[0]
    assert (first["fromDateTime"], first["toDateTime"]) == (iso(covered.start), iso(covered.end))
    assert snapshot() == before
    assert rows("select * from gong.fetched_windows order by fetch_id") == windows
    names = [column.name for column in VERIFICATIONS.columns]
    (row,) = rows(f"select {', '.join(names)} from gong.verifications")
    written = dict(zip(names, row, strict=True))
    assert (written["outcome"], written["requests"], written["is_repair"]) == ("clean", 3, False)
    assert (written["verified_from"], written["verified_to"]) == (covered.start, covered.end)
    assert (written["listed"], written["stored"], written["differing_windows"]) == (6000, 6000, 0)


def test_a_range_of_one_page_is_compared_call_by_call(serve: Serve, settings_for: SettingsFor) -> None:
    """Where a page holds the whole range, the comparison is exact: a missing and a surplus call do not cancel out."""
    tenant, simulator, settings = mirror(serve, settings_for, SMALL)
    gone, lost, edited = between(tenant, days_ago(30), days_ago(15))[:3]
    tenant.delete(gone)
    tenant.edit(edited, title="edited")
    lose([lost])

    result = verify(settings=settings, start=days_ago(30), end=days_ago(15))

    assert (result.total("missing"), result.total("changed"), result.total("surplus")) == (1, 1, 1)
    assert sent(simulator) == 2


def test_counts_can_cancel_out_and_deep_proves(serve: Serve, settings_for: SettingsFor) -> None:
    """A late and a deleted call next to each other leave the counts equal; --deep finds both."""
    tenant, _, settings = mirror(serve, settings_for, LARGE)
    gone = between(tenant, days_ago(200), days_ago(190))[0]
    tenant.add(Call("1", started=tenant.calls[gone].started))
    tenant.delete(gone)

    assert verify(settings=settings, repair=True).outcome == "clean"
    deep = verify(settings=settings, deep=True, repair=True)

    assert (deep.total("missing"), deep.total("surplus"), deep.outcome) == (1, 1, "repaired")
    assert table() == truth(tenant)


def test_without_a_sync_there_is_nothing_to_verify(serve: Serve, settings_for: SettingsFor) -> None:
    """An empty dataset is reported, not called clean: it may not be the one that was meant."""
    simulator = serve(Tenant())
    settings = settings_for(simulator)

    with pytest.raises(ConfigurationError, match=r"there is no dataset gong in .* yet; run gong-source sync first"):
        verify(settings=settings)
    assert [*Path().iterdir()] == []
    sync(settings=settings_for(simulator, resources="workspaces"))
    with pytest.raises(ConfigurationError, match="no calls have been loaded yet; run gong-source sync first"):
        verify(settings=settings)

    assert [request.path for request in simulator.requests] == ["/v2/workspaces"]


def test_what_was_loaded_of_workspaces_alone_is_verified_by_their_names(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """If no run has loaded all workspaces, verify names those that were loaded."""
    tenant = Tenant.generate(60, start=days_ago(20), end=days_ago(1), seed=2, workspaces=2)
    simulator = serve(tenant)
    one = tenant.workspace_ids[0]
    sync(settings=settings_for(simulator, start_date=iso(days_ago(21)), workspace_id=one))

    with pytest.raises(ConfigurationError, match=f"in workspace {one}: name it with --workspace-id"):
        verify(settings=settings_for(simulator))

    assert verify(settings=settings_for(simulator, workspace_id=one)).outcome == "clean"


@pytest.mark.parametrize("how", [{}, {"repair": True}, {"repair": True, "deep": True, "accept_deletions": True}])
def test_more_surplus_than_unsettled_calls_are_a_difference(
    how: dict[str, bool], serve: Serve, settings_for: SettingsFor
) -> None:
    """With one unsettled and two surplus calls, nothing is marked, and the window is not called clean."""
    tenant = Tenant.generate(60, start=days_ago(20), end=days_ago(1), seed=2)
    settings = settings_for(serve(tenant), start_date=iso(days_ago(21)))
    sync(settings=settings)
    for call_id in sorted(tenant.calls)[:2]:
        tenant.delete(call_id)
    tenant.add(Call("77", started=days_ago(9), available_at=now().timestamp() + 1e6))

    result = verify(settings=settings, **how)

    assert (result.status, result.outcome, result.marked_deleted) == ("incomplete", "differs", 0)
    assert (result.total("surplus"), result.total("unsettled")) == (2, 1)
    tenant.make_available("77", None)
    settled = verify(settings=settings, repair=True)
    assert (settled.outcome, settled.marked_deleted) == ("repaired", 2)
    assert table() == truth(tenant)


# --- a warehouse that is not


@pytest.mark.parametrize(("rule", "order"), [("documented", "ascending"), ("scheduled", "descending")])
def test_forty_damages_are_found_and_repaired(serve: Serve, settings_for: SettingsFor, rule: str, order: str) -> None:
    """Forty damages on forty days cost less than 25 requests each; then the table is the tenant, field by field."""
    tenant, simulator, settings = mirror(serve, settings_for, LARGE, served={"rule": rule, "order": order})
    damage(tenant, random.Random(4), 40, rule)

    result = verify(settings=settings, repair=True)

    assert (result.status, result.outcome) == ("done", "repaired")
    assert sent(simulator) == result.requests <= 25 * 40
    assert table() == truth(tenant, rule)
    simulator.reset_requests()
    again = verify(settings=settings)
    assert (again.status, again.outcome) == ("done", "clean")
    assert sent(simulator) <= 3


def test_one_missing_call_in_many_is_cheap_to_find(serve: Serve, settings_for: SettingsFor) -> None:
    """One damage is found by halving in fewer than 25 requests; without --repair nothing is loaded."""
    tenant, simulator, settings = mirror(serve, settings_for, LARGE)
    lost = next(iter(tenant.calls))
    lose([lost])
    before, fetches = snapshot(), rows("select count(*) from gong.fetched_windows")

    result = verify(settings=settings)

    assert (result.status, result.outcome) == ("incomplete", "differs")
    (found,) = result.windows
    assert (found.missing, found.changed, found.surplus, found.unsettled) == (1, 0, 0, 0)
    assert tenant.effective_time(tenant.calls[lost], "documented") in found.window
    assert found.listed == found.stored + 1 <= 500
    assert sent(simulator) <= 25
    assert snapshot() == before
    assert rows("select count(*) from gong.fetched_windows") == fetches
    assert rows("select outcome, differing_windows, missing from gong.verifications") == [("differs", 1, 1)]


def test_a_lost_month_is_reported_without_fetching_it_and_repaired_by_fetching_it(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """Where most of a window is missing, the counts are enough for a report; a repair fetches the window once."""
    tenant, simulator, settings = mirror(serve, settings_for, LARGE)
    month = between(tenant, days_ago(150), days_ago(30))
    lose(month)

    report = verify(settings=settings)
    reported = sent(simulator)
    simulator.reset_requests()
    repair = verify(settings=settings, repair=True)

    assert report.total("missing") > 0.8 * len(month) > 1500
    assert reported <= 50
    assert (repair.status, repair.outcome) == ("done", "repaired")
    assert sent(simulator) <= 60
    assert table() == truth(tenant)


def test_the_command_prints_a_table_or_json_and_exits_with_3(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Differing windows are lines of a table, or objects in --json; exit 3 until repaired, then 0."""
    tenant, simulator, _ = mirror(serve, settings_for, SMALL)
    lose(between(tenant, days_ago(30), END)[:1])

    assert run_cli(simulator, monkeypatch, "verify") == 3
    text, errors = capsys.readouterr()
    assert run_cli(simulator, monkeypatch, "verify", "--json", "--from", iso(days_ago(30)), "--to", iso(END)) == 3
    as_json = json.loads(capsys.readouterr().out)
    assert run_cli(simulator, monkeypatch, "verify", "--repair") == 0
    assert run_cli(simulator, monkeypatch, "verify", "--deep") == 0
    assert run_cli(simulator, monkeypatch, "verify", "--from", "tomorrow") == 2

    header = next(line for line in text.splitlines() if "missing" in line)
    assert header.split() == ["resource", "from", "(UTC)", "to", "(UTC)", *_COUNTS, "outcome"]
    assert "verify --repair" in errors
    assert as_json["outcome"] == "differs"
    assert as_json["ranges"] == [[iso(days_ago(30)), iso(END)]]
    assert [window["missing"] for window in as_json["windows"]] == [1]
    assert table() == truth(tenant)


def test_duplicate_rows_are_found_and_reduced_to_one(serve: Serve, settings_for: SettingsFor) -> None:
    """A duplicate row changes the count; the repair leaves one row, as Gong lists it."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    change("insert into gong.calls select * from gong.calls where id = ?", next(iter(tenant.calls)))

    change("insert into gong.calls select * from gong.calls where id = ?", between(tenant, days_ago(5), END)[0])
    moved = ALL_COLUMNS.replace("call_time", "call_time - interval 20 day")
    another, names = between(tenant, days_ago(30), END)[0], f"{ALL_COLUMNS}, _dlt_load_id"
    change(f"insert into gong.calls ({names}) select {moved}, _dlt_load_id from gong.calls where id = ?", another)

    assert verify(settings=settings).outcome == "differs"
    assert verify(settings=settings, repair=True).outcome == "repaired"

    assert table() == truth(tenant)
    assert verify(settings=settings).outcome == "clean"


# --- deep


def test_deep_finds_edits_that_counts_cannot_show(serve: Serve, settings_for: SettingsFor) -> None:
    """Old edits do not change counts; --deep reports them, and with --repair loads only those rows."""
    tenant, _, settings = mirror(serve, settings_for, LARGE)
    old = between(tenant, days_ago(300), days_ago(20))[::1200]
    for call_id in old:
        tenant.edit(call_id, title="edited", duration=1)
    before = dict(rows("select id, _dlt_load_id from gong.calls"))

    assert verify(settings=settings, repair=True).outcome == "clean"
    reported = verify(settings=settings, deep=True)
    assert dict(rows("select id, _dlt_load_id from gong.calls")) == before
    repaired = verify(settings=settings, deep=True, repair=True)

    assert (reported.status, reported.outcome, reported.total("changed")) == ("incomplete", "differs", 5)
    assert (repaired.status, repaired.outcome, repaired.total("changed")) == ("done", "repaired", 5)
    after = dict(rows("select id, _dlt_load_id from gong.calls"))
    assert {call_id for call_id in after if after[call_id] != before[call_id]} == set(old)
    assert table() == truth(tenant)
    assert verify(settings=settings, deep=True).outcome == "clean"


@pytest.mark.parametrize("deep", [True, False])
def test_call_times_follow_when_the_tenants_rule_turns_out_different(
    serve: Serve, settings_for: SettingsFor, deep: bool
) -> None:
    """Calls whose two times lie days apart move to the time by which Gong files them now."""
    gaps = {"calls": 400, "days": 100, "long_gap_share": 1.0, "conference_share": 0.0}
    tenant, simulator, settings = mirror(serve, settings_for, gaps)
    assert table() == truth(tenant)
    simulator.settings = type(simulator.settings)(rule="scheduled", requests_per_second=None, daily_quota=None)

    while (result := verify(settings=settings, repair=True, deep=deep)).outcome == "repaired":
        assert result.marked_deleted == 0

    assert result.outcome == "clean"
    if deep:
        assert table() == truth(tenant, "scheduled")
    assert rows("select count(*) from gong.calls where deleted_at is not null") == [(0,)]


# --- calls that Gong no longer lists


def test_deleted_calls_are_marked_and_come_back(serve: Serve, settings_for: SettingsFor) -> None:
    """deleted_at says when a run found the call missing, as a change by that load; a call that reappears loses it."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    recent = between(tenant, days_ago(5), END)[:2]
    old = between(tenant, days_ago(60), days_ago(20))[:3]
    for call_id in recent + old:
        tenant.delete(call_id)

    marking = verify(settings=settings, repair=True)

    assert (marking.outcome, marking.marked_deleted) == ("repaired", 5)
    marked = rows("select id, deleted_at, _dlt_load_id from gong.calls where deleted_at is not null")
    assert {call_id for call_id, _, _ in marked} == {*recent, *old}
    assert all(datetime.now(UTC) - moment < timedelta(minutes=1) for _, moment, _ in marked)
    newest = rows("select max(_dlt_load_id) from gong.fetched_windows where mode = 'repair'")
    assert {load_id for _, _, load_id in marked} == {newest[0][0]}
    assert table() == truth(tenant)
    assert verify(settings=settings).outcome == "clean"

    for call_id in recent + old:
        tenant.restore(call_id)
    sync(settings=settings)
    assert {i for (i,) in rows("select id from gong.calls where deleted_at is not null")} == set(old)
    assert verify(settings=settings, repair=True).total("missing") == 3
    assert table() == truth(tenant)


@pytest.mark.parametrize("policy", ["keep", "redact", "remove"])
def test_deleted_calls_setting(serve: Serve, settings_for: SettingsFor, policy: str) -> None:
    """Keep leaves the row, redact leaves no content in it, remove leaves no row; a reappearing call is whole again."""
    tenant, _, settings = mirror(serve, settings_for, SMALL, deleted_calls=policy)
    call_id = next(iter(tenant.calls))
    title, time = rows("select title, call_time from gong.calls where id = ?", call_id)[0]
    tenant.delete(call_id)

    assert verify(settings=settings, repair=True).marked_deleted == 1

    names = ALL_COLUMNS.split(", ")
    found = [
        dict(zip(names, row, strict=True))
        for row in rows(f"select {ALL_COLUMNS} from gong.calls where id = ?", call_id)
    ]
    if policy == "remove":
        assert found == []
        assert rows("select id from gong.arrivals where id = ?", call_id) == []
    else:
        (row,) = found
        assert row["deleted_at"] is not None
        assert row["call_time"] == time
        assert row["title"] == (title if policy == "keep" else None)
        kept = {name for name, value in row.items() if value is not None}
        assert policy == "keep" or kept == {"id", "workspace_id", "call_time", "deleted_at"}
    assert verify(settings=settings, repair=True).outcome == "clean"
    tenant.restore(call_id)
    assert verify(settings=settings, repair=True).outcome == "repaired"
    assert table() == truth(tenant)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    "loss", [{"see_no_calls": True}, {"visible_share": 0.5}, {"visible_share": 0.82}], ids=["all", "half", "some"]
)
def test_a_key_that_lost_its_visibility_touches_no_row(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch, capsys: Any, loss: Any, deep: bool
) -> None:
    """Many missing calls are not taken for deletions: nothing is marked, exit code 3, and the message says why."""
    _, simulator, _ = mirror(serve, settings_for, LARGE)
    before = snapshot()
    simulator.settings = type(simulator.settings)(requests_per_second=None, daily_quota=None, **loss)

    code = run_cli(simulator, monkeypatch, "verify", "--repair", *(["--deep"] if deep else []))

    assert code == 3
    assert "a key that lost its visibility looks the same" in capsys.readouterr().err
    assert snapshot() == before
    assert rows("select outcome, marked_deleted from gong.verifications") == [("refused", 0)]
    if loss.get("visible_share") != 0.82:
        assert sent(simulator) == 1


def test_a_person_can_accept_that_all_calls_are_deleted(serve: Serve, settings_for: SettingsFor) -> None:
    """--accept-deletions marks however many are missing; even three of three need it."""
    tenant, _, settings = mirror(serve, settings_for, {"calls": 3, "days": 10})
    for call_id in list(tenant.calls):
        tenant.delete(call_id)

    refused = verify(settings=settings, repair=True)
    accepted = verify(settings=settings, repair=True, accept_deletions=True)

    assert (refused.outcome, refused.marked_deleted) == ("refused", 0)
    assert (accepted.outcome, accepted.marked_deleted) == ("repaired", 3)
    assert table() == {}


def test_many_missing_calls_in_one_window_stop_all_marks_and_no_load(serve: Serve, settings_for: SettingsFor) -> None:
    """Many calls missing from a few days: nothing is marked, missing rows are loaded; once accepted, all are marked."""
    tenant, _, settings = mirror(serve, settings_for, LARGE)
    those_days = between(tenant, days_ago(152), days_ago(149))
    lost, elsewhere = between(tenant, days_ago(300), days_ago(10))[::5000]
    for call_id in [*those_days, elsewhere]:
        tenant.delete(call_id)
    change("delete from gong.calls where id = ?", lost)

    refused = verify(settings=settings, repair=True)

    assert len(those_days) >= 10
    assert (refused.status, refused.outcome, refused.marked_deleted) == ("incomplete", "refused", 0)
    assert rows("select count(*) from gong.calls where id = ?", lost) == [(1,)]
    assert rows("select count(*) from gong.calls where deleted_at is not null") == [(0,)]
    accepted = verify(settings=settings, repair=True, accept_deletions=True)
    assert (accepted.outcome, accepted.marked_deleted) == ("repaired", len(those_days) + 1)
    assert table() == truth(tenant)


# --- calls that Gong counts and does not list yet


def test_unsettled_windows_are_reported_and_neither_repaired_nor_a_reason_to_mark(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """While Gong still processes calls, nothing is loaded or marked; once Gong lists them, they are loaded."""
    clock = [END.timestamp()]
    tenant, _, settings = mirror(serve, settings_for, SMALL, served={"clock": lambda: clock[0]})
    hidden = between(tenant, days_ago(30), END)[0]
    time = tenant.effective_time(tenant.calls[hidden], "documented") or END
    tenant.make_available(hidden, END.timestamp() + 3600)  # processed anew: counted, and not listed
    for at in range(3):
        tenant.add(Call(str(90 + at), started=time + timedelta(seconds=at), available_at=END.timestamp() + 3600))
    before, fetches = snapshot(), rows("select count(*) from gong.fetched_windows")

    for _ in range(2):
        result = verify(settings=settings, repair=True)
        assert (result.status, result.outcome) == ("done", "clean")
        assert [found.outcome for found in result.windows] == ["unsettled"]
        assert (result.total("unsettled"), result.marked_deleted) == (4, 0)
        assert snapshot() == before
        assert rows("select count(*) from gong.fetched_windows") == fetches
    assert "Gong counts 4 calls that it does not list yet" in verify_text(result)

    clock[0] += 7200
    assert verify(settings=settings, repair=True).outcome == "repaired"
    assert table() == truth(tenant)


# --- runs that end early


@pytest.mark.parametrize("deep", [False, True])
def test_a_repair_that_the_quota_ends_is_finished_by_the_next(
    serve: Serve, settings_for: SettingsFor, deep: bool
) -> None:
    """However few requests a run has, it leaves nothing wrong behind, and a later one with enough finishes the work."""
    tenant, simulator, settings = mirror(serve, settings_for, LARGE)
    damage(tenant, random.Random(1), 10)
    before = table()
    right = truth(tenant)

    for allowed in (1, 20, 40):
        simulator.reset_requests()
        result = verify(settings=settings, repair=True, deep=deep, control=Control(max_requests=allowed))
        assert sent(simulator) <= allowed
        assert result.outcome == "paused"
        held = table()
        assert [i for i in held if held[i] not in (right.get(i), before.get(i))] == []
        assert [i for i in right if i in before and i not in held] == []

    assert verify(settings=settings, repair=True, deep=deep).outcome == "repaired"
    outcomes = rows("select outcome from gong.verifications order by started_at, finished_at")
    assert outcomes == [("paused",)] * 3 + [("repaired",)]
    # counts cannot show a pair of a missing and a surplus call
    assert deep or verify(settings=settings, repair=True, deep=True).status == "done"
    assert table() == right


def test_a_used_up_quota_exits_with_4(serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished work stays, and the exit code says to run again."""
    tenant, simulator, _ = mirror(serve, settings_for, SMALL)
    lose([next(iter(tenant.calls))])

    assert run_cli(simulator, monkeypatch, "verify", "--repair", "--max-requests", "2") == 4
    assert run_cli(simulator, monkeypatch, "verify", "--repair") == 0


_DIES = """
import os, signal
from gong_source import Control, verify

def die(progress):
    if (progress.records or 0) >= 4000:
        os.kill(os.getpid(), signal.SIGKILL)

verify(repair=True, deep=True, control=Control(on_progress=die))
"""


def test_a_repair_that_is_killed_is_finished_by_the_next(serve: Serve, settings_for: SettingsFor) -> None:
    """A process that dies in the middle leaves no lock and no damage; the next repair completes the table."""
    tenant, simulator, settings = mirror(serve, settings_for, LARGE)
    damage(tenant, random.Random(2), 20)

    died = started(_DIES, environment_for(simulator))
    died.join()

    assert died.exitcode == -signal.SIGKILL
    assert table() != truth(tenant)
    assert verify(settings=settings, repair=True, deep=True).outcome == "repaired"
    assert table() == truth(tenant)


def test_a_stopped_repair_marks_what_it_compared(serve: Serve, settings_for: SettingsFor) -> None:
    """A stopped repair has finished the windows that it compared, and the next one finishes the others."""
    # at this rate few windows are in flight, the earliest first, so that the first is whole before answers stop
    tenant, simulator, settings = mirror(serve, settings_for, LARGE, requests_per_second=40.0)
    simulator.faults = [Fault(kind="slow", seconds=3600.0, numbers=range(45, 1000))]
    ids = between(tenant, days_ago(300), END)
    for call_id in ids[::1000]:
        tenant.delete(call_id)
    control = Control()

    def stop_after_a_window(progress: Progress) -> None:
        if (progress.records or 0) > 2500:
            control.stopped.set()

    stopping = Control(control.stopped, None, stop_after_a_window)

    stopped = verify(settings=settings, repair=True, deep=True, control=stopping)

    assert (stopped.outcome, stopped.interrupted) == ("paused", True)
    assert stopped.resume_from is not None
    marked = {i for (i,) in rows("select id from gong.calls where deleted_at is not null")}
    assert marked == {i for i in ids[::1000] if i not in between(tenant, stopped.resume_from, END)} & marked
    assert 0 < len(marked) == stopped.marked_deleted < len(ids[::1000])
    simulator.faults = []
    assert verify(settings=settings, repair=True).outcome == "repaired"
    assert table() == truth(tenant)


@pytest.mark.parametrize("repair", [False, True])
def test_a_deep_verification_goes_on_where_the_quota_ended_it(
    serve: Serve, settings_for: SettingsFor, repair: bool
) -> None:
    """The result says how far it came; --from there costs only the rest, and earlier repairs stay."""
    tenant, simulator, settings = mirror(serve, settings_for, LARGE)
    early, late = between(tenant, days_ago(290), days_ago(280)), between(tenant, days_ago(10), days_ago(5))
    for days in (early, late):
        tenant.delete(days[0])
        tenant.edit(days[1], title="edited")
        lose(days[2:3])
    whole = verify(settings=settings, deep=True).requests
    simulator.reset_requests()

    first = verify(settings=settings, deep=True, repair=repair, control=Control(max_requests=whole // 2))
    assert (first.status, first.outcome) == ("paused", "paused")
    assert first.resume_from is not None
    assert days_ago(280) < first.resume_from < days_ago(10)
    assert f"--from {iso(first.resume_from)}" in str(first.message)
    second = verify(settings=settings, deep=True, repair=repair, start=first.resume_from)

    for result in (first, second):
        assert (result.total("missing"), result.total("changed"), result.total("surplus")) == (1, 1, 1)
        assert result.marked_deleted == repair
    assert sent(simulator) <= whole + 12
    ranges = rows("select verified_from, verified_to, listed from gong.verifications order by finished_at, outcome")
    assert (ranges[1][0], ranges[1][1], ranges[1][2]) == (first.ranges[0].start, first.resume_from, None)
    assert (ranges[2][0], ranges[2][1]) == (first.resume_from, first.ranges[-1].end)
    assert (table() == truth(tenant)) is repair


def test_a_window_that_cannot_be_compared_is_no_clean_one(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call without an id leaves a little time out, with exit code 3; the rest is repaired, and this later."""
    tenant, _, settings = mirror(serve, settings_for, LARGE)
    broken = serve(tenant, faults=(Fault(kind="record_without_id", numbers=range(8, 100)),))
    lost = between(tenant, days_ago(300), END)[::50]
    lose(lost)

    assert run_cli(broken, monkeypatch, "verify", "--deep", "--repair") == 3

    assert rows("select outcome from gong.verifications") == [("differs",)]
    assert 0 < len(tenant) - len(table()) < len(lost)
    assert verify(settings=settings, repair=True).outcome == "repaired"
    assert table() == truth(tenant)


# --- time


def test_calls_on_the_borders_of_windows_and_clock_changes_are_counted_once(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """Calls on the very cuts of the halving, a millisecond beside them, and in hours that a zone repeats or skips."""
    start, end = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 12, 1, tzinfo=UTC)
    tenant = Tenant.generate(700, start=start, end=end, seed=1, time_zone="America/New_York")
    moments = [datetime(2024, 3, 10, hour, 30, tzinfo=UTC) for hour in (5, 6, 7, 8)]
    moments += [datetime(2024, 11, 3, hour, 30, tzinfo=UTC) for hour in (4, 5, 6, 7)]
    pieces = [Window(start, end)]
    for _ in range(4):
        pieces = [half for piece in pieces for half in split(piece, 2)]
        for piece in pieces[1:]:
            moments += [piece.start, piece.start - timedelta(milliseconds=1), piece.start + timedelta(microseconds=1)]
    for number, moment in enumerate(moments):
        tenant.add(Call(str(1000 + number), started=moment, fields={"direction": "Inbound"}))
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(start))
    assert backfill(start, end, settings=settings).status == "done"
    ours = [str(1000 + number) for number in range(len(moments))]
    lose(ours[::3])
    for call_id in ours[1::9]:
        tenant.delete(call_id)

    assert verify(settings=settings, repair=True, accept_deletions=True).outcome == "repaired"

    assert table() == truth(tenant)
    assert verify(settings=settings, start=start, end=end, deep=True).outcome == "clean"


def test_only_the_range_asked_for_is_verified(serve: Serve, settings_for: SettingsFor) -> None:
    """--from is inclusive, --to exclusive; what lies outside is neither asked for nor repaired."""
    tenant, simulator, settings = mirror(serve, settings_for, SMALL)
    first, last = days_ago(40), days_ago(20)
    tenant.add(Call("1", started=first))
    tenant.add(Call("2", started=last))
    before = between(tenant, days_ago(60), first)[-1]
    lose([before])

    result = verify(settings=settings, start=first, end=last, repair=True)

    assert (result.outcome, result.total("missing")) == ("repaired", 1)
    assert set(tenant.calls) - table().keys() == {"2", before}
    assert all(iso(first) <= r.query["fromDateTime"] and r.query["toDateTime"] <= iso(last) for r in simulator.requests)
    with pytest.raises(ConfigurationError, match="must lie before"):
        verify(settings=settings, start=last, end=first)


def test_a_call_that_moved_out_of_the_range_is_taken_back_where_it_is_seen(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """A call that moved out of the repaired range looks deleted; the repair of its new time unmarks it."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    moved = between(tenant, days_ago(30), days_ago(20))[0]
    tenant.redate(moved, started=days_ago(50), scheduled=days_ago(50))

    part = verify(settings=settings, start=days_ago(30), end=days_ago(20), repair=True)
    assert part.marked_deleted == 1
    whole = verify(settings=settings, repair=True)

    assert (whole.outcome, whole.total("missing")) == ("repaired", 1)
    assert table() == truth(tenant)


def test_a_workspace_is_verified_by_itself(serve: Serve, settings_for: SettingsFor) -> None:
    """With a workspace, only its calls are fetched, and only its rows are counted and marked."""
    tenant, simulator, _ = mirror(serve, settings_for, SMALL | {"workspaces": 2})
    mine, other = tenant.workspace_ids
    of = {w: [i for i, c in tenant.calls.items() if c.fields["workspaceId"] == w] for w in (mine, other)}
    for workspace in (mine, other):
        tenant.delete(of[workspace][0])

    result = verify(settings=settings_for(simulator, workspace_id=mine), repair=True)

    assert (result.outcome, result.marked_deleted) == ("repaired", 1)
    assert rows("select id from gong.calls where deleted_at is not null") == [(of[mine][0],)]
    assert {request.query["workspaceId"] for request in simulator.requests} == {mine}


# --- within a sync


@pytest.mark.usefixtures("one_day")
def test_a_sync_can_verify_the_last_days(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sync --verify-days` repairs beyond the lookback and says so in its result; status shows when that was."""
    tenant, simulator, _ = mirror(serve, settings_for, SMALL)
    assert "last verified  never" in status_text(status())
    old = between(tenant, days_ago(40), days_ago(20))
    tenant.delete(old[0])
    lose(old[1:3])

    assert run_cli(simulator, monkeypatch, "sync", "--verify-days", "50", "--json") == 0

    verification = json.loads(capsys.readouterr().out)["verification"]
    assert (verification["outcome"], verification["missing"], verification["marked_deleted"]) == ("repaired", 2, 1)
    assert table() == truth(tenant)
    verified = status().resources["calls"].verified
    assert verified is not None
    assert (verified.outcome, verified.differing_windows) == ("repaired", len(verification["windows"]))
    assert days_ago(51) < verified.window.start < days_ago(49)
    assert "repaired" in status_text(status())
    assert status().as_json()["verified"]["outcome"] == "repaired"
    assert status().requests_today >= sent(simulator)


def test_a_verifying_sync_keeps_to_its_budget_and_makes_progress(serve: Serve, settings_for: SettingsFor) -> None:
    """A budget that is too small is not exceeded, leaves the sync done, and each sync repairs some."""
    tenant, simulator, settings = mirror(
        serve, settings_for, LARGE, verify_days=300, verify_request_budget=16, lookback_days=0
    )
    lose(between(tenant, days_ago(160), days_ago(100)))

    missing = [len(tenant) - len(table())]
    while missing[-1]:
        simulator.reset_requests()
        result = sync(settings=settings)
        assert result.status == "done"
        assert sent(simulator) <= 16 + result.requests
        missing.append(len(tenant) - len(table()))
        assert missing[-1] < missing[-2]
    assert len(missing) > 2
    assert table() == truth(tenant)


def test_a_sync_whose_verification_is_refused_is_incomplete(serve: Serve, settings_for: SettingsFor) -> None:
    """With a key that lost its visibility, the sync ends incomplete and says what to do."""
    _, simulator, settings = mirror(serve, settings_for, SMALL, verify_days=30)
    simulator.settings = type(simulator.settings)(requests_per_second=None, daily_quota=None, see_no_calls=True)

    result = sync(settings=settings)

    assert result.status == "incomplete"
    assert "lost its visibility" in str(result.message)


# --- when calls arrive


def test_first_seen_never_changes_and_status_shows_how_late_calls_arrive(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """Each call has the load that first brought it; calls that appear in time fetched before show the delay."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    assert status().resources["calls"].arrivals is None
    first = dict(rows("select id, first_seen_at from gong.arrivals"))
    assert first.keys() == set(tenant.calls)
    for number, days in enumerate((1, 2, 3, 5)):
        tenant.add(Call(str(10 + number), started=days_ago(days)))
    edited = next(i for i, c in tenant.calls.items() if (c.started or c.scheduled or END) > days_ago(4))
    tenant.edit(edited, title="edited")
    sync(settings=settings)

    loads = dict(rows("select load_id, inserted_at from gong._dlt_loads"))
    found = rows("select id, first_seen_at, load_id, mode, is_late from gong.arrivals")
    seen = {row[0]: row[1] for row in found}
    assert {i: seen[i] for i in first} == first
    assert all(loads[load_id] == moment for _, moment, load_id, _, _ in found)
    assert {(row[0], row[3]) for row in found if row[4]} == {(str(10 + n), "sync") for n in range(4)}
    arrivals = status().resources["calls"].arrivals
    assert arrivals is not None
    assert arrivals.records == 4
    assert arrivals.median == pytest.approx(2.5, abs=0.1)  # days; a slow machine adds minutes
    assert (arrivals.p99, arrivals.longest) == (pytest.approx(5, abs=0.1), pytest.approx(5, abs=0.1))
    assert arrivals.enough
    assert "the lookback is long enough" in status_text(status())
    assert status(settings=replace(settings, lookback_days=5.5)).resources["calls"].arrivals.enough is False  # type: ignore[union-attr]

    tenant.add(Call("20", started=days_ago(20)))
    verify(settings=settings, repair=True)
    assert status().resources["calls"].arrivals.beyond == 1  # type: ignore[union-attr]
    assert "set lookback_days to more days" in status_text(status())


def test_arrivals_that_a_run_could_not_record_are_recorded_by_the_next(serve: Serve, settings_for: SettingsFor) -> None:
    """A run that dies between its load and the record of arrivals leaves them to the next one, with their own time."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    before = rows("select * from gong.arrivals order by id")
    change("delete from gong.arrivals")
    tenant.add(Call("77", started=days_ago(1)))

    sync(settings=settings)
    sync(settings=settings)

    assert [row for row in rows("select * from gong.arrivals order by id") if row[1] != "77"] == before
    assert rows("select count(*), count(distinct id) from gong.arrivals") == [(301, 301)]


def test_arrivals_of_a_clock_that_was_set_back_are_recorded(serve: Serve, settings_for: SettingsFor) -> None:
    """A run whose clock was set back still records its own calls."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    change("update gong.arrivals set load_id = '9999999999.1' where id = (select min(id) from gong.arrivals)")
    tenant.add(Call("77", started=days_ago(1)))

    sync(settings=settings)

    assert rows("select count(*), count(distinct id) from gong.arrivals") == [(301, 301)]


def test_arrivals_of_a_load_that_died_are_recorded(serve: Serve, settings_for: SettingsFor) -> None:
    """Calls that a run merged before it died are there unchanged when the next one, on another machine, brings them."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    change("delete from gong.arrivals")
    change("delete from gong.fetched_windows")
    change("delete from gong._dlt_loads")
    tenant.add(Call("77", started=days_ago(1)))

    sync(settings=settings)

    assert rows("select count(*), count(distinct id), count(first_seen_at) from gong.arrivals") == [(301, 301, 301)]
    assert status().resources["calls"].arrivals is None


# --- any history


class Story:
    """Random events of a tenant and of its warehouse, drawn from a seed."""

    def __init__(self, seed: int, simulator: Simulator, settings: GongSettings, *, edits: bool) -> None:
        self.rng = random.Random(seed)
        self.simulator, self.tenant, self.settings = simulator, simulator.tenant, settings
        self.deleted: list[str] = []
        self.happenings = [self.arrive, self.delete, self.reappear, self.sync, self.backfill, self.verify, self.kill]
        if edits:
            self.happenings += [self.edit, self.redate]

    def moment(self) -> datetime:
        return days_ago(self.rng.uniform(0, 60))

    def arrive(self) -> None:
        times = {"started": self.moment(), "scheduled": self.rng.choice([None, self.moment()])}
        direction = self.rng.choice(["Inbound", "Conference"])
        self.tenant.add(Call(str(self.rng.getrandbits(60)), fields={"direction": direction}, **times))

    def delete(self) -> None:
        if self.tenant.calls:
            self.deleted.append(self.rng.choice(sorted(self.tenant.calls)))
            self.tenant.delete(self.deleted[-1])

    def reappear(self) -> None:
        if self.deleted:
            self.tenant.restore(self.deleted.pop(self.rng.randrange(len(self.deleted))))

    def edit(self) -> None:
        if self.tenant.calls:
            self.tenant.edit(self.rng.choice(sorted(self.tenant.calls)), title=str(self.rng.random()))

    def redate(self) -> None:
        if self.tenant.calls:
            call_id = self.rng.choice(sorted(self.tenant.calls))
            self.tenant.redate(call_id, started=self.moment(), scheduled=self.rng.choice([None, self.moment()]))

    def sync(self) -> None:
        assert sync(settings=self.settings).status == "done"

    def verify(self) -> None:
        assert verify(settings=self.settings, repair=True).status in {"done", "incomplete"}

    def backfill(self) -> None:
        end = self.rng.uniform(0, 50)
        range_ = days_ago(end + self.rng.uniform(1, 10)), days_ago(end)
        assert backfill(*range_, settings=self.settings, refresh=self.rng.choice([True, False])).status == "done"

    def kill(self) -> None:
        environment = environment_for(self.simulator) | {"SOURCES__GONG__START_DATE": iso(days_ago(61))}
        run = self.rng.choice(["sync()", "verify(repair=True, accept_deletions=True)"])
        killed(f"from gong_source import sync, verify\n{run}", environment, self.rng.uniform(0.1, 1.0))

    def tell(self, length: int) -> None:
        for _ in range(length):
            self.rng.choice(self.happenings)()


@tried(max_examples=3, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    rule=st.sampled_from(["documented", "scheduled"]),
    order=st.sampled_from(["ascending", "descending"]),
    edits=st.booleans(),
)
def test_any_history_ends_in_the_tenants_table(
    serve: Serve, settings_for: SettingsFor, seed: int, rule: str, order: str, edits: bool
) -> None:
    """After arrivals, edits, deletions, returns, syncs, backfills and kills, one repair makes tables and Gong equal."""
    served = {"rule": rule, "order": order}
    tenant, simulator, configured = mirror(serve, settings_for, FEW, served=served, start_date=iso(days_ago(61)))
    Story(seed, simulator, configured, edits=edits).tell(12)

    result = verify(settings=configured, repair=True, deep=edits, accept_deletions=True)

    assert result.status == "done"
    assert table() == truth(tenant, rule)
    assert verify(settings=configured, deep=True).outcome == "clean"


def test_hint_to_repair_is_given_once() -> None:
    """Where several resources differ, the message names each, and says at its end what to do."""
    result = VerifyResult(False, False)
    for name in ("calls", "users"):
        part = result.resources[name] = Verification(name, [], False, False)
        part.message = f"{name} differ{REPAIR_HINT}"
    result.conclude(Usage(), 0.0)

    assert result.message == "calls differ; users differ; gong-source verify --repair loads the differences again"
