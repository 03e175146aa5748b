"""Loads ranges chunk by chunk: each chunk is one dlt package, so a run that dies loses at most one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gong_source.api.client import CALLS
from gong_source.api.fetch import Walk, WalkedWindow
from gong_source.api.plan import CALLS_PER_PAGE
from gong_source.errors import GongError, QuotaExhausted, WalkStopped
from gong_source.resources.declare import CALL_ARRIVALS
from gong_source.rows import Batch, page_times
from gong_source.source import CallsConverter, CallsPackage, chunk_source
from gong_source.warehouse.arrivals import record_arrivals
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from gong_source.runs.run import Run
    from gong_source.runs.verify.verify import VerifyResult
    from gong_source.warehouse.warehouse import Warehouse
    from gong_source.windows import Window

    Wanted = Callable[[WalkedWindow[Batch]], bool]

    # told of each window walked, and of the package that it goes into, if it does
    Report = Callable[[WalkedWindow[Batch], CallsPackage | None], None]

Status = Literal["done", "paused", "incomplete", "failed"]

# The cost of a package does not show, losing one is cheap, and DuckDB merges one within its bound of memory.
_CALLS_PER_CHUNK = 110_000
_BYTES_PER_CHUNK = 36_000_000
_SECONDS_PER_CHUNK = 120.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `calls_to_come` is None while Gong has not told yet; `rate` is in requests a second."""

    calls: int
    calls_to_come: int | None
    windows: int
    requests: int
    seconds: float
    rate: float
    permitted_rate: float
    covered_to: datetime

    @property
    def seconds_left(self) -> float | None:
        """The time that the remaining pages take at the rate reached so far."""
        if self.calls_to_come is None:
            return None
        return self.calls_to_come / CALLS_PER_PAGE / min(self.rate, self.permitted_rate)


@dataclass(slots=True)
class LoadResult:
    """What a run did. `status` says whether it finished; `message` why not, `retry_at` when to come back."""

    command: str
    ranges: Sequence[Window]
    status: Status = "done"
    message: str | None = None
    retry_at: datetime | None = None
    interrupted: bool = False
    calls_received: int = 0
    calls_changed: int = 0
    windows: int = 0
    requests: int = 0
    waited_seconds: float = 0.0
    surprises: int = 0
    unsettled: list[Window] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    watermark: datetime | None = None
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    verification: VerifyResult | None = None

    def as_json(self) -> dict[str, Any]:
        """The result as JSON's types, times in RFC 3339."""
        return {
            "command": self.command,
            "status": self.status,
            "message": self.message,
            "retry_at": iso(self.retry_at) if self.retry_at else None,
            "ranges": [_pair(window) for window in self.ranges],
            "calls_received": self.calls_received,
            "calls_changed": self.calls_changed,
            "windows": self.windows,
            "requests": self.requests,
            "waited_seconds": round(self.waited_seconds, 3),
            "surprises": self.surprises,
            "unsettled": [_pair(window) for window in self.unsettled],
            "failures": self.failures,
            "watermark": iso(self.watermark) if self.watermark else None,
            "seconds": round(self.seconds, 3),
            "notes": self.notes,
            "verification": self.verification.as_json() if self.verification else None,
        }


def _pair(window: Window) -> list[str]:
    return [iso(window.start), iso(window.end)]


class _Sifted(Walk[Batch]):
    """A walk that hands out only those windows that `wanted` picks; it is asked once for each, in time order.

    `passed_over` counts the records of the others, and `on_passed_over` is told of each.
    """

    wanted: Wanted | None = None
    on_passed_over: Report
    passed_over = 0

    def __next__(self) -> WalkedWindow[Batch]:
        if self._returned is not None or self.wanted is None:
            return super().__next__()
        while True:
            walked = super().__next__()
            if self.wanted(walked):
                return walked
            self.passed_over += walked.records
            self.on_passed_over(walked, None)


