"""How current a resource is said to be: `status` and the view `freshness` agree, and neither promises too much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
from conversations import ALL, public_tenant
from tenants import days_ago

from gong_source import backfill, status, sync, verify
from gong_source.resources import RESOURCES
from gong_source.resources.people import USERS
from gong_source.simulator import Fault
from gong_source.windows import iso, utc

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]


_VIEWED = "select resource, covered_to from gong.freshness where workspace_id is null"


def current_to(settings: GongSettings) -> dict[str, datetime | None]:
    """Up to when `status` says that each resource is current; the view has to say the same."""
    shown = {name: part.current_to for name, part in status(settings=settings).resources.items()}
    with duckdb.connect("gong_calls.duckdb", read_only=True) as connection:
        viewed: dict[str, Any] = dict(connection.execute(_VIEWED).fetchall())
    assert {name: at and utc(at) for name, at in viewed.items()} == {name: shown[name] for name in viewed}
    return shown


def test_missing_scope_of_one_resource_makes_no_other_one_old(serve: Serve, settings_for: SettingsFor) -> None:
    """Each sync is incomplete, because the key may not list users; all else is as current as ever."""
    scopes = frozenset(resource.scope for resource in RESOURCES.values()) - {USERS.scope}
    settings = settings_for(
        serve(public_tenant(), scopes=scopes), resources=f"{ALL},users", start_date=iso(days_ago(8))
    )
    for _ in range(2):
        assert sync(settings=settings).status == "incomplete"

    current = current_to(settings)
    assert current["users"] is None
    assert all(current[name] for name in ALL.split(","))
    assert status(settings=settings, max_age_seconds=3600).message == "users: nothing is loaded yet"


def test_refused_deletions_make_nothing_old(serve: Serve, settings_for: SettingsFor) -> None:
    """Until a person confirms that many calls are gone, each sync is incomplete; it has still asked for all content."""
    tenant = public_tenant(40)
    settings = settings_for(serve(tenant), resources="calls,transcripts", start_date=iso(days_ago(8)))
    sync(settings=settings)
    first = current_to(settings)
    for call_id in [*tenant.calls][:30]:
        tenant.delete(call_id)
    refused = sync(settings=settings)

    assert (refused.status, refused.resources["calls"].status) == ("incomplete", "incomplete")
    assert current_to(settings)["transcripts"] != first["transcripts"]


def test_backfill_alone_makes_nothing_current(serve: Serve, settings_for: SettingsFor) -> None:
    """Details of some old days say nothing about today."""
    settings = settings_for(serve(public_tenant()), resources=ALL, start_date=iso(days_ago(8)))
    backfill(days_ago(6), days_ago(2), settings=settings)

    assert set(current_to(settings).values()) == {None}
    sync(settings=settings)
    assert all(current_to(settings).values())


def test_calls_that_were_not_listed_make_transcripts_no_more_current(serve: Serve, settings_for: SettingsFor) -> None:
    """What later calls have, nobody has asked for: a sync that could not list the calls changes nothing."""
    simulator = serve(public_tenant())
    settings = settings_for(simulator, resources="calls,transcripts", start_date=iso(days_ago(8)))
    sync(settings=settings)
    before = current_to(settings)
    simulator.faults = [Fault(kind="status", path="/v2/calls", status=400, text="no")]

    assert sync(settings=settings).resources["transcripts"].status == "done"
    assert current_to(settings) == before


def test_runs_over_one_workspace_say_nothing_of_all(serve: Serve, settings_for: SettingsFor) -> None:
    """Calls have a row in `freshness` for each workspace; users are one list for all, so any run makes them current."""
    tenant = public_tenant(20)
    for number, call_id in enumerate(tenant.calls):
        tenant.edit(call_id, workspaceId=("1", "2")[number % 2])
    simulator = serve(tenant)
    everything = settings_for(simulator, resources=f"{ALL},users", start_date=iso(days_ago(8)))
    sync(settings=everything)
    before = current_to(everything)
    one = settings_for(
        simulator,
        resources=f"{ALL},users",
        start_date=iso(days_ago(8)),
        workspace_id="1",
        snapshot_hours=0,
    )
    sync(settings=one)
    verify(settings=one)

    after = current_to(everything)
    assert {name: after[name] for name in ALL.split(",")} == {name: before[name] for name in ALL.split(",")}
    assert after["users"] != before["users"]
    with duckdb.connect("gong_calls.duckdb", read_only=True) as connection:
        found = connection.execute(
            "select resource, workspace_id is null, verification_outcome, covered_to is not null from gong.freshness"
        ).fetchall()
    over_all = {(name, True, None, True) for name in ALL.split(",")} | {("users", True, "clean", True)}
    assert {*found} == over_all | {("calls", False, "clean", True)}  # no call of the workspace was due
