"""The throttle: never over the rate, shared by all runs on this machine, with an exact count of the day."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - pytest reads the annotations of fixtures

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gong_source.api.throttle import Throttle
from gong_source.errors import ConfigurationError, QuotaExhausted, RunStopped

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)


class Clock:
    """Unix seconds that pass while somebody sleeps, and a little longer than asked for."""

    def __init__(self, now: float = NOON, oversleep: list[float] | None = None) -> None:
        self.now = now
        self.slept = 0.0
        self._oversleep = oversleep or [0.0]
        self._sleeps = 0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds + self._oversleep[self._sleeps % len(self._oversleep)]
            self._sleeps += 1
            self.slept += seconds


def most_in_a_second(times: list[float]) -> int:
    """The most of `times` that lie within any rolling second, half-open."""
    return max(sum(start <= other < start + 1.0 for other in times) for start in times)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A path in a folder that is not there yet."""
    return tmp_path / "machine" / "throttle.sqlite"


# the rate

delays = st.lists(
    st.one_of(st.just(0.0), st.floats(0, 0.05), st.floats(0, 1.5), st.floats(0, 30)), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(rate=st.sampled_from([1, 3, 10, 12, 25, 60, 101]), oversleep=delays, busy=delays)
@example(rate=25, oversleep=[0.0, 0.0078125], busy=[0.0])
def test_never_over_the_rate(rate: int, oversleep: list[float], busy: list[float]) -> None:
    """However long threads oversleep or work in between, no rolling second has more requests than permitted."""
    clock = Clock(oversleep=oversleep)
    throttle = Throttle(float(rate), clock=clock, sleep=clock.sleep)
    times = []
    for number in range(50 + rate):
        throttle.acquire()
        times.append(clock.now)
        clock.now += busy[number % len(busy)]
    throttle.close()

    assert most_in_a_second(times) <= rate


@settings(max_examples=25, deadline=None)
@given(rate=st.sampled_from([1, 3, 10]), oversleep=delays, turns=st.lists(st.integers(0, 2), min_size=40, max_size=40))
def test_never_over_the_rate_together(
    tmp_path_factory: pytest.TempPathFactory, rate: int, oversleep: list[float], turns: list[int]
) -> None:
    """Objects that share a file, as the processes of a machine do, keep one rate together."""
    path = tmp_path_factory.mktemp("machine") / "throttle.sqlite"
    clock = Clock(oversleep=oversleep)
    throttles = [Throttle(float(rate), path=path, key="k", clock=clock, sleep=clock.sleep) for _ in range(3)]
    times = []
    for turn in turns:
        throttles[turn].acquire()
        times.append(clock.now)
    for throttle in throttles:
        throttle.close()

    assert most_in_a_second(times) <= rate


def test_threads_share_the_rate() -> None:
    """Many threads on one object keep the rate, and use it."""
    clock = Clock()
    throttle = Throttle(40.0, clock=clock, sleep=clock.sleep)

    def work() -> None:
        for _ in range(6):
            throttle.acquire()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    throttle.close()

    assert throttle.sent == 48
    assert clock.slept == pytest.approx(47 / 40 * 1.02, rel=1e-3)


class Together:
    """Unix seconds for several sleepers: they pass when all sleep, up to the moment at which the first one wakes."""

    def __init__(self, sleepers: int) -> None:
        self.now = NOON
        self._awake = sleepers
        self._wakes: list[float] = []
        self._changed = threading.Condition()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._changed:
            wakes = self.now + seconds
            self._wakes.append(wakes)
            self._leave()
            assert self._changed.wait_for(lambda: self.now >= wakes, 60)
            self._wakes.remove(wakes)

    def leave(self) -> None:
        """One sleeper is done."""
        with self._changed:
            self._leave()

    def _leave(self) -> None:
        self._awake -= 1
        if self._awake == 0 and self._wakes:
            self.now = min(self._wakes)
            self._awake = self._wakes.count(self.now)
            self._changed.notify_all()


def test_objects_that_share_a_file_get_equal_shares(shared: Path) -> None:
    """While four objects send all the time, none gets more than its share, and together they use the whole rate."""
    clock = Together(4)
    sent: list[tuple[float, int]] = []

    def work(number: int) -> None:
        throttle = Throttle(3.0, path=shared, key="k", clock=clock, sleep=clock.sleep)
        while len(sent) < 200:
            throttle.acquire()
            sent.append((clock.now, number))
        throttle.close()
        clock.leave()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    times, order = zip(*sorted(sent)[:200], strict=True)
    for begin in range(0, 200, 20):
        shares = Counter(order[begin : begin + 20])
        assert all(4 <= shares[number] <= 6 for number in range(4)), shares
    assert most_in_a_second(list(times)) <= 3
    assert times[-1] - times[0] == pytest.approx(199 / 3 * 1.02)


def test_rate_is_used() -> None:
    """Only the small margin is lost: 300 requests at 3 per second take 102 seconds."""
    clock = Clock()
    throttle = Throttle(3.0, clock=clock, sleep=clock.sleep)
    for _ in range(301):
        throttle.acquire()
    throttle.close()

    assert 100 <= clock.slept <= 102.1


def test_slow_rate() -> None:
    """A rate below one a second spaces requests by its inverse."""
    clock = Clock()
    throttle = Throttle(0.5, clock=clock, sleep=clock.sleep)
    for _ in range(4):
        throttle.acquire()
    throttle.close()

    assert 6.0 <= clock.slept <= 6.2


def test_first_request_does_not_wait() -> None:
    """An idle throttle lets a request pass at once, and returns a wait of zero."""
    clock = Clock()
    throttle = Throttle(1.0, clock=clock, sleep=clock.sleep)

    assert throttle.acquire() == 0.0
    assert throttle.acquire() == pytest.approx(1.02)
    clock.now += 10
    assert throttle.acquire() == 0.0
    throttle.close()


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_rate(rate: float) -> None:
    """A rate must be a number above zero."""
    with pytest.raises(ConfigurationError, match="requests_per_second"):
        Throttle(rate)


def test_lowest_priority_value_goes_first() -> None:
    """Of the threads that wait, the one with the earliest window is served first."""
    clock, queued = Clock(), threading.Event()

    def sleep(seconds: float) -> None:
        assert queued.wait(10)
        clock.sleep(seconds)

    throttle = Throttle(20.0, clock=clock, sleep=sleep)
    throttle.acquire()
    order: list[float] = []

    def work(rank: float) -> None:
        throttle.acquire(lambda: rank)
        order.append(rank)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (0.0, 5.0, 3.0, 4.0, 1.0, 2.0)]
    threads[0].start()
    while throttle._turn_of is None or throttle._waiting:
        time.sleep(0.001)
    for thread in threads[1:]:
        thread.start()
    while len(throttle._waiting) < 5:
        time.sleep(0.001)
    queued.set()
    for thread in threads:
        thread.join()
    throttle.close()

    assert order == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_interrupted_wait_does_not_block_the_next() -> None:
    """If an error ends a wait, the next waiting thread gets its turn."""
    clock = Clock()
    broken = True

    def sleep(seconds: float) -> None:
        if broken:
            raise RunStopped("stopped on request")
        clock.sleep(seconds)

    throttle = Throttle(1.0, clock=clock, sleep=sleep)
    throttle.acquire()
    with pytest.raises(RunStopped):
        throttle.acquire()
    broken = False
    throttle.acquire()
    throttle.close()

    assert throttle.sent == 2


