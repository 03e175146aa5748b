"""Narrows ranges down to the windows in which the count of records differs between Gong and the warehouse.

One request gives Gong's count of any window, however long. A window that differs is halved with one request: the count
of the other half follows. Halving ends when fetching the remaining windows costs no more than the halving did so far.

A missing and a surplus record in the same window cancel out. So equal counts prove nothing; only fetching everything
does. Such a pair is likely where the window is large, and where both missing and surplus records have been found. So
equal windows are halved too, the largest first, as long as a pair is likely enough. Windows in which the warehouse
itself knows of lost records are counted separately from the beginning.
"""

from __future__ import annotations

import heapq
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gong_source.api.plan import RECORDS_PER_PAGE
from gong_source.errors import UnexpectedAnswer
from gong_source.stored.query import in_window
from gong_source.windows import Window, cut, intersect, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from gong_source.api.client import Client
    from gong_source.resources.declare import Resource
    from gong_source.warehouse.warehouse import Warehouse

# Halving ends after this many requests, however much differs. Equal windows are halved until this many requests are
# sent or needed in all.
MOST_REQUESTS = 980
_REQUESTS_WHEN_CLEAN = 3
_REQUESTS_PER_DIFFERENCE = 22
# An equal window is halved if this many hidden pairs may be expected in it. Of simulated tables with 18 random damages
# among 100,000 records, 37 of 40 were repaired whole; a higher value costs less and finds less.
_PAIRS_FOR_A_REQUEST = 0.001
# If the equal windows have no more pages than this, or than requests were spent, all are fetched.
_FEW_PAGES = 60
# So many of the largest equal windows are halved in any case, once something differs.
_LEAST_TO_HALVE = 24
# Missing records alone are a weak sign of surplus ones: so many pairs for each difference.
_PAIRS_PER_DIFFERENCE = 0.125
# One window with known losses takes at most this part of the requests: 1 in 20. There are at most so many in 18.
_PART_FOR_A_SUSPECT, _PART_FOR_SUSPECTS = 20, 18
_SHORTEST_SECONDS = 2.0
_AT_ONCE = 6
_WINDOWS_PER_QUERY = 100


@dataclass(frozen=True, slots=True)
class Counted:
    """A window with Gong's count of its records, and the warehouse's count of those not marked as deleted."""

    window: Window
    listed: int
    stored: int

    @property
    def size(self) -> int:
        """The larger of the two counts."""
        return max(self.listed, self.stored)

    @property
    def pages(self) -> int:
        """The requests that fetching the window takes."""
        return max(1, math.ceil(self.listed / RECORDS_PER_PAGE))

    @property
    def differs(self) -> bool:
        """Whether the counts differ."""
        return self.listed != self.stored

    @property
    def small(self) -> bool:
        """Whether fetching the window is as cheap as halving it: it fits on one page, or most of it differs."""
        return (
            self.size <= RECORDS_PER_PAGE
            or 2 * abs(self.listed - self.stored) >= self.size
            or self.window.seconds < _SHORTEST_SECONDS
        )


@dataclass(slots=True)
class WindowCounter:
    """Counts the records of windows, in Gong and in the warehouse; `on_counted` is called after each window."""

    warehouse: Warehouse
    client: Client
    resource: Resource
    on_counted: Callable[[], None] = lambda: None

    @property
    def asked(self) -> int:
        """The requests that the run has sent so far."""
        return self.client.transport.usage.requests

    def count(self, windows: Sequence[Window]) -> list[Counted]:
        """The counts of `windows`; one request each."""
        listed = []
        with ThreadPoolExecutor(_AT_ONCE, "gong-count") as pool:
            for count in pool.map(self._listed, windows):
                listed.append(count)
                self.on_counted()
        return [Counted(*parts) for parts in zip(windows, listed, self._stored(windows), strict=True)]

    def part(self, whole: Counted, cuts: Sequence[datetime]) -> list[Counted]:
        """The window in pieces, cut at `cuts`, one request for each but the last; uncut if it fits on a page."""
        *pieces, last = cut(whole.window, cuts if whole.pages > 1 else ())
        parts = self.count(pieces)
        listed, stored = (sum(getattr(part, side) for part in parts) for side in ("listed", "stored"))
        return [*parts, Counted(last, max(0, whole.listed - listed), whole.stored - stored)]

    def halve(self, whole: Sequence[Counted]) -> list[Counted]:
        """Both halves of each window; one request for the two."""
        pairs = [split(counted.window, 2) for counted in whole]
        halves = []
        for counted, (_, later), first in zip(whole, pairs, self.count([pair[0] for pair in pairs]), strict=True):
            rest = Counted(later, max(0, counted.listed - first.listed), counted.stored - first.stored)
            halves += [first, rest]
        return halves

    def _listed(self, window: Window) -> int:
        endpoint = self.resource.endpoint
        page = self.client.page(endpoint, window)
        if page.total is None:
            raise UnexpectedAnswer(
                f"{endpoint.method} {endpoint.path} answered without totalRecords", request_id=page.request_id
            )
        return page.total

    def _stored(self, windows: Sequence[Window]) -> list[int]:
        counts: list[int] = []
        column = self.resource.time_column
        for at in range(0, len(windows), _WINDOWS_PER_QUERY):
            batch = windows[at : at + _WINDOWS_PER_QUERY]
            sums = ", ".join([f"sum(case when {column} >= %s and {column} < %s then 1 else 0 end)"] * len(batch))
            bounds = [bound for window in batch for bound in (window.start, window.end)]
            condition, parameters = in_window(self.resource, Window(min(bounds), max(bounds)), self.client.workspace_id)
            found = self.warehouse.query(
                f"select {sums} from {{dataset}}.{self.resource.table.name} where {condition} and deleted_at is null",
                *bounds,
                *parameters,
            )
            counts += [int(count or 0) for count in found[0]] if found else [0] * len(batch)
        return counts


