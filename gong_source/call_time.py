"""The call time: which of its two times Gong compares with a window, learnt from the tenant's own answers.

A call has a scheduled time and a start. Gong documents that it uses the scheduled time for web conferences and the
start for other calls. Answers recorded from live tenants suggest the scheduled time for every call that has one. A call
with one time inside a window and the other outside shows which is true. If there is no such call, two requests for one
call find it out: one for each of its times.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc

from gong_source.privacy import KEEP_ALL
from gong_source.resources.declare import Instants
from gong_source.rows import ARROW_TYPES, read_records
from gong_source.windows import Window, seconds_after, utc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gong_source.api.client import Client, Page
    from gong_source.privacy import Privacy
    from gong_source.resources.declare import Resource

# Which time Gong uses for a call that is not a web conference.
FiledBy = Literal["scheduled", "started"]
# After this many calls that gave no answer, the rule is left for the next run.
_MOST_QUESTIONS = 3
# With fewer requests left than this, records are worth more than the rule.
_FEW_REQUESTS = 20


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A call whose two times both lie in its window. Only a request to Gong shows which of them Gong uses."""

    id: str
    scheduled: datetime
    started: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one window as an Arrow table, and what they show about the rule.

    `filed_by` is the time that Gong used, if a call shows it. `ambiguous` is a call whose
    two times can be asked for to find it out.
    `unmapped` is the number of records with something in `extra`.
    """

    table: pa.Table
    unmapped: int
    filed_by: FiledBy | None
    ambiguous: Ambiguous | None


def read_batch(
    resource: Resource, pages: Sequence[Page], window: Window, filed_by: FiledBy | None, privacy: Privacy = KEEP_ALL
) -> Batch:
    """The records on `pages`, all received for `window`, in the order received, each with its call time.

    They lack what `privacy` says must not be stored. Raises `RecordError` for a record without a usable id.
    """
    records = read_records(resource, pages)
    select = resource.select
    assert isinstance(select, Instants)
    call_times, learnt, ambiguous = _call_times(select, records.arrays, window, filed_by)
    records = privacy.clean_records(resource, records)
    table = records.to_arrow(resource.table, **{select.column: call_times})
    return Batch(table, len(records.extras), learnt, ambiguous)


class Converter:
    """Turns pages into Arrow tables, and finds out which of the two times Gong uses for this tenant."""

    def __init__(
        self, client: Client, resource: Resource, filed_by: FiledBy | None, privacy: Privacy = KEEP_ALL
    ) -> None:
        self.filed_by = filed_by
        self.resource = resource
        self.privacy = privacy
        self._client = client
        self._questions_left = _MOST_QUESTIONS
        self._lock = threading.Lock()

    def __call__(self, window: Window, pages: Sequence[Page]) -> Batch:
        """The records on `pages`; raises `RecordError` for a record without a usable id."""
        rule_used = self.filed_by
        batch = read_batch(self.resource, pages, window, rule_used, self.privacy)
        if batch.filed_by is not None:
            self.filed_by = batch.filed_by
        elif rule_used is None and batch.ambiguous is not None:
            with self._lock:
                few = self._client.transport.throttle.left() < _FEW_REQUESTS
                if self.filed_by is None and self._questions_left > 0 and not few:
                    self._questions_left -= 1
                    self.filed_by = self._ask(batch.ambiguous)
        if self.filed_by == rule_used:
            return batch
        return read_batch(self.resource, pages, window, self.filed_by, self.privacy)

    def _ask(self, call: Ambiguous) -> FiledBy | None:
        """Asks Gong for the millisecond of each of the two times. Gong uses the time whose answer lists the call."""
        rules: tuple[tuple[FiledBy, datetime], ...] = (("started", call.started), ("scheduled", call.scheduled))
        for rule, time in rules:
            begin = utc(time)
            page = self._client.page(self.resource.endpoint, Window(begin, seconds_after(begin, 0.001)))
            if any(isinstance(record, dict) and str(record.get("id")) == call.id for record in page.records):
                return rule
        return None


def _call_times(
    select: Instants, arrays: Mapping[str, pa.Array], window: Window, filed_by: FiledBy | None
) -> tuple[pa.Array, FiledBy | None, Ambiguous | None]:
    """The call time of each call, which time Gong uses if a call shows it, and a call to find it out with.

    Gong listed the calls for `window`, so a time outside the window cannot be the one that Gong used.
    """
    scheduled, started = arrays[select.scheduled], arrays[select.started]
    start, end = (pa.scalar(bound, ARROW_TYPES["timestamp"]) for bound in (window.start, window.end))
    conference = pc.fill_null(pc.equal(arrays[select.direction], select.conference_value), fill_value=False)
    by_schedule = pc.or_(conference, filed_by == "scheduled")
    # A call without any time gets the start of the window that listed it.
    preferred = pc.coalesce(pc.if_else(by_schedule, scheduled, started), scheduled, started, start)
    other = pc.coalesce(pc.if_else(by_schedule, started, scheduled), preferred)
    in_preferred, in_other = (pc.and_(pc.less_equal(start, time), pc.less(time, end)) for time in (preferred, other))
    times = pc.if_else(pc.and_not(in_other, in_preferred), other, preferred)
    shows_rule = pc.and_not(pc.not_equal(preferred, other), conference)
    learnt: FiledBy | None = None
    ambiguous: Ambiguous | None = None
    at_edge = pc.indices_nonzero(pc.and_(shows_rule, pc.xor(in_preferred, in_other)))
    if len(at_edge):
        row = at_edge[-1].as_py()
        learnt = "scheduled" if times[row] == scheduled[row] else "started"
    undecided = pc.indices_nonzero(pc.and_(shows_rule, pc.and_(in_preferred, in_other)))
    if len(undecided):
        row = undecided[0].as_py()
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
