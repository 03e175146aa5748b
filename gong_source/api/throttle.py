"""The one throttle: when the next request may be sent, for all threads and processes with the same key on this machine.

A small SQLite file stores, for each key, the next free slot, the time before which Gong wants no request, and the day's
count. A request reserves a slot, waits for it, and is counted when it is sent. Slots are evenly spaced. The times at
which the last requests were really sent keep any rolling second below the limit, even when a thread sleeps too long.
(The limiter libraries either work in one process only, or let one process starve another.)
"""

from __future__ import annotations

import itertools
import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gong_source.errors import ConfigurationError, QuotaExhausted, RunStopped
from gong_source.windows import iso, next_midnight, seconds_after

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

# Requests are sent a little slower than permitted, because the network adds jitter. When Gong refuses a request, there
# was more jitter, and the margin grows.
_MARGIN, _WIDER, _WIDEST_MARGIN = 1.02, 1.03, 1.08
# The times of so many requests at most are stored and read for each request.
_MOST_REMEMBERED = 25
# So long a request waits for the file while others use it.
_PATIENCE_SECONDS = 60.0
# Processes that start at the same moment make one another ask again when they open a new file.
_MOST_OPENINGS = 100
# A slot further away than this comes from a clock that was set back since.
_FARTHEST_SLOT_SECONDS = 600.0
# The quota is a daily one. A longer block is a mistake, or comes from a clock that was set back since.
_LONGEST_BLOCK_SECONDS = 86_400.0

_TABLE = """create table if not exists throttle (
    key text primary key, next_slot real not null default 0, blocked_until real not null default 0,
    day text not null default '', used integer not null default 0, recent text not null default '') without rowid"""
_COLUMNS = ("next_slot", "blocked_until", "day", "used", "recent")

# The priority of a waiting request, asked for at the moment of choosing: the lowest goes first.
Priority = Callable[[], float]
# next_slot, blocked_until: unix seconds; day: UTC date; used: requests on it; recent: unix seconds of the last requests
_Row = dict[str, Any]


