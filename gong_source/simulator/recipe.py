"""Made-up calls: few numbers a call are drawn and kept, and everything else follows from them on demand.

A million calls as objects would take gigabytes and half a minute; as arrays they take seconds.
"""

import math
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import accumulate
from random import Random
from typing import Final, Literal, TypedDict
from zoneinfo import ZoneInfo

from gong_source.simulator.call import Call, from_micros, to_micros
from gong_source.simulator.phrases import describe

Shape = Literal["uniform", "business", "burst"]

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
_QUARTER: Final = 900 * _SECOND
_UNSET: Final = -(2**63)
DIRECTIONS: Final = ("Conference", "Inbound", "Outbound", "Unknown", "Hologram", None)
_NO_WORKSPACE: Final = 255


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to draw. Every time of every call lies in [start, end)."""

    calls: int
    start: datetime
    end: datetime
    seed: int
    time_zone: str
    shape: Shape = "uniform"
    conference_share: float = 0.6
    gap_seconds: float = 900.0
    long_gap_share: float = 0.005
    fractions: bool = True
    unknown_fields: bool = False
    wild: bool = False
    processing_seconds: float | None = None
    late_share: float = 0.0
    late_seconds: float = 5 * 86_400.0


class Drawing(TypedDict, total=False):
    """How `Tenant.generate` draws calls, beyond their number and range; the defaults are those of `Plan`."""

    shape: Shape
    conference_share: float
    gap_seconds: float
    long_gap_share: float
    fractions: bool
    unknown_fields: bool
    wild: bool
    processing_seconds: float | None
    late_share: float
    late_seconds: float


class Recipe:
    """Calls that are numbered from 0 and made when asked for."""

    def __init__(self, plan: Plan, user_ids: tuple[str, ...], workspace_ids: tuple[str, ...], label: str) -> None:
        if plan.calls and plan.start >= plan.end:
            raise ValueError(f"start {plan.start} is not before end {plan.end}")
        self._plan = plan
        self._user_ids = user_ids
        self._workspace_ids = workspace_ids
        self._label = label
        self._random = Random(plan.seed)
        self._first = to_micros(plan.start)
        self._past = to_micros(plan.end)
        self.ids = self._draw_ids()
        self._scheduled = array("q")
        self._started = array("q")
        self._filed: dict[int, int] = {}
        self._direction = bytearray()
        self._workspace = bytearray()
        self._available = array("d")
        self._draw_calls()

    def micros(self, number: int, rule: str) -> int:
        """Return the effective time of a call under a rule, in microseconds since 1970."""
        scheduled, started = self._scheduled[number], self._started[number]
        by_schedule = rule == "scheduled" or (rule == "documented" and self._direction[number] == 0)
        first, second = (scheduled, started) if by_schedule else (started, scheduled)
        if first != _UNSET:
            return first
        return second if second != _UNSET else self._filed[number]

    def workspace_id(self, number: int) -> str | None:
        """Return the workspace of a call."""
        code = self._workspace[number]
        return None if code == _NO_WORKSPACE else self._workspace_ids[code]

    def available_at(self, number: int) -> float | None:
        """Return the unix seconds from which a call is listed, or None for always."""
        return self._available[number] if self._available else None

    def call(self, number: int) -> Call:
        """Return a call, made anew."""
        plan = self._plan
        call_id = str(self.ids[number])
        scheduled, started = self._scheduled[number], self._started[number]
        direction = DIRECTIONS[self._direction[number]]
        fields = describe(
            call_id,
            number=number,
            seed=plan.seed,
            direction=direction,
            user_ids=self._user_ids,
            wild=plan.wild,
            unknown_fields=plan.unknown_fields,
            label=self._label,
        )
        fields["workspaceId"] = self.workspace_id(number)
        return Call(
            id=call_id,
            scheduled=None if scheduled == _UNSET else from_micros(scheduled),
            started=None if started == _UNSET else from_micros(started),
            fields=fields,
            available_at=self.available_at(number),
            filed=from_micros(self._filed[number]) if number in self._filed else None,
        )

    def _draw_ids(self) -> list[int]:
        bits, wild = self._random.getrandbits, self._plan.wild
        # A dict, because it keeps the order of the draws and so the result for a seed.
        ids: dict[int, None] = {}
        while len(ids) < self._plan.calls:
            drawn = bits(63)
            ids[drawn + 10**19 * (1 + drawn % 9) if wild and drawn % 5 == 0 else drawn] = None
        return list(ids)

    def _draw_calls(self) -> None:
        plan, chance = self._plan, self._random.random
        moment = self._moments()
        directions = len(DIRECTIONS) if plan.wild else 3
        for number in range(plan.calls):
            at, together = moment()
            conference = chance() < plan.conference_share
            direction = 0 if conference else 1 + int(chance() * (directions - 1))
            scheduled, started = self._two_times(at, conference=conference, together=together)
            if plan.wild and chance() < 0.2:
                scheduled, started = self._lose_times(number, scheduled, started)
            self._scheduled.append(scheduled)
            self._started.append(started)
            self._direction.append(direction)
            lost = plan.wild and chance() < 0.1
            self._workspace.append(_NO_WORKSPACE if lost else int(chance() * len(self._workspace_ids)))
            if plan.processing_seconds is not None:
                self._available.append(self._processed(at, plan.processing_seconds))

    def _two_times(self, at: int, *, conference: bool, together: bool) -> tuple[int, int]:
        """Return (scheduled, started) around a drawn moment; `scheduled` may be unset."""
        if together:
            return at, at
        chance = self._random.random
        if conference:
            scheduled = max(at - at % _QUARTER, self._first)
            return scheduled, self._inside(scheduled + self._gap(), scheduled)
        started = self._inside(at - at % _SECOND + self._fraction(), at)
        if chance() < 0.25:
            return _UNSET, started
        scheduled = started - self._gap()
        return self._inside(scheduled - scheduled % _SECOND, started), started

    def _lose_times(self, number: int, scheduled: int, started: int) -> tuple[int, int]:
        lot = self._random.random()
        if lot < 0.45 and started != _UNSET:
            return _UNSET, started
        if lot < 0.9 and scheduled != _UNSET:
            return scheduled, _UNSET
        self._filed[number] = started
        return _UNSET, _UNSET

    def _gap(self) -> int:
        """Return microseconds from the scheduled time to the start: mostly short, sometimes negative."""
        chance = self._random.random
        lot = chance()
        if lot < self._plan.long_gap_share:
            return int((1 + 2 * chance()) * _DAY)
        longest = self._plan.gap_seconds * (-0.5 if lot > 0.9 else 1.0)
        whole = int(longest * chance() ** 3)
        return whole * _SECOND + (self._fraction() if whole else 0)

    def _fraction(self) -> int:
        """Return microseconds within a second: none, milliseconds or microseconds, in equal shares."""
        if not self._plan.fractions:
            return 0
        drawn = int(self._random.random() * 3 * _SECOND)
        kind, micros = divmod(drawn, _SECOND)
        return (0, micros - micros % 1000, micros)[kind]

    def _inside(self, micros: int, otherwise: int) -> int:
        return micros if self._first <= micros < self._past else otherwise

    def _processed(self, at: int, processing_seconds: float) -> float:
        chance = self._random.random
        late = self._plan.late_seconds * chance() if chance() < self._plan.late_share else 0.0
        return at / _SECOND + processing_seconds * (0.5 + chance() / 2) + late

    def _moments(self) -> Callable[[], tuple[int, bool]]:
        """Return a draw of (microseconds since 1970, whether scheduled and started shall both be that)."""
        chance, first = self._random.random, self._first
        length = self._past - first
        if self._plan.shape == "business":
            return self._business_moments()
        if self._plan.shape == "uniform":
            return lambda: (first + int(chance() * length), False)
        # At most one instant for 200 calls, so that more than a page of them share a second.
        instants = []
        for _ in range(max(1, self._plan.calls // 200)):
            drawn = first + int(chance() * length)
            instants.append(self._inside(drawn - drawn % _SECOND, first))

        def burst() -> tuple[int, bool]:
            if chance() < 0.7:
                return instants[int(chance() * len(instants))], True
            return first + int(chance() * length), False

        return burst

    def _business_moments(self) -> Callable[[], tuple[int, bool]]:
        """Draw from weekdays, 8:00 to 18:00 company time; from the whole range if it holds no such hour."""
        zone = ZoneInfo(self._plan.time_zone)
        opens: list[int] = []
        lengths: list[int] = []
        day = self._plan.start.astimezone(zone).date()
        while (open_at := datetime.combine(day, time(8), zone)) < self._plan.end:
            first = max(to_micros(open_at.astimezone(UTC)), self._first)
            past = min(to_micros(datetime.combine(day, time(18), zone).astimezone(UTC)), self._past)
            if day.weekday() < 5 and first < past:
                opens.append(first)
                lengths.append(past - first)
            day += timedelta(days=1)
        if not opens:
            opens, lengths = [self._first], [self._past - self._first]
        ends = list(accumulate(lengths))
        chance = self._random.random

        def business() -> tuple[int, bool]:
            drawn = math.floor(chance() * ends[-1])
            at = bisect_right(ends, drawn)
            return opens[at] + drawn - (ends[at] - lengths[at]), False

        return business
