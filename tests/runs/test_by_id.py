"""Resources that are requested by call id: which calls are due, what is sent, and what an early end leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conversations import ALL, HEADERS, ask_again, difference, is_question, public_tenant
from places import Place, duckdb_place
from tenants import END, days_ago

from gong_source import ConfigurationError, backfill, status, sync, verify
from gong_source.runs.backfill import plan_backfill
from gong_source.runs.run import Control
from gong_source.simulator import Fault
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

EXTENSIVE, TRANSCRIPT = "/v2/calls/extensive", "/v2/calls/transcript"


@pytest.fixture
def place(own_place: Path) -> Place:
    """A DuckDB file."""
    return duckdb_place(own_place / "gong_calls.duckdb", "gong")


def test_verify_finds_lost_rows_and_repairs_them(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Missing rows, missing headers, and content that Gong has changed: found, and loaded again."""
    tenant = public_tenant()
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8)))
    sync(place.target, settings=settings)
    old = place.fetch(f"select id from gong.calls where call_time < '{iso(days_ago(2))}' order by call_time")
    spoken = {row[0] for row in place.fetch("select call_id from gong.transcript_sentences")}
    lost, header, edited = [row[0] for row in old if row[0] in spoken][:3]
    place.write(f"delete from gong.transcript_sentences where call_id = '{lost}' and position = 0")
    place.write(f"delete from gong.call_details where call_id = '{header}'")
    place.write(f"delete from gong.call_participants where call_id = '{header}'")
    tenant.edit_content(edited, brief=lambda _: "another one")

    found = verify(place.target, settings=settings)
    assert {name: (part.total("missing"), part.total("changed")) for name, part in found.resources.items()} == {
        "calls": (0, 0),
        "call_details": (1, 0),
        "call_content": (0, 0),
        "transcripts": (0, 1),
    }
    assert found.outcome == "differs"
    deep = verify(place.target, settings=settings, deep=True, repair=True)
    assert (deep.outcome, deep.resources["call_content"].total("changed")) == ("repaired", 1)
    assert difference(place, tenant) == []
    again = verify(place.target, settings=settings, deep=True)
    assert (again.outcome, again.resources["call_content"].requests) == ("clean", 0)


@pytest.mark.parametrize("deep", [False, True])
def test_repair_removes_the_content_of_calls_that_are_private_now(
    place: Place, serve: Serve, settings_for: SettingsFor, deep: bool
) -> None:
    """Whether the list of calls shows it or the answer about a call: no content stays until the next sync."""
    tenant = public_tenant(30, days=40)
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(50)))
    sync(place.target, settings=settings)
    ids = [*tenant.calls][:5]
    for call_id in ids:
        tenant.edit(call_id, isPrivate=True)
    if not deep:  # counts do not show it, so the calls are fetched for another reason
        place.write("delete from gong.calls where true")

    assert verify(place.target, settings=settings, deep=deep, repair=True).outcome == "repaired"

    private = f"call_id in ({', '.join(repr(call_id) for call_id in ids)})"
    for table in ("call_participants", "call_trackers", "call_outline", "transcript_sentences"):
        assert place.fetch(f"select count(*) from gong.{table} where {private}") == [(0,)], table
        assert place.fetch(f"select count(*) > 0 from gong.{table}") == [(True,)], table


