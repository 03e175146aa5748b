"""Fetches ranges of time: several windows at once, sized by their number of records, handed out in time order.

The pages of one window come one after the other, so speed comes from several windows in flight: as many as are needed
to use the permitted rate at the given latency.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gong_source.api.client import with_restarts
from gong_source.api.plan import LISTS, Extent, Pace, Range, extent_of, too_large
from gong_source.api.transport import Usage
from gong_source.errors import (
    GongError,
    PageCursorExpired,
    RecordError,
    RunStopped,
    UnexpectedAnswer,
)
from gong_source.windows import now_exactly, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from gong_source.api.client import Client, Page
    from gong_source.api.endpoints import Endpoint
    from gong_source.api.plan import Sizes
    from gong_source.windows import Window

Part = TypeVar("Part")

# So many windows are fetched at once as long as the latency is unknown. Gong permits 3 requests in the first second.
_FIRST_NEEDED = 3
# With fewer requests than this left, windows are fetched one at a time: two half-fetched windows are worth nothing.
_FEW_REQUESTS = 150
# Beyond this many requests per second, parsing is the limit, and more windows in flight only cost memory.
_FASTEST_USEFUL_RATE = 50.0
# A window with a record that cannot be read is fetched again in so many pieces.
_PIECES = 9
# Errors that concern one window only; the window is left out. Any other error concerns every window.
_WINDOW_ERRORS = (RecordError, UnexpectedAnswer, PageCursorExpired)


@dataclass(slots=True)
class FetchedWindow(Generic[Part]):
    """One window, fetched completely: its records in parts, and what the fetch took.

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
    """A window in flight, or done. At the end one of three is set: `fetched`, `error`, or `range_to_cut`.

    A window with too many records becomes `range_to_cut`. `cut_from` is the range that the window was cut from,
    `expected` the number of records that the cut aimed at, and `arrived` the number of those received.
    """

    window: Window
    cut_from: Range
    expected: float
    arrived: int = 0
    fetched: FetchedWindow[Part] | None = None
    range_to_cut: Range | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.fetched is not None or self.range_to_cut is not None or self.error is not None


