"""Arithmetic with UTC windows: sets of time that neither lose nor repeat an instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gong_source.dates import parse
from gong_source.windows import (
    Coverage,
    Window,
    cut,
    days_before,
    intersect,
    iso,
    next_midnight,
    now,
    reach,
    seconds_after,
    split,
    subtract,
    union,
    utc,
    whole_second,
)

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - a person's time may come without a zone
PARIS = ZoneInfo("Europe/Paris")


def test_days_before_ends_at_the_first_time_that_python_knows() -> None:
    """A range from the year 1 on is no error: there is nothing before it."""
    first = datetime(1, 1, 1, tzinfo=UTC)
    assert days_before(first, 400) == first
    assert days_before(datetime(1, 1, 3, tzinfo=UTC), 1) == datetime(1, 1, 2, tzinfo=UTC)


def hour(number: float) -> datetime:
    """An hour after the origin."""
    return ORIGIN + timedelta(hours=number)


def span(start: float, end: float) -> Window:
    """The hours from `start` to `end`."""
    return Window(hour(start), hour(end))


# parse


instants = st.datetimes(NAIVE - timedelta(days=20_000), NAIVE + timedelta(days=60_000), timezones=st.just(UTC))


@given(instants)
def test_iso_and_parse_are_inverse(instant: datetime) -> None:
    """What `iso` writes, `parse` reads back to the millisecond."""
    assert parse(iso(instant)) == utc(instant)
    assert instant - utc(instant) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2026, 1, 31, 9, tzinfo=UTC), "2026-01-31T09:00:00Z"),
        (datetime(2026, 1, 31, 9, 0, 0, 250_000, tzinfo=UTC), "2026-01-31T09:00:00.250Z"),
        (datetime(2026, 1, 31, 9, 0, 0, 1000, tzinfo=UTC), "2026-01-31T09:00:00.001Z"),
        (datetime(2026, 10, 25, 2, 30, tzinfo=PARIS), "2026-10-25T00:30:00Z"),
        (datetime(2026, 10, 25, 2, 30, tzinfo=PARIS, fold=1), "2026-10-25T01:30:00Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_iso(instant: datetime, text: str) -> None:
    """Times go to Gong in UTC with Z, with milliseconds only where there are any."""
    assert iso(instant) == text


# instants


def test_now_is_a_whole_second_in_utc() -> None:
    """The current time is UTC and cut to its second."""
    assert now().tzinfo is UTC
    assert now().microsecond == 0
    assert abs(now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_days_and_seconds() -> None:
    """Days are 24 hours, fractions count, and the end of time is never passed."""
    assert days_before(hour(48), 1.5) == hour(12)
    assert days_before(hour(48), 0) == hour(48)
    assert seconds_after(ORIGIN, 0.0019) == ORIGIN + timedelta(milliseconds=1)
    assert seconds_after(ORIGIN, 1e300) == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert whole_second(ORIGIN + timedelta(seconds=1, milliseconds=999)) == ORIGIN + timedelta(seconds=1)


@given(instants)
def test_next_midnight(instant: datetime) -> None:
    """The next midnight is later, at most a day away, and midnight in UTC."""
    midnight = next_midnight(instant)

    assert instant < midnight <= instant + timedelta(days=1)
    assert (midnight.hour, midnight.minute, midnight.second, midnight.microsecond) == (0, 0, 0, 0)
    assert midnight.tzinfo is UTC


# windows


def test_window() -> None:
    """A window contains its start and not its end, knows its length, and is shown in Gong's format."""
    window = span(0, 1)

    assert window.start in window
    assert window.end not in window
    assert window.end - timedelta(microseconds=1) in window
    assert window.seconds == 3600
    assert str(window) == "[2026-01-01T00:00:00Z, 2026-01-01T01:00:00Z)"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (ORIGIN, ORIGIN),
        (hour(1), ORIGIN),
        (NAIVE, hour(1)),
        (ORIGIN, NAIVE + timedelta(days=1)),
        (ORIGIN.astimezone(PARIS), hour(1)),
    ],
)
def test_impossible_window(start: datetime, end: datetime) -> None:
    """An empty or reversed window and one that is not UTC cannot be made."""
    with pytest.raises(ValueError, match="window"):
        Window(start, end)


# sets of time, in whole hours: what a set holds is the list of its hours

spans = st.builds(lambda start, length: span(start, start + length), st.integers(0, 30), st.integers(1, 9))
sets = st.lists(spans, max_size=8)


def hours(windows: list[Window]) -> set[int]:
    """The hours that lie in any of the windows."""
    return {number for number in range(50) for window in windows if hour(number) in window}


def check_tidy(windows: list[Window]) -> None:
    """Disjoint and in order."""
    assert all(one.end <= other.start for one, other in pairwise(windows))


@given(sets)
def test_union(windows: list[Window]) -> None:
    """A union contains the time of its windows, disjoint, in order, and with nothing left to join."""
    joined = union(windows)

    assert hours(joined) == hours(windows)
    assert all(one.end < other.start for one, other in pairwise(joined))
    assert union(joined) == joined
    assert union(reversed(windows)) == joined


@given(sets, sets)
def test_subtract(windows: list[Window], covered: list[Window]) -> None:
    """The rest is the wanted time that is not covered; together with the covered time it is the whole again."""
    rest = subtract(windows, covered)

    assert hours(rest) == hours(windows) - hours(covered)
    check_tidy(rest)
    assert union([*rest, *intersect(windows, covered)]) == union(windows)


@given(sets)
def test_coverage(windows: list[Window]) -> None:
    """Adding a window returns the part of it that no window before it covered."""
    coverage = Coverage()
    for at, window in enumerate(windows):
        assert coverage.add(window) == subtract([window], windows[:at])


@given(sets, sets)
def test_intersect(windows: list[Window], others: list[Window]) -> None:
    """An intersection contains the time that both contain."""
    both = intersect(windows, others)

    assert hours(both) == hours(windows) & hours(others)
    check_tidy(both)


@given(st.integers(0, 40), sets)
def test_reach(start: int, windows: list[Window]) -> None:
    """Coverage reaches from its start to the first hour that is in no window."""
    expected = start
    while expected in hours(windows):
        expected += 1

    assert reach(hour(start), windows) == hour(expected)


@given(instants, st.integers(1, 10**9), st.integers(1, 50))
def test_split(start: datetime, milliseconds: int, pieces: int) -> None:
    """The pieces of a window are the window again: disjoint, in order, about equal, and cut at whole seconds."""
    begin = utc(start)
    window = Window(begin, begin + timedelta(milliseconds=milliseconds))
    parts = split(window, pieces)

    assert 1 <= len(parts) <= pieces
    assert (parts[0].start, parts[-1].end) == (window.start, window.end)
    assert all(one.end == other.start for one, other in pairwise(parts))
    assert union(parts) == [window]
    assert all(part.end.microsecond == 0 for part in parts[:-1])
    assert all(part.seconds <= window.seconds / pieces + 1 for part in parts[:-1])
    if window.seconds > 2 * pieces:
        assert len(parts) == pieces


@given(spans, st.lists(st.integers(-5, 45)))
def test_cut(window: Window, cuts: list[int]) -> None:
    """A window is cut at the instants inside it, whatever else is named, and loses nothing."""
    parts = cut(window, [hour(number) for number in cuts])

    assert union(parts) == [window]
    inside = {hour(number) for number in cuts if window.start < hour(number) < window.end}
    assert {part.start for part in parts[1:]} == inside
