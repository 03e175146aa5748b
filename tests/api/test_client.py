"""From an endpoint to its pages: what is asked, and when paging ends."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gong_source.api.client import Client, Page
from gong_source.api.endpoints import CALLS, USERS, WORKSPACES, Endpoint
from gong_source.api.throttle import Throttle
from gong_source.api.transport import Transport
from gong_source.errors import BadRequest, PageCursorExpired, UnexpectedAnswer
from gong_source.simulator import Call, Fault, Settings, Simulator, Tenant
from gong_source.windows import Window

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = Window(START, START + timedelta(days=1))
UNLIMITED = replace(Settings(), requests_per_second=None, daily_quota=None)
DETAILED = Endpoint(
    "POST",
    "/v2/calls/extensive",
    list_key="calls",
    inputs="body",
    time=("fromDateTime", "toDateTime"),
    workspace="workspaceId",
)


@contextmanager
def client_of(simulator: Simulator, *, workspace_id: str | None = None) -> Iterator[Client]:
    """A client of a running simulator."""
    transport = Transport(simulator.base_url, "key", "secret", throttle=Throttle(10_000.0), rng=random.Random(1))
    try:
        yield Client(transport, workspace_id=workspace_id)
    finally:
        transport.close()


def tenant_of(count: int, workspaces: tuple[str, ...] = ("1",)) -> Tenant:
    """Calls 1 to `count`, a second apart."""
    return Tenant(
        Call(
            str(number),
            START + timedelta(seconds=number),
            START + timedelta(seconds=number),
            {"workspaceId": workspaces[number % len(workspaces)]},
        )
        for number in range(1, count + 1)
    )


Running = Callable[..., Simulator]


def ids_on(pages: list[Page]) -> list[list[str]]:
    """The ids on each page."""
    return [[record.get("metaData", record)["id"] for record in page.records] for page in pages]


def all_ids(pages: list[Page]) -> list[str]:
    """The ids on all pages."""
    return [call_id for ids in ids_on(pages) for call_id in ids]


def test_pages_of_a_list(serve: Running) -> None:
    """A list comes page by page in order, each with Gong's total, request id and page cursor; the last has none."""
    gong = serve(tenant_of(250))
    with client_of(gong) as client:
        pages = list(client.pages(CALLS, DAY))

    assert [len(page.records) for page in pages] == [100, 100, 50]
    assert all_ids(pages) == [str(number) for number in range(1, 251)]
    assert [page.total for page in pages] == [250, 250, 250]
    assert [page.request_id for page in pages] == [request.request_id for request in gong.requests]
    assert [page.cursor is None for page in pages] == [False, False, True]
    assert len(gong.requests) == 3


def test_get_carries_filter_and_cursor_in_the_query(serve: Running) -> None:
    """Every GET repeats the filter in the query. All requests but the first also have the page cursor there."""
    gong = serve(tenant_of(250))
    with client_of(gong) as client:
        pages = list(client.pages(CALLS, DAY))

    filters = {"fromDateTime": "2026-01-05T00:00:00Z", "toDateTime": "2026-01-06T00:00:00Z"}
    assert [request.query for request in gong.requests] == [
        filters,
        filters | {"cursor": pages[0].cursor},
        filters | {"cursor": pages[1].cursor},
    ]
    assert [(request.method, request.path, request.body) for request in gong.requests] == [
        ("GET", "/v2/calls", None)
    ] * 3


def test_post_carries_filter_and_cursor_in_the_body(serve: Running) -> None:
    """A POST has filter and page cursor in its body: Gong silently ignores a cursor in the query."""
    gong = serve(tenant_of(250))
    with client_of(gong) as client:
        pages = list(client.pages(DETAILED, DAY))

    filters = {"filter": {"fromDateTime": "2026-01-05T00:00:00Z", "toDateTime": "2026-01-06T00:00:00Z"}}
    assert all_ids(pages) == [str(number) for number in range(1, 251)]
    assert [request.body for request in gong.requests] == [
        filters,
        filters | {"cursor": pages[0].cursor},
        filters | {"cursor": pages[1].cursor},
    ]
    assert [(request.method, request.query) for request in gong.requests] == [("POST", {})] * 3


def test_extra_body_is_sent_every_time(serve: Running) -> None:
    """The extra body of an endpoint is sent with every page."""
    selector = {"exposedFields": {"parties": True}}
    endpoint = replace(DETAILED, extra_body=(("contentSelector", selector),))
    gong = serve(tenant_of(150))
    with client_of(gong) as client:
        pages = list(client.pages(endpoint, DAY))

    assert all(request.body is not None for request in gong.requests)
    assert [(request.body or {})["contentSelector"] for request in gong.requests] == [selector, selector]
    assert all(any("parties" in record for record in page.records) for page in pages)  # imported calls have none


