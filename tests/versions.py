"""Other versions of the package: copies of it with changes, run in processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import gong_source
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from places import Place

    from gong_source.simulator import Simulator

CURRENT = Path(gong_source.__file__).parent.parent


def other_version(folder: Path, edits: Mapping[str, Sequence[tuple[str, str]]]) -> Path:
    """A copy of the package with other text in some of its files; the path to put first on PYTHONPATH."""
    package = folder / "gong_source"
    shutil.copytree(CURRENT / "gong_source", package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, pairs in edits.items():
        text = (package / name).read_text()
        for before, after in pairs:
            assert before in text
            text = text.replace(before, after)
        (package / name).write_text(text)
    return folder


def sync_with(
    version: Path,
    place: Place | None,
    simulator: Simulator,
    *,
    start: datetime | None = None,
    program: str | None = None,
) -> str:
    """A sync of all resources from `start` on by a version of the package, or another program; what it logged."""
    environment = os.environ | {
        "PYTHONPATH": str(version),
        "SOURCES__GONG__CREDENTIALS__ACCESS_KEY": "key",
        "SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET": "secret",
        "SOURCES__GONG__CREDENTIALS__BASE_URL": simulator.base_url,
        "SOURCES__GONG__REQUESTS_PER_SECOND": "1000",
    }
    arguments = ["-c", program or ""]
    if place is not None and start is not None:
        environment |= {"SOURCES__GONG__START_DATE": iso(start), "SOURCES__GONG__RESOURCES": "all"}
        target = ["--destination", place.target.destination, "--dataset", place.target.dataset]
        arguments = ["-m", "gong_source.cli", "sync", *target]
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr
