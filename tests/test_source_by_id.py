"""Details, content and transcripts in a dlt pipeline of one's own, without the commands."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dlt
import pytest
from conversations import ALL, ask_again, difference, is_question, public_tenant
from dlt.pipeline.exceptions import PipelineStepFailed
from places import Place, duckdb_place
from tenants import days_ago

from gong_source import gong, sync
from gong_source.simulator import Call, Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

BY_ID = {"/v2/calls/extensive", "/v2/calls/transcript"}


@pytest.fixture
def place(own_place: Path) -> Place:
    """The file of a user's own pipeline."""
    return duckdb_place(own_place / "own.duckdb", "gong")


@pytest.fixture
def pipeline() -> dlt.Pipeline:
    """A user's own pipeline."""
    return dlt.pipeline("own", destination="duckdb", dataset_name="gong")


def _source(simulator: Simulator, resources: str, **more: Any) -> Any:
    credentials = {"access_key": "key", "access_key_secret": "secret", "base_url": simulator.base_url}
    start = {"start_date": iso(days_ago(8)), "requests_per_second": 1000.0}
    return gong(credentials=credentials, resources=resources, **(start | more))


@pytest.mark.parametrize("mode", ["round_robin", "fifo"])
def test_one_run_loads_calls_with_all_that_hangs_on_them(
    place: Place, serve: Serve, pipeline: dlt.Pipeline, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls listed a moment ago are asked for in the same package, in whatever order dlt reads its resources."""
    monkeypatch.setenv("EXTRACT__NEXT_ITEM_MODE", mode)
    tenant = public_tenant(10)
    simulator = serve(tenant)
    pipeline.run(_source(simulator, ALL))
    assert difference(place, tenant) == []
    sent = [request for request in simulator.requests if request.path in BY_ID and not is_question(request)]
    assert [request.path for request in sent] == ["/v2/calls/extensive", "/v2/calls/transcript"]
    assert len(place.fetch("select distinct _dlt_load_id from gong.fetched_windows")) == 1


def test_later_runs_follow_changes_and_rewrite_nothing_else(place: Place, serve: Serve, pipeline: dlt.Pipeline) -> None:
    """A changed list, a call that was trimmed, a call turned private: as Gong serves them."""
    tenant = public_tenant(10)
    simulator = serve(tenant)
    pipeline.run(_source(simulator, ALL))
    simulator.reset_requests()
    pipeline.run(_source(simulator, ALL))
    (listed,) = [request for request in simulator.requests if request.path in BY_ID]
    assert "contentSelector" not in listed.body

    changed, trimmed, hidden, *_others = tenant.calls
    before = dict(place.fetch("select (call_id, position), _dlt_load_id from gong.transcript_sentences"))
    tenant.set_content(changed, parties=[])
    tenant.set_transcript(trimmed, [{"speakerId": None, "topic": None, "sentences": [{"text": "Bye."}]}])
    tenant.edit(trimmed, duration=3)
    tenant.edit(hidden, isPrivate=True)
    ask_again(place)
    pipeline.run(_source(simulator, ALL))
    pipeline.run(_source(simulator, ALL))  # a call is stored as private before its content can go
    assert difference(place, tenant) == []
    after = dict(place.fetch("select (call_id, position), _dlt_load_id from gong.transcript_sentences"))
    assert all(before[key] == load_id for key, load_id in after.items() if key[0] != trimmed)


def test_answer_that_shows_a_private_call_removes_its_content(
    place: Place, serve: Serve, pipeline: dlt.Pipeline
) -> None:
    """The call is older than the lookback, so no list shows it; its details are removed in the same package."""
    tenant = public_tenant(4)
    simulator = serve(tenant)
    pipeline.run(_source(simulator, ALL))
    hidden = place.fetch("select call_id from gong.call_participants limit 1")[0][0]
    tenant.edit(hidden, isPrivate=True)
    ask_again(place)
    pipeline.run(_source(simulator, "call_details,call_content"))
    for table in ("call_participants", "call_outline", "call_trackers"):
        assert place.fetch(f"select count(*) from gong.{table} where call_id = '{hidden}'") == [(0,)]
    assert place.fetch(f"select content_hash from gong.call_details where call_id = '{hidden}'") == [(None,)]


def test_one_resource_alone_asks_for_the_calls_that_are_stored(
    own_place: Path, serve: Serve, settings_for: SettingsFor
) -> None:
    """`with_resources` works as dlt's users expect: the list of calls is not read."""
    tenant = public_tenant(10)
    simulator = serve(tenant)
    place = duckdb_place(own_place / "gong_calls.duckdb", "gong")
    sync(place.target, settings=settings_for(simulator, resources="calls", start_date=iso(days_ago(8))))
    simulator.reset_requests()
    pipeline = dlt.pipeline("gong_calls", destination="duckdb", dataset_name="gong")
    pipeline.run(_source(simulator, "calls").with_resources("transcripts"))
    assert [request.path for request in simulator.requests] == ["/v2/calls/transcript"]
    spoken = sum(tenant.served_transcript(call_id) is not None for call_id in tenant.calls)
    assert place.fetch("select count(*), count(found_at) from gong.transcripts") == [(10, spoken)]


def test_missing_scope_leaves_out_what_needs_it(serve: Serve, pipeline: dlt.Pipeline, place: Place) -> None:
    """The others are loaded; without any other, the run says what is missing."""
    simulator = serve(public_tenant(10), scopes=frozenset({"api:calls:read:basic", "api:calls:read:transcript"}))
    pipeline.run(_source(simulator, ALL))
    assert place.fetch("select count(*) from gong.transcripts") == [(10,)]
    assert place.fetch("select count(*) from gong.call_details") == [(0,)]
    with pytest.raises(PipelineStepFailed, match="api:calls:read:extensive"):
        pipeline.run(_source(simulator, "call_details,call_content"))


def test_changing_the_list_marks_nothing_as_deleted(place: Place, serve: Serve, pipeline: dlt.Pipeline) -> None:
    """With details, another list is read, which may use the other time of a call; a day more is listed then."""
    hour = timedelta(hours=1)
    times = [
        (days_ago(7) + hour, days_ago(7) - hour),
        (days_ago(7) - hour, days_ago(7) + hour),
        (days_ago(3), days_ago(2)),
    ]
    tenant = Tenant(
        Call(str(10**17 + n), scheduled=scheduled, started=started, fields={"direction": "Conference"})
        for n, (scheduled, started) in enumerate(times)
    )
    simulator = serve(tenant)
    for resources, by in (("calls", "scheduled"), ("calls,call_details", "started"), ("calls", "scheduled")):
        for _ in range(2):
            pipeline.run(_source(simulator, resources, start_date=iso(days_ago(10))))
            stored = dict(place.fetch("select id, call_time from gong.calls where deleted_at is null"))
            assert stored == {call_id: getattr(call, by) for call_id, call in tenant.calls.items()}


def test_without_the_scope_for_details_the_other_list_gives_the_calls(
    place: Place, serve: Serve, pipeline: dlt.Pipeline
) -> None:
    """The resource that needs the scope is left out with a warning."""
    tenant = public_tenant(3)
    simulator = serve(tenant, scopes=frozenset({"api:calls:read:basic"}))
    pipeline.run(_source(simulator, "calls,call_details"))
    assert place.fetch("select count(*) from gong.calls") == [(3,)]
    assert place.fetch("select distinct endpoint from gong.fetched_windows") == [("GET /v2/calls",)]

    pipeline.run(_source(simulator, "calls,call_details"))
    tenant.delete(next(iter(tenant.calls)))
    pipeline.run(_source(simulator, "calls,call_details"))
    assert place.fetch("select count(deleted_at) from gong.calls") == [(1,)]


def test_without_either_scope_other_resources_load(place: Place, serve: Serve, pipeline: dlt.Pipeline) -> None:
    """Calls and details are left out with a warning."""
    pipeline.run(_source(serve(Tenant(users=5), scopes=frozenset({"api:users:read"})), "calls,call_details,users"))
    assert place.fetch("select count(*) from gong.users") == [(5,)]
