"""Runs that are killed with SIGKILL, at seeded random points, and machines that start empty afterwards.

`GONG_SOURCE_KILLS=25` kills so many runs of each command, with 20,000 calls to load; the suite does less of both.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from conversations import ALL, difference
from places import duckdb_place

from gong_source.api.plan import LISTS
from gong_source.dates import parse
from gong_source.simulator import SMALL, Tenant
from gong_source.windows import Window, intersect, iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess

    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]

END = datetime.now(UTC).replace(microsecond=0)
START = END - timedelta(days=20)
KILLS = int(os.environ.get("GONG_SOURCE_KILLS", "4"))
CALLS = 20_000 if "GONG_SOURCE_KILLS" in os.environ else 3000
CHUNK = CALLS // 5
FILE = Path("gong_calls.duckdb")

RUN = """
import os
os.chdir(folder)
os.environ.update(environment)
from gong_source import backfill, sync, Window
from gong_source.api import by_id
from gong_source.runs import load, load_by_id
from gong_source.dates import parse
load._RECORDS_PER_CHUNK = chunk  # several packages in the seconds that a test may take
by_id.MOST_IDS, load_by_id._CALLS_PER_CHUNK = 20, 40
result = sync() if command == "sync" else backfill(parse(start), parse(end))
assert result.status == "done", result
"""


@pytest.fixture(scope="module")
def spawn() -> Callable[..., BaseProcess]:
    """Starts a run in a process of its own, from a server that has the imports done."""
    context = multiprocessing.get_context("forkserver")
    # what a run imports late, if it is there
    late = ["dlt.destinations.impl.duckdb.duck", "dlt.sources.helpers.requests", "pandas"]
    context.set_forkserver_preload(["gong_source.runs.sync", "gong_source.runs.backfill", *late])

    def start(command: str, simulator: Simulator, folder: Path, resources: str = "calls") -> BaseProcess:
        prefix = "SOURCES__GONG__CREDENTIALS__"
        environment = {
            f"{prefix}ACCESS_KEY": "key",
            f"{prefix}ACCESS_KEY_SECRET": "secret",
            f"{prefix}BASE_URL": simulator.base_url,
            "SOURCES__GONG__START_DATE": iso(START),
            "SOURCES__GONG__RESOURCES": resources,
            "SOURCES__GONG__REQUESTS_PER_SECOND": "50",
            "DLT_DATA_DIR": os.environ["DLT_DATA_DIR"],
        }
        names: dict[str, Any] = {"folder": str(folder), "environment": environment, "command": command}
        names |= {"start": iso(START), "end": iso(END), "chunk": CHUNK}
        process = context.Process(target=exec, args=(RUN, names))
        process.start()
        return process

    first = context.Process(target=exec, args=("",))  # waits for the server and its imports
    first.start()
    first.join()
    return start


def calls() -> list[tuple[Any, ...]]:
    """The table, without the column with the load that wrote a row."""
    with duckdb.connect(str(FILE), read_only=True) as connection:
        return connection.execute("select * exclude (_dlt_load_id) from gong.calls order by id").fetchall()


def committed() -> list[Window]:
    """The windows in the ledger; none if there is no file or no ledger yet."""
    try:
        with duckdb.connect(str(FILE), read_only=True) as connection:
            found = connection.execute("select window_start, window_end from gong.fetched_windows").fetchall()
    except (duckdb.IOException, duckdb.CatalogException):
        return []
    return [Window(start.astimezone(UTC), end.astimezone(UTC)) for start, end in found]


def asked(simulator: Simulator) -> list[Window]:
    """The windows that were asked for."""
    return [Window(parse(r.query["fromDateTime"]), parse(r.query["toDateTime"])) for r in simulator.requests]


@pytest.mark.parametrize("command", ["sync", "backfill"])
def test_killed_runs_end_in_the_undisturbed_table(
    serve: Serve, spawn: Callable[..., BaseProcess], own_place: Path, command: str
) -> None:
    """Whatever the moment of the kill, with or without the working folder, the next run completes the work.

    Committed time is not fetched again, and at most one chunk's requests are sent twice.
    """
    tenant = Tenant.generate(CALLS, start=START, end=END, seed=20)
    simulator = serve(tenant)
    undisturbed = spawn(command, simulator, own_place)
    undisturbed.join()
    assert undisturbed.exitcode == 0
    expected = calls()
    needed = len(simulator.requests)
    assert len(expected) == CALLS
    draw = random.Random(f"{command} 20").random

    for kill in range(KILLS):
        FILE.unlink()
        simulator.reset_requests()
        process = spawn(command, simulator, own_place)
        # from its first request to its last, and a little later: there, too, chunks are written, loaded and recorded
        while process.is_alive() and len(simulator.requests) < 0.97 * needed * kill / (KILLS - 1):
            time.sleep(0.001)
        process.join(0.6 * draw())
        process.kill()
        process.join()
        if kill % 3 == 2:
            shutil.rmtree(os.environ["DLT_DATA_DIR"])
        safe, sent = committed(), len(simulator.requests)
        simulator.reset_requests()
        again = spawn(command, simulator, own_place)
        again.join()
        assert again.exitcode == 0
        assert calls() == expected
        if command == "backfill":
            assert intersect(asked(simulator), safe) == []
        # a chunk ends with a whole window, and while it is loaded three more are fetched; a sync repeats the lookback
        lookback = 0 if command == "backfill" else needed * 8 / 20  # days
        repeated = sent + len(simulator.requests) - needed
        assert repeated <= (CHUNK + 4 * LISTS.target) / 100 + lookback
        print(f"kill {kill + 1}: {sent} requests before it, {len(simulator.requests)} after, {repeated} repeated")


def test_killed_syncs_of_conversations_end_in_what_gong_serves(
    serve: Serve, spawn: Callable[..., BaseProcess], own_place: Path
) -> None:
    """Headers and all lists of a call are there whole or not at all, so the next run knows what is due."""
    tenant = Tenant.generate(130, start=START, end=END, seed=21, content=SMALL)
    simulator = serve(tenant)
    place = duckdb_place(own_place / FILE, "gong")
    needed = 2 + 7 + 7  # pages of calls; requests for details with content; for transcripts
    draw = random.Random("conversations").random
    for kill in range(KILLS - 2):
        FILE.unlink(missing_ok=True)
        simulator.reset_requests()
        process = spawn("sync", simulator, own_place, ALL)
        while process.is_alive() and len(simulator.requests) < needed * (kill + 1) / (KILLS - 1):
            time.sleep(0.001)
        process.join(2.0 * draw())
        process.kill()
        process.join()
        if kill % 2:
            shutil.rmtree(os.environ["DLT_DATA_DIR"])
        again = spawn("sync", simulator, own_place, ALL)
        again.join()
        assert again.exitcode == 0
        assert difference(place, tenant) == []
