"""The simulator behaves like Gong's API: one test for each of its rules."""

import argparse
import dataclasses
import gc
import json
import re
import socket
import subprocess
import sys
import threading
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from gong_source.simulator import ABSENT, LIFELIKE, SMALL, Call, Content, Fault, Settings, Simulator, Tenant
from gong_source.simulator.serve import add_arguments, content_of
from gong_source.simulator.serve import serve as serve_command

START = datetime(2024, 3, 1, tzinfo=UTC)
END = datetime(2024, 4, 1, tzinfo=UTC)
EMPTY = "No calls found corresponding to the provided filters"
FREE = Settings(requests_per_second=None, daily_quota=None)


class Clock:
    """Unix seconds that stand still until they are set."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time that was set."""
        return self.now


class Client:
    """A client of a running simulator with the right key."""

    def __init__(self, simulator: Simulator, session: requests.Session) -> None:
        self.simulator = simulator
        self.session = session

    def get(self, path: str = "/v2/calls", **query: Any) -> requests.Response:
        """Return the answer to a GET."""
        return self.session.get(self.simulator.base_url + path, params=query, timeout=10)

    def post(self, body: Any, **query: Any) -> requests.Response:
        """Return the answer to a POST for detailed calls."""
        url = self.simulator.base_url + "/v2/calls/extensive"
        return self.session.post(url, json=body, params=query, timeout=10)

    def rows(self, **query: Any) -> list[dict[str, Any]]:
        """Return the rows of all pages."""
        rows = []
        while True:
            answer = self.get(**query)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            rows += page["calls"]
            if "cursor" not in page["records"]:
                return rows
            query["cursor"] = page["records"]["cursor"]

    def ids(self, **query: Any) -> list[str]:
        """Return the ids of the rows of all pages."""
        return [row["id"] for row in self.rows(**query)]


@pytest.fixture
def gong() -> Iterator[Client]:
    """A simulator without limits, of 250 calls in March 2024."""
    tenant = Tenant.generate(250, start=START, end=END)
    with Simulator(tenant, FREE) as simulator, requests.Session() as session:
        session.auth = ("key", "secret")
        yield Client(simulator, session)


def change(gong: Client, **settings: Any) -> None:
    """Change settings of the running simulator."""
    gong.simulator.settings = dataclasses.replace(gong.simulator.settings, **settings)


def serve(gong: Client, *calls: Call, **tenant: Any) -> Tenant:
    """Return a tenant of these calls, which the simulator serves from now on."""
    gong.simulator.tenant = Tenant(calls, **tenant)
    return gong.simulator.tenant


def at(minute: float) -> datetime:
    """Return the time some minutes after the start."""
    return START + timedelta(minutes=minute)


def claims(cursor: str) -> dict[str, Any]:
    """Return what a page cursor holds."""
    payload = cursor.split(".")[1]
    decoded: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


def error(answer: requests.Response) -> tuple[int, str]:
    """Return the status and the first error text of an answer."""
    return answer.status_code, answer.json()["errors"][0]


# Pages and page cursors


def test_listing_delivers_every_call_once_as_served(gong: Client) -> None:
    """A listing without bounds gives each call once, exactly as `served` says, in pages of 100."""
    rows = gong.rows()
    tenant = gong.simulator.tenant
    assert {row["id"]: row for row in rows} == {call_id: tenant.served(call_id) for call_id in tenant.calls}
    assert len(rows) == len(tenant) == 250
    assert len(gong.simulator.requests) == 3


def test_records_describe_the_page_and_the_last_has_no_cursor(gong: Client) -> None:
    """`records` counts pages from 0, and the key `cursor` is missing on the last page."""
    first = gong.get().json()["records"]
    second = gong.get(cursor=first["cursor"]).json()["records"]
    third = gong.get(cursor=second["cursor"]).json()["records"]
    assert [page["currentPageNumber"] for page in (first, second, third)] == [0, 1, 2]
    assert [page["currentPageSize"] for page in (first, second, third)] == [100, 100, 50]
    assert third == {"totalRecords": 250, "currentPageSize": 50, "currentPageNumber": 2}


def test_cursor_is_a_token_of_the_documented_shape(gong: Client) -> None:
    """A page cursor is a JWT that holds the last row's time and id, the total, and the expiry."""
    change(gong, clock=Clock())
    page = gong.get().json()
    cursor = page["records"]["cursor"]
    last = gong.simulator.tenant.calls[page["calls"][-1]["id"]]
    held = claims(cursor)
    assert list(held) == ["callId", "total", "pageNumber", "pageSize", "time", "exp"]
    assert json.loads(urlsafe_b64decode(cursor.split(".")[0] + "==")) == {"alg": "HS256"}
    assert held["callId"] == int(last.id)
    filed = gong.simulator.tenant.effective_time(last, "documented")
    assert datetime.fromisoformat(held["time"]) == filed
    assert (held["total"], held["pageNumber"], held["pageSize"]) == (250, 0, 100)
    assert held["exp"] == 1_700_000_000 + 3600


def test_cursor_expires_an_hour_after_the_first_request_of_its_listing(gong: Client) -> None:
    """Following pages carry the expiry of the first one; from that second on the answer is a 400."""
    clock = Clock()
    change(gong, clock=clock)
    first = gong.get().json()["records"]["cursor"]
    clock.now += 3599
    second = gong.get(cursor=first).json()["records"]["cursor"]
    assert claims(second)["exp"] == claims(first)["exp"]
    clock.now += 1
    status, text = error(gong.get(cursor=second))
    assert status == 400
    assert "cursor has expired" in text


@pytest.mark.parametrize("damage", [lambda text: text[:-2], lambda text: "x" + text, lambda _: "nonsense"])
def test_tampered_cursor_is_refused(gong: Client, damage: Any) -> None:
    """A cursor that the server did not sign is a 400."""
    cursor = damage(gong.get().json()["records"]["cursor"])
    assert error(gong.get(cursor=cursor)) == (400, "Failed to verify cursor")


def test_foreign_cursor_is_refused(gong: Client) -> None:
    """A cursor signed with another secret, or of another list, is a 400."""
    gong.simulator.tenant = Tenant.generate(250, start=START, end=END, users=101)
    calls, users = (gong.get(path).json()["records"]["cursor"] for path in ("/v2/calls", "/v2/users"))
    assert error(gong.get(cursor=users)) == (400, "Failed to verify cursor")
    change(gong, cursor_secret="another")
    assert error(gong.get(cursor=calls)) == (400, "Failed to verify cursor")


