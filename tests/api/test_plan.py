"""Planning of windows: what holds for every count, pace and shape."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gong_source.api.plan import Pace, too_large
from gong_source.windows import Window

JANUARY = datetime(2025, 1, 1, tzinfo=UTC)


@settings(max_examples=1000, deadline=None)
@given(
    total=st.integers(1, 30_000),
    length=st.one_of(st.integers(3, 20), st.integers(3, 200_000_000)),
    begin=st.floats(0.0, 1.0),
    spread=st.floats(0.0, 1.0),
    elsewhere=st.integers(0, 100_000),
    at_once=st.integers(1, 12),
    requests_left=st.one_of(st.floats(1.0, 500.0), st.just(float("inf"))),
)
def test_window_with_too_many_records_is_cut(
    total: int, length: int, begin: float, spread: float, elsewhere: int, at_once: int, requests_left: float
) -> None:
    """What is too large for one window gives a shorter one: a fetch would ask for the same window for ever."""
    window = Window(JANUARY, JANUARY + timedelta(seconds=length))
    first = window.start + timedelta(seconds=round(window.seconds * 0.99 * begin))
    seconds = (window.end - first).total_seconds()
    times = [first + timedelta(seconds=seconds * spread * n / 100) for n in range(100)]
    pace = Pace(at_once, requests_left)

    found = too_large(window, total, times, pace)

    if found is not None:
        taken, _ = found.cut_window(pace, total + elsewhere)
        assert taken.start == window.start
        assert taken.end < window.end
