"""The call time: by which of its two times Gong files a call, learnt from the tenant's own answers.

Gong documents that it files web conferences by their scheduled time and other calls by their start. Recordings of live
tenants suggest that it files every call by the scheduled time where that is set. A call near the edge of a window shows
which rule is true. Where no call does, one is asked for by either time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc

from gong_source.resources.declare import Instants
from gong_source.rows import ARROW_TYPES, read_records
from gong_source.windows import Window, seconds_after, utc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gong_source.api.client import Client, Page
    from gong_source.resources.declare import Resource

# The time that files a call other than a conference.
FiledBy = Literal["scheduled", "started"]
# After this many calls that gave no answer, the rule is left for the next run.
_MOST_QUESTIONS = 3


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A call whose two times both lie in its window: only a request to Gong shows which of them files the call."""

    id: str
    scheduled: datetime
    started: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one window as an Arrow table, and what they show about the rule.

    `filed_by` is the rule that a call near the window's edge shows, `ambiguous` a call that can settle the rule.
    `unmapped` is the number of records with something in `extra`.
    """

    table: pa.Table
    unmapped: int
    filed_by: FiledBy | None
    ambiguous: Ambiguous | None


def read_batch(resource: Resource, pages: Sequence[Page], window: Window, filed_by: FiledBy | None) -> Batch:
    """The records on `pages`, all received for `window`, in the order received, each with its call time.

    Raises `RecordError` for a record without a usable id.
    """
    records = read_records(resource, pages)
    select = resource.select
    assert isinstance(select, Instants)
    call_times, learnt, ambiguous = _call_times(select, records.arrays, window, filed_by)
    table = records.table(resource.table, **{select.column: call_times})
    return Batch(table, len(records.extras), learnt, ambiguous)


class Converter:
    """Turns pages into Arrow tables, and finds out by which time this tenant's Gong files its calls."""

    def __init__(self, client: Client, resource: Resource, filed_by: FiledBy | None) -> None:
        self.filed_by = filed_by
        self.resource = resource
        self._client = client
        self._questions_left = _MOST_QUESTIONS
        self._lock = threading.Lock()

    def __call__(self, window: Window, pages: Sequence[Page]) -> Batch:
        """The records on `pages`; raises `RecordError` for a record without a usable id."""
        used = self.filed_by
        batch = read_batch(self.resource, pages, window, used)
        if batch.filed_by is not None:
            self.filed_by = batch.filed_by
        elif used is None and batch.ambiguous is not None:
            with self._lock:
                if self.filed_by is None and self._questions_left > 0:
                    self._questions_left -= 1
                    self.filed_by = self._ask(batch.ambiguous)
        return batch if self.filed_by == used else read_batch(self.resource, pages, window, self.filed_by)

    def _ask(self, call: Ambiguous) -> FiledBy | None:
        """Asks Gong for the millisecond of either time: the time that lists the call is the time that files it."""
        rules: tuple[tuple[FiledBy, datetime], ...] = (("started", call.started), ("scheduled", call.scheduled))
        for rule, time in rules:
            begin = utc(time)
            page = self._client.page(self.resource.endpoint, Window(begin, seconds_after(begin, 0.001)))
            if any(isinstance(record, dict) and record.get("id") == call.id for record in page.records):
                return rule
        return None


def _call_times(
    select: Instants, arrays: Mapping[str, pa.Array], window: Window, filed_by: FiledBy | None
) -> tuple[pa.Array, FiledBy | None, Ambiguous | None]:
    """The call time of each call, the rule learnt from the window's edges, and a call that can settle the rule.

    Gong answered for `window`, so a time outside of the window cannot be the one that files the call.
    """
    scheduled, started = arrays[select.scheduled], arrays[select.started]
    start, end = (pa.scalar(bound, ARROW_TYPES["timestamp"]) for bound in (window.start, window.end))
    conference = pc.fill_null(pc.equal(arrays[select.direction], select.conference), fill_value=False)
    by_schedule = pc.or_(conference, filed_by == "scheduled")
    # For a call that shows neither time, only the window that listed the call is known.
    first = pc.coalesce(pc.if_else(by_schedule, scheduled, started), scheduled, started, start)
    second = pc.coalesce(pc.if_else(by_schedule, started, scheduled), first)
    in_first, in_second = (pc.and_(pc.less_equal(start, time), pc.less(time, end)) for time in (first, second))
    times = pc.if_else(pc.and_not(in_second, in_first), second, first)
    shows_rule = pc.and_not(pc.not_equal(first, second), conference)
    learnt: FiledBy | None = None
    ambiguous: Ambiguous | None = None
    edges = pc.indices_nonzero(pc.and_(shows_rule, pc.xor(in_first, in_second)))
    if len(edges):
        row = edges[-1].as_py()
        learnt = "scheduled" if times[row] == scheduled[row] else "started"
    inside = pc.indices_nonzero(pc.and_(shows_rule, pc.and_(in_first, in_second)))
    if len(inside):
        row = inside[0].as_py()
        ambiguous = Ambiguous(arrays["id"][row].as_py(), scheduled[row].as_py(), started[row].as_py())
    return times, learnt, ambiguous


def page_times(page: Page) -> list[datetime]:
    """The times on a page of calls: a hint to where its calls lie. Times that cannot be read are left out."""
    times = []
    for record in page.records:
        try:
            time = datetime.fromisoformat(record.get("scheduled") or record["started"])
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        if time.tzinfo is not None:
            times.append(time)
    return times
