"""One request to Gong: every row of the response table, the waits, and what must never be shown."""

from __future__ import annotations

import base64
import gzip
import logging
import random
import select
import socket
import ssl
import threading
import time
import traceback
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import certifi
import pytest
import trustme
from urllib3 import HTTPSConnectionPool

from gong_source.api.route import Route
from gong_source.api.throttle import Throttle
from gong_source.api.transport import Transport
from gong_source.errors import (
    AccessDenied,
    AuthenticationFailed,
    BadRequest,
    ConfigurationError,
    GongError,
    MissingScope,
    NoRowsFound,
    NotFound,
    PageCursorExpired,
    QuotaExhausted,
    RequestFailed,
    RunStopped,
    Unavailable,
    UnexpectedAnswer,
)
from gong_source.simulator import Call, Fault, Settings, Simulator, Tenant
from gong_source.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message
    from pathlib import Path

    from gong_source.api.responses import Answer

KEY, SECRET = "AK-0815", "hush-4711-secret"
LOGIN = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
OPEN = replace(Settings(), access_key=KEY, access_key_secret=SECRET, requests_per_second=None, daily_quota=None)
AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Clock:
    """Unix seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_767_225_600.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Patience(threading.Event):
    """A stop event that records the waits, and lets no time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


@dataclass
class Wire:
    """A transport with a clock of its own, and the simulator that it speaks to."""

    simulator: Simulator
    transport: Transport
    clock: Clock
    patience: Patience

    def get(self, path: str = "/v2/calls", **params: str) -> Answer:
        return self.transport.send("GET", path, params=params)

    def refused(self, kind: type[GongError], path: str = "/v2/calls", **params: str) -> str:
        """Sends a request that must fail with exactly `kind`; returns the message.

        It names Gong's request id, unless no whole answer came.
        """
        with pytest.raises(GongError) as failure:
            self.get(path, **params)
        assert type(failure.value) is kind
        assert isinstance(failure.value, RequestFailed)
        if " answered " in str(failure.value) or "last with status" in str(failure.value):
            assert failure.value.request_id == self.simulator.requests[-1].request_id
            assert self.simulator.requests[-1].request_id in str(failure.value)
        return str(failure.value)

    @property
    def sent(self) -> list[int | None]:
        """The status of every request that arrived."""
        assert self.transport.usage.requests == len(self.simulator.requests)
        return [request.status for request in self.simulator.requests]


@contextmanager
def wire(*faults: Fault, max_wait: float = 300.0, secret: str = SECRET, **settings: Any) -> Iterator[Wire]:
    """A transport to a simulator with these faults and settings."""
    clock, patience = Clock(), Patience()
    tenant = Tenant([Call(str(number), AT, AT) for number in range(1, 151)])
    with Simulator(tenant, replace(OPEN, clock=clock, **settings), faults) as simulator:
        throttle = Throttle(1000.0, max_wait_seconds=max_wait, clock=clock, sleep=clock.sleep)
        transport = Transport(
            simulator.base_url, KEY, secret, throttle=throttle, stopped=patience, rng=random.Random(1)
        )
        try:
            yield Wire(simulator, transport, clock, patience)
        finally:
            transport.close()


@dataclass
class Script:
    """A web server that gives prepared answers, the last one for ever; `seen` lists the paths asked for."""

    answers: list[tuple[int, dict[str, str], bytes]]
    seen: list[str] = field(default_factory=list)
    headers: list[Message] = field(default_factory=list)
    base_url: str = ""