def test_verify_of_a_time_that_does_not_exist_is_refused(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """As for calls: a start after the end, or in the future."""
    settings = settings_for(serve(public_tenant()), resources="calls,transcripts", start_date=iso(days_ago(8)))
    sync(place.target, settings=settings)
    only = settings_for(serve(public_tenant()), resources="transcripts")
    for start, end in ((days_ago(1), days_ago(2)), (days_ago(-30), None)):
        with pytest.raises(ConfigurationError, match="must lie before the end of the range"):
            verify(place.target, start=start, end=end, settings=only)


def test_due_calls_are_asked_for_a_hundred_at_a_time(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Each request names 100 calls, without dates; details and content share it; nothing due, nothing sent."""
    tenant = public_tenant(230)
    simulator = serve(tenant)
    sync(place.target, settings=settings_for(simulator, resources="calls", start_date=iso(days_ago(8))))
    settings = settings_for(simulator, resources=ALL[len("calls,") :])
    sync(place.target, settings=settings)
    sent = [request for request in simulator.requests if request.path in {EXTENSIVE, TRANSCRIPT}]
    assert [request.path for request in sent] == [EXTENSIVE] * 3 + [TRANSCRIPT] * 3
    for request in sent:
        assert request.body["filter"].keys() == {"callIds"}
    assert sorted(len(request.body["filter"]["callIds"]) for request in sent) == [30, 30, 100, 100, 100, 100]
    asked = [call_id for request in sent[:3] for call_id in request.body["filter"]["callIds"]]
    assert sorted(asked) == sorted(tenant.calls)
    selector = sent[0].body["contentSelector"]
    assert "media" not in selector["exposedFields"]
    assert selector["exposedFields"]["content"]["brief"] is True
    assert selector["exposedFields"]["parties"] is True

    again = sync(place.target, settings=settings)
    assert [again.resources[name].asked for name in ("call_details", "call_content", "transcripts")] == [0, 0, 0]
    assert len([request for request in simulator.requests if request.path in {EXTENSIVE, TRANSCRIPT}]) == 6
    assert difference(place, tenant) == []


def test_every_row_has_the_call_time_of_its_call(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """The copy of the call time is exact, to the microsecond."""
    sync(place.target, settings=settings_for(serve(public_tenant(60)), resources=ALL, start_date=iso(days_ago(8))))
    times = dict(place.fetch("select id, call_time from gong.calls"))
    assert any(time.microsecond % 1000 for time in times.values())
    for name in ("call_details", "call_content", "transcripts", "transcript_sentences"):
        copies = place.fetch(f"select distinct call_id, call_time from gong.{name}")
        assert copies
        assert [(i, time) for i, time in copies if time != times[i]] == []


def test_only_the_flags_of_what_is_chosen_are_sent(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """A group that is not named is not asked for."""
    simulator = serve(public_tenant(3))
    sync(place.target, settings=settings_for(simulator, resources="calls,call_content", start_date=iso(days_ago(8))))
    (request,) = [sent for sent in simulator.requests if sent.path == EXTENSIVE and not is_question(sent)]
    exposed = request.body["contentSelector"]["exposedFields"]
    assert exposed.keys() == {"content", "collaboration"}
    assert exposed["content"].keys() == {"brief", "structure", "outline", "highlights", "keyPoints"}
    assert "context" not in request.body["contentSelector"]


def test_switching_details_on_later_and_off_again_loses_nothing(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """What was not asked for so far is due; what is switched off stays as it is."""
    tenant = public_tenant(8)
    simulator = serve(tenant)

    def run(resources: str) -> list[int]:
        settings = settings_for(simulator, resources=resources, start_date=iso(days_ago(8)))
        return [part.asked for part in sync(place.target, settings=settings).resources.values()]

    assert run("calls") == [0]
    assert run("calls,call_details") == [0, 8]
    before = place.fetch("select * from gong.call_details order by call_id")
    assert run("calls") == [0]
    assert place.fetch("select * from gong.call_details order by call_id") == before
    assert run(ALL) == [0, 8, 8, 8]
    assert difference(place, tenant) == []


def test_budget_that_ends_early_keeps_the_latest_calls(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Recent calls come first, and the next run goes on with the others."""
    tenant = public_tenant(230)
    settings = settings_for(serve(tenant), resources="calls,transcripts", start_date=iso(days_ago(8)))
    sync(place.target, settings=settings_for(serve(tenant), resources="calls", start_date=iso(days_ago(8))))
    calls = [row[0] for row in place.fetch("select id from gong.calls order by call_time desc, id")]
    paused = backfill(days_ago(8), END, place.target, settings=settings, control=Control(max_requests=1))
    assert paused.status == "paused"
    assert "before anything could be loaded" not in (paused.message or "")
    assert {row[0] for row in place.fetch("select call_id from gong.transcripts")} == set(calls[:100])
    assert backfill(days_ago(8), END, place.target, settings=settings).status == "done"
    assert place.fetch("select count(*) from gong.transcripts") == [(230,)]


def test_recent_calls_of_all_resources_come_before_older_ones(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """Else a long backlog of details would keep the transcripts of today waiting."""
    simulator = serve(public_tenant(60, days=60))
    assert (
        sync(place.target, settings=settings_for(simulator, resources=ALL, start_date=iso(days_ago(65)))).status
        == "done"
    )
    paths = [request.path for request in simulator.requests if not is_question(request)]
    assert paths == [EXTENSIVE, TRANSCRIPT, EXTENSIVE, TRANSCRIPT]
    times = dict(place.fetch("select id, call_time from gong.calls"))
    sent = [request for request in simulator.requests if request.path == TRANSCRIPT]
    recent, older = ([times[call_id] for call_id in request.body["filter"]["callIds"]] for request in sent)
    assert min(recent) > max(older)


def test_rows_follow_a_call_that_moves(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Content that did not change gets the new call time too, and a verification finds nothing."""
    tenant = public_tenant(4)
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8)))
    sync(place.target, settings=settings)
    moved = place.fetch("select call_id from gong.transcript_sentences limit 1")[0][0]
    tenant.redate(moved, scheduled=days_ago(1.5), started=days_ago(1.5))
    ask_again(place)
    sync(place.target, settings=settings)
    for table in ("call_details", "call_participants", "transcript_sentences"):
        joined = f"gong.{table} as t join gong.calls as c on c.id = t.call_id"
        assert place.fetch(f"select count(*) from {joined} where t.call_time <> c.call_time") == [(0,)]
    assert verify(place.target, settings=settings).outcome == "clean"


def test_lists_that_many_calls_lose_at_once_are_kept(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """A lost licence or scope looks like that: nothing is removed before a person confirms it."""
    tenant = public_tenant(40)
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8)))
    sync(place.target, settings=settings)
    queries = ["select count(*) from gong.call_outline", "select count(brief) from gong.call_content"]
    before = place.fetch_all(queries)
    for call_id in tenant.calls:
        tenant.set_content(call_id, outline=[], brief=None)
    ask_again(place)
    result = sync(place.target, settings=settings)

    assert result.status == "incomplete"
    assert "call_outline" in (result.message or "")
    assert place.fetch_all(queries) == before
    refused = verify(place.target, settings=settings, deep=True, repair=True)
    assert (refused.outcome, place.fetch_all(queries)) == ("refused", before)
    assert "Gong no longer has what it had in call_outline (" in str(refused.message)
    confirmed = verify(place.target, settings=settings, deep=True, repair=True, accept_deletions=True)
    assert confirmed.outcome == "repaired"
    assert difference(place, tenant) == []


def test_few_calls_of_many_that_lose_a_list_are_believed(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """A repair asks only for the calls that differ; the share that counts is that of all calls compared."""
    tenant = public_tenant(120)
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8)))
    sync(place.target, settings=settings)
    for call_id in list(tenant.calls)[:15]:
        tenant.set_content(call_id, parties=[], outline=[], brief=None)
    assert verify(place.target, settings=settings, deep=True, repair=True).outcome == "repaired"
    assert difference(place, tenant) == []


def test_header_of_a_load_that_did_not_end_does_not_count(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """Tables are loaded one after the other: after a kill, a header may be there whose lists are missing or old."""
    tenant = public_tenant(6)
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8)))
    sync(place.target, settings=settings)
    first, second, *_others = tenant.calls
    place.write(f"update gong.call_details set _dlt_load_id = '1.5' where call_id in ('{first}', '{second}')")
    place.write(f"delete from gong.call_participants where call_id = '{first}'")
    tenant.set_content(second, parties=[], trackers=[])
    again = sync(place.target, settings=settings)
    assert again.resources["call_details"].asked == 2
    assert difference(place, tenant) == []


def test_old_call_that_becomes_private_loses_its_content(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Older than the lookback, so no list of calls shows it any more: the answer about its details does."""
    tenant = public_tenant(12, days=20)
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(25)))
    sync(place.target, settings=settings)
    spoken = dict(place.fetch("select call_id, count(*) from gong.transcript_sentences group by call_id"))
    hidden = min(spoken, key=lambda call_id: tenant.calls[call_id].started or END)
    tenant.edit(hidden, isPrivate=True)
    ask_again(place)
    assert sync(place.target, settings=settings).status == "done"
    assert difference(place, tenant) == []
    assert place.fetch(f"select is_private from gong.calls where id = '{hidden}'") == [(True,)]


def test_call_that_becomes_public_again_gets_its_content_back(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """Without a wait: its header says that it is due."""
    tenant = public_tenant(4)
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8)))
    call_id = next(iter(tenant.calls))
    for private in (False, True, False):
        tenant.edit(call_id, isPrivate=private)
        assert sync(place.target, settings=settings).status == "done"
        assert difference(place, tenant) == []


