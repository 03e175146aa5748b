"""What only BigQuery has: the lease that keeps other machines out, and partitions."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import dlt
import pytest
from places import Place, bigquery_place, real_bigquery_place
from servers import Wire
from tenants import END, days_ago, truth

from gong_source import DatasetLocked, DestinationFailed, gong, sync
from gong_source.resources import RESOURCES
from gong_source.runs.run import Control
from gong_source.simulator import Tenant
from gong_source.warehouse import bigquery
from gong_source.warehouse.bigquery import lease
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from google.cloud.bigquery import Table
    from servers import Emulator

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]


@pytest.fixture
def place(bigquery: Emulator, dataset: str, own_place: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty dataset in the emulator."""
    made = bigquery_place(bigquery, dataset, own_place)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def tenant() -> Tenant:
    """A tenant with a few calls."""
    return Tenant.generate(50, start=days_ago(5), end=END, seed=5)


@pytest.fixture
def settings(serve: Serve, settings_for: SettingsFor, tenant: Tenant) -> GongSettings:
    """The settings of a run that loads the tenant."""
    return settings_for(serve(tenant), start_date=iso(days_ago(5)))


def test_each_column_keeps_its_type_and_description(settings: GongSettings) -> None:
    """Partitions and table descriptions are added to what dlt knows of the columns, and replace none of it."""
    source = gong(credentials=settings.credentials, resources="all")
    bigquery.DESTINATION.adapt(source)

    for name, dlt_resource in source.resources.items():
        table = RESOURCES[name].table
        schema = dlt_resource.compute_table_schema()
        found = {column["name"]: (column["data_type"], column["description"]) for column in schema["columns"].values()}
        assert found == {column.name: (column.dlt_type, column.description) for column in table.columns}
        assert schema["x-bigquery-table-description"] == table.description


def held(place: Place) -> Table | None:
    """The lease as it lies in the dataset."""
    from google.api_core.exceptions import NotFound

    assert place.client is not None
    with place.client() as connection:
        try:
            return connection.get_table(f"{connection.project}.{place.target.dataset}._gong_source_lock")
        except NotFound:
            return None


def tables(place: Place) -> list[str]:
    """The tables of the dataset."""
    assert place.client is not None
    with place.client() as connection:
        return [table.table_id for table in connection.list_tables(place.target.dataset)]


def hold(place: Place, until: datetime) -> None:
    """Another machine's lease, new or taken over, up to `until`."""
    from google.api_core.exceptions import NotFound
    from google.cloud.bigquery import Table

    assert place.client is not None
    with place.client() as connection:
        connection.create_dataset(place.target.dataset, exists_ok=True)
        table = Table(f"{connection.project}.{place.target.dataset}._gong_source_lock")
        connection.delete_table(table, not_found_ok=True)
        table.description, table.expires = "gong-source sync, PID 1 on elsewhere", until
        with suppress(NotFound):  # one that has expired may be gone at once
            connection.create_table(table)


def take(place: Place, **periods: float) -> Any:
    """The lease on the place, with other periods."""
    pipeline = dlt.pipeline("lease", destination=bigquery.DESTINATION.build(True), dataset_name=place.target.dataset)
    return lease(pipeline, "the dataset", "sync", **periods)


def test_lease_of_a_run_that_died_blocks_until_it_ends(place: Place, settings: GongSettings, tenant: Tenant) -> None:
    """Until the lease ends, the error names its holder and its end; then the next run takes the lease over."""
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=4)
    hold(place, until)
    with pytest.raises(DatasetLocked) as locked:
        sync(place.target, settings=settings)
    assert "PID 1 on elsewhere" in str(locked.value)
    assert f"its lease ends at {iso(until)}" in str(locked.value)
    hold(place, datetime.now(UTC) - timedelta(seconds=1))

    result = sync(place.target, settings=settings)

    assert result.status == "done"
    assert held(place) is None
    assert place.calls() == truth(tenant)


def test_lease_is_renewed_while_the_run_lasts(place: Place) -> None:
    """The lease is renewed as long as the run lasts, and removed afterwards."""
    with take(place, renewal_seconds=0.2) as confirm:
        first = held(place)
        while (later := held(place)) is not None and first is not None and later.expires <= first.expires:
            confirm()
        assert later is not None
        assert "gong-source sync, PID " in (later.description or "")
    assert held(place) is None


def test_run_that_lost_its_lease_loads_nothing_and_leaves_it_to_its_new_holder(
    place: Place, settings: GongSettings, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that slept past its lease ends before it loads; the lease of the other run stays."""

    def take_over(_progress: object) -> None:
        while (found := held(place)) is not None and found.expires is not None and found.expires > datetime.now(UTC):
            if "elsewhere" in (found.description or ""):
                return
        hold(place, datetime.now(UTC) + timedelta(minutes=5))

    with monkeypatch.context() as asleep:
        asleep.setattr(bigquery, "DESTINATION", replace(bigquery.DESTINATION, lock=partial(lease, seconds=1.0)))
        with pytest.raises(DestinationFailed, match=r"was lost\. Run the command again; no data is lost"):
            sync(place.target, settings=settings, control=Control(on_progress=take_over))
    assert tables(place) == ["_gong_source_lock"]
    with pytest.raises(DatasetLocked, match="PID 1 on elsewhere"):
        sync(place.target, settings=settings)
    hold(place, datetime.now(UTC) - timedelta(seconds=1))

    result = sync(place.target, settings=settings)

    assert result.status == "done"
    assert place.calls() == truth(tenant)


def test_lease_that_cannot_be_given_back_is_a_warning(
    bigquery: Emulator, place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the network fails at the very end, the load is still done, and the lease ends by itself."""
    with Wire(int(bigquery.url.rsplit(":", 1)[1])).laid() as wire, caplog.at_level(logging.WARNING, "gong_source"):
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{wire.port}")
        with take(place, renewal_seconds=1.0):
            wire.cut_after = 0
    assert "the lease on the dataset ends by itself at 20" in caplog.text
    assert held(place) is not None


@pytest.fixture(params=["emulator", "real"])
def laid_out(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, real_project: Callable[[], str]
) -> Iterator[Place]:
    """A dataset where BigQuery, or its emulator, reports partitions and clustering."""
    if request.param == "real":
        with real_bigquery_place(real_project()) as made:
            for name, value in made.environment.items():
                monkeypatch.setenv(name, value)
            yield made
        return
    made = request.getfixturevalue("place")
    if not made.keeps_layout:
        pytest.skip("bqemulator does not tell how tables are laid out; local-bigquery, for Python 3.13, does")
    yield made


def test_calls_are_partitioned_by_day_and_clustered(laid_out: Place, settings: GongSettings) -> None:
    """Partitioned by the day of call_time, clustered by workspace and direction."""
    sync(laid_out.target, settings=settings)

    assert laid_out.client is not None
    with laid_out.client() as connection:
        calls = connection.get_table(f"{connection.project}.{laid_out.target.dataset}.calls")
    assert (calls.time_partitioning.type_, calls.time_partitioning.field) == ("DAY", "call_time")
    assert calls.clustering_fields == ["workspace_id", "direction"]
