"""Publishing: a copy of the DuckDB file that readers may open at any time, replaced as a whole."""

from __future__ import annotations

import glob
import os
import shutil
from pathlib import Path

from gong_source.errors import ConfigurationError, DestinationFailed
from gong_source.warehouse.duckdb import check_file
from gong_source.warehouse.failures import explain
from gong_source.warehouse.find_destination import check_target
from gong_source.warehouse.warehouse import Target, Warehouse, open_warehouse


def check_publish(target: Target, path: Path) -> Path:
    """The DuckDB file of `target`; raises `ConfigurationError` or `DestinationFailed` if `path` cannot be its copy."""
    if target.destination != "duckdb":
        raise ConfigurationError(
            f"--publish copies a DuckDB file; {target.destination} can be read at any time without a copy"
        )
    _, place = check_target(target.destination, target.dataset, target.pipeline_name)
    source = Path(place)
    if path.resolve() == source.resolve():
        raise ConfigurationError(
            f"--publish: {path} is the file that runs load into; name another file for its readers"
        )
    if path.is_dir():
        raise ConfigurationError(f"--publish: {path} is a folder; name a file")
    if _is_of_another_kind(path):
        raise ConfigurationError(f"--publish: {path} exists and is no DuckDB file; name another one")
    check_file(path.resolve(), target.dataset)
    return source


def _is_of_another_kind(path: Path) -> bool:
    """Whether there is a file with something in it that is no DuckDB database."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        beginning = file.read(12)
    return bool(beginning) and beginning[8:] != b"DUCK"  # its mark, behind a checksum of 8 bytes


def publish(path: Path, target: Target | None = None) -> None:
    """Replaces `path` by a copy of the target's DuckDB file, in one step.

    A reader that has `path` open keeps what it has. A reader that opens it now sees the old file or the new file, each
    complete. Raises `ConfigurationError`, `DatasetLocked` or `DestinationFailed`.
    """
    target = target or Target()
    source = check_publish(target, path)
    copy = path.with_name(f".{path.name}.{os.getpid()}")
    with open_warehouse(target, command="publish", write=True) as warehouse:
        for left in path.parent.glob(f".{glob.escape(path.name)}.*"):  # of a run that was killed while it copied
            if left.suffix[1:].isdecimal():
                left.unlink(missing_ok=True)
        try:
            _copy(warehouse, source, copy)
            with copy.open("rb+") as written:
                os.fsync(written.fileno())
            copy.replace(path)
        except OSError as error:
            raise DestinationFailed(f"cannot publish {source} to {path}: {error.strerror or error}") from None
        finally:
            copy.unlink(missing_ok=True)


def _copy(warehouse: Warehouse, source: Path, copy: Path) -> None:
    """Copies the file while no other program can open it, with everything committed in the file itself."""
    try:
        with warehouse.connected() as client:
            client.execute_sql("force checkpoint")
            shutil.copy(source, copy)
    except OSError:
        raise
    except Exception as error:
        raise explain(error, warehouse.destination, warehouse.place, "read") from None
