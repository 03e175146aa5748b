"""The simulator: a tenant served over HTTP from a thread of this process."""

import asyncio
import json
import threading
import time
from base64 import b64decode
from binascii import Error as Base64Error
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote, unquote_plus

from gong_source.simulator.answers import Page, Refusal, Single
from gong_source.simulator.asking import Ask
from gong_source.simulator.behaviour import Settings
from gong_source.simulator.endpoints import find
from gong_source.simulator.faults import Fault, FaultKind, FaultPlan
from gong_source.simulator.limits import Limits
from gong_source.simulator.listing import EXPIRED
from gong_source.simulator.tenant import Tenant
from gong_source.simulator.wire import Connection, Incoming, Outgoing

_WEB_PAGE: Final = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
Struck = dict[FaultKind, Fault]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived, and how it was answered.

    `at` is time.monotonic() at arrival, `clock` the unix seconds of the settings' clock. `status` is None
    where the connection was reset without an answer.
    """

    number: int
    at: float
    clock: float
    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any] | None
    authorized: bool
    status: int | None
    retry_after: int | None
    request_id: str


class Simulator:
    """A Gong API on a local port, for use as a context manager.

    `settings` and `faults` may be replaced while it runs. `requests` lists what arrived since the start, or
    since `reset_requests`, in order.
    """

    def __init__(
        self,
        tenant: Tenant,
        settings: Settings | None = None,
        faults: Iterable[Fault] = (),
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.tenant = tenant
        self.settings = settings or Settings()
        self.requests: list[Request] = []
        self._plan = FaultPlan(faults)
        self._limits = Limits()
        self._host = host
        self._port = port
        self._served = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: set[Connection] = set()

    @property
    def faults(self) -> Sequence[Fault]:
        """The faults in force; assigning new ones forgets how often the old ones happened."""
        return self._plan.faults

    @faults.setter
    def faults(self, faults: Iterable[Fault]) -> None:
        self._plan = FaultPlan(faults)

    @property
    def base_url(self) -> str:
        """The address of the running simulator, without a path and without a slash at the end."""
        if self._thread is None:
            raise RuntimeError("the simulator is not running")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def quota_used(self) -> int:
        """How many requests count in the quota window that is open now."""
        return self._limits.quota_used(self.settings)

    def start(self) -> Self:
        """Listen; return once requests are answered. Raise OSError if the port cannot be had."""
        if self._thread is not None:
            raise RuntimeError("the simulator is already running")
        loop = asyncio.new_event_loop()
        started = threading.Event()
        failure: list[OSError] = []
        thread = threading.Thread(target=self._run, args=(loop, started, failure), name="gong-simulator", daemon=True)
        thread.start()
        started.wait()
        if failure:
            thread.join()
            raise failure[0]
        self._thread, self._loop = thread, loop
        return self

    def stop(self) -> None:
        """Stop listening and close every connection; harmless if it does not run."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._thread = self._loop = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def reset_requests(self) -> None:
        """Forget the requests so far; the next one is number 1."""
        self.requests = []

    def reset_limits(self) -> None:
        """Forget what counts against the rate and the quota."""
        self._limits = Limits()

    def peak_rate(self, window: float = 1.0) -> int:
        """Return the most requests that arrived within any `window` seconds, half-open."""
        arrivals = [request.at for request in self.requests]
        return max((bisect_left(arrivals, at + window) - first for first, at in enumerate(arrivals)), default=0)

    def _run(self, loop: asyncio.AbstractEventLoop, started: threading.Event, failure: list[OSError]) -> None:
        """Serve in this thread until the loop is stopped; a port that cannot be had goes into `failure`."""

        def connect() -> Connection:
            return Connection(self._respond, self._connections)

        asyncio.set_event_loop(loop)
        try:
            server = loop.run_until_complete(loop.create_server(connect, self._host, self._port, backlog=1024))
        except OSError as error:
            failure.append(error)
            loop.close()
            started.set()
            return
        self._port = server.sockets[0].getsockname()[1]
        started.set()
        try:
            loop.run_forever()
        finally:
            # asyncio loses a connection that it is setting up when its server closes, so that comes last
            for listening in server.sockets:
                loop.remove_reader(listening)
            loop.run_until_complete(self._hang_up())
            server.close()
            loop.close()

    async def _hang_up(self) -> None:
        """Close every connection, also those that were accepted a moment ago and are still being set up."""
        while self._connections or len(asyncio.all_tasks()) > 1:
            for connection in list(self._connections):
                connection.abort()
            await asyncio.sleep(0)

    def _respond(self, incoming: Incoming) -> Outgoing:
        settings, at = self.settings, time.monotonic()
        now = settings.clock() if settings.clock else time.time()
        self._served += 1
        number, request_id = len(self.requests) + 1, _request_id(self._served)
        asked = _understand(incoming)
        struck = self._plan.strike(number, asked.path, has_cursor=bool(asked.cursor), call_ids=_named_calls(asked.body))
        unauthorized = check_credentials(incoming.headers, settings, now)
        # What arrives with a valid key counts against the limits, whatever else happens to it.
        wait = None if unauthorized else self._limits.refuse(settings)
        refused = _struck_down(struck) or unauthorized
        if refused is None and wait is not None:
            refused = Refusal(429, settings.limit_text, retry_after=wait)
        content = b""
        if refused is None:
            try:
                answer = self._answer(incoming, asked, now=now, struck=struck)
                content = _damaged(answer, struck, asked.cursor, request_id)
            except Refusal as refusal:
                refused = refusal
        outgoing = _outgoing(refused, content, request_id, struck)
        outgoing.delay += settings.latency_seconds
        self.requests.append(
            Request(
                number=number,
                at=at,
                clock=now,
                method=incoming.method,
                path=asked.path,
                query=asked.query,
                body=asked.body,
                authorized=unauthorized is None,
                status=None if outgoing.ending == "reset" else outgoing.status,
                retry_after=refused.retry_after if refused else None,
                request_id=request_id,
            )
        )
        return outgoing

    def _answer(self, incoming: Incoming, asked: "_Asked", *, now: float, struck: Struck) -> Page | Single:
        endpoint, argument = find(asked.path, incoming.method)
        scopes = self.settings.scopes
        if scopes is not None and endpoint.scope not in scopes:
            raise Refusal(
                self.settings.missing_scope_status, f"You don't have permission to use '{endpoint.scope}' in your app."
            )
        if incoming.method == "POST":
            if not incoming.body or "json" not in incoming.headers.get("content-type", ""):
                raise Refusal(415, "Unsupported Media Type")
            if asked.body is None:
                raise Refusal(400, "Bad request")
        again = struck["duplicate_rows"].rows if "duplicate_rows" in struck else 0
        return endpoint.handle(Ask(self.tenant, self.settings, now, asked.query, asked.body, argument, again))


