"""`verify`: compares Gong with the warehouse, down to the windows that differ, and repairs those if asked to."""

from __future__ import annotations

import math
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from gong_source.errors import ConfigurationError, QuotaExhausted, RequestFailed, WalkStopped
from gong_source.resources.declare import VERIFICATIONS
from gong_source.runs.load import LoadResult, Status, load_ranges
from gong_source.runs.run import open_run
from gong_source.runs.verify.compare import Comparison, Difference, apply_policy, mark_deleted
from gong_source.runs.verify.losses import windows_with_losses
from gong_source.runs.verify.narrow import MOST_REQUESTS, Counter, is_mass, narrow
from gong_source.settings import connect, resolve_settings
from gong_source.source import rows_source
from gong_source.warehouse.ledger import read_ledger, workspaces
from gong_source.warehouse.warehouse import Target
from gong_source.windows import Window, days_before, intersect, iso, now, now_exactly, split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gong_source.runs.run import Control, Run
    from gong_source.runs.verify.narrow import Counted
    from gong_source.settings import GongSettings

Outcome = Literal["clean", "repaired", "differs", "refused", "paused", "failed"]

# Without a repair, a window of more pages than this is reported by its counts alone.
_MOST_PAGES_TO_REPORT = 10
_PAGES_AT_ONCE = 5
# More than this only happens while Gong is changing faster than it is read.
_ROUNDS = 4


@dataclass(slots=True)
class VerifyResult:
    """What a verification found and did. `status` says whether Gong and the warehouse agree now, `message` why not.

    `windows` are those that differed when it began, or in which Gong counts calls that it does not list yet.
    `gong_calls` and `held_calls` are the counts of the ranges when it began; None if Gong did not tell. `resume_from`
    is how far a comparison of every call came that ended early.
    """

    ranges: Sequence[Window]
    deep: bool
    repair: bool
    status: Status = "done"
    outcome: Outcome = "clean"
    message: str | None = None
    retry_at: datetime | None = None
    resume_from: datetime | None = None
    interrupted: bool = False
    gong_calls: int | None = None
    held_calls: int | None = None
    windows: list[Difference] = field(default_factory=list)
    marked_deleted: int = 0
    requests: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    command: str = "verify"

    @property
    def differing(self) -> list[Difference]:
        """The windows that differed, without those that only are unsettled."""
        return [found for found in self.windows if found.outcome != "unsettled"]

    def total(self, name: Literal["missing", "changed", "surplus", "unsettled"]) -> int:
        """The calls of all windows that are missing, changed, surplus or unsettled."""
        return sum(getattr(found, name) for found in self.windows)

    def as_json(self) -> dict[str, Any]:
        """The result as JSON's types, times in RFC 3339."""
        return {
            "command": self.command,
            "status": self.status,
            "outcome": self.outcome,
            "message": self.message,
            "retry_at": iso(self.retry_at) if self.retry_at else None,
            "resume_from": iso(self.resume_from) if self.resume_from else None,
            "ranges": [[iso(window.start), iso(window.end)] for window in self.ranges],
            "deep": self.deep,
            "repair": self.repair,
            "gong_calls": self.gong_calls,
            "held_calls": self.held_calls,
            "windows": [found.as_json() for found in self.windows],
            "missing": self.total("missing"),
            "changed": self.total("changed"),
            "surplus": self.total("surplus"),
            "unsettled": self.total("unsettled"),
            "marked_deleted": self.marked_deleted,
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "failures": self.failures,
            "notes": self.notes,
        }


@dataclass(frozen=True, slots=True)
class _Terms:
    """How a verification goes about it.

    `share` of a window may be gone without a person's word; `most_requests` may go into finding what differs.
    """

    repair: bool
    deep: bool
    share: float
    deleted_calls: str
    most_requests: int = MOST_REQUESTS


def verify(
    target: Target | None = None,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    repair: bool = False,
    deep: bool = False,
    accept_deletions: bool = False,
    settings: GongSettings | None = None,
    control: Control | None = None,
) -> VerifyResult:
    """Compares Gong with the warehouse over `[start, end)` (UTC; default: all that runs have covered).

    Compares counts, and calls where the counts differ; with `deep`, every call. Writes one row of `verifications`; with
    `repair` it also loads the windows that differ again, and gives the calls that Gong no longer lists `deleted_at`.
    Where too many are gone at once it marks none, unless `accept_deletions`. `settings` default to dlt's configuration.
    Raises `ConfigurationError`, `DatasetLocked` or `DestinationFailed`; what Gong refuses is told in the
    result.
    """
    settings = settings or resolve_settings()
    with open_run(target or Target(), settings, control, command="verify") as run:
        ranges = _ranges(run, start, end)
        result = VerifyResult(ranges, deep, repair, notes=run.notes)
        share = float("inf") if accept_deletions else settings.max_deleted_share
        _verify(run, result, _Terms(repair, deep, share, settings.deleted_calls))
    return result


