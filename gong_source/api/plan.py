"""Plans windows: time becomes windows of a few dozen pages, by the calls that it holds and not by the calendar.

A range is carved from its front by the density of calls seen so far. The first page of a window tells how many calls it
holds; if they are too many, the window becomes a range itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gong_source.windows import Window, seconds_after, split, whole_second

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

# The last page of a window is half empty on average, so small windows waste requests; large ones leave few to walk at
# once, need memory, and are lost whole in a crash.
TARGET_CALLS = 2500
CALLS_PER_PAGE = 100
# A range is begun at so many places at once.
FIRST_PIECES = 9
_SMALLEST_TARGET_CALLS = 800
_SPLIT_ABOVE_CALLS, _SPLIT_ABOVE_CALLS_ALONE = 4000, 6000
# Calls that lie within this time are walked in one window, up to this number of them.
_DENSEST_SECONDS = 2.0
_MOST_CALLS_AT_ONCE = 20_000
# A burst is this many times denser than the range around it; nights and weekends make a factor of about 5.
_BURST = 16.0
# A range this long is cut before its density is known: most often the pieces are right, and no request is wasted.
_LONG_RANGE_SECONDS = 31 * 86400.0


@dataclass(frozen=True, slots=True)
class Pace:
    """What a plan has to fit: `at_once` windows under way use the permitted rate, and `requests_left` are allowed."""

    at_once: int
    requests_left: float

    @property
    def affordable_calls(self) -> float:
        """Calls of a window that what is left of a budget can finish, beside the others in flight."""
        return self.requests_left * CALLS_PER_PAGE / (2 * self.at_once)


@dataclass(eq=False, slots=True)
class Range:
    """Time not yet asked for. `calls`: how many it holds; `density`: how many a second; None while unknown.

    `begins_at` is where its first call is expected.
    """

    window: Window
    calls: float | None = None
    density: float = 0.0
    begins_at: datetime | None = None

    def carve(self, pace: Pace, calls_to_come: float) -> tuple[Window, float | None]:
        """Takes the next window off the front, and the number of calls to expect in it; None while unknown.

        A window that ends where the range does uses it up. `calls_to_come` are those of all ranges together.
        """
        if self.calls is None:
            return self.window, None
        # smaller ones towards the end, so that the last windows in flight end together
        target = max(_SMALLEST_TARGET_CALLS, calls_to_come / (1.5 * pace.at_once))
        target = max(1.0, min(target, TARGET_CALLS, pace.affordable_calls))
        density = max(self.density, self.calls / self.window.seconds)
        if self.calls > 1.5 * target:
            begin = max(self.begins_at or self.window.start, self.window.start)
            end = whole_second(seconds_after(begin, max(1.0, target / density)))
            if end >= self.window.end:  # all of it lies at the end: that alone is the next window
                end = whole_second(begin)
            if self.window.start < end < self.window.end:
                carved = Window(self.window.start, end)
                self.window = Window(end, self.window.end)
                self.calls -= target
                return carved, target
        return self.window, self.calls

    def learn(self, carved: Window, expected: float, total: int) -> None:
        """Corrects what is left, now that `carved` turned out to hold `total` calls."""
        if self.calls is not None:
            # below zero while others carved from it still promise calls that turned out to lie here
            self.calls += expected - total
            self.density = total / carved.seconds


def first_ranges(windows: Iterable[Window], *, small: bool) -> list[Range]:
    """What a walk of `windows` begins with; `small` says that none needs to be begun at several places."""
    return [
        Range(piece)
        for window in windows
        for piece in (split(window, FIRST_PIECES) if window.seconds > _LONG_RANGE_SECONDS and not small else [window])
    ]


def too_large(window: Window, total: int, times: Sequence[datetime], pace: Pace) -> Range | None:
    """`window` as a range, if its `total` calls are too many to be walked in one go.

    `times` are the call times on its first page, in the order of the page: a hint to where the calls lie.
    """
    # where one walk alone uses the permitted rate, to split costs requests and gains nothing
    bound = _SPLIT_ABOVE_CALLS if pace.at_once > 1 else _SPLIT_ABOVE_CALLS_ALONE
    if total <= min(bound, max(CALLS_PER_PAGE, pace.affordable_calls)) or window.seconds <= _DENSEST_SECONDS:
        return None
    times = [time for time in times if time in window]
    if not times:
        return Range(window, total)
    first, last = min(times), max(times)
    here = len(times) / max((last - first).total_seconds(), 0.001)
    if total <= _MOST_CALLS_AT_ONCE and total / here < _DENSEST_SECONDS:
        return None
    ascending = times[0] <= times[-1]
    occupied = (window.end - first if ascending else last - window.start).total_seconds()
    if occupied <= _DENSEST_SECONDS:
        return None
    average = total / occupied
    if here <= _BURST * average:
        return Range(window, total, average, first if ascending else None)
    return Range(window, total, here, first if ascending else seconds_after(last, -total / here))
