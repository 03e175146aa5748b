"""One tenant for each dataset: what happens when a key of another tenant is set by mistake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from tenants import END, days_ago

from gong_source import Target, WrongTenant, backfill, gong, plan_backfill, status, sync, verify
from gong_source.simulator import Simulator, Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.settings import GongSettings

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

FILE = Path("gong_calls.duckdb")


def tenant(label: str, calls: int = 200, **more: Any) -> Tenant:
    """A tenant of its own hosts, workspaces and users; the ids of its calls are those of the others, by chance."""
    return Tenant.generate(calls, start=days_ago(20), end=END, seed=3, label=label, **more)


def everything() -> dict[str, list[Any]]:
    """All rows of all tables."""
    with duckdb.connect(str(FILE), read_only=True) as connection:
        names = connection.execute("select table_name from duckdb_tables() where schema_name = 'gong'").fetchall()
        return {name: connection.execute(f"from gong.{name} order by all").fetchall() for (name,) in names}


@pytest.mark.parametrize("command", ["sync", "backfill", "plan", "verify", "repair", "users", "workspaces"])
def test_command_with_the_key_of_another_tenant_changes_nothing(
    serve: Serve, settings_for: SettingsFor, command: str
) -> None:
    """The error names both tenants and the way out, after the requests that are sent at once; no table changes."""
    choice = {"users": "users", "workspaces": "workspaces"}.get(command, "calls")
    ours, theirs = serve(tenant("us-1")), serve(tenant("us-2"))
    sync(settings=settings_for(ours, start_date=iso(days_ago(25)), resources=choice, snapshot_hours=0))
    before = everything()
    wrong = settings_for(theirs, start_date=iso(days_ago(25)), resources=choice, snapshot_hours=0)
    commands: dict[str, Callable[[], object]] = {
        "backfill": lambda: backfill(days_ago(60), days_ago(10), refresh=True, settings=wrong),
        "plan": lambda: plan_backfill(days_ago(60), days_ago(10), refresh=True, settings=wrong),
        "verify": lambda: verify(settings=wrong),
        "repair": lambda: verify(repair=True, settings=wrong),
    }

    with pytest.raises(WrongTenant, match="another --dataset or file"):
        commands.get(command, lambda: sync(settings=wrong))()

    assert everything() == before
    assert len(theirs.requests) <= 12


def test_plain_pipeline_with_the_key_of_another_tenant_changes_nothing(serve: Serve) -> None:
    """`pipeline.run(gong())` fails; with the right key it goes on."""
    ours, theirs = serve(tenant("us-1")), serve(tenant("us-2"))
    pipeline = dlt.pipeline("gong_calls", destination=dlt.destinations.duckdb(str(FILE)), dataset_name="gong")

    def run(simulator: Simulator) -> None:
        credentials = {"access_key": "key", "access_key_secret": "secret", "base_url": simulator.base_url}
        pipeline.run(gong(credentials, start_date=iso(days_ago(25))))

    run(ours)
    before = everything()["calls"]
    with pytest.raises(PipelineStepFailed, match=r"belongs to the Gong tenant us-1\.app\.gong\.io"):
        run(theirs)
    after = everything()["calls"]
    run(ours)

    assert after == before
    assert len(everything()["calls"]) == 200


def test_windows_without_calls_of_another_tenant_are_not_loaded(serve: Serve, settings_for: SettingsFor) -> None:
    """A window that is empty there comes first; it neither counts as covered nor marks calls as deleted."""
    ours = serve(tenant("us-1"))
    sync(settings=settings_for(ours, start_date=iso(days_ago(25))))
    before = everything()
    late = Tenant.generate(50, start=days_ago(1), end=END, seed=3, label="us-2")

    with pytest.raises(WrongTenant):
        sync(settings=settings_for(serve(late), start_date=iso(days_ago(400))))

    assert everything() == before


def test_same_tenant_on_another_host_goes_on(serve: Serve, settings_for: SettingsFor) -> None:
    """A new address of the API and new addresses of calls: the workspaces are the same."""
    sync(settings=settings_for(serve(tenant("us-1")), start_date=iso(days_ago(25))))
    moved = tenant("us-1")
    for call_id in moved.calls:
        moved.edit(call_id, url=f"https://us-77.app.gong.io/call?id={call_id}")

    result = sync(settings=settings_for(serve(moved), start_date=iso(days_ago(25))))

    assert result.status == "done"
    assert sync(settings=settings_for(serve(tenant("us-1")), start_date=iso(days_ago(25)))).status == "done"


def test_two_datasets_take_two_tenants(serve: Serve, settings_for: SettingsFor) -> None:
    """The way out that the error names."""
    sync(settings=settings_for(serve(tenant("us-1")), start_date=iso(days_ago(25))))

    other = sync(Target(dataset="other"), settings=settings_for(serve(tenant("us-2")), start_date=iso(days_ago(25))))

    assert (other.status, other.calls_received) == ("done", 200)


def test_rows_of_two_tenants_in_one_table_are_reported(serve: Serve, settings_for: SettingsFor) -> None:
    """`status` and `verify` name each tenant, its calls, and the statement that removes them."""
    ours = settings_for(serve(tenant("us-1", workspaces=2)), start_date=iso(days_ago(25)))
    theirs = tenant("us-2", calls=7)
    sync(settings=ours)
    sync(Target(dataset="other"), settings=settings_for(serve(theirs), start_date=iso(days_ago(25))))
    clean = status()
    with duckdb.connect(str(FILE)) as connection:
        connection.execute("insert into gong.calls select * replace ('x' || id as id) from other.calls")

    mixed = status().tenants
    result = verify(settings=ours)

    assert clean.tenants == []
    assert [(part.hosts, part.rows) for part in mixed] == [(["us-1.app.gong.io"], 200), (["us-2.app.gong.io"], 7)]
    assert mixed[1].delete == f"delete from gong.calls where workspace_id in ('{theirs.workspace_ids[0]}')"
    assert any("calls of 2 Gong tenants" in note and mixed[1].delete in note for note in result.notes)
    with duckdb.connect(str(FILE)) as connection:
        connection.execute(mixed[1].delete)
    assert status().tenants == []
    assert verify(settings=ours).outcome == "clean"
