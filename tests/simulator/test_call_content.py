"""The simulator serves the content of calls as Gong does: details by one endpoint, transcripts by another."""

import copy
import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gong_source.simulator import ABSENT, EVERYTHING, LIFELIKE, SMALL, Call, Content, Fault, Settings, Simulator, Tenant
from gong_source.simulator.cache import RowCache

START = datetime(2024, 3, 1, tzinfo=UTC)
END = datetime(2024, 4, 1, tzinfo=UTC)
EMPTY = "No calls found corresponding to the provided filters"
NO_HOLES = dataclasses.replace(SMALL, without_transcript_share=0.0)
DETAILS, TRANSCRIPTS = "/v2/calls/extensive", "/v2/calls/transcript"
LISTS = {DETAILS: "calls", TRANSCRIPTS: "callTranscripts"}
BOTH = pytest.mark.parametrize("path", [DETAILS, TRANSCRIPTS])


class Client:
    """A client of a running simulator with the right key."""

    def __init__(self, simulator: Simulator, session: requests.Session) -> None:
        self.simulator = simulator
        self.session = session

    @property
    def tenant(self) -> Tenant:
        return self.simulator.tenant

    def post(self, path: str, body: Any = None, **query: Any) -> requests.Response:
        """Return the answer to a POST; without a body, to a filter that wants all calls."""
        body = {"filter": {}} if body is None else body
        return self.session.post(self.simulator.base_url + path, json=body, params=query, timeout=10)

    def rows(self, path: str, **body: Any) -> list[dict[str, Any]]:
        """Return the rows of all pages."""
        body.setdefault("filter", {})
        rows: list[dict[str, Any]] = []
        while True:
            answer = self.post(path, body)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            rows += page[LISTS[path]]
            if "cursor" not in page["records"]:
                return rows
            body["cursor"] = page["records"]["cursor"]

    def details(self, *call_ids: str, selector: Any = EVERYTHING) -> list[dict[str, Any]]:
        """Return the details of these calls, or of all."""
        wanted = {"callIds": list(call_ids)} if call_ids else {}
        return self.rows(DETAILS, filter=wanted, contentSelector=selector)

    def ids(self, path: str, **wanted: Any) -> list[str]:
        """Return the ids of the rows of all pages, an empty list if there are none."""
        answer = self.post(path, {"filter": wanted})
        if error(answer) == (404, EMPTY):
            return []
        return [id_in(row) for row in self.rows(path, filter=wanted)]

    def change(self, **changes: Any) -> None:
        """Change settings of the running simulator."""
        self.simulator.settings = dataclasses.replace(self.simulator.settings, **changes)

    def serve(self, *calls: Call, content: Content = NO_HOLES) -> Tenant:
        """Return a tenant of these calls, which the simulator serves from now on."""
        self.simulator.tenant = Tenant(calls, content=content)
        return self.tenant


@pytest.fixture(scope="module")
def running() -> Iterator[Client]:
    """A running simulator without limits."""
    with Simulator(Tenant(), Settings()) as simulator, requests.Session() as session:
        session.auth = ("key", "secret")
        yield Client(simulator, session)


@pytest.fixture
def gong(running: Client) -> Client:
    """A simulator without limits, of 250 calls with little content in March 2024."""
    running.simulator.settings = Settings(requests_per_second=None, daily_quota=None)
    running.simulator.tenant = Tenant.generate(250, start=START, end=END, content=NO_HOLES)
    running.simulator.faults = ()
    running.simulator.reset_requests()
    return running


def at(minute: float) -> datetime:
    """Return the time some minutes after the start."""
    return START + timedelta(minutes=minute)


def calls(count: int) -> list[Call]:
    """Return calls with the ids 1, 2, ... and a minute between them."""
    return [Call(str(number), started=at(number)) for number in range(1, count + 1)]


def id_in(row: dict[str, Any]) -> str:
    """Return the id of the call that a row is about."""
    call_id: str = row["callId"] if "callId" in row else row["metaData"]["id"]
    return call_id


def error(answer: requests.Response) -> tuple[int, str]:
    """Return the status and the first error text of an answer; no text for a success."""
    return answer.status_code, next(iter(answer.json().get("errors", [])), "")


# Filters and pages


@BOTH
def test_every_call_comes_once_exactly_as_the_tenant_says(gong: Client, path: str) -> None:
    """The pages together are all calls, each exactly what `served_details` or `served_transcript` says."""
    served = gong.tenant.served_details if path == DETAILS else gong.tenant.served_transcript
    rows = gong.rows(path, contentSelector=EVERYTHING)
    assert len(rows) == 250
    assert {id_in(row): row for row in rows} == {call_id: served(call_id) for call_id in gong.tenant.calls}
    assert [request.body["filter"] for request in gong.simulator.requests if request.body] == [{}] * 3


