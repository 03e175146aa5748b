"""What is particular to one destination: the interface that the module of each destination fills in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - as the others, for who reads the dataclass at run time
from typing import TYPE_CHECKING, Any

import dlt

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from gong_source.resources.declare import Table
    from gong_source.warehouse.views import LocalView

# Keeps other machines out of a dataset for a block. Takes the pipeline, words for the dataset, and the command; gives a
# function that raises if the lock was lost meanwhile.
Lock = Callable[[dlt.Pipeline, str, str], AbstractContextManager[Callable[[], None]]]


@dataclass(frozen=True, slots=True)
class Destination:
    """One destination.

    `drivers` are the modules that it needs. `setting` is the shortest way to configure it, where `{}` stands for the
    name of its credentials in the environment. `keeps` says what remains of deleted rows. `build(write)` is the dlt
    destination; without `write` it only reads. `place` says where its data lies, without secrets, and raises
    `ConfigurationError` for a place that cannot be used. `check` raises if the place cannot hold the dataset. `lock`
    keeps other machines out. `lock_file` is the lock file against runs on the same machine; None: one in the working
    folder. `adapt` adds hints to a source before it is loaded. `finish` adds what dlt does not create after a load:
    descriptions, indexes, views. `hint` is what to try after an error with this text. `holder` says where else the
    database is open, None if the error is another one.
    """

    name: str
    drivers: tuple[str, ...]
    setting: str
    keeps: str
    build: Callable[[bool], Any]
    place: Callable[[Any], str]
    lock: Lock
    check: Callable[[str, str], None] = lambda place, dataset: None
    lock_file: Callable[[str], Path | None] = lambda place: None
    adapt: Callable[[DltSource], None] = lambda source: None
    finish: Callable[[Any, Sequence[Table], Sequence[LocalView]], None] = lambda client, tables, views: None
    hint: Callable[[str], str] = lambda text: ""
    holder: Callable[[str], str | None] = lambda text: None
