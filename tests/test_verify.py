"""`verify`: what differs between Gong and the warehouse is found and repaired, and nothing else is touched."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as st

from gong_source import ConfigurationError, Control, Window, backfill, cli, status, sync, verify
from gong_source.console import status_text, verify_text
from gong_source.simulator import Call, Tenant
from gong_source.tables import CALLS, VERIFICATIONS
from gong_source.windows import iso, split

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.connection import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

END = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
FILE = Path("gong_calls.duckdb")
_COUNTS = ("gong", "held", "missing", "changed", "surplus", "unsettled")
ALL_COLUMNS = ", ".join(column.name for column in CALLS.columns)


def days_ago(days: float) -> datetime:
    """That long before the end."""
    return END - timedelta(days=days)


def rows(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """What a query on the DuckDB file finds."""
    with duckdb.connect(str(FILE), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(sql, parameters).fetchall()


def change(sql: str, *parameters: Any) -> None:
    """Damages the DuckDB file."""
    with duckdb.connect(str(FILE)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(sql, parameters)


def table() -> dict[str, dict[str, Any]]:
    """The calls not marked as deleted, by id, in the shape that Gong serves them, with their call_time."""
    loaded = {}
    fields = CALLS.fields
    names = ", ".join(column.name for column in fields.values())
    found = rows(f"select {names}, call_time, extra from gong.calls where deleted_at is null")
    for *values, call_time, extra in found:
        record = dict(zip(fields, values, strict=True)) | (json.loads(extra) if extra else {})
        loaded[record["id"]] = record | {"call_time": call_time}
    assert len(loaded) == len(found)
    return loaded


def truth(tenant: Tenant, rule: Any = "documented") -> dict[str, dict[str, Any]]:
    """The tenant's calls by id, with instants for times, and the time that files each."""
    served = {}
    for call_id, call in tenant.calls.items():
        record = tenant.served(call_id)
        for name in ("scheduled", "started"):
            if record.get(name) is not None:
                record[name] = datetime.fromisoformat(record[name])
        filed = {"call_time": tenant.effective_time(call, rule)}
        served[call_id] = dict.fromkeys(CALLS.fields) | record | filed
    return served


def snapshot() -> list[tuple[Any, ...]]:
    """Every row of calls, with the load in which it last changed."""
    return rows(f"select {ALL_COLUMNS}, _dlt_load_id from gong.calls order by id")


def tenant_of(calls: int, days: float, **drawing: Any) -> Tenant:
    """A tenant with calls in the last days."""
    return Tenant.generate(calls, start=days_ago(days), end=END, seed=calls, **drawing)


def synced(simulator: Simulator, settings: GongSettings) -> None:
    """Syncs, and forgets the requests of that."""
    assert sync(settings=settings).status == "done"
    simulator.reset_requests()


def sent(simulator: Simulator) -> int:
    """The number of requests that arrived."""
    return len(simulator.requests)


def run_cli(simulator: Simulator, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """The exit code of a command against the simulator."""
    monkeypatch.setenv("SOURCES__GONG__CREDENTIALS__ACCESS_KEY", "key")
    monkeypatch.setenv("SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET", "secret")
    monkeypatch.setenv("SOURCES__GONG__CREDENTIALS__BASE_URL", simulator.base_url)
    monkeypatch.setenv("SOURCES__GONG__REQUESTS_PER_SECOND", "1000")
    return cli.main([*options])


# --- a warehouse that is true


def test_a_clean_warehouse_costs_three_requests_and_gets_one_row(serve: Serve, settings_for: SettingsFor) -> None:
    """However many calls and years: the whole range is counted first; only the verification itself is written."""
    simulator = serve(tenant_of(8000, 1826, shape="business"))
    settings = settings_for(simulator, start_date=iso(days_ago(1826)))
    synced(simulator, settings)
    before, windows = snapshot(), rows("select * from gong.call_windows order by walk_id")

    result = verify(settings=settings)

    assert (result.status, result.outcome, result.windows) == ("done", "clean", [])
    assert (result.gong_calls, result.held_calls) == (8000, 8000)
    assert sent(simulator) == result.requests == 3
    first = simulator.requests[0].query
    covered = status().covered[0]
    assert (first["fromDateTime"], first["toDateTime"]) == (iso(covered.start), iso(covered.end))
    assert snapshot() == before
    assert rows("select * from gong.call_windows order by walk_id") == windows
    names = [column.name for column in VERIFICATIONS.columns]
    (row,) = rows(f"select {', '.join(names)} from gong.verifications")
    written = dict(zip(names, row, strict=True))
    assert (written["outcome"], written["requests"], written["is_repair"]) == ("clean", 3, False)
    assert (written["verified_from"], written["verified_to"]) == (covered.start, covered.end)
    assert (written["gong_calls"], written["held_calls"], written["differing_windows"]) == (8000, 8000, 0)


def test_a_range_of_one_page_is_compared_call_by_call(serve: Serve, settings_for: SettingsFor) -> None:
    """Where a page holds the whole range, the comparison is exact: a missing and a surplus call do not cancel out."""
    tenant = tenant_of(60, 20)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(20)))
    synced(simulator, settings)
    gone, lost, edited = list(tenant.calls)[:3]
    tenant.delete(gone)
    tenant.edit(edited, title="edited")
    change("delete from gong.calls where id = ?", lost)

    result = verify(settings=settings)

    assert (result.total("missing"), result.total("changed"), result.total("surplus")) == (1, 1, 1)
    assert sent(simulator) == 2