@contextmanager
def scripted(*answers: tuple[int, dict[str, str], bytes], tls: ssl.SSLContext | None = None) -> Iterator[Script]:
    """A web server that gives these answers, over TLS if `tls` is given; or a proxy that lets CONNECT through."""
    script = Script(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
            self.note()
            self.send_response_only(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_CONNECT(self) -> None:
            self.note()
            host, port = self.path.rsplit(":", 1)
            with socket.create_connection((host, int(port))) as there:
                self.send_response(200)
                self.end_headers()
                ends = [self.connection, there]
                while ready := select.select(ends, [], [])[0]:
                    data = ready[0].recv(65536)
                    if not data:
                        return
                    ends[ready[0] is self.connection].sendall(data)

        def note(self) -> None:
            script.seen.append(self.path)
            script.headers.append(self.headers)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    script.base_url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def plain(base_url: str, **options: Any) -> Iterator[tuple[Transport, Clock, Patience]]:
    """A transport to any address."""
    clock, patience = Clock(), Patience()
    throttle = Throttle(1000.0, clock=clock, sleep=clock.sleep)
    transport = Transport(base_url, KEY, SECRET, throttle=throttle, stopped=patience, **options)
    try:
        yield transport, clock, patience
    finally:
        transport.close()


# 200


def test_list_is_handed_on() -> None:
    """A 200 with a JSON object is the answer, with Gong's request id and the body as it came, after one request."""
    with wire() as w:
        answer = w.get(fromDateTime="2026-01-05T00:00:00Z")

        assert len(answer.payload["calls"]) == 100
        assert answer.request_id == answer.payload["requestId"] == w.simulator.requests[0].request_id
        assert answer.request_id.encode() in answer.body
        assert w.sent == [200]
        assert w.simulator.requests[0].query == {"fromDateTime": "2026-01-05T00:00:00Z"}


def test_post_sends_json() -> None:
    """A body goes out as JSON, as Gong's POST endpoints want it."""
    with wire() as w:
        answer = w.transport.send("POST", "/v2/calls/extensive", body={"filter": {"callIds": ["7"]}})

        assert [call["metaData"]["id"] for call in answer.payload["calls"]] == ["7"]
        assert w.simulator.requests[0].body == {"filter": {"callIds": ["7"]}}


@pytest.mark.parametrize("fault", [Fault(kind="not_json"), Fault(kind="html")], ids=["text", "web page"])
def test_body_that_is_not_json_is_an_error(fault: Fault) -> None:
    """A 200 that is no JSON is never taken for an empty page, and is not asked for again."""
    with wire(fault) as w:
        message = w.refused(UnexpectedAnswer)

        assert "GET /v2/calls answered 200 with a body that is not JSON" in message
        assert "Is base_url really Gong's, or is a proxy in between?" in message
        assert w.sent == [200]


@pytest.mark.parametrize("body", [b"[]", b"null", b'"calls"', b"17"])
def test_json_that_is_no_object_is_an_error(body: bytes) -> None:
    """Gong answers with objects; any other JSON comes from somewhere else."""
    with scripted((200, {"x-traceid": "trace7"}, body)) as server, plain(server.base_url) as (transport, _, _):
        with pytest.raises(UnexpectedAnswer, match=r"JSON that is not an object.*base_url.*trace7"):
            transport.send("GET", "/v2/calls")

        assert server.seen == ["/v2/calls"]


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b'{"calls": [', b'{"calls": "\xff"}', b"[" * 100_000], ids=lambda body: repr(body[:12])
)
def test_broken_json_is_an_error(body: bytes) -> None:
    """A body that no parser can read, even one nested without end, is one clear error."""
    with scripted((200, {}, body)) as server, plain(server.base_url) as (transport, _, _):
        with pytest.raises(UnexpectedAnswer, match="not JSON"):
            transport.send("GET", "/v2/calls")

        assert len(server.seen) == 1


def test_half_a_surrogate_pair_is_taken() -> None:
    """A title cut inside an emoji is legal on the wire, though the fast parser refuses it."""
    with scripted((200, {}, b'{"calls": [{"title": "well \\ud83d"}]}')) as server, plain(server.base_url) as wired:
        answer = wired[0].send("GET", "/v2/calls")

        assert answer.payload["calls"][0]["title"] == "well \ud83d"


# 404


def test_404_for_no_rows_is_reported_apart() -> None:
    """Gong answers a filter that matches nothing with a 404 of its own text; the client makes it an empty page."""
    with wire() as w:
        w.refused(NoRowsFound, fromDateTime="2030-01-01T00:00:00Z")

        assert w.sent == [404]


@pytest.mark.parametrize(
    "text",
    [
        "No calls found corresponding to the provided filters",
        "no users found corresponding to the provided filters",
        "No answered scorecards found corresponding to the provided filters.",
    ],
)
def test_404_for_no_rows_of_other_lists(text: str) -> None:
    """The text differs a little from list to list."""
    with wire(Fault(kind="status", status=404, text=text)) as w:
        w.refused(NoRowsFound)


@pytest.mark.parametrize("text", ["Call ID 17 was not found", "No calls found", "Not Found", "Path not found"])
def test_any_other_404_is_a_wrong_address(text: str) -> None:
    """A wrong host or path must not look like a tenant without calls."""
    with wire(Fault(kind="status", status=404, text=text)) as w:
        message = w.refused(NotFound)

        assert f"GET /v2/calls answered 404: {text}. Check base_url (127.0.0.1): wrong host or path" in message
        assert w.sent == [404]


def test_404_of_a_web_server_is_a_wrong_address() -> None:
    """A 404 without Gong's error format is reported with its first words."""
    with wire(Fault(kind="html", status=404)) as w:
        assert "Sign in" in w.refused(NotFound)


def test_wrong_method_is_a_wrong_address() -> None:
    """A 405 says that there is no such endpoint."""
    with wire() as w:
        with pytest.raises(NotFound, match="405"):
            w.transport.send("POST", "/v2/users", body={"filter": {}})

        assert w.sent == [405]


# 400


def test_expired_cursor_asks_for_a_restart() -> None:
    """An expired page cursor has its own error, so that its window can start again; the request is not repeated."""
    with wire() as w:
        cursor = w.get().payload["records"]["cursor"]
        w.clock.now += 3600

        message = w.refused(PageCursorExpired, cursor=cursor)

        assert "cursor has expired" in message
        assert "run the same command again" in message
        assert w.sent == [200, 400]


def test_foreign_cursor_asks_for_a_restart() -> None:
    """A page cursor that Gong cannot verify is treated like an expired one."""
    with wire() as w:
        assert "Failed to verify cursor" in w.refused(PageCursorExpired, cursor="tampered")
        assert w.sent == [400]


def test_any_other_400_is_reported_with_gongs_words() -> None:
    """Gong's own text is the best hint; the request is not repeated."""
    with wire() as w:
        message = w.refused(BadRequest, fromDateTime="yesterday", toDateTime="today")

        assert "fromDateTime: must be a date-time in the ISO-8601 format; toDateTime: must be" in message
        assert "Check workspace_id and the dates" in message
        assert w.sent == [400]


