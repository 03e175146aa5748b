"""Any history of calls and their content, with budgets and faults in between, ends in what Gong serves."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conversations import ALL, ask_again, difference
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from places import duckdb_place
from tenants import END, days_ago

from gong_source import Control, sync, verify
from gong_source.simulator import ABSENT, SMALL, Fault, Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from places import Place

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

MANY = int(os.environ.get("GONG_SOURCE_FUZZ", "0"))
CALLS = 8
EXTENSIVE, TRANSCRIPT = "/v2/calls/extensive", "/v2/calls/transcript"

BLOCKS = {
    "parties": [None, ABSENT, [], [{"id": "1", "name": "Zoë", "methods": ["Invitee"]}, {"id": "1"}]],
    "trackers": [None, [], [{"id": 5, "count": 2, "phrases": [{"phrase": "x", "occurrences": [{"startTime": 1}]}]}]],
    "outline": [ABSENT, [], [{"section": "s", "items": []}, {"section": "t", "items": [{"text": "u" * 9000}]}]],
    "brief": [None, "", "A brief one."],
    "publicComments": [[], [{"id": "1", "comment": "c", "posted": "2026-01-01T00:00:00+02:00", "new": [1]}]],
    "context": [[], [{"system": "HubSpot", "objects": [{"objectId": "1", "fields": [{"name": "a", "value": 2.5}]}]}]],
}
TRANSCRIPTS = [None, [], [{"speakerId": None, "topic": "t", "sentences": []}], [{"sentences": [{"text": "Hello."}]}]]
STEPS = st.one_of(
    st.sampled_from(list(BLOCKS)).flatmap(
        lambda name: st.tuples(
            st.just("block"), st.integers(0, CALLS - 1), st.just(name), st.sampled_from(BLOCKS[name])
        )
    ),
    st.tuples(st.just("transcript"), st.integers(0, CALLS - 1), st.sampled_from(TRANSCRIPTS)),
    st.tuples(st.sampled_from(["private", "public", "delete", "restore", "late", "trim"]), st.integers(0, CALLS - 1)),
    st.tuples(st.just("sync"), st.sampled_from(["whole", "one request", "failing"])),
)


def _apply(tenant: Tenant, ids: list[str], step: tuple[Any, ...]) -> None:
    """What happens in Gong."""
    kind, call_id = step[0], ids[step[1]]
    if kind == "restore":
        if call_id not in tenant.calls:
            tenant.restore(call_id)
        return
    if call_id not in tenant.calls:
        return
    if kind == "block":
        tenant.set_content(call_id, **{step[2]: step[3]})
    elif kind == "transcript":
        tenant.set_transcript(call_id, step[2])
        tenant.edit(call_id, duration=int(time.monotonic_ns() % 10**9))  # else Gong's edit could not be noticed
    elif kind == "late":
        tenant.make_content_available(call_id, transcript_at=time.time() + 3600, content_at=time.time() + 3600)
    elif kind == "delete":
        tenant.delete(call_id)
    else:
        change = {"private": {"isPrivate": True}, "public": {"isPrivate": False}, "trim": {"duration": 7}}[kind]
        tenant.edit(call_id, **change)


@settings(
    max_examples=MANY or 3,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # an example takes seconds, so a failure is not made smaller
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEPS, min_size=3, max_size=8))
def test_any_history_ends_in_what_gong_serves(
    steps: list[tuple[Any, ...]], serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happened and wherever a budget ended: after whole syncs and one repair, the tables are right."""
    folder = Path(tempfile.mkdtemp())
    monkeypatch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
    monkeypatch.chdir(folder)
    place = duckdb_place(folder / "gong_calls.duckdb", "gong")
    tenant = Tenant.generate(CALLS, start=days_ago(6), end=END, seed=5, content=SMALL)
    ids = list(tenant.calls)
    simulator = serve(tenant)
    options = settings_for(simulator, resources=ALL, start_date=iso(days_ago(8)), deleted_calls="remove")
    try:
        for step in steps:
            if step[0] != "sync":
                _apply(tenant, ids, step)
                continue
            how = step[1]
            simulator.faults = (Fault(kind="record_without_id", path=EXTENSIVE),) if how == "failing" else ()
            sync(place.target, settings=options, control=Control(max_requests=2 if how == "one request" else None))
            simulator.faults = ()
        _bring_up_to_date(place, options)
        assert difference(place, tenant) == []
    finally:
        shutil.rmtree(folder)


def _bring_up_to_date(place: Place, options: GongSettings) -> None:
    """As a day later: everything is due, and a person confirms what many calls have lost."""
    sync(place.target, settings=options)
    ask_again(place)
    sync(place.target, settings=options)
    verify(place.target, settings=options, deep=True, repair=True, accept_deletions=True)