# Gong's Retry-After


def test_block_stops_every_run_with_the_key(shared: Path) -> None:
    """A Retry-After that one object gets also blocks the others with the same file and key, but not another key."""
    clock = Clock()
    one, two = (Throttle(10.0, path=shared, key="k", clock=clock, sleep=clock.sleep) for _ in range(2))
    other = Throttle(10.0, path=shared, key="other", clock=clock, sleep=clock.sleep)
    one.block(20.0)

    assert other.acquire() == 0.0
    assert two.acquire() == pytest.approx(20.0)
    assert one.acquire() == pytest.approx(0.102)
    for throttle in (one, two, other):
        throttle.close()


def test_refusals_leave_more_time_between_requests(shared: Path) -> None:
    """After a refusal, requests are sent a little slower, by 8 percent at most."""
    clock = Clock()
    throttle = Throttle(2.0, path=shared, clock=clock, sleep=clock.sleep)

    def interval() -> float:
        throttle.acquire()
        began = clock.now
        throttle.acquire()
        return clock.now - began

    intervals = []
    for _ in range(4):
        intervals.append(interval())
        throttle.block(1.0)
    throttle.close()

    assert intervals[0] == pytest.approx(0.51)
    assert intervals[1] == pytest.approx(0.51 * 1.03)
    assert intervals[2:] == pytest.approx([0.54, 0.54])