@pytest.mark.parametrize("status", [402, 409, 410, 415, 418, 422, 451])
def test_other_client_errors_are_not_repeated(status: int) -> None:
    """A status that the table does not name is an error like a 400."""
    with wire(Fault(kind="status", status=status, text="Some calls not found")) as w:
        assert f"answered {status}: Some calls not found" in w.refused(BadRequest)
        assert w.sent == [status]


# 401 and 403


@pytest.mark.parametrize(
    "text",
    [
        "Validate credentials failed",
        "Unauthorized for path",
        'Missing mandatory header "Authorization"',
        "access token has been revoked or has expired",
    ],
)
def test_wrong_key(text: str) -> None:
    """A 401 about the credentials names key, secret and host, since a tenant's key may work on its own host only."""
    with wire(Fault(kind="status", status=401, text=text)) as w:
        message = w.refused(AuthenticationFailed)

        assert f"GET /v2/calls answered 401: {text}. Check access_key, access_key_secret and base_url" in message
        assert "(127.0.0.1): a key may work only on its own tenant's host" in message
        assert w.sent == [401]


def test_wrong_secret_and_wrong_host() -> None:
    """The real key with a wrong secret, and the right one on a host that is not the tenant's, fail alike."""
    with wire(secret="other") as w:
        w.refused(AuthenticationFailed)
        assert w.sent == [401]
    with wire(refuse_generic_host=True, generic_hosts=frozenset({"127.0.0.1"})) as w:
        w.refused(AuthenticationFailed)
        assert w.sent == [401]


def test_missing_scope() -> None:
    """A 401 about permission names the scope, and where an administrator adds it to the key."""
    with wire(scopes=frozenset({"api:users:read"})) as w:
        message = w.refused(MissingScope)

        assert "add the scope api:calls:read:basic to the key, on Gong's API page" in message
        assert w.sent == [401]


def test_missing_scope_answered_with_403() -> None:
    """Some endpoints are reported to answer a missing scope with 403: the text decides, not the status."""
    text = "You don't have permission to use 'api:users:read' in your app."
    with wire(Fault(kind="status", status=403, text=text)) as w:
        assert "the scope api:users:read" in w.refused(MissingScope)
        assert w.sent == [403]


def test_untrusted_address() -> None:
    """A 403 points to the list of trusted addresses."""
    with wire(untrusted_address=True) as w:
        assert "list of trusted addresses" in w.refused(AccessDenied)
        assert w.sent == [403]


# 429


def test_429_waits_what_gong_says() -> None:
    """After a 429 nothing is sent before Retry-After is over, by the server's clock."""
    with wire(Fault(kind="status", status=429, retry_after=7, times=1)) as w:
        assert len(w.get().payload["calls"]) == 100

        assert w.sent == [429, 200]
        first, second = (request.clock for request in w.simulator.requests)
        assert 7 <= second - first < 7.1
        assert w.patience.waits == []
        assert 7 <= w.transport.usage.waited_seconds < 7.1


def test_429_on_the_wall_clock() -> None:
    """The same in real time: the second request arrives a full second after the first was refused."""
    tenant = Tenant([Call("1", AT, AT)])
    fault = Fault(kind="status", status=429, retry_after=1, times=1)
    with Simulator(tenant, OPEN, [fault]) as simulator:
        transport = Transport(simulator.base_url, KEY, SECRET, throttle=Throttle(1000.0))
        transport.send("GET", "/v2/calls")
        transport.close()

        first, second = (request.at for request in simulator.requests)
        assert second - first >= 1.0


@pytest.mark.parametrize("header", [None, "", "soon", "0", "-5", "nan", "inf", "1e999"])
def test_429_without_a_usable_retry_after_waits_longer_each_time(header: str | None) -> None:
    """Without a usable Retry-After the waits double: 1, 2, 4 seconds, and never less than the limit's second."""
    headers = {} if header is None else {"Retry-After": header}
    refusal = (429, headers, b'{"errors": ["API request limit exceeded"]}')
    with scripted(refusal, refusal, refusal, (200, {}, b"{}")) as server, plain(server.base_url) as (wired, clock, _):
        wired.send("GET", "/v2/calls")

        assert len(server.seen) == 4
        assert 7 <= clock.now - 1_767_225_600.0 < 7.1


def test_429_with_a_date() -> None:
    """Retry-After may be a date, which HTTP allows."""
    until = datetime.now(UTC) + timedelta(seconds=120)
    refusal = (429, {"Retry-After": format_datetime(until, usegmt=True)}, b"")
    with scripted(refusal, (200, {}, b"{}")) as server, plain(server.base_url) as (wired, clock, _):
        wired.send("GET", "/v2/calls")

        assert len(server.seen) == 2
        assert 110 <= clock.now - 1_767_225_600.0 <= 120


def test_429_beyond_the_maximum_wait_is_a_clean_stop() -> None:
    """A Retry-After beyond the maximum wait is not waited for: the error says until when, and nothing more is sent."""
    with wire(Fault(kind="status", status=429, retry_after=3000, times=1)) as w:
        with pytest.raises(QuotaExhausted, match="wait until 2026-01-01T00:50:00Z") as stop:
            w.get()
        assert stop.value.retry_at == datetime(2026, 1, 1, 0, 50, tzinfo=UTC)
        with pytest.raises(QuotaExhausted, match="Run the same command after that"):
            w.get()
        assert w.sent == [429]
        assert w.clock.slept == []

        w.clock.now += 3000
        w.get()
        assert w.sent == [429, 200]


