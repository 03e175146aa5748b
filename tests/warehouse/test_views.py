"""Views and report: the same on every destination, as computed here from what Gong served."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
import sqlglot
from tenants import days_ago

from gong_source import status, sync, verify
from gong_source.report.gather import gather
from gong_source.settings import resolve_without_key
from gong_source.simulator import Call, Fault, Tenant
from gong_source.warehouse.views import all_views
from gong_source.warehouse.warehouse import open_warehouse
from gong_source.windows import iso, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from places import Place

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

# Their tables are loaded in `test_conversations.py`.
OF_CONVERSATIONS = {"call_people", "tracker_mentions", "transcript_lines", "transcript_texts"}
ZONE = "America/New_York"
# Both changes of the clock lie in it, and the turn of the year.
BEGIN, END = datetime(2025, 10, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def a_tenant() -> Tenant:
    """Calls around midnight in New York, some deleted, some private, with and without hosts that Gong lists."""
    tenant = Tenant(users=9, workspaces=2)
    hosts: list[str | None] = [*tenant.users.ids[:6], None, "7777777"]
    for number in range(400):
        started = BEGIN + (END - BEGIN) * number / 400
        fields = {
            "primaryUserId": hosts[number % 8],
            "workspaceId": tenant.workspace_ids[number % 2],
            "scope": ("External", "Internal", None)[number % 3],
            "duration": None if number % 50 == 7 else number * 7,
            "isPrivate": (False, True, None, False)[number % 4],
            "title": f"call {number}",
        }
        shown = started if number % 5 else None
        tenant.add(Call(str(10**17 + number), started=shown, scheduled=started - timedelta(minutes=3), fields=fields))
    first, second, third, fourth, fifth, sixth, *rest = tenant.users.ids
    tenant.users.edit(first, managerId=None, firstName="Ada", lastName=None)
    tenant.users.edit(second, managerId=first, firstName=None, lastName=None)
    tenant.users.edit(third, managerId=second)
    tenant.users.edit(fourth, managerId=fifth)  # two that manage each other
    tenant.users.edit(fifth, managerId=fourth)
    tenant.users.edit(sixth, managerId=fourth)  # below them
    for other in rest:
        tenant.users.edit(other, managerId="8888888")  # whom Gong does not list
    return tenant


def begun(call: Mapping[str, Any]) -> datetime:
    """When a served call began, in New York, without its zone."""
    moment = datetime.fromisoformat(call.get("started") or call["scheduled"])
    return moment.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None)


def name_of(user: Mapping[str, Any] | None) -> str | None:
    """The name of a user."""
    return None if user is None else f"{user['firstName'] or ''} {user['lastName'] or ''}".strip() or None


def monday(day: date) -> date:
    """The Monday of a day's week."""
    return day - timedelta(days=day.weekday())


def plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows in order, with instants in UTC and numbers rounded, whatever type a driver gives them."""

    def value(found: Any) -> Any:
        if isinstance(found, datetime):
            return utc(found) if found.tzinfo else found
        return round(float(found), 6) if isinstance(found, int | float) and not isinstance(found, bool) else found

    return sorted((tuple(map(value, row)) for row in rows), key=repr)


def test_views_and_report_say_on_every_destination_what_gong_served(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """After a load, after deletions and a verification, after a sync that failed in part; and they are described."""
    tenant = a_tenant()
    simulator = serve(tenant)
    settings = settings_for(
        simulator, resources="calls,users,workspaces", start_date=iso(BEGIN), time_zone=ZONE, snapshot_hours=0
    )
    sync(place.target, settings=settings)
    shown = status(place.target, settings=settings).resources
    assert freshness(place) == {name: (None, shown[name].current_to, "done", 0, 0, None) for name in shown}

    for call_id in [*tenant.calls][:10]:
        tenant.delete(call_id)
    tenant.add(Call("1", started=END - timedelta(days=1), fields=tenant.served([*tenant.calls][5]) | {"id": "1"}))
    assert verify(place.target, repair=True, settings=settings).status == "done"
    simulator.faults = [Fault(kind="status", path="/v2/users", status=403, text="scope")]
    second = sync(place.target, settings=settings)

    assert freshness(place)["calls"] == (None, second.watermark, "incomplete", 0, 1, "repaired")
    check_calls_and_teams(place, tenant)
    check_report(place, tenant)
    for view in all_views():
        if view.name in OF_CONVERSATIONS:
            continue
        described = place.described(view.name)
        assert described[None].startswith(f"{view.question} {view.rows}")
        # A lake keeps none for the columns of views, and no emulator of BigQuery does.
        if place.target.destination in {"duckdb", "postgres"} or place.target.dataset.startswith("gong_source_test"):
            assert {name: text for name, text in described.items() if name} == view.columns


def freshness(place: Place) -> dict[str, tuple[Any, ...]]:
    """The rows of `freshness` by resource."""
    columns = "covered_to, last_sync_status, unsettled_windows, late_records, verification_outcome"
    rows = place.fetch(f"select resource, workspace_id, {columns} from gong.freshness")
    assert len({row[0] for row in rows}) == len(rows)
    return {name: (workspace, utc(to), *others) for name, workspace, to, *others in rows}


def check_calls_and_teams(place: Place, tenant: Tenant) -> None:
    """Names, local times over both changes of the clock, weeks over the turn of the year, teams; nothing left over."""
    users = {user["id"]: user for user in tenant.users}
    workspaces = {workspace["id"]: workspace["name"] for workspace in tenant.workspaces}
    calls = [call for call in map(tenant.served, tenant.calls) if not call["isPrivate"]]

    def host(call: Mapping[str, Any]) -> dict[str, Any] | None:
        return users.get(call["primaryUserId"] or "")

    overview = [
        (
            call["id"], call["title"], begun(call), begun(call).date(), monday(begun(call).date()),
            None if call["duration"] is None else call["duration"] / 60, call["scope"], call["primaryUserId"],
            name_of(host(call)), (host(call) or {}).get("emailAddress"),
            name_of(users.get((host(call) or {}).get("managerId") or "")), workspaces[call["workspaceId"]],
        )
        for call in calls
    ]  # fmt: skip
    assert plain(
        place.fetch(
            "select call_id, title, local_start, local_day, local_week, minutes, scope, host_id, host_name, host_email,"
            " manager_name, workspace from gong.calls_overview"
        )
    ) == plain(overview)
    for view, column, start in (
        ("rep_days", "local_day", lambda call: begun(call).date()),
        ("rep_weeks", "local_week", lambda call: monday(begun(call).date())),
    ):
        sums: dict[tuple[str, date], list[float]] = defaultdict(lambda: [0.0] * 4)
        for call in calls:
            if call["primaryUserId"] is not None:
                minutes, external = (call["duration"] or 0) / 60, call["scope"] == "External"
                added = (1, minutes, int(external), minutes if external else 0)
                total = sums[call["primaryUserId"], start(call)]
                total[:] = [before + more for before, more in zip(total, added, strict=True)]
        expected = [
            (host_id, name_of(users.get(host_id)), (users.get(host_id) or {}).get("emailAddress"), when, *numbers)
            for (host_id, when), numbers in sums.items()
        ]
        columns = "calls, minutes, external_calls, external_minutes"
        found = place.fetch(f"select host_id, host_name, host_email, {column}, {columns} from gong.{view}")
        assert plain(found) == plain(expected)
    assert plain(
        place.fetch("select manager_id, manager_name, member_id, member_name, levels_below from gong.team")
    ) == (plain([(m, name_of(users[m]), u, name_of(users[u]), levels) for (m, u), levels in teams(users).items()]))


@pytest.mark.parametrize("place", ["duckdb"], indirect=True)
def test_freshness_shows_unsettled_windows_as_long_as_status_does(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """However often syncs find that Gong still processes a call, also after one that fetches nothing."""
    tenant = Tenant.generate(40, start=days_ago(20), end=days_ago(0), seed=2, users=3)
    tenant.add(Call("1", started=days_ago(2), available_at=utc(days_ago(-1)).timestamp()))
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(25)))
    for _ in range(4):
        sync(place.target, settings=settings)
        assert freshness(place)["calls"][3] == 1
    simulator.faults = [Fault(kind="status", status=401, text="no")]
    assert sync(place.target, settings=settings).status == "failed"
    assert (freshness(place)["calls"][2:4]) == ("failed", 1)

    simulator.faults = []
    tenant.make_available("1", None)
    sync(place.target, settings=settings)
    assert freshness(place)["calls"][2:4] == ("done", 0)


def check_report(place: Place, tenant: Tenant) -> None:
    """Weeks, hours, hosts, runs and verifications."""
    chosen = resolve_without_key(resources="calls,users,workspaces", time_zone=ZONE)
    with open_warehouse(place.target, command="report", write=False) as warehouse:
        facts = gather(warehouse, chosen)

    calls = [call for call in map(tenant.served, tenant.calls) if not call["isPrivate"]]
    activity = facts.activity
    assert activity is not None
    assert sum(week.calls for week in activity.weeks) == len(calls)
    seconds = sum(call["duration"] or 0 for call in calls)
    assert sum(week.hours for week in activity.weeks) == pytest.approx(seconds / 3600)
    assert {week.week for week in activity.weeks} == {monday(begun(call).date()) for call in calls}
    assert activity.hours == Counter((begun(call).weekday(), begun(call).hour) for call in calls)
    hosts = Counter(call["primaryUserId"] for call in calls if call["primaryUserId"])
    users = {user["id"]: user for user in tenant.users}
    expected = sorted((str(name_of(users.get(host))), number) for host, number in hosts.items())
    assert sorted((str(rep.name), rep.calls) for rep in activity.reps) == expected
    assert [(run.command, run.status) for run in facts.runs] == [
        ("sync", "incomplete"),
        ("verify", "done"),
        ("sync", "done"),
    ]
    assert sorted((check.resource, check.outcome) for check in facts.verifications) == [
        ("calls", "repaired"),
        ("users", "clean"),
        ("workspaces", "clean"),
    ]
    assert facts.not_loaded == []
    assert sum(facts.requests.values()) == status(place.target, settings=chosen).requests_today


def teams(users: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], int]:
    """Each user's managers, with how many levels lie between; each user has a team of one."""
    found = {}
    for member in users:
        above, levels = member, 0
        while above in users and (above, member) not in found:
            found[above, member] = levels
            above, levels = users[above]["managerId"], levels + 1
    return found