@BOTH
def test_the_cursor_counts_in_the_body_alone(gong: Client, path: str) -> None:
    """A cursor in the query brings the first page again; null in the body is the first page too."""
    first = gong.post(path, {"filter": {}, "cursor": None}).json()
    cursor = first["records"]["cursor"]
    assert gong.post(path, cursor=cursor).json()[LISTS[path]] == first[LISTS[path]]
    second = gong.post(path, {"filter": {}, "cursor": cursor}).json()
    assert second["records"] | {"cursor": ""} == {
        "totalRecords": 250,
        "currentPageSize": 100,
        "currentPageNumber": 1,
        "cursor": "",
    }
    assert error(gong.post(path, {"filter": {}, "cursor": cursor + "x"})) == (400, "Failed to verify cursor")
    gong.change(clock=lambda: 9e9)
    status, text = error(gong.post(path, {"filter": {}, "cursor": cursor}))
    assert (status, "cursor has expired" in text) == (400, True)


@BOTH
@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "filter: must not be null"),
        ({"filter": None}, "filter: must not be null"),
        ({"filter": []}, "Bad request"),
        ({"filter": {"callIds": []}}, "filter.callIds: must not be empty but can be null or can be omitted"),
        ({"filter": {"callIds": "1"}}, "Bad request"),
        ({"filter": {"callIds": [str(n) for n in range(101)]}}, "filter.callIds: size must be between 1 and 100"),
        (
            {"filter": {"fromDateTime": "2024-03-02T00:00:00Z", "toDateTime": "2024-03-02T01:00:00+01:00"}},
            "filter.fromDateTime: must be before toDateTime",
        ),
        (
            {"filter": {"fromDateTime": "yesterday"}},
            "filter.fromDateTime: must be a date-time in the ISO-8601 format",
        ),
    ],
)
def test_a_wrong_filter_is_a_400_that_names_the_field(gong: Client, path: str, body: Any, text: str) -> None:
    """What is wrong in the filter is a 400 with the path of the field."""
    assert error(gong.post(path, body)) == (400, text)


@BOTH
def test_ids_and_dates_together_are_an_intersection(gong: Client, path: str) -> None:
    """With both, only calls that fit both come; unknown ids are left out, and nothing at all is the empty 404."""
    gong.serve(*calls(4))
    assert gong.ids(path, callIds=["4", "2", "99", 3]) == ["2", "3", "4"]
    assert gong.ids(path, callIds=["1", "2", "3"], fromDateTime=at(2).isoformat(), toDateTime=at(3).isoformat()) == [
        "2"
    ]
    assert gong.ids(path, callIds=["1", "2"], fromDateTime=at(3).isoformat()) == []
    assert gong.ids(path, callIds=["99", "nonsense"]) == []


@BOTH
def test_the_most_ids_are_a_setting(gong: Client, path: str) -> None:
    """`most_call_ids` ids are allowed, one more is a 400."""
    gong.serve(*calls(4))
    gong.change(most_call_ids=3)
    assert gong.ids(path, callIds=["1", "2", "3"]) == ["1", "2", "3"]
    assert gong.post(path, {"filter": {"callIds": ["1", "2", "3", "4"]}}).status_code == 400


@BOTH
def test_the_workspace_filter(gong: Client, path: str) -> None:
    """`workspaceId` lists one workspace, given as text or as a number."""
    first, second = calls(2)
    first.fields["workspaceId"] = "5"
    gong.serve(first, second)
    assert gong.ids(path, workspaceId="5") == gong.ids(path, workspaceId=5) == ["1"]
    assert gong.ids(path, workspaceId="6") == []


def test_primary_users_filter_details_alone(gong: Client) -> None:
    """`primaryUserIds` chooses calls in detail; transcripts have no such filter and ignore it."""
    gong.serve(*calls(2))
    gong.tenant.edit("2", primaryUserId="7")
    assert gong.ids(DETAILS, primaryUserIds=["7"]) == ["2"]
    assert gong.ids(TRANSCRIPTS, primaryUserIds=["7"]) == ["1", "2"]
    assert gong.post(DETAILS, {"filter": {"primaryUserIds": []}}).status_code == 400


