"""How a load gets into a DuckDB file: each file of a package is merged straight into its table."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pytest
from dlt.common.schema import Schema
from mirrors import FILE, SMALL, days_ago, mirror, rows, table, tenant_of, truth

from gong_source import Control, DestinationFailed, gong, sync
from gong_source.simulator import Call
from gong_source.warehouse.duckdb import DuckDB
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator, Tenant

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]


def newest(tenant: Tenant, count: int) -> list[str]:
    """The ids of the latest calls, which a sync asks for again."""
    return sorted(tenant.calls, key=lambda i: tenant.effective_time(tenant.calls[i], "documented"))[-count:]


def plain_run(simulator: Simulator) -> None:
    """One run of a pipeline of the user's own, into the same file and dataset."""
    source = gong(
        credentials={"access_key": "key", "access_key_secret": "secret", "base_url": simulator.base_url},
        start_date=iso(days_ago(60)),
        requests_per_second=1000.0,
    )
    destination = dlt.destinations.duckdb(str(FILE.absolute()))
    dlt.pipeline("own", destination=destination, dataset_name="gong").run(source)


def test_no_row_is_written_twice(serve: Serve, settings_for: SettingsFor) -> None:
    """There is no staging dataset, and after a load of nothing new no row has changed."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)

    assert sync(settings=settings).calls_changed == 0
    assert rows("select schema_name from duckdb_schemas() where schema_name like 'gong%'") == [("gong",)]
    assert table() == truth(tenant)


@pytest.mark.parametrize("folder", ["it's", "a[b]c", "what?", "all*of*it"])
def test_working_folder_of_any_name(
    folder: str, serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Characters with a meaning in SQL or in DuckDB's patterns are allowed in the folder's name."""
    tenant = tenant_of(300, 10)
    monkeypatch.setenv("DLT_DATA_DIR", str(Path(folder).absolute()))

    sync(settings=settings_for(serve(tenant), start_date=iso(days_ago(10))))

    assert table() == truth(tenant)


def test_session_in_another_zone(serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instants stay right, also if the user's Parquet files have times without a zone."""
    monkeypatch.setenv("DATA_WRITER__FLAVOR", "spark")
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS__SESSION_TIMEZONE", "America/New_York")
    tenant = tenant_of(50, 10)

    sync(settings=settings_for(serve(tenant), start_date=iso(days_ago(10))))

    assert table() == truth(tenant)


def test_own_pipeline_and_the_commands_take_turns(serve: Serve, settings_for: SettingsFor) -> None:
    """A plain pipeline and the commands continue each other's work in the same tables, beside dlt's staging dataset."""
    tenant, simulator, settings = mirror(serve, settings_for, SMALL)
    some = newest(tenant, 3)
    tenant.edit(some[0], title="by the pipeline")
    plain_run(simulator)
    tenant.edit(some[1], title="by the command")

    assert sync(settings=settings).calls_changed == 1
    tenant.edit(some[2], title="by the pipeline again")
    plain_run(simulator)
    assert table() == truth(tenant)


def test_configuration_is_looked_up_once_for_each_dataset() -> None:
    """What begins alike is one object, so that all its clients share one DuckDB; another dataset has its own."""
    destination = DuckDB(str(FILE))

    def resolved(dataset: str) -> Any:
        return destination.configuration(destination.spec()._bind_dataset_name(dataset))

    assert resolved("one") is resolved("one")
    assert resolved("one") is not resolved("two")
    assert [resolved(name).normalize_dataset_name(Schema("gong")) for name in ("one", "two")] == ["one", "two"]
    assert destination.configuration(resolved("one")) is resolved("one")


def test_capabilities_are_dlts_own_and_a_change_of_them_stays_with_who_made_it() -> None:
    """Whoever is given them may change them; the next one who asks gets what dlt's destination says."""
    destination, plain = DuckDB(), dlt.destinations.duckdb()
    expected = dict(plain.capabilities()) | {"loader_parallelism_strategy": "sequential"}

    first = destination.capabilities()
    first.preferred_loader_file_format = "csv"
    again = destination.capabilities()

    assert again is not first
    for name in ("preferred_loader_file_format", "supported_loader_file_formats", "loader_parallelism_strategy"):
        assert again[name] == expected[name]


def test_file_is_free_for_others_while_a_run_waits_for_gong(serve: Serve, settings_for: SettingsFor) -> None:
    """Between two uses, the file is closed: even a program that opens it in another way gets it."""
    tenant = tenant_of(20, 5)
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(days_ago(5)))
    sync(settings=settings)
    tenant.add(Call("77", started=days_ago(1)))
    found: list[int] = []

    def read(_progress: object) -> None:
        deadline = time.monotonic() + 10
        while not found and time.monotonic() < deadline:
            with suppress(duckdb.ConnectionException), duckdb.connect(str(FILE), read_only=True) as connection:
                found.extend(*connection.execute("select count(*) from gong.calls").fetchall())

    assert sync(settings=settings, control=Control(on_progress=read)).calls_changed == 1
    assert found == [20]


def test_file_that_this_program_keeps_open_is_told_from_a_failure(serve: Serve, settings_for: SettingsFor) -> None:
    """The message says where the file is open, and what to do."""
    settings = settings_for(serve(tenant_of(3, 5)), start_date=iso(days_ago(5)))
    sync(settings=settings)

    with duckdb.connect(str(FILE), read_only=True), pytest.raises(DestinationFailed) as failed:
        sync(settings=settings)
    assert f"{FILE} is open elsewhere in this program. Only one program at a time can write to it" in str(failed.value)
