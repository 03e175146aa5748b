"""The dlt source `gong`: pages become tables, and the ledger tells of which windows. Knows no destination."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional, cast

import dlt
import pyarrow as pa

from gong_source.api.client import CALLS as CALLS_ENDPOINT
from gong_source.api.fetch import Walk, WalkedWindow
from gong_source.errors import QuotaExhausted
from gong_source.resources.declare import CALL_WINDOWS, CALLS, Table
from gong_source.rows import Ambiguous, Batch, FiledBy, calls_batch, page_times, to_table, with_load_id
from gong_source.settings import GongCredentials, GongSettings, connect
from gong_source.windows import Window, iso, now, parse, reach, seconds_after, union, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from dlt.extract import DltResource, DltSource

    from gong_source.api.client import Client, Page

logger = logging.getLogger(__name__)

# One strategy for ever: dlt keeps it in the stored schema. Rows that did not change are not rewritten, so that
# `_dlt_load_id` tells the load in which a row last changed.
MERGE = {"disposition": "merge", "strategy": "upsert", "skip_unchanged_rows": True}
# dlt has a fixed cost for each table it is given.
_ROWS_PER_YIELD = 25_000
# A rule that cannot be asked for in this many tries is left for the next run.
_QUESTIONS = 3


@dlt.source(name="gong", section="gong", spec=GongSettings)
def gong(
    credentials: GongCredentials = dlt.secrets.value,
    start_date: Optional[str] = None,  # noqa: UP045 - dlt resolves the annotations at run time
    lookback_days: float = 7.0,
    workspace_id: Optional[str] = None,  # noqa: UP045
    requests_per_second: float = 3.0,
    max_wait_seconds: float = 300.0,
    daily_request_budget: int = 10_000,
) -> DltResource:
    """A Gong tenant's calls as a dlt source: `pipeline.run(gong())` is one incremental sync, in one package.

    Loads table `calls` (merged on `id`) and the ledger `call_windows`, both also when there is nothing to load. Asks
    for all since `start_date` (UTC, inclusive; default: the last 30 days) at first, later for all since the watermark
    less `lookback_days`; a `start_date` moved to an earlier day is honoured. Every argument is a dlt setting under
    `[sources.gong]`. Building the source does no I/O.
    """
    settings = GongSettings()
    settings.update(
        {
            "credentials": credentials,
            "start_date": start_date,
            "lookback_days": lookback_days,
            "workspace_id": workspace_id,
            "requests_per_second": requests_per_second,
            "max_wait_seconds": max_wait_seconds,
            "daily_request_budget": daily_request_budget,
        }
    )
    settings.on_resolved()
    start = settings.start(now())

    def calls(
        covered: dlt.sources.incremental[Any] = dlt.sources.incremental(  # noqa: B008 - dlt's idiom
            "call_time", initial_value=start, lag=settings.lookback_days * 86400.0
        ),
    ) -> Iterator[Any]:
        client = connect(settings)
        try:
            yield from _sync(client, settings, start, covered)
        finally:
            client.transport.close()

    return _resource(calls)


def _sync(
    client: Client, settings: GongSettings, start: datetime, covered: dlt.sources.incremental[Any]
) -> Iterator[Any]:
    """All that is missing up to now, or just the interval that a scheduler has set.

    The resource's state says that all of `[covered_from, watermark)` has been asked for, in one workspace.
    """
    state = dlt.current.resource_state()
    since = utc(cast("datetime", covered.start_value))
    interval = covered.end_value is not None
    end = utc(cast("datetime", covered.end_value)) if interval else now()
    if not interval and state.get("workspace_id") != settings.workspace_id:
        covered.advance(start)
        since = start
        state.update(workspace_id=settings.workspace_id, covered_from=iso(start))
    if not interval and "covered_from" not in state:
        # without a first run of its own, nothing is known of the time before
        state["covered_from"] = iso(since)
    known_from = since if interval else parse(state["covered_from"])
    missing = [] if interval or known_from <= start else [Window(start, known_from)]
    ranges = [*missing, *([Window(since, end)] if since < end else [])]
    converter = CallsConverter(client, state.get("filed_by"))
    walk = Walk(client, CALLS_ENDPOINT, union(ranges), converter, page_times)
    package = CallsPackage(walk, converter, mode="sync", watermark=since)
    try:
        yield from package.items(covered)
    finally:
        walk.close()
    for _, failure in walk.failures:
        raise failure
    if isinstance(walk.stopped_by, QuotaExhausted):
        logger.warning("stopped before the end, what was walked is loaded: %s", walk.stopped_by)
    elif walk.stopped_by is not None:
        raise walk.stopped_by
    walked = [Window(row["window_start"], row["window_end"]) for row in package.rows]
    if missing and reach(start, walked) >= known_from:
        state["covered_from"] = iso(start)


def chunk_source(package: CallsPackage, start: datetime) -> DltSource:
    """A dlt source that yields one package of a run; `start` is where the run's coverage begins."""

    def moving(
        covered: dlt.sources.incremental[Any] = dlt.sources.incremental(  # noqa: B008 - dlt's idiom
            "call_time", initial_value=start
        ),
    ) -> Iterator[Any]:
        yield from package.items(covered)

    def standing() -> Iterator[Any]:
        yield from package.items(None)

    def chunk() -> DltResource:
        return _resource(standing if package.watermark is None else moving, *package.also_create)

    return dlt.source(chunk, name="gong", section="gong")()