def narrow(
    counter: WindowCounter, ranges: Sequence[Counted], suspects: Sequence[Window], most_requests: int = MOST_REQUESTS
) -> list[Counted]:
    """The windows of `ranges` that differ, cut small, and some that look equal and may not be; in time order.

    `suspects` are windows with known losses, the most certain first. They are counted separately from the time between
    them, and are returned also if they look equal: there a surplus record may hide the lost one. At most
    `most_requests` windows that differ are halved, and none that look equal once the run has sent so many requests.
    """
    suspects = suspects[: most_requests // _PART_FOR_SUSPECTS]
    edges = [edge for window in suspects for edge in (window.start, window.end)]
    parts = [part for counted in ranges for part in counter.part(counted, edges)]
    suspected = [part for part in parts if intersect(suspects, [part.window])]
    even = [part for part in suspected if not part.differs and part.pages <= most_requests // _PART_FOR_A_SUSPECT]
    search = _Search(counter, most_requests, len(suspected), even)
    search.cut([part for part in parts if part not in even])
    search.halve_equal()
    return sorted(search.found, key=lambda counted: counted.window)


@dataclass(slots=True)
class _Search:
    """A search: `found` are windows to fetch, `equal` those that look equal, `known` how many differences are.

    `halved` counts the equal windows that were halved.
    """

    counter: WindowCounter
    most: int
    known: int
    found: list[Counted]
    equal: set[Counted] = field(default_factory=set)
    halved: int = 0

    def cut(self, batch: Sequence[Counted]) -> None:
        """Halves the windows of `batch` that differ, until fetching them is cheaper."""
        cuts = 0
        while batch:
            self.equal |= {counted for counted in batch if not counted.differs and counted.size}
            self.found += [counted for counted in batch if counted.differs and counted.small]
            large = [counted for counted in batch if counted.differs and not counted.small]
            cuts += len(large)
            if cuts > min(_pages(large), self.most):
                self.found += large
                return
            batch = self.counter.halve(large)

    def halve_equal(self) -> None:
        """Halves windows that look equal, or fetches them where that is as cheap; halves that differ are cut too."""
        while self.equal and (left := self._requests_left()) > 0:
            cheap = max(_FEW_PAGES, self.counter.asked + _pages(self.found))
            if _pages(self.equal) <= min(left, cheap):  # certainty for no more than doubt has cost
                self.found += self.equal
                return
            # At most half of the requests: what these windows show takes requests too.
            number = min(left // 2 + 1, max(self._likely_windows(), _LEAST_TO_HALVE - self.halved))
            largest = heapq.nlargest(number, self.equal, key=lambda counted: (counted.size, counted.window))
            if not largest:
                return
            self.halved += number
            self.equal.difference_update(largest)
            self.found += [counted for counted in largest if counted.pages == 1]
            self.cut(self.counter.halve([counted for counted in largest if not counted.small]))

    def _differences(self) -> tuple[int, int]:
        """How many windows with missing records are known, and how many with surplus ones."""
        missing = sum(counted.listed > counted.stored for counted in self.found)
        surplus = sum(counted.listed < counted.stored for counted in self.found)
        return max(self.known, missing), surplus

    def _requests_left(self) -> int:
        """The requests that the differences so far justify, less those sent and those that fetching takes."""
        allowed = _REQUESTS_WHEN_CLEAN + _REQUESTS_PER_DIFFERENCE * sum(self._differences())
        return min(self.most, allowed) - self.counter.asked - _pages(self.found)

    def _likely_windows(self) -> int:
        """How many of the windows that look equal are likely enough to hide a pair."""
        missing, surplus = self._differences()
        pairs = missing * surplus + _PAIRS_PER_DIFFERENCE * (missing + surplus)
        everything = sum(counted.size for counted in (*self.equal, *self.found))
        return sum(pairs * (counted.size / everything) ** 2 >= _PAIRS_FOR_A_REQUEST for counted in self.equal)


def _pages(windows: Iterable[Counted]) -> int:
    return sum(counted.pages for counted in windows)
