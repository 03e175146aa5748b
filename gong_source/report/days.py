"""What is known about each UTC day of a resource with time windows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gong_source.windows import midnight, next_midnight, union

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from gong_source.windows import Window

State = Literal["verified", "loaded", "partly loaded", "still processed by Gong", "not loaded"]
# From best to worst, which is also the order of the legend.
STATES: tuple[State, ...] = ("verified", "loaded", "still processed by Gong", "partly loaded", "not loaded")


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day and what is known about it."""

    day: date
    state: State


def days_of(covered: Sequence[Window], unsettled: Iterable[Window], verified: Iterable[Window]) -> list[Day]:
    """Every day between the first and the last covered moment.

    The first and the last day count as loaded, if all of their part between these moments is.
    """
    if not covered:
        return []
    loaded, open_seconds, proven = _seconds(covered), _seconds(unsettled), _seconds(verified)
    start, end = covered[0].start, covered[-1].end
    days = []
    at = midnight(start)
    while at < end:
        following = next_midnight(at)
        whole = (min(following, end) - max(at, start)).total_seconds()
        day = at.date()
        days.append(Day(day, _state(whole, loaded.get(day, 0), open_seconds.get(day, 0), proven.get(day, 0))))
        at = following
    return days


def _state(whole: float, loaded: float, unsettled: float, verified: float) -> State:
    if not loaded:
        return "not loaded"
    if loaded < whole:
        return "partly loaded"
    if unsettled:
        return "still processed by Gong"
    return "verified" if verified >= whole else "loaded"


def _seconds(windows: Iterable[Window]) -> Mapping[date, float]:
    """How many seconds of each UTC day the windows cover."""
    seconds: dict[date, float] = defaultdict(float)
    for window in union(windows):
        at = window.start
        while at < window.end:
            until = min(next_midnight(at), window.end)
            seconds[at.date()] += (until - at).total_seconds()
            at = until
    return seconds