def test_hiding_that_was_cut_off_is_finished(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """After a kill, the header may be empty while the lists are still there; also if the resource is not chosen now."""
    tenant = public_tenant(4)
    simulator = serve(tenant)
    settings = settings_for(simulator, resources=ALL, start_date=iso(days_ago(8)))
    sync(place.target, settings=settings)
    hidden = place.fetch("select call_id from gong.transcript_sentences limit 1")[0][0]
    tenant.edit(hidden, isPrivate=True)
    for table in HEADERS:
        place.write(f"update gong.{table} set content_hash = null, _dlt_load_id = '1.5' where call_id = '{hidden}'")
    only_calls = settings_for(simulator, resources="calls", start_date=iso(days_ago(8)))
    assert sync(place.target, settings=only_calls).status == "done"
    assert place.fetch(f"select count(*) from gong.transcript_sentences where call_id = '{hidden}'") == [(0,)]
    assert place.fetch(f"select count(*) from gong.call_participants where call_id = '{hidden}'") == [(0,)]

    # Also a header that was empty already: it names the new load, so that the next sync has nothing to do.
    for table in HEADERS:
        place.write(f"update gong.{table} set _dlt_load_id = '1.5' where call_id = '{hidden}'")
    sync(place.target, settings=only_calls)
    headers = place.fetch_all(f"select _dlt_load_id from gong.{table} where call_id = '{hidden}'" for table in HEADERS)
    assert [("1.5",)] not in headers


def test_policy_reaches_calls_that_were_deleted_before(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """A run that died before it, or a setting that was changed since: the next sync applies it."""
    tenant = public_tenant(6)
    simulator = serve(tenant)
    sync(place.target, settings=settings_for(simulator, resources=ALL, start_date=iso(days_ago(8))))
    gone = place.fetch("select call_id from gong.transcript_sentences limit 1")[0][0]
    tenant.delete(gone)
    sync(place.target, settings=settings_for(simulator, resources=ALL, start_date=iso(days_ago(8))))
    assert place.fetch(f"select count(*) > 0 from gong.transcript_sentences where call_id = '{gone}'") == [(True,)]
    redact = settings_for(simulator, resources=ALL, start_date=iso(days_ago(8)), deleted_calls="redact")
    sync(place.target, settings=redact)
    assert place.fetch(f"select count(*) from gong.transcript_sentences where call_id = '{gone}'") == [(0,)]
    assert place.fetch(f"select title from gong.calls where id = '{gone}'") == [(None,)]


def test_empty_transcript_is_not_final(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """A transcript without a monologue may be one that Gong still works on."""
    tenant = public_tenant(2)
    call_id = next(iter(tenant.calls))
    tenant.set_transcript(call_id, [])
    settings = settings_for(serve(tenant), resources="calls,transcripts", start_date=iso(days_ago(8)))
    sync(place.target, settings=settings)
    due = dict(place.fetch("select call_id, ask_again_at is not null from gong.transcripts"))
    assert due[call_id]


def test_call_that_gong_rejects_does_not_stop_the_others(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """The request is cut until one call is to blame; that one is left out and named, the others are loaded."""
    tenant = public_tenant(30)
    bad = list(tenant.calls)[7]
    simulator = serve(tenant)
    settings = settings_for(simulator, resources="calls,transcripts", start_date=iso(days_ago(8)))
    rejected = Fault(kind="status", status=400, text="Bad request", path=TRANSCRIPT, call_id=bad)
    simulator.faults = (rejected,)
    result = sync(place.target, settings=settings)
    assert result.status == "incomplete"
    assert (result.message or "").startswith(f"1 call could not be loaded. The first: call {bad}: ")
    assert len(result.resources["transcripts"].failures) == 1
    assert {row[0] for row in place.fetch("select call_id from gong.transcripts")} == set(tenant.calls) - {bad}


def test_answers_without_any_usable_record_end_the_run(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """If Gong renamed the id, each call would cost a request."""
    tenant = public_tenant(300)
    simulator = serve(tenant)
    simulator.faults = (Fault(kind="record_without_id", path=TRANSCRIPT),)
    settings = settings_for(simulator, resources="calls,transcripts", start_date=iso(days_ago(8)))
    result = sync(place.target, settings=settings)
    assert result.resources["transcripts"].status in {"failed", "incomplete"}
    assert len([request for request in simulator.requests if request.path == TRANSCRIPT]) < 35


def test_missing_scope_leaves_the_other_resources_alone(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """The run ends incomplete, and names the scope."""
    tenant = public_tenant(4)
    simulator = serve(tenant, scopes=frozenset({"api:calls:read:basic", "api:calls:read:transcript"}))
    result = sync(place.target, settings=settings_for(simulator, resources=ALL, start_date=iso(days_ago(8))))
    assert result.status == "incomplete"
    assert "api:calls:read:extensive" in (result.message or "")
    assert {name: part.status for name, part in result.resources.items()} == {
        "calls": "done",
        "call_details": "failed",
        "call_content": "failed",
        "transcripts": "done",
    }


def test_status_says_how_many_calls_lack_a_transcript(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """By age; and up to which time all calls were asked for."""
    tenant = public_tenant(6)
    for call_id in tenant.calls:
        tenant.set_transcript(call_id, None)
    settings = settings_for(serve(tenant), resources="calls,transcripts", start_date=iso(days_ago(8)))
    sync(place.target, settings=settings)
    found = status(place.target, settings=settings).resources
    assert found["transcripts"].found_later is None
    assert sum(lack.calls for lack in found["transcripts"].lacks) == 6
    asked_at = found["transcripts"].current_to  # the sync began then
    sync(place.target, settings=settings)  # nothing is due, and that is current too
    later = status(place.target, settings=settings).resources["transcripts"].current_to
    assert later is not None
    assert asked_at is not None
    assert later > asked_at

    one, *_others = tenant.calls
    tenant.set_transcript(one, [{"sentences": [{"text": "Hello."}]}])
    place.write("update gong.transcripts set ask_again_at = asked_at")
    sync(place.target, settings=settings)
    delays = status(place.target, settings=settings).resources["transcripts"].found_later
    assert delays is not None
    assert (delays.records, delays.longest > 0) == (1, True)


def test_plan_counts_what_a_backfill_would_ask_for(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Calls that are stored and due, and those that the backfill loads first; details and content share requests."""
    simulator = serve(public_tenant(130))
    settings = settings_for(simulator, resources=ALL)
    plan = plan_backfill(days_ago(8), END, place.target, settings=settings)
    assert plan.records == {"calls": 130, "call_details": 130, "call_content": 130, "transcripts": 130}
    assert plan.requests == 2 + 2
    assert plan.bytes == 130 * (600 + 20_000 + 15_000 + 46_000)
    backfill(days_ago(8), END, place.target, settings=settings)
    again = plan_backfill(days_ago(8), END, place.target, settings=settings)
    assert (again.records, again.requests) == (dict.fromkeys(plan.records, 0), 0)
    anew = plan_backfill(days_ago(8), END, place.target, settings=settings, refresh=True)
    assert (anew.records, anew.requests) == (plan.records, plan.requests)


def test_request_that_names_too_many_calls_is_halved(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Gong documents no largest number of ids: after a 400, the next requests name half as many."""
    tenant = public_tenant(60)
    simulator = serve(tenant, most_call_ids=25)
    settings = settings_for(simulator, resources="calls,transcripts", start_date=iso(days_ago(8)))
    assert sync(place.target, settings=settings).status == "done"
    assert place.fetch("select count(*) from gong.transcripts") == [(60,)]
    sizes = [len(request.body["filter"]["callIds"]) for request in simulator.requests if request.path == TRANSCRIPT]
    assert (sizes[:2], sizes[-4:]) == ([60, 30], [15, 15, 15, 15])
    assert len(sizes) <= 7


def test_failed_requests_are_retried_and_answers_cut_off_are_asked_again(
    place: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """The retry layer is the same for every request."""
    tenant = public_tenant(6)
    faults = (
        Fault(kind="status", status=503, path=TRANSCRIPT, times=1),
        Fault(kind="truncate", path=EXTENSIVE, times=1),
    )
    settings = settings_for(serve(tenant, faults=faults), resources=ALL, start_date=iso(days_ago(8)))
    assert sync(place.target, settings=settings).status == "done"
    assert difference(place, tenant) == []


def test_details_are_no_more_current_than_the_calls(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Until a killed first sync is continued, its details are not current: later calls are not even listed."""
    settings = settings_for(serve(public_tenant()), resources=ALL, start_date=iso(days_ago(8)))
    sync(place.target, settings=settings)
    reached = f"timestamptz '{iso(days_ago(5))}'"
    place.write("delete from gong.runs")
    place.write(f"update gong.fetched_windows set watermark = {reached} where watermark > {reached}")

    shown = status(place.target, settings=settings, max_age_seconds=86400.0)

    assert {part.current_to for part in shown.resources.values()} == {days_ago(5)}
    assert "transcripts is 5 days" in (shown.message or "")
