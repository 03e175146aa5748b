"""Narrows ranges down to the windows in which Gong's count of calls and the warehouse's differ.

One request tells Gong's count of any window, however long. A window that differs is halved, one request each: what one
half holds, the other does not. Halving ends where walking the windows that are left costs no more than it did so far.

A missing call and a surplus one in the same window cancel out: counts alone prove nothing, only a walk of all does. But
such pairs are the likelier the more differs elsewhere, and the larger the windows; so equal ones are halved too, the
largest first, for as long as the differences found so far give reason to. Windows from which the warehouse itself knows
that it lost calls are counted apart from the first.
"""

from __future__ import annotations

import heapq
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gong_source.api.client import CALLS
from gong_source.api.plan import CALLS_PER_PAGE
from gong_source.errors import UnexpectedAnswer
from gong_source.windows import Window, cut, intersect, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gong_source.api.client import Client
    from gong_source.warehouse.warehouse import Warehouse

# Halving ends after this many requests, however much differs; doubt ends when this many are spent or called for in all.
MOST_REQUESTS = 980
_REQUESTS_WHEN_CLEAN = 3
_REQUESTS_PER_DIFFERENCE = 18
# One suspect takes no more than this part of the requests.
_PART_FOR_A_SUSPECT = 20
_SHORTEST_SECONDS = 2.0
_AT_ONCE = 6
_WINDOWS_PER_QUERY = 100
# Fewer calls than this are never called a mass.
FEW_CALLS = 10


@dataclass(frozen=True, slots=True)
class Counted:
    """A window with Gong's count of its calls, and the warehouse's of those not marked as deleted."""

    window: Window
    gong: int
    held: int

    @property
    def size(self) -> int:
        """The larger of the two counts."""
        return max(self.gong, self.held)

    @property
    def pages(self) -> int:
        """The requests that walking the window takes."""
        return max(1, math.ceil(self.gong / CALLS_PER_PAGE))

    @property
    def differs(self) -> bool:
        """Whether the counts differ."""
        return self.gong != self.held

    @property
    def small(self) -> bool:
        """Whether walking the window is as cheap as halving it: it fits on a page, or most of it differs."""
        return (
            self.size <= CALLS_PER_PAGE
            or 2 * abs(self.gong - self.held) >= self.size
            or self.window.seconds < _SHORTEST_SECONDS
        )


def is_mass(gone: int, held: int, share: float) -> bool:
    """Whether `gone` of `held` calls are more than `share` of them, and more than a few."""
    return gone >= FEW_CALLS and gone > share * held


@dataclass(slots=True)
class Counter:
    """Counts the calls of windows, at Gong and in the warehouse."""

    warehouse: Warehouse
    client: Client

    @property
    def asked(self) -> int:
        """The requests that the run has sent so far."""
        return self.client.transport.usage.requests

    def count(self, windows: Sequence[Window]) -> list[Counted]:
        """The counts of `windows`; one request each."""
        with ThreadPoolExecutor(_AT_ONCE, "gong-count") as pool:
            gong = list(pool.map(self._at_gong, windows))
        return [Counted(*parts) for parts in zip(windows, gong, self._held(windows), strict=True)]

    def part(self, whole: Counted, cuts: Sequence[datetime]) -> list[Counted]:
        """The window in pieces, cut at `cuts`, one request for each but the last; uncut if it fits on a page."""
        *pieces, last = cut(whole.window, cuts if whole.pages > 1 else ())
        parts = self.count(pieces)
        gong, held = (sum(getattr(part, side) for part in parts) for side in ("gong", "held"))
        return [*parts, Counted(last, max(0, whole.gong - gong), whole.held - held)]

    def halve(self, whole: Sequence[Counted]) -> list[Counted]:
        """Both halves of each window; one request for the two."""
        pairs = [split(counted.window, 2) for counted in whole]
        halves = []
        for counted, (_, later), first in zip(whole, pairs, self.count([pair[0] for pair in pairs]), strict=True):
            halves += [first, Counted(later, max(0, counted.gong - first.gong), counted.held - first.held)]
        return halves

    def _at_gong(self, window: Window) -> int:
        page = self.client.page(CALLS, window)
        if page.total is None:
            raise UnexpectedAnswer("GET /v2/calls answered without totalRecords", request_id=page.request_id)
        return page.total

    def _held(self, windows: Sequence[Window]) -> list[int]:
        counts: list[int] = []
        for at in range(0, len(windows), _WINDOWS_PER_QUERY):
            some = windows[at : at + _WINDOWS_PER_QUERY]
            sums = ", ".join(["sum(case when call_time >= %s and call_time < %s then 1 else 0 end)"] * len(some))
            bounds = [bound for window in some for bound in (window.start, window.end)]
            workspace = self.client.workspace_id
            found = self.warehouse.query(
                f"select {sums} from {{dataset}}.calls where deleted_at is null and call_time >= %s and call_time < %s"
                + ("" if workspace is None else " and workspace_id = %s"),
                *bounds,
                min(bounds),
                max(bounds),
                *([] if workspace is None else [workspace]),
            )
            counts += [int(count or 0) for count in found[0]] if found else [0] * len(some)
        return counts


