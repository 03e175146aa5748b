"""One writer per dataset: dlt's staging tables are shared, and two loads at once lose rows without an error."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from gong_source.errors import DatasetLocked, DestinationFailed
from gong_source.windows import iso, now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def file_lock(path: Path, *, dataset: str, command: str) -> Iterator[None]:
    """Holds the lock file `path` for the block; leaves at once with `DatasetLocked`, naming the holder, if it is held.

    The operating system drops the lock when its holder dies, however it dies.
    """
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise DatasetLocked(
            f"{dataset} is being loaded by {_describe(path)}; two loads at once would lose rows. Try again later"
        ) from None
    except OSError as error:
        raise DestinationFailed(f"cannot lock {dataset}: {path}: {error.strerror or error}") from None
    try:
        path.write_text(json.dumps({"pid": os.getpid(), "command": command, "since": iso(now())}))
        yield
    finally:
        # before the release: whoever waits then finds its file gone, and takes a new one
        path.unlink(missing_ok=True)
        lock.release()


def _describe(path: Path) -> str:
    try:
        known = json.loads(path.read_text())
        return f"gong-source {known['command']} (PID {known['pid']}, since {known['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"
