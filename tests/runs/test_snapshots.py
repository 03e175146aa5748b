"""Users and workspaces: lists that Gong only gives whole are read whole, kept current, and deletions are marked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from gong_source import ConfigurationError, Control, backfill, status, sync, verify
from gong_source.cli.text import load_text, status_text, verify_text
from gong_source.resources.people import USERS
from gong_source.simulator import Fault, Tenant

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

PEOPLE = ["users", "workspaces"]


def rows(sql: str) -> list[tuple[Any, ...]]:
    """What a query on the DuckDB file finds."""
    with duckdb.connect("gong_calls.duckdb", read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()


def change(sql: str) -> None:
    """Changes the DuckDB file."""
    with duckdb.connect("gong_calls.duckdb") as connection:
        connection.execute(sql)


def paths(simulator: Simulator) -> list[str]:
    """The paths of the requests that arrived."""
    return [request.path for request in simulator.requests]


@pytest.fixture
def always(settings_for: SettingsFor) -> Callable[..., GongSettings]:
    """Settings that load users and workspaces in every sync."""

    def build(simulator: Simulator, **more: Any) -> GongSettings:
        return settings_for(simulator, **({"resources": PEOPLE, "snapshot_hours": 0} | more))

    return build


def test_users_are_stored_as_gong_lists_them(serve: Serve, always: SettingsFor) -> None:
    """Every documented field has its column with its type; objects are flattened, lists are JSON."""
    tenant = Tenant(users=230)
    tenant.users.edit(tenant.users.ids[0], emailAliases=["a@example.com"], title='a "title"', managerId=None)
    simulator = serve(tenant)

    result = sync(settings=always(simulator))

    assert paths(simulator) == ["/v2/users"] * 3 + ["/v2/workspaces"]
    assert (result.status, result.requests) == ("done", 4)
    assert (result.resources["users"].received, result.resources["users"].changed) == (230, 230)
    names = USERS.table.column_names
    stored = {row[0]: dict(zip(names, row, strict=True)) for row in rows(f"select {', '.join(names)} from gong.users")}
    for user in tenant.users:
        row = stored[user["id"]]
        for field, column in USERS.table.fields.items():
            value: Any = user
            for name in field.split("."):
                value = value[name]
            if column.type == "timestamp":
                value = datetime.fromisoformat(value).astimezone(UTC)
            stored_value = row[column.name]
            if column.type == "json" and stored_value is not None:
                stored_value = json.loads(stored_value)
            assert stored_value == value, field
        assert row["extra"] is None
        assert row["deleted_at"] is None
    assert rows("select id, name, description from gong.workspaces") == [
        (workspace["id"], workspace["name"], workspace["description"]) for workspace in tenant.workspaces
    ]


def test_only_what_changed_is_written(serve: Serve, always: SettingsFor) -> None:
    """A second snapshot rewrites the changed user alone; unknown and misfitting values are kept in `extra`."""
    tenant = Tenant(users=30)
    simulator = serve(tenant)
    sync(settings=always(simulator))
    first, second, third = tenant.users.ids[:3]
    tenant.users.edit(first, title="VP")
    tenant.users.edit(second, active="perhaps", newField={"a": [1]})
    tenant.users.edit(third, settings={"emailsImported": False, "newSetting": True})

    result = sync(settings=always(simulator))

    assert result.resources["users"].changed == 3
    found = dict(rows(f"select id, extra from gong.users where id in ('{second}', '{third}')"))
    assert json.loads(found[second]) == {"active": "perhaps", "newField": {"a": [1]}}
    assert json.loads(found[third]) == {"settings": {"newSetting": True}}
    assert rows(f"select title from gong.users where id = '{first}'") == [("VP",)]
    assert rows(f"select emails_imported from gong.users where id = '{third}'") == [(False,)]


def test_removed_user_gets_deleted_at_and_loses_it_when_listed_again(serve: Serve, always: SettingsFor) -> None:
    """The row stays with its content; the time of the snapshot that missed it is kept by later ones."""
    tenant = Tenant(users=30, workspaces=2)
    simulator = serve(tenant)
    sync(settings=always(simulator))
    gone, workspace = tenant.users.ids[4], tenant.workspace_ids[1]
    before = rows(f"select * exclude (deleted_at, _dlt_load_id) from gong.users where id = '{gone}'")
    tenant.users.remove(gone)
    tenant.workspaces.remove(workspace)

    result = sync(settings=always(simulator))
    marked = rows("select id, deleted_at from gong.users where deleted_at is not null")
    sync(settings=always(simulator))

    assert result.resources["users"].marked_deleted == result.resources["workspaces"].marked_deleted == 1
    assert "1 user no longer listed by Gong: deleted_at is set" in load_text(result)
    assert [row[0] for row in marked] == [gone]
    assert rows("select id, deleted_at from gong.users where deleted_at is not null") == marked
    assert rows(f"select * exclude (deleted_at, _dlt_load_id) from gong.users where id = '{gone}'") == before
    assert rows("select id from gong.workspaces where deleted_at is not null") == [(workspace,)]
    tenant.users.restore(gone)
    sync(settings=always(simulator))
    assert rows("select count(*) from gong.users where deleted_at is not null") == [(0,)]


@pytest.mark.parametrize("visible", [10, 0], ids=["few", "none"])
def test_key_that_lost_its_visibility_marks_nothing(serve: Serve, always: SettingsFor, visible: int) -> None:
    """10 of 300 users, or none, look like a lost scope: a person has to confirm, then they are marked."""
    tenant = Tenant(users=300)
    sync(settings=always(serve(tenant)))
    poor = serve(tenant, visible_users=visible)

    result = sync(settings=always(poor))
    verified = verify(settings=always(poor), repair=True)

    assert result.status == "incomplete"
    assert f"Gong no longer lists {300 - visible} of 300 users. None was marked as deleted" in str(result.message)
    assert (verified.outcome, verified.status, verified.marked_deleted) == ("refused", "incomplete", 0)
    assert rows("select count(*), count(deleted_at) from gong.users") == [(300, 0)]
    assert verify(settings=always(poor), repair=True, accept_deletions=True).marked_deleted == 300 - visible
    assert rows("select count(*), count(deleted_at) from gong.users") == [(300, 300 - visible)]


def test_list_shorter_than_its_count_marks_nothing(serve: Serve, always: SettingsFor) -> None:
    """Where Gong counts more users than it lists, the missing ones may be listed again."""
    tenant = Tenant(users=105)
    sync(settings=always(serve(tenant)))
    short = serve(tenant, faults=(Fault(kind="empty_page", path="/v2/users", numbers=[2]),))

    result = sync(settings=always(short, resources="users"))

    assert rows("select count(*), count(deleted_at) from gong.users") == [(105, 0)]
    assert result.notes == [
        "Gong counts 105 users and lists 100: it still processes some, so none is marked as deleted"
    ]
    assert rows("select settled from gong.fetched_windows where resource = 'users' order by fetched_at") == [
        (True,),
        (False,),
    ]


def test_history_keeps_the_states_of_a_user(serve: Serve, always: SettingsFor) -> None:
    """Each change of manager, title or activity ends a state and begins one; a deleted user has no open state."""
    tenant = Tenant(users=8)
    simulator = serve(tenant)
    settings = always(simulator, resources="users")
    sync(settings=settings)
    promoted, gone = tenant.users.ids[1], tenant.users.ids[2]
    tenant.users.edit(promoted, title="VP")
    sync(settings=settings)
    tenant.users.edit(promoted, phoneNumber="1")  # not a change of state
    tenant.users.remove(gone)
    sync(settings=settings)
    tenant.users.restore(gone)
    sync(settings=settings)

    states = rows(f"select title, valid_to is null from gong.user_history where user_id = '{promoted}' order by 2, 1")
    moments = rows(f"select valid_from, valid_to from gong.user_history where user_id = '{promoted}' order by 1")
    fetched = [moment for (moment,) in rows("select fetched_at from gong.fetched_windows order by 1")]
    assert states == [(states[0][0], False), ("VP", True)]
    assert moments == [(fetched[0], fetched[1]), (fetched[1], None)]
    assert rows(f"select valid_from, valid_to from gong.user_history where user_id = '{gone}' order by 1") == [
        (fetched[0], fetched[2]),
        (fetched[3], None),
    ]
    assert rows("select count(*) from gong.user_history") == [(8 + 2,)]


def test_snapshot_is_read_once_in_snapshot_hours(serve: Serve, settings_for: SettingsFor) -> None:
    """A recent snapshot costs no request; an old one is read again. The ledger decides, on any machine."""
    simulator = serve(Tenant(users=3))
    settings = settings_for(simulator, resources="users")
    sync(settings=settings)
    simulator.reset_requests()

    second = sync(settings=settings)
    asked = len(simulator.requests)
    change("update gong.fetched_windows set fetched_at = fetched_at - interval 23 hour - interval 45 minute")
    third = sync(settings=settings)

    assert (asked, second.resources["users"].received) == (0, 0)
    assert second.resources["users"].not_due_until is not None
    assert "users: the last snapshot is recent enough" in load_text(second)
    assert (third.resources["users"].received, paths(simulator)) == (3, ["/v2/users"])


def test_verify_compares_the_whole_list(serve: Serve, always: SettingsFor) -> None:
    """Lost, damaged and removed users are found with the list alone, and repaired if asked to."""
    tenant = Tenant(users=120)
    simulator = serve(tenant)
    settings = always(simulator, resources="users")
    sync(settings=settings)
    lost, damaged, gone = tenant.users.ids[:3]
    change(f"delete from gong.users where id = '{lost}'")
    change(f"update gong.users set title = 'damaged' where id = '{damaged}'")
    tenant.users.remove(gone)
    simulator.reset_requests()

    found = verify(settings=settings)
    repaired = verify(settings=settings, repair=True)
    clean = verify(settings=settings)

    (difference,) = found.windows
    assert (found.outcome, found.status) == ("differs", "incomplete")
    assert (difference.missing, difference.changed, difference.surplus) == (1, 1, 1)
    assert (difference.listed, difference.stored, difference.window) == (119, 119, None)
    assert "whole list" in verify_text(found)
    assert (repaired.outcome, repaired.marked_deleted) == ("repaired", 1)
    assert "1 user no longer listed by Gong: deleted_at is set" in verify_text(repaired)
    assert (clean.outcome, clean.requests) == ("clean", 2)
    assert "users: clean. Gong lists 119 users and the warehouse has all of them" in verify_text(clean)
    assert rows("select resource, outcome, verified_from from gong.verifications order by finished_at") == [
        ("users", outcome, None) for outcome in ("differs", "repaired", "clean")
    ]


def test_missing_scope_lets_the_others_load(serve: Serve, settings_for: SettingsFor) -> None:
    """Calls are loaded; the run ends incomplete and names resource and scope; with the scope, the next run is done."""
    tenant = Tenant.generate(50, start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 2, 1, tzinfo=UTC))
    simulator = serve(tenant, scopes=frozenset({"api:calls:read:basic", "api:workspaces:read"}))
    settings = settings_for(simulator, resources="all", start_date="2026-01-01")

    result = sync(settings=settings)

    assert result.status == "incomplete"
    assert {name: part.status for name, part in result.resources.items()} == {
        "calls": "done",
        "call_details": "failed",
        "call_content": "failed",
        "transcripts": "failed",
        "users": "failed",
        "workspaces": "done",
    }
    assert "users is not loaded" in str(result.message)
    assert "api:users:read" in str(result.message)
    assert (result.calls_received, rows("select count(*) from gong.workspaces")) == (50, [(1,)])
    verified = verify(settings=settings)
    assert (verified.resources["calls"].outcome, verified.resources["users"].outcome) == ("clean", "failed")
    assert (verified.status, str(verified.message)[:23]) == ("incomplete", "users is not verified: ")
    whole = sync(settings=settings_for(serve(tenant), resources="all", start_date="2026-01-01"))
    assert (whole.status, rows("select count(*) from gong.users")) == ("done", [(25,)])


def test_missing_scope_of_the_first_resource_does_not_stop_the_rest(serve: Serve, settings_for: SettingsFor) -> None:
    """The order of resources does not matter: users load although calls cannot."""
    simulator = serve(Tenant(users=5), scopes=frozenset({"api:users:read"}))

    result = sync(settings=settings_for(simulator, resources="calls,users"))

    assert (result.status, result.resources["users"].received) == ("incomplete", 5)
    assert "api:calls:read:basic" in str(result.message)


def test_without_any_scope_the_run_fails(serve: Serve, settings_for: SettingsFor) -> None:
    """Where nothing at all can be loaded, the run has failed."""
    result = sync(settings=settings_for(serve(Tenant(), scopes=frozenset()), resources="all"))

    assert result.status == "failed"
    assert str(result.message).count("is not loaded") == 3  # nobody asks for transcripts of no call
    assert "call_details and call_content are not loaded" in str(result.message)


def test_calls_come_first_when_a_budget_is_short(serve: Serve, settings_for: SettingsFor) -> None:
    """A budget that ends with the calls leaves users to the next run, which reads them."""
    tenant = Tenant(users=5)
    settings = settings_for(serve(tenant), resources="all", start_date="2026-01-01")

    first = sync(settings=settings, control=Control(max_requests=1))
    second = sync(settings=settings)

    assert first.status == "paused"
    assert second.status == "done"
    assert rows("select count(*) from gong.users") == [(5,)]


def test_backfill_is_for_resources_with_dates(serve: Serve, settings_for: SettingsFor) -> None:
    """A list without dates has no past to load: the error says which command loads it. Others are backfilled."""
    simulator = serve(Tenant())
    january = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)

    with pytest.raises(ConfigurationError, match=r"users, workspaces: Gong lists these whole.*gong-source sync"):
        backfill(*january, settings=settings_for(simulator, resources=PEOPLE))
    result = backfill(*january, settings=settings_for(simulator, resources="all"))

    assert list(result.resources) == ["calls", "call_details", "call_content", "transcripts"]
    assert paths(simulator) == ["/v2/calls/extensive"]


def test_status_has_a_part_for_each_resource(serve: Serve, always: SettingsFor) -> None:
    """Rows, deletions, the last snapshot and the last verification of each list, without a request."""
    tenant = Tenant(users=30)
    simulator = serve(tenant)
    settings = always(simulator)
    sync(settings=settings)
    tenant.users.remove(tenant.users.ids[0])
    sync(settings=settings)
    verify(settings=settings)
    simulator.reset_requests()

    found = status(settings=settings)

    users = found.resources["users"]
    assert (users.rows, users.deleted, users.last_run_mode) == (30, 1, "snapshot")
    assert users.verified is not None
    assert "users          30 (1 no longer listed by Gong)" in status_text(found)
    assert found.as_json()["resources"]["workspaces"]["rows"] == 1
    assert simulator.requests == []


def test_expired_page_cursor_starts_the_list_again(serve: Serve, always: SettingsFor) -> None:
    """A page cursor that expires in the middle of a list restarts the list, twice at most."""
    tenant = Tenant(users=230)
    once = serve(tenant, faults=(Fault(kind="expire_cursor", path="/v2/users", times=1),))
    ever = serve(tenant, faults=(Fault(kind="expire_cursor", path="/v2/users"),))

    healed = sync(settings=always(once, resources="users"))
    broken = sync(settings=always(ever, resources="users"))

    assert (healed.status, healed.resources["users"].received, len(once.requests)) == ("done", 230, 5)
    assert (broken.status, len(ever.requests)) == ("failed", 6)


def test_record_without_an_id_fails_the_list(serve: Serve, always: SettingsFor) -> None:
    """A user that cannot be keyed fails the list with Gong's request id; nothing stored is touched."""
    tenant = Tenant(users=5)
    sync(settings=always(serve(tenant)))
    broken = serve(tenant, faults=(Fault(kind="record_without_id", path="/v2/users"),))

    result = sync(settings=always(broken))

    assert (result.status, result.resources["users"].status) == ("incomplete", "failed")
    assert "user 1 of a page has no usable id" in str(result.message)
    assert rows("select count(*), count(deleted_at) from gong.users") == [(5, 0)]
