"""Tables of other programs in the dataset: refused before anything is asked, loaded or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from tenants import END, days_ago

from gong_source import ConfigurationError, backfill, gong, plan_backfill, status, sync, verify
from gong_source.cli.main import main
from gong_source.simulator import Tenant

if TYPE_CHECKING:
    from collections.abc import Callable

    from places import Place

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

MESSAGE = r"table of another program under a name that is needed here: {}\. Choose another --dataset"


def everything() -> dict[str, Any]:
    """All tables of the DuckDB file with their columns and rows."""
    with duckdb.connect("gong_calls.duckdb", read_only=True) as connection:
        names = [name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()]
        found = {name: connection.execute(f"select * from gong.{name}") for name in names}
        return {name: (result.description, result.fetchall()) for name, result in found.items()}


def make(statement: str) -> dict[str, Any]:
    """Runs a statement as another program would, and gives all tables."""
    with duckdb.connect("gong_calls.duckdb") as connection:
        connection.execute("create schema if not exists gong")
        connection.execute(statement)
    return everything()


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("create table gong.calls as select 1 as call_number, 'x' as owner", "calls"),
        ("create table gong.calls as select 'x' as id, 'x' as url, 'x' as _dlt_load_id, 'x' as _dlt_id", "calls"),
        ("create table gong.arrivals as select now() as train", "arrivals"),
    ],
    ids=["of SQL", "of another dlt pipeline", "of our bookkeeping"],
)
def test_commands_refuse_a_table_of_another_program(
    statement: str, name: str, serve: Serve, settings_for: SettingsFor
) -> None:
    """Every command names the table and the way out; Gong is not asked, and the file keeps what it had."""
    simulator = serve(Tenant())
    before = make(statement)
    settings = settings_for(simulator)
    asked = (days_ago(2), END)

    for command in (
        lambda: sync(settings=settings),
        lambda: backfill(*asked, settings=settings),
        lambda: plan_backfill(*asked, settings=settings),
        lambda: verify(start=asked[0], end=asked[1], settings=settings),
        lambda: status(settings=settings),
    ):
        with pytest.raises(ConfigurationError, match=MESSAGE.format(name)):
            command()

    assert simulator.requests == []
    assert everything() == before


def test_a_plain_run_refuses_a_table_of_another_program(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pipeline.run(gong())` ends with the same words before it sends a request."""
    simulator = serve(Tenant(users=2))
    before = make("create table gong.users as select 1 as number")
    monkeypatch.setenv("SOURCES__GONG__CREDENTIALS__ACCESS_KEY", "key")
    monkeypatch.setenv("SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET", "secret")
    monkeypatch.setenv("SOURCES__GONG__CREDENTIALS__BASE_URL", simulator.base_url)
    pipeline = dlt.pipeline("gong_calls", destination="duckdb", dataset_name="gong")

    with pytest.raises(PipelineStepFailed, match=MESSAGE.format("users")):
        pipeline.run(gong(resources=["users"]))

    assert simulator.requests == []
    assert everything() == before


def test_a_resource_that_is_added_later_meets_a_table_of_another_program(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """Calls go on being loaded; only the resource whose table is taken is refused."""
    simulator = serve(Tenant(users=2))
    assert sync(settings=settings_for(simulator)).status == "done"
    make("create table gong.users as select 1 as number")

    with pytest.raises(ConfigurationError, match=MESSAGE.format("users")):
        sync(settings=settings_for(simulator, resources=["calls", "users"]))

    assert sync(settings=settings_for(simulator)).status == "done"


def test_our_own_tables_are_taken_over_by_another_pipeline(serve: Serve, settings_for: SettingsFor) -> None:
    """A dataset whose dlt state is lost, or that another pipeline of ours continues, is not foreign."""
    simulator = serve(Tenant(users=3))
    settings = settings_for(simulator, resources=["calls", "users"], snapshot_hours=0)
    assert sync(settings=settings).status == "done"
    with duckdb.connect("gong_calls.duckdb") as connection:
        connection.execute("delete from gong._dlt_pipeline_state")

    assert sync(settings=settings).status == "done"


def test_other_tables_beside_ours_are_no_matter(serve: Serve, settings_for: SettingsFor) -> None:
    """Only the names that are needed are looked at."""
    make("create table gong.companies as select 1 as number; create table gong.users as select 1 as number")

    assert sync(settings=settings_for(serve(Tenant()))).status == "done"


def test_every_destination_tells_a_foreign_table(
    place: Place, serve: Serve, settings_for: SettingsFor, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another dlt pipeline loaded a table `calls` there: exit 2 with one line, and its rows stay."""
    simulator = serve(Tenant())
    other = dlt.pipeline("gong_calls", destination=place.target.destination, dataset_name=place.target.dataset)
    other.run(dlt.source(lambda: dlt.resource([{"id": 1, "owner": "x"}], name="calls"), name="other")())

    with pytest.raises(ConfigurationError, match=MESSAGE.format("calls")):
        sync(place.target, settings=settings_for(simulator))

    code = main(["status", "--destination", place.target.destination, "--dataset", place.target.dataset])
    assert (code, capsys.readouterr().err.count("\n")) == (2, 1)
    assert simulator.requests == []
    assert place.fetch("select owner from gong.calls") == [("x",)]
