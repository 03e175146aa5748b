"""Narrows ranges down to the windows in which Gong's count of calls and the warehouse's differ.

One request tells Gong's count of any window, however long. A window that differs is halved, one request each: what one
half holds, the other does not. Asking ends where walking the windows that are left costs no more than was asked so far.
"""

from __future__ import annotations

import heapq
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gong_source.api.client import CALLS
from gong_source.errors import UnexpectedAnswer
from gong_source.windows import Window, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gong_source.api.client import Client
    from gong_source.runs.pipeline import Warehouse

CALLS_PER_PAGE = 100
# Beyond this many requests the windows found so far are small enough.
MOST_REQUESTS = 1000
# A missing call and a surplus one in the same window cancel each other out. So windows that look equal are cut too, or
# walked if that is cheaper: with this many requests where nothing differs, and this many for each window that does.
_REQUESTS_WHEN_CLEAN = 3
_REQUESTS_PER_DIFFERENCE = 18
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

    def vanished(self, share: float) -> bool:
        """Whether more than `share` of the calls held are no longer listed, and more than a few."""
        return is_mass(self.held - self.gong, self.held, share)


def is_mass(gone: int, held: int, share: float) -> bool:
    """Whether `gone` of `held` calls are more than `share` of them, and more than a few."""
    return gone >= FEW_CALLS and gone > share * held


@dataclass(slots=True)
class Counter:
    """Counts the calls of windows, at Gong and in the warehouse."""

    warehouse: Warehouse
    client: Client

    def count(self, windows: Sequence[Window]) -> list[Counted]:
        """The counts of `windows`; one request each."""
        with ThreadPoolExecutor(_AT_ONCE, "gong-count") as pool:
            gong = list(pool.map(self._at_gong, windows))
        return [Counted(*parts) for parts in zip(windows, gong, self._held(windows), strict=True)]

    def halve(self, whole: Sequence[Counted]) -> list[Counted]:
        """Both halves of each window; one request for the two."""
        cuts = [split(counted.window, 2) for counted in whole]
        halves = []
        for counted, (_, later), first in zip(whole, cuts, self.count([cut[0] for cut in cuts]), strict=True):
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


def narrow(counter: Counter, ranges: Sequence[Counted], most_requests: int = MOST_REQUESTS) -> list[Counted]:
    """The windows of `ranges` that differ, cut small, and some that look equal and may not be; in time order.

    Sends at most `most_requests` requests.
    """
    found: list[Counted] = []
    equal: set[Counted] = set()
    fresh, asked, cuts, differences = list(ranges), len(ranges), 0, 0
    while True:
        equal |= {counted for counted in fresh if not counted.differs and counted.size}
        small = [counted for counted in fresh if counted.differs and counted.small]
        large = [counted for counted in fresh if counted.differs and not counted.small]
        if cuts + len(large) > _pages(large) or asked + len(large) > most_requests:
            small, large = small + large, []
        found += small
        differences += len(small)
        allowed = min(most_requests, _REQUESTS_WHEN_CLEAN + _REQUESTS_PER_DIFFERENCE * differences)
        spare = allowed - asked - _pages(found)
        # what looks equal waits until all that differs has told how much doubt there is
        doubtful: list[Counted] = []
        if not large and _pages(equal) <= spare:
            found, equal = found + list(equal), set()
        elif not large and spare > 0:
            doubtful = heapq.nlargest(min(spare, len(equal) // 2 + 1), equal, key=lambda c: (c.size, c.window))
        equal -= set(doubtful)
        found += [counted for counted in doubtful if counted.small]
        cut = large + [counted for counted in doubtful if not counted.small]
        if not cut and not doubtful:
            return sorted(found, key=lambda counted: counted.window)
        fresh = counter.halve(cut)
        asked += len(cut)
        cuts = cuts + len(cut) if large else 0


def _pages(windows: Iterable[Counted]) -> int:
    return sum(counted.pages for counted in windows)