def test_shorter_block_does_not_shorten_a_longer_one() -> None:
    """The latest moment that Gong named counts."""
    clock = Clock()
    throttle = Throttle(10.0, clock=clock, sleep=clock.sleep)
    throttle.block(60.0)
    throttle.block(1.0)

    assert throttle.acquire() == pytest.approx(60.0)
    throttle.close()


def test_block_beyond_the_maximum_wait(shared: Path) -> None:
    """A block longer than the maximum wait is an error that says until when, for every object with that file."""
    clock = Clock()
    one, two = (
        Throttle(10.0, path=shared, key="k", max_wait_seconds=300, clock=clock, sleep=clock.sleep) for _ in range(2)
    )
    one.block(3600.0)

    with pytest.raises(QuotaExhausted, match=r"2026-01-01T13:00:00Z.*max_wait_seconds \(300\)") as stop:
        two.acquire()
    assert stop.value.retry_at == datetime(2026, 1, 1, 13, tzinfo=UTC)
    assert (clock.slept, two.sent) == (0.0, 0)
    clock.now += 3300
    assert two.acquire() == pytest.approx(300.0)
    one.close()
    two.close()


@pytest.mark.parametrize("seconds", [1e6, 1e12, 1e300])
def test_block_lasts_a_day_at_most(seconds: float) -> None:
    """An absurd Retry-After cannot block a key for ever."""
    clock = Clock()
    throttle = Throttle(10.0, clock=clock, sleep=clock.sleep)
    throttle.block(seconds)

    with pytest.raises(QuotaExhausted) as stop:
        throttle.acquire()
    assert stop.value.retry_at == datetime(2026, 1, 2, 12, tzinfo=UTC)
    clock.now += 86_401
    assert throttle.acquire() == 0.0
    throttle.close()


def test_clock_set_back(shared: Path) -> None:
    """Slots, blocks and counts from a clock that was far ahead do not block later requests."""
    ahead = Clock(NOON + 400 * 86_400)
    early = Throttle(3.0, path=shared, key="k", clock=ahead, sleep=ahead.sleep, daily_budget=3)
    for _ in range(3):
        early.acquire()
    early.block(1000.0)
    early.close()

    clock = Clock()
    throttle = Throttle(3.0, path=shared, key="k", clock=clock, sleep=clock.sleep, daily_budget=3)
    assert throttle.used_today() == 0
    assert sum(throttle.acquire() for _ in range(3)) < 1.1
    assert throttle.used_today() == 3
    throttle.close()


# budgets


def test_daily_budget(shared: Path) -> None:
    """The budget of a UTC day is shared; once used up, the error names the next midnight, from which it is new."""
    clock = Clock()
    one, two = (Throttle(100.0, path=shared, key="k", daily_budget=5, clock=clock, sleep=clock.sleep) for _ in range(2))
    for throttle in (one, two, one, two, one):
        throttle.acquire()

    assert (one.used_today(), two.used_today(), one.left()) == (5, 5, 0)
    with pytest.raises(
        QuotaExhausted, match=r"budget of 5 requests.*daily_request_budget.*2026-01-02T00:00:00Z"
    ) as stop:
        two.acquire()
    assert stop.value.retry_at == MIDNIGHT
    assert (one.sent, two.sent) == (3, 2)

    clock.now = MIDNIGHT.timestamp() - 0.001
    with pytest.raises(QuotaExhausted):
        one.acquire()
    clock.now = MIDNIGHT.timestamp()
    assert two.left() == 5
    two.acquire()
    assert one.used_today() == 1
    one.close()
    two.close()


def test_budget_of_a_run(shared: Path) -> None:
    """The budget of a run bounds its own object alone, and only a new run helps."""
    clock = Clock()
    one = Throttle(100.0, path=shared, key="k", max_requests=2, clock=clock, sleep=clock.sleep)
    two = Throttle(100.0, path=shared, key="k", clock=clock, sleep=clock.sleep)
    one.acquire()
    one.acquire()

    with pytest.raises(QuotaExhausted, match="this run's budget of 2 requests") as stop:
        one.acquire()
    assert stop.value.retry_at is None
    assert one.left() == 0
    two.acquire()
    assert (one.sent, two.sent, two.used_today()) == (2, 1, 3)
    assert two.left() == float("inf")
    one.close()
    two.close()


