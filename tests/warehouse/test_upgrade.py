"""A new version meets the tables of an earlier one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pytest
from tenants import days_ago
from versions import other_version, sync_with

from gong_source import gong, status, sync, verify
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

# What the earlier version does not know, in every kind of table.
OLD = {
    "resources/calls.py": [
        ('        Column("purpose", "text", "Purpose of the call.", "purpose"),\n', ""),
    ],
    "resources/people.py": [
        ('        Column("phone_number", "text", "Phone number.", "phoneNumber"),\n', ""),
        ('        Column("title", "text", "Job title."),\n', ""),
    ],
    "resources/bookkeeping.py": [
        ('        Column("tenant", "text", "The host that was asked."),\n', ""),
        (
            '        Column("done", "text", "Those of them that were done to the end; empty for erase."),\n',
            "",
        ),
    ],
    "runs/record.py": [("    row = {\n", "    more.pop('tenant'), more.pop('done')\n    row = {\n")],
    "warehouse/views/freshness.sql": [
        ("concat(',', r.done, ',') like concat('%,', f.resource, ',%')", "r.status = 'done'")
    ],
    "warehouse/views/calls_overview.sql": [
        ("  c.purpose,", "  c.title as purpose,"),
        ("c.workspace_id, -- Gong's id of the workspace.\n", "c.workspace_id -- Gong's id of the workspace.\n"),
        ("  w.name as workspace -- Name of the workspace.\n", ""),
    ],
}


@pytest.fixture
def tenant() -> Tenant:
    """Old calls and users, which nothing in the lookback replaces."""
    calls = [Call(str(n), started=days_ago(20 + n), fields={"purpose": f"purpose {n}"}) for n in range(1, 6)]
    return Tenant(calls, users=3)


@pytest.mark.parametrize("place", ["duckdb", "postgres"], indirect=True)
def test_first_run_of_a_new_version_adds_its_columns_and_breaks_no_view_of_a_user(
    place: Place,
    serve: Serve,
    settings_for: SettingsFor,
    tenant: Tenant,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever it loads, its columns are there; new values come with `verify --deep --repair`, at the latest.

    Views with `select *`, on a table and on a view of ours, can be queried after each of five runs.
    """
    simulator = serve(tenant)
    sync_with(other_version(tmp_path, OLD), place, simulator, start=days_ago(60))
    mine = {name: f"my_{name}_{place.target.dataset}" for name in ("calls", "calls_overview")}
    for name, view in mine.items():
        place.write(f"create view {view} as select * from gong.{name}")
    tenant.users.edit(tenant.users.ids[0], phoneNumber="123")
    settings = settings_for(simulator, resources="all", start_date=iso(days_ago(60)), snapshot_hours=0)
    before = status(place.target, settings=settings).resources  # reads what the earlier version has written
    assert all(part.current_to for part in before.values())
    runs: list[Callable[..., Any]] = [sync, partial(verify, deep=True, repair=True), *[sync] * 3]

    for number, run in enumerate(runs):
        assert run(place.target, settings=settings).status == "done"

        filled = 0 if number == 0 else 5
        assert place.fetch("select count(*), count(purpose) from gong.calls") == [(5, filled)]
        assert place.fetch("select count(*), count(workspace) from gong.calls_overview") == [(5, 0)]
        warned = caplog.text
        caplog.clear()
        if place.target.destination != "duckdb" or duckdb.__version__ >= "1.5":
            assert warned == ""
        for name, view in mine.items():
            if view in warned:  # a DuckDB before 1.5 keeps the columns of `select *`, so the run names the view
                place.write(f"create or replace view {view} as select * from gong.{name}")
            assert place.fetch(f"select count(*) from {view}") == [(5,)]
        settings = settings_for(simulator, resources="all", start_date=iso(days_ago(60)))
    assert place.fetch("select count(*) from gong.users where phone_number = '123'") == [(1,)]
    assert place.fetch("select count(*), count(tenant) from gong.runs") == [(6, 5)]


def test_a_plain_pipeline_adds_the_columns_too(
    serve: Serve, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_place: Path
) -> None:
    """The source alone reads what is stored in the form that it has, and marks deletions in it."""
    simulator = serve(tenant)
    for name, value in (("ACCESS_KEY", "key"), ("ACCESS_KEY_SECRET", "secret"), ("BASE_URL", simulator.base_url)):
        monkeypatch.setenv(f"SOURCES__GONG__CREDENTIALS__{name}", value)
    monkeypatch.setenv("SOURCES__GONG__REQUESTS_PER_SECOND", "1000")
    tenant.add(Call("8", started=days_ago(1)))
    tenant.add(Call("9", started=days_ago(1)))
    run = (
        "import dlt; from gong_source import gong; dlt.pipeline('gong_calls', destination='duckdb',"
        f" dataset_name='gong').run(gong(resources='all', snapshot_hours=0, start_date='{iso(days_ago(60))}'))"
    )
    sync_with(other_version(tmp_path, OLD), None, simulator, program=run)
    tenant.delete("9")
    tenant.users.remove(tenant.users.ids[2])

    pipeline = dlt.pipeline("gong_calls", destination="duckdb", dataset_name="gong")
    pipeline.run(gong(resources="all", snapshot_hours=0, start_date=iso(days_ago(60)), max_deleted_share=1.0))

    with duckdb.connect(str(own_place / "gong_calls.duckdb"), read_only=True) as connection:
        for table, rows, deleted in (("calls", 7, 1), ("users", 3, 1)):
            counted = connection.sql(f"select count(*), count(deleted_at) from gong.{table}").fetchall()
            assert counted == [(rows, deleted)]
        assert connection.sql("select count(phone_number) from gong.users").fetchall()
