"""What every run that asks Gong and writes starts with: an open warehouse, a client, and the ledger."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gong_source.settings import connect
from gong_source.warehouse.arrivals import record_arrivals
from gong_source.warehouse.ledger import read_ledger, requests_today
from gong_source.warehouse.warehouse import open_warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gong_source.api.client import Client
    from gong_source.runs.load import Progress
    from gong_source.settings import GongSettings
    from gong_source.warehouse.ledger import Ledger
    from gong_source.warehouse.warehouse import Target, Warehouse


@dataclass(frozen=True, slots=True)
class Control:
    """How a caller follows, bounds and ends a run.

    Setting `stopped` ends it early, with what was walked loaded; `max_requests` does so after that many requests.
    """

    stopped: threading.Event = field(default_factory=threading.Event)
    max_requests: int | None = None
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_note: Callable[[str], None] = lambda note: None


@dataclass(frozen=True, slots=True)
class Run:
    """An open run: the only writer of its dataset. `notes` is what there is to tell so far."""

    warehouse: Warehouse
    client: Client
    ledger: Ledger
    control: Control
    notes: list[str]

    def note(self, text: str) -> None:
        """Tells the caller, and keeps it for the result."""
        self.notes.append(text)
        self.control.on_note(text)


@contextmanager
def open_run(target: Target, settings: GongSettings, control: Control | None, *, command: str) -> Iterator[Run]:
    """Opens `target` as its only writer, loads what an earlier run left, and reads the ledger.

    Raises `ConfigurationError`, `DatasetLocked` or `DestinationFailed`.
    """
    control = control or Control()
    with open_warehouse(target, command=command, write=True) as warehouse:
        client = connect(settings, stopped=control.stopped, max_requests=control.max_requests)
        try:
            with warehouse.connected():
                warehouse.restore()
                drained = warehouse.drain()
                record_arrivals(warehouse)  # of a load after which an earlier run died
                run = Run(warehouse, client, read_ledger(warehouse, settings.workspace_id), control, [])
                client.transport.throttle.learn_used_today(requests_today(warehouse))
            if drained:
                run.note("loaded what an earlier run had left")
            yield run
        finally:
            client.transport.close()
