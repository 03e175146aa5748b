"""Writes the page for a dataset."""

from __future__ import annotations

import importlib.util
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gong_source.errors import ConfigurationError, DestinationFailed
from gong_source.settings import resolve_without_key
from gong_source.warehouse.warehouse import Target, open_warehouse

if TYPE_CHECKING:
    from gong_source.settings import GongSettings

DEFAULT_PATH = Path("gong_report.html")
_LIBRARIES = ("jinja2", "vl_convert")


def can_report() -> bool:
    """Whether the libraries of the extra `report` are installed."""
    return all(importlib.util.find_spec(name) for name in _LIBRARIES)


def check_report(path: Path) -> None:
    """Raises `ConfigurationError` if the page cannot be made or `path` cannot be its file.

    A file of another kind is never replaced: it may be the database.
    """
    if not can_report():
        raise ConfigurationError(
            "a report needs the extra report (in the folder of gong-source: pip install '.[report]')"
        )
    if path.is_dir():
        raise ConfigurationError(f"the report cannot be written to {path}: it is a folder; name a file")
    if not path.parent.is_dir():
        raise ConfigurationError(f"the report cannot be written to {path}: there is no folder {path.parent}")
    if _is_of_another_kind(path):
        raise ConfigurationError(f"the report cannot be written to {path}: it exists and is no page; name another file")


def _is_of_another_kind(path: Path) -> bool:
    """Whether there is a file with something in it that is no HTML page."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        beginning = file.read(100)
    return bool(beginning) and not beginning.lstrip().lower().startswith((b"<!doctype html", b"<html"))


def write_report(
    path: Path = DEFAULT_PATH,
    target: Target | None = None,
    *,
    settings: GongSettings | None = None,
    names: bool = False,
) -> Path:
    """Writes the page for the chosen resources of the dataset to `path`, in one step, and returns `path`.

    Sends no request to Gong and changes nothing in the dataset. Names of people are on the page only with `names`.
    Local times are those of the setting `time_zone`. `settings` default to dlt's configuration, with all resources;
    they need no access key. Raises `ConfigurationError`, or `DestinationFailed` if the dataset cannot be read or the
    file not written.
    """
    check_report(path)
    from gong_source.report.gather import gather
    from gong_source.report.page import render

    settings = settings or resolve_without_key(resources="all")
    with open_warehouse(target or Target(), command="report", write=False) as warehouse:
        facts = gather(warehouse, settings)
    _write(path, render(facts, names=names, lookback_days=settings.lookback_days))
    return path


def _write(path: Path, page: str) -> None:
    """Replaces the file as a whole: who opens it sees the old page or the new one."""
    part = path.with_name(f".gong_report.{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise DestinationFailed(f"cannot write the report to {path}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