def test_429_exactly_at_the_maximum_wait_is_waited_for() -> None:
    """The maximum wait is inclusive."""
    with wire(Fault(kind="status", status=429, retry_after=300, times=1)) as w:
        w.get()

        assert w.sent == [429, 200]


def test_429_many_in_a_row_end_in_a_clean_stop() -> None:
    """Waits that are short but too long in all stop the run, with a hint to other integrations."""
    with wire(Fault(kind="status", status=429, retry_after=100)) as w:
        with pytest.raises(QuotaExhausted, match=r"delayed one request for 400 seconds.*Other integrations"):
            w.get()

        assert w.sent == [429] * 4
        assert w.patience.waits == []


def test_429s_do_not_use_up_the_retries() -> None:
    """A 429 is not a failure: ten refusals and then four failures still end in an answer."""
    faults = [
        Fault(kind="status", status=429, retry_after=1, numbers=range(1, 11)),
        Fault(kind="status", status=503, numbers=range(11, 15)),
    ]
    with wire(*faults) as w:
        w.get()

        assert w.sent == [429] * 10 + [503] * 4 + [200]


def test_the_servers_own_limits_are_kept() -> None:
    """Against a server that refuses more than 3 requests in any second, a throttle of 3 a second is never refused."""
    clock = Clock()
    with Simulator(Tenant([Call("1", AT, AT)]), replace(OPEN, requests_per_second=3.0, clock=clock)) as simulator:
        throttle = Throttle(3.0, clock=clock, sleep=clock.sleep)
        transport = Transport(simulator.base_url, KEY, SECRET, throttle=throttle)
        for _ in range(30):
            transport.send("GET", "/v2/calls")
        transport.close()

        assert [request.status for request in simulator.requests] == [200] * 30


# failures that pass


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(kind="status", status=status, times=2) for status in (500, 502, 503, 504)),
        Fault(kind="reset", times=2),
        Fault(kind="truncate", times=2),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status or ''}",
)
def test_passing_failure_is_retried(fault: Fault) -> None:
    """A server error, a reset and a cut-off body are retried after growing, jittered waits."""
    with wire(fault) as w:
        assert len(w.get().payload["calls"]) == 100

        assert len(w.sent) == 3
        first, second = w.patience.waits
        assert 0.5 <= first <= 1.0 <= second <= 2.0
        assert w.transport.usage.waited_seconds >= first + second


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        *((Fault(kind="status", status=status), f"status {status}") for status in (500, 502, 503, 504)),
        (Fault(kind="reset"), "Connection"),
        (Fault(kind="truncate"), "IncompleteRead"),
    ],
    ids=lambda value: value.kind + str(value.status or "") if isinstance(value, Fault) else "",
)
def test_lasting_failure_ends_in_an_error(fault: Fault, why: str) -> None:
    """Retries are bounded: after six attempts the error says what happened last and what to try."""
    with wire(fault) as w:
        message = w.refused(Unavailable)

        assert "GET /v2/calls at http://127.0.0.1" in message
        assert "failed 6 times, last with" in message
        assert why in message
        assert "Try again later" in message
        assert ("check the network and base_url" in message) == (fault.status is None)
        assert len(w.sent) == 6
        assert all(16 * 0.5**k >= w.patience.waits[4 - k] >= 8 * 0.5**k for k in range(5))


def test_time_out_is_retried() -> None:
    """A time-out is retried, and given up like any other failure."""
    tenant = Tenant([Call("1", AT, AT)])
    with Simulator(tenant, OPEN, [Fault(kind="slow", seconds=3600.0, times=1)]) as simulator:
        with plain(simulator.base_url, read_seconds=0.3) as (transport, _, patience):
            transport.send("GET", "/v2/calls")
        assert 1 <= len(patience.waits) == len(simulator.requests) - 1
    with (
        Simulator(tenant, OPEN, [Fault(kind="slow", seconds=3600.0)]) as simulator,
        plain(simulator.base_url, read_seconds=0.05, max_attempts=2) as (transport, _, _),
        pytest.raises(Unavailable, match=r"failed 2 times.*[Tt]ime"),
    ):
        transport.send("GET", "/v2/calls")


def test_refused_connection() -> None:
    """A refused connection is retried a bounded number of times, and reported in one line without the inner layers."""
    with Simulator(Tenant(), OPEN) as simulator:
        address = simulator.base_url
    with plain(address, max_attempts=3) as (transport, _, patience):
        with pytest.raises(Unavailable, match=r"failed 3 times, last with .*refused") as failure:
            transport.send("GET", "/v2/calls")

        assert "\n" not in str(failure.value)
        assert "HTTPConnectionPool" not in str(failure.value)
        assert len(patience.waits) == 2


