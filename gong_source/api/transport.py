"""One request: auth, time-outs, throttle, retry, and the table from status to error."""

from __future__ import annotations

import base64
import email.utils
import json
import random
import re
import threading
import time
from dataclasses import dataclass
from functools import partial
from ssl import SSLCertVerificationError
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import orjson
from urllib3 import Timeout, make_headers
from urllib3.exceptions import HTTPError, LocationValueError

from gong_source.api.route import Route
from gong_source.errors import (
    AccessDenied,
    AuthenticationFailed,
    BadRequest,
    ConfigurationError,
    NoRowsFound,
    NotFound,
    PageCursorExpired,
    QuotaExhausted,
    RequestFailed,
    Unavailable,
    UnexpectedAnswer,
    WalkStopped,
)
from gong_source.version import __version__
from gong_source.windows import now, seconds_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from urllib3 import BaseHTTPResponse

    from gong_source.api.throttle import Rank, Throttle

_CONNECT_SECONDS = 10.0
# What a clock is ahead by less than this, the lookback makes good.
_CLOCK_SECONDS = 3600.0
_RETRYABLE_STATUS = frozenset({500, 502, 503, 504})
# An empty result of a valid filter is a 404 with this text; any other 404 is a wrong address.
_NO_ROWS = re.compile(r"^No .*found.*provided filters\.?$", re.IGNORECASE)
_CURSOR_GONE = re.compile(r"cursor has expired|failed to verify cursor", re.IGNORECASE)
_NO_PERMISSION = re.compile(r"permission|scope", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """A 200 and its JSON object; `request_id` is Gong's own id for the request, for their support."""

    payload: dict[str, Any]
    request_id: str
    body: bytes


@dataclass(slots=True)
class Usage:
    """What requests cost: how many were sent, and the seconds spent waiting for a turn or a retry."""

    requests: int = 0
    waited_seconds: float = 0.0


class Transport:
    """Sends requests to one Gong tenant with one access key; safe to share between threads.

    Every attempt, retries included, passes the throttle. Setting `stopped` ends all waits with `WalkStopped`.
    `read_seconds` bounds the wait for an answer's next bytes. Raises `ConfigurationError` for a base URL that would
    send the key in the clear, for proxies and certificates of the environment that cannot be used, and, when Gong has
    answered, for a clock that is ahead of Gong's.
    """

    def __init__(
        self,
        base_url: str,
        access_key: str,
        access_key_secret: str,
        *,
        throttle: Throttle,
        stopped: threading.Event | None = None,
        max_attempts: int = 6,
        read_seconds: float = 60.0,
        rng: random.Random | None = None,
    ) -> None:
        self._route = Route(base_url)
        self.base_url = self._route.base_url
        self.throttle = throttle
        self.stopped = stopped or threading.Event()
        self.usage = Usage()
        self.latency_seconds: float | None = None
        self._max_attempts = max_attempts
        self._timeout = Timeout(connect=_CONNECT_SECONDS, read=read_seconds)
        self._closed = False
        self._knows_the_time = False
        self._rng = rng or random.Random()
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._root = urlsplit(self.base_url).path
        login = base64.b64encode(f"{access_key}:{access_key_secret}".encode()).decode()
        self._headers = {
            **make_headers(keep_alive=True, accept_encoding=True, user_agent=f"gong-source/{__version__}"),
            "Accept": "application/json",
            "Authorization": f"Basic {login}",
        }

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        rank: Rank = lambda: 0.0,
    ) -> Answer:
        """The answer to one request, retried where the response table says so.

        Of the requests that wait for their turn, the one with the lowest `rank` goes first. Raises a `RequestFailed`
        for what Gong refuses, `QuotaExhausted` when the wait would be too long.
        """
        where = f"{method} {path}"
        address = f"{self._root}{path}?{urlencode(params)}" if params else self._root + path
        headers = self._headers if body is None else self._headers | {"Content-Type": "application/json"}
        request = partial(
            self._route.pool.urlopen,
            method,
            address,
            body=None if body is None else orjson.dumps(body),
            headers=headers,
            retries=False,
            redirect=False,
            timeout=self._timeout,
        )
        failures = refusals = 0
        held_back = 0.0
        while True:
            problem, response = self._attempt(request, rank)
            if response is not None and response.status == 429:
                refusals += 1
                seconds = _retry_after(response, refusals)
                held_back += seconds
                self._hold_back(seconds, held_back)
            elif response is not None and response.status not in _RETRYABLE_STATUS:
                return _answer(where, self.base_url, response)
            else:
                failures += 1
                if failures >= self._max_attempts:
                    raise Unavailable(
                        f"{where} at {self.base_url} failed {failures} times, last with {problem};"
                        " try again later, or check the network and base_url",
                        request_id=_request_id(response),
                    )
                self._wait(min(2.0 ** (failures - 1), 30.0) * self._rng.uniform(0.5, 1.0))

    def used_by_this_thread(self) -> Usage:
        """The running count of what the calling thread has sent and waited."""
        if not hasattr(self._mine, "usage"):
            self._mine.usage = Usage()
        usage: Usage = self._mine.usage
        return usage

    def close(self) -> None:
        """Closes the connections and the throttle's file; a thread that waits for its turn sends no more."""
        self._closed = True
        self._route.close()
        self.throttle.close()

    def _attempt(self, request: Callable[[], BaseHTTPResponse], rank: Rank) -> tuple[str, BaseHTTPResponse | None]:
        """What went wrong, if anything did, and the response, if there was one."""
        self._check_stopped()
        self._count(waited=self.throttle.acquire(rank))
        self._check_stopped()
        self._count(sent=1)
        began = time.monotonic()
        try:
            response = request()
        except LocationValueError as error:
            raise Unavailable(f"{self.base_url} cannot be an address: {_in_short(error)}; check base_url") from None
        except (HTTPError, ValueError) as error:  # http.client has a ValueError for a chunk of less than nothing
            if isinstance(_innermost(error), SSLCertVerificationError):
                raise Unavailable(
                    f"the certificate of {self.base_url}, or of a proxy, is not trusted: {_in_short(error)}; if your"
                    " company looks into TLS, name the file of its certificates in REQUESTS_CA_BUNDLE"
                ) from None
            return _in_short(error), None
        self._learn_latency(time.monotonic() - began)
        self._check_clock(response)
        return f"status {response.status}", response

    def _check_stopped(self) -> None:
        if self._closed or self.stopped.is_set():
            raise WalkStopped("stopped on request")

    def _check_clock(self, response: BaseHTTPResponse) -> None:
        """Refuses a clock that is ahead of Gong's: what it takes for covered would never be asked for again."""
        if self._knows_the_time:
            return
        try:
            theirs = email.utils.parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
        except (TypeError, ValueError):
            return
        ahead = time.time() - theirs
        if ahead > _CLOCK_SECONDS:
            raise ConfigurationError(
                f"this machine's clock is {ahead:,.0f} seconds ahead of Gong's: set it, then run again"
            )
        self._knows_the_time = True

    def _hold_back(self, seconds: float, in_all: float) -> None:
        """Makes all who share the key wait; raises when this one request has been held back for too long."""
        self.throttle.block(seconds)
        if seconds <= self.throttle.max_wait_seconds < in_all:
            raise QuotaExhausted(
                f"Gong has held back one request for {in_all:g} seconds, longer than max_wait_seconds"
                f" ({self.throttle.max_wait_seconds:g}): other integrations may be using up the tenant's requests;"
                " run the same command later",
                retry_at=seconds_after(now(), seconds),
            )

    def _wait(self, seconds: float) -> None:
        if self.stopped.wait(seconds):
            raise WalkStopped("stopped on request")
        self._count(waited=seconds)

    def _count(self, *, sent: int = 0, waited: float = 0.0) -> None:
        mine = self.used_by_this_thread()
        mine.requests += sent
        mine.waited_seconds += waited
        with self._lock:
            self.usage.requests += sent
            self.usage.waited_seconds += waited

    def _learn_latency(self, seconds: float) -> None:
        with self._lock:
            known = self.latency_seconds
            self.latency_seconds = seconds if known is None else 0.8 * known + 0.2 * seconds


