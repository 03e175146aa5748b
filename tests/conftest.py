"""What the tests share: a folder and an environment of their own, and a simulated Gong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - pytest reads the annotations of fixtures
from typing import Any

import pytest

from gong_source.connection import GongSettings, resolve_settings
from gong_source.simulator import Fault, Settings, Simulator, Tenant

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