@pytest.mark.parametrize("endpoint", [CALLS, DETAILED], ids=["query", "body"])
def test_workspace_is_part_of_the_filter(endpoint: Endpoint, serve: Running) -> None:
    """A client for one workspace names it in every request, and gets only its calls."""
    gong = serve(tenant_of(300, workspaces=("77", "88")))
    with client_of(gong, workspace_id="77") as client:
        pages = list(client.pages(endpoint, DAY))

    assert all_ids(pages) == [str(number) for number in range(2, 301, 2)]
    asked = [request.query or (request.body or {})["filter"] for request in gong.requests]
    assert [filters["workspaceId"] for filters in asked] == ["77", "77"]


def test_window_is_half_open_to_the_millisecond(serve: Running) -> None:
    """A window includes its start and excludes its end. Milliseconds are sent where there are any."""
    gong = serve(tenant_of(3))
    second = START + timedelta(seconds=2)
    with client_of(gong) as client:
        exactly = list(client.pages(CALLS, Window(second, second + timedelta(milliseconds=1))))
        before = list(client.pages(CALLS, Window(START, second)))

    assert ids_on(exactly) == [["2"]]
    assert ids_on(before) == [["1"]]
    assert gong.requests[0].query["toDateTime"] == "2026-01-05T00:00:02.001Z"


def test_short_and_empty_pages_do_not_end_paging(serve: Running) -> None:
    """Calls that Gong still processes leave short or empty pages; only a missing cursor ends the list."""
    tenant = tenant_of(350)
    for number in range(60, 280):
        tenant.make_available(str(number), 4e9)
    gong = serve(tenant)
    with client_of(gong) as client:
        pages = list(client.pages(CALLS, DAY))

    assert [len(page.records) for page in pages] == [59, 0, 21, 50]
    assert [page.total for page in pages] == [350] * 4
    assert len(gong.requests) == 4


def test_empty_page_with_a_cursor(serve: Running) -> None:
    """A page without rows that brings a cursor is followed like any other."""
    gong = serve(tenant_of(250), faults=(Fault(kind="empty_page", numbers=[1, 2]),))
    with client_of(gong) as client:
        pages = list(client.pages(CALLS, DAY))

    assert [len(page.records) for page in pages] == [0, 0, 50]


def test_window_without_calls(serve: Running) -> None:
    """Gong's 404 for a filter that matches nothing is one empty page with the total 0."""
    gong = serve(Tenant())
    with client_of(gong) as client:
        (page,) = client.pages(CALLS, DAY)

    assert (page.records, page.total, page.cursor) == ([], 0, None)
    assert page.request_id == gong.requests[0].request_id
    assert page.exact_records() == []


def test_key_that_sees_nothing(serve: Running) -> None:
    """A key that may not see calls gets the same answer as an empty window, and the same page."""
    with client_of(serve(tenant_of(5), see_no_calls=True)) as client:
        (page,) = client.pages(CALLS, DAY)

    assert (page.records, page.total) == ([], 0)


@pytest.mark.parametrize("emptied", ["not_found", "empty_list"])
def test_calls_deleted_while_they_are_listed(emptied: Any, serve: Running) -> None:
    """If the rest of a list is deleted meanwhile, the list ends, and the pages before are kept."""
    gong = serve(tenant_of(150), emptied_listing=emptied)
    with client_of(gong) as client:
        pages = client.pages(CALLS, DAY)
        first = next(pages)
        for number in range(101, 151):
            gong.tenant.delete(str(number))
        rest = list(pages)

    assert len(first.records) == 100
    assert [page.records for page in rest] == [[]]


def test_repeated_cursor_is_an_error(serve: Running) -> None:
    """A page cursor that repeats would never end. It is an error, after as few requests as possible."""
    gong = serve(tenant_of(350), faults=(Fault(kind="repeat_cursor"),))
    with client_of(gong) as client, pytest.raises(UnexpectedAnswer, match="repeats its page cursor") as failure:
        list(client.pages(CALLS, DAY))

    assert len(gong.requests) == 2
    assert "[2026-01-05T00:00:00Z, 2026-01-06T00:00:00Z)" in str(failure.value)
    assert failure.value.request_id == gong.requests[1].request_id


@pytest.mark.parametrize("endpoint", [CALLS, DETAILED], ids=["GET", "POST"])
@pytest.mark.parametrize("number", [1, 2])
def test_answer_without_its_list(endpoint: Endpoint, number: int, serve: Running) -> None:
    """A 200 without its list key is an error that names the endpoint, never an empty page."""
    gong = serve(tenant_of(150), faults=(Fault(kind="missing_list_key", numbers=[number]),))
    with client_of(gong) as client, pytest.raises(UnexpectedAnswer) as failure:
        list(client.pages(endpoint, DAY))

    assert f"{endpoint.method} {endpoint.path} answered 200 without its list 'calls'" in str(failure.value)
    assert gong.requests[-1].request_id in str(failure.value)
    assert len(gong.requests) == number