def test_without_a_sync_there_is_nothing_to_verify(serve: Serve, settings_for: SettingsFor) -> None:
    """An empty dataset is told as such, without a request."""
    simulator = serve(Tenant())

    result = verify(settings=settings_for(simulator))

    assert (result.status, result.ranges) == ("done", [])
    assert "nothing has been loaded yet" in result.notes[0]
    assert sent(simulator) == 0


# --- a warehouse that is not


def damage(tenant: Tenant, rng: random.Random, days: int, rule: Any) -> int:
    """Damages one call on each of that many days, in a way that the day's count shows; returns the number of them."""
    by_day: dict[Any, list[str]] = defaultdict(list)
    for call_id, call in tenant.calls.items():
        by_day[tenant.effective_time(call, rule).date()].append(call_id)  # type: ignore[union-attr]
    for day in rng.sample(sorted(by_day), days):
        call_id = rng.choice(by_day[day])
        kind = rng.choice(["lost", "deleted", "moved", "late"])
        if kind == "lost":
            change("delete from gong.calls where id = ?", call_id)
        elif kind == "deleted":
            tenant.delete(call_id)
        elif kind == "moved":
            change("update gong.calls set call_time = call_time + interval 3 day where id = ?", call_id)
        else:
            moment = tenant.effective_time(tenant.calls[call_id], rule)
            tenant.add(Call(str(rng.getrandbits(60)), started=moment, fields={"title": "late"}))
    return days


@pytest.mark.parametrize(("rule", "order"), [("documented", "ascending"), ("scheduled", "descending")])
def test_forty_damages_are_found_and_repaired(serve: Serve, settings_for: SettingsFor, rule: str, order: str) -> None:
    """Forty damages on forty days cost less than 25 requests each; then the table is the tenant, field by field."""
    tenant = tenant_of(8000, 300, shape="business", long_gap_share=0.05)
    simulator = serve(tenant, rule=rule, order=order)
    settings = settings_for(simulator, start_date=iso(days_ago(300)))
    synced(simulator, settings)
    damages = damage(tenant, random.Random(4), 40, rule)

    result = verify(settings=settings, repair=True)

    assert (result.status, result.outcome) == ("done", "repaired")
    assert sent(simulator) == result.requests <= 25 * damages
    assert table() == truth(tenant, rule)
    simulator.reset_requests()
    again = verify(settings=settings)
    assert (again.status, again.outcome) == ("done", "clean")
    assert sent(simulator) <= 3


def test_one_missing_call_in_many_is_cheap_to_find(serve: Serve, settings_for: SettingsFor) -> None:
    """One damage is halved down to and stays below 25 requests; without --repair nothing is loaded."""
    tenant = tenant_of(12000, 1000)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(1000)))
    synced(simulator, settings)
    lost = next(iter(tenant.calls))
    change("delete from gong.calls where id = ?", lost)
    before, walks = snapshot(), rows("select count(*) from gong.call_windows")

    result = verify(settings=settings)

    assert (result.status, result.outcome) == ("incomplete", "differs")
    (found,) = result.windows
    assert (found.missing, found.changed, found.surplus, found.unsettled) == (1, 0, 0, 0)
    assert tenant.effective_time(tenant.calls[lost], "documented") in found.window
    assert found.gong == found.held + 1 <= 500
    assert sent(simulator) <= 25
    assert snapshot() == before
    assert rows("select count(*) from gong.call_windows") == walks
    assert rows("select outcome, differing_windows, missing from gong.verifications") == [("differs", 1, 1)]


