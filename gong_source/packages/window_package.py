"""One dlt package of a fetch: whole windows, each with its row of the ledger."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import dlt
import pyarrow as pa

from gong_source.errors import DestinationFailed, WrongTenant
from gong_source.packages.items import as_stored, current_load_id, is_new, ledger_row, rows_of
from gong_source.records.call_time import Rule
from gong_source.records.rows import distinct, to_table, with_load_id
from gong_source.resources.bookkeeping import FETCHED_WINDOWS
from gong_source.stored.deletions import Gone, find_gone
from gong_source.windows import Window, intersect, now_exactly, reach, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from gong_source.api.fetch import Fetch, FetchedWindow
    from gong_source.packages.window_content import WindowContent
    from gong_source.records.batch import Batch, Converter
    from gong_source.resources.declare import Resource, Table
    from gong_source.stored.query import Query, Row

logger = logging.getLogger(__name__)

# dlt has a fixed cost for each Arrow table that it gets.
_ROWS_PER_YIELD = 25_000


@dataclass
class WindowPackage:
    """Windows of a fetch for one dlt package, until a bound is reached.

    `watermark` is the time up to which everything is loaded. The package moves it on, also over windows that earlier
    runs have `covered`. None leaves it alone. `empty_tables` are created with the first package, without rows; the run
    fills them later.

    `content` takes what the windows bring beside the calls.

    With `query`, which reads stored rows, the package also marks records that Gong no longer lists as deleted, in the
    time `compared`; not where they are more than `max_deleted_share`. After `items`, the counts say what the package
    holds.
    """

    fetch: Fetch[Batch]
    converter: Converter
    mode: str
    watermark: datetime | None = None
    covered: Sequence[Window] = ()
    empty_tables: Sequence[Table] = ()
    content: WindowContent | None = None
    query: Query | None = None
    compared: Sequence[Window] = ()
    max_deleted_share: float = float("inf")
    max_records: float = float("inf")
    max_bytes: float = float("inf")
    max_seconds: float = float("inf")
    clock: Callable[[], float] = time.monotonic
    on_window: Callable[[FetchedWindow[Batch], WindowPackage], None] = lambda fetched, package: None
    records: int = 0
    unmapped: int = 0
    unsettled: list[Window] = field(default_factory=list)
    ledger_rows: list[dict[str, Any]] = field(default_factory=list)
    gone: Gone = field(default_factory=Gone)
    _listed: set[str] = field(default_factory=set)
    _settled: list[Window] = field(default_factory=list)

    @property
    def resource(self) -> Resource:
        """The resource whose records the package holds."""
        return self.converter.resource

    def items(self, incremental: dlt.sources.incremental[Any] | None) -> Iterator[Any]:
        """The package's tables as dlt items; also sets dlt's `incremental` and the resource's state."""
        load_id = current_load_id()
        table = self.resource.table
        if incremental is not None:
            # Without a value, dlt filters no rows. It must not: a late call lies before the watermark.
            incremental.advance(None)
        stored = replace(self.resource, table=as_stored(table))  # with the first records, dlt knows all columns
        if is_new(table):
            yield with_load_id(to_table(table, []), load_id)
        for records in self._batches():
            yield with_load_id(records, load_id)
            yield from self._turns()
        if deleted := self._deleted(stored):
            yield with_load_id(to_table(table, deleted), load_id)
        beside = self._end_content()
        if self.ledger_rows or is_new(FETCHED_WINDOWS):
            yield rows_of(FETCHED_WINDOWS, [*self.ledger_rows, *beside], load_id)
        for other in self.empty_tables:
            if is_new(other):
                yield rows_of(other, [], load_id)
        if incremental is not None and self.watermark is not None:
            if self.ledger_rows:
                self._remember_workspace(dlt.current.resource_state())
            incremental.advance(max(self.watermark, utc(cast("datetime", incremental.last_value))))
        remember_rule(dlt.current.resource_state(), self.converter)

    def _turns(self) -> list[None]:
        """A None for each table that waits: dlt then turns to its other resources, and takes one of these tables."""
        return [None] * (self.content.rows.tables_ready if self.content else 0)

    def _end_content(self) -> list[Row]:
        """Says that the windows of the package bring nothing more beside; its rows of the ledger."""
        if self.content is None:
            return []
        self.content.complete = True
        return self.content.ledger_rows(
            self.mode, workspace_id=self.fetch.client.workspace_id, **self.fetch.client.tenant.columns()
        )

    def _remember_workspace(self, state: dict[str, Any]) -> None:
        """Notes endpoint and workspace. In another workspace, the next `pipeline.run(gong())` starts anew."""
        state["endpoint"] = str(self.resource.endpoint)
        if state.get("workspace_id") != self.fetch.client.workspace_id:
            state["workspace_id"] = self.fetch.client.workspace_id
            state.pop("covered_from", None)

    def _batches(self) -> Iterator[pa.Table]:
        """The records in tables large enough for dlt."""
        waiting: list[pa.Table] = []
        for table in self._tables():
            waiting.append(table)
            if self.content is not None or sum(map(len, waiting)) >= _ROWS_PER_YIELD:
                yield pa.concat_tables(waiting)
                waiting = []
        if waiting:
            yield pa.concat_tables(waiting)

    def _tables(self) -> Iterator[pa.Table]:
        """The records of each window, each id once in the whole package: a merge cannot know which of two is newer."""
        (key,) = self.resource.table.primary_key
        began, size = self.clock(), 0
        for fetched in self.fetch:
            table, ids = distinct([part.table for part in fetched.parts], key)
            self.fetch.client.tenant.confirm()
            # A record got another time while it was listed, and is in two windows. The next package brings it again.
            moved = not self._listed.isdisjoint(ids)
            if moved or (size and size + table.nbytes > self.max_bytes):
                self.fetch.put_back(fetched)
                return
            self._listed.update(ids)
            self._record_window(fetched, len(ids))
            size += table.nbytes
            if self.content is not None:
                before = self.content.rows.waiting_bytes
                self.content.take_in(fetched)
                size += self.content.rows.waiting_bytes - before
            if ids:
                yield table
            self.on_window(fetched, self)
            if self.records >= self.max_records or self.clock() - began >= self.max_seconds:
                return
        if isinstance(self.fetch.stopped_by, WrongTenant):  # an empty window before it must not be loaded either
            raise self.fetch.stopped_by

    def _deleted(self, resource: Resource) -> list[Row]:
        """The stored rows of what Gong no longer lists, marked as deleted; `resource` has the stored columns."""
        # In an unsettled window, a record that Gong still processes may be listed again.
        ranges = intersect(self._settled, self.compared)
        if self.query is None or not ranges:
            return []
        workspace_id, share = self.fetch.client.workspace_id, self.max_deleted_share
        try:
            self.gone = find_gone(self.query, resource, ranges, self._listed, workspace_id, share)
        except DestinationFailed as error:  # what has been fetched is kept, and loaded as soon as that works again
            logger.warning("deleted %s are not marked in this run: %s", self.resource.plural, error)
        moment = now_exactly()
        rows = [row | {"deleted_at": moment} for row in self.gone.rows]
        return self.converter.privacy.clean_rows(resource.table, rows)

    def _record_window(self, fetched: FetchedWindow[Batch], records: int) -> None:
        """Counts the window and writes its ledger row."""
        window = fetched.window
        if self.watermark is not None:
            self.watermark = reach(self.watermark, [window, *self.covered])
        unmapped = sum(part.unmapped for part in fetched.parts)
        settled = fetched.total is None or fetched.total <= records
        self.records += records
        self.unmapped += unmapped
        if settled:
            self._settled.append(window)
        else:
            self.unsettled.append(window)
        self.ledger_rows.append(
            ledger_row(
                self.resource,
                mode=self.mode,
                window_start=window.start,
                window_end=window.end,
                workspace_id=self.fetch.client.workspace_id,
                total_records=fetched.total,
                rows=records,
                pages=fetched.pages,
                requests=fetched.requests,
                waited_seconds=fetched.waited_seconds,
                first_request_id=fetched.first_request_id,
                last_request_id=fetched.last_request_id,
                unmapped=unmapped,
                fetched_at=fetched.fetched_at,
                settled=settled,
                watermark=self.watermark,
                **self.fetch.client.tenant.columns(),
            )
        )


def remember_rule(state: dict[str, Any], converter: Converter) -> None:
    """Notes in the state of the resource what is known of the rule of this endpoint."""
    if converter.rule != Rule():
        state.setdefault("rules", {})[str(converter.resource.endpoint)] = asdict(converter.rule)


def rule_known(state: Mapping[str, Any], resource: Resource) -> Rule:
    """What earlier runs have noted."""
    return Rule(**state.get("rules", {}).get(str(resource.endpoint), {}))
