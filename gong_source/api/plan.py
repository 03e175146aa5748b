"""Plans windows: cuts time into windows of a few dozen pages, by the number of records and not by the calendar.

Windows are cut off the front of a range, sized by the density of records seen so far. The first page of a window shows
how many records the window has. If there are too many, the window becomes a range itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gong_source.windows import Window, seconds_after, whole_second

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

RECORDS_PER_PAGE = 100
# Records within this time are fetched in one window, up to this number of records.
_DENSEST_SECONDS = 2.0
_MOST_RECORDS_AT_ONCE = 20_000
# A burst is this many times denser than the range around it. Nights and weekends make a factor of about 5.
_BURST = 16.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large windows and their parts are.

    The last page of a window is half empty on average, so small windows waste requests. Large windows leave few to
    fetch at once, need memory, and are lost whole in a crash. A window is planned for `target` records (at the end of a
    fetch for fewer, but at least `smallest_target`), and is cut if it has more than `split_above`. `pages_per_part` of
    its pages are converted together. Beside the windows in flight, `most_waiting` finished ones may wait for an earlier
    one. At most `most_in_flight` are in flight; else `ahead` times as many as the permitted rate needs, so that there
    is always a request of an early window to send next.
    """

    target: float = 3800
    smallest_target: float = 800
    split_above: float = 4200
    pages_per_part: int = 20
    most_waiting: int = 9
    ahead: float = 3.0
    most_in_flight: int = 12


LISTS = Sizes()
# A call with all that Gong made of it takes some 50 KB, so few of them may wait.
WITH_CONTENT = Sizes(
    target=1200, smallest_target=600, split_above=1500, pages_per_part=1, most_waiting=1, ahead=1.5, most_in_flight=5
)


@dataclass(frozen=True, slots=True)
class Pace:
    """What a plan has to fit: `at_once` windows in flight use the permitted rate, and `requests_left` are allowed."""

    at_once: int
    requests_left: float
    sizes: Sizes = LISTS

    @property
    def affordable_records(self) -> float:
        """Records of a window that the rest of the budget can finish, beside the other windows in flight."""
        return self.requests_left * RECORDS_PER_PAGE / self.at_once

    @property
    def most_records(self) -> float:
        """A window with more records than this is cut."""
        return min(self.sizes.split_above, max(RECORDS_PER_PAGE, self.affordable_records))


@dataclass(eq=False, slots=True)
class Range:
    """Time not yet fetched. `records`: how many it has (None while unknown); `density`: how many per second.

    `begins_at` is where its first record is expected. `is_piece` marks a part of a window that could not be loaded.
    """

    window: Window
    records: float | None = None
    density: float = 0.0
    begins_at: datetime | None = None
    is_piece: bool = False

    def cut_window(self, pace: Pace, records_to_come: float) -> tuple[Window, float | None]:
        """Cuts the next window off the front; returns it and the number of records to expect (None while unknown).

        A window that ends where the range ends uses the range up. `records_to_come` are those of all ranges together.
        """
        if self.records is None:
            return self.window, None
        # Smaller windows towards the end, so that the last windows in flight end together.
        target = max(pace.sizes.smallest_target, records_to_come / (1.5 * pace.at_once))
        target = min(target, pace.sizes.target)
        if target > pace.affordable_records:  # half of that, as a window may have twice the records expected
            target = max(1.0, pace.affordable_records / 2)
        density = max(self.density, self.records / self.window.seconds)
        if self.records > min(1.5 * target, pace.most_records):
            begin = max(self.begins_at or self.window.start, self.window.start)
            end = whole_second(seconds_after(begin, max(1.0, target / density)))
            if end >= self.window.end:  # all records lie at the end: the empty time before them is the next window
                end = whole_second(begin)
            if self.window.start < end < self.window.end:
                taken = Window(self.window.start, end)
                self.window = Window(end, self.window.end)
                self.records -= target
                return taken, target
        return self.window, self.records

    def learn(self, taken: Window, expected: float, total: int) -> None:
        """Corrects what is left, now that `taken` turned out to have `total` records."""
        if self.records is not None:
            # Below zero while other windows cut from it still expect records that turned out to be in this one.
            self.records += expected - total
            self.density = total / taken.seconds


def pages_for(records: float, sizes: Sizes = LISTS) -> float:
    """About how many pages so many records take: the last page of each window is half empty on average."""
    return records / RECORDS_PER_PAGE + math.ceil(records / sizes.target) / 2


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a fetch is: how many records have `arrived`, how many are `to_come`, and on how many pages.

    What is to come is None before Gong's first count. Where Gong has not counted yet, it is an estimate from the
    density of the records that Gong has counted; then `exact` is false.
    """

    arrived: int
    to_come: int | None
    pages_to_come: float | None
    exact: bool


def extent_of(
    parts: Sequence[tuple[float, float | None, int]], handed_out: int, handed_out_seconds: float, sizes: Sizes = LISTS
) -> Extent:
    """The extent of a fetch that has handed out so many records, from so many seconds of time.

    Each of the other parts has its seconds, its records (None while Gong has not counted them), and how many of them
    have arrived.
    """
    arrived = handed_out + sum(here for _, _, here in parts)
    counted = handed_out + sum(records for _, records, _ in parts if records is not None)
    counted_seconds = handed_out_seconds + sum(seconds for seconds, records, _ in parts if records is not None)
    exact = all(records is not None for _, records, _ in parts)
    if not exact and not counted_seconds:
        return Extent(arrived, None, None, exact=False)
    density = counted / counted_seconds if counted_seconds else 0.0
    left = [max(0.0, (density * seconds if records is None else records) - here) for seconds, records, here in parts]
    return Extent(arrived, round(sum(left)), sum(pages_for(records, sizes) for records in left), exact=exact)


def too_large(window: Window, total: int, times: Sequence[datetime], pace: Pace) -> Range | None:
    """`window` as a range, if its `total` records are too many for one window; else None.

    `times` are the call times on its first page, in the order of the page: a hint to where the records lie.
    """
    if total <= pace.most_records or window.seconds <= _DENSEST_SECONDS:
        return None
    times = [time for time in times if time in window]
    if not times:
        return Range(window, total)
    first, last = min(times), max(times)
    here = len(times) / max((last - first).total_seconds(), 0.001)
    if total <= _MOST_RECORDS_AT_ONCE and total / here < _DENSEST_SECONDS:
        return None
    ascending = times[0] <= times[-1]
    occupied = (window.end - first if ascending else last - window.start).total_seconds()
    if occupied <= _DENSEST_SECONDS:
        return None
    average, begins_at = total / occupied, first if ascending else None
    # With so few requests left, a window with more records than expected is worth nothing.
    if pace.affordable_records < pace.sizes.smallest_target:
        average = max(here, average) if ascending else 2 * average
    elif here > _BURST * average:
        average, begins_at = here, first if ascending else seconds_after(last, -total / here)
    return Range(window, total, average, begins_at)