def test_a_lost_month_is_reported_without_walking_it_and_repaired_by_walking_it(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """Where most of a window is missing, counts tell enough for a report; a repair walks it once."""
    tenant = tenant_of(9000, 90)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(90)))
    synced(simulator, settings)
    change("delete from gong.calls where call_time >= ? and call_time < ?", days_ago(60), days_ago(30))

    report = verify(settings=settings)
    reported = sent(simulator)
    simulator.reset_requests()
    repair = verify(settings=settings, repair=True)

    assert report.total("missing") > 2500
    assert reported <= 50
    assert (repair.status, repair.outcome) == ("done", "repaired")
    assert sent(simulator) <= 60
    assert table() == truth(tenant)


def test_the_command_prints_a_table_or_json_and_exits_with_3(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Differing windows are lines of a table, or objects in --json; exit 3 until repaired, then 0."""
    tenant = tenant_of(80, 30)
    simulator = serve(tenant)
    synced(simulator, settings_for(simulator, start_date=iso(days_ago(30))))
    change("delete from gong.calls where id = ?", next(iter(tenant.calls)))

    assert run_cli(simulator, monkeypatch, "verify") == 3
    text, errors = capsys.readouterr()
    assert run_cli(simulator, monkeypatch, "verify", "--json", "--from", iso(days_ago(30)), "--to", iso(END)) == 3
    as_json = json.loads(capsys.readouterr().out)
    assert run_cli(simulator, monkeypatch, "verify", "--repair") == 0
    assert run_cli(simulator, monkeypatch, "verify", "--deep") == 0
    assert run_cli(simulator, monkeypatch, "verify", "--from", "tomorrow") == 2

    header = next(line for line in text.splitlines() if "missing" in line)
    assert header.split() == ["from", "(UTC)", "to", "(UTC)", *_COUNTS, "outcome"]
    assert "verify --repair" in errors
    assert as_json["outcome"] == "differs"
    assert as_json["ranges"] == [[iso(days_ago(30)), iso(END)]]
    assert [window["missing"] for window in as_json["windows"]] == [1]
    assert table() == truth(tenant)


def test_calls_held_twice_are_found_and_held_once_again(serve: Serve, settings_for: SettingsFor) -> None:
    """A row that is there twice differs by count; the repair leaves one, as Gong lists it."""
    tenant = tenant_of(900, 100)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(100)))
    synced(simulator, settings)
    change("insert into gong.calls select * from gong.calls where id = ?", next(iter(tenant.calls)))

    assert verify(settings=settings).outcome == "differs"
    assert verify(settings=settings, repair=True).outcome == "repaired"

    assert table() == truth(tenant)
    assert verify(settings=settings).outcome == "clean"


# --- deep


def test_deep_finds_edits_that_counts_cannot_show(serve: Serve, settings_for: SettingsFor) -> None:
    """Edits long ago leave counts as they are; --deep reports them, and with --repair loads those rows alone."""
    tenant = tenant_of(3000, 300, unknown_fields=True, wild=False)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(300)))
    synced(simulator, settings)
    old = [i for i, c in tenant.calls.items() if (c.started or c.scheduled or END) < days_ago(20)]
    for call_id in old[:5]:
        tenant.edit(call_id, title="edited", duration=1)
    before = dict(rows("select id, _dlt_load_id from gong.calls"))

    assert verify(settings=settings, repair=True).outcome == "clean"
    reported = verify(settings=settings, deep=True)
    assert dict(rows("select id, _dlt_load_id from gong.calls")) == before
    repaired = verify(settings=settings, deep=True, repair=True)

    assert (reported.status, reported.outcome, reported.total("changed")) == ("incomplete", "differs", 5)
    assert (repaired.status, repaired.outcome, repaired.total("changed")) == ("done", "repaired", 5)
    after = dict(rows("select id, _dlt_load_id from gong.calls"))
    assert {call_id for call_id in after if after[call_id] != before[call_id]} == set(old[:5])
    assert table() == truth(tenant)
    assert verify(settings=settings, deep=True).outcome == "clean"


@pytest.mark.parametrize("deep", [True, False])
def test_call_times_follow_when_the_tenants_rule_turns_out_different(
    serve: Serve, settings_for: SettingsFor, deep: bool
) -> None:
    """Calls whose two times lie days apart move to the time by which Gong files them now."""
    tenant = tenant_of(400, 100, long_gap_share=1.0, conference_share=0.0)
    simulator = serve(tenant, rule="documented")
    settings = settings_for(simulator, start_date=iso(days_ago(100)))
    synced(simulator, settings)
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
    """deleted_at tells when a call was found gone, as a change by that load; a call that reappears loses it."""
    tenant = tenant_of(300, 60)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(60)))
    synced(simulator, settings)
    recent = [i for i, c in tenant.calls.items() if (c.started or c.scheduled or END) > days_ago(5)][:2]
    old = [i for i, c in tenant.calls.items() if (c.started or c.scheduled or END) < days_ago(20)][:3]
    for call_id in recent + old:
        tenant.delete(call_id)

    marking = verify(settings=settings, repair=True)

    assert (marking.outcome, marking.marked_deleted) == ("repaired", 5)
    marked = rows("select id, deleted_at, _dlt_load_id from gong.calls where deleted_at is not null")
    assert {call_id for call_id, _, _ in marked} == {*recent, *old}
    assert all(datetime.now(UTC) - moment < timedelta(minutes=1) for _, moment, _ in marked)
    newest = rows("select max(_dlt_load_id) from gong.call_windows where mode = 'repair'")
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
    tenant = tenant_of(150, 60)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(60)), deleted_calls=policy)
    synced(simulator, settings)
    call_id = next(iter(tenant.calls))
    title, time = rows("select title, call_time from gong.calls where id = ?", call_id)[0]
    tenant.delete(call_id)

    assert verify(settings=settings, repair=True).marked_deleted == 1

    names = [c.name for c in CALLS.columns]
    found = [
        dict(zip(names, row, strict=True))
        for row in rows(f"select {', '.join(names)} from gong.calls where id = ?", call_id)
    ]
    if policy == "remove":
        assert found == []
        assert rows("select id from gong.call_arrivals where id = ?", call_id) == []
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
    """A mass of calls gone is not taken for deletions: nothing is marked, exit 3, and the message says why."""
    simulator = serve(tenant_of(4000, 100))
    settings = settings_for(simulator, start_date=iso(days_ago(100)))
    synced(simulator, settings)
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
    """--accept-deletions marks however many are gone; even three of three need it."""
    tenant = tenant_of(3, 10)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(10)))
    synced(simulator, settings)
    for call_id in list(tenant.calls):
        tenant.delete(call_id)

    refused = verify(settings=settings, repair=True)
    accepted = verify(settings=settings, repair=True, accept_deletions=True)

    assert (refused.outcome, refused.marked_deleted) == ("refused", 0)
    assert (accepted.outcome, accepted.marked_deleted) == ("repaired", 3)
    assert table() == {}


def test_a_mass_gone_from_one_window_holds_back_all_marks_and_no_load(serve: Serve, settings_for: SettingsFor) -> None:
    """Many calls gone from a few days: nothing is marked anywhere, missing calls still come in; accepted, all is."""
    tenant = tenant_of(2000, 100)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(100)))
    synced(simulator, settings)
    filed = {i: tenant.effective_time(c, "documented") or END for i, c in tenant.calls.items()}
    those_days = [i for i, time in filed.items() if days_ago(52) <= time < days_ago(49)]
    lost, elsewhere = [i for i, time in filed.items() if time < days_ago(80)][:2]
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
    """While Gong is still processing calls nothing is loaded or marked; once it lists them, they come in."""
    clock = [END.timestamp()]
    tenant = tenant_of(200, 60)
    simulator = serve(tenant, clock=lambda: clock[0])
    settings = settings_for(simulator, start_date=iso(days_ago(60)))
    synced(simulator, settings)
    moment = days_ago(30.0)
    hidden = next(i for i, c in tenant.calls.items() if (c.started or c.scheduled or END) > moment)
    time = tenant.effective_time(tenant.calls[hidden], "documented") or END
    tenant.make_available(hidden, END.timestamp() + 3600)  # processed anew: counted, and not listed
    for at in range(3):
        tenant.add(Call(str(90 + at), started=time + timedelta(seconds=at), available_at=END.timestamp() + 3600))
    before, walks = snapshot(), rows("select count(*) from gong.call_windows")

    for _ in range(2):
        result = verify(settings=settings, repair=True)
        assert (result.status, result.outcome) == ("done", "clean")
        assert [found.outcome for found in result.windows] == ["unsettled"]
        assert (result.total("unsettled"), result.marked_deleted) == (4, 0)
        assert snapshot() == before
        assert rows("select count(*) from gong.call_windows") == walks
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
    tenant = tenant_of(6000, 300)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(300)))
    synced(simulator, settings)
    damage(tenant, random.Random(1), 10, "documented")
    before = table()
    right = truth(tenant)

    for allowed in (1, 20, 60):
        simulator.reset_requests()
        result = verify(settings=settings, repair=True, deep=deep, control=Control(max_requests=allowed))
        assert sent(simulator) <= allowed
        assert result.outcome == "paused"
        held = table()
        assert [i for i in held if held[i] not in (right.get(i), before.get(i))] == []
        assert [i for i in right if i in before and i not in held] == []

    assert verify(settings=settings, repair=True, deep=deep).outcome == "repaired"
    assert table() == right
    outcomes = rows("select outcome from gong.verifications order by started_at, finished_at")
    assert outcomes == [("paused",)] * 3 + [("repaired",)]


def test_a_used_up_quota_exits_with_4(serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work done stays done, the exit code says to come back."""
    tenant = tenant_of(500, 100)
    simulator = serve(tenant)
    synced(simulator, settings_for(simulator, start_date=iso(days_ago(100))))
    change("delete from gong.calls where id = ?", next(iter(tenant.calls)))

    assert run_cli(simulator, monkeypatch, "verify", "--repair", "--max-requests", "2") == 4
    assert run_cli(simulator, monkeypatch, "verify", "--repair") == 0


_KILLED = """
import os, signal, sys, threading
from gong_source import Control, resolve_settings, verify

def die(progress):
    if progress.calls >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

credentials = {"access_key": "key", "access_key_secret": "secret", "base_url": sys.argv[1]}
settings = resolve_settings(credentials=credentials, start_date=sys.argv[2], requests_per_second=1000.0)
verify(repair=True, deep=True, settings=settings, control=Control(on_progress=die))
"""


def test_a_repair_that_is_killed_is_finished_by_the_next(serve: Serve, settings_for: SettingsFor) -> None:
    """A process that dies in the middle leaves no lock and no harm; the next repair ends in the tenant's table."""
    tenant = tenant_of(6000, 300)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(300)))
    synced(simulator, settings)
    damage(tenant, random.Random(2), 20, "documented")

    died = subprocess.run([sys.executable, "-c", _KILLED, simulator.base_url, iso(days_ago(300)), "3000"], check=False)

    assert died.returncode == -9
    assert table() != truth(tenant)
    assert verify(settings=settings, repair=True, deep=True).outcome == "repaired"
    assert table() == truth(tenant)


