"""Fetching ranges of time: every call once, in order, within the requests it should take, whatever happens."""

from __future__ import annotations

import math
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gong_source.api.client import Client, Page
from gong_source.api.endpoints import CALLS
from gong_source.api.fetch import Fetch, FetchedWindow
from gong_source.api.plan import LISTS, WITH_CONTENT, Extent, Sizes
from gong_source.api.throttle import Throttle
from gong_source.api.transport import Transport
from gong_source.errors import (
    AuthenticationFailed,
    PageCursorExpired,
    QuotaExhausted,
    RecordError,
    RunStopped,
    Unavailable,
    UnexpectedAnswer,
)
from gong_source.records.call_time import page_times
from gong_source.runs.run import Progress
from gong_source.simulator import Call, Fault, Settings, Simulator, Tenant
from gong_source.windows import Window, split, subtract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

JANUARY, NEXT = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
YEAR = Window(JANUARY, NEXT)
NOON = datetime(2025, 7, 9, 12, tzinfo=UTC)
UNLIMITED = replace(Settings(), requests_per_second=None, daily_quota=None)

Ids = list[str]
IdsFetch = Fetch[Ids]


def ids_of(_: Window, pages: Sequence[Page]) -> Ids:
    """The ids on the pages; a record without one fails its window, as in a real conversion."""
    records = [record for page in pages for record in page.records]
    if any("id" not in record for record in records):
        raise RecordError("a record without an id")
    return [record["id"] for record in records]