def narrow(
    counter: Counter, ranges: Sequence[Counted], suspects: Sequence[Window], most_requests: int = MOST_REQUESTS
) -> list[Counted]:
    """The windows of `ranges` that differ, cut small, and some that look equal and may not be; in time order.

    `suspects`, the most telling first, are counted apart from what lies between them, and are found also if they look
    equal: there a surplus call makes up for the lost one. Halves at most `most_requests` windows that differ, and none
    that look equal once a run has sent so many requests.
    """
    suspects = suspects[: most_requests // _REQUESTS_PER_DIFFERENCE]
    edges = [edge for window in suspects for edge in (window.start, window.end)]
    parts = [part for counted in ranges for part in counter.part(counted, edges)]
    suspected = [part for part in parts if intersect(suspects, [part.window])]
    even = [part for part in suspected if not part.differs and part.pages <= most_requests // _PART_FOR_A_SUSPECT]
    search = _Search(counter, most_requests, len(suspected), even)
    search.cut([part for part in parts if part not in even])
    search.doubt()
    return sorted(search.found, key=lambda counted: counted.window)


@dataclass(slots=True)
class _Search:
    """`found` are windows to walk, `equal` those that are not to be, unless in doubt; `known` differences there are."""

    counter: Counter
    most: int
    known: int
    found: list[Counted]
    equal: set[Counted] = field(default_factory=set)

    def cut(self, fresh: Sequence[Counted]) -> None:
        """Halves those of `fresh` that differ, until walking them is cheaper."""
        cuts = 0
        while fresh:
            self.equal |= {counted for counted in fresh if not counted.differs and counted.size}
            self.found += [counted for counted in fresh if counted.differs and counted.small]
            large = [counted for counted in fresh if counted.differs and not counted.small]
            cuts += len(large)
            if cuts > min(_pages(large), self.most):
                self.found += large
                return
            fresh = self.counter.halve(large)

    def doubt(self) -> None:
        """Halves what looks equal, or has it walked where that is as cheap; what then differs is cut as well."""
        while self.equal and (spare := self._spare()) > 0:
            if _pages(self.equal) <= spare:
                self.found += self.equal
                return
            # half of the windows, and of the requests, at most: what these find takes some too
            several = min(len(self.equal), spare) // 2 + 1
            largest = heapq.nlargest(several, self.equal, key=lambda counted: (counted.size, counted.window))
            self.equal.difference_update(largest)
            self.found += [counted for counted in largest if counted.pages == 1]
            self.cut(self.counter.halve([counted for counted in largest if not counted.small]))

    def _spare(self) -> int:
        """The requests that the differences so far give reason for, less those sent and those that walking takes."""
        differences = max(self.known, sum(counted.differs for counted in self.found))
        # any two of them may hide in one window
        pairs = differences * (differences - 1) // 2
        allowed = _REQUESTS_WHEN_CLEAN + _REQUESTS_PER_DIFFERENCE * differences + pairs
        return min(self.most, allowed) - self.counter.asked - _pages(self.found)


def _pages(windows: Iterable[Counted]) -> int:
    return sum(counted.pages for counted in windows)