class Throttle:
    """Limits requests to `requests_per_second` and to `daily_budget` per UTC day, together with all that share `path`.

    With `path` None the throttle is for this object alone. `max_wait_seconds` bounds how long one request may wait for
    Gong's Retry-After. `max_requests` bounds this object alone. `sleep` may raise to interrupt a wait.
    """

    def __init__(
        self,
        requests_per_second: float = 3.0,
        *,
        path: Path | None = None,
        key: str = "",
        max_wait_seconds: float = 300.0,
        daily_budget: int | None = None,
        max_requests: int | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if not requests_per_second > 0 or math.isinf(requests_per_second):
            raise ConfigurationError(f"requests_per_second: {requests_per_second} must be a number above 0")
        self.requests_per_second = requests_per_second
        self.max_wait_seconds = max_wait_seconds
        self.daily_budget = daily_budget
        self.max_requests = max_requests
        self.sent = 0
        self._interval = _MARGIN / requests_per_second
        # A divisor of the rate: so many requests in their part of a second, again and again, are never above the rate.
        whole = max(1, int(requests_per_second))
        self._remembered = max(n for n in range(1, min(whole, _MOST_REMEMBERED) + 1) if whole % n == 0)
        self._key = key
        self._path = path
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._gate = threading.Condition()
        self._tickets = itertools.count()
        self._waiting: dict[int, Priority] = {}
        self._turn_of: int | None = None
        self._closed = False
        self._db: sqlite3.Connection | None = None

    def acquire(self, priority: Priority = lambda: 0.0) -> float:
        """Waits until one request may be sent, counts it, and returns the seconds waited.

        Among waiting threads, the one with the lowest `priority` goes first. Raises `QuotaExhausted` when the wait
        would be longer than `max_wait_seconds`, or a budget is used up, and `RunStopped` once the throttle is closed.
        """
        began = self._clock()
        with self._turn(priority):
            self._acquire()
        return self._clock() - began

    def left(self) -> float:
        """How many requests the budgets still allow today; infinite without a budget."""
        of_run = math.inf if self.max_requests is None else self.max_requests - self.sent
        of_day = math.inf if self.daily_budget is None else self.daily_budget - self.used_today()
        return max(0.0, min(of_run, of_day))

    @contextmanager
    def _turn(self, priority: Priority) -> Iterator[None]:
        """Lets in one thread at a time: the one with the lowest priority at that moment."""
        with self._gate:
            ticket = next(self._tickets)
            self._waiting[ticket] = priority
            if self._turn_of is None:
                self._turn_of = ticket
            while self._turn_of != ticket:
                self._gate.wait()
            del self._waiting[ticket]
        try:
            yield
        finally:
            with self._gate:
                # The thread that leaves chooses the next one, once: priorities change while threads wait.
                self._turn_of = min(self._waiting, key=lambda t: (self._waiting[t](), t), default=None)
                self._gate.notify_all()

    def _acquire(self) -> None:
        reserved = 0.0
        while True:
            if self._closed:
                raise RunStopped
            with self._row() as row:
                now = self._clock()
                blocked = row["blocked_until"] - now
                if 0 < blocked <= _LONGEST_BLOCK_SECONDS:
                    reserved, wait = 0.0, blocked
                    self._refuse_long_wait(blocked, now)
                else:
                    if not reserved:
                        reserved = self._reserve(row, now)
                    wait = max(reserved, self._rolling_limit(row)) - now
                    if wait <= 0:
                        self._count(row, now)
                        return
            self._sleep(wait)

    def block(self, seconds: float) -> None:
        """Blocks all requests for `seconds` from now, as Gong's Retry-After asks; for one day at most.

        From then on, this object leaves a little more time between requests.
        """
        with self._row() as row:
            self._interval = min(self._interval * _WIDER, _WIDEST_MARGIN / self.requests_per_second)
            latest = self._clock() + _LONGEST_BLOCK_SECONDS
            row["blocked_until"] = min(latest, max(row["blocked_until"], self._clock() + seconds))

    def used_today(self) -> int:
        """Requests counted on the current UTC day."""
        with self._row() as row:
            return int(row["used"]) if row["day"] == self._day(self._clock()) else 0

    def learn_used_today(self, used: int) -> None:
        """Raises the day's count to `used`, which the ledger knows from other machines; never lowers the count."""
        with self._row() as row:
            day = self._day(self._clock())
            row["used"] = max(used, row["used"] if row["day"] == day else 0)
            row["day"] = day

    def close(self) -> None:
        """Closes the shared file; a waiting request is not sent or counted any more."""
        self._closed = True
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _reserve(self, row: _Row, now: float) -> float:
        slot: float = max(now, row["next_slot"])
        if slot - now > _FARTHEST_SLOT_SECONDS:
            slot = now
        row["next_slot"] = slot + self._interval
        return slot

    def _rolling_limit(self, row: _Row) -> float:
        now = self._clock()
        # A time in the future comes from a clock that was set back since.
        recent = [sent for sent in map(float, row["recent"].split()) if sent <= now]
        if len(recent) < self._remembered:
            return 0.0
        return recent[-self._remembered] + self._remembered * self._interval

    def _count(self, row: _Row, now: float) -> None:
        day = self._day(now)
        used = int(row["used"]) if row["day"] == day else 0
        if self.daily_budget is not None and used >= self.daily_budget:
            until = next_midnight(_at(now))
            raise QuotaExhausted(
                f"the day's budget of {self.daily_budget} requests is used up (setting daily_request_budget)."
                f" Run the same command after {iso(until)}",
                retry_at=until,
            )
        if self.max_requests is not None and self.sent >= self.max_requests:
            requests = "1 request" if self.max_requests == 1 else f"{self.max_requests} requests"
            raise QuotaExhausted(f"this run's budget of {requests} is used up. Run the same command to continue")
        row["day"], row["used"] = day, used + 1
        row["recent"] = " ".join([*row["recent"].split(), repr(now)][-self._remembered :])
        self.sent += 1

    def _refuse_long_wait(self, seconds: float, now: float) -> None:
        if seconds > self.max_wait_seconds:
            until = seconds_after(_at(now), math.ceil(seconds))
            raise QuotaExhausted(
                f"Gong asks to wait until {iso(until)}, longer than max_wait_seconds ({self.max_wait_seconds:g})."
                " Run the same command after that",
                retry_at=until,
            )

    @staticmethod
    def _day(now: float) -> str:
        return _at(now).date().isoformat()

    @contextmanager
    def _row(self) -> Iterator[_Row]:
        """This key's row, locked against all other threads and processes; written back if the block succeeds."""
        with self._lock:
            db = self._open()
            try:
                db.execute("begin immediate")
                found = db.execute(f"select {', '.join(_COLUMNS)} from throttle where key = ?", (self._key,)).fetchone()
                row = dict(zip(_COLUMNS, found or (0.0, 0.0, "", 0, ""), strict=True))
                before = dict(row)
                yield row
                if row != before:
                    db.execute(
                        f"insert or replace into throttle (key, {', '.join(_COLUMNS)}) values (?, ?, ?, ?, ?, ?)",
                        (self._key, *(row[name] for name in _COLUMNS)),
                    )
                db.execute("commit")
            except BaseException as error:
                with suppress(sqlite3.Error):  # on a full disk there may be nothing left to roll back
                    db.execute("rollback")
                if isinstance(error, sqlite3.Error):
                    raise ConfigurationError(f"requests cannot be counted in {self._path}: {error}") from None
                raise

    def _open(self) -> sqlite3.Connection:
        if self._db is None and self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._db = _connect(str(self._path))
            except (OSError, sqlite3.Error) as error:
                logger.warning("the throttle is not shared with other processes: %s: %s", self._path, error)
        if self._db is None:
            self._db = _connect(":memory:")
        return self._db


def _connect(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _use_wal(db)
        # Losing the last second in a power cut costs nothing here. A flush for every request would.
        db.execute("pragma synchronous = off")
        db.execute(_TABLE)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _use_wal(db: sqlite3.Connection) -> None:
    """Sets the file's journal mode. SQLite mostly does not wait for others there, so this waits and asks again."""
    for _ in range(_MOST_OPENINGS):
        db.execute("pragma busy_timeout = 0")
        try:
            db.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        finally:
            db.execute(f"pragma busy_timeout = {_PATIENCE_SECONDS * 1000:.0f}")
        # Here SQLite waits, until nobody else uses the file.
        db.execute("begin exclusive")
        db.execute("commit")
    raise sqlite3.OperationalError("database is locked")


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
