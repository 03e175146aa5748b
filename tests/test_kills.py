"""Runs that are killed with SIGKILL, at seeded random points, and machines that start empty afterwards."""

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

from gong_source.simulator import Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess

    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]

END = datetime.now(UTC).replace(microsecond=0)
START = END - timedelta(days=20)
CALLS = 3000
KILLS = int(os.environ.get("GONG_SOURCE_KILLS", "10"))
FILE = Path("gong_calls.duckdb")

RUN = """
import os
os.chdir(folder)
os.environ.update(environment)
from gong_source import backfill, sync, Window
from gong_source.runs import chunks
from gong_source.windows import parse
chunks._CALLS_PER_CHUNK = 1000  # several packages in the seconds that a test may take
result = sync() if command == "sync" else backfill(parse(start), parse(end))
assert result.status == "done", result
"""


@pytest.fixture(scope="module")
def spawn() -> Callable[..., BaseProcess]:
    """Starts a run in a process of its own, from a server that has the imports done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gong_source.runs.sync", "gong_source.runs.backfill"])

    def start(command: str, simulator: Simulator, folder: Path) -> BaseProcess:
        prefix = "SOURCES__GONG__CREDENTIALS__"
        environment = {
            f"{prefix}ACCESS_KEY": "key",
            f"{prefix}ACCESS_KEY_SECRET": "secret",
            f"{prefix}BASE_URL": simulator.base_url,
            "SOURCES__GONG__START_DATE": iso(START),
            "SOURCES__GONG__REQUESTS_PER_SECOND": "1000",
            "DLT_DATA_DIR": os.environ["DLT_DATA_DIR"],
        }
        names: dict[str, Any] = {"folder": str(folder), "environment": environment, "command": command}
        process = context.Process(target=exec, args=(RUN, names | {"start": iso(START), "end": iso(END)}))
        process.start()
        return process

    return start


def calls(file: Path = FILE) -> list[tuple[Any, ...]]:
    """The table, without the column that tells which load wrote a row."""
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute("select * exclude (_dlt_load_id) from gong.calls order by id").fetchall()


@pytest.mark.parametrize("command", ["sync", "backfill"])
def test_killed_runs_end_in_the_undisturbed_table(
    serve: Serve, spawn: Callable[..., BaseProcess], own_place: Path, command: str
) -> None:
    """Whatever the moment of the kill, and whether the working folder survives it, the next run makes it good."""
    tenant = Tenant.generate(CALLS, start=START, end=END, seed=20)
    simulator = serve(tenant, latency_seconds=0.02)
    began = time.monotonic()
    undisturbed = spawn(command, simulator, own_place)
    undisturbed.join()
    length = time.monotonic() - began
    assert undisturbed.exitcode == 0
    expected = calls()
    needed = len(simulator.requests)
    assert len(expected) == CALLS
    moments = random.Random(f"{command} 20")

    for kill in range(KILLS):
        FILE.unlink()
        simulator.reset_requests()
        process = spawn(command, simulator, own_place)
        process.join(length * moments.uniform(0.05, 1.0))
        process.kill()
        process.join()
        if kill % 3 == 2:
            shutil.rmtree(os.environ["DLT_DATA_DIR"])
        again = spawn(command, simulator, own_place)
        again.join()
        assert again.exitcode == 0
        assert calls() == expected
        # at most one chunk's worth and what was in flight is asked for twice
        assert len(simulator.requests) <= 2 * needed
