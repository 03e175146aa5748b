"""Fetches what Gong has for named calls: many calls in a request, several requests at once, handed out in order."""

from __future__ import annotations

import math
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from gong_source.api.client import with_restarts
from gong_source.errors import BadRequest, GongError, PageCursorExpired, RecordError, RunStopped, UnexpectedAnswer
from gong_source.windows import now_exactly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from gong_source.api.client import Client, Page
    from gong_source.api.endpoints import Endpoint
    from gong_source.api.responses import QuickReader

Part = TypeVar("Part")

# The most ids that a request was seen to take.
MOST_IDS = 100
# With fewer ids than this in a request, their number is not why Gong rejects it.
_FEW_IDS = 10
# A request with a record that cannot be read is sent again in so many pieces.
_PIECES = 10
# After so many failed requests in a row, the fault does not lie with single calls.
_MOST_FAILURES = 25
# An answer with transcripts takes some 35 MB while it is read, so few are read at once. It takes some 10 MB when it is
# ready and waits, as it does while a chunk is loaded.
_MOST_AT_ONCE = 4
_MOST_HELD = 4
# No more answers than this can be read in a second. Others would only wait in memory.
_FASTEST_USEFUL_RATE = 10.0


@dataclass(frozen=True, slots=True)
class CallsAnswer(Generic[Part]):
    """What Gong answered for some calls, and what that took; `asked_at` is UTC."""

    ids: Sequence[str]
    asked_at: datetime
    part: Part
    pages: int
    requests: int
    waited_seconds: float
    first_request_id: str
    last_request_id: str


class FetchByIds(Generic[Part]):
    """An iterator of answers for `ids`, in their order. Between the iterations, a few more answers are made ready.

    `convert` turns the pages of an answer into a part. `quick` reads the records of pages that hold nothing unexpected.
    Both run in worker threads. If Gong rejects a request, the next ones name half as many calls. Calls that cannot be
    loaded are left out, with the error in `failures`; the request is sent again in pieces first, so that few are left
    out. Any other error, and many failed requests in a row, end the fetch after the requests that were finished; the
    error is left in `stopped_by`. While the iteration waits, `on_wait` is called twice a second.
    """

    def __init__(
        self,
        client: Client,
        endpoint: Endpoint,
        ids: Sequence[str],
        convert: Callable[[Sequence[str], Sequence[Page]], Part],
        *,
        quick: QuickReader | None = None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self.client = client
        self.endpoint = endpoint
        self.on_wait = on_wait
        self.failures: list[tuple[Sequence[str], GongError]] = []
        self.stopped_by: BaseException | None = None
        self._convert = convert
        self._quick = quick
        self._most_ids = MOST_IDS
        self._failed_in_a_row = 0
        self._waiting: deque[Sequence[str]] = deque(_pieces(ids, MOST_IDS))
        self._running: deque[tuple[Sequence[str], Future[CallsAnswer[Part]]]] = deque()
        self._put_back: CallsAnswer[Part] | None = None
        self._lock = threading.Lock()  # for what has to be sent and what has been
        self._pool = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="gong-fetch")

    def __iter__(self) -> Iterator[CallsAnswer[Part]]:
        return self

    def __next__(self) -> CallsAnswer[Part]:
        if self._put_back is not None:
            returned, self._put_back = self._put_back, None
            return returned
        while True:
            self._start()
            if not self._running:
                raise StopIteration
            ids, future = self._running[0]
            wait([future], 0.5)
            if not future.done():
                self.on_wait()
                continue
            with self._lock:
                self._running.popleft()
                error = future.exception()
                if error is not None:
                    self._take_in(ids, error)
                    continue
            self._failed_in_a_row = 0
            self._start()
            return future.result()

    def describe_failures(self) -> list[str]:
        """What could not be loaded, and why: a sentence for each request."""
        return [
            f"call {ids[0]}: {error}" if len(ids) == 1 else f"{len(ids):,} calls, the first is {ids[0]}: {error}"
            for ids, error in self.failures
        ]

    def put_back(self, answer: CallsAnswer[Part]) -> None:
        """Makes `answer` the next one to be handed out again."""
        self._put_back = answer

    def close(self) -> None:
        """Ends the fetch; its threads end as soon as the request that they wait for has ended."""
        with self._lock:
            self._waiting.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        """Sends requests until as many are under way as the permitted rate needs at this latency, or enough are ready.

        Also runs in a worker thread, when its request has ended.
        """
        started = []
        with self._lock:
            if self.stopped_by is None and self.client.transport.stopped.is_set():
                self.stopped_by = RunStopped()
            if self.stopped_by is not None:
                self._waiting.clear()
            while self._waiting and self._may_send():
                ids = self._waiting.popleft()
                if len(ids) > self._most_ids:
                    self._waiting.extendleft(reversed(list(_pieces(ids, self._most_ids))))
                    ids = self._waiting.popleft()
                started.append(self._pool.submit(self._fetch, ids))
                self._running.append((ids, started[-1]))
        for future in started:
            future.add_done_callback(lambda _: self._start())

    def _may_send(self) -> bool:
        """Whether there is room for one more answer. After an error, the iteration decides first what to send."""
        ready = [future for _, future in self._running if future.done()]
        if len(self._running) >= _MOST_HELD or any(future.exception() is not None for future in ready):
            return False
        return len(self._running) - len(ready) < self._at_once()

    def _at_once(self) -> int:
        transport = self.client.transport
        if transport.latency_seconds is None:
            return 2
        rate = min(transport.throttle.requests_per_second, _FASTEST_USEFUL_RATE)
        return min(_MOST_AT_ONCE, math.ceil(rate * transport.latency_seconds) + 1)

    def _take_in(self, ids: Sequence[str], error: BaseException) -> None:
        """Decides what an error means for the calls of its request, and for the rest of the fetch."""
        self._failed_in_a_row += 1
        rejected = isinstance(error, BadRequest) and not isinstance(error, PageCursorExpired)
        concerns_its_calls = rejected or isinstance(error, RecordError | UnexpectedAnswer | PageCursorExpired)
        if not concerns_its_calls or self._failed_in_a_row >= _MOST_FAILURES:
            self.stopped_by = self.stopped_by or error
        elif rejected and len(ids) > _FEW_IDS:
            self._most_ids = min(self._most_ids, len(ids) // 2)
            self._again(ids, self._most_ids)
        elif len(ids) > 1 and (rejected or isinstance(error, RecordError)):
            self._again(ids, 1 if rejected else math.ceil(len(ids) / _PIECES))
        else:
            assert isinstance(error, GongError)
            self.failures.append((ids, error))
            self._most_ids = MOST_IDS  # this call was to blame, not the number of calls

    def _again(self, ids: Sequence[str], size: int) -> None:
        """Puts the calls of a failed request first in line, in pieces."""
        self._waiting.extendleft(reversed(list(_pieces(ids, size))))

    def _fetch(self, ids: Sequence[str]) -> CallsAnswer[Part]:
        """Runs in a worker thread."""
        transport, asked_at = self.client.transport, now_exactly()
        before = replace(transport.used_by_this_thread())
        pages = with_restarts(lambda: list(self.client.pages(self.endpoint, ids, quick=self._quick)))
        part = self._convert(ids, pages)
        used = transport.used_by_this_thread()
        return CallsAnswer(
            ids,
            asked_at,
            part,
            len(pages),
            used.requests - before.requests,
            used.waited_seconds - before.waited_seconds,
            pages[0].request_id,
            pages[-1].request_id,
        )


def _pieces(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), size):
        yield ids[at : at + size]
