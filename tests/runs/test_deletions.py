"""Calls that Gong no longer lists, as an ordinary sync finds them, at no request."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dlt
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from mirrors import END, SMALL, between, change, days_ago, mirror, rows, table, truth

from gong_source import backfill, gong, sync, verify
from gong_source.simulator import Call, Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]


def marked() -> set[str]:
    """The ids of the calls that are marked as deleted."""
    return {call_id for (call_id,) in rows("select id from gong.calls where deleted_at is not null")}


def test_calls_deleted_within_the_lookback_are_marked_by_the_next_sync(serve: Serve, settings_for: SettingsFor) -> None:
    """The table equals Gong again; the sync sends what it sends without deletions, and counts what it marked."""
    tenant, simulator, settings = mirror(serve, settings_for, SMALL)
    gone = between(tenant, days_ago(3), END)[:5]
    for call_id in gone:
        tenant.delete(call_id)

    result = sync(settings=settings)

    assert (result.status, result.resources["calls"].marked_deleted, result.calls_changed) == ("done", 5, 5)
    assert len(simulator.requests) == result.requests == 1
    assert marked() == set(gone)
    assert table() == truth(tenant)
    assert sync(settings=settings).resources["calls"].marked_deleted == 0


def test_a_plain_pipeline_marks_them_too(serve: Serve) -> None:
    """`pipeline.run(gong())` marks what the commands mark, within its lookback."""
    tenant = Tenant(Call(str(100 + n), started=END - timedelta(days=20 - n / 5)) for n in range(100))
    credentials = {"access_key": "key", "access_key_secret": "secret", "base_url": serve(tenant).base_url}
    pipeline = dlt.pipeline("gong_calls", destination=dlt.destinations.duckdb("gong_calls.duckdb"), dataset_name="gong")
    source = lambda: gong(credentials, start_date=iso(days_ago(25)))  # noqa: E731
    pipeline.run(source())
    recent, old = between(tenant, days_ago(3), END)[:2], between(tenant, days_ago(15), days_ago(10))[:1]
    for call_id in [*recent, *old]:
        tenant.delete(call_id)

    pipeline.run(source())
    found = marked()
    tenant.restore(recent[0])
    pipeline.run(source())

    assert found == set(recent)
    assert marked() == {recent[1]}


def test_call_that_is_listed_again_is_no_longer_marked(serve: Serve, settings_for: SettingsFor) -> None:
    """A call that reappears loses its `deleted_at`."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    gone = between(tenant, days_ago(3), END)[0]
    tenant.delete(gone)
    sync(settings=settings)
    before = marked()
    tenant.restore(gone)

    sync(settings=settings)

    assert (before, marked()) == ({gone}, set())
    assert table() == truth(tenant)


@pytest.mark.parametrize(
    ("kind", "share", "days"), [("all calls", 0.0, 8.0), ("most calls", 0.3, 8.0), ("one day of many", 1.0, 1.0)]
)
def test_many_missing_at_once_are_not_marked(
    serve: Serve, settings_for: SettingsFor, kind: str, share: float, days: float
) -> None:
    """A key that sees less marks nothing: the sync is incomplete, and says how to confirm the deletions."""
    one_each_hour = {"calls": 24 * 20, "days": 20}
    tenant, simulator, settings = mirror(serve, settings_for, one_each_hour)
    recent = between(tenant, END - timedelta(days=days), END)
    assert len(recent) > 10
    for call_id in recent[int(len(recent) * share) if days > 1 else 0 :]:
        tenant.delete(call_id)
    simulator.reset_requests()

    result = sync(settings=settings)

    assert kind
    assert result.status == "incomplete"
    assert "run gong-source verify --repair --accept-deletions" in str(result.message)
    assert marked() == set()
    assert result.resources["calls"].marked_deleted == 0


def test_call_that_gong_still_processes_is_not_marked(serve: Serve, settings_for: SettingsFor) -> None:
    """In a window where Gong counts more calls than it lists, a missing call may only be away for a while."""
    clock = {"now": END.timestamp()}
    tenant, _, settings = mirror(serve, settings_for, SMALL, served={"clock": lambda: clock["now"]})
    away = between(tenant, days_ago(3), END)[0]
    tenant.make_available(away, END.timestamp() + 3600)

    result = sync(settings=settings)
    clock["now"] += 7200
    sync(settings=settings)

    assert len(result.unsettled) == 1
    assert marked() == set()
    assert table() == truth(tenant)


