"""What the ledger says of covered and unsettled time, however many rows it has."""

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


def fetched(fetches: Sequence[tuple[int, int, bool]]) -> Ledger:
    """A ledger of fetches, each an hour after the one before it: its first hour, its length, and whether it settled."""
    return Ledger(
        tuple(
            Entry(Window(hour(start), hour(start + length)), "sync", settled, hour(100 + at), 1, None, None)
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