def _answer(where: str, base_url: str, response: BaseHTTPResponse) -> Answer:
    """The payload of a 200; any other status as the error of the response table."""
    request_id = _request_id(response)
    if response.status != 200:
        raise _error(where, base_url, response, request_id)
    try:
        payload = _loads(response.data)
    except (ValueError, RecursionError):
        raise UnexpectedAnswer(
            f"{where} answered 200 with a body that is not JSON ({response.headers.get('Content-Type', 'no type')},"
            f" {len(response.data)} bytes); is base_url really Gong's, or is a proxy in between?",
            request_id=request_id,
        ) from None
    if not isinstance(payload, dict):
        raise UnexpectedAnswer(
            f"{where} answered 200 with JSON that is no object; is base_url really Gong's?", request_id=request_id
        )
    return Answer(payload, str(payload.get("requestId") or request_id or ""), response.data)


def _loads(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # only the standard parser takes half a surrogate pair, as in a title cut inside an emoji
        return json.loads(body)


def _error(where: str, base_url: str, response: BaseHTTPResponse, request_id: str | None) -> RequestFailed:
    """What a status other than 200 means, in words that say what to try."""
    status, texts = response.status, _error_texts(response)
    host = urlsplit(base_url).hostname
    said = f": {'; '.join(texts)}" if texts else ""
    kind: type[RequestFailed] = BadRequest
    hint = "; check workspace_id and the dates; Gong's support can look the request up by its id"
    if status == 404 and any(_NO_ROWS.match(text) for text in texts):
        kind, hint = NoRowsFound, ""
    elif status in {404, 405} or 300 <= status < 400:
        kind, hint = NotFound, f"; check base_url ({host}): wrong host or path"
    elif status == 401 and not any(_NO_PERMISSION.search(text) for text in texts):
        kind, hint = (
            AuthenticationFailed,
            (
                f"; check access_key, access_key_secret and base_url ({host}): a tenant's key may work only on its own"
                " host, which Gong shows on its API page"
            ),
        )
    elif status == 401:
        kind, hint = AccessDenied, "; give the key that scope on Gong's API page"
    elif status == 403:
        kind, hint = (
            AccessDenied,
            ("; is this machine's address on the key's list of trusted addresses, and has the key the scope it needs?"),
        )
    elif status == 400 and any(_CURSOR_GONE.search(text) for text in texts):
        kind, hint = PageCursorExpired, "; the pages have to be read from the first again: run the same command again"
    return kind(f"{where} answered {status}{said}{hint}", request_id=request_id)


def _error_texts(response: BaseHTTPResponse) -> list[str]:
    """The texts of Gong's error envelope; of anything else, its first words."""
    try:
        errors = _loads(response.data)["errors"]
        return [str(text) for text in errors]
    except (ValueError, KeyError, TypeError, RecursionError):
        text = " ".join(response.data.decode(errors="replace").split())
        return [text[:200]] if text else []


def _request_id(response: BaseHTTPResponse | None) -> str | None:
    """Gong's id for a request; its body repeats the header."""
    return response.headers.get("x-traceid") if response is not None else None


def _retry_after(response: BaseHTTPResponse, refusals: int) -> float:
    """Seconds to wait after a 429: what the header says, else growing with the number of refusals."""
    value = response.headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError):
            seconds = 0.0
    # a whole second at least: it empties the rolling second of the limit
    return seconds if 1.0 <= seconds < float("inf") else float(min(2 ** (refusals - 1), 60))


def _in_short(error: Exception) -> str:
    cause = _innermost(error)
    return f"{type(cause).__name__}: {cause}"


def _innermost(error: BaseException) -> BaseException:
    """The innermost cause of a connection error; the layers above repeat it with the whole URL."""
    while (inner := error.__cause__ or error.__context__ or _reason(error)) is not None:
        error = inner
    return error


def _reason(error: BaseException) -> BaseException | None:
    for candidate in (getattr(error, "reason", None), *error.args):
        if isinstance(candidate, BaseException):
            return candidate
    return None