def wait_until(true: Callable[[], bool]) -> None:
    """Returns as soon as it is true; what never happens fails the test."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class _Ticks:
    """Unix seconds that pass only while somebody sleeps, for several threads.

    They do not pass before `settled`: where that says that nothing is on its way, a server that shares this clock sees
    each request at the very moment at which it was sent.
    """

    def __init__(self) -> None:
        self.now = 1e9
        self.settled: Callable[[], bool] = lambda: True
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            wait_until(self.settled)
            self.now += seconds


@contextmanager
def fetching(
    simulator: Simulator,
    *ranges: Window,
    rate: float = 3.0,
    ticks: _Ticks | None = None,
    stopped: threading.Event | None = None,
    sizes: Sizes = LISTS,
    convert: Callable[[Window, Sequence[Page]], Ids] = ids_of,
    **throttle: Any,
) -> Iterator[IdsFetch]:
    """A fetch of these ranges, the year by default; its threads have ended at the end.

    At the rate of production, in seconds that take no time: how many windows are fetched at once follows from the rate
    and from how long the machine takes to answer, and only a low rate makes that the same on a busy one.
    """
    ticks = ticks or _Ticks()
    paced = Throttle(rate, clock=ticks, sleep=ticks.sleep, **throttle)
    client = Client(Transport(simulator.base_url, "key", "secret", throttle=paced, stopped=stopped))
    fetch = Fetch(client, CALLS, ranges or (YEAR,), convert, page_times, sizes=sizes)
    others = set(threading.enumerate())
    try:
        yield fetch
    finally:
        fetch.close()
        for thread in set(threading.enumerate()) - others:
            if thread.name == "gong-fetch":
                thread.join(10)
        client.transport.close()


def check_tiling(windows: Sequence[FetchedWindow[Ids]], ranges: Sequence[Window]) -> None:
    """The windows are in time order, and put together they are exactly the ranges."""
    left = list(ranges)
    for fetched in windows:
        assert fetched.window.start == left[0].start
        assert fetched.window.end <= left[0].end
        left[0:1] = [Window(fetched.window.end, left[0].end)] if fetched.window.end < left[0].end else []
    assert left == []


def received(windows: Sequence[FetchedWindow[Ids]]) -> Ids:
    """The ids of all windows, in order."""
    return [call_id for fetched in windows for part in fetched.parts for call_id in part]


def crowd(count: int, at: datetime, seconds: float, *, first_id: int = 1, seed: int = 0) -> list[Call]:
    """Calls at random times within `seconds` after `at`."""
    draw = random.Random(seed).random
    times = [at + timedelta(microseconds=int(draw() * seconds * 1e6)) for _ in range(count)]
    return [Call(str(first_id + number), moment, moment) for number, moment in enumerate(times)]


# every call once


@st.composite
def tenants(draw: st.DrawFn) -> tuple[Tenant, list[Window]]:
    """A tenant of any shape and size, and disjoint ranges to fetch, of which some may hold nothing."""
    count = draw(st.sampled_from([0, 1, 99, 100, 101, 1000, 4500, 9000]))
    days = draw(st.sampled_from([1, 20, 40, 365, 2000]))
    end = JANUARY + timedelta(days=days)
    seed = draw(st.integers(0, 9))
    kind = draw(st.sampled_from(["uniform", "business", "burst", "second", "two crowds"]))
    shape: Literal["uniform", "business", "burst"] = "uniform"
    if kind in {"uniform", "business", "burst"}:
        shape = kind  # type: ignore[assignment]
        tenant = Tenant.generate(count, start=JANUARY, end=end, seed=seed, shape=shape, wild=draw(st.booleans()))
    elif kind == "second":
        tenant = Tenant(crowd(count, JANUARY + timedelta(hours=7, seconds=seed * 0.4), 1.0))
    else:
        late = crowd(count, JANUARY + timedelta(hours=20), 600.0, first_id=10**6)
        tenant = Tenant([*crowd(count // 2, JANUARY, 3600.0), *late])
    cuts = sorted(draw(st.sets(st.integers(1, 23), max_size=4)))
    bounds = [JANUARY, *(JANUARY + timedelta(days=days * cut / 24) for cut in cuts), end]
    pieces = [Window(low, high) for low, high in pairwise(bounds)]
    return tenant, pieces if draw(st.booleans()) else pieces[::2]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    drawn=tenants(),
    order=st.sampled_from(["ascending", "descending"]),
    rule=st.sampled_from(["documented", "scheduled", "started"]),
    page_size=st.sampled_from([100, 700]),
    rate=st.sampled_from([30.0, 10_000.0]),
)
def test_every_call_exactly_once(
    drawn: tuple[Tenant, list[Window]], order: Any, rule: Any, page_size: int, rate: float
) -> None:
    """Whatever the tenant, the order of its pages and its rule: each call of the ranges once, and nothing else."""
    tenant, ranges = drawn
    behaviour = replace(UNLIMITED, order=order, rule=rule, page_size=page_size)
    with Simulator(tenant, behaviour) as simulator, fetching(simulator, *ranges, rate=rate) as fetch:
        windows = list(fetch)
        arrived = len(simulator.requests)

    filed = {call.id: tenant.effective_time(call, rule) for call in tenant.calls.values()}
    expected = {call_id for call_id, at in filed.items() if at is not None and any(at in piece for piece in ranges)}
    got = received(windows)
    assert len(got) == len(set(got))
    assert set(got) == expected
    check_tiling(windows, ranges)
    assert (fetch.failures, fetch.stopped_by) == ([], None)
    assert sum(fetched.requests for fetched in windows) == arrived
    assert all(fetched.total == fetched.records == len(received([fetched])) for fetched in windows)
    for fetched in windows:
        assert {call_id for call_id, at in filed.items() if at is not None and at in fetched.window} == set(
            received([fetched])
        )


# what it costs


@cache
def tenant_like(kind: str) -> Tenant:
    """A tenant with calls in one year, made once for both orders of pages."""
    if kind == "an hour":
        return Tenant(crowd(50_000, NOON, 3600.0))
    if kind == "a second":
        return Tenant(crowd(10_000, NOON, 0.0))
    if kind == "30,000 in a second":
        return Tenant(crowd(30_000, NOON, 0.9))
    if kind == "second and year":
        return Tenant([*crowd(10_000, NOON, 0.0), *crowd(9000, JANUARY, 3e7, first_id=10**6)])
    count, shape = kind.split()
    return Tenant.generate(int(count), start=JANUARY, end=NEXT, shape=shape, seed=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "share"),
    [
        ("20000 uniform", 1.05),
        ("20000 business", 1.05),
        ("26000 business", 1.1),
        ("40000 business", 1.1),
        ("100000 business", 1.02),
        ("20000 burst", 1.05),
        ("an hour", 1.08),
        ("a second", 1.1),
        ("30,000 in a second", 1.1),
        ("second and year", 1.2),
    ],
)
@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_requests_are_not_wasted(kind: str, share: float, order: Any) -> None:
    """Planning and half-empty pages cost few requests beyond the pages that the calls need."""
    tenant = tenant_like(kind)
    with Simulator(tenant, replace(UNLIMITED, order=order)) as simulator, fetching(simulator) as fetch:
        windows = list(fetch)

        assert len(received(windows)) == len(set(received(windows))) == len(tenant)
        assert len(simulator.requests) <= share * math.ceil(len(tenant) / 100)


def test_small_budgets_make_progress() -> None:
    """Each run with a small budget finishes some windows. Together they finish all, and fetch little twice."""
    tenant = Tenant.generate(3000, start=JANUARY, end=NEXT, seed=8)
    left, ids, runs = [YEAR], [], 0
    with Simulator(tenant, UNLIMITED) as simulator:
        while left:
            with fetching(simulator, *left, max_requests=20) as fetch:
                windows = list(fetch)
            assert windows
            left = subtract(left, [fetched.window for fetched in windows])
            ids += received(windows)
            runs += 1

        assert len(ids) == len(set(ids)) == 3000
        assert len(simulator.requests) <= runs * 20 <= 100


@pytest.mark.parametrize("count", [1, 300, 2000, 4000])
@pytest.mark.parametrize("shape", ["uniform", "business", "burst"])
def test_few_calls_in_years_take_their_pages_only(count: int, shape: Any) -> None:
    """So many calls in five years are one window: one request for each page, and none to find out where they lie."""
    end = JANUARY + timedelta(days=5 * 365)
    tenant = Tenant.generate(count, start=JANUARY, end=end, seed=5, shape=shape)
    with Simulator(tenant, UNLIMITED) as simulator, fetching(simulator, Window(JANUARY, end)) as fetch:
        assert len(received(list(fetch))) == count
        assert len(simulator.requests) == math.ceil(count / 100)


def test_empty_month_takes_one_request() -> None:
    """A range without calls is one window, one request and one empty part."""
    month = Window(JANUARY, JANUARY + timedelta(days=30))
    with Simulator(Tenant(), UNLIMITED) as simulator, fetching(simulator, month) as fetch:
        (fetched,) = list(fetch)

        assert (fetched.window, fetched.parts, fetched.total, fetched.pages) == (month, [[]], 0, 1)
        assert len(simulator.requests) == 1


def test_no_range_takes_no_request() -> None:
    """If there is nothing to fetch, no request is sent."""
    with Simulator(Tenant(), UNLIMITED) as simulator:
        client = Client(Transport(simulator.base_url, "key", "secret", throttle=Throttle(1000.0)))
        fetch: IdsFetch = Fetch(client, CALLS, [], ids_of, page_times)

        assert list(fetch) == []
        assert fetch.extent() == Extent(0, 0, 0, exact=True)
        assert simulator.requests == []
        client.transport.close()


def test_windows_are_fetched_at_once() -> None:
    """With a slow answer to each request, as many windows are in flight as the permitted rate takes."""
    together = threading.Barrier(5)  # 50 requests a second at the most, each of which takes a tenth of one
    first = iter(range(5))

    def convert(window: Window, pages: Sequence[Page]) -> Ids:
        if next(first, None) is not None:
            together.wait(30)  # a fetch with fewer windows in flight never gets past this
        return ids_of(window, pages)

    tenant = Tenant.generate(20_000, start=JANUARY, end=NEXT)
    slow = replace(UNLIMITED, latency_seconds=0.1)
    with Simulator(tenant, slow) as simulator, fetching(simulator, rate=1000.0, convert=convert) as fetch:
        assert len(received(list(fetch))) == 20_000
        assert fetch.stopped_by is None


def test_gongs_own_limit_is_kept() -> None:
    """With several windows in flight, a server that permits 3 requests in any second never has to refuse one."""
    ticks = _Ticks()
    limited = replace(UNLIMITED, requests_per_second=3.0, clock=ticks)
    with Simulator(calls_in(*range(8)), limited) as simulator:
        with fetching(simulator, *map(month, range(8)), ticks=ticks) as fetch:
            ticks.settled = lambda: len(simulator.requests) == fetch.client.transport.throttle.sent
            assert len(set(received(list(fetch)))) == 8 * 250
        times = [request.clock for request in simulator.requests]

        assert [request.status for request in simulator.requests] == [200] * 24
        assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[3:], strict=False))
        assert times[-1] - times[0] < 24 / 3 * 1.05


# what can go wrong with one window


def month(number: int) -> Window:
    """The 30 days that begin `number` times 30 days after the start of the year."""
    start = JANUARY + timedelta(days=30 * number)
    return Window(start, start + timedelta(days=30))


def calls_in(*numbers: int, each: int = 250) -> Tenant:
    """Calls in the first 20 days of these months."""
    return Tenant(
        call for n in numbers for call in crowd(each, month(n).start, 20 * 86400.0, first_id=1 + 1000 * n, seed=n)
    )


def test_expired_cursor_restarts_that_window_alone() -> None:
    """An expired page cursor costs the pages of its own window once more, and no pages of other windows."""
    fault = Fault(kind="expire_cursor", numbers=[3])
    with Simulator(calls_in(0, 1), UNLIMITED, [fault]) as simulator:
        with fetching(simulator, month(0)) as fetch:
            (first,) = list(fetch)
        with fetching(simulator, month(1)) as fetch:
            (second,) = list(fetch)

    assert (first.requests, first.pages, first.records) == (6, 3, 250)
    assert (second.requests, second.pages, second.records) == (3, 3, 250)
    assert len(set(received([first]))) == len(received([first])) == 250
    assert [r.status for r in simulator.requests] == [200, 200, 400, 200, 200, 200, 200, 200, 200]


def test_third_expiry_fails_that_window_only() -> None:
    """A window is restarted twice. A third expiry leaves the window out with the reason, and the fetch continues."""
    with Simulator(calls_in(0, 1, each=80), UNLIMITED, [Fault(kind="expire_cursor")]) as simulator:
        for call in crowd(120, month(0).start, 86400.0, first_id=9000):
            simulator.tenant.add(call)
        with fetching(simulator, month(0), month(1)) as fetch:
            windows = list(fetch)

        assert [fetched.window for fetched in windows] == [month(1)]
        ((window, error),) = fetch.failures
        assert window == month(0)
        assert isinstance(error, PageCursorExpired)
        assert fetch.stopped_by is None
        assert [r.status for r in simulator.requests if r.query["fromDateTime"] < "2025-01-31"] == [200, 400] * 3
        assert len(simulator.requests) == 7


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind="missing_list_key", numbers=[1]), UnexpectedAnswer),
        (Fault(kind="not_json", numbers=[1]), UnexpectedAnswer),
        (Fault(kind="repeat_cursor", numbers=[2]), UnexpectedAnswer),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_one_bad_window_is_left_out(fault: Fault, error: type[Exception]) -> None:
    """A wrong answer for one window costs that window and no other one, and the error is in the result."""
    with Simulator(calls_in(0), UNLIMITED, [fault]) as simulator:
        with fetching(simulator, month(0)) as fetch:
            assert list(fetch) == []
        ((window, reason),) = fetch.failures
        assert window == month(0)
        assert type(reason) is error
        assert fetch.stopped_by is None

    bad = month(1).start

    def convert(window: Window, pages: Sequence[Page]) -> Ids:
        if window.start == bad:
            raise error("one window")
        return ids_of(window, pages)

    with (
        Simulator(calls_in(0, 1, 2), UNLIMITED) as simulator,
        fetching(simulator, month(0), month(1), month(2), convert=convert) as fetch,
    ):
        assert [fetched.window for fetched in fetch] == [month(0), month(2)]
        assert [window for window, _ in fetch.failures] == [month(1)]


def test_bad_record_leaves_out_only_a_piece_of_its_window() -> None:
    """A window with a record that cannot be read is cut into nine, once; only the piece with the record is left out."""

    def convert(window: Window, pages: Sequence[Page]) -> Ids:
        if window.start <= bad < window.end:
            raise RecordError("a record without an id")
        return ids_of(window, pages)

    pieces = split(month(1), 9)
    bad = pieces[3].start
    with (
        Simulator(calls_in(0, 1, 2), UNLIMITED) as simulator,
        fetching(simulator, month(0), month(1), month(2), convert=convert) as fetch,
    ):
        assert [fetched.window for fetched in fetch] == [month(0), *pieces[:3], *pieces[4:], month(2)]
        ((window, error),) = fetch.failures
        assert (window, type(error)) == (pieces[3], RecordError)
        assert fetch.stopped_by is None


# what ends the fetch


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind="status", status=401, text="Validate credentials failed"), AuthenticationFailed),
        (Fault(kind="status", status=429, retry_after=9999), QuotaExhausted),
    ],
    ids=["key revoked", "quota used up"],
)
def test_error_that_concerns_all_ends_the_fetch(fault: Fault, error: type[Exception]) -> None:
    """An error that concerns every window ends the fetch. Windows finished before are still handed out, in order."""
    fault = replace(fault, numbers=range(31, 10_000))
    ranges = [month(number) for number in range(40)]
    with (
        Simulator(calls_in(*range(40), each=50), UNLIMITED, [fault]) as simulator,
        fetching(simulator, *ranges) as fetch,
    ):
        windows = list(fetch)

        assert type(fetch.stopped_by) is error
        assert fetch.failures == []
        assert len(windows) == 30
        assert [fetched.window for fetched in windows] == [w for w in ranges if w in {x.window for x in windows}]
        assert all(fetched.records == 50 for fetched in windows)
        assert len(simulator.requests) <= 30 + 12


def test_budget_of_the_run_ends_the_fetch() -> None:
    """A run with a budget of requests sends exactly that many, and keeps what it finished."""
    ranges = [month(number) for number in range(40)]
    with (
        Simulator(calls_in(*range(40), each=50), UNLIMITED) as simulator,
        fetching(simulator, *ranges, max_requests=10) as fetch,
    ):
        assert len(list(fetch)) == 10
        assert isinstance(fetch.stopped_by, QuotaExhausted)
        assert len(simulator.requests) == 10


def test_lasting_outage_ends_the_fetch() -> None:
    """While Gong is down, the fetch does not try every window six times."""
    stopped = threading.Event()
    with Simulator(calls_in(0), UNLIMITED) as simulator:
        client = Client(
            Transport(simulator.base_url, "key", "secret", throttle=Throttle(1000.0), stopped=stopped, max_attempts=1)
        )
        fetch: IdsFetch = Fetch(client, CALLS, [month(number) for number in range(40)], ids_of, page_times)
        simulator.faults = [Fault(kind="status", status=503)]

        assert list(fetch) == []
        assert isinstance(fetch.stopped_by, Unavailable)
        assert len(simulator.requests) <= 12
        fetch.close()
        client.transport.close()


def test_unforeseen_error_of_the_conversion_is_left_for_the_caller() -> None:
    """A bug in a worker thread is not swallowed: it ends the fetch and can be raised."""

    def convert(_: Window, __: Sequence[Page]) -> Ids:
        raise ZeroDivisionError

    with Simulator(calls_in(0), UNLIMITED) as simulator, fetching(simulator, month(0), convert=convert) as fetch:
        assert list(fetch) == []
        assert isinstance(fetch.stopped_by, ZeroDivisionError)


def test_stop_ends_the_fetch_at_once() -> None:
    """Setting the stop event ends the iteration without waiting for the windows in flight."""
    stopped, go_on = threading.Event(), threading.Event()
    ranges = [month(number) for number in range(40)]

    def convert(window: Window, pages: Sequence[Page]) -> Ids:
        if window != ranges[0]:
            go_on.wait(60)
        return ids_of(window, pages)

    with (
        Simulator(calls_in(*range(40), each=50), UNLIMITED) as simulator,
        fetching(simulator, *ranges, stopped=stopped, convert=convert) as fetch,
    ):
        first = next(fetch)
        stopped.set()

        assert list(fetch) == []
        assert isinstance(fetch.stopped_by, RunStopped)
        assert (first.window, first.records) == (ranges[0], 50)
        assert len(simulator.requests) <= 12
        go_on.set()


def test_429_stops_all_windows() -> None:
    """After a 429, no window in flight sends a request before Retry-After is over, and no call is lost."""
    ticks = _Ticks()
    fault = Fault(kind="status", status=429, retry_after=20, numbers=[8])
    with Simulator(calls_in(*range(6)), replace(UNLIMITED, clock=ticks), [fault]) as simulator:
        with fetching(simulator, *map(month, range(6)), ticks=ticks) as fetch:
            windows = list(fetch)
        at = {request.number: request.clock for request in simulator.requests}

    assert len(set(received(windows))) == 6 * 250
    assert len(at) == 6 * 3 + 1
    # those that were on their way when the 429 was answered have left before it could be known
    on_their_way = [number for number in range(9, 20) if at[number] - at[8] < 20]
    assert len(on_their_way) < 12
    assert at[19] - at[8] > 20
    assert sum(fetched.waited_seconds for fetched in windows) >= 20


# the iterator


def test_put_back_window_comes_again() -> None:
    """A window put back is the next to be handed out, once, and nothing else changes."""
    with Simulator(calls_in(0, 1), UNLIMITED) as simulator, fetching(simulator, month(0), month(1)) as fetch:
        first = next(fetch)
        fetch.put_back(first)

        assert next(fetch) is first
        last = next(fetch)
        fetch.put_back(last)
        assert list(fetch) == [last]
        assert len(simulator.requests) == 6


def test_look_ahead_is_bounded() -> None:
    """While nobody takes windows, only those in flight are finished: results wait in memory."""
    ranges = [month(number) for number in range(60)]
    with Simulator(calls_in(*range(60), each=10), UNLIMITED) as simulator, fetching(simulator, *ranges) as fetch:
        next(fetch)
        wait_until(lambda: fetch._in_flight == 0)

        assert len(simulator.requests) <= 24
        assert len(list(fetch)) == 59


def test_extent_counts_what_arrived_and_what_is_to_come() -> None:
    """Before the first count nothing is known; once Gong has counted all, the fetch knows what is still to come."""
    with Simulator(calls_in(0, 1), UNLIMITED) as simulator, fetching(simulator, month(0), month(1)) as fetch:
        assert fetch.extent() == Extent(0, None, None, exact=False)
        next(fetch)
        wait_until(lambda: fetch.extent() == Extent(500, 0, 0, exact=True))
        next(fetch)
        assert fetch.extent() == Extent(500, 0, 0, exact=True)


@pytest.mark.parametrize("calls", [900, 5000, 20_000])
def test_time_left_is_right_to_a_third_after_a_fifth_of_a_run(calls: int) -> None:
    """On an even tenant, the time left that is shown lies within a third of the time that the rest really takes."""
    ticks, shown = _Ticks(), None
    tenant = Tenant.generate(calls, start=JANUARY, end=NEXT, seed=1)
    with Simulator(tenant, UNLIMITED) as simulator, fetching(simulator, ticks=ticks) as fetch:
        began = ticks.now
        for _ in fetch:
            extent, requests = fetch.extent(), fetch.client.transport.usage.requests
            rate = requests / max(ticks.now - began, 0.001)
            to_come = extent.to_come, extent.pages_to_come
            progress = Progress("calls", extent.arrived, *to_come, extent.exact, 0, requests, 1e4, rate, 3.0)
            if shown is None and extent.arrived >= calls / 5:
                shown, at, total = progress.seconds_left, ticks.now, progress.total

    assert shown is not None
    assert total == pytest.approx(calls, rel=0.15)
    assert shown == pytest.approx(ticks.now - at, rel=1 / 3)


def test_close_leaves_no_thread_busy() -> None:
    """After `close` every worker ends, even in the middle of a window, and nothing more is handed out."""
    with Simulator(calls_in(*range(12), each=900), UNLIMITED) as simulator:
        before = {thread for thread in threading.enumerate() if thread.name == "gong-fetch"}
        with fetching(simulator, *map(month, range(12))) as fetch:
            next(fetch)
            mine = {thread for thread in threading.enumerate() if thread.name == "gong-fetch"} - before
            assert mine
        for thread in mine:
            thread.join(5)

        assert not any(thread.is_alive() for thread in mine)
        assert list(fetch) == []


def test_request_ids_and_times_of_a_fetch() -> None:
    """A fetched window has Gong's ids of its first and last page, its pages, and the time when its fetch began."""
    with Simulator(calls_in(0), UNLIMITED) as simulator, fetching(simulator, month(0)) as fetch:
        (fetched,) = list(fetch)

        assert fetched.first_request_id == simulator.requests[0].request_id
        assert fetched.last_request_id == simulator.requests[2].request_id
        assert (fetched.pages, fetched.requests, fetched.total, fetched.records) == (3, 3, 250, 250)
        assert abs((fetched.fetched_at - datetime.now(UTC)).total_seconds()) < 60


