"""Verifies a windowed resource: finds the windows that differ, and repairs them if asked to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gong_source.runs.load import load_windows
from gong_source.runs.progress import ProgressReporter
from gong_source.runs.results import ResourceResult
from gong_source.runs.verification import Difference
from gong_source.runs.verify.compare import Comparison
from gong_source.runs.verify.losses import windows_with_losses
from gong_source.runs.verify.narrow import MOST_REQUESTS, WindowCounter, narrow
from gong_source.stored.deletions import too_many_gone
from gong_source.warehouse.mark_and_remove import mark_deleted
from gong_source.windows import split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gong_source.resources.declare import Resource
    from gong_source.runs.run import Run
    from gong_source.runs.verification import Verification
    from gong_source.runs.verify.narrow import Counted
    from gong_source.windows import Window

# Without a repair, a window of more pages than this is reported by its counts alone.
_MOST_PAGES_TO_REPORT = 10
_PAGES_AT_ONCE = 5
# The ends of windows show which of its two times files a call, so a deep verification of a long range has several.
_LONG_SECONDS, _PIECES_OF_A_LONG_RANGE = 31 * 86400.0, 9
# More rounds than this only happen while Gong changes faster than the run reads.
_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Terms:
    """How a verification proceeds.

    More than `share` of a window may not be missing in Gong without a person's confirmation. At most `most_requests`
    requests go into finding what differs.
    """

    repair: bool
    deep: bool
    share: float
    most_requests: int = MOST_REQUESTS


def verify_windows(run: Run, resource: Resource, result: Verification, terms: Terms, moment: datetime) -> None:
    """Finds what differs and, in a repair, loads it; again as long as the counts show that there is more.

    A record that moved looks deleted where it was, until the window that it moved to is found to differ too. `moment`
    goes into `deleted_at`. Raises what requests and loads raise; what was found before that is in `result`.
    """
    counter = WindowCounter(run.warehouse, run.client, resource, ProgressReporter(run, resource.name).report)
    whole = counter.count(result.ranges)
    listed = result.listed = sum(counted.listed for counted in whole)
    stored = result.stored = sum(counted.stored for counted in whole)
    unconfirmed = terms.share != float("inf")
    if unconfirmed and (too_many_gone(stored - listed, stored, terms.share) or stored > listed == 0):
        # A closer look would only cost requests, and a load would change nothing.
        result.windows = [_counted_only(resource, counted, "refused") for counted in whole if counted.differs]
        return
    for _ in range(_ROUNDS):
        if not _round(run, counter, result, terms, whole, moment) or terms.deep:
            return
        whole = counter.count(result.ranges)
        awaited = sum(found.unsettled - found.surplus for found in result.windows if found.unsettled)
        if sum(counted.listed - counted.stored for counted in whole) == awaited:
            return
    result.windows += [_counted_only(resource, counted, "differs") for counted in whole if counted.differs]


def _round(
    run: Run, counter: WindowCounter, result: Verification, terms: Terms, whole: Sequence[Counted], moment: datetime
) -> bool:
    """Finds what differs and, in a repair, loads and marks it; whether there is a reason for another round.

    What a round that ends early has compared is repaired as well.
    """
    resource = counter.resource
    windows = _suspicious(run, counter, result, terms, whole)
    comparison = Comparison(run.warehouse, resource, run.client.workspace_id, terms.repair)
    load = ResourceResult(resource.name, [piece for counted in windows for piece in _pieces(counted, terms)])
    load_windows(run, resource, load, mode="repair", load_if=comparison.compare)
    missing = comparison.settle(terms.share)
    _take_over(load, result)
    known = {found.window for found in result.windows if found.unsettled}
    result.windows += [found for found in comparison.windows if found.window not in known]
    result.windows.sort(key=_start)
    ended = load.status in {"done", "incomplete"}
    result.resume_from = comparison.reached if terms.deep and not ended else None
    if not terms.repair:
        return False
    refused = any(found.outcome == "refused" for found in result.windows)
    if not refused:
        mark_deleted(run.warehouse, resource, missing, moment)
    repaired = [found for found in result.windows if _is_repaired(found, refused=refused)]
    for found in repaired:
        found.outcome = "repaired"
    return ended and not refused and bool(repaired)


def _suspicious(
    run: Run, counter: WindowCounter, result: Verification, terms: Terms, whole: Sequence[Counted]
) -> Sequence[Counted]:
    """The windows to fetch and compare: all of them if `deep`, else those that differ or may differ.

    Without a repair, large windows whose counts differ are put into `result` by their counts alone.
    """
    if terms.deep:
        return whole
    resource = counter.resource
    losses = windows_with_losses(run.warehouse, resource)
    windows = narrow(counter, whole, losses, terms.most_requests)
    if terms.repair:
        return windows
    large = [counted for counted in windows if counted.differs and counted.pages > _MOST_PAGES_TO_REPORT]
    result.windows += [_counted_only(resource, counted, "differs") for counted in large]
    return [counted for counted in windows if counted not in large]


def _take_over(load: ResourceResult, result: Verification) -> None:
    """How the fetch of a round ended is how the verification ends."""
    result.status, result.message, result.retry_at = load.status, load.message, load.retry_at
    result.interrupted, result.ends_run = load.interrupted, load.ends_run
    result.failures += load.failures
    result.received, result.rewritten = result.received + load.received, result.rewritten + load.changed


def _is_repaired(found: Difference, *, refused: bool) -> bool:
    return found.outcome == "differs" and not (refused and found.surplus) and not found.surplus > found.unsettled > 0


def _pieces(counted: Counted, terms: Terms) -> list[Window]:
    """The window in pieces of a few pages: a used-up budget interrupts little, and several are fetched at once."""
    if not terms.deep:
        return split(counted.window, math.ceil(counted.pages / _PAGES_AT_ONCE))
    long = counted.window.seconds > _LONG_SECONDS
    return split(counted.window, _PIECES_OF_A_LONG_RANGE) if long else [counted.window]


def _counted_only(resource: Resource, counted: Counted, outcome: Literal["differs", "refused"]) -> Difference:
    """What the counts alone show of a window."""
    more = counted.listed - counted.stored
    return Difference(
        resource.name,
        counted.window,
        counted.listed,
        counted.stored,
        missing=max(0, more),
        surplus=max(0, -more),
        outcome=outcome,
    )


def _start(found: Difference) -> datetime:
    assert found.window is not None
    return found.window.start