def rows_source(table: Table, rows: Sequence[Mapping[str, Any]]) -> DltSource:
    """A dlt source that adds rows of our own making to `table`."""

    def additions() -> Iterator[Any]:
        load_id: str = dlt.current.load_package_state()["load_id"]
        yield dlt.mark.with_table_name(with_load_id(to_table(table, rows), load_id), table.name)

    def addition() -> DltResource:
        return _resource(additions, table)

    return dlt.source(addition, name="gong", section="gong")()


def _resource(function: Callable[..., Iterator[Any]], *more: Table) -> DltResource:
    """The resource `calls`, which also writes the ledger and `more`, with all that dlt has to know of these tables."""
    resource: DltResource = dlt.resource(function, name=CALLS.name, max_table_nesting=0)()
    # the variants first: a variant starts from the hints that the resource has by then
    for table in (CALL_WINDOWS, *more):
        resource.apply_hints(table_name=table.name, create_table_variant=True, **_hints(table))
    resource.apply_hints(**_hints(CALLS))
    return resource


def _hints(table: Table) -> dict[str, Any]:
    return {
        "primary_key": table.primary_key,
        "write_disposition": MERGE,
        "file_format": "parquet",
        "columns": {
            column.name: {
                "name": column.name,
                "data_type": column.type,
                "nullable": column.name != table.primary_key,
                "description": column.description,
            }
            for column in table.columns
        },
    }


class CallsConverter:
    """Turns pages into Arrow tables, and finds out by which time this tenant's Gong files its calls."""

    def __init__(self, client: Client, filed_by: FiledBy | None) -> None:
        self.filed_by = filed_by
        self._client = client
        self._questions = _QUESTIONS
        self._lock = threading.Lock()

    def __call__(self, window: Window, pages: Sequence[Page]) -> Batch:
        """The calls on `pages`; raises `RecordError` for one without a usable id."""
        used = self.filed_by
        batch = calls_batch(pages, window, used)
        if batch.filed_by is not None:
            self.filed_by = batch.filed_by
        elif used is None and batch.ambiguous is not None:
            with self._lock:
                if self.filed_by is None and self._questions > 0:
                    self._questions -= 1
                    self.filed_by = self._ask(batch.ambiguous)
        return batch if self.filed_by == used else calls_batch(pages, window, self.filed_by)

    def _ask(self, call: Ambiguous) -> FiledBy | None:
        """Asks Gong for the millisecond of either time: the one that lists the call files it."""
        rules: tuple[tuple[FiledBy, datetime], ...] = (("started", call.started), ("scheduled", call.scheduled))
        for rule, time_ in rules:
            begin = utc(time_)
            page = self._client.page(CALLS_ENDPOINT, Window(begin, seconds_after(begin, 0.001)))
            if any(isinstance(record, dict) and record.get("id") == call.id for record in page.records):
                return rule
        return None