@BOTH
@pytest.mark.parametrize(
    ("rule", "direction", "filed"),
    [
        ("started", "Conference", "started"),
        ("documented", "Conference", "scheduled"),
        ("documented", "Inbound", "started"),
        ("scheduled", "Inbound", "scheduled"),
        ("same", "Conference", "scheduled"),
    ],
)
def test_each_list_has_a_rule_of_its_own(gong: Client, path: str, rule: Any, direction: str, filed: str) -> None:
    """By start time unless set otherwise, whatever the rule of GET /v2/calls."""
    gong.serve(Call("1", scheduled=at(0), started=at(60), fields={"direction": direction}))
    if rule != "started":
        gong.change(**{"extensive_rule" if path == DETAILS else "transcript_rule": rule})
    late = gong.ids(path, fromDateTime=at(30).isoformat()) == ["1"]
    assert late == (filed == "started")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_pages_together_are_the_truth_wherever_their_borders_are(gong: Client, data: st.DataObject) -> None:
    """For any size of page and order, with calls that are late or lack a transcript, pages lose and double nothing."""
    minutes = data.draw(st.lists(st.integers(0, 3), max_size=12))
    tenant = gong.serve(*(Call(str(n), started=at(minute)) for n, minute in enumerate(minutes, 1)))
    hidden = data.draw(st.sets(st.sampled_from([*tenant.calls] or ["1"])))
    path = data.draw(st.sampled_from([DETAILS, TRANSCRIPTS]))
    for call_id in hidden & set(tenant.calls):
        if path == DETAILS:
            tenant.make_available(call_id, 2000.0)
        elif data.draw(st.booleans()):
            tenant.set_transcript(call_id, None)
        else:
            tenant.make_content_available(call_id, transcript_at=2000.0)
    gong.change(
        clock=lambda: 1000.0,
        page_size=data.draw(st.integers(1, 5)),
        short_pages=data.draw(st.booleans()),
        order=data.draw(st.sampled_from(["ascending", "descending"])),
        hidden_window="empty_list",
    )
    assert Counter(gong.ids(path)) == Counter(set(tenant.calls) - hidden)


# What a call contains


def test_a_call_without_a_selector_is_metadata_alone(gong: Client) -> None:
    """Only `metaData` comes if nothing is asked for, the same twenty fields as in GET /v2/calls."""
    rows = gong.rows(DETAILS)
    assert all(row == {"metaData": gong.tenant.served(id_in(row))} for row in rows)
    assert len(rows[0]["metaData"]) == 20


@pytest.mark.parametrize(
    ("selector", "members"),
    [
        ({"context": "None"}, []),
        ({"context": "Basic"}, ["context"]),
        ({"exposedFields": {"parties": True}}, ["parties"]),
        ({"exposedFields": {"content": {"brief": True, "pointsOfInterest": True}}}, ["content.brief"]),
        ({"exposedFields": {"content": {"pointsOfInterest": True}}}, []),
        ({"exposedFields": {"interaction": {"personInteractionStats": True}}}, ["interaction.interactionStats"]),
        ({"exposedFields": {"interaction": {"questions": True, "video": False}}}, ["interaction.questions"]),
        ({"exposedFields": {"collaboration": {"publicComments": True}}}, ["collaboration.publicComments"]),
        ({"exposedFields": {"media": True}}, ["media"]),
    ],
)
def test_only_blocks_asked_for_come(gong: Client, selector: Any, members: list[str]) -> None:
    """Each flag of the selector brings one block, under its name in the answer."""
    tenant = gong.serve(*calls(1))
    tenant.set_content("1", parties=[], brief="", publicComments=[], interactionStats=[], questions={})
    (row,) = gong.details("1", selector=selector)
    found = [
        f"{name}.{inner}" if name in ("content", "interaction", "collaboration") else name
        for name, value in row.items()
        if name != "metaData"
        for inner in (value if isinstance(value, dict) and name != "media" else [name])
    ]
    assert found == members


@pytest.mark.parametrize(
    "selector",
    [
        {"context": "Everything"},
        {"context": "Basic", "contextTiming": ["Now"]},
        {"context": "Extended", "contextTiming": ["Tomorrow"]},
        {"exposedFields": {"content": True}},
    ],
)
def test_a_wrong_selector_is_a_400(gong: Client, selector: Any) -> None:
    """Unknown values, and contextTiming without the extended context, are refused with the path of the field."""
    status, text = error(gong.post(DETAILS, {"filter": {}, "contentSelector": selector}))
    assert (status, text.startswith("contentSelector.")) == (400, True)


def test_context_is_links_or_fields_for_each_moment(gong: Client) -> None:
    """Basic context has no fields; extended has untyped values, once for each timing asked for."""

    def objects(selector: dict[str, Any]) -> list[dict[str, Any]]:
        rows = gong.details(selector=selector | {"exposedFields": {"parties": True}})
        systems = [system for row in rows for system in row["context"]]
        systems += [system for row in rows for party in row.get("parties", []) for system in party["context"]]
        return [one for system in systems for one in system["objects"]]

    assert {tuple(one) for one in objects({"context": "Basic"})} == {("objectType", "objectId", "timing")}
    now = objects({"context": "Extended"})
    both = objects({"context": "Extended", "contextTiming": ["TimeOfCall", "Now"]})
    assert {one["timing"] for one in now} == {"Now"}
    assert Counter(one["timing"] for one in both) == {"Now": len(now), "TimeOfCall": len(now)}
    assert {one["objectType"] for one in now} == {"Account", "Opportunity", "Contact"}
    assert {len(one["fields"]) for one in now} == {SMALL.crm_fields}
    kinds = {type(field["value"]) for one in now for field in one["fields"]}
    assert kinds == {str, int, float, bool, type(None)}