def test_every_attempt_passes_the_throttle() -> None:
    """Retries count against the budget like any other request."""
    with wire(Fault(kind="status", status=503)) as w:
        w.transport.throttle.max_requests = 4
        with pytest.raises(QuotaExhausted, match="budget of 4 requests"):
            w.get()

        assert w.sent == [503] * 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(status: int) -> None:
    """A redirect could carry the key to another host, and a 404 there would look like an empty tenant."""
    with (
        scripted((200, {}, b'{"calls": []}')) as elsewhere,
        scripted((status, {"Location": f"{elsewhere.base_url}/login?token=secret"}, b"")) as server,
        plain(server.base_url) as (transport, _, _),
    ):
        with pytest.raises(NotFound) as refused:
            transport.send("GET", "/v2/calls")

        assert len(server.seen) == 1
        assert elsewhere.seen == []
        assert f"answered {status}, which points to {elsewhere.base_url}/login. Check base_url" in str(refused.value)
        assert "token" not in str(refused.value)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://user:word@other.example:8443/v2/calls?a=1#b", "which points to https://other.example:8443/v2/calls."),
        ("/elsewhere?x=1", "/elsewhere. Check"),
        ("", "without a target"),
        ("http://[broken", "with a target that is not an address"),
    ],
)
def test_redirect_says_where_it_points_without_login_and_query(location: str, expected: str) -> None:
    """The message names scheme, host and path of the target: a login or a query may hold secrets."""
    headers = {"Location": location} if location else {}
    with scripted((301, headers, b"")) as server, plain(server.base_url) as (transport, _, _):
        with pytest.raises(NotFound) as refused:
            transport.send("GET", "/v2/calls")

        assert expected in str(refused.value)
        assert "word" not in str(refused.value)
        assert "?" not in str(refused.value)


@pytest.mark.parametrize("status", [204, 206, 402, 418, 451])
def test_hint_fits_the_status(status: int) -> None:
    """Only a 400 is about the inputs; of any other status, the message says what Gong said and no more."""
    body = b"" if status == 204 else b'{"requestId": "r", "errors": ["Pay first."]}'
    with scripted((status, {}, body)) as server, plain(server.base_url) as (transport, _, _):
        with pytest.raises(BadRequest) as refused:
            transport.send("GET", "/v2/calls")

        message = str(refused.value)
        assert f"answered {status}" in message
        assert ("Pay first" in message) == (status != 204)
        assert "workspace_id" not in message
        assert "support can find the request by its id" in message
        assert len(server.seen) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
@pytest.mark.parametrize("damage", ["cut", "not compressed"])
def test_body_that_cannot_be_decompressed_is_a_network_fault(encoding: str, damage: str) -> None:
    """A cut or foreign body is retried like a reset, and what is given up says so; half an answer is never used."""
    body = b'{"calls": []}' * 200
    packed = zlib.compress(body) if encoding == "deflate" else gzip.compress(body)
    sent = packed[: len(packed) // 2] if damage == "cut" else body
    with (
        scripted((200, {"Content-Encoding": encoding}, sent)) as server,
        plain(server.base_url) as (transport, _, _),
    ):
        with pytest.raises(Unavailable, match="body could not be decompressed"):
            transport.send("GET", "/v2/calls")

        assert len(server.seen) == 6


def test_body_that_could_not_be_decompressed_is_used_when_it_comes_whole() -> None:
    """One cut body costs one more request, and nothing else."""
    body = b'{"calls": [], "requestId": "r"}'
    packed = gzip.compress(body)
    headers = {"Content-Encoding": "gzip"}
    with (
        scripted((200, headers, packed[:-9]), (200, headers, packed)) as server,
        plain(server.base_url) as (transport, _, _),
    ):
        assert transport.send("GET", "/v2/calls").body == body
        assert len(server.seen) == 2


def test_cookies_are_not_sent_back() -> None:
    """Threads share the connections, so cookies of one request must not be sent with another."""
    with scripted((200, {"Set-Cookie": "a=b"}, b"{}")) as server, plain(server.base_url) as (transport, _, _):
        transport.send("GET", "/v2/calls")
        transport.send("GET", "/v2/calls")

        assert [headers.get("Cookie") for headers in server.headers] == [None, None]


def test_headers_of_a_request() -> None:
    """A request names this package and allows a compressed answer; a key with any letters is sent as UTF-8."""
    with scripted((200, {}, b"{}")) as server:
        throttle = Throttle(1000.0)
        transport = Transport(server.base_url, "ключ", "geheim", throttle=throttle)
        transport.send("GET", "/v2/calls")
        transport.close()

        (headers,) = server.headers
        assert headers["User-Agent"] == f"gong-source/{__version__}"
        assert headers["Accept"] == "application/json"
        assert "gzip" in headers["Accept-Encoding"]
        assert headers["Authorization"] == "Basic " + base64.b64encode("ключ:geheim".encode()).decode()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_answer_is_unpacked(encoding: str) -> None:
    """A compressed body is unpacked; a broken one is fetched again, like a cut-off one."""
    body = b'{"calls": [], "requestId": "7"}'
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    answers = [
        (200, {"Content-Encoding": encoding}, b"not packed at all"),
        (200, {"Content-Encoding": encoding}, packed),
    ]
    with scripted(*answers) as server, plain(server.base_url) as (transport, _, patience):
        answer = transport.send("GET", "/v2/calls")

        assert answer.body == body
        assert len(patience.waits) == 1


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b'{"calls":') + gzip.compress(b" []}")),
        ("deflate", zlib.compress(b'{"calls": []}', wbits=-15)),
    ],
    ids=["two members", "no header"],
)
def test_less_usual_compression_is_unpacked_too(encoding: str, packed: bytes) -> None:
    """A body of several gzip members, and deflate without a header."""
    with (
        scripted((200, {"Content-Encoding": encoding}, packed)) as server,
        plain(server.base_url) as (transport, _, _),
    ):
        assert transport.send("GET", "/v2/calls").body == b'{"calls": []}'


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "shown"),
    [
        (403, {}, b"<h1>You don't have permission to access this resource.</h1>", AccessDenied, "trusted addresses"),
        (401, {"Content-Encoding": "gzip"}, b"not packed at all", AuthenticationFailed, "Check access_key"),
        (401, {}, b'{"errors": "Validate\\ncredentials failed"}', AuthenticationFailed, "401: Validate credentials"),
    ],
)
def test_refusal_of_a_server_in_between(
    status: int, headers: dict[str, str], body: bytes, error: type[Exception], shown: str
) -> None:
    """The status decides, whatever the body is; a page about permission in general is not about a scope."""
    with (
        scripted((status, headers, body)) as server,
        plain(server.base_url) as (transport, _, _),
    ):
        with pytest.raises(error, match=shown):
            transport.send("GET", "/v2/calls")

        assert len(server.seen) == 1


