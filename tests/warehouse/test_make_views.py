"""Views are made and replaced by loads, and nothing that other people have made is touched or breaks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from versions import CURRENT, other_version, sync_with

from gong_source import sync
from gong_source.simulator import Call, Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from places import Place

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

BEGIN, END = datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


RENAMED = {"warehouse/views/calls_overview.sql": [("c.id as call_id,", "c.id as gong_id,")]}


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_view_of_a_user_that_stands_in_the_way_is_named(place: Place, serve: Serve, tmp_path: Path) -> None:
    """Postgres cannot rename a view's column below another view: the load succeeds, and says which view it is."""
    simulator = serve(Tenant.generate(20, start=BEGIN, end=END, seed=3, users=3))
    sync_with(other_version(tmp_path, RENAMED), place, simulator, start=BEGIN)
    place.write(f"create view mine_{place.target.dataset} as select * from gong.calls_overview")

    logged = sync_with(CURRENT, place, simulator, start=BEGIN)

    assert f"view mine_{place.target.dataset} depends on view" in logged
    assert place.fetch("select count(gong_id) from gong.calls_overview")
    place.write(f"drop view mine_{place.target.dataset}")
    assert "view" not in sync_with(CURRENT, place, simulator, start=BEGIN)
    assert place.fetch("select count(call_id) from gong.calls_overview")


@pytest.mark.parametrize("place", ["duckdb", "postgres", "bigquery"], indirect=True)
def test_view_or_table_of_somebody_else_is_left_alone(
    place: Place, serve: Serve, settings_for: SettingsFor, caplog: pytest.LogCaptureFixture
) -> None:
    """A dataset that has something of its own under the name of a view keeps it, and the run says so."""
    settings = settings_for(serve(Tenant(users=2)), resources="users", start_date=iso(BEGIN))
    place.write("create schema if not exists gong".replace("gong", place.target.dataset))
    place.write("create table gong.team as select 1 as players")

    assert sync(place.target, settings=settings).status == "done"

    assert place.fetch("select players from gong.team") == [(1,)]
    assert "the view team is not made: there is a table or view of that name" in caplog.text


@pytest.mark.parametrize("place", ["duckdb"], indirect=True)
def test_local_times_follow_the_setting(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """After a change of `time_zone`, the next sync makes the views anew; without one it leaves them alone."""
    tenant = Tenant(users=1, calls=[Call("1", started=datetime(2026, 1, 1, 2, tzinfo=UTC))])
    simulator = serve(tenant)
    shown: list[Any] = []
    for zone, day, title in (("UTC", 1, "mine"), ("UTC", 1, "mine"), ("America/New_York", 31, "Title of the call.")):
        settings = settings_for(simulator, resources="all", start_date="2026-01-01", time_zone=zone)
        sync(place.target, settings=settings)
        if not shown:  # a view that is made anew loses what somebody else has written
            place.write("comment on column gong.calls_overview.title is 'mine'")
        shown = place.fetch("select day(local_day) from gong.calls_overview")
        assert (shown, place.described("calls_overview")["title"]) == ([(day,)], title)