def verify_recent(run: Run, settings: GongSettings) -> VerifyResult | None:
    """Verifies and repairs the last `verify_days` of what the ledger covers; None if there is nothing to.

    Sends at most `verify_request_budget` requests, and what the run may still send if that is less.
    """
    allowed = settings.verify_request_budget
    if run.control.max_requests is not None:
        allowed = min(allowed, run.control.max_requests - run.client.transport.usage.requests)
    moment = now()
    ledger = read_ledger(run.warehouse, settings.workspace_id)
    recent = Window(days_before(moment, settings.verify_days), moment) if settings.verify_days else None
    ranges = intersect(ledger.covered, [recent]) if recent else []
    if not ranges or allowed < 1:
        return None
    client = connect(settings, stopped=run.control.stopped, max_requests=allowed)
    try:
        own = replace(run, client=client, ledger=ledger)
        result = VerifyResult(ranges, deep=False, repair=True)
        # the other half is for loading what was found: so that even a small budget gets on
        terms = _Terms(True, False, settings.max_deleted_share, settings.deleted_calls, max(1, allowed // 2))
        _verify(own, result, terms)
    finally:
        client.transport.close()
    return result


def _ranges(run: Run, start: datetime | None, end: datetime | None) -> list[Window]:
    """What to verify: what was asked for, else all that the ledger covers."""
    covered = run.ledger.covered
    if not covered and (start is None or end is None):
        others = ", ".join(workspaces(run.warehouse))
        but = f", but in workspace {others}: name it with --workspace-id" if others else ""
        raise ConfigurationError(
            f"nothing has been loaded yet{but or '; run gong-source sync first, or give --from and --to'}"
        )
    if start is None and end is None:
        return covered
    first = start if start is not None else covered[0].start
    last = min(end if end is not None else covered[-1].end, now())
    if first >= last:
        raise ConfigurationError(f"--from {iso(first)} must lie before --to {iso(last)}, and before now")
    return [Window(first, last)]


def _verify(run: Run, result: VerifyResult, terms: _Terms) -> None:
    """Runs the verification, fills in `result`, and writes its row."""
    began, moment = time.monotonic(), now_exactly()
    try:
        _compare(run, result, terms, moment)
    except QuotaExhausted as exhausted:
        result.status, result.message, result.retry_at = "paused", str(exhausted), exhausted.retry_at
    except WalkStopped:
        result.status, result.message, result.interrupted = "paused", "stopped on request; run it again", True
    except RequestFailed as error:
        result.status, result.message = "failed", str(error)
    _conclude(result)
    if terms.repair and result.outcome != "refused":
        marked = run.warehouse.query("select count(*) from {dataset}.calls where deleted_at = %s", moment)
        result.marked_deleted = int(marked[0][0]) if marked else 0
        apply_policy(run.warehouse, terms.deleted_calls)
    result.requests = run.client.transport.usage.requests
    run.warehouse.load(rows_source(VERIFICATIONS, [_row(run, result, moment)]))
    result.seconds = time.monotonic() - began


def _compare(run: Run, result: VerifyResult, terms: _Terms, moment: datetime) -> None:
    """Finds what differs and, in a repair, loads it; again as long as the counts tell that there is more.

    A call that moved looks deleted where it was, until the window it moved to is found to differ too.
    """
    counter = Counter(run.warehouse, run.client)
    whole = counter.count(result.ranges)
    gong = result.gong_calls = sum(counted.gong for counted in whole)
    held = result.held_calls = sum(counted.held for counted in whole)
    if terms.share != float("inf") and (is_mass(held - gong, held, terms.share) or held > gong == 0):
        # to look closer would only cost requests, and to load would change nothing
        result.windows = [_counted_only(counted, "refused") for counted in whole if counted.differs]
        return
    for _ in range(_ROUNDS):
        if not _round(run, result, terms, whole, moment) or terms.deep:
            return
        whole = counter.count(result.ranges)
        awaited = sum(w.unsettled - w.surplus for w in result.windows if w.unsettled)
        if sum(counted.gong - counted.held for counted in whole) == awaited:
            return
    result.windows += [_counted_only(counted, "differs") for counted in whole if counted.differs]


def _round(run: Run, result: VerifyResult, terms: _Terms, whole: Sequence[Counted], moment: datetime) -> bool:
    """Finds what differs and, in a repair, loads and marks it; whether there is reason for another round.

    What a round that ends early has compared is repaired as well.
    """
    windows = whole
    if not terms.deep:
        suspects = windows_with_losses(run.warehouse)
        windows = narrow(Counter(run.warehouse, run.client), whole, suspects, terms.most_requests)
    if not (terms.repair or terms.deep):
        large = [counted for counted in windows if counted.pages > _MOST_PAGES_TO_REPORT]
        windows = [counted for counted in windows if counted.pages <= _MOST_PAGES_TO_REPORT]
        result.windows += [_counted_only(counted, "differs") for counted in large if counted.differs]
    comparison = Comparison(run.warehouse, run.client.workspace_id, terms.repair)
    load = LoadResult("repair", [piece for counted in windows for piece in _pieces(counted, terms)])
    load_ranges(run, load, wanted=comparison.compare, small=not terms.deep)
    gone = comparison.settle(terms.share)
    known = {difference.window for difference in result.windows if difference.unsettled}
    result.windows += [difference for difference in comparison.windows if difference.window not in known]
    result.windows.sort(key=lambda difference: difference.window)
    result.status, result.message, result.retry_at = load.status, load.message, load.retry_at
    result.interrupted = load.interrupted
    result.failures += load.failures
    ended = load.status in {"done", "incomplete"}
    result.resume_from = comparison.reached if terms.deep and not ended else None
    if not terms.repair:
        return False
    refused = any(found.outcome == "refused" for found in result.windows)
    if not refused:
        mark_deleted(run.warehouse, gone, moment)
    repaired = [
        found
        for found in result.windows
        if found.outcome == "differs" and not (refused and found.surplus) and not found.surplus > found.unsettled > 0
    ]
    for found in repaired:
        found.outcome = "repaired"
    return ended and not refused and bool(repaired)


def _pieces(counted: Counted, terms: _Terms) -> list[Window]:
    """The window in pieces of a few pages: what a used-up budget interrupts is little, and several go at once."""
    return [counted.window] if terms.deep else split(counted.window, math.ceil(counted.pages / _PAGES_AT_ONCE))


def _counted_only(counted: Counted, outcome: Literal["differs", "refused"]) -> Difference:
    """What the counts alone tell of a window."""
    more = counted.gong - counted.held
    return Difference(
        counted.window, counted.gong, counted.held, missing=max(0, more), surplus=max(0, -more), outcome=outcome
    )


def _conclude(result: VerifyResult) -> None:
    """The outcome, and what to tell about it."""
    refused = [found for found in result.windows if found.outcome == "refused"]
    differs = any(found.outcome == "differs" for found in result.windows)
    if result.status in {"paused", "failed"}:
        result.outcome = "paused" if result.status == "paused" else "failed"
        if result.resume_from:
            result.message = f"{result.message}; with --from {iso(result.resume_from)} it goes on where it was"
        if refused:
            result.message = f"{result.message}; {_refusal(refused)}"
    elif refused:
        result.outcome, result.status, result.message = "refused", "incomplete", _refusal(refused)
    elif differs:
        result.outcome, result.status = "differs", "incomplete"
        result.message = (
            f"{len(result.differing):,} windows differ; gong-source verify --repair loads them again"
            if not result.repair
            else "some windows still differ; run it again"
        )
    elif result.failures:
        result.outcome, result.status = "differs", "incomplete"
    else:
        result.outcome = "repaired" if result.differing else "clean"


def _refusal(windows: Sequence[Difference]) -> str:
    gone, held = sum(found.surplus for found in windows), sum(found.held for found in windows)
    where = str(windows[0].window) if len(windows) == 1 else f"{len(windows)} windows"
    return (
        f"Gong no longer lists {gone:,} of {held:,} calls in {where}; none was marked as deleted, because a key that"
        " lost its visibility looks the same. Check the key's owner and scope (gong-source check); if the calls are"
        " really gone, run gong-source verify --repair --accept-deletions"
    )


def _row(run: Run, result: VerifyResult, started_at: datetime) -> dict[str, Any]:
    return {
        "verification_id": uuid.uuid4().hex,
        "verified_from": result.ranges[0].start,
        "verified_to": result.resume_from or result.ranges[-1].end,
        "workspace_id": run.client.workspace_id,
        "is_deep": result.deep,
        "is_repair": result.repair,
        "outcome": result.outcome,
        "gong_calls": None if result.resume_from else result.gong_calls,
        "held_calls": None if result.resume_from else result.held_calls,
        "differing_windows": len(result.differing),
        "missing": result.total("missing"),
        "changed": result.total("changed"),
        "surplus": result.total("surplus"),
        "unsettled": result.total("unsettled"),
        "marked_deleted": result.marked_deleted,
        "requests": result.requests,
        "started_at": started_at,
        "finished_at": now_exactly(),
    }