def test_a_run_that_dies_before_it_marks_is_finished_by_the_next(serve: Serve, settings_for: SettingsFor) -> None:
    """A repair that was stopped after its walk has marked nothing; the next one marks."""
    tenant = tenant_of(300, 60)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(60)))
    synced(simulator, settings)
    for call_id in list(tenant.calls)[:4]:
        tenant.delete(call_id)
    control = Control()
    stopping = Control(control.stopped, None, lambda progress: control.stopped.set())

    stopped = verify(settings=settings, repair=True, deep=True, control=stopping)

    if stopped.outcome == "paused":
        assert stopped.interrupted
        assert rows("select count(*) from gong.calls where deleted_at is not null") == [(0,)]
    assert verify(settings=settings, repair=True).status == "done"
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
    for call_id in ours[::3]:
        change("delete from gong.calls where id = ?", call_id)
    for call_id in ours[1::9]:
        tenant.delete(call_id)

    assert verify(settings=settings, repair=True, accept_deletions=True).outcome == "repaired"

    assert table() == truth(tenant)
    assert verify(settings=settings, start=start, end=end, deep=True).outcome == "clean"


def test_only_the_range_asked_for_is_verified(serve: Serve, settings_for: SettingsFor) -> None:
    """--from is inclusive, --to exclusive; what lies outside is neither asked for nor repaired."""
    tenant = tenant_of(600, 100)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(100)))
    synced(simulator, settings)
    filed = sorted((tenant.effective_time(c, "documented") or END, i) for i, c in tenant.calls.items())
    whole = [(time, i) for time, i in filed if time.microsecond % 1000 == 0]
    (first, inside), (last, outside) = whole[50], whole[80]
    for call_id in (inside, outside, filed[0][1]):
        change("delete from gong.calls where id = ?", call_id)

    result = verify(settings=settings, start=first, end=last, repair=True)

    assert (result.outcome, result.total("missing")) == ("repaired", 1)
    assert set(tenant.calls) - table().keys() == {outside, filed[0][1]}
    assert all(iso(first) <= r.query["fromDateTime"] and r.query["toDateTime"] <= iso(last) for r in simulator.requests)
    with pytest.raises(ConfigurationError, match="must lie before"):
        verify(settings=settings, start=last, end=first)


