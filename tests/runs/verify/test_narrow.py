"""What narrowing asks and finds, on counts of 100,000 records in five years; the counts come from two sorted lists."""

from __future__ import annotations

import bisect
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gong_source.runs.verify.narrow import Counted, WindowCounter, narrow
from gong_source.windows import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

START = datetime(2021, 1, 1, tzinfo=UTC)
STEP = timedelta(days=1826) / 100_000
TIMES = [START + STEP * (n + 0.5) for n in range(100_000)]
WHOLE = Window(START, START + STEP * 100_000)


class Lists(WindowCounter):
    """Counts records in two lists of times: those that Gong lists, and those stored."""

    def __init__(self, listed: list[datetime], stored: list[datetime]) -> None:
        self.listed, self.stored = listed, stored
        self.sent = 0

    @property
    def asked(self) -> int:
        """The questions so far."""
        return self.sent

    def count(self, windows: Sequence[Window]) -> list[Counted]:
        """The counts of `windows`."""
        self.sent += len(windows)
        return [Counted(window, within(self.listed, window), within(self.stored, window)) for window in windows]


def within(times: list[datetime], window: Window) -> int:
    """How many of the sorted `times` lie in the window."""
    return bisect.bisect_left(times, window.end) - bisect.bisect_left(times, window.start)


def search(lost: Sequence[datetime], deleted: Sequence[datetime]) -> tuple[int, int]:
    """The requests that narrowing and fetching take, and how many of the damages lie in what is fetched."""
    listed, stored = sorted(set(TIMES) - set(deleted)), sorted(set(TIMES) - set(lost))
    counter = Lists(listed, stored)
    found = narrow(counter, counter.count([WHOLE]), [])
    fetched = counter.asked + sum(counted.pages for counted in found)
    return fetched, sum(any(time in counted.window for counted in found) for time in (*lost, *deleted))


@pytest.mark.parametrize(("lost", "most"), [(0, 3), (1, 25), (18, 190), (40, 330)])
def test_lost_records_cost_little_more_than_halving(lost: int, most: int) -> None:
    """Halving alone takes 13, 153 and 286 requests here; all is found."""
    for seed in range(5):
        requests, found = search(random.Random(seed).sample(TIMES, lost), [])
        assert requests <= most
        assert found == lost


@pytest.mark.parametrize("each", [9, 20])
def test_more_is_asked_where_lost_and_surplus_records_may_cancel_out(each: int) -> None:
    """Halving alone would miss four in ten of them. At most 22 requests are spent on a damage that is found."""
    found = 0
    for seed in range(5):
        damaged = random.Random(seed).sample(TIMES, 2 * each + 1)
        requests, seen = search(damaged[: each + 1], damaged[each + 1 :])
        assert requests <= 3 + 22 * (2 * each + 1)
        found += seen
    assert found >= 0.95 * 5 * (2 * each + 1)
