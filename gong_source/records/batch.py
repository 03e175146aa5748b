"""The pages of a window as an Arrow table, each record with its call time.

The tables also show which of a call's two times Gong uses. Where they leave it open, Gong is asked.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gong_source.records.answers import AnswerReader
from gong_source.records.call_time import Ambiguous, Rule, call_times
from gong_source.records.privacy import KEEP_ALL
from gong_source.records.rows import read_records
from gong_source.resources.declare import Instants
from gong_source.windows import Window, seconds_after, utc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pyarrow as pa

    from gong_source.api.client import Client, Page
    from gong_source.records.answers import Content
    from gong_source.records.call_time import FiledBy
    from gong_source.records.privacy import Privacy
    from gong_source.resources.declare import Resource

# After this many calls that gave no answer, the rule is left for the next run.
_MOST_QUESTIONS = 3
# With fewer requests left than this, records are worth more than the rule.
_FEW_REQUESTS = 20


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
    times, learnt, ambiguous = call_times(select, records.arrays, window, rule)
    records = privacy.clean_records(resource, records)
    table = records.to_arrow(resource.table, **{select.column: times})
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