def load_ranges(
    run: Run,
    result: LoadResult,
    *,
    watermark: datetime | None = None,
    wanted: Wanted | None = None,
    small: bool = False,
) -> None:
    """Walks `result.ranges` (disjoint, in time order) and loads what it finds, chunk by chunk; fills in `result`.

    Windows that `wanted` does not pick are walked and not loaded. `small`: the ranges are known to hold few calls.

    `watermark` is where "covered up to" stands and is moved on, also over what the ledger has covered already; None
    leaves it where it is. What was walked before an error, a used-up quota or a stop is loaded. Raises only what
    loading raises.
    """
    if not result.ranges:
        return
    warehouse, client = run.warehouse, run.client
    began = time.monotonic()
    state = warehouse.pipeline.state.get("sources", {}).get("gong", {}).get("resources", {}).get("calls", {})
    converter = CallsConverter(client, state.get("filed_by"))
    walk = _Sifted(client, CALLS, result.ranges, converter, page_times, small=small)
    walk.wanted = wanted
    try:
        load_ids = _load_chunks(run, result, walk, converter, watermark)
    finally:
        walk.close()
        result.requests = client.transport.usage.requests
        result.waited_seconds = client.transport.usage.waited_seconds
        result.seconds = time.monotonic() - began
    with warehouse.connected():
        record_arrivals(warehouse, load_ids)
        result.calls_changed = _changed(warehouse, load_ids)
    result.seconds = time.monotonic() - began
    _judge(walk, result)


def _load_chunks(
    run: Run, result: LoadResult, walk: _Sifted, converter: CallsConverter, watermark: datetime | None
) -> list[str]:
    """Loads the walk to its end and returns the load ids; `result` tells of each chunk that is loaded."""
    report = walk.on_passed_over = _reporter(run, result, walk)
    start = watermark if watermark is not None else result.ranges[0].start
    result.watermark = None if watermark is None else run.ledger.watermark
    load_ids: list[str] = []
    while (walked := next(walk, None)) is not None:
        walk.put_back(walked)
        package = CallsPackage(
            walk,
            converter,
            mode=result.command,
            watermark=watermark,
            covered=run.ledger.covered,
            also_create=(CALL_ARRIVALS,),
            max_calls=_CALLS_PER_CHUNK,
            max_bytes=_BYTES_PER_CHUNK,
            max_seconds=_SECONDS_PER_CHUNK,
            on_window=report,
        )
        load_ids += run.warehouse.load(chunk_source(package, start))
        result.watermark = watermark = package.watermark
        result.calls_received += package.calls
        result.windows += len(package.rows)
        result.surprises += package.surprises
        result.unsettled += package.unsettled
    return load_ids


def _reporter(run: Run, result: LoadResult, walk: _Sifted) -> Report:
    """Tells `run.control` how far the run is, after each window."""
    transport, began = run.client.transport, time.monotonic()

    def report(walked: WalkedWindow[Batch], package: CallsPackage | None) -> None:
        calls, windows = (package.calls, len(package.rows)) if package else (0, 0)
        seconds = time.monotonic() - began
        run.control.on_progress(
            Progress(
                calls=result.calls_received + calls + walk.passed_over,
                calls_to_come=walk.calls_to_come(),
                windows=result.windows + windows,
                requests=transport.usage.requests,
                seconds=seconds,
                rate=transport.usage.requests / max(seconds, 0.001),
                permitted_rate=transport.throttle.requests_per_second,
                covered_to=walked.window.end,
            )
        )

    return report


def _changed(warehouse: Warehouse, load_ids: Sequence[str]) -> int:
    """How many rows are new or different since these loads."""
    if not load_ids:
        return 0
    marks = ", ".join(["%s"] * len(load_ids))
    found = warehouse.query(f"select count(*) from {{dataset}}.calls where _dlt_load_id in ({marks})", *load_ids)
    return int(found[0][0]) if found else 0


def _judge(walk: Walk[Batch], result: LoadResult) -> None:
    """The run's status, from how the walk ended."""
    result.failures = [f"{window}: {error}" for window, error in walk.failures]
    cause = walk.stopped_by
    if isinstance(cause, QuotaExhausted):
        result.status, result.message, result.retry_at = "paused", str(cause), cause.retry_at
        if cause.retry_at is None and not result.windows:
            result.message += ", with a larger one: it was used up before a window was finished"
    elif isinstance(cause, WalkStopped):
        result.status, result.message, result.interrupted = "paused", "stopped on request; run it again to go on", True
    elif isinstance(cause, GongError):
        result.status, result.message = "failed", str(cause)
    elif cause is not None:
        raise cause
    elif result.failures:
        result.status = "incomplete"
        result.message = (
            f"{len(result.failures)} of {result.windows + len(result.failures)} windows could not be loaded"
        )