def test_a_crm_object_is_the_same_in_every_call(gong: Client) -> None:
    """What an account is now does not depend on the call that shows it."""
    rows = gong.details(selector={"context": "Extended"})
    accounts: dict[str, set[str]] = {}
    for row in rows:
        for one in (one for system in row["context"] for one in system["objects"]):
            accounts.setdefault(one["objectId"], set()).add(json.dumps(one))
    assert {len(versions) for versions in accounts.values()} == {1}
    assert len(accounts) < 2 * len(rows)


def test_people_have_three_ids_and_keys_come_and_go() -> None:
    """A speaker's `id` is that of a party, what is said has a `speakerId`; keys of a party may be absent or null."""
    tenant = Tenant.generate(300, start=START, end=END)
    rows = [row for call_id in tenant.calls if (row := tenant.served_details(call_id))]
    parties = [party for row in rows for party in row.get("parties", [])]
    assert any("parties" not in row for row in rows)
    assert {party["affiliation"] for party in parties} == {"Internal", "External", "Unknown"}
    for name in ("emailAddress", "userId", "title", "phoneNumber", "name"):
        assert {name in party for party in parties} == {True, False}
    assert {party["speakerId"] is None for party in parties} == {True, False}
    users = {party["userId"] for party in parties if "userId" in party}
    assert users == set(tenant.user_ids)
    for row in rows:
        known = {party["id"]: party["speakerId"] for party in row.get("parties", [])}
        if not known:
            continue
        assert {speaker["id"] for speaker in row["interaction"]["speakers"]} == {k for k, v in known.items() if v}
        said = {one["speakerId"] for tracker in row["content"]["trackers"] for one in tracker["occurrences"]}
        spoke = {one["speakerId"] for one in (tenant.served_transcript(id_in(row)) or {"transcript": []})["transcript"]}
        assert (said | spoke) <= {*known.values(), None}
        assert row["parties"][0].get("userId") == row["metaData"]["primaryUserId"]


def test_lifelike_calls_have_the_sizes_that_they_should() -> None:
    """The average call has the documented counts, and all that may be absent is absent somewhere."""
    tenant = Tenant.generate(200, start=START, end=END)
    rows = [row for call_id in tenant.calls if (row := tenant.served_details(call_id))]
    contents = [row["content"] for row in rows]
    assert {len(content["trackers"]) for content in contents} == {30}
    assert {len(content["topics"]) for content in contents} == {10}
    assert any(topic["duration"] == 0 for content in contents for topic in content["topics"])

    def average(counts: list[int]) -> float:
        return sum(counts) / len(counts)

    hits = [sum(tracker["count"] > 0 for tracker in content["trackers"]) for content in contents]
    items = [sum(len(section["items"]) for section in content["outline"]) for content in contents]
    spoken = [tenant.served_transcript(call_id) for call_id in tenant.calls]
    sentences = [sum(len(one["sentences"]) for one in row["transcript"]) for row in spoken if row]
    assert average(hits) == pytest.approx(5, rel=0.1)
    assert average(items) == pytest.approx(45, rel=0.1)
    assert average(sentences) == pytest.approx(400, rel=0.1)
    assert 180 <= len(sentences) < 200
    for name in ("structure", "highlights", "callOutcome", "brief"):
        assert {name in content for content in contents} == {True, False}
    assert {"video" in row["interaction"] for row in rows} == {True, False}
    assert {"publicComments" in row["collaboration"] for row in rows} == {True, False}


def test_sizes_without_spread_are_exact() -> None:
    """With spread 0 all calls have exactly the counts that were asked for, whatever they are."""
    sizes = Content(sentences=37, outline_items=11, parties=5, spread=0, without_transcript_share=0)
    tenant = Tenant.generate(20, start=START, end=END, content=sizes)
    for call_id in tenant.calls:
        row, spoken = tenant.served_details(call_id), tenant.served_transcript(call_id)
        assert row
        assert spoken
        assert sum(len(one["sentences"]) for one in spoken["transcript"]) == 37
        assert sum(len(section["items"]) for section in row["content"]["outline"]) == 11
        assert len(row.get("parties", range(5))) == 5