def test_long_windows_come_in_parts() -> None:
    """Pages are converted in parts of a bounded number, in the order received."""
    sizes: list[int] = []

    def convert(window: Window, pages: Sequence[Page]) -> Ids:
        sizes.append(len(pages))
        return ids_of(window, pages)

    tenant = Tenant(crowd(3050, JANUARY, 86400.0))
    day = Window(JANUARY, JANUARY + timedelta(days=1))
    with Simulator(tenant, UNLIMITED) as simulator, fetching(simulator, day, convert=convert) as fetch:
        (fetched,) = list(fetch)

    assert sizes == [20, 11]
    assert [len(part) for part in fetched.parts] == [2000, 1050]


def test_windows_with_content_are_small_and_come_page_by_page() -> None:
    """A call with all its content takes fifty times the memory, so few of them wait at once."""
    tenant = Tenant.generate(5000, start=YEAR.start, end=YEAR.end, seed=3)
    with Simulator(tenant, UNLIMITED) as simulator, fetching(simulator, sizes=WITH_CONTENT) as fetch:
        windows = list(fetch)

        check_tiling(windows, [YEAR])
        assert sorted(received(windows)) == sorted(tenant.calls)
        assert max(fetched.records for fetched in windows) <= WITH_CONTENT.split_above
        assert all(len(part) <= 100 for fetched in windows for part in fetched.parts)
        assert len(simulator.requests) <= 50 + len(windows) + 1


def test_unsettled_calls_are_no_error() -> None:
    """Gong counts calls that it does not list yet: fewer records than the total, short pages, and no failure."""
    tenant = calls_in(0)
    for number in range(1, 200, 2):
        tenant.make_available(str(number), 4e9)
    with Simulator(tenant, UNLIMITED) as simulator, fetching(simulator, month(0)) as fetch:
        (fetched,) = list(fetch)

    assert (fetched.total, fetched.records, fetched.pages) == (250, 150, 3)
    assert fetch.failures == []