def test_budget_of_nothing() -> None:
    """A budget of zero lets no request pass."""
    throttle = Throttle(100.0, max_requests=0)
    with pytest.raises(QuotaExhausted):
        throttle.acquire()
    throttle.close()


def test_other_machines_requests_are_learnt(shared: Path) -> None:
    """What the ledger knows of other machines raises the day's count, and never lowers it."""
    clock = Clock()
    throttle = Throttle(100.0, path=shared, key="k", daily_budget=10, clock=clock, sleep=clock.sleep)
    throttle.acquire()
    throttle.learn_used_today(8)
    throttle.learn_used_today(4)

    assert throttle.used_today() == 8
    throttle.acquire()
    throttle.acquire()
    with pytest.raises(QuotaExhausted):
        throttle.acquire()
    clock.now = MIDNIGHT.timestamp()
    assert throttle.used_today() == 0
    throttle.learn_used_today(0)
    assert throttle.used_today() == 0
    throttle.close()


def test_count_outlives_the_process(shared: Path) -> None:
    """A new run with the same key on the same day continues the count."""
    clock = Clock()
    for expected in (1, 2, 3):
        throttle = Throttle(100.0, path=shared, key="k", clock=clock, sleep=clock.sleep)
        throttle.acquire()
        assert throttle.used_today() == expected
        throttle.close()


def test_processes_share_one_file(shared: Path) -> None:
    """Real processes that start at once on a file that is not there yet keep one rate and one count."""
    code = (
        "import sys, time, pathlib; from gong_source.api.throttle import Throttle;"
        "clock = lambda: time.time() + float(sys.argv[2]);"
        "t = Throttle(25.0, path=pathlib.Path(sys.argv[1]), key='k', clock=clock);"
        "print(*[(t.acquire(), time.time())[1] for _ in range(12)])"
    )
    at_noon = str(NOON - time.time())
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(shared), at_noon], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    times = sorted(float(text) for process in processes for text in process.communicate()[0].split())

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(times) == 36
    # at least 1.4 seconds lie between the first and the last; a busy machine may tell of the first a little late
    assert times[-1] - times[0] >= 1.0
    throttle = Throttle(25.0, path=shared, key="k", clock=Clock())
    assert throttle.used_today() == 36
    throttle.close()


# the file


def test_file_in_use_while_it_is_opened(shared: Path) -> None:
    """Another process that uses the file at the moment of opening is waited for: the throttle stays shared."""
    shared.parent.mkdir()
    other = sqlite3.connect(shared, isolation_level=None)
    other.execute("begin immediate")
    throttle = Throttle(2.0, path=shared, key="k", clock=Clock())
    opening = threading.Thread(target=throttle.acquire)
    opening.start()
    opening.join(timeout=0.2)
    other.execute("rollback")
    other.close()
    opening.join()
    throttle.close()

    again = Throttle(2.0, path=shared, key="k", clock=Clock())
    assert again.used_today() == 1
    again.close()


def broken_paths(folder: Path) -> dict[str, Path]:
    """Paths that no database can be opened at."""
    (folder / "folder").mkdir()
    (folder / "file").write_text("no folder")
    (folder / "other.sqlite").write_bytes(b"this is no database, whatever its name says" * 50)
    return {
        "a folder": folder / "folder",
        "below a file": folder / "file" / "x",
        "no database": folder / "other.sqlite",
    }


@pytest.mark.parametrize("which", ["a folder", "below a file", "no database"])
def test_unusable_file_is_a_warning(which: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If the file cannot be used, the throttle is not shared, which is logged once; the run continues."""
    clock = Clock()
    throttle = Throttle(2.0, path=broken_paths(tmp_path)[which], clock=clock, sleep=clock.sleep)
    for _ in range(4):
        throttle.acquire()

    assert throttle.used_today() == 4
    assert clock.slept == pytest.approx(3 * 0.51)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "not shared with other processes" in record.getMessage()
    throttle.close()


def test_file_is_made_with_its_folder_at_first_use(shared: Path) -> None:
    """Building a throttle touches no file."""
    throttle = Throttle(2.0, path=shared)
    assert not shared.parent.exists()
    throttle.acquire()
    assert shared.exists()
    throttle.close()
    throttle.close()

    with sqlite3.connect(shared) as db:
        assert db.execute("select used from throttle").fetchall() == [(1,)]
    db.close()