def test_calls_inserted_before_the_position_are_not_seen(gong: Client) -> None:
    """A listing continues after its last row: it misses earlier insertions, sees later ones, keeps its total."""
    tenant = gong.simulator.tenant
    page = gong.get().json()
    tenant.add(Call("1", started=START))
    tenant.add(Call("2", started=END))
    second = gong.get(cursor=page["records"]["cursor"]).json()
    third = gong.get(cursor=second["records"]["cursor"]).json()
    ids = {row["id"] for row in second["calls"] + third["calls"]}
    assert "1" not in ids
    assert "2" in ids
    assert second["records"]["totalRecords"] == third["records"]["totalRecords"] == 250


def test_deletions_do_not_shift_pages(gong: Client) -> None:
    """Deleting rows already delivered, the last one too, makes the listing skip nothing."""
    everything = gong.ids()
    page = gong.get().json()
    for call_id in everything[90:100]:
        gong.simulator.tenant.delete(call_id)
    assert gong.ids(cursor=page["records"]["cursor"]) == everything[100:]


def test_listing_whose_rest_was_deleted_ends_empty(gong: Client) -> None:
    """When the rest of a listing vanished, the last page is an empty list, or the 404 if so set."""
    page = gong.get().json()
    for call_id in gong.ids(cursor=page["records"]["cursor"]):
        gong.simulator.tenant.delete(call_id)
    cursor = page["records"]["cursor"]
    answer = gong.get(cursor=cursor)
    assert (answer.status_code, answer.json()["calls"]) == (200, [])
    change(gong, emptied_listing="not_found")
    assert error(gong.get(cursor=cursor)) == (404, EMPTY)


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_order_is_by_time_then_id(gong: Client, order: Any) -> None:
    """Calls of one second that fill more than a page come in order of their ids, none lost or doubled."""
    calls = [Call(str(10**18 + 7919 * number % 251), started=at(number // 240)) for number in range(251)]
    serve(gong, *calls)
    change(gong, order=order)
    expected = sorted(calls, key=lambda call: (call.started, int(call.id)), reverse=order == "descending")
    assert gong.ids() == [call.id for call in expected]


def test_page_size_is_a_setting(gong: Client) -> None:
    """`page_size` sets the rows on a page; a `limit` in the query does not."""
    change(gong, page_size=7)
    assert len(gong.get(limit=50).json()["calls"]) == 7


# Filters


def test_from_is_inclusive_and_to_is_exclusive(gong: Client) -> None:
    """A call at fromDateTime is listed, a call at toDateTime is not, down to the microsecond."""
    serve(gong, Call("1", started=at(0)), Call("2", started=at(10)), Call("3", started=at(20)))
    assert gong.ids(fromDateTime="2024-03-01T00:00:00Z", toDateTime="2024-03-01T00:20:00Z") == ["1", "2"]
    assert gong.ids(fromDateTime="2024-03-01T00:10:00.000001Z") == ["3"]


@pytest.mark.parametrize("text", ["2024-03-01T00:10:00Z", "2024-03-01T02:10:00+02:00", "2024-02-29T19:10:00.000-05:00"])
def test_bounds_take_z_offset_and_milliseconds(gong: Client, text: str) -> None:
    """The same moment with Z, with an offset or with milliseconds gives the same rows."""
    serve(gong, Call("1", started=at(9)), Call("2", started=at(10)))
    assert gong.ids(fromDateTime=text) == ["2"]


@pytest.mark.parametrize("text", ["2024-03-01", "yesterday", "", "2024-03-01T00:00:00", "2024-13-01T00:00:00Z"])
def test_unparsable_date_is_refused(gong: Client, text: str) -> None:
    """A bound that is no date-time with an offset is a 400 that names it."""
    status, message = error(gong.get(fromDateTime=text))
    assert status == 400
    assert message.startswith("fromDateTime: ")


def test_from_must_be_before_to(gong: Client) -> None:
    """Equal or reversed bounds are a 400."""
    text = "2024-03-01T00:00:00Z"
    assert error(gong.get(fromDateTime=text, toDateTime=text)) == (
        400,
        "fromDateTime: must be before toDateTime",
    )


def test_missing_dates_are_refused_when_strict(gong: Client) -> None:
    """With `strict_dates` each missing bound is an error of its own."""
    change(gong, strict_dates=True)
    answer = gong.get()
    assert answer.status_code == 400
    assert [text.split(":")[0] for text in answer.json()["errors"]] == ["fromDateTime", "toDateTime"]


@pytest.mark.parametrize(
    ("rule", "direction", "filed"),
    [
        ("documented", "Conference", "scheduled"),
        ("documented", "Inbound", "started"),
        ("scheduled", "Conference", "scheduled"),
        ("scheduled", "Inbound", "scheduled"),
    ],
)
def test_rule_says_by_which_time_a_call_is_filed(gong: Client, rule: Any, direction: str, filed: str) -> None:
    """Rule "documented" files conferences by scheduled and others by started, "scheduled" all by scheduled."""
    serve(gong, Call("1", scheduled=at(0), started=at(60), fields={"direction": direction}))
    change(gong, rule=rule)
    half = "2024-03-01T00:30:00Z"
    found = gong.get(toDateTime=half) if filed == "scheduled" else gong.get(fromDateTime=half)
    missed = gong.get(fromDateTime=half) if filed == "scheduled" else gong.get(toDateTime=half)
    assert (found.status_code, missed.status_code) == (200, 404)


def test_call_without_times_is_filed_by_its_hidden_time(gong: Client) -> None:
    """A call that shows neither time is listed by `filed`, and not listed at all without it."""
    serve(gong, Call("1", filed=at(5)), Call("2"))
    assert gong.ids() == ["1"]
    assert gong.get("/v2/calls/2").json()["call"]["id"] == "2"


def test_workspace_filter(gong: Client) -> None:
    """`workspaceId` lists one workspace, which edits can move calls into; an unknown one is empty."""
    tenant = serve(gong, Call("1", started=at(0), fields={"workspaceId": "5"}), Call("2", started=at(1)))
    assert gong.ids(workspaceId="5") == ["1"]
    tenant.edit("2", workspaceId="5")
    assert gong.ids(workspaceId="5") == ["1", "2"]
    assert error(gong.get(workspaceId="6")) == (404, EMPTY)


def test_empty_window_is_404_with_text(gong: Client) -> None:
    """A valid filter without rows is a 404 whose error is the known sentence."""
    assert error(gong.get(toDateTime="2000-01-01T00:00:00Z")) == (404, EMPTY)


# Calls that come, change and go


@pytest.mark.parametrize(("ahead", "total"), [(True, 3), (False, 2)])
def test_totals_run_ahead_of_calls_that_are_not_available(gong: Client, ahead: bool, total: int) -> None:
    """Before `available_at` a call is counted, if so set, but neither listed nor found by id."""
    clock = Clock(1000.0)
    calls = [Call(str(number), started=at(number)) for number in range(1, 4)]
    calls[1].available_at = 2000.0
    serve(gong, *calls)
    change(gong, clock=clock, totals_run_ahead=ahead)
    page = gong.get().json()
    assert [row["id"] for row in page["calls"]] == ["1", "3"]
    assert page["records"] == {"totalRecords": total, "currentPageSize": 2, "currentPageNumber": 0}
    assert error(gong.get("/v2/calls/2")) == (404, "Call ID 2 was not found")
    clock.now = 2000.0
    assert gong.ids() == ["1", "2", "3"]
    assert gong.get("/v2/calls/2").status_code == 200


@pytest.mark.parametrize(("short", "sizes"), [(True, [1, 2]), (False, [2, 1])])
def test_unavailable_calls_leave_holes_in_pages(gong: Client, short: bool, sizes: list[int]) -> None:
    """A page with a hole is short and yet has a cursor, unless pages are filled up."""
    calls = [Call(str(number), started=at(number)) for number in range(1, 5)]
    calls[0].available_at = 2000.0
    serve(gong, *calls)
    change(gong, clock=Clock(1000.0), page_size=2, short_pages=short)
    first = gong.get().json()
    second = gong.get(cursor=first["records"]["cursor"]).json()
    assert [len(first["calls"]), len(second["calls"])] == sizes
    assert "cursor" not in second["records"]


def test_window_of_unavailable_calls_only(gong: Client) -> None:
    """A window in which no call is available yet is a 404, or an empty list with a total if so set."""
    serve(gong, Call("1", started=START, available_at=2000.0))
    change(gong, clock=Clock(1000.0))
    assert error(gong.get()) == (404, EMPTY)
    change(gong, hidden_window="empty_list")
    page = gong.get().json()
    assert (page["calls"], page["records"]["totalRecords"]) == ([], 1)


def test_edit_redate_delete_restore(gong: Client) -> None:
    """What changes in the tenant shows in the next answer, in the right place of the list."""
    tenant = gong.simulator.tenant
    first, second = gong.ids()[:2]
    tenant.edit(second, title="renamed", duration=7)
    assert gong.get(f"/v2/calls/{second}").json()["call"]["title"] == "renamed"
    assert gong.rows()[1]["duration"] == 7
    tenant.redate(second, scheduled=END, started=END)
    assert gong.ids()[-1] == second
    tenant.delete(first)
    assert first not in gong.ids()
    assert error(gong.get(f"/v2/calls/{first}")) == (404, f"Call ID {first} was not found")
    tenant.restore(first)
    assert gong.ids()[0] == first


def test_tenant_refuses_what_cannot_be(gong: Client) -> None:
    """A doubled or non-numeric id, a naive time, a new id by edit, and an unknown call are refused."""
    tenant = serve(gong, Call("1", started=START))
    naive = START.replace(tzinfo=None)
    for call in (Call("1"), Call("x"), Call("007"), Call("9" * 21), Call("2", started=naive)):
        with pytest.raises(ValueError, match=r"already there|a call id|no time zone"):
            tenant.add(call)
    with pytest.raises(ValueError, match="never changes"):
        tenant.edit("1", id="2")
    with pytest.raises(KeyError):
        tenant.delete("2")
    with pytest.raises(KeyError):
        tenant.served("2")


def test_calls_are_copies(gong: Client) -> None:
    """Changing a call that `calls` handed out changes nothing in the tenant."""
    tenant = gong.simulator.tenant
    call_id = next(iter(tenant.calls))
    tenant.calls[call_id].fields["title"] = "changed"
    assert tenant.served(call_id)["title"] != "changed"


def test_key_without_sight_gets_the_empty_404(gong: Client) -> None:
    """A key that sees no calls gets the same 404 as an empty window; one that sees half gets half."""
    change(gong, visible_share=0.5)
    seen = gong.ids()
    assert 80 < len(seen) < 170
    assert gong.get().json()["records"]["totalRecords"] == len(seen)
    change(gong, see_no_calls=True)
    assert error(gong.get()) == (404, EMPTY)


# Values


def test_times_are_shown_in_the_company_zone(gong: Client) -> None:
    """Offsets follow daylight saving time, through the hour that comes twice, and show the exact time."""
    moments = [datetime(2024, 11, 3, hour, 30, tzinfo=UTC) for hour in (5, 6)]
    tenant = serve(gong, *(Call(str(number), started=moment) for number, moment in enumerate(moments, 1)))
    assert [row["started"] for row in gong.rows()] == [
        "2024-11-03T01:30:00-04:00",
        "2024-11-03T01:30:00-05:00",
    ]
    assert tenant.served("1")["scheduled"] is None


@pytest.mark.parametrize(("micros", "digits"), [(0, ""), (428_000, ".428"), (816_562, ".816562")])
def test_fractions_have_0_3_or_6_digits(gong: Client, micros: int, digits: str) -> None:
    """A time shows as many of 0, 3 or 6 fraction digits as it needs; in UTC it ends in Z."""
    started = START + timedelta(microseconds=micros)
    serve(gong, Call("1", started=started), rendering="utc")
    assert gong.rows()[0]["started"] == f"2024-03-01T00:00:00{digits}Z"


def test_mixed_rendering_shows_some_times_in_utc() -> None:
    """Rendering "mixed" shows some calls with Z and others with the offset."""
    tenant = Tenant.generate(50, start=START, end=END, rendering="mixed")
    assert {tenant.served(call_id)["started"][-1] == "Z" for call_id in tenant.calls} == {True, False}


def test_fields_are_nulls_unless_set(gong: Client) -> None:
    """All twenty fields are there, as null if unset; unknown ones follow, ABSENT ones are left out."""
    fields = {"title": "a", "newField": {"b": [1]}, "purpose": ABSENT}
    tenant = serve(gong, Call("1", started=START, fields=fields))
    row = gong.rows()[0]
    assert len(row) == 20
    assert (row["title"], row["newField"], row["duration"]) == ("a", {"b": [1]}, None)
    assert "purpose" not in row
    tenant.edit("1", started=1518863400.0)
    assert gong.rows()[0]["started"] == 1518863400.0


def test_generated_calls_depend_on_the_seed_alone() -> None:
    """The same arguments give the same calls, another seed gives others."""
    one, same, other = (Tenant.generate(20, start=START, end=END, seed=seed) for seed in (1, 1, 2))
    assert dict(one.calls) == dict(same.calls)
    assert set(one.calls) != set(other.calls)


@pytest.mark.parametrize("shape", ["uniform", "business", "burst"])
def test_generated_times_lie_in_the_range(shape: Any) -> None:
    """Every time of every generated call lies in [start, end), whatever the shape."""
    tenant = Tenant.generate(1000, start=START, end=END, shape=shape, wild=True)
    moments = [moment for call in tenant.calls.values() for moment in (call.scheduled, call.started) if moment]
    assert START <= min(moments) <= max(moments) < END
    assert all(tenant.effective_time(call, "documented") for call in tenant.calls.values())


def test_business_shape_keeps_to_office_hours() -> None:
    """Calls of shape "business" start on weekdays from 8 to 18 o'clock of the company, a gap aside."""
    tenant = Tenant.generate(300, start=START, end=END, shape="business", conference_share=0)
    local = [call.started.astimezone(ZoneInfo(tenant.time_zone)) for call in tenant.calls.values() if call.started]
    assert len(local) == 300
    assert all(moment.weekday() < 5 and 8 <= moment.hour < 18 for moment in local)


def test_burst_shape_puts_more_than_a_page_in_one_second() -> None:
    """Calls of shape "burst" share a second by the hundred."""
    tenant = Tenant.generate(400, start=START, end=END, shape="burst")
    seconds = [call.started.replace(microsecond=0) for call in tenant.calls.values() if call.started]
    assert max(seconds.count(second) for second in set(seconds)) > 100


def test_wild_calls_are_wild(gong: Client) -> None:
    """Wild calls have nulls in every field but the id, unknown values, 20 digits, and survive the wire."""
    tenant = gong.simulator.tenant = Tenant.generate(600, start=START, end=END, wild=True, unknown_fields=True)
    rows = gong.rows()
    assert {row["id"]: row for row in rows} == {call_id: tenant.served(call_id) for call_id in tenant.calls}
    assert {name for row in rows for name, value in row.items() if value is None} == set(rows[0]) - {"id"}
    assert {len(row["id"]) for row in rows} >= {19, 20}
    assert {row["direction"] for row in rows} >= {"Conference", "Hologram", None}
    assert "callSpotlight" in rows[0]


def test_processing_makes_calls_available_later() -> None:
    """With `processing_seconds` each call becomes available within that time, late ones later."""
    tenant = Tenant.generate(
        200,
        start=START,
        end=END,
        conference_share=0,
        processing_seconds=60,
        late_share=0.5,
        late_seconds=9000,
    )
    delays = [
        call.available_at - call.started.timestamp()
        for call in tenant.calls.values()
        if call.available_at is not None and call.started is not None
    ]
    assert len(delays) == 200
    assert min(delays) >= 29
    assert 70 < sum(delay > 61 for delay in delays) < 130


# The other endpoints


def test_call_by_id(gong: Client) -> None:
    """GET /v2/calls/{id} serves the row of the list under `call`, and says which id it does not know."""
    call_id = gong.ids()[0]
    body = gong.get(f"/v2/calls/{call_id}").json()
    assert body["call"] == gong.simulator.tenant.served(call_id)
    assert error(gong.get("/v2/calls/123")) == (404, "Call ID 123 was not found")


def test_extensive_pages_by_the_cursor_in_the_body(gong: Client) -> None:
    """The cursor counts in the JSON body; in the query it is ignored, and the first page comes again."""
    change(gong, extensive_rule="same")
    first = gong.post({"filter": {}, "cursor": None}).json()
    cursor = first["records"]["cursor"]
    again = gong.post({"filter": {}}, cursor=cursor).json()
    assert again["calls"] == first["calls"]
    assert again["records"]["currentPageNumber"] == 0
    second = gong.post({"filter": {}, "cursor": cursor}).json()
    assert second["records"]["currentPageNumber"] == 1
    assert [call["metaData"]["id"] for call in first["calls"] + second["calls"]] == gong.ids()[:200]


def test_extensive_shows_what_is_asked_for(gong: Client) -> None:
    """`metaData` is the row of the list; parties and content come when selected."""
    call = gong.post({"filter": {}}).json()["calls"][0]
    assert call == {"metaData": gong.simulator.tenant.served(call["metaData"]["id"])}
    selector = {"exposedFields": {"parties": True, "content": {"brief": True}}}
    call = gong.post({"filter": {}, "contentSelector": selector}).json()["calls"][0]
    assert call == gong.simulator.tenant.served_details(call["metaData"]["id"], selector)
    assert set(call) == {"metaData", "parties", "content"}
    assert list(call["content"]) == ["brief"]


def test_extensive_filters(gong: Client) -> None:
    """The filter takes bounds, ids and primary users; an empty list of ids is a 400."""
    rows = gong.rows()
    ids = sorted(row["id"] for row in rows[:3])
    found = gong.post({"filter": {"callIds": [*ids, "5"]}}).json()
    assert sorted(call["metaData"]["id"] for call in found["calls"]) == ids
    assert found["records"]["totalRecords"] == 3
    user = rows[0]["primaryUserId"]
    found = gong.post({"filter": {"primaryUserIds": [user]}}).json()
    assert found["records"]["totalRecords"] == sum(row["primaryUserId"] == user for row in rows)
    text = "2024-03-01T00:00:00Z"
    answer = gong.post({"filter": {"fromDateTime": text, "toDateTime": text}})
    assert error(answer) == (400, "filter.fromDateTime: must be before toDateTime")
    assert error(gong.post({"filter": {"toDateTime": "2000-01-01T00:00:00Z"}})) == (404, EMPTY)
    assert error(gong.post({"filter": {"callIds": []}}))[0] == 400


def test_extensive_may_file_by_start_time(gong: Client) -> None:
    """`extensive_rule` files calls of the extensive list by another time than the plain list."""
    serve(gong, Call("1", scheduled=at(0), started=at(60), fields={"direction": "Conference"}))
    change(gong, extensive_rule="started")
    half = "2024-03-01T00:30:00Z"
    assert gong.get(fromDateTime=half).status_code == 404
    assert gong.post({"filter": {"fromDateTime": half}}).status_code == 200


def test_extensive_without_a_usable_body(gong: Client) -> None:
    """No body is a 415, one that is no JSON object a 400, one without a filter a 400."""
    url = gong.simulator.base_url + "/v2/calls/extensive"
    assert error(gong.session.post(url, timeout=10)) == (415, "Unsupported Media Type")
    assert error(gong.post([1])) == (400, "Bad request")
    assert error(gong.post({})) == (400, "filter: must not be null")


def test_users_page_by_id(gong: Client) -> None:
    """Users come in ascending order of id, with a cursor that holds the user's id."""
    gong.simulator.tenant = Tenant(users=130)
    first = gong.get("/v2/users").json()
    second = gong.get("/v2/users", cursor=first["records"]["cursor"]).json()
    ids = [int(user["id"]) for user in first["users"] + second["users"]]
    assert ids == sorted(ids)
    assert len(set(ids)) == first["records"]["totalRecords"] == 130
    assert claims(first["records"]["cursor"])["userId"] == ids[99]
    assert "cursor" not in second["records"]


def test_users_have_every_documented_field(gong: Client) -> None:
    """A user shows what Gong documents, and one key that Gong sends and does not document."""
    (user, *_) = gong.get("/v2/users", includeAvatars="true").json()["users"]

    assert list(user) == [
        *("id", "emailAddress", "created", "active", "emailAliases", "trustedEmailAddress", "firstName", "lastName"),
        *("title", "phoneNumber", "extension", "personalMeetingUrls", "settings", "managerId"),
        *("meetingConsentPageUrl", "spokenLanguages", "conferencingProviders"),
    ]
    assert len(user["settings"]) == 7
    assert re.search(r"[.]\d{3}-0[45]:00$", user["created"])  # the company's offset
    assert user == gong.simulator.tenant.users.served(user["id"])


def test_no_users_is_an_empty_list(gong: Client) -> None:
    """A list without a filter that is empty is a 200, not the 404 of an empty filtered list."""
    gong.simulator.tenant = Tenant(users=0, workspaces=0)
    answer = gong.get("/v2/users")
    assert (answer.status_code, answer.json()["users"]) == (200, [])
    assert gong.get("/v2/workspaces").json()["workspaces"] == []


@pytest.mark.parametrize("kind", ["users", "workspaces"])
def test_users_and_workspaces_change_while_they_are_served(gong: Client, kind: str) -> None:
    """What is added, edited, removed and restored shows at once, in ascending order of id."""
    directory = getattr(gong.simulator.tenant, kind)

    def listed() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = gong.get(f"/v2/{kind}").json()[kind]
        return rows

    before = listed()
    added = directory.add(name="new")
    directory.edit(before[0]["id"], name="edited")
    assert [row["id"] for row in listed()] == [*(row["id"] for row in before), added]
    assert listed()[0] == before[0] | {"name": "edited"}
    assert listed()[-1]["name"] == "new"
    directory.remove(added)
    assert len(listed()) == len(before)
    directory.restore(added)
    assert directory.served(added) == listed()[-1]
    with pytest.raises(ValueError, match="already there"):
        directory.add(id=added)
    with pytest.raises(ValueError, match="never changes"):
        directory.edit(added, id="1")


def test_users_that_change_between_pages(gong: Client) -> None:
    """A page goes on after the last id: what was removed before shifts nothing, and the total stays."""
    tenant = gong.simulator.tenant = Tenant(users=230)
    first = gong.get("/v2/users").json()
    tenant.users.remove(first["users"][0]["id"])
    tenant.users.add()
    second = gong.get("/v2/users", cursor=first["records"]["cursor"]).json()
    assert second["users"][0]["id"] == tenant.users.ids[99]
    assert second["records"]["totalRecords"] == 230


def test_key_that_sees_few_users(gong: Client) -> None:
    """With `visible_users` and `visible_workspaces` the key sees the first ones alone, and a total to match."""
    gong.simulator.tenant = Tenant(users=230, workspaces=3)
    change(gong, visible_users=10, visible_workspaces=1)
    body = gong.get("/v2/users").json()
    assert (len(body["users"]), body["records"]["totalRecords"]) == (10, 10)
    assert len(gong.get("/v2/workspaces").json()["workspaces"]) == 1


def test_faults_happen_to_users_too(gong: Client) -> None:
    """The kinds of faults that change a list do so for users as for calls."""
    gong.simulator.tenant = Tenant(users=130)
    cursor = gong.get("/v2/users").json()["records"]["cursor"]
    kinds = ("missing_list_key", "record_without_id", "empty_page", "duplicate_rows", "repeat_cursor", "expire_cursor")
    for kind in kinds:
        gong.simulator.faults = [Fault(kind=kind, path="/v2/users")]
        answer = gong.get("/v2/users", cursor=cursor)
        body = answer.json()
        assert {
            "missing_list_key": "users" not in body,
            "record_without_id": body.get("users") and "id" not in body["users"][0],
            "empty_page": body.get("users") == [],
            "duplicate_rows": len(body.get("users", ())) == 31,
            "repeat_cursor": body.get("records", {}).get("cursor") == cursor,
            "expire_cursor": answer.status_code == 400 and "expired" in body["errors"][0],
        }[kind], kind


def test_workspaces_are_unpaged(gong: Client) -> None:
    """The list of workspaces has no `records`."""
    body = gong.get("/v2/workspaces").json()
    assert set(body) == {"requestId", "workspaces"}
    assert [workspace["name"] for workspace in body["workspaces"]] == ["Initial workspace"]


# Answers and credentials


def test_every_answer_names_its_request(gong: Client) -> None:
    """The header x-traceid equals `requestId`, 18 or 19 of [a-z0-9], different each time, on errors too."""
    seen = set()
    for path in ("/v2/calls", "/v2/users", "/v2/nothing"):
        answer = gong.get(path)
        assert answer.headers["x-traceid"] == answer.json()["requestId"]
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert re.fullmatch("[a-z0-9]{18,19}", answer.headers["x-traceid"])
        seen.add(answer.headers["x-traceid"])
    assert len(seen) == 3


def test_wrong_path_and_method(gong: Client) -> None:
    """A wrong path is a 404 with another text than an empty list; a wrong method is a 405."""
    status, text = error(gong.get("/v3/calls"))
    assert status == 404
    assert "provided filters" not in text
    assert error(gong.session.delete(gong.simulator.base_url + "/v2/calls", timeout=10)) == (
        405,
        "Method Not Allowed",
    )


def test_credentials(gong: Client) -> None:
    """A wrong key and a missing header are 401s with their own texts."""
    gong.session.auth = ("key", "wrong")
    assert error(gong.get()) == (401, "Validate credentials failed")
    gong.session.auth = None
    assert error(gong.get()) == (401, 'Missing mandatory header "Authorization"')
    assert [request.authorized for request in gong.simulator.requests] == [False, False]


def test_bearer_tokens_expire(gong: Client) -> None:
    """A bearer token is accepted until its expiry by the clock; Basic can be switched off."""
    clock = Clock(1000.0)
    change(gong, clock=clock, bearer_tokens={"abc": 2000.0, "eternal": None}, accept_basic=False)
    assert gong.get().status_code == 401
    gong.session.auth = None
    for token, before, after in (("abc", 200, 401), ("eternal", 200, 200), ("other", 401, 401)):
        gong.session.headers["Authorization"] = f"Bearer {token}"
        clock.now = 1999.0
        assert gong.get().status_code == before
        clock.now = 2000.0
        assert gong.get().status_code == after


def test_missing_scope(gong: Client) -> None:
    """A key without the scope of an endpoint gets a 401 that names the scope."""
    change(gong, scopes=frozenset({"api:users:read"}))
    assert error(gong.get()) == (401, "You don't have permission to use 'api:calls:read:basic' in your app.")
    assert gong.get("/v2/users").status_code == 200
    change(gong, scopes=frozenset(), missing_scope_status=403)
    assert error(gong.get("/v2/users")) == (403, "You don't have permission to use 'api:users:read' in your app.")


def test_generic_host_can_be_refused(gong: Client) -> None:
    """With `refuse_generic_host` the right key is refused under a generic host name alone."""
    change(gong, refuse_generic_host=True)
    assert gong.get().status_code == 200
    gong.session.headers["Host"] = "api.gong.io"
    assert error(gong.get()) == (401, "Validate credentials failed")


def test_untrusted_address(gong: Client) -> None:
    """From an address outside the trusted list the answer is a 403."""
    change(gong, untrusted_address=True)
    assert gong.get().status_code == 403


# Limits


def test_rate_is_a_sliding_second(gong: Client) -> None:
    """The fourth request within 1.0 s is a 429 with Retry-After 1; as requests age there is room again."""
    clock = Clock(0.0)
    change(gong, clock=clock, requests_per_second=3.0)
    statuses = []
    for moment in (0.0, 0.5, 0.9, 0.999, 1.0, 1.4, 1.5):
        clock.now = moment
        statuses.append(gong.get("/v2/workspaces").status_code)
    assert statuses == [200, 200, 200, 429, 200, 429, 200]
    refused = gong.simulator.requests[3]
    assert (refused.status, refused.retry_after) == (429, 1)


def test_refused_requests_may_count_against_the_rate(gong: Client) -> None:
    """With `refused_count_against_rate` who keeps asking too fast stays refused."""
    clock = Clock(0.0)
    change(gong, clock=clock, requests_per_second=1.0, refused_count_against_rate=True)
    statuses = []
    for moment in (0.0, 0.875, 1.75, 2.75):
        clock.now = moment
        statuses.append(gong.get("/v2/workspaces").status_code)
    assert statuses == [200, 429, 429, 200]


def test_rate_by_the_real_clock(gong: Client) -> None:
    """Without a clock setting, four requests at once are one too many."""
    change(gong, requests_per_second=3.0)
    statuses = [gong.get("/v2/workspaces").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert gong.simulator.peak_rate() == 4
    assert gong.simulator.peak_rate(window=1e-9) == 1


@pytest.mark.parametrize(("reset", "wait"), [("first_request", 86_000), ("aligned", 85_600), ("sliding", 86_000)])
def test_quota_refuses_until_its_window_ends(gong: Client, reset: Any, wait: int) -> None:
    """A used-up quota is a 429 with the whole seconds to the window's end, then the count starts again."""
    clock = Clock(86_400.0 * 10 + 400)
    change(gong, clock=clock, daily_quota=2, quota_reset=reset)
    assert gong.get("/v2/workspaces").status_code == 200
    clock.now += 100
    assert gong.get("/v2/workspaces").status_code == 200
    clock.now += 300
    answer = gong.get("/v2/workspaces")
    assert (answer.status_code, int(answer.headers["Retry-After"])) == (429, wait)
    assert error(answer) == (429, "API request limit exceeded")
    assert gong.simulator.quota_used == 2
    clock.now += wait - 1
    assert gong.get("/v2/workspaces").status_code == 429
    clock.now += 1
    assert gong.get("/v2/workspaces").status_code == 200


@pytest.mark.parametrize(("counted", "used"), [(True, 2), (False, 1)])
def test_refused_requests_may_count_against_the_quota(gong: Client, counted: bool, used: int) -> None:
    """A request refused for its rate counts against the quota unless the setting says otherwise."""
    change(gong, clock=Clock(), requests_per_second=1.0, daily_quota=10, refused_count_against_quota=counted)
    assert [gong.get("/v2/workspaces").status_code for _ in range(2)] == [200, 429]
    assert gong.simulator.quota_used == used
    gong.simulator.reset_limits()
    assert gong.get("/v2/workspaces").status_code == 200


# Faults


def test_status_fault_hits_numbers_and_times(gong: Client) -> None:
    """A fault hits the requests that it names, at most `times`, with its status, text and Retry-After."""
    gong.simulator.faults = [
        Fault(kind="status", numbers={2}, status=429, text="slow down", retry_after=7200),
        Fault(kind="status", path="/v2/users", times=1, status=503),
    ]
    assert gong.get().status_code == 200
    answer = gong.get()
    assert error(answer) == (429, "slow down")
    assert answer.headers["Retry-After"] == "7200"
    assert [gong.get(path).status_code for path in ("/v2/users", "/v2/users", "/v2/calls")] == [503, 200, 200]


def test_fault_probability_depends_on_the_seed(gong: Client) -> None:
    """The same seed hits the same request numbers."""
    hits = []
    for _ in range(2):
        gong.simulator.faults = [Fault(kind="status", probability=0.5, seed=3)]
        gong.simulator.reset_requests()
        hits.append([gong.get("/v2/workspaces").status_code for _ in range(12)])
    assert hits[0] == hits[1]
    assert set(hits[0]) == {200, 500}


def test_truncated_body(gong: Client) -> None:
    """A truncated answer promises more bytes than come."""
    gong.simulator.faults = [Fault(kind="truncate", times=1)]
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        gong.get()
    assert gong.get().status_code == 200


def test_reset_connection(gong: Client) -> None:
    """A reset connection gives no answer at all."""
    gong.simulator.faults = [Fault(kind="reset", times=1)]
    with pytest.raises(requests.exceptions.ConnectionError):
        gong.get()
    assert gong.simulator.requests[0].status is None
    assert gong.get().status_code == 200


@pytest.mark.parametrize(("kind", "content_type"), [("html", "text/html"), ("not_json", "application/json")])
def test_body_that_is_no_json(gong: Client, kind: Any, content_type: str) -> None:
    """A web page, or a text under the name of JSON, comes with status 200."""
    gong.simulator.faults = [Fault(kind=kind)]
    answer = gong.get()
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(content_type)
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_page_faults(gong: Client) -> None:
    """A page can lack its list, its rows, or the id of its first row."""
    gong.simulator.faults = [
        Fault(kind="missing_list_key", numbers={1}),
        Fault(kind="empty_page", numbers={2}),
        Fault(kind="record_without_id", numbers={3, 4}),
    ]
    assert set(gong.get().json()) == {"requestId", "records"}
    empty = gong.get().json()
    assert (empty["calls"], empty["records"]["currentPageSize"]) == ([], 0)
    assert "cursor" in empty["records"]
    rows = gong.get().json()["calls"]
    assert ["id" in row for row in rows[:2]] == [False, True]
    assert "id" not in gong.post({"filter": {}}).json()["calls"][0]["metaData"]


def test_cursor_faults(gong: Client) -> None:
    """A cursor can come back unchanged or be expired early; requests without one are passed over."""
    gong.simulator.faults = [Fault(kind="repeat_cursor", times=1)]
    cursor = gong.get().json()["records"]["cursor"]
    assert gong.get(cursor=cursor).json()["records"]["cursor"] == cursor
    gong.simulator.faults = [Fault(kind="expire_cursor", times=1)]
    assert gong.get().status_code == 200
    assert "cursor has expired" in error(gong.get(cursor=cursor))[1]
    assert gong.get(cursor=cursor).status_code == 200


def test_duplicate_rows(gong: Client) -> None:
    """The last rows of a page come again on the next one, and the listing still ends with every call."""
    expected = gong.ids()
    gong.simulator.faults = [Fault(kind="duplicate_rows", rows=3, times=1)]
    ids = gong.ids()
    assert ids == expected[:100] + expected[97:]


def test_slow_answers_do_not_hold_up_others(gong: Client) -> None:
    """While one request waits for its slow answer another connection is answered."""
    gong.simulator.faults = [Fault(kind="slow", path="/v2/users", seconds=60)]
    waiting = threading.Event()
    with socket.create_connection(("127.0.0.1", int(gong.simulator.base_url.rsplit(":", 1)[1]))) as raw:
        raw.sendall(request_bytes("/v2/users"))
        while not gong.simulator.requests:
            waiting.wait(0.001)
        assert gong.get().status_code == 200


def test_latency_delays_every_answer(gong: Client) -> None:
    """`latency_seconds` passes between the arrival and the answer."""
    change(gong, latency_seconds=0.05)
    assert gong.get().elapsed >= timedelta(seconds=0.05)


# The simulator itself


def request_bytes(target: str) -> bytes:
    """Return a request with the right key as it goes over the wire."""
    key = b64encode(b"key:secret").decode()
    return f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {key}\r\n\r\n".encode()


def test_pipelined_requests_are_answered_in_order(gong: Client) -> None:
    """Requests sent at once on one connection, cut anywhere, are answered one after the other."""
    gong.simulator.faults = [Fault(kind="slow", numbers={1}, seconds=0.05)]
    last = request_bytes("/v2/workspaces")[:-2] + b"Connection: close\r\n\r\n"
    sent = request_bytes("/v2/users") + last
    with socket.create_connection(("127.0.0.1", int(gong.simulator.base_url.rsplit(":", 1)[1]))) as raw:
        raw.sendall(sent[:30])
        raw.sendall(sent[30:])
        received = b""
        while data := raw.recv(65536):
            received += data
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.index(b'"users"') < received.index(b'"workspaces"')


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"])
def test_what_is_not_http_is_refused(gong: Client, sent: bytes) -> None:
    """Bytes that are no request with a Content-Length get a 400, and the connection closes."""
    with socket.create_connection(("127.0.0.1", int(gong.simulator.base_url.rsplit(":", 1)[1]))) as raw:
        raw.sendall(sent)
        received = b""
        while data := raw.recv(65536):
            received += data
    assert received.startswith(b"HTTP/1.1 400 ")


def test_requests_are_recorded_as_they_arrive(gong: Client) -> None:
    """A record holds what was sent and how it was answered; `reset_requests` starts again at 1."""
    change(gong, clock=Clock(77.0))
    gong.get(fromDateTime="2024-03-01T00:00:00+01:00", other="ä b")
    answer = gong.post({"filter": {}})
    first, second = gong.simulator.requests
    assert (first.number, first.method, first.path, first.clock) == (1, "GET", "/v2/calls", 77.0)
    assert first.query == {"fromDateTime": "2024-03-01T00:00:00+01:00", "other": "ä b"}
    assert (first.body, first.authorized, first.status, first.retry_after) == (None, True, 200, None)
    assert (second.body, second.request_id) == ({"filter": {}}, answer.headers["x-traceid"])
    assert second.at > first.at
    gong.simulator.reset_requests()
    gong.get()
    assert [request.number for request in gong.simulator.requests] == [1]


def test_simulator_starts_and_stops() -> None:
    """A simulator starts again after a stop, but not twice; a port in use is an OSError."""
    simulator = Simulator(Tenant())
    with pytest.raises(RuntimeError, match="not running"):
        _ = simulator.base_url
    with simulator:
        port = int(simulator.base_url.rsplit(":", 1)[1])
        with pytest.raises(RuntimeError, match="already running"):
            simulator.start()
        with pytest.raises(OSError, match=r"(?i)in use"):
            Simulator(Tenant(), port=port).start()
    simulator.stop()
    with simulator:
        assert requests.get(simulator.base_url + "/v2/users", auth=("key", "secret"), timeout=10).status_code == 200


def test_clients_that_come_while_it_stops_leave_nothing_open() -> None:
    """A connection that is accepted in the moment of the stop is closed like any other; its client is told."""
    for _ in range(5):
        with ExitStack() as stack:
            with Simulator(Tenant()) as simulator:
                address = ("127.0.0.1", int(simulator.base_url.rsplit(":", 1)[1]))
                knocking = [stack.enter_context(socket.create_connection(address)) for _ in range(50)]
            gc.collect()  # what is still open warns
            for client in knocking:
                client.settimeout(10)
                with pytest.raises(ConnectionResetError):
                    client.recv(1)


@pytest.mark.parametrize(
    "wrong", [{"page_size": 0}, {"most_call_ids": 0}, {"visible_share": 2.0}, {"requests_per_second": 0.0}]
)
def test_settings_refuse_nonsense(wrong: dict[str, Any]) -> None:
    """Settings out of their range are a ValueError that names the setting."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


# The command


def test_serve_prints_the_environment_and_stops_at_a_signal() -> None:
    """The command prints four variables that point to the simulator, serves, and ends with 0 at SIGTERM."""
    program = (
        "import argparse; from gong_source.simulator.serve import add_arguments, serve;"
        "parser = argparse.ArgumentParser(); add_arguments(parser);"
        "raise SystemExit(serve(parser.parse_args()))"
    )
    options = ["--calls", "3", "--start", "2024-03-01", "--end", "2024-04-01", "--page-size", "2"]
    with subprocess.Popen([sys.executable, "-c", program, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        lines = [process.stdout.readline().removeprefix("export ").strip() for _ in range(4)]
        environment = dict(line.split("=", 1) for line in lines)
        url = environment["SOURCES__GONG__CREDENTIALS__BASE_URL"]
        answer = requests.get(f"{url}/v2/calls", auth=("key", "secret"), timeout=10)
        process.terminate()
        assert process.wait(timeout=10) == 0
    assert len(answer.json()["calls"]) == 2
    assert environment["SOURCES__GONG__CREDENTIALS__ACCESS_KEY"] == "key"
    assert environment["SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET"] == "secret"
    assert environment["SOURCES__GONG__START_DATE"] == "2024-03-01T00:00:00Z"


NUMBERS = [field for field in dataclasses.fields(Content) if field.name != "absent"]


def parse(*options: str) -> argparse.Namespace:
    """Return the parsed options of the command."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(options)


def test_every_setting_is_an_option_with_help() -> None:
    """Each setting but the clock is an option with help text, and has the same default."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    text = parser.format_help()
    options = parse()
    for setting in dataclasses.fields(Settings):
        if setting.name != "clock":
            assert f"--{setting.name.replace('_', '-')}" in text
            assert getattr(options, setting.name) == getattr(Settings(), setting.name)


def test_options_are_parsed() -> None:
    """Options take none, lists, tokens with their expiry, and faults."""
    options = parse(
        "--requests-per-second=none",
        "--daily-quota=5",
        "--scopes=a,b",
        "--bearer-tokens=x=12,y",
        "--no-short-pages",
        "--fault=status,numbers=2-3,status=503,probability=0.5,text=no",
    )
    assert (options.requests_per_second, options.daily_quota, options.short_pages) == (None, 5, False)
    assert (options.scopes, options.bearer_tokens) == (frozenset({"a", "b"}), {"x": 12.0, "y": None})
    assert options.faults == [Fault(kind="status", numbers=range(2, 4), status=503, probability=0.5, text="no")]


def test_every_size_of_content_is_an_option() -> None:
    """`--content` names the sizes to begin with, and each field of `Content` has an option that changes it."""
    assert content_of(parse()) == LIFELIKE
    options = [f"--{field.name.replace('_', '-')}={2 if field.type is int else 0.5}" for field in NUMBERS]
    changed = content_of(parse("--content=small", "--absent=video,structure", *options))
    expected = {field.name: 2 if field.type is int else 0.5 for field in NUMBERS}
    assert changed == Content(**expected, absent=frozenset({"video", "structure"}))
    assert content_of(parse("--content=small", "--sentences=0")) == dataclasses.replace(SMALL, sentences=0)


@pytest.mark.parametrize("fault", ["explode", "status,colour=1"])
def test_unknown_faults_are_wrong_usage(fault: str) -> None:
    """An unknown kind or detail of a fault ends the command with the code for wrong usage."""
    with pytest.raises(SystemExit) as stopped:
        parse("--fault", fault)
    assert stopped.value.code == 2


def test_serve_reports_what_it_cannot_do(capsys: pytest.CaptureFixture[str]) -> None:
    """A range that ends before it starts is code 2, a port in use code 1, each with a line on stderr."""
    assert serve_command(parse("--start", "2024-03-01", "--end", "2024-03-01")) == 2
    with Simulator(Tenant()) as simulator:
        port = simulator.base_url.rsplit(":", 1)[1]
        assert serve_command(parse("--port", port)) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2
