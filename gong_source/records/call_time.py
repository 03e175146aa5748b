"""The call time: which of its two times Gong compares with a window, learnt from the tenant's own answers.

A call has a scheduled time and a start. For GET /v2/calls, Gong documents that it uses the scheduled time for web
conferences and the start for other calls. Answers recorded from live tenants suggest the scheduled time for every call
that has one. For the list with details, Gong only speaks of the start. So what a list does is learnt for each list
apart. A call with one time inside a window and the other outside shows which is true. If there is no such call, two
requests for one call find it out: one for each of its times.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc

from gong_source.records.answers import AnswerReader
from gong_source.records.privacy import KEEP_ALL
from gong_source.records.rows import ARROW_TYPES, read_records
from gong_source.resources.declare import Instants
from gong_source.windows import Window, seconds_after, utc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gong_source.api.client import Client, Page
    from gong_source.records.answers import Content
    from gong_source.records.privacy import Privacy
    from gong_source.resources.declare import Resource

# Which of its two times Gong uses for a call.
FiledBy = Literal["scheduled", "started"]
Kind = Literal["conferences", "others"]
_KINDS: tuple[Kind, ...] = ("conferences", "others")
# After this many calls that gave no answer, the rule is left for the next run.
_MOST_QUESTIONS = 3
# With fewer requests left than this, records are worth more than the rule.
_FEW_REQUESTS = 20


@dataclass(frozen=True, slots=True)
class Rule:
    """Which time a list of Gong uses for web conferences, and for other calls; None while that is not known."""

    conferences: FiledBy | None = None
    others: FiledBy | None = None

    def __or__(self, learnt: Rule) -> Rule:
        """The rule with what has been learnt since."""
        return Rule(learnt.conferences or self.conferences, learnt.others or self.others)

    def of(self, kind: Kind) -> FiledBy | None:
        """The time used for calls of this kind."""
        return self.conferences if kind == "conferences" else self.others

    def with_kind(self, kind: Kind, filed_by: FiledBy | None) -> Rule:
        """The rule with another time for calls of this kind."""
        return Rule(filed_by, self.others) if kind == "conferences" else Rule(self.conferences, filed_by)


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A call whose two times both lie in its window. Only a request to Gong shows which of them Gong uses."""

    id: str
    scheduled: datetime
    started: datetime
    kind: Kind = "others"


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one window as an Arrow table, and what they show about the rule.

    `learnt` is what the calls show of the rule. `ambiguous` are calls whose two times can be asked for to find it out,
    one for each kind of calls. `unmapped` is the number of records with something in `extra`. `contents` is what other
    resources read of the same records, and `hidden` are the private calls that they may not read.
    """

    table: pa.Table
    unmapped: int
    learnt: Rule
    ambiguous: tuple[Ambiguous, ...] = ()
    contents: list[Content] = field(default_factory=list)
    hidden: frozenset[str] = frozenset()


def read_batch(
    resource: Resource, pages: Sequence[Page], window: Window, rule: Rule, privacy: Privacy = KEEP_ALL
) -> Batch:
    """The records on `pages`, all received for `window`, in the order received, each with its call time.

    They lack what `privacy` says must not be stored. Raises `RecordError` for a record without a usable id.
    """
    records = read_records(resource, pages)
    select = resource.select
    assert isinstance(select, Instants)
    call_times, learnt, ambiguous = _call_times(select, records.arrays, window, rule)
    records = privacy.clean_records(resource, records)
    table = records.to_arrow(resource.table, **{select.column: call_times})
    return Batch(table, len(records.extras), learnt, ambiguous)


class Converter:
    """Turns pages into Arrow tables, and finds out which of the two times Gong uses for this tenant.

    `rule` is what earlier runs have learnt. `members` are other resources that read the same records; they read private
    calls only if `private`.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        rule: Rule | None = None,
        privacy: Privacy = KEEP_ALL,
        *,
        members: Sequence[Resource] = (),
        private: bool = False,
    ) -> None:
        select = resource.select
        assert isinstance(select, Instants)
        self.rule = (rule or Rule()) | Rule(conferences=select.conferences)
        self.resource = resource
        self.privacy = privacy
        self.members = members
        self._private = private
        self._client = client
        self._questions_left = _MOST_QUESTIONS
        self._lock = threading.Lock()

    def __call__(self, window: Window, pages: Sequence[Page]) -> Batch:
        """The records on `pages`; raises `RecordError` for a record without a usable id."""
        rule_used = self.rule
        batch = read_batch(self.resource, pages, window, rule_used, self.privacy)
        self._learn(batch, rule_used)
        if self.rule != rule_used:
            batch = read_batch(self.resource, pages, window, self.rule, self.privacy)
        return self._with_contents(batch, pages) if self.members else batch

    def _learn(self, batch: Batch, rule_used: Rule) -> None:
        with self._lock:
            self.rule |= batch.learnt
            for call in batch.ambiguous:
                few = self._client.transport.throttle.left() < _FEW_REQUESTS
                known = rule_used.of(call.kind) or self.rule.of(call.kind)
                if known is None and self._questions_left > 0 and not few:
                    self._questions_left -= 1
                    self.rule = self.rule.with_kind(call.kind, self._ask(call))

    def _with_contents(self, batch: Batch, pages: Sequence[Page]) -> Batch:
        ids = batch.table["id"].to_pylist()
        times = dict(zip(ids, batch.table[self.resource.time_column].to_pylist(), strict=True))
        reader = AnswerReader(self.members, times, private=self._private, privacy=self.privacy)
        return replace(batch, contents=reader(ids, pages), hidden=frozenset(reader.hidden))

    def _ask(self, call: Ambiguous) -> FiledBy | None:
        """Asks Gong for the millisecond of each of the two times. Gong uses the time whose answer lists the call."""
        rules: tuple[tuple[FiledBy, datetime], ...] = (("started", call.started), ("scheduled", call.scheduled))
        for rule, time in rules:
            begin = utc(time)
            page = self._client.page(self.resource.endpoint, Window(begin, seconds_after(begin, 0.001)))
            if any(isinstance(record, dict) and str(record.get("id")) == call.id for record in page.own_fields()):
                return rule
        return None


