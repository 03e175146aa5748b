"""Leftovers of an earlier run in dlt's working folder, and a DuckDB with too little memory: the next run continues."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from mirrors import SMALL, between, change, days_ago, environment_for, mirror, rows, started, table, tenant_of, truth

from gong_source import Target, backfill, status, sync, verify
from gong_source.errors import DestinationFailed
from gong_source.packages.sources import rows_source
from gong_source.resources.bookkeeping import VERIFICATIONS
from gong_source.resources.calls import CALLS
from gong_source.warehouse import duckdb
from gong_source.warehouse.failures import explain
from gong_source.warehouse.find_destination import find_destination
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
        source = rows_source(CALLS, VERIFICATIONS, [])
        warehouse.destination.adapt(source)
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
    """A package that the destination knows as loaded is not loaded again, and stops no later run."""
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
    """An old package of one machine does not overwrite what another has loaded since; its time is fetched again."""
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
def test_load_that_dlt_records_twice_counts_once(serve: Serve, settings_for: SettingsFor) -> None:
    """A plain dlt pipeline records a load twice if it is killed between the destination's record and its own."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    before = status()
    change("insert into gong._dlt_loads from gong._dlt_loads")
    change("delete from gong.arrivals")

    after = status()
    sync(settings=settings)

    assert after.resources["calls"].windows == before.resources["calls"].windows
    assert after.requests_today == before.requests_today
    assert rows("select count(*), count(distinct id) from gong.arrivals") == [(len(tenant), len(tenant))]


@pytest.mark.parametrize("name", ["calls", "fetched_windows", "arrivals", "_dlt_loads"])
def test_table_dropped_by_hand(serve: Serve, settings_for: SettingsFor, name: str) -> None:
    """The error says how to start again, and that works."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    change(f"drop table gong.{name}")

    with pytest.raises(DestinationFailed, match="Restore it, or drop the whole dataset"):
        sync(settings=settings)

    change("drop schema gong cascade")
    assert sync(settings=settings).status == "done"
    assert table() == truth(tenant)


def test_too_little_memory_says_what_to_set_and_loses_nothing(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that failed for memory is done by the next run that allows DuckDB more."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    setting = "DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG"
    monkeypatch.setenv(setting, '{"memory_limit": "1MB", "threads": 1}')

    with pytest.raises(DestinationFailed, match=f"allow DuckDB more memory and run it again, with {setting}="):
        sync(settings=settings)

    monkeypatch.delenv(setting)
    sync(settings=settings)
    assert table() == truth(tenant)


def test_our_own_bound_on_memory_is_lifted(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that needs more than our bound on memory gets it in the same run; the user's own bound stays."""
    tenant = tenant_of(8000, 60)
    settings = settings_for(serve(tenant), start_date=iso(days_ago(60)))
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG", '{"memory_limit": "6MB"}')
    with pytest.raises(DestinationFailed, match="allow DuckDB more memory"):
        sync(settings=settings)
    monkeypatch.delenv("DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG")
    monkeypatch.setitem(duckdb.BOUNDS, "memory_limit", "6MB")

    assert sync(settings=settings).status == "done"
    assert table() == truth(tenant)


def test_lifted_bound_is_not_set_again(
    serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later statements of the run do not bring the bound back, and do not fail."""
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
def test_memory_that_duckdb_may_use(
    chosen: dict[str, Any], serve: Serve, settings_for: SettingsFor, monkeypatch: Any
) -> None:
    """DuckDB may use little memory, unless the user says otherwise; a large merge goes into the file at once."""
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


def test_full_disk_of_the_working_folder_is_told_from_the_database() -> None:
    """The message names the folder that is full, and how to choose another; an interrupt stays one."""
    pipeline = dlt.pipeline("full", destination="duckdb")
    cause = OSError(errno.ENOSPC, "No space left on device")
    failed = PipelineStepFailed(pipeline, "extract", "1", cause)
    failed.__cause__ = cause

    message = str(explain(failed, find_destination("duckdb"), "gong_calls.duckdb", "write"))

    assert message.startswith(f"cannot write the working folder {pipeline.working_dir}: ")
    assert "DLT_DATA_DIR" in message
    assert "gong_calls.duckdb" not in message
    interrupted = PipelineStepFailed(pipeline, "extract", "1", KeyboardInterrupt())
    interrupted.__cause__ = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        explain(interrupted, find_destination("duckdb"), "gong_calls.duckdb", "write")
