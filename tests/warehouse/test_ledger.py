"""What the ledger says of covered and unsettled time, however many rows it has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from gong_source.resources.calls import CALLS, CALLS_WITH_DETAILS
from gong_source.warehouse.ledger import Entry, Ledger
from gong_source.windows import Window, subtract, union

if TYPE_CHECKING:
    from collections.abc import Sequence

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)


def hour(number: float) -> datetime:
    """An hour after the origin."""
    return ORIGIN + timedelta(hours=number)


def fetched(fetches: Sequence[tuple[int, int, bool]]) -> Ledger:
    """A ledger of fetches, each an hour after the one before it: its first hour, its length, and whether it settled."""
    return Ledger(
        tuple(
            Entry(Window(hour(start), hour(start + length)), "sync", settled, hour(100 + at), None, None)
            for at, (start, length, settled) in enumerate(fetches)
        )
    )


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9), st.booleans()), max_size=30), st.integers(100, 130))
def test_unsettled_is_what_no_later_fetch_settled(fetches: list[tuple[int, int, bool]], moment: int) -> None:
    """The last fetch of each hour decides whether it is settled; old unsettled time is not fetched for ever."""
    ledger = fetched(fetches)
    unsettled: list[Window] = []
    for entry in ledger.entries:
        unsettled = subtract(unsettled, [entry.window])
        unsettled = unsettled if entry.settled else union([*unsettled, entry.window])

    assert ledger.unsettled == unsettled
    old = [entry.window for entry in ledger.entries if not entry.settled and entry.fetched_at < hour(moment)]
    assert ledger.unsettled_since(hour(moment)) == subtract(unsettled, old)


def test_a_large_ledger_takes_few_steps() -> None:
    """A ledger with years of windows, many of them unsettled, is read once, not once for each window."""
    ledger = fetched([(at * 2, 1, at % 2 == 0) for at in range(20_000)])

    assert len(ledger.unsettled) == 10_000  # took minutes when each window was compared with all


def listed(*fetches: tuple[str, int, int]) -> Ledger:
    """A ledger of fetches, each an hour after the one before it: its endpoint, its first hour and its last."""
    entries = tuple(
        Entry(Window(hour(start), hour(end)), "sync", True, hour(1000 + at), None, None, endpoint)
        for at, (endpoint, start, end) in enumerate(fetches)
    )
    return Ledger(entries)


def test_what_another_list_covered_counts_for_calls_alone() -> None:
    """With details, only the list that has them counts as fetched; calls alone may come from either list."""
    with_details, alone = str(CALLS_WITH_DETAILS.endpoint), str(CALLS.endpoint)
    ledger = listed((alone, 0, 100), (with_details, 50, 80))

    assert ledger.of(CALLS).covered == [Window(hour(0), hour(100))]
    assert ledger.of(CALLS_WITH_DETAILS).covered == [Window(hour(50), hour(80))]
    assert ledger.of(CALLS_WITH_DETAILS).sync_start == hour(0)


def test_records_are_compared_where_the_same_list_was_read_before() -> None:
    """After a change of the list, a record near an end may be filed by its other time; so nothing is compared once."""
    with_details, alone = str(CALLS_WITH_DETAILS.endpoint), str(CALLS.endpoint)
    first = listed((alone, 0, 100))
    second = listed((alone, 0, 100), (with_details, 0, 101))

    assert first.of(CALLS).comparable == [Window(hour(0), hour(100))]
    assert first.of(CALLS_WITH_DETAILS).comparable == []
    assert second.of(CALLS_WITH_DETAILS).comparable == [Window(hour(0), hour(101))]
    assert second.of(CALLS).comparable == []


def test_windows_are_a_day_longer_after_a_change_of_the_list() -> None:
    """So that a record near an end is listed by both; never into the future."""
    with_details, alone = str(CALLS_WITH_DETAILS.endpoint), str(CALLS.endpoint)
    wanted, end = [Window(hour(100), hour(200))], hour(210)
    once = listed((alone, 0, 150)).of(CALLS_WITH_DETAILS)

    assert once.widened(wanted, end) == [Window(hour(76), hour(210))]
    assert listed((alone, 0, 150)).of(CALLS).widened(wanted, end) == wanted
    assert listed((alone, 0, 150), (with_details, 0, 150)).of(CALLS_WITH_DETAILS).widened(wanted, end) == wanted


def test_times_covered() -> None:
    """How many fetches since a moment have covered a window; one that was cut off before its end does not count."""
    ledger = listed(("", 0, 10), ("", 5, 10), ("", 5, 10))

    late = Window(hour(6), hour(9))
    assert [ledger.times_covered(late, hour(at)) for at in (1000, 1001, 1002, 1003)] == [3, 2, 1, 0]
    assert ledger.times_covered(Window(hour(1), hour(9)), hour(1001)) == 0
    assert ledger.times_covered(Window(hour(6), hour(12)), hour(1000)) == 0