@dataclass
class CallsPackage:
    """What of a walk goes into one dlt package: whole windows, with their ledger rows, until a bound is reached.

    `watermark` is where "covered up to" stands, and moves, also over what is `covered` already; None leaves it alone.
    The tables `also_create` are made, empty, with the first package; the run fills them after the load.
    After `items` the tallies tell what the package holds.
    """

    walk: Walk[Batch]
    converter: CallsConverter
    mode: str
    watermark: datetime | None = None
    covered: Sequence[Window] = ()
    also_create: Sequence[Table] = ()
    max_calls: float = float("inf")
    max_bytes: float = float("inf")
    max_seconds: float = float("inf")
    clock: Callable[[], float] = time.monotonic
    on_window: Callable[[WalkedWindow[Batch], CallsPackage], None] = lambda walked, package: None
    calls: int = 0
    surprises: int = 0
    unsettled: list[Window] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def items(self, covered: dlt.sources.incremental[Any] | None) -> Iterator[Any]:
        """The package's tables as dlt items; moves `covered` and the resource's state along."""
        load_id: str = dlt.current.load_package_state()["load_id"]
        if covered is not None:
            covered.advance(None)  # rows pass unfiltered: a late call lies before the watermark
        if CALLS.name not in dlt.current.source_schema().tables:
            yield with_load_id(to_table(CALLS, []), load_id)
        for calls in self._batches():
            yield with_load_id(calls, load_id)
        if self.rows or CALL_WINDOWS.name not in dlt.current.source_schema().tables:
            ledger = with_load_id(to_table(CALL_WINDOWS, self.rows), load_id)
            yield dlt.mark.with_table_name(ledger, CALL_WINDOWS.name)
        for table in self.also_create:
            if table.name not in dlt.current.source_schema().tables:
                yield dlt.mark.with_table_name(with_load_id(to_table(table, []), load_id), table.name)
        if covered is not None and self.watermark is not None:
            self._tell_workspace(dlt.current.resource_state())
            covered.advance(max(self.watermark, utc(cast("datetime", covered.last_value))))
        if self.converter.filed_by is not None:
            dlt.current.resource_state()["filed_by"] = self.converter.filed_by

    def _tell_workspace(self, state: dict[str, Any]) -> None:
        """Where another workspace was asked for before, a `pipeline.run(gong())` for that one must begin anew."""
        if state.get("workspace_id") != self.walk.client.workspace_id:
            state["workspace_id"] = self.walk.client.workspace_id
            state.pop("covered_from", None)

    def _batches(self) -> Iterator[pa.Table]:
        """The calls in tables large enough for dlt."""
        waiting: list[pa.Table] = []
        for table in self._tables():
            waiting.append(table)
            if sum(map(len, waiting)) >= _ROWS_PER_YIELD:
                yield pa.concat_tables(waiting)
                waiting = []
        if waiting:
            yield pa.concat_tables(waiting)

    def _tables(self) -> Iterator[pa.Table]:
        """The calls of each window, each id once in the whole package: the merge cannot tell which of two is newer."""
        seen: set[str] = set()
        began, size = self.clock(), 0
        for walked in self.walk:
            table, ids = _distinct(walked.parts)
            # a call that moved to another time while it was listed: the next package brings its newer state
            moved = not seen.isdisjoint(ids)
            if moved or (size and size + table.nbytes > self.max_bytes):
                self.walk.put_back(walked)
                return
            seen.update(ids)
            self._enter(walked, len(ids))
            size += table.nbytes
            if ids:
                yield table
            self.on_window(walked, self)
            if self.calls >= self.max_calls or self.clock() - began >= self.max_seconds:
                return

    def _enter(self, walked: WalkedWindow[Batch], calls: int) -> None:
        """Counts the window and writes its ledger row."""
        window = walked.window
        if self.watermark is not None:
            self.watermark = reach(self.watermark, [window, *self.covered])
        surprises = sum(part.surprises for part in walked.parts)
        settled = walked.total is None or walked.total <= calls
        self.calls += calls
        self.surprises += surprises
        if not settled:
            self.unsettled.append(window)
        self.rows.append(
            {
                "walk_id": uuid.uuid4().hex,
                "window_start": window.start,
                "window_end": window.end,
                "workspace_id": self.walk.client.workspace_id,
                "mode": self.mode,
                "total_records": walked.total,
                "rows": calls,
                "pages": walked.pages,
                "requests": walked.requests,
                "waited_seconds": walked.waited_seconds,
                "first_request_id": walked.first_request_id,
                "last_request_id": walked.last_request_id,
                "surprises": surprises,
                "fetched_at": walked.fetched_at,
                "settled": settled,
                "watermark": self.watermark,
            }
        )


def _distinct(parts: Sequence[Batch]) -> tuple[pa.Table, set[str]]:
    """The calls of one window as one table, with the last of those that share an id, and their ids."""
    table = pa.concat_tables([part.table for part in parts])
    ids: list[str] = table.column(CALLS.primary_key).to_pylist()
    last = {call_id: row for row, call_id in enumerate(ids)}
    if len(last) < len(ids):
        table = table.take(pa.array(sorted(last.values())))
    return table, set(last)
