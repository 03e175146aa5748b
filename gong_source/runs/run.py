"""Opens a run: the warehouse as its only writer, a client for Gong, and the ledger of each resource."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gong_source.api.tenant import host_of
from gong_source.connection import connect
from gong_source.errors import DestinationFailed, WrongTenant
from gong_source.runs.record import describe_end, record_run
from gong_source.stored.tenant import known_tenant
from gong_source.warehouse.arrivals import record_arrivals
from gong_source.warehouse.history import requests_today
from gong_source.warehouse.ledger import read_ledger
from gong_source.warehouse.upgrade import upgrade
from gong_source.warehouse.warehouse import open_warehouse
from gong_source.windows import now_exactly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gong_source.api.client import Client
    from gong_source.resources.declare import Resource
    from gong_source.runs.results import LoadResult
    from gong_source.runs.verification import VerifyResult
    from gong_source.settings import GongSettings
    from gong_source.warehouse.ledger import Ledger
    from gong_source.warehouse.warehouse import Target, Warehouse


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is with one resource.

    `records` have arrived; None while a verification compares counts. What is to come is None before Gong's first
    count; it is an estimate unless `exact`.
    `requests_left` are those that the budgets still allow today. Rates are in requests per second.
    """

    resource: str
    records: int | None
    records_to_come: int | None
    requests_to_come: float | None
    exact: bool
    windows: int
    requests: int
    requests_left: float
    rate: float
    permitted_rate: float

    @property
    def total(self) -> int | None:
        """The records that have arrived and those to come."""
        if self.records is None or self.records_to_come is None:
            return None
        return self.records + self.records_to_come

    @property
    def seconds_left(self) -> float | None:
        """The seconds that the requests to come take at the rate reached so far; None while there is none."""
        rate = min(self.rate, self.permitted_rate)
        return None if self.requests_to_come is None or not rate else self.requests_to_come / rate


@dataclass(frozen=True, slots=True)
class Control:
    """How a caller follows, bounds and ends a run.

    Setting `stopped` ends the run early, and `max_requests` ends it after that many requests. In both cases the run
    loads what it has fetched. The run keeps its DuckDB file open for 0.1 seconds after each use: a callback that opens
    this file by itself has to try again.
    """

    stopped: threading.Event = field(default_factory=threading.Event)
    max_requests: int | None = None
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_note: Callable[[str], None] = lambda note: None


@dataclass(slots=True)
class Run:
    """An open run: the only writer of its dataset. `notes` are the remarks for its result so far.

    The command sets `result` as soon as it has one.
    """

    warehouse: Warehouse
    client: Client
    settings: GongSettings
    control: Control
    ledgers: dict[str, Ledger]
    notes: list[str]
    result: LoadResult | VerifyResult | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """The seconds since the run was opened."""
        return time.monotonic() - self.began

    def ledger(self, resource: Resource) -> Ledger:
        """The ledger of a windowed resource, as the run found it, as it counts for its endpoint."""
        return self.ledgers[resource.name].of(resource)

    def listed_as(self, resource: Resource) -> Resource:
        """The resource as it was listed last: with details, or without."""
        return self.ledgers[resource.name].listed_as(resource) if resource.windowed else resource

    def note(self, text: str) -> None:
        """Gives a remark to the caller, once, and keeps it for the result."""
        if text not in self.notes:
            self.notes.append(text)
            self.control.on_note(text)


@contextmanager
def open_run(target: Target, settings: GongSettings, control: Control | None, *, command: str) -> Iterator[Run]:
    """Opens `target` as its only writer, loads what an earlier run left, and reads the ledger.

    At the end, a run that could be opened is written down in the table `runs`. Raises `ConfigurationError`,
    `DatasetLocked` or `DestinationFailed`.
    """
    control = control or Control()
    windowed = [resource for resource in settings.chosen if resource.windowed]
    started_at, failure = now_exactly(), None
    run: Run | None = None
    with open_warehouse(target, command=command, write=True, time_zone=settings.time_zone) as warehouse:
        client = connect(settings, stopped=control.stopped, max_requests=control.max_requests)
        try:
            with warehouse.connected():
                warehouse.restore(settings.chosen)
                had_pending = warehouse.load_pending()
                upgrade(warehouse)
                for resource in windowed:  # an earlier run may have died between its load and this
                    record_arrivals(warehouse, resource)
                client.expect(known_tenant(warehouse.query), warehouse.dataset)
                ledgers = {r.name: read_ledger(warehouse, r, settings.workspace_id) for r in windowed}
                run = Run(warehouse, client, settings, control, ledgers, [])
                client.transport.throttle.learn_used_today(requests_today(warehouse))
            if had_pending:
                run.note("loaded what an earlier run had left in its working folder")
            yield run
        except BaseException as error:
            failure = error
            raise
        finally:
            client.transport.close()
            # A refused run changes nothing, and a warehouse that has failed cannot be written to.
            if run is not None and not isinstance(failure, WrongTenant | DestinationFailed):
                end = describe_end(run.result, failure)
                verified = getattr(run.result, "verification", None)
                sent = client.transport.usage.requests + (verified.requests if verified else 0)
                host = host_of(client.transport.base_url)
                record_run(warehouse, settings, command, started_at, requests=sent, tenant=host, **end)
