"""What the ledger's rows tell of covered and unsettled time, however many there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from gong_source.warehouse.ledger import Entry, Ledger
from gong_source.windows import Window, subtract, union

if TYPE_CHECKING:
    from collections.abc import Sequence

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)


def hour(number: float) -> datetime:
    """An hour after the origin."""
    return ORIGIN + timedelta(hours=number)


def walked(walks: Sequence[tuple[int, int, bool]]) -> Ledger:
    """A ledger of walks, each an hour after the one before it: its first hour, its length, and whether it settled."""
    return Ledger(
        tuple(
            Entry(Window(hour(start), hour(start + length)), "sync", settled, hour(100 + at), 1, None, None)
            for at, (start, length, settled) in enumerate(walks)
        )
    )


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9), st.booleans()), max_size=30), st.integers(100, 130))
def test_unsettled_is_what_no_later_walk_settled(walks: list[tuple[int, int, bool]], moment: int) -> None:
    """The last walk of each hour tells whether it is settled; what was unsettled long ago is not asked for for ever."""
    ledger = walked(walks)
    unsettled: list[Window] = []
    for entry in ledger.entries:
        unsettled = subtract(unsettled, [entry.window])
        unsettled = unsettled if entry.settled else union([*unsettled, entry.window])

    assert ledger.unsettled == unsettled
    old = [entry.window for entry in ledger.entries if not entry.settled and entry.fetched_at < hour(moment)]
    assert ledger.unsettled_since(hour(moment)) == subtract(unsettled, old)


def test_a_large_ledger_takes_few_steps() -> None:
    """Years of windows of which many stay unsettled are gone through once, not once for each."""
    ledger = walked([(at * 2, 1, at % 2 == 0) for at in range(20_000)])

    assert len(ledger.unsettled) == 10_000  # took minutes when each window was compared with all