def test_other_list_key_is_an_error(serve: Running) -> None:
    """An endpoint declared with the wrong list key fails at once instead of being empty for ever."""
    with (
        client_of(serve(tenant_of(1))) as client,
        pytest.raises(UnexpectedAnswer, match="without its list 'scorecards'"),
    ):
        client.page(replace(CALLS, list_key="scorecards"), DAY)


def test_list_without_paging(serve: Running) -> None:
    """A list that Gong does not page has no total and no cursor."""
    gong = serve(tenant_of(1))
    with client_of(gong) as client:
        (page,) = client.pages(WORKSPACES)

    assert len(page.records) == 1
    assert (page.total, page.cursor) == (None, None)


def test_whole_list_is_asked_for_without_a_filter(serve: Running) -> None:
    """A list that Gong only gives whole is read page by page, without times and without the workspace."""
    gong = serve(Tenant(users=230))
    with client_of(gong, workspace_id="1") as client:
        pages = list(client.pages(USERS))

    assert [len(page.records) for page in pages] == [100, 100, 30]
    assert pages[0].total == 230
    assert [request.query.keys() for request in gong.requests] == [set(), {"cursor"}, {"cursor"}]


@pytest.mark.parametrize(("endpoint", "window"), [(USERS, DAY), (CALLS, None)], ids=["a window", "none"])
def test_window_has_to_fit_the_endpoint(serve: Running, endpoint: Endpoint, window: Window | None) -> None:
    """A window for a list without a filter by time, or none for a list that has one, is a mistake in the code."""
    gong = serve(Tenant())
    with client_of(gong) as client, pytest.raises(ValueError, match=r"is asked for|cannot be asked for"):
        client.page(endpoint, window)

    assert gong.requests == []


def test_expired_cursor_is_handed_on(serve: Running) -> None:
    """A fetch restarts a window whose page cursor expired; the client does not."""
    gong = serve(tenant_of(150), faults=(Fault(kind="expire_cursor"),))
    with client_of(gong) as client, pytest.raises(PageCursorExpired):
        list(client.pages(CALLS, DAY))

    assert [request.status for request in gong.requests] == [200, 400]


def test_refusal_is_handed_on(serve: Running) -> None:
    """What Gong refuses reaches the caller as it is."""
    gong = serve(tenant_of(1), faults=(Fault(kind="status", status=400, text="Bad request"),))
    with client_of(gong) as client, pytest.raises(BadRequest, match="Bad request"):
        client.page(CALLS, DAY)


def test_pages_are_asked_for_when_they_are_taken(serve: Running) -> None:
    """No request is sent before the first page is taken, and none ahead of the page taken."""
    gong = serve(tenant_of(250))
    with client_of(gong) as client:
        pages = client.pages(CALLS, DAY)
        assert len(gong.requests) == 0
        next(pages)
        assert len(gong.requests) == 1
        next(pages)
        assert len(gong.requests) == 2


def test_exact_records_keep_every_digit(serve: Running) -> None:
    """The records can be read again with integers of any size."""
    tenant = tenant_of(1)
    tenant.edit("1", big=2**70 + 1, deep={"a": [10**30 + 1]})
    with client_of(serve(tenant)) as client:
        page = client.page(CALLS, DAY)

    (record,) = page.exact_records()
    assert (record["big"], record["deep"]) == (2**70 + 1, {"a": [10**30 + 1]})
    assert json.loads(page.body)["calls"] == [record]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    count=st.integers(0, 60),
    hidden=st.sets(st.integers(1, 60)),
    page_size=st.integers(1, 20),
    order=st.sampled_from(["ascending", "descending"]),
    short=st.booleans(),
    endpoint=st.sampled_from([CALLS, DETAILED]),
)
def test_every_listed_call_once(
    count: int, hidden: set[int], page_size: int, order: Any, short: bool, endpoint: Endpoint
) -> None:
    """Whatever the page size, the holes and the order: each call that Gong lists comes once, in its order."""
    tenant = tenant_of(count)
    for number in hidden:
        if number <= count:
            tenant.make_available(str(number), 4e9)
    behaviour = replace(UNLIMITED, page_size=page_size, order=order, short_pages=short)
    with Simulator(tenant, behaviour) as gong, client_of(gong) as client:
        pages = list(client.pages(endpoint, DAY))

    listed = [str(number) for number in range(1, count + 1) if number not in hidden]
    assert all_ids(pages) == (listed if order == "ascending" else listed[::-1])
    assert all(page.cursor is not None for page in pages[:-1])
    assert pages[-1].cursor is None