def test_a_workspace_is_verified_by_itself(serve: Serve, settings_for: SettingsFor) -> None:
    """With a workspace, Gong is asked for its calls only, and only its rows are counted and marked."""
    tenant = tenant_of(500, 60, workspaces=2)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(60)))
    synced(simulator, settings)
    mine, other = tenant.workspace_ids
    of = {w: [i for i, c in tenant.calls.items() if c.fields["workspaceId"] == w] for w in (mine, other)}
    for workspace in (mine, other):
        tenant.delete(of[workspace][0])

    result = verify(settings=settings_for(simulator, workspace_id=mine), repair=True)

    assert (result.outcome, result.marked_deleted) == ("repaired", 1)
    assert rows("select id from gong.calls where deleted_at is not null") == [(of[mine][0],)]
    assert {request.query["workspaceId"] for request in simulator.requests} == {mine}


# --- within a sync


def test_a_sync_can_verify_the_last_days(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sync --verify-days repairs beyond the lookback, in its result too; status tells when that was."""
    tenant = tenant_of(1500, 100)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(100)))
    synced(simulator, settings)
    assert "last verified  never" in status_text(status())
    old = [i for i, c in tenant.calls.items() if days_ago(40) < (c.started or c.scheduled or END) < days_ago(20)]
    tenant.delete(old[0])
    change("delete from gong.calls where id in (?, ?)", *old[1:3])

    assert run_cli(simulator, monkeypatch, "sync", "--verify-days", "50", "--json") == 0

    verification = json.loads(capsys.readouterr().out)["verification"]
    assert (verification["outcome"], verification["missing"], verification["marked_deleted"]) == ("repaired", 2, 1)
    assert table() == truth(tenant)
    verified = status().verified
    assert verified is not None
    assert (verified.outcome, verified.differing_windows) == ("repaired", len(verification["windows"]))
    assert days_ago(51) < verified.window.start < days_ago(49)
    assert "repaired" in status_text(status())
    assert status().as_json()["verified"]["outcome"] == "repaired"
    assert status().requests_today >= sent(simulator)


def test_a_verifying_sync_keeps_to_its_budget_and_gets_on(serve: Serve, settings_for: SettingsFor) -> None:
    """A budget that does not suffice costs no more than it says, leaves the sync done, and each time repairs some."""
    tenant = tenant_of(6000, 100)
    simulator = serve(tenant)
    synced(simulator, settings_for(simulator, start_date=iso(days_ago(100))))
    change("delete from gong.calls where call_time < ? and call_time >= ?", days_ago(30), days_ago(60))
    settings = settings_for(
        simulator, start_date=iso(days_ago(100)), verify_days=100, verify_request_budget=24, lookback_days=0
    )

    missing = [len(tenant) - len(table())]
    while missing[-1]:
        simulator.reset_requests()
        result = sync(settings=settings)
        assert result.status == "done"
        assert sent(simulator) <= 24 + result.requests
        missing.append(len(tenant) - len(table()))
        assert missing[-1] < missing[-2]
    assert len(missing) > 2
    assert table() == truth(tenant)


def test_a_sync_whose_verification_is_refused_is_incomplete(serve: Serve, settings_for: SettingsFor) -> None:
    """A key that lost its visibility makes the sync end with what is to be done."""
    simulator = serve(tenant_of(500, 60))
    settings = settings_for(simulator, start_date=iso(days_ago(60)), verify_days=30)
    synced(simulator, settings)
    simulator.settings = type(simulator.settings)(requests_per_second=None, daily_quota=None, see_no_calls=True)

    result = sync(settings=settings)

    assert result.status == "incomplete"
    assert "lost its visibility" in str(result.message)


# --- when calls arrive


def test_first_seen_never_changes_and_status_tells_how_late_calls_arrive(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """Each call has the load that first brought it; calls that a sync found in time asked for before tell the delay."""
    tenant = tenant_of(300, 30)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(30)))
    synced(simulator, settings)
    assert status().arrivals is None
    first = dict(rows("select id, first_seen_at from gong.call_arrivals"))
    assert first.keys() == set(tenant.calls)
    for number, days in enumerate((1, 2, 3, 5)):
        tenant.add(Call(str(10 + number), started=days_ago(days)))
    edited = next(i for i, c in tenant.calls.items() if (c.started or c.scheduled or END) > days_ago(4))
    tenant.edit(edited, title="edited")
    sync(settings=settings)

    loads = dict(rows("select load_id, inserted_at from gong._dlt_loads"))
    found = rows("select id, first_seen_at, load_id, mode, is_late from gong.call_arrivals")
    seen = {row[0]: row[1] for row in found}
    assert {i: seen[i] for i in first} == first
    assert all(loads[load_id] == moment for _, moment, load_id, _, _ in found)
    assert {(row[0], row[3]) for row in found if row[4]} == {(str(10 + n), "sync") for n in range(4)}
    arrivals = status().arrivals
    assert arrivals is not None
    assert arrivals.calls == 4
    assert arrivals.median == pytest.approx(2.5, abs=0.01)
    assert (arrivals.p99, arrivals.longest) == (pytest.approx(5, abs=0.01), pytest.approx(5, abs=0.01))
    assert arrivals.enough
    assert "the lookback is long enough" in status_text(status())
    assert status(lookback_days=5.5).arrivals.enough is False  # type: ignore[union-attr]

    tenant.add(Call("20", started=days_ago(20)))
    verify(settings=settings, repair=True)
    assert status().arrivals.beyond == 1  # type: ignore[union-attr]
    assert "make lookback_days longer" in status_text(status())


def test_arrivals_that_a_run_could_not_record_are_recorded_by_the_next(serve: Serve, settings_for: SettingsFor) -> None:
    """A run that dies between its load and the record of arrivals leaves them to the next one, with their own time."""
    tenant = tenant_of(200, 30)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(30)))
    synced(simulator, settings)
    before = rows("select * from gong.call_arrivals order by id")
    change("delete from gong.call_arrivals")
    tenant.add(Call("77", started=days_ago(1)))

    sync(settings=settings)
    sync(settings=settings)

    assert [row for row in rows("select * from gong.call_arrivals order by id") if row[0] != "77"] == before
    assert rows("select count(*), count(distinct id) from gong.call_arrivals") == [(201, 201)]


# --- any history


class Story:
    """What may happen to a tenant and to its mirror, drawn from a seed."""

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
        prefix = "SOURCES__GONG__CREDENTIALS__"
        environment = {
            f"{prefix}ACCESS_KEY": "key",
            f"{prefix}ACCESS_KEY_SECRET": "secret",
            f"{prefix}BASE_URL": self.simulator.base_url,
            "SOURCES__GONG__START_DATE": iso(days_ago(61)),
        }
        run = self.rng.choice([["sync"], ["verify", "--repair", "--accept-deletions"]])
        process = subprocess.Popen([sys.executable, "-m", "gong_source.cli", *run], env=os.environ | environment)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.rng.uniform(0.7, 2.0))
        process.kill()
        process.wait()

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
    """After arrivals, edits, deletions, returns, syncs, backfills and kills, one repair makes the mirror true."""
    FILE.unlink(missing_ok=True)
    tenant = tenant_of(40, 60, long_gap_share=0.3)
    simulator = serve(tenant, rule=rule, order=order)
    configured = settings_for(simulator, start_date=iso(days_ago(61)))
    story = Story(seed, simulator, configured, edits=edits)
    story.sync()
    story.tell(12)

    result = verify(settings=configured, repair=True, deep=edits, accept_deletions=True)

    assert result.status == "done"
    assert table() == truth(tenant, rule)
    assert verify(settings=configured, deep=True).outcome == "clean"