@dataclass(slots=True)
class _Asked:
    """What a request says: its path and query decoded, its body if that is a JSON object, its page cursor."""

    path: str
    query: dict[str, str]
    body: dict[str, Any] | None
    cursor: str | None


def _understand(incoming: Incoming) -> _Asked:
    raw_path, _, raw_query = incoming.target.partition("?")
    query, body = parse_query(raw_query), _json_object(incoming.body)
    cursor = query.get("cursor") if incoming.method == "GET" else (body or {}).get("cursor")
    return _Asked(unquote(raw_path), query, body, cursor)


def _named_calls(body: dict[str, Any] | None) -> list[Any]:
    filters = (body or {}).get("filter")
    ids = filters.get("callIds") if isinstance(filters, dict) else None
    return ids if isinstance(ids, list) else []


def check_credentials(headers: dict[str, str], settings: Settings, now: float) -> Refusal | None:
    """Return the refusal for a request without valid credentials, else None."""
    given = headers.get("authorization")
    if given is None:
        return Refusal(401, 'Missing mandatory header "Authorization"')
    scheme, _, value = given.partition(" ")
    if scheme.lower() == "bearer" and value in settings.bearer_tokens:
        expiry = settings.bearer_tokens[value]
        if expiry is not None and now >= expiry:
            return Refusal(401, "access token has been revoked or has expired")
    elif scheme.lower() != "basic" or not settings.accept_basic or not _is_key(value, settings):
        return Refusal(401, "Validate credentials failed")
    host = headers.get("host", "").rsplit(":", 1)[0]
    if settings.refuse_generic_host and host in settings.generic_hosts:
        return Refusal(401, "Validate credentials failed")
    return Refusal(403, "Forbidden") if settings.untrusted_address else None


def parse_query(text: str) -> dict[str, str]:
    """Return the parameters of a query; of one that comes twice the last counts."""
    parameters = {}
    for pair in text.split("&") if text else ():
        name, _, value = pair.partition("=")
        parameters[unquote_plus(name)] = unquote_plus(value)
    return parameters


def _is_key(value: str, settings: Settings) -> bool:
    try:
        given = b64decode(value, validate=True)
    except Base64Error:
        return False
    return given == f"{settings.access_key}:{settings.access_key_secret}".encode()


def _json_object(raw: bytes) -> dict[str, Any] | None:
    if not raw:
        return None
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _struck_down(struck: Struck) -> Refusal | None:
    """Return the refusal of a fault that takes the place of the answer, if there is one."""
    if "status" in struck:
        fault = struck["status"]
        text = fault.text or "Internal server error occurred"
        return Refusal(fault.status or 500, text, retry_after=fault.retry_after)
    return Refusal(400, EXPIRED) if "expire_cursor" in struck else None


def _damaged(answer: Page | Single, struck: Struck, cursor: str | None, request_id: str) -> bytes:
    """Return the body of an answer with the faults that happen to its content."""
    if isinstance(answer, Single):
        return answer.body(request_id)
    if "repeat_cursor" in struck:
        answer.cursor = cursor
    if "empty_page" in struck:
        answer.rows = []
    if "record_without_id" in struck and answer.rows:
        row = json.loads(answer.rows[0])
        for name in ("id", "callId"):
            row.get("metaData", row).pop(name, None)
        answer.rows[0] = json.dumps(row).encode()
    return answer.body(request_id, with_list="missing_list_key" not in struck)


def _outgoing(refused: Refusal | None, content: bytes, request_id: str, struck: Struck) -> Outgoing:
    headers: tuple[tuple[str, str], ...] = (("x-traceid", request_id),)
    if refused is not None and refused.retry_after is not None:
        headers += (("Retry-After", str(refused.retry_after)),)
    if refused is None:
        outgoing = Outgoing(200, content, headers=headers)
    else:
        outgoing = Outgoing(refused.status, refused.body(request_id), headers=headers)
    if "html" in struck:
        outgoing = Outgoing(struck["html"].status or 200, _WEB_PAGE, "text/html; charset=utf-8", headers)
    elif "not_json" in struck:
        outgoing = Outgoing(200, b"upstream connect error", headers=headers)
    if "slow" in struck:
        outgoing.delay = struck["slow"].seconds
    if "reset" in struck or "truncate" in struck:
        outgoing.ending = "reset" if "reset" in struck else "truncate"
    return outgoing


def _request_id(served: int) -> str:
    """Return 18 or 19 characters of [a-z0-9], another for each request."""
    return f"{'4f' if served % 2 else '4fk'}{served * 0x9E3779B97F4A7C15 % 2**64:016x}"