def _call_times(
    select: Instants, arrays: Mapping[str, pa.Array], window: Window, rule: Rule
) -> tuple[pa.Array, Rule, tuple[Ambiguous, ...]]:
    """The call time of each call, what the calls show of the rule, and calls to find the rest of it out with.

    Gong listed the calls for `window`, so a time outside the window cannot be the one that Gong used.
    """
    scheduled, started = arrays[select.scheduled], arrays[select.started]
    start, end = (pa.scalar(bound, ARROW_TYPES["timestamp"]) for bound in (window.start, window.end))
    conference = pc.fill_null(pc.equal(arrays[select.direction], select.conference_value), fill_value=False)
    by_schedule = pc.if_else(conference, rule.conferences != "started", rule.others == "scheduled")
    # A call without any time gets the start of the window that listed it.
    preferred = pc.coalesce(pc.if_else(by_schedule, scheduled, started), scheduled, started, start)
    other = pc.coalesce(pc.if_else(by_schedule, started, scheduled), preferred)
    in_preferred, in_other = (pc.and_(pc.less_equal(start, time), pc.less(time, end)) for time in (preferred, other))
    times = pc.if_else(pc.and_not(in_other, in_preferred), other, preferred)
    learnt, ambiguous = Rule(), list[Ambiguous]()
    for kind in _KINDS:
        if kind == "conferences" and select.conferences is not None:
            continue
        of_kind = conference if kind == "conferences" else pc.invert(conference)
        shows_rule = pc.and_(pc.not_equal(preferred, other), of_kind)
        at_edge = pc.indices_nonzero(pc.and_(shows_rule, pc.xor(in_preferred, in_other)))
        if len(at_edge):
            row = at_edge[-1].as_py()
            learnt = learnt.with_kind(kind, "scheduled" if times[row] == scheduled[row] else "started")
        undecided = pc.indices_nonzero(pc.and_(shows_rule, pc.and_(in_preferred, in_other)))
        if len(undecided):
            row = undecided[0].as_py()
            call_id, *two = (arrays[name][row].as_py() for name in ("id", select.scheduled, select.started))
            ambiguous.append(Ambiguous(call_id, two[0], two[1], kind))
    return times, learnt, tuple(ambiguous)


def page_times(page: Page) -> list[datetime]:
    """The times on a page of calls: a hint to where its calls lie. Times that cannot be read are left out."""
    times = []
    for record in page.own_fields():
        try:
            time = datetime.fromisoformat(record.get("scheduled") or record["started"])
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        if time.tzinfo is not None:
            times.append(time)
    return times
