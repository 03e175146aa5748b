"""What an earlier run can leave in dlt's working folder, and a DuckDB with too little memory: the next run goes on."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mirrors import SMALL, between, change, days_ago, environment_for, mirror, rows, started, table, tenant_of, truth

from gong_source import Target, backfill, status, sync, verify
from gong_source.errors import DestinationFailed
from gong_source.resources.declare import VERIFICATIONS
from gong_source.source import rows_source
from gong_source.warehouse import duckdb
from gong_source.warehouse.warehouse import Warehouse, open_warehouse
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]


def working_folder() -> Path:
    """dlt's, of the only pipeline of the test."""
    (found,) = Path(os.environ["DLT_DATA_DIR"]).glob("gong_source/*/gong_calls")
    return found


def test_package_killed_while_it_was_removed(serve: Serve, settings_for: SettingsFor) -> None:
    """An extracted package of which only the folder is left is dropped, and the run does its work."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    sync(settings=settings)
    (working_folder() / "normalize/extracted/9999999999.1075919").mkdir(parents=True)

    assert sync(settings=settings).status == "done"
    assert table() == truth(tenant)


def test_package_killed_before_its_schema_was_saved(serve: Serve, settings_for: SettingsFor) -> None:
    """An extracted package with a table that the stored schema does not know is dropped, and the run does its work."""
    _, _, settings = mirror(serve, settings_for, SMALL)
    sync(settings=settings)
    schemas = working_folder() / "schemas"
    shutil.copytree(schemas, "schemas")
    with open_warehouse(Target(), command="verify", write=True) as warehouse:
        source = rows_source(VERIFICATIONS, [])
        warehouse.kind.adapt(source)
        warehouse.pipeline.extract(source)
    shutil.rmtree(schemas)
    shutil.copytree("schemas", schemas)

    assert verify(settings=settings).outcome == "clean"


_DIES_WHEN_TOLD = """
import os
from dlt.common.storages.{module} import {storage} as storage

done = storage.{method}

def die(self, *arguments, **more):
    if {condition}:
        os._exit(9)
    return done(self, *arguments, **more)

storage.{method} = die

from gong_source import sync
sync()
"""
_MARK = {
    "module": "load_storage",
    "storage": "LoadStorage",
    "method": "complete_load_package",
    "condition": "True",
}
_MOVE = {
    "module": "file_storage",
    "storage": "FileStorage",
    "method": "atomic_rename",
    "condition": "arguments[0].startswith('normalized') and arguments[1].startswith('loaded')",
}


@pytest.mark.parametrize("point", [_MARK, _MOVE], ids=["before dlt marks it", "before dlt moves it"])
def test_package_killed_when_it_was_loaded(serve: Serve, settings_for: SettingsFor, point: dict[str, str]) -> None:
    """A package that the destination tells of is not loaded once more, and stops no later run."""
    tenant, simulator, settings = mirror(serve, settings_for, SMALL)
    tenant.edit(next(iter(between(tenant, days_ago(5), days_ago(0)))), title="edited")

    died = started(_DIES_WHEN_TOLD.format(**point), environment_for(simulator))
    died.join()
    again = sync(settings=settings)

    assert died.exitcode == 9
    assert again.status == "done"
    assert table() == truth(tenant)
    assert rows("select load_id from gong._dlt_loads group by load_id having count(*) > 1") == []
    assert not [*working_folder().glob("load/normalized/*")]


def test_package_older_than_a_load_of_another_machine(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one machine left unloaded undoes nothing of what another has loaded since; it is asked for again."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    edited, deleted = between(tenant, days_ago(50), days_ago(20))[:2]
    monkeypatch.setenv("DLT_DATA_DIR", "one")
    with monkeypatch.context() as dying:
        dying.setattr(Warehouse, "_load", lambda self: sys.exit(9))
        with pytest.raises(SystemExit):
            backfill(days_ago(60), days_ago(10), refresh=True, settings=settings)
    pending = [*working_folder().glob("load/normalized/*")]
    tenant.edit(edited, title="edited")
    tenant.delete(deleted)
    monkeypatch.setenv("DLT_DATA_DIR", "another")
    assert verify(deep=True, repair=True, settings=settings).outcome == "repaired"

    monkeypatch.setenv("DLT_DATA_DIR", "one")
    assert sync(settings=settings).status == "done"

    assert len(pending) == 1
    assert table() == truth(tenant)


@pytest.mark.usefixtures("one_day")
def test_load_that_dlt_tells_of_twice_counts_once(serve: Serve, settings_for: SettingsFor) -> None:
    """So it is where a plain dlt pipeline was killed in the moment between the destination's mark and its own."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    before = status()
    change("insert into gong._dlt_loads from gong._dlt_loads")
    change("delete from gong.call_arrivals")

    after = status()
    sync(settings=settings)

    assert (after.windows, after.requests_today) == (before.windows, before.requests_today)
    assert rows("select count(*), count(distinct id) from gong.call_arrivals") == [(len(tenant), len(tenant))]


