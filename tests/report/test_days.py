"""What the calendar says of each day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gong_source.report.days import days_of
from gong_source.windows import Window, union

FIRST = datetime(2026, 3, 1, tzinfo=UTC)


def hours(start: float, end: float) -> Window:
    """A window by hours after the first midnight."""
    return Window(FIRST + timedelta(hours=start), FIRST + timedelta(hours=end))


@pytest.mark.parametrize(
    ("covered", "unsettled", "verified", "states"),
    [
        ([], [], [], []),
        ([hours(0, 48)], [], [], ["loaded", "loaded"]),
        ([hours(6, 30)], [], [], ["loaded", "loaded"]),
        ([hours(6, 30)], [], [hours(6, 24)], ["verified", "loaded"]),
        ([hours(0, 10), hours(12, 24)], [], [hours(0, 24)], ["partly loaded"]),
        ([hours(0, 24), hours(72, 96)], [], [], ["loaded", "not loaded", "not loaded", "loaded"]),
        ([hours(0, 48)], [hours(20, 22)], [hours(0, 48)], ["still processed by Gong", "verified"]),
    ],
)
def test_each_day_has_the_worst_that_is_known_about_it(
    covered: list[Window], unsettled: list[Window], verified: list[Window], states: list[str]
) -> None:
    """A gap outweighs an unsettled window, which outweighs a verification; outer days count as far as they reach."""
    days = days_of(covered, unsettled, verified)

    assert [day.state for day in days] == states
    assert [day.day for day in days] == [date(2026, 3, 1) + timedelta(days=n) for n in range(len(states))]


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 100)), min_size=1))
def test_a_gap_is_never_hidden(parts: list[tuple[int, int]]) -> None:
    """A day is loaded if and only if no moment of it between the first and the last covered one is missing."""
    covered = union(hours(start, start + length) for start, length in parts)
    present = {hour for start, length in parts for hour in range(start, start + length)}

    for number, day in enumerate(days_of(covered, [], []), (covered[0].start - FIRST).days):
        inside = [h for h in range(number * 24, number * 24 + 24) if min(present) <= h <= max(present)]
        assert (day.state == "loaded") == all(h in present for h in inside)