class Fetch(Generic[Part]):
    """An iterator of fetched windows that cover `ranges`, which are disjoint and in time order.

    `convert` turns the next pages of a window into a part; it runs in a worker thread. `times_of` gives the call times
    on a page, a hint to where the records lie. `sizes` says how large windows and parts are. A window that cannot be
    loaded is left out, with its error in `failures`; if a record is to blame, the window is cut first, so that little
    is left out. Any other error ends the fetch after the windows that were finished; it is left in `stopped_by`. While
    the iteration waits for a window, `on_wait` is called twice a second.
    """

    def __init__(
        self,
        client: Client,
        endpoint: Endpoint,
        ranges: Iterable[Window],
        convert: Callable[[Window, Sequence[Page]], Part],
        times_of: Callable[[Page], Sequence[datetime]],
        *,
        sizes: Sizes = LISTS,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self.client = client
        self.on_wait = on_wait
        self.failures: list[tuple[Window, GongError]] = []
        self.stopped_by: BaseException | None = None
        self._endpoint = endpoint
        self._convert = convert
        self._times_of = times_of
        self._sizes = sizes
        self._items: list[Range | _Task[Part]] = [Range(window) for window in ranges]
        self._put_back: FetchedWindow[Part] | None = None
        self._ready: deque[_Task[Part]] = deque()
        self._condition = threading.Condition()
        self._in_flight = 0
        self._workers = 0
        self._closed = False
        self._usage_to_assign = Usage()
        self._handed_out = 0
        self._handed_out_seconds = 0.0

    def __iter__(self) -> Iterator[FetchedWindow[Part]]:
        return self

    def __next__(self) -> FetchedWindow[Part]:
        if self._put_back is not None:
            returned, self._put_back = self._put_back, None
            return returned
        while self._items:
            with self._condition:
                if self.stopped_by is None and self.client.transport.stopped.is_set():
                    self.stopped_by = RunStopped()
                self._fill()
                fetched = self._take()
                if fetched is not None:
                    return fetched
                if self._items:
                    self._condition.wait(0.5)
            self.on_wait()
        raise StopIteration

    def put_back(self, fetched: FetchedWindow[Part]) -> None:
        """Makes `fetched` the next window to be handed out again."""
        self._put_back = fetched

    def extent(self) -> Extent:
        """How far the fetch is, counted or estimated."""
        with self._condition:
            parts = [(item.window.seconds, _records_in(item), getattr(item, "arrived", 0)) for item in self._items]
            return extent_of(parts, self._handed_out, self._handed_out_seconds, self._sizes)

    def close(self) -> None:
        """Ends the fetch; its threads end as soon as the request that they wait for has ended."""
        with self._condition:
            self._closed = True
            self._items.clear()
            self._condition.notify_all()

    # The methods up to the next comment run with `_condition` held.

    def _take(self) -> FetchedWindow[Part] | None:
        """The first window if it is done, else None. After a stop, drops the windows that were not finished."""
        while self._items:
            head = self._items[0]
            if isinstance(head, _Task) and head.done:
                self._items.pop(0)
                if head.fetched is not None:
                    self._handed_out += head.fetched.records
                    self._handed_out_seconds += head.window.seconds
                    return head.fetched
                if head.range_to_cut is not None:
                    self._items.insert(0, head.range_to_cut)
                    self._fill()
                elif isinstance(head.error, RecordError) and not head.cut_from.is_piece:
                    self._items[:0] = [Range(piece, is_piece=True) for piece in split(head.window, _PIECES)]
                    self._fill()
                elif isinstance(head.error, _WINDOW_ERRORS):
                    self.failures.append((head.window, head.error))
            elif self.stopped_by is not None and (
                isinstance(head, Range) or self._in_flight == 0 or isinstance(self.stopped_by, RunStopped)
            ):
                self._items.pop(0)
            else:
                return None
        return None

    def _fill(self) -> None:
        """Starts windows until as many are in flight as the permitted rate needs at this latency."""
        while self.stopped_by is None and not self._closed and self._in_flight < (to_run := self._windows_to_run()):
            waiting = sum(isinstance(item, _Task) for item in self._items)
            position = next((i for i, item in enumerate(self._items) if isinstance(item, Range)), None)
            if position is None:
                return
            # Finished windows wait in memory until those before them are finished, so their number is bounded. The
            # first one is always started: all others wait for it.
            if position > 0 and waiting >= self._sizes.most_waiting + to_run:
                return
            found = self._items[position]
            assert isinstance(found, Range)
            task, range_finished = self._cut_window(found)
            self._items[position : position + range_finished] = [task]
            self._in_flight += 1
            self._ready.append(task)
            if self._workers < self._in_flight:
                self._workers += 1
                threading.Thread(target=self._work, name="gong-fetch", daemon=True).start()
            self._condition.notify_all()

    def _windows_to_run(self) -> int:
        """How many windows are to be in flight."""
        if self._has_few_requests():
            return 1
        average = self._average_in_flight()
        sizes = self._sizes
        return _FIRST_NEEDED if average is None else min(sizes.most_in_flight, math.ceil(sizes.ahead * average))

    def _least_in_flight(self) -> int:
        """How many requests have to be in flight at once to use the permitted rate."""
        average = self._average_in_flight()
        return _FIRST_NEEDED if average is None else min(self._sizes.most_in_flight, math.ceil(average))

    def _average_in_flight(self) -> float | None:
        """How many requests run at the same time at the permitted rate; None while the latency is unknown."""
        transport = self.client.transport
        if transport.latency_seconds is None:
            return None
        return min(transport.throttle.requests_per_second, _FASTEST_USEFUL_RATE) * transport.latency_seconds

    def _cut_window(self, rest: Range) -> tuple[_Task[Part], bool]:
        """The next window of `rest`, and whether that uses it up."""
        to_come = sum(max(item.records or 0.0, 0.0) for item in self._items if isinstance(item, Range))
        end = rest.window.end
        window, expected = rest.cut_window(self._pace(), to_come)
        return _Task(window, rest, math.nan if expected is None else expected), window.end == end

    def _pace(self) -> Pace:
        at_once = 1 if self._has_few_requests() else self._least_in_flight()
        return Pace(at_once, self.client.transport.throttle.left(), self._sizes)

    def _has_few_requests(self) -> bool:
        return self.client.transport.throttle.left() < _FEW_REQUESTS

    # The methods from here on run in the worker threads.

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._ready and not self._closed:
                    self._condition.wait()
                if self._closed:
                    return
                task = self._ready.popleft()
            before = replace(self.client.transport.used_by_this_thread())
            error: BaseException | None = None
            outcome: FetchedWindow[Part] | Range | None = None
            try:
                outcome = with_restarts(partial(self._fetch, task))
            except BaseException as raised:  # noqa: BLE001 - handed to the thread that iterates
                error = raised
            used = self.client.transport.used_by_this_thread()
            with self._condition:
                self._usage_to_assign.requests += used.requests - before.requests
                self._usage_to_assign.waited_seconds += used.waited_seconds - before.waited_seconds
                if isinstance(outcome, FetchedWindow):
                    outcome.requests, outcome.waited_seconds = (
                        self._usage_to_assign.requests,
                        self._usage_to_assign.waited_seconds,
                    )
                    self._usage_to_assign = Usage()
                    task.fetched = outcome
                task.range_to_cut = outcome if isinstance(outcome, Range) else None
                task.error = error
                if error is not None and self.stopped_by is None and not isinstance(error, _WINDOW_ERRORS):
                    self.stopped_by = error
                self._in_flight -= 1
                self._condition.notify_all()

    def _fetch(self, task: _Task[Part]) -> FetchedWindow[Part] | Range:
        """The window fetched completely, or the range that it turned out to be."""
        fetched: FetchedWindow[Part] = FetchedWindow(task.window, now_exactly())
        pages: list[Page] = []
        for page in self.client.pages(self._endpoint, task.window, lambda: self._priority(task, fetched)):
            if not fetched.pages:
                fetched.total, fetched.first_request_id = page.total, page.request_id
                if page.total is not None:
                    with self._condition:
                        task.cut_from.learn(task.window, task.expected, page.total)
                        task.expected = page.total
                    found = too_large(task.window, page.total, self._times_of(page), self._pace())
                    if found is not None:
                        return found
            fetched.pages += 1
            fetched.records += len(page.records)
            task.arrived = fetched.records
            fetched.last_request_id = page.request_id
            pages.append(page)
            if len(pages) == self._sizes.pages_per_part:
                fetched.parts.append(self._convert(task.window, pages))
                pages = []
            if self._closed:
                raise RunStopped
        if pages or not fetched.parts:
            fetched.parts.append(self._convert(task.window, pages))
        return fetched

    def _priority(self, task: _Task[Part], fetched: FetchedWindow[Part]) -> float:
        """Priority of a waiting request: the earliest window first, so an interrupted run leaves few half done.

        At the end, the window with most pages to come goes first, so that the last windows end together.
        """
        with self._condition:
            unfinished = sum(isinstance(item, Range) or not item.done for item in self._items)
            if unfinished <= self._least_in_flight() + 2:
                return -math.inf if math.isnan(task.expected) else fetched.records - task.expected
        return task.window.start.timestamp()


def _records_in(item: Range | _Task[Any]) -> float | None:
    """The records of a range or window, as counted by Gong or cut by such a count; None if that is not known yet."""
    count = item.records if isinstance(item, Range) else item.expected
    return None if count is None or math.isnan(count) else max(0.0, count)