def test_call_that_moved_within_the_lookback_is_not_marked(serve: Serve, settings_for: SettingsFor) -> None:
    """Gong lists it at its new time."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    moved = between(tenant, days_ago(3), END)[0]
    tenant.redate(moved, scheduled=None, started=days_ago(5))

    sync(settings=settings)

    assert marked() == set()
    assert table() == truth(tenant)


def test_call_with_one_time_before_the_lookback_is_not_marked(serve: Serve, settings_for: SettingsFor) -> None:
    """Gong may list it by that time, where this sync has not looked."""
    tenant = Tenant(Call(str(100 + n), started=END - timedelta(days=20 - n / 5)) for n in range(100))
    tenant.add(Call("7", scheduled=days_ago(9), started=days_ago(6), filed=days_ago(6)))
    settings = settings_for(serve(tenant), start_date=iso(days_ago(25)))
    sync(settings=settings)
    tenant.delete("7")

    sync(settings=settings)

    assert marked() == set()
    assert verify(repair=True, settings=settings).marked_deleted == 1


def test_sync_of_one_workspace_marks_only_its_calls(serve: Serve, settings_for: SettingsFor) -> None:
    """The calls of other workspaces are not asked for, so nothing is known of them."""
    tenant = Tenant.generate(200, start=days_ago(6), end=END, seed=5, workspaces=2)
    simulator = serve(tenant)
    sync(settings=settings_for(simulator, start_date=iso(days_ago(7))))
    one, other = tenant.workspace_ids
    sync(settings=settings_for(simulator, start_date=iso(days_ago(7)), workspace_id=one))
    gone = {
        workspace: next(i for i in tenant.calls if tenant.served(i)["workspaceId"] == workspace)
        for workspace in (one, other)
    }
    for call_id in gone.values():
        tenant.delete(call_id)

    sync(settings=settings_for(simulator, start_date=iso(days_ago(7)), workspace_id=one))

    assert marked() == {gone[one]}


@pytest.mark.parametrize(("policy", "left"), [("remove", []), ("redact", [(None, True)])])
def test_deleted_calls_decides_what_happens_to_marked_calls(
    serve: Serve, settings_for: SettingsFor, policy: str, left: list[Any]
) -> None:
    """The setting holds for what a sync finds as for what a repair finds."""
    tenant, _, settings = mirror(serve, settings_for, SMALL, deleted_calls=policy)
    gone = between(tenant, days_ago(3), END)[0]
    tenant.delete(gone)

    sync(settings=settings)

    assert rows("select title, deleted_at is not null from gong.calls where id = ?", gone) == left


def test_a_range_loaded_again_by_backfill_is_compared_too(serve: Serve, settings_for: SettingsFor) -> None:
    """`backfill --refresh` lists old time whole, so it marks what is gone there."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    gone = between(tenant, days_ago(50), days_ago(40))[:3]
    for call_id in gone:
        tenant.delete(call_id)

    result = backfill(days_ago(50), days_ago(40), refresh=True, settings=settings)

    assert result.resources["calls"].marked_deleted == 3
    assert marked() == set(gone)


@examples(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_any_history_within_the_lookback_ends_in_what_gong_lists(
    serve: Serve, settings_for: SettingsFor, rng: random.Random
) -> None:
    """Calls deleted, restored, edited, added late and moved, in any order and over several syncs."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    deleted: list[str] = []
    for _ in range(3):
        for _ in range(rng.randrange(6)):
            recent = between(tenant, days_ago(6.5), END)
            kind = rng.choice(["delete", "restore", "edit", "late", "move"])
            if kind == "delete" and len(deleted) < 8:
                deleted.append(rng.choice(recent))
                tenant.delete(deleted[-1])
            elif kind == "restore" and deleted:
                tenant.restore(deleted.pop())
            elif kind == "edit":
                tenant.edit(rng.choice(recent), title=str(rng.random()))
            elif kind == "late":
                tenant.add(Call(str(rng.getrandbits(60)), started=days_ago(rng.uniform(0.1, 6)), fields={"title": "x"}))
            elif kind == "move":
                tenant.redate(rng.choice(recent), scheduled=None, started=days_ago(rng.randrange(1, 60) / 10))
        assert sync(settings=settings).status == "done"
        assert table() == truth(tenant)


def test_rows_that_somebody_marked_are_left_alone(serve: Serve, settings_for: SettingsFor) -> None:
    """Only rows without `deleted_at` are compared."""
    tenant, _, settings = mirror(serve, settings_for, SMALL)
    gone = between(tenant, days_ago(3), END)[0]
    tenant.delete(gone)
    change("update gong.calls set deleted_at = '2020-01-01' where id = ?", gone)

    assert sync(settings=settings).resources["calls"].marked_deleted == 0
    assert rows("select year(deleted_at) from gong.calls where id = ?", gone) == [(2020,)]
