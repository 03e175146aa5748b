"""One writer for each dataset: dlt's staging tables are shared, and two loads at once lose rows without an error.

If a lock is taken, it raises `DatasetLocked` at once and names the holder.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from gong_source.errors import DatasetLocked, DestinationFailed
from gong_source.windows import iso, now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def file_lock(path: Path, *, dataset: str, command: str) -> Iterator[None]:
    """Holds the lock file `path` for the block, against other runs on this machine.

    The operating system releases the lock when its holder dies, in whatever way.
    """
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise locked_by(dataset, _holder(path)) from None
    except OSError as error:
        raise DestinationFailed(f"cannot lock {dataset}: {path}: {error.strerror or error}") from None
    try:
        with suppress(OSError):  # on a full disk the lock still works, and the load will report the disk
            path.write_text(json.dumps({"pid": os.getpid(), "command": command, "since": iso(now())}))
        yield
    finally:
        # Before the release: a waiting run then finds the file gone, and makes a new one.
        path.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        known = json.loads(path.read_text())
        return f"gong-source {known['command']} (PID {known['pid']}, since {known['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"


def host_name() -> str:
    """This machine's name, for other runs to read."""
    return socket.gethostname().encode("ascii", "replace").decode()


def locked_by(dataset: str, holder: str) -> DatasetLocked:
    """The error for a dataset that another run is loading."""
    return DatasetLocked(f"{dataset} is being loaded by {holder}. Two loads at once would lose rows: try again later")
