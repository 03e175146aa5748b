"""What a person should look at: each warning is true, and is given when it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tenants import END, days_ago

from gong_source import sync, verify
from gong_source.report.gather import gather
from gong_source.report.verdict import warnings
from gong_source.settings import resolve_without_key
from gong_source.simulator import Call, Tenant
from gong_source.warehouse.arrivals import Delays
from gong_source.warehouse.warehouse import Target, open_warehouse
from gong_source.windows import Window, iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from gong_source.report.gather import Facts
    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]


@pytest.fixture
def facts(serve: Serve, settings_for: SettingsFor) -> Facts:
    """The facts of a dataset in which all is well, with a call on each of the last 400 days."""
    tenant = Tenant([Call(str(n + 1), started=days_ago(n + 0.5)) for n in range(400)], users=2)
    settings = settings_for(serve(tenant), resources="all", start_date=iso(days_ago(401)))
    sync(settings=settings)
    verify(settings=settings)
    with open_warehouse(Target(), command="report", write=False) as warehouse:
        return gather(warehouse, resolve_without_key(resources="all"))


def changed(facts: Facts, name: str, **status: object) -> Facts:
    """The facts with another status of one resource."""
    trust = [
        replace(part, status=replace(part.status, **status)) if part.status.name == name else part
        for part in facts.trust
    ]
    return replace(facts, trust=trust)


def test_each_warning_is_given_when_it_is_true(facts: Facts) -> None:
    """Nothing to say; an old table; a snapshot that is not due yet; late records; a run that failed."""
    assert warnings(facts) == []

    day = 86_400.0
    assert [text.split(":")[0] for text in warnings(changed(facts, "calls", age_seconds=3 * day))] == [
        "calls is 3 days old"
    ]
    assert warnings(changed(facts, "users", age_seconds=2.9 * day)) == []  # at most a day older than a sync may be
    weekly = replace(facts, snapshot_hours=168.0)
    assert warnings(changed(weekly, "users", age_seconds=8 * day)) == []
    assert len(warnings(changed(weekly, "users", age_seconds=10 * day))) == 1
    late = Delays(records=3, median=2.0, p99=6.5, longest=6.5, beyond=0, enough=False)
    assert warnings(changed(facts, "calls", arrivals=late)) == [
        "Some calls arrive near the end of what each sync looks back: set lookback_days to more days."
    ]
    assert warnings(changed(facts, "calls", arrivals=replace(late, beyond=1))) == [
        "Some calls arrive later than each sync looks back: set lookback_days to more days."
    ]
    assert warnings(changed(facts, "calls", verified=None)) == [
        "Never verified: calls. gong-source verify compares with Gong."
    ]
    awaited = [Window(days_ago(3), days_ago(2))]
    assert warnings(changed(facts, "calls", unsettled=awaited)) == [
        "Gong counts more calls than it lists: it still processes some. The next syncs fetch them."
    ]
    failed = [replace(facts.runs[0], status="failed", message="why"), *facts.runs]
    assert warnings(replace(facts, runs=failed)) == ["The last run (verify) ended as failed: why."]


def test_weeks_are_whole(facts: Facts) -> None:
    """The first of the 52 weeks begins on its Monday; the last one ends with the newest call."""
    activity = facts.activity
    assert activity is not None
    by_week = sorted((week.week, week.calls) for week in activity.weeks)

    assert len(by_week) == 52
    assert {calls for _, calls in by_week[:-1]} == {7}
    assert by_week[-1][0] <= END.date()
