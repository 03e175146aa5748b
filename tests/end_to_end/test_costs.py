"""What a run costs, in counts that do not depend on how busy the machine is; `benchmarks/` measures seconds."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import dlt
import pytest

from gong_source.api.client import Page
from gong_source.api.endpoints import CALLS as CALLS_ENDPOINT
from gong_source.api.fetch import Fetch
from gong_source.api.throttle import Throttle
from gong_source.api.transport import Transport
from gong_source.connection import connect
from gong_source.packages.sources import chunk_source
from gong_source.packages.window_package import WindowPackage
from gong_source.records.batch import Converter, read_batch
from gong_source.records.call_time import Rule, page_times
from gong_source.resources.calls import CALLS
from gong_source.runs.run import Control
from gong_source.runs.sync import sync
from gong_source.simulator import Simulator, Tenant
from gong_source.windows import Window

Serve = Callable[..., Simulator]

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
YEAR = Window(START, END)


def loaded_modules(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after `code`."""
    report = f"{code}\nimport sys\nprint(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines()[-1].split())


HEAVY = {"dlt", "duckdb", "gong_source.simulator", "orjson", "pendulum", "pyarrow", "requests", "rich", "sqlglot"}


@pytest.mark.parametrize(
    "code",
    [
        "import gong_source",
        "from gong_source import GongError, Window",
        "import gong_source.cli.main",
        "from gong_source.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
        "from gong_source.cli.main import main\ntry:\n    main(['sync', '--help'])\nexcept SystemExit:\n    pass",
    ],
)
def test_start_up_imports_nothing_heavy(code: str) -> None:
    """Commands that need no data start without dlt, Arrow, a database, an HTTP client or the simulator."""
    assert loaded_modules(code) & HEAVY == set()


def test_sync_imports_no_simulator_and_no_terminal() -> None:
    """A run does not import what only demos, tests and terminals need."""
    modules = loaded_modules("import gong_source.runs.sync")

    assert modules & {"gong_source.simulator", "rich", "IPython"} == set()


@pytest.mark.parametrize("calls", [10_000, 30_000])
def test_requests_per_call(serve: Serve, settings_for: Callable[..., Any], calls: int) -> None:
    """A first sync sends at most 8 in 100 more requests than the pages that its calls fill, and a dozen to plan."""
    simulator = serve(Tenant.generate(calls, start=START, end=END, shape="business"))

    result = sync(settings=settings_for(simulator, start_date="2024-01-01", requests_per_second=100_000.0))

    assert result.calls_received == calls
    assert len(simulator.requests) == result.requests <= calls / 100 * 1.08 + 12


def test_an_empty_sync_sends_one_request(serve: Serve, settings_for: Callable[..., Any]) -> None:
    """With nothing new, the lookback is one window and its answer one page."""
    simulator = serve(Tenant.generate(100, start=START, end=END))
    settings = settings_for(simulator, start_date="2024-01-01")
    sync(settings=settings, control=Control())
    simulator.reset_requests()

    sync(settings=settings, control=Control())

    assert len(simulator.requests) == 1


def test_tables_handed_to_dlt(serve: Serve, settings_for: Callable[..., Any]) -> None:
    """Few and large: at most one for 25,000 calls, and one each for the schema, the rest and the ledger."""
    simulator = serve(Tenant.generate(30_000, start=START, end=END, shape="business"))
    client = connect(settings_for(simulator, requests_per_second=100_000.0))
    converter = Converter(client, CALLS, Rule(others="started"))
    fetch = Fetch(client, CALLS_ENDPOINT, [YEAR], converter, page_times)
    package = WindowPackage(fetch, converter, mode="sync", watermark=START)
    given: list[Any] = []

    def seen(item: Any) -> Any:
        given.append(item)
        return item

    source = chunk_source(package, START)
    source.resources["calls"].add_map(seen, insert_at=1)
    try:
        dlt.pipeline("costs", destination="duckdb").extract(source)
    finally:
        fetch.close()
        client.transport.close()

    assert sum(len(item) for item in given if "call_time" in item.column_names) == 30_000
    assert len(given) <= 30_000 / 25_000 + 3


def test_package_is_bounded_in_bytes(serve: Serve, settings_for: Callable[..., Any]) -> None:
    """A package takes the next window only if it stays within its bytes, and one at least; the next takes the rest."""
    simulator = serve(Tenant.generate(12_000, start=START, end=END))
    client = connect(settings_for(simulator, requests_per_second=100_000.0))
    converter = Converter(client, CALLS, Rule(others="started"))
    fetch = Fetch(client, CALLS_ENDPOINT, [YEAR], converter, page_times)
    small = WindowPackage(fetch, converter, mode="backfill", max_bytes=1)
    rest = WindowPackage(fetch, converter, mode="backfill", max_bytes=1e9)
    try:
        for number, package in enumerate((small, rest)):
            dlt.pipeline(f"bytes_{number}", destination="duckdb").extract(chunk_source(package, START))
    finally:
        fetch.close()
        client.transport.close()

    assert len(small.ledger_rows) == 1
    assert len(rest.ledger_rows) > 1
    assert 0 < small.records == 12_000 - rest.records


@contextmanager
def python_steps() -> Iterator[Counter[str]]:
    """Counts the calls of functions, of Python and of C, that this thread makes in the block."""
    steps: Counter[str] = Counter()

    def step(_frame: object, event: str, _arg: object) -> None:
        if event in {"call", "c_call"}:
            steps[event] += 1

    sys.setprofile(step)
    try:
        yield steps
    finally:
        sys.setprofile(None)


def test_steps_of_python_per_call() -> None:
    """Ordinary calls are converted all at once, so Python calls few functions per call."""
    tenant = Tenant.generate(2000, start=START, end=END)
    records = [tenant.served(call_id) for call_id in tenant.calls]
    pages = [Page(records[i : i + 100], 2000, None, "r", "calls", b"{}") for i in range(0, 2000, 100)]

    with python_steps() as steps:
        batch = read_batch(CALLS, pages, YEAR, Rule(others="started"))

    assert len(batch.table) == 2000
    assert steps.total() / 2000 < 12  # looking at each value took 32


def test_steps_of_python_per_request(serve: Serve) -> None:
    """A request uses urllib3 alone: a session of requests would cost as much again."""
    simulator = serve(Tenant.generate(100, start=START, end=END))
    transport = Transport(simulator.base_url, "key", "secret", throttle=Throttle(100_000.0))
    transport.send("GET", "/v2/calls")  # connects

    with python_steps() as steps:
        for _ in range(20):
            transport.send("GET", "/v2/calls", params={"fromDateTime": "2024-01-01T00:00:00Z"})
    transport.close()

    assert steps.total() / 20 < 1300  # by a session it took 1,740