@pytest.mark.parametrize("place", ["duckdb", "postgres"], indirect=True)
def test_views_name_one_person_for_a_speaker_and_count_each_moment_once(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """Two people behind one microphone: the first of them, whole. Moments that Gong lists by phrase only count too."""
    tenant = Tenant([Call("1", started=days_ago(1), fields={"isPrivate": False})])
    moments = [{"startTime": 1.0, "speakerId": "77"}, {"startTime": 2.0, "speakerId": "77"}]
    both = {"occurrences": moments, "phrases": [{"phrase": "x", "count": 2, "occurrences": moments}]}
    tenant.set_content(
        "1",
        parties=[
            {"id": "p1", "name": "Zoë", "affiliation": "Internal", "userId": "7", "speakerId": "77"},
            {"id": "p2", "name": "Adam", "affiliation": "External", "speakerId": "77"},
        ],
        trackers=[
            {"id": "5", "name": "by phrase", "type": "KEYWORD", "count": 2, **both, "occurrences": []},
            {"id": "6", "name": "both", "type": "KEYWORD", "count": 2, **both},
        ],
    )
    sentences = [{"start": 0, "end": 900, "text": "Hello."}]
    tenant.set_transcript("1", [{"speakerId": "77", "topic": None, "sentences": sentences}])
    settings = settings_for(serve(tenant), resources="all", start_date=iso(days_ago(8)))
    sync(place.target, settings=settings)

    lines = place.fetch("select speaker, affiliation, user_id from gong.transcript_lines")
    assert lines == [("Zoë", "Internal", "7")]
    found = place.fetch("select tracker, said_by_us, said_by_others from gong.tracker_mentions order by 1")
    assert found == [("both", 2, 0), ("by phrase", 2, 0)]
    assert place.fetch("select name from gong.call_people order by 1") == [("Adam",), ("Zoë",)]


def test_each_view_is_short_and_says_what_it_answers() -> None:
    """Fewer than 40 lines; a question first; every column that the query has is described."""
    assert {view.name for view in all_views()} >= {"calls_overview", "rep_days", "rep_weeks", "team", "freshness"}
    for view in all_views():
        assert len(view.sql.splitlines()) < 40
        assert view.question.endswith("?")
        assert view.rows.endswith(".")
        assert list(view.columns) == sqlglot.parse_one(view.sql, read="duckdb").named_selects
        assert view.tables
