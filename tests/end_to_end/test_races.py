"""Two machines that start with nothing load into one dataset at the same moment: one gets in, and nothing is lost."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from places import Place, bigquery_place, ducklake_place, postgres_place
from tenants import END, days_ago, truth

from gong_source.simulator import Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess

    from servers import PostgresServer

    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]

RACES = int(os.environ.get("GONG_SOURCE_RACES", "3"))
SECONDS = 60.0

# The one that gets in waits for the other one to leave, so that a lock that lets both in would show.
RUN = """
import os
os.chdir(folder)
os.environ.update(environment)
from gong_source import DatasetLocked, Target, sync
from gong_source.runs.run import Control
together.wait(60)
try:
    status = sync(Target(*target), control=Control(on_progress=lambda _: left.wait(60))).status
except DatasetLocked:
    status = "locked"
left.set()
results.put((folder, status))
"""


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., BaseProcess]:
    """Starts a run as on a machine of its own, from a server that has the imports done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gong_source.runs.sync"])

    def start(name: str, place: Place, simulator: Simulator, shared: dict[str, Any]) -> BaseProcess:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        environment = place.environment | {
            "DLT_DATA_DIR": str(folder / "dlt"),
            "SOURCES__GONG__CREDENTIALS__ACCESS_KEY": "key",
            "SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET": "secret",
            "SOURCES__GONG__CREDENTIALS__BASE_URL": simulator.base_url,
            "SOURCES__GONG__START_DATE": iso(days_ago(10)),
            "SOURCES__GONG__REQUESTS_PER_SECOND": "1000",
        }
        target = (place.target.destination, place.target.dataset)
        names = {"folder": str(folder), "environment": environment, "target": target} | shared
        process = context.Process(target=exec, args=(RUN, names))
        process.start()
        return process

    return start


@pytest.mark.parametrize(
    ("destination", "race"),
    [
        (name, race)
        for name, races in {"postgres": RACES, "bigquery": RACES, "ducklake": 1}.items()
        for race in range(races)
    ],
)
def test_two_empty_machines_at_the_same_moment_lose_nothing(
    destination: str,
    race: int,
    machine: Callable[..., BaseProcess],
    serve: Serve,
    request: pytest.FixtureRequest,
    own_place: Path,
    dataset: str,
) -> None:
    """The second one ends with DatasetLocked; run again, it finds everything that the first one loaded."""
    place = place_for(destination, request, own_place, dataset)
    tenant = Tenant.generate(100, start=days_ago(10), end=END, seed=race)
    simulator = serve(tenant)
    context = multiprocessing.get_context("forkserver")
    results = context.Queue()
    shared = {"together": context.Barrier(2), "left": context.Event(), "results": results}

    racers = [machine(name, place, simulator, shared) for name in ("one", "two")]
    ended = dict(results.get(timeout=SECONDS) for _ in racers)
    for racer in racers:
        racer.join()

    assert sorted(ended.values()) == ["done", "locked"]
    assert place.calls() == truth(tenant)
    (loser,) = (folder for folder, status in ended.items() if status == "locked")
    alone = context.Barrier(1)  # kept until the process has it
    again = machine(Path(loser).name, place, simulator, shared | {"together": alone})
    assert results.get(timeout=SECONDS) == (loser, "done")
    again.join()
    assert place.calls() == truth(tenant)


def place_for(destination: str, request: pytest.FixtureRequest, folder: Path, dataset: str) -> Place:
    """An empty dataset where several machines can load to; of the lake, the catalog too."""
    if destination == "bigquery":
        return bigquery_place(request.getfixturevalue("bigquery"), dataset, folder)
    server: PostgresServer = request.getfixturevalue("postgres")
    if destination == "postgres":
        return postgres_place(server, dataset)
    catalog = server.database(dataset)
    return ducklake_place(catalog, folder / "lake", request.getfixturevalue("lake_extensions"), dataset)
