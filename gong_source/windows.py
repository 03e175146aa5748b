"""Arithmetic with moments and windows, in UTC.

Every window is half-open, `[start, end)`. Its bounds are aware, in UTC, and on whole milliseconds: Gong's filters are
not known to take finer ones.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, order=True, slots=True)
class Window:
    """The half-open UTC range `[start, end)`."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is not UTC or self.end.tzinfo is not UTC:
            raise ValueError(f"window bounds must be UTC: {self.start!r}, {self.end!r}")
        if self.start >= self.end:
            raise ValueError(f"a window must start before it ends: {self.start!r}, {self.end!r}")

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def __str__(self) -> str:
        return f"[{iso(self.start)}, {iso(self.end)})"

    @property
    def seconds(self) -> float:
        """The window's length in seconds."""
        return (self.end - self.start).total_seconds()


def exactly_in_utc(instant: datetime) -> datetime:
    """The same instant in UTC, to the microsecond; a naive one is taken as UTC."""
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def utc(instant: datetime) -> datetime:
    """The same instant in UTC, cut to whole milliseconds; a naive one is taken as UTC."""
    aware = exactly_in_utc(instant)
    return datetime(*aware.timetuple()[:6], aware.microsecond // 1000 * 1000, tzinfo=UTC)


def now() -> datetime:
    """The current time, UTC, cut to whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def now_exactly() -> datetime:
    """The current time, UTC, to the microsecond: two runs in the same second get different times."""
    return datetime.now(UTC)


def iso(instant: datetime) -> str:
    """RFC 3339 with `Z`, as Gong's filters take it: `2026-01-31T09:00:00Z`, `...00.250Z`."""
    spec = "milliseconds" if instant.microsecond else "seconds"
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=spec) + "Z"


def days_before(instant: datetime, days: float) -> datetime:
    """`days` times 24 hours before `instant`; at least the first time that Python knows."""
    try:
        return utc(instant - timedelta(days=days))
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def seconds_after(instant: datetime, seconds: float) -> datetime:
    """`seconds` after `instant`, cut to whole milliseconds; at most the last time that Python knows."""
    try:
        return utc(instant + timedelta(seconds=seconds))
    except OverflowError:
        return datetime.max.replace(microsecond=0, tzinfo=UTC)


def hours_after(instant: datetime, hours: float) -> datetime:
    """`hours` after `instant`."""
    return utc(instant + timedelta(hours=hours))


def hours_between(earlier: datetime, later: datetime) -> float:
    """The hours from `earlier` to `later`."""
    return (later - earlier).total_seconds() / 3600


def midnight(instant: datetime) -> datetime:
    """The last UTC midnight at or before `instant`."""
    return utc(instant).replace(hour=0, minute=0, second=0, microsecond=0)


def next_midnight(instant: datetime) -> datetime:
    """The first UTC midnight after `instant`."""
    return midnight(instant) + timedelta(days=1)


def whole_second(instant: datetime) -> datetime:
    """`instant` cut to whole seconds."""
    return instant.replace(microsecond=0)


def union(windows: Iterable[Window]) -> list[Window]:
    """The same time as disjoint windows in order; windows that touch are joined."""
    merged: list[Window] = []
    for window in sorted(windows):
        if merged and window.start <= merged[-1].end:
            if window.end > merged[-1].end:
                merged[-1] = Window(merged[-1].start, window.end)
        else:
            merged.append(window)
    return merged


def subtract(windows: Iterable[Window], covered: Iterable[Window]) -> list[Window]:
    """The part of `windows` that lies in none of `covered`, as disjoint windows in order."""
    rest: list[Window] = []
    holes = union(covered)
    ends = [hole.end for hole in holes]
    for window in union(windows):
        start = window.start
        for at in range(bisect_right(ends, start), len(holes)):
            hole = holes[at]
            if hole.start >= window.end:
                break
            if hole.start > start:
                rest.append(Window(start, hole.start))
            start = hole.end
        if start < window.end:
            rest.append(Window(start, window.end))
    return rest


class Coverage:
    """The time covered by windows that are added one by one. Adding stays fast, however many there are."""

    def __init__(self) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []

    def add(self, window: Window) -> list[Window]:
        """Adds `window`, and returns the part that was not covered before, as disjoint windows in order."""
        touching = slice(bisect_left(self._ends, window.start), bisect_right(self._starts, window.end))
        starts, ends = self._starts[touching], self._ends[touching]
        self._starts[touching] = [min([window.start, *starts])]
        self._ends[touching] = [max([window.end, *ends])]
        return subtract([window], map(Window, starts, ends))


def intersect(windows: Iterable[Window], others: Iterable[Window]) -> list[Window]:
    """The time that lies both in `windows` and in `others`, as disjoint windows in order."""
    these = union(windows)
    return subtract(these, subtract(these, others))


def reach(start: datetime, windows: Iterable[Window]) -> datetime:
    """The end of the time that `windows` cover without a gap from `start` on; `start` if they do not cover it."""
    for window in union(windows):
        if window.start <= start:
            start = max(start, window.end)
    return start


def split(window: Window, pieces: int) -> list[Window]:
    """`window` in at most `pieces` windows of about equal length, cut at whole seconds."""
    step = window.seconds / pieces
    cuts = [whole_second(seconds_after(window.start, step * i)) for i in range(1, pieces)]
    return cut(window, cuts)


def cut(window: Window, cuts: Sequence[datetime]) -> list[Window]:
    """`window` cut at those times of `cuts` that lie inside it."""
    bounds = [window.start, *sorted({c for c in cuts if window.start < c < window.end}), window.end]
    return [Window(start, end) for start, end in pairwise(bounds)]
