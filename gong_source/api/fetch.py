"""Walks ranges of time: several windows at once, sized by the calls they hold, handed out in time order.

Pages of one window follow each other, so speed comes from several windows in flight: as many as latency needs to use
the permitted rate.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from gong_source.api.plan import FIRST_PIECES, Pace, Range, first_ranges, too_large
from gong_source.api.transport import Usage
from gong_source.errors import (
    GongError,
    PageCursorExpired,
    RecordError,
    UnexpectedAnswer,
    WalkStopped,
)
from gong_source.windows import now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from gong_source.api.client import Client, Endpoint, Page
    from gong_source.windows import Window

Part = TypeVar("Part")

# So many before the latency is known: the permitted rate lets no more out in the first second.
_FIRST_NEEDED = 3
# With fewer requests than this left in a budget, one window at a time: two half walked are worth nothing.
_FEW_REQUESTS = 150
_MOST_IN_FLIGHT = 12
# Beyond this many requests a second parsing is the limit, and more windows in flight only cost memory.
_FASTEST_USEFUL_RATE = 50.0
_PAGES_PER_PART = 20
_RESTARTS = 2
# What one window is left out for; any other error concerns every window.
_WINDOW_ERRORS = (RecordError, UnexpectedAnswer, PageCursorExpired)


@dataclass(slots=True)
class WalkedWindow(Generic[Part]):
    """One window, walked to its end: its calls in parts, and what the walk was like.

    `total` is Gong's count on the first page, `records` the number of records received.
    """

    window: Window
    fetched_at: datetime
    parts: list[Part] = field(default_factory=list)
    total: int | None = None
    records: int = 0
    pages: int = 0
    requests: int = 0
    waited_seconds: float = 0.0
    first_request_id: str = ""
    last_request_id: str = ""


@dataclass(eq=False, slots=True)
class _Task(Generic[Part]):
    """A window being walked, or done: one of `walked`, `too_large` and `error` is set at the end.

    `rest` is the range it was carved from, and `expected` the number of calls it was carved for.
    """

    window: Window
    rest: Range
    expected: float
    walked: WalkedWindow[Part] | None = None
    too_large: Range | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.walked is not None or self.too_large is not None or self.error is not None


class Walk(Generic[Part]):
    """An iterator of walked windows that cover `ranges`, which are disjoint and in time order.

    `convert` turns the next pages of a window into a part; it runs in a worker thread. `times_of` gives the call times
    on a page, as a hint to where the calls lie; `small` says that no range needs to be begun at several places. A
    window that cannot be loaded is left out and its error put into `failures`. Any other error ends the walk, after the
    windows that were finished, and is left in `stopped_by`.
    """

    def __init__(
        self,
        client: Client,
        endpoint: Endpoint,
        ranges: Iterable[Window],
        convert: Callable[[Window, Sequence[Page]], Part],
        times_of: Callable[[Page], Sequence[datetime]],
        *,
        small: bool = False,
    ) -> None:
        self.client = client
        self.failures: list[tuple[Window, GongError]] = []
        self.stopped_by: BaseException | None = None
        self._endpoint = endpoint
        self._convert = convert
        self._times_of = times_of
        self._nodes: list[Range | _Task[Part]] = [*first_ranges(ranges, small=small)]
        self._returned: WalkedWindow[Part] | None = None
        self._ready: deque[_Task[Part]] = deque()
        self._changed = threading.Condition()
        self._in_flight = 0
        self._workers = 0
        self._closed = False
        self._unassigned = Usage()

    def __iter__(self) -> Iterator[WalkedWindow[Part]]:
        return self

    def __next__(self) -> WalkedWindow[Part]:
        if self._returned is not None:
            returned, self._returned = self._returned, None
            return returned
        with self._changed:
            while self._nodes:
                if self.stopped_by is None and self.client.transport.stopped.is_set():
                    self.stopped_by = WalkStopped("stopped on request")
                self._fill()
                walked = self._take()
                if walked is not None:
                    return walked
                if self._nodes:
                    self._changed.wait(0.5)
        raise StopIteration

    def put_back(self, walked: WalkedWindow[Part]) -> None:
        """Makes `walked` the next window to be handed out again."""
        self._returned = walked

    def calls_to_come(self) -> int | None:
        """How many calls are still to be handed out, as far as Gong has told; None while it has not."""
        with self._changed:
            counts = [n.calls if isinstance(n, Range) else n.expected for n in self._nodes]
        known = [count for count in counts if count is not None and not math.isnan(count)]
        return max(0, round(sum(known))) if len(known) == len(counts) else None

    def close(self) -> None:
        """Ends the walk; its threads leave as soon as the request they wait for has ended."""
        with self._changed:
            self._closed = True
            self._nodes.clear()
            self._changed.notify_all()

    # the methods up to the next comment run with `_changed` held

    def _take(self) -> WalkedWindow[Part] | None:
        """The first window, if it is done, or None; drops what a stopped walk leaves undone."""
        while self._nodes:
            head = self._nodes[0]
            if isinstance(head, _Task) and head.done:
                self._nodes.pop(0)
                if head.walked is not None:
                    return head.walked
                if head.too_large is not None:
                    self._nodes.insert(0, head.too_large)
                    self._fill()
                elif isinstance(head.error, _WINDOW_ERRORS):
                    self.failures.append((head.window, head.error))
            elif self.stopped_by is not None and (
                isinstance(head, Range) or self._in_flight == 0 or isinstance(self.stopped_by, WalkStopped)
            ):
                self._nodes.pop(0)
            else:
                return None
        return None

    def _fill(self) -> None:
        """Starts windows until as many are in flight as the permitted rate and the latency call for."""
        while self.stopped_by is None and not self._closed and self._in_flight < (wanted := self._wanted()):
            waiting = sum(isinstance(node, _Task) for node in self._nodes)
            position = next((i for i, node in enumerate(self._nodes) if isinstance(node, Range)), None)
            if position is None:
                return
            # results wait in memory for those before them; but what all wait for has to be begun
            if position > 0 and waiting >= FIRST_PIECES + wanted:
                return
            found = self._nodes[position]
            assert isinstance(found, Range)
            task, used_up = self._carve(found)
            self._nodes[position : position + used_up] = [task]
            self._in_flight += 1
            self._ready.append(task)
            if self._workers < self._in_flight:
                self._workers += 1
                threading.Thread(target=self._work, name="gong-walk", daemon=True).start()
            self._changed.notify_all()

    def _wanted(self) -> int:
        """How many windows are to be in flight."""
        if self.client.transport.throttle.left() < _FEW_REQUESTS:
            return 1
        under_way = self._under_way()
        # the more there are to choose from, the better the order in which they get their turns
        return _FIRST_NEEDED if under_way is None else min(_MOST_IN_FLIGHT, math.ceil(3 * under_way))

    def _needed(self) -> int:
        """How many requests have to be under way at once to use the permitted rate."""
        under_way = self._under_way()
        return _FIRST_NEEDED if under_way is None else min(_MOST_IN_FLIGHT, math.ceil(under_way))

    def _under_way(self) -> float | None:
        """How many requests are under way on average at the permitted rate; None while the latency is unknown."""
        transport = self.client.transport
        if transport.latency_seconds is None:
            return None
        return min(transport.throttle.requests_per_second, _FASTEST_USEFUL_RATE) * transport.latency_seconds

    def _carve(self, rest: Range) -> tuple[_Task[Part], bool]:
        """The next window of `rest`, and whether that uses it up."""
        to_come = sum(max(node.calls or 0.0, 0.0) for node in self._nodes if isinstance(node, Range))
        end = rest.window.end
        window, expected = rest.carve(self._pace(), to_come)
        return _Task(window, rest, math.nan if expected is None else expected), window.end == end

    def _pace(self) -> Pace:
        return Pace(self._needed(), self.client.transport.throttle.left())

    # the methods from here on run in the worker threads

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._ready and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                task = self._ready.popleft()
            before = replace(self.client.transport.used_by_this_thread())
            error: BaseException | None = None
            outcome: WalkedWindow[Part] | Range | None = None
            try:
                outcome = self._walk(task)
            except BaseException as raised:  # noqa: BLE001 - handed to the thread that iterates
                error = raised
            used = self.client.transport.used_by_this_thread()
            with self._changed:
                self._unassigned.requests += used.requests - before.requests
                self._unassigned.waited_seconds += used.waited_seconds - before.waited_seconds
                if isinstance(outcome, WalkedWindow):
                    outcome.requests, outcome.waited_seconds = (
                        self._unassigned.requests,
                        self._unassigned.waited_seconds,
                    )
                    self._unassigned = Usage()
                    task.walked = outcome
                task.too_large = outcome if isinstance(outcome, Range) else None
                task.error = error
                if error is not None and self.stopped_by is None and not isinstance(error, _WINDOW_ERRORS):
                    self.stopped_by = error
                self._in_flight -= 1
                self._changed.notify_all()

    def _walk(self, task: _Task[Part]) -> WalkedWindow[Part] | Range:
        """The window walked to its end, or the range that it turned out to be."""
        restarts = 0
        while True:
            try:
                return self._walk_once(task)
            except PageCursorExpired:
                restarts += 1
                if restarts > _RESTARTS:
                    raise

    def _walk_once(self, task: _Task[Part]) -> WalkedWindow[Part] | Range:
        walked: WalkedWindow[Part] = WalkedWindow(task.window, now())
        pages: list[Page] = []
        for page in self.client.pages(self._endpoint, task.window, lambda: self._rank(task, walked)):
            if not walked.pages:
                walked.total, walked.first_request_id = page.total, page.request_id
                if page.total is not None:
                    with self._changed:
                        task.rest.learn(task.window, task.expected, page.total)
                        task.expected = page.total
                    found = too_large(task.window, page.total, self._times_of(page), self._pace())
                    if found is not None:
                        return found
            walked.pages += 1
            walked.records += len(page.records)
            walked.last_request_id = page.request_id
            pages.append(page)
            if len(pages) == _PAGES_PER_PART:
                walked.parts.append(self._convert(task.window, pages))
                pages = []
            if self._closed:
                raise WalkStopped("stopped on request")
        if pages or not walked.parts:
            walked.parts.append(self._convert(task.window, pages))
        return walked

    def _rank(self, task: _Task[Part], walked: WalkedWindow[Part]) -> float:
        """Whose turn it is: the earliest window's, so that a run cut short leaves few windows unfinished.

        At the end the turn is that of the window with most pages to come, so that the last ones end together.
        """
        with self._changed:
            unfinished = sum(isinstance(node, Range) or not node.done for node in self._nodes)
            if unfinished <= self._needed() + 2:
                return -math.inf if math.isnan(task.expected) else walked.records - task.expected
        return task.window.start.timestamp()