def test_negative_chunk_size_is_retried() -> None:
    """An error inside the HTTP library is treated like any other broken answer."""
    broken = (200, {"Transfer-Encoding": "chunked"}, b"-2\r\nab\r\n0\r\n\r\n")
    with scripted(broken, (200, {}, b"{}")) as server, plain(server.base_url) as (transport, _, patience):
        transport.send("GET", "/v2/calls")

        assert len(patience.waits) == 1


def test_error_with_an_endless_body_is_reported() -> None:
    """A refusal whose body no parser can read is reported with its first words."""
    with (
        scripted((400, {}, b"[" * 100_000)) as server,
        plain(server.base_url) as (transport, _, _),
        pytest.raises(BadRequest, match=r"answered 400: \[\["),
    ):
        transport.send("GET", "/v2/calls")


@pytest.mark.parametrize("host", ["api..gong.io", f"{'a' * 64}.gong.io"])
def test_host_that_cannot_be_an_address_is_reported_at_once(host: str) -> None:
    """A base URL that cannot be an address is not retried."""
    with plain(f"https://{host}") as (transport, _, patience):
        with pytest.raises(Unavailable, match=r"cannot be an address: .*Check base_url"):
            transport.send("GET", "/v2/calls")

        assert patience.waits == []


# TLS and proxies


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that signs certificates, trusted only where that is configured."""
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """What a server of this machine needs for https."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """The file that makes the authority trusted."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def test_untrusted_certificate_is_refused(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is not sent to a server without a trusted certificate, and a retry would not help."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with scripted((200, {}, b"{}"), tls=tls) as server, plain(server.base_url) as (transport, _, patience):
        with pytest.raises(Unavailable, match=r"not trusted: .*verify failed.*REQUESTS_CA_BUNDLE"):
            transport.send("GET", "/v2/calls")

        assert server.seen == []
        assert patience.waits == []


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_of_the_environment_are_trusted(
    name: str, tls: ssl.SSLContext, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company that inspects TLS names its own authority in the environment."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(name, bundle)
    with scripted((200, {}, b"{}"), tls=tls) as server, plain(server.base_url) as (transport, _, patience):
        transport.send("GET", "/v2/calls")

        assert server.seen == ["/v2/calls"]
        assert patience.waits == []


def test_default_certificates_are_those_of_certifi(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the environment names none, the certificates of certifi are trusted: a slim container has no others."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    pool = Route("https://api.gong.io").pool
    assert isinstance(pool, HTTPSConnectionPool)

    assert (pool.cert_reqs, pool.ca_certs) == ("CERT_REQUIRED", certifi.where())


@pytest.mark.parametrize("content", [None, "no certificate at all"], ids=["no file", "no certificate"])
def test_unusable_certificates_of_the_environment_are_reported(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong path is a mistake in the settings, reported before anything is sent."""
    path = tmp_path / "authority.pem"
    if content:
        path.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    with pytest.raises(ConfigurationError, match=rf"REQUESTS_CA_BUNDLE.*{path}"):
        Transport("https://api.gong.io", KEY, SECRET, throttle=Throttle(1.0))


def test_proxy_of_the_environment_is_used(tls: ssl.SSLContext, bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy is used with the login in its address, and never sees the key."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with scripted((200, {}, b"{}"), tls=tls) as server, scripted((502, {}, b"")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.base_url.replace("://", "://me:mine@"))
        with plain(server.base_url) as (transport, _, _):
            transport.send("GET", "/v2/calls")

        assert proxy.seen == [server.base_url.removeprefix("https://")]
        assert proxy.headers[0]["Proxy-Authorization"] == "Basic " + base64.b64encode(b"me:mine").decode()
        assert "Authorization" not in proxy.headers[0]
        assert server.seen == ["/v2/calls"]


def test_host_without_a_proxy(tls: ssl.SSLContext, bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host in NO_PROXY is reached without the proxy."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with scripted((200, {}, b"{}"), tls=tls) as server, scripted((502, {}, b"")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.base_url)
        with plain(server.base_url) as (transport, _, _):
            transport.send("GET", "/v2/calls")

        assert proxy.seen == []
        assert server.seen == ["/v2/calls"]


@pytest.mark.parametrize(
    "proxy",
    [
        "http://me:passphrase@:x",
        "http://me:passphrase@host:80800",
        "http://me:passphrase#1@host:8080",
        "http://me:passphrase/1@host:8080",
        "http://me:passphrase@",
        "http://me:passphr€se@host:8080",
        "gopher://me:passphrase@host:8080",
        "socks5h://me:passphrase@host:99999",
    ],
)
def test_proxy_with_a_broken_address_is_reported(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken address of a proxy is a mistake in the settings; its login is not repeated."""
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY or ALL_PROXY cannot be used") as refusal:
        Transport("https://api.gong.io", KEY, SECRET, throttle=Throttle(1.0))

    assert "me:" not in str(refusal.value)
    assert "passphr" not in "".join(traceback.format_exception(refusal.value))


# the clock


@pytest.mark.parametrize("seconds", [-86_400, -200, 200, 3000])
def test_clock_that_is_right_or_behind_is_accepted(seconds: float) -> None:
    """A clock that is behind covers less time; a later run fetches the rest."""
    date = format_datetime(datetime.now(UTC) - timedelta(seconds=seconds), usegmt=True)
    with scripted((200, {"Date": date}, b"{}")) as server, plain(server.base_url) as (transport, _, _):
        transport.send("GET", "/v2/calls")


def test_clock_that_is_ahead_is_refused() -> None:
    """A sync would count future time as covered, and no later sync would fetch its calls."""
    date = format_datetime(datetime.now(UTC) - timedelta(days=30), usegmt=True)
    with scripted((200, {"Date": date}, b"{}")) as server, plain(server.base_url) as (transport, _, _):
        with pytest.raises(ConfigurationError, match=r"clock is 2,59\d,\d+ seconds ahead of Gong's: set the clock"):
            transport.send("GET", "/v2/calls")

        assert len(server.seen) == 1


def test_answer_without_a_usable_date_is_accepted() -> None:
    """A `Date` header that is not a date is ignored."""
    with scripted((200, {"Date": "yesterday"}, b"{}")) as server, plain(server.base_url) as (transport, _, _):
        transport.send("GET", "/v2/calls")


# secrets


ALL_REFUSALS = [
    Fault(kind="status", status=400, text="Bad request"),
    Fault(kind="status", status=401, text="Validate credentials failed"),
    Fault(kind="status", status=401, text="You don't have permission to use 'x' in your app."),
    Fault(kind="status", status=403),
    Fault(kind="status", status=404),
    Fault(kind="status", status=404, text="No calls found corresponding to the provided filters"),
    Fault(kind="status", status=429, retry_after=9999),
    Fault(kind="status", status=503),
    Fault(kind="reset"),
    Fault(kind="truncate"),
    Fault(kind="html"),
    Fault(kind="not_json"),
    Fault(kind="html", status=502),
]


@pytest.mark.parametrize("fault", ALL_REFUSALS, ids=lambda fault: f"{fault.kind}{fault.status or ''}")
def test_secrets_are_never_reported(fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    """No message, traceback, repr or log line, not even at debug level, contains the secret or the login made of it."""
    caplog.set_level(logging.DEBUG)
    with wire(fault) as w, pytest.raises(GongError) as failure:
        w.get()

    output = [
        *traceback.format_exception(failure.value),
        repr(failure.value),
        repr(w.transport),
        repr(w.transport.throttle),
        caplog.text,
        *(repr(record.__dict__) for record in caplog.records),
    ]
    assert any("/v2/calls" in text for text in output)
    for text in output:
        assert SECRET not in text
        assert LOGIN not in text


# base URLs


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://api.gong.io", "https://api.gong.io"),
        ("https://us-1.api.gong.io/", "https://us-1.api.gong.io"),
        (" https://us-1.api.gong.io/v2/ ", "https://us-1.api.gong.io"),
        ("https://gateway.example/gong", "https://gateway.example/gong"),
        ("https://gateway.example/gong/v2", "https://gateway.example/gong"),
        ("https://gateway.example:8443", "https://gateway.example:8443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://LOCALHOST:8000", "http://LOCALHOST:8000"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_base_url(given: str, used: str) -> None:
    """The address as Gong's page shows it, with or without the version and a slash; http for this machine only."""
    with plain(given) as (transport, _, _):
        assert transport.base_url == used


@pytest.mark.parametrize(
    "url",
    [
        "http://api.gong.io",
        "HTTP://api.gong.io",
        "http://localhost.example.com",
        "http://127.0.0.1@api.gong.io",
        "http://127.0.0.1.example.com:80",
        "http://api.gong.io\\@localhost",
        "http://localhost#@api.gong.io",
        "api.gong.io",
        "ftp://api.gong.io",
        "https://",
        "https:///v2",
        "",
        "https://api.gong.io?key=1",
        "https://api.gong.io/#top",
        "https://api.gong.io:port",
        "https://api.gong.io:99999",
        "https://[::1",
        "https://user@api.gong.io",
        "'https://api.gong.io'",
    ],
)
def test_unsafe_base_url(url: str) -> None:
    """An address that would send the key unencrypted, or is none, is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match=r"^base_url: ") as refusal:
        Transport(url, KEY, SECRET, throttle=Throttle(1.0))

    assert "https" in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:passphrase@api.gong.io",
        "http://user:passphrase@api.gong.io",
        "https://:passphrase@api.gong.io",
        "https://us@er:passphrase@api.gong.io",
        "user:passphrase@api.gong.io",
        "https://user:passphrase@[::1",
    ],
)
def test_login_in_base_url_is_not_repeated(url: str) -> None:
    """A login in the address is refused, and the message does not repeat it."""
    with pytest.raises(ConfigurationError) as refusal:
        Transport(url, KEY, SECRET, throttle=Throttle(1.0))

    assert "passphrase" not in "".join(traceback.format_exception(refusal.value))


def test_proxy_of_the_environment_is_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy cannot reach this machine's own server, and would see the key unencrypted."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with wire() as w, scripted((502, {}, b"")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url)
        w.get()

        assert proxy.seen == []
        assert w.sent == [200]


# stopping


def test_stopped_sends_nothing() -> None:
    """Once a stop is asked for, no request leaves any more."""
    with wire() as w:
        w.patience.set()
        with pytest.raises(RunStopped):
            w.get()

        assert w.sent == []


@pytest.mark.parametrize(
    "fault",
    [Fault(kind="status", status=503), Fault(kind="status", status=429, retry_after=200)],
    ids=["waiting to try again", "held back by Gong"],
)
def test_stop_ends_a_wait_at_once(fault: Fault) -> None:
    """Setting the stop event ends the wait of a retry and of a Retry-After, however long it was to be."""
    stopped = threading.Event()

    def sleep(seconds: float) -> None:
        if stopped.wait(seconds):
            raise RunStopped("stopped on request")

    slow = random.Random()
    slow.uniform = lambda low, high: 200.0  # type: ignore[method-assign]
    outcome: list[BaseException] = []
    with Simulator(Tenant(), OPEN, [fault]) as simulator:
        throttle = Throttle(1.0, sleep=sleep)
        transport = Transport(simulator.base_url, KEY, SECRET, throttle=throttle, stopped=stopped, rng=slow)

        def send() -> None:
            try:
                transport.send("GET", "/v2/calls")
            except RunStopped as error:
                outcome.append(error)

        thread = threading.Thread(target=send)
        thread.start()
        while not simulator.requests:
            time.sleep(0.005)
        stopped.set()
        thread.join(60)
        transport.close()

        assert not thread.is_alive()
        assert len(outcome) == 1
        assert len(simulator.requests) == 1


def test_closed_transport_sends_nothing() -> None:
    """A thread that is still waiting when the run ends must not send another request."""
    with wire() as w:
        w.get()
        w.transport.close()
        with pytest.raises(RunStopped):
            w.get()

        assert w.sent == [200]


def test_closed_transport_counts_nothing() -> None:
    """Threads that are waiting when the run ends stop, and use nothing of the day's budget."""
    stopped, waiting = threading.Event(), threading.Semaphore(0)

    def sleep(seconds: float) -> None:  # noqa: ARG001 - until output otherwise
        waiting.release()
        stopped.wait(60)

    outcome: list[BaseException] = []
    with Simulator(Tenant(), OPEN) as simulator:
        throttle = Throttle(1.0, sleep=sleep)
        throttle.acquire()
        transport = Transport(simulator.base_url, KEY, SECRET, throttle=throttle)

        def send() -> None:
            try:
                transport.send("GET", "/v2/calls")
            except RunStopped as error:
                outcome.append(error)

        threads = [threading.Thread(target=send) for _ in range(3)]
        for thread in threads:
            thread.start()
        waiting.acquire(timeout=60)
        transport.close()
        stopped.set()
        for thread in threads:
            thread.join(60)

        assert len(outcome) == 3
        assert (throttle.sent, len(simulator.requests)) == (1, 0)


# counts


def test_usage_is_counted_by_thread_and_in_all() -> None:
    """What a request cost, retries included, is known for the thread that sent it and for all together."""
    with wire(Fault(kind="status", status=503, numbers=[1])) as w:
        mine: list[int] = []

        def work() -> None:
            w.get()
            mine.append(w.transport.used_by_this_thread().requests)

        w.get()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

        assert mine == [1]
        assert w.transport.used_by_this_thread().requests == 2
        assert w.transport.usage.requests == 3


def test_latency_is_learnt() -> None:
    """The time that an answer takes is known after the first one, without the time spent waiting for a turn."""
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        time.sleep(0.2)

    with Simulator(Tenant([Call("1", AT, AT)]), replace(OPEN, latency_seconds=0.05)) as simulator:
        throttle = Throttle(3.0, clock=clock, sleep=sleep)
        throttle.acquire()
        transport = Transport(simulator.base_url, KEY, SECRET, throttle=throttle)
        learnt = [transport.latency_seconds]
        began = time.monotonic()
        transport.send("GET", "/v2/calls")
        took = time.monotonic() - began
        learnt.append(transport.latency_seconds)
        transport.close()

        assert learnt[0] is None
        assert learnt[1] is not None
        assert 0.05 <= learnt[1] <= took - 0.2


@pytest.mark.parametrize("threads", [8])
def test_threads_share_one_transport(threads: int) -> None:
    """Many threads may send through one transport; every answer reaches the one that asked."""
    with wire() as w:
        wrong: list[str] = []

        def work(number: int) -> None:
            for _ in range(5):
                answer = w.transport.send("GET", f"/v2/calls/{number}")
                if answer.payload["call"]["id"] != str(number):
                    wrong.append(answer.payload["call"]["id"])

        running = [threading.Thread(target=work, args=(number,)) for number in range(1, threads + 1)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

        assert wrong == []
        assert w.sent == [200] * 5 * threads
