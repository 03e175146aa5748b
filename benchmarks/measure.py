"""Whole processes: what they cost, told by the operating system."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Cost:
    """Wall and CPU (user and system) in seconds, peak resident memory in MB, requests, and the server's CPU seconds."""

    wall: float
    cpu: float
    memory: float
    requests: int = 0
    server: float = 0.0


class Simulated:
    """A simulated tenant in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._line()

    def served(self) -> tuple[int, float]:
        """The number of requests since the last time of asking, and the seconds of CPU that they took."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        requests, seconds = self._line().split()
        return int(requests), float(seconds)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def simulated(calls: int, *options: str) -> Iterator[Simulated]:
    """Serves the tenant for the block; `options` go to the simulator's command."""
    command = [sys.executable, "-m", "benchmarks.simulator", "--calls", str(calls), *options]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Simulated(process)


def run(command: Sequence[str], folder: Path, url: str = "", environment: Mapping[str, str] | None = None) -> Cost:
    """What `command` costs, run in `folder`, with `environment` added.

    Raises `RuntimeError` with the end of what it said if it fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / "output.txt"
    began = time.monotonic()
    with output.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - our own commands
            command, cwd=folder, env=_environment(folder, url) | dict(environment or {}), stdout=out, stderr=out
        )
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output.read_text()[-2000:]}")
    kilobytes = usage.ru_maxrss / 1024 if sys.platform == "darwin" else usage.ru_maxrss
    return Cost(wall, usage.ru_utime + usage.ru_stime, kilobytes / 1024)


def _environment(folder: Path, url: str) -> dict[str, str]:
    """The same for all: no configuration from outside, no telemetry."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SOURCES__", "DESTINATION__", "RUNTIME__", "DLT_"))
    }
    return kept | {
        "PYTHONPATH": str(_ROOT),
        "DLT_DATA_DIR": str(folder / "dlt_data"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "GONG_URL": url,
        "SOURCES__GONG__CREDENTIALS__ACCESS_KEY": "key",
        "SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET": "secret",
        "SOURCES__GONG__CREDENTIALS__BASE_URL": url,
        "SOURCES__GONG__START_DATE": "2024-01-01",
        "SOURCES__GONG__REQUESTS_PER_SECOND": "100000",
        "SOURCES__GONG__DAILY_REQUEST_BUDGET": "100000000",
    }
