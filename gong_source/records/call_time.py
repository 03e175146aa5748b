"""The call time: which of its two times Gong compares with a window, learnt from the tenant's own answers.

A call has a scheduled time and a start. For GET /v2/calls, Gong documents that it uses the scheduled time for web
conferences and the start for other calls. Answers recorded from live tenants suggest the scheduled time for every call
that has one. For the list with details, Gong only speaks of the start. So what a list does is learnt for each list
apart. A call with one time inside a window and the other outside shows which is true. If there is no such call, two
requests for one call find it out: one for each of its times.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc

from gong_source.records.rows import ARROW_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gong_source.api.client import Page
    from gong_source.resources.declare import Instants
    from gong_source.windows import Window

# Which of its two times Gong uses for a call.
FiledBy = Literal["scheduled", "started"]
Kind = Literal["conferences", "others"]
_KINDS: tuple[Kind, ...] = ("conferences", "others")


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


def call_times(
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
