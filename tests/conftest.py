"""What the tests share: a folder and an environment of their own, a simulated Gong, and places to load into."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - pytest reads the annotations of fixtures
from typing import Any

import pytest
from browser import Browser
from places import Place, bigquery_place, duckdb_place, ducklake_place, postgres_place, real_bigquery_place
from servers import Emulator, PostgresServer, bigquery_emulator, duckdb_extensions, postgres_server

from gong_source.settings import GongSettings, resolve_settings
from gong_source.simulator import Fault, Settings, Simulator, Tenant
from gong_source.windows import next_midnight

Serve = Callable[..., Simulator]

START = datetime(2026, 1, 1, tzinfo=UTC)
UNLIMITED = replace(Settings(), requests_per_second=None, daily_quota=None)


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, dlt's data folder inside the test's own, and no configuration from outside."""
    for name in [*os.environ]:
        if name.startswith(("SOURCES__", "DESTINATION__", "RUNTIME__", "DLT_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def one_day() -> None:
    """A test that counts the requests of a UTC day lies within one: shortly before midnight, it begins after it."""
    moment = datetime.now(UTC)
    left = (next_midnight(moment) - moment).total_seconds()
    if left < 60:
        time.sleep(left)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a simulator: `serve(tenant, faults=..., **settings)`; without limits unless settings say so."""
    with ExitStack() as running:

        def start(tenant: Tenant, *, faults: tuple[Fault, ...] = (), **settings: Any) -> Simulator:
            return running.enter_context(Simulator(tenant, replace(UNLIMITED, **settings), faults))

        yield start


@pytest.fixture
def settings_for() -> Callable[..., GongSettings]:
    """The settings of a run against a simulator: `settings_for(simulator, **overrides)`; fast unless overridden."""

    def build(simulator: Simulator, **overrides: Any) -> GongSettings:
        credentials = {"access_key": "key", "access_key_secret": "secret", "base_url": simulator.base_url}
        return resolve_settings(credentials=credentials, **({"requests_per_second": 1000.0} | overrides))

    return build


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium that the machine has."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the driver of the browser is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        # As root, Chromium refuses to start in its sandbox; it only opens pages that the tests have made.
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield Browser(chromium)
        chromium.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A Postgres server."""
    pytest.importorskip("adbc_driver_postgresql", reason="the extra postgres is not installed")
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def bigquery() -> Iterator[Emulator]:
    """A BigQuery emulator."""
    pytest.importorskip("google.cloud.bigquery", reason="the extra bigquery is not installed")
    with bigquery_emulator() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def lake_extensions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """DuckDB's configuration that finds what a DuckLake needs, without a network."""
    pytest.importorskip("duckdb_extension_ducklake", reason="DuckDB's extensions are not installed as packages")
    return duckdb_extensions(tmp_path_factory.mktemp("duckdb"), "ducklake", "sqlite_scanner", "postgres_scanner")


@pytest.fixture
def dataset(request: pytest.FixtureRequest) -> str:
    """The name of a dataset of the test's own."""
    return f"gong_{abs(hash(request.node.name)) % 10**9}"


@pytest.fixture
def real_project() -> Callable[[], str]:
    """The Google Cloud project for tests in BigQuery itself; without one, the test is skipped."""

    def project() -> str:
        named = os.environ.get("GONG_SOURCE_BIGQUERY_PROJECT")
        if not named:
            pytest.skip("to test in BigQuery itself, set GONG_SOURCE_BIGQUERY_PROJECT and Google's usual credentials")
        return named

    return project


@pytest.fixture(params=["duckdb", "ducklake", "postgres", "bigquery", "real bigquery"])
def place(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    own_place: Path,
    dataset: str,
    real_project: Callable[[], str],
) -> Iterator[Place]:
    """An empty dataset of its own in each destination."""
    with ExitStack() as stack:
        made: Place
        if request.param == "duckdb":
            made = duckdb_place(own_place / "gong_calls.duckdb", dataset)
        elif request.param == "ducklake":
            extensions = request.getfixturevalue("lake_extensions")
            made = ducklake_place(f"sqlite:///{own_place}/lake.sqlite", own_place / "lake", extensions, dataset)
        elif request.param == "postgres":
            made = postgres_place(request.getfixturevalue("postgres"), dataset)
        elif request.param == "bigquery":
            made = bigquery_place(request.getfixturevalue("bigquery"), dataset, own_place)
        else:
            made = stack.enter_context(real_bigquery_place(real_project()))
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made