@pytest.mark.parametrize("content", [Content(**dict.fromkeys(["parties", "trackers", "topics", "sentences"], 0))])
def test_sizes_may_be_nothing(content: Content) -> None:
    """Calls without trackers, topics or sentences have empty lists; the host is a party all the same."""
    tenant = Tenant.generate(5, start=START, end=END, content=content)
    for call_id in tenant.calls:
        row = tenant.served_details(call_id)
        assert row
        assert (row["content"]["trackers"], row["content"]["topics"]) == ([], [])
        assert len(row["parties"]) == 1
        assert tenant.served_transcript(call_id) in (None, {"callId": call_id, "transcript": []})


def test_the_host_is_a_party_even_if_nobody_knows_that_user(gong: Client) -> None:
    """A primary user who is no user of the tenant, or no user any more, is a party with an id and no name."""
    tenant = gong.serve(*calls(1))
    tenant.edit("1", primaryUserId="12345")
    (row,) = gong.details("1")
    assert (row["parties"][0]["userId"], row["parties"][0]["name"]) == ("12345", None)


def test_times_within_a_call_fit_together() -> None:
    """Sections of an outline begin before their items and in order; comments carry the offset of the company."""
    tenant = Tenant.generate(30, start=START, end=END)
    posted = []
    for call_id in tenant.calls:
        row = tenant.served_details(call_id) or {}
        starts = [section["startTime"] for section in row["content"]["outline"]]
        items = [min(item["startTime"] for item in section["items"]) for section in row["content"]["outline"]]
        assert starts == sorted(starts)
        assert all(start <= item < start + 40 for start, item in zip(starts, items, strict=True))
        posted += [comment["posted"] for comment in row["collaboration"].get("publicComments", [])]
        transcript = (tenant.served_transcript(call_id) or {"transcript": []})["transcript"]
        assert all(sentence["start"] < sentence["end"] for one in transcript for sentence in one["sentences"])
    assert {text[-6:] for text in posted} <= {"-05:00", "-04:00"}
    assert posted


def test_content_depends_on_the_id_alone() -> None:
    """The same call has the same content in another tenant, on another day, and after edits of its title."""
    one, other = (Tenant(calls(30)) for _ in range(2))
    other.edit("7", title="renamed")
    for call_id in one.calls:
        assert one.served_transcript(call_id) == other.served_transcript(call_id)
        rows = [tenant.served_details(call_id) or {} for tenant in (one, other)]
        assert rows[0] | {"metaData": 0} == rows[1] | {"metaData": 0}
    assert one.served_transcript("1") != one.served_transcript("2")


def test_a_tenant_may_lack_blocks(gong: Client) -> None:
    """Blocks that the tenant does not have are left out without a word."""
    gong.simulator.tenant = Tenant.generate(
        20, start=START, end=END, content=Content(absent=frozenset({"structure", "highlights", "video", "topics"}))
    )
    names = {name for row in gong.details() for group in ("content", "interaction") for name in row[group]}
    assert names.isdisjoint({"structure", "highlights", "video", "topics"})
    assert "trackers" in names


def test_occurrences_come_when_asked_for(gong: Client) -> None:
    """Trackers have counts and phrases; when and by whom they were said comes with `trackerOccurrences` alone."""
    flags: dict[str, Any] = {"trackers": True}
    plain = gong.details(selector={"exposedFields": {"content": flags}})
    full = gong.details(selector={"exposedFields": {"content": flags | {"trackerOccurrences": True}}})

    def counts(rows: list[dict[str, Any]]) -> list[int]:
        return [tracker["count"] for row in rows for tracker in row["content"]["trackers"]]

    def times(rows: list[dict[str, Any]]) -> list[Any]:
        trackers = [tracker for row in rows for tracker in row["content"]["trackers"]]
        lists = [part["occurrences"] for tracker in trackers for part in (tracker, *tracker["phrases"])]
        return [one for found in lists for one in found]

    assert counts(plain) == counts(full)
    assert not times(plain)
    assert {tuple(one) for one in times(full)} == {("startTime", "speakerId")}
    assert gong.details(selector={"exposedFields": {"content": {"trackerOccurrences": True}}})[0].keys() == {"metaData"}


def test_media_addresses_are_signed_anew_and_need_a_scope(gong: Client) -> None:
    """The address of a recording differs in each answer and expires; the key needs a scope of its own."""
    gong.change(clock=lambda: 1_700_000_000.0)
    selector = {"exposedFields": {"media": True}}
    one, two = (gong.details(selector=selector)[0]["media"] for _ in range(2))
    assert one["audioUrl"] != two["audioUrl"]
    assert urlsplit(one["audioUrl"]).path == urlsplit(two["audioUrl"]).path
    assert parse_qs(urlsplit(one["audioUrl"]).query)["X-Amz-Expires"] == ["28799"]
    gong.change(scopes=frozenset({"api:calls:read:extensive"}))
    answer = gong.post(DETAILS, {"filter": {}, "contentSelector": selector})
    assert error(answer) == (401, "You don't have permission to use 'api:calls:read:media-url' in your app.")
    assert gong.post(DETAILS).status_code == 200
    text = "You don't have permission to use 'api:calls:read:transcript' in your app."
    assert error(gong.post(TRANSCRIPTS)) == (401, text)