@pytest.mark.parametrize("name", ["calls", "call_windows", "call_arrivals", "_dlt_loads"])
def test_table_dropped_by_hand(serve: Serve, settings_for: SettingsFor, name: str) -> None:
    """The error says how to start over, and that works."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    change(f"drop table gong.{name}")

    with pytest.raises(DestinationFailed, match="bring it back, or drop the whole dataset"):
        sync(settings=settings)

    change("drop schema gong cascade")
    assert sync(settings=settings).status == "done"
    assert table() == truth(tenant)


def test_too_little_memory_says_what_to_set_and_loses_nothing(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What DuckDB had no memory for is loaded by the next run that allows it more."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    setting = "DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG"
    monkeypatch.setenv(setting, '{"memory_limit": "1MB", "threads": 1}')

    with pytest.raises(DestinationFailed, match=f"allow DuckDB more memory and run it again, with {setting}="):
        sync(settings=settings)

    monkeypatch.delenv(setting)
    sync(settings=settings)
    assert table() == truth(tenant)


def test_our_own_bound_on_memory_gives_way(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that needs more than the memory we allow DuckDB gets it, in the same run; a bound of the user's stays."""
    tenant = tenant_of(8000, 60)
    settings = settings_for(serve(tenant), start_date=iso(days_ago(60)))
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG", '{"memory_limit": "6MB"}')
    with pytest.raises(DestinationFailed, match="allow DuckDB more memory"):
        sync(settings=settings)
    monkeypatch.delenv("DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG")
    monkeypatch.setitem(duckdb.BOUNDS, "memory_limit", "6MB")

    assert sync(settings=settings).status == "done"
    assert table() == truth(tenant)


def test_bound_that_gave_way_stays_away(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the run still has to say to DuckDB after such a load does not bring the bound back, nor fail for it."""
    tenant = tenant_of(20_000, 60)
    settings = settings_for(serve(tenant), start_date=iso(days_ago(60)))
    sync(settings=settings)
    for call_id in tenant.calls:
        tenant.edit(call_id, title="another")
    monkeypatch.setitem(duckdb.BOUNDS, "memory_limit", "8MB")

    assert backfill(days_ago(60), days_ago(0), settings=settings, refresh=True).status == "done"
    assert table() == truth(tenant)


@pytest.mark.parametrize(
    "chosen",
    [{}, {"threads": 2, "memory_limit": "300MB"}, {"worker_threads": 2, "MAX_MEMORY": "300MB"}],
    ids=["nothing", "something", "by other names"],
)
def test_what_duckdb_may_use(chosen: dict[str, Any], serve: Serve, settings_for: SettingsFor, monkeypatch: Any) -> None:
    """Little, unless the user's configuration says otherwise; and a large merge goes into the file at once."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG", json.dumps(chosen))
    sync(settings=settings_for(serve(tenant_of(10, 10)), start_date=iso(days_ago(10))))

    with open_warehouse(Target(), command="status", write=False) as warehouse:
        names = "'threads', 'memory_limit', 'checkpoint_threshold', 'TimeZone'"
        found = dict(warehouse.query(f"select name, value from duckdb_settings() where name in ({names})"))
    assert found == {
        "threads": "2" if chosen else "1",
        "memory_limit": "286.1 MiB" if chosen else "76.2 MiB",
        "checkpoint_threshold": "16.0 MiB",
        "TimeZone": "UTC",
    }
