"""Rows that somebody deleted from `calls` are found by the warehouse's own tables, also where counts are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mirrors import LARGE, between, days_ago, lose, mirror, rows, sent, table, truth

from gong_source import Target, backfill, sync, verify
from gong_source.resources.calls import CALLS
from gong_source.runs.verify.losses import windows_with_losses
from gong_source.warehouse.warehouse import open_warehouse

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator
    from gong_source.windows import Window

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]


def losses() -> list[Window]:
    """The losses that the warehouse of the test shows."""
    with open_warehouse(Target(), command="verify", write=False) as warehouse:
        return windows_with_losses(warehouse, CALLS)


def fetched() -> set[tuple[str, str]]:
    """The windows of the ledger, as the first sync fetched them."""
    return {(str(start), str(end)) for start, end in rows("select window_start, window_end from gong.fetched_windows")}


def test_a_true_warehouse_has_lost_nothing(serve: Serve, settings_for: SettingsFor) -> None:
    """A call that moved, one that Gong deleted, and one whose row a setting removed are not losses."""
    tenant, _, settings = mirror(serve, settings_for, LARGE)
    assert losses() == []
    moved, gone, removed = between(tenant, days_ago(200), days_ago(190))[:3]
    tenant.redate(moved, started=days_ago(100), scheduled=None)
    tenant.delete(gone)
    verify(settings=settings, repair=True)
    assert losses() == []
    tenant.delete(removed)
    settings["deleted_calls"] = "remove"

    verify(settings=settings, repair=True)

    assert rows("select count(*) from gong.calls where id in (?, ?)", gone, removed) == [(0,)]
    assert losses() == []
    assert table() == truth(tenant)


def test_the_window_that_brought_the_lost_call_is_reported(serve: Serve, settings_for: SettingsFor) -> None:
    """A lost call leads to its window, without a request; loaded again, it is not lost any more."""
    tenant, simulator, settings = mirror(serve, settings_for, LARGE)
    before = fetched()
    lost = between(tenant, days_ago(200), days_ago(190))[0]
    time = tenant.effective_time(tenant.calls[lost], "documented")
    lose([lost])

    (window,) = losses()

    assert time in window
    assert (str(window.start), str(window.end)) in before
    assert sent(simulator) == 0
    verify(settings=settings, repair=True)
    assert losses() == []


def test_neighbouring_windows_are_reported_as_one(serve: Serve, settings_for: SettingsFor) -> None:
    """A lost stretch of time is one window."""
    tenant, _, _ = mirror(serve, settings_for, LARGE)
    lose(between(tenant, days_ago(150), days_ago(30)))

    (window,) = losses()

    assert window.start <= days_ago(150) < days_ago(30) <= window.end


@pytest.mark.parametrize("apart", [0, 120], ids=["side by side", "months apart"])
def test_a_lost_and_a_surplus_call_do_not_cancel_out(serve: Serve, settings_for: SettingsFor, apart: float) -> None:
    """Although the counts of the whole range are equal, one repair finds and repairs both."""
    tenant, simulator, settings = mirror(serve, settings_for, LARGE)
    lost = between(tenant, days_ago(200), days_ago(190))[0]
    gone = between(tenant, days_ago(200 - apart), days_ago(190 - apart))[1]
    lose([lost])
    tenant.delete(gone)

    report = verify(settings=settings)
    assert (report.listed, report.stored, report.outcome) == (5999, 5999, "differs")
    assert (report.total("missing"), report.total("surplus")) == (1, 1)
    simulator.reset_requests()
    assert verify(settings=settings, repair=True).outcome == "repaired"

    assert table() == truth(tenant)
    assert sent(simulator) <= 2 * 25


def test_a_call_lost_of_a_backfill_is_reported_although_syncs_went_on(serve: Serve, settings_for: SettingsFor) -> None:
    """The windows of the load that first brought the call show the loss, whatever was loaded since."""
    tenant, _, settings = mirror(serve, settings_for, LARGE)
    backfill(days_ago(330), days_ago(150), settings=settings, refresh=True)
    sync(settings=settings)
    lost = between(tenant, days_ago(200), days_ago(190))[0]
    lose([lost])

    assert any(tenant.effective_time(tenant.calls[lost], "documented") in window for window in losses())