# What tests set


AWKWARD = [
    [],
    [{"id": 12345678901234567890, "userId": -1, "speakerId": "null", "newKey": {"a": [None]}}],
    "not a list",
    7.5,
    None,
    [None, [], {}],
    "x" * 1_000_000,
    "\ud800 alone, \x00, \u2028 and 🎉",
]


@pytest.mark.parametrize("value", AWKWARD, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("name", ["parties", "context", "trackers", "brief", "speakers", "publicComments", "content"])
def test_what_a_test_sets_is_served_as_it_is(gong: Client, name: str, value: Any) -> None:
    """Whatever JSON a block is set to is served, in its place, and `served_details` says the same."""
    tenant = gong.serve(*calls(2))
    tenant.set_content("1", **{name: value})
    (row,) = gong.details("1")
    places = {"trackers": "content", "brief": "content", "speakers": "interaction", "publicComments": "collaboration"}
    holder = row[places[name]] if name in places else row
    assert holder[name] == value
    assert tenant.served_details("1") == row
    tenant.reset_content("1")
    assert gong.details("1")[0] != row


@pytest.mark.parametrize("value", AWKWARD, ids=lambda value: repr(value)[:20])
def test_a_transcript_that_a_test_sets_is_served_as_it_is(gong: Client, value: Any) -> None:
    """Whatever JSON a transcript is set to is served; None is no transcript."""
    tenant = gong.serve(*calls(2))
    tenant.set_transcript("1", value)
    if value is None:
        assert tenant.served_transcript("1") is None
        assert gong.ids(TRANSCRIPTS) == ["2"]
    else:
        row = {"callId": "1", "transcript": value}
        assert gong.rows(TRANSCRIPTS)[0] == tenant.served_transcript("1") == row
    tenant.set_transcript("2", None, callId=2, transcript=None, further=ABSENT)
    assert gong.rows(TRANSCRIPTS)[-1] == {"callId": 2, "transcript": None}


@pytest.mark.parametrize("name", ["context", "parties", "outline", "questions", "publicComments", "interaction"])
def test_a_block_can_be_removed(gong: Client, name: str) -> None:
    """ABSENT leaves a block out of the answer, alone or with its whole group; the rest stays."""
    tenant = gong.serve(*calls(1))
    before = tenant.served_details("1") or {}
    tenant.set_content("1", **{name: ABSENT})
    (row,) = gong.details("1")
    without = copy.deepcopy(before)
    for part in (without, without["content"], without["interaction"], without["collaboration"]):
        part.pop(name, None)
    assert row == without


def test_a_block_can_be_edited(gong: Client) -> None:
    """`edit_content` gives a function the block as it is, and ABSENT for one that is not there."""
    tenant = gong.serve(*calls(1))
    tenant.set_content("1", keyPoints=[{"text": "one"}], brief=ABSENT)
    given: list[Any] = []

    def note(value: Any) -> Any:
        given.append(value)
        return "new"

    tenant.edit_content("1", keyPoints=lambda points: [*points, {"text": "two"}], brief=note)
    (row,) = gong.details("1")
    assert row["content"]["keyPoints"] == [{"text": "one"}, {"text": "two"}]
    assert (row["content"]["brief"], given) == ("new", [ABSENT])


@pytest.mark.parametrize(
    "change",
    [
        lambda tenant: tenant.set_content("99", brief=""),
        lambda tenant: tenant.set_content("x", brief=""),
        lambda tenant: tenant.set_transcript("99", []),
        lambda tenant: tenant.make_content_available("99", content_at=1.0),
        lambda tenant: tenant.served_details("99"),
        lambda tenant: tenant.served_transcript("99"),
    ],
)
def test_a_call_that_is_not_there_is_a_key_error(gong: Client, change: Callable[[Tenant], Any]) -> None:
    """The content of a call that the tenant does not have can be neither set nor read."""
    tenant = gong.serve(*calls(1))
    with pytest.raises(KeyError):
        change(tenant)


def test_a_block_that_is_not_there_is_a_value_error(gong: Client) -> None:
    """A misspelt name of a block is refused, so that no test sets what nobody serves."""
    tenant = gong.serve(*calls(1))
    with pytest.raises(ValueError, match="no such block of a call: key_points"):
        tenant.set_content("1", key_points=[])


def test_every_change_of_a_call_shows_at_once(gong: Client) -> None:
    """Rows are kept for the next request, but never longer than the call stays as it is."""
    tenant = gong.serve(*calls(2))

    def seen() -> list[Any]:
        rows = gong.details("1") + gong.rows(TRANSCRIPTS, filter={"callIds": ["1"]})
        assert rows == [tenant.served_details("1"), tenant.served_transcript("1")] == rows
        return rows

    versions = [seen()]
    tenant.edit("1", title="renamed")
    versions.append(seen())
    tenant.redate("1", started=at(1.5))
    versions.append(seen())
    tenant.edit("1", primaryUserId=tenant.user_ids[7])
    versions.append(seen())
    tenant.set_content("1", brief="short")
    versions.append(seen())
    tenant.set_transcript("1", [])
    versions.append(seen())
    tenant.make_content_available("1", content_at=4e9)
    versions.append(seen())
    tenant.reset_content("1")
    versions.append(seen())
    assert versions[-1] == versions[3]
    assert all(one != other for one, other in pairwise(versions))


def test_rows_are_kept_within_a_bound() -> None:
    """The rows of the calls used longest ago are dropped, and a row that is larger than the bound is not kept."""
    cache, made = RowCache(most_bytes=10), Counter[Any]()

    def ask(number: int, size: int, key: str = "") -> None:
        def make() -> bytes:
            made[number, key] += 1
            return b"x" * size

        assert cache.row(number, key, make) == b"x" * size

    for number in (1, 2, 1, 3, 1, 2):  # 3 drops 2, which was used before 1
        ask(number, 4)
    assert made == {(1, ""): 1, (2, ""): 2, (3, ""): 1}
    ask(1, 4, "other")
    ask(9, 11)
    ask(9, 11)
    assert (made[1, "other"], made[9, ""]) == (1, 2)
    cache.forget(9)
    ask(1, 4)
    assert made[1, ""] == 2


# Content that comes late


@pytest.mark.parametrize(("counted", "total"), [("calls", 3), ("transcripts", 2)])
def test_calls_without_a_transcript_leave_holes(gong: Client, counted: Any, total: int) -> None:
    """A call without a transcript has no row, and counts in the total if calls are counted."""
    tenant = gong.serve(*calls(3))
    tenant.set_transcript("2", None)
    gong.change(transcript_totals=counted)
    page = gong.post(TRANSCRIPTS).json()
    assert [row["callId"] for row in page["callTranscripts"]] == ["1", "3"]
    assert page["records"] == {"totalRecords": total, "currentPageSize": 2, "currentPageNumber": 0}
    assert gong.ids(TRANSCRIPTS, callIds=["2"]) == []
    assert gong.ids(DETAILS) == ["1", "2", "3"]


def test_a_transcript_comes_at_its_moment(gong: Client) -> None:
    """Before `transcript_at` a call has no row, from then on it has one."""
    tenant = gong.serve(*calls(2))
    tenant.make_content_available("1", transcript_at=1000.0)
    for now, ids in ((999.9, ["2"]), (1000.0, ["1", "2"])):
        gong.change(clock=lambda now=now: now)
        assert gong.ids(TRANSCRIPTS) == ids
        assert (tenant.served_transcript("1", now=now) is None) == ("1" not in ids)
    tenant.make_content_available("1", transcript_at=None)
    assert tenant.served_transcript("1", now=0.0) is not None


def test_ai_content_comes_at_its_moment(gong: Client) -> None:
    """Before `content_at` nothing is in `content`, not even what a test set; all other blocks are there."""
    tenant = gong.serve(*calls(1))
    tenant.set_content("1", brief="short")
    tenant.make_content_available("1", content_at=1000.0)
    gong.change(clock=lambda: 999.0)
    (early,) = gong.details("1")
    assert early == tenant.served_details("1", now=999.0)
    gong.change(clock=lambda: 1000.0)
    (late,) = gong.details("1")
    assert early == late | {"content": {}}
    assert late["content"]["brief"] == "short"
    tenant.set_content("1", content={"whole": True})
    assert (tenant.served_details("1", now=999.0) or {})["content"] == {}
    assert (tenant.served_details("1", now=1000.0) or {})["content"] == {"whole": True}


def test_drawn_delays_follow_the_call() -> None:
    """Transcripts and content wait for their seconds after the call, a share of them longer, or for ever."""
    sizes = dataclasses.replace(
        SMALL,
        transcript_seconds=600,
        content_seconds=300,
        late_content_share=0.5,
        late_content_seconds=86_400,
        without_transcript_share=0.25,
    )
    tenant = Tenant.generate(200, start=START, end=END, processing_seconds=60, content=sizes)
    transcripts, contents = Counter[str](), Counter[str]()
    for call_id, call in tenant.calls.items():
        come = call.available_at
        assert come is not None
        assert tenant.served_details(call_id, now=come - 1) is None
        early = tenant.served_details(call_id, now=come + 299)
        assert early is not None
        assert early["content"] == {}
        assert tenant.served_transcript(call_id, now=come + 599) is None
        for after, when in ((601, "soon"), (43_200, "half"), (90_000, "late"), (1e9, "never")):
            transcripts[when] += tenant.served_transcript(call_id, now=come + after) is not None
            contents[when] += (tenant.served_details(call_id, now=come + after) or {})["content"] != {}
    assert transcripts["half"] == pytest.approx(112, abs=20)
    assert transcripts["soon"] == pytest.approx(75, abs=20)
    assert transcripts["late"] == transcripts["never"] == pytest.approx(150, abs=20)
    assert (contents["soon"], contents["late"]) == (pytest.approx(100, abs=25), 200)


def test_delays_follow_the_moment_at_which_a_call_is_listed(gong: Client) -> None:
    """Without such a moment they follow the time that files the call; a delay is then over long ago."""
    first, second = calls(2)
    first.available_at = 4e9
    tenant = gong.serve(first, second, content=dataclasses.replace(NO_HOLES, transcript_seconds=60))
    assert tenant.served_transcript("1", now=4e9 + 59) is None
    assert tenant.served_transcript("1", now=4e9 + 60) is not None
    assert tenant.served_transcript("2", now=at(2).timestamp() + 59) is None
    assert tenant.served_transcript("2", now=at(2).timestamp() + 60) is not None


def test_details_may_lag_behind_the_other_lists(gong: Client) -> None:
    """With `extensive_lag_seconds` a new call is in GET /v2/calls and in transcripts first."""
    first, second = calls(2)
    second.available_at = 1000.0
    gong.serve(first, second)
    gong.change(clock=lambda: 1059.0, extensive_lag_seconds=60.0)
    listed = gong.session.get(f"{gong.simulator.base_url}/v2/calls", timeout=10).json()
    assert [row["id"] for row in listed["calls"]] == gong.ids(TRANSCRIPTS) == ["1", "2"]
    assert gong.ids(DETAILS) == ["1"]
    assert gong.ids(DETAILS, callIds=["2"]) == []
    for wanted in ({}, {"callIds": ["1", "2"]}):
        for ahead, total in ((True, 2), (False, 1)):
            gong.change(totals_run_ahead=ahead)
            assert gong.post(DETAILS, {"filter": wanted}).json()["records"]["totalRecords"] == total
    gong.change(clock=lambda: 1060.0)
    assert gong.ids(DETAILS) == ["1", "2"]


@BOTH
def test_calls_go_come_back_and_turn_private(gong: Client, path: str) -> None:
    """Deleted and unavailable calls are in no list, private ones are; what a test set survives a deletion."""
    tenant = gong.serve(*calls(3))
    tenant.set_content("1", brief="mine")
    tenant.set_transcript("1", [])
    tenant.delete("1")
    tenant.make_available("2", 1000.0)
    tenant.edit("3", isPrivate=True)
    gong.change(clock=lambda: 999.0)
    assert gong.ids(path) == ["3"]
    assert gong.details("3")[0]["metaData"]["isPrivate"] is True
    tenant.restore("1")
    assert gong.ids(path) == ["1", "3"]
    assert gong.details("1")[0]["content"]["brief"] == "mine"
    assert gong.rows(TRANSCRIPTS)[0] == {"callId": "1", "transcript": []}
    gong.change(see_no_calls=True)
    assert error(gong.post(path)) == (404, EMPTY)


@BOTH
def test_faults_happen_to_these_lists_too(gong: Client, path: str) -> None:
    """Faults see the cursor in the body, damage rows, and pass over other paths."""
    first = gong.post(path).json()
    body = {"filter": {}, "cursor": first["records"]["cursor"]}
    gong.simulator.faults = [Fault(kind="duplicate_rows", rows=2, path=path)]
    again = gong.post(path, body).json()[LISTS[path]]
    assert again[:2] == first[LISTS[path]][-2:]
    gong.simulator.faults = [Fault(kind="record_without_id", path=path)]
    row = gong.post(path).json()[LISTS[path]][0]
    assert "callId" not in row
    assert "id" not in row.get("metaData", {})
    gong.simulator.faults = [Fault(kind="missing_list_key", path=path)]
    assert LISTS[path] not in gong.post(path).json()
    gong.simulator.faults = [Fault(kind="expire_cursor", path=path)]
    assert gong.post(path, body).status_code == 400
    gong.simulator.faults = [Fault(kind="status", status=503, path="/v2/users")]
    assert gong.post(path).status_code == 200


@pytest.mark.parametrize("wrong", [{"spread": 2.0}, {"sentences": -1}, {"without_transcript_share": 1.5}])
def test_sizes_refuse_nonsense(wrong: dict[str, Any]) -> None:
    """Sizes out of their range are a ValueError that names the field."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        dataclasses.replace(LIFELIKE, **wrong)
