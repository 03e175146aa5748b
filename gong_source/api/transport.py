"""One request: authentication, time-outs, throttle and retry."""

from __future__ import annotations

import base64
import email.utils
import random
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

from gong_source.api.responses import (
    RETRYABLE_STATUS,
    Answer,
    Response,
    decompress,
    read_answer,
    request_id_of,
    retry_after,
)
from gong_source.api.route import Route
from gong_source.errors import ConfigurationError, QuotaExhausted, RunStopped, Unavailable
from gong_source.version import __version__
from gong_source.windows import now, seconds_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from urllib3 import BaseHTTPResponse

    from gong_source.api.responses import QuickReader
    from gong_source.api.throttle import Priority, Throttle

_CONNECT_SECONDS = 10.0
# A clock that is wrong by less does no harm: the lookback of a run reaches further back.
_CLOCK_SECONDS = 3600.0


@dataclass(slots=True)
class Usage:
    """What requests cost: how many were sent, and the seconds spent waiting for a turn or a retry."""

    requests: int = 0
    waited_seconds: float = 0.0


class Transport:
    """Sends requests to one Gong tenant with one access key; safe to share between threads.

    Every attempt passes the throttle, retries too. Setting `stopped` ends all waits with `RunStopped`. `read_seconds`
    bounds the wait for the next bytes of an answer. Raises `ConfigurationError` for a base URL that would send the key
    unencrypted, and for proxies and certificates of the environment that cannot be used. After Gong's first answer, it
    also raises `ConfigurationError` if this machine's clock is ahead of Gong's.
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
        self._clock_is_checked = False
        self._rng = rng or random.Random()
        self._lock = threading.Lock()
        self._per_thread = threading.local()
        self._root = urlsplit(self.base_url).path
        login = base64.b64encode(f"{access_key}:{access_key_secret}".encode()).decode()
        self._headers = {
            **make_headers(keep_alive=True, accept_encoding="gzip, deflate", user_agent=f"gong-source/{__version__}"),
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
        priority: Priority = lambda: 0.0,
        quick: QuickReader | None = None,
    ) -> Answer:
        """The answer to one request. It is sent again after 429, 500, 502, 503, 504 and connection errors.

        Among waiting requests, the one with the lowest `priority` goes first. `quick` reads the body if it can. Raises
        a `RequestFailed` for what Gong refuses, and `QuotaExhausted` when the wait would be too long.
        """
        where = f"{method} {path}"
        request = self._request(method, path, params, body)
        failures = too_many = 0
        waited_for_gong = 0.0
        while True:
            problem, response = self._attempt(request, priority)
            if response is not None and response.status == 429:
                too_many += 1
                seconds = retry_after(response, too_many)
                waited_for_gong += seconds
                self._pause_all_runs(seconds, waited_for_gong)
            elif response is not None and response.status not in RETRYABLE_STATUS:
                return read_answer(where, self.base_url, response, quick)
            else:
                failures += 1
                if failures >= self._max_attempts:
                    check = ", or check the network and base_url" if response is None else ""
                    raise Unavailable(
                        f"{where} at {self.base_url} failed {failures} times, last with {problem}."
                        f" Try again later{check}",
                        request_id=request_id_of(response),
                    )
                self._wait(min(2.0 ** (failures - 1), 30.0) * self._rng.uniform(0.5, 1.0))

    def _request(
        self, method: str, path: str, params: Mapping[str, str] | None, body: Mapping[str, Any] | None
    ) -> Callable[[], BaseHTTPResponse]:
        """A function that sends the request once."""
        return partial(
            self._route.pool.urlopen,
            method,
            f"{self._root}{path}?{urlencode(params)}" if params else self._root + path,
            body=None if body is None else orjson.dumps(body),
            headers=self._headers if body is None else self._headers | {"Content-Type": "application/json"},
            retries=False,
            redirect=False,
            decode_content=False,
            timeout=self._timeout,
        )

    def used_by_this_thread(self) -> Usage:
        """What the calling thread has sent and waited so far."""
        if not hasattr(self._per_thread, "usage"):
            self._per_thread.usage = Usage()
        usage: Usage = self._per_thread.usage
        return usage

    def close(self) -> None:
        """Closes the connections and the throttle's file; a waiting thread sends nothing more."""
        self._closed = True
        self._route.close()
        self.throttle.close()

    def _attempt(self, request: Callable[[], BaseHTTPResponse], priority: Priority) -> tuple[str, Response | None]:
        """The problem, if there was one, and the response, if there was one."""
        self._check_stopped()
        self._count(waited=self.throttle.acquire(priority))
        self._check_stopped()
        self._count(sent=1)
        began = time.monotonic()
        try:
            response = decompress(request())
        except LocationValueError as error:
            raise Unavailable(f"{self.base_url} cannot be an address: {_in_short(error)}. Check base_url") from None
        except (HTTPError, ValueError, OverflowError, MemoryError) as error:
            # http.client raises the last three for lengths that no body has.
            if isinstance(_innermost(error), SSLCertVerificationError):
                raise Unavailable(
                    f"the certificate of {self.base_url}, or of a proxy, is not trusted: {_in_short(error)}. If your"
                    " company inspects TLS, set REQUESTS_CA_BUNDLE to the file of its certificates"
                ) from None
            return _in_short(error), None
        self._learn_latency(time.monotonic() - began)
        self._check_clock(response)
        return f"status {response.status}", response

    def _check_stopped(self) -> None:
        if self._closed or self.stopped.is_set():
            raise RunStopped

    def _check_clock(self, response: Response) -> None:
        """Refuses a clock ahead of Gong's: a time still to come would count as loaded, and would never be fetched."""
        if self._clock_is_checked:
            return
        try:
            gong_time = email.utils.parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
        except (TypeError, ValueError, OverflowError):
            return
        ahead = time.time() - gong_time
        if ahead > _CLOCK_SECONDS:
            raise ConfigurationError(
                f"this machine's clock is {ahead:,.0f} seconds ahead of Gong's: set the clock, then run again"
            )
        self._clock_is_checked = True

    def _pause_all_runs(self, seconds: float, waited_for_gong: float) -> None:
        """Makes all runs with the key wait; raises when this one request has waited too long in all."""
        self.throttle.block(seconds)
        if seconds <= self.throttle.max_wait_seconds < waited_for_gong:
            raise QuotaExhausted(
                f"Gong has delayed one request for {waited_for_gong:g} seconds, longer than max_wait_seconds"
                f" ({self.throttle.max_wait_seconds:g}). Other integrations may be using up the tenant's requests."
                " Run the same command later",
                retry_at=seconds_after(now(), seconds),
            )

    def _wait(self, seconds: float) -> None:
        if self.stopped.wait(seconds):
            raise RunStopped
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


def _in_short(error: Exception) -> str:
    cause = _innermost(error)
    return f"{type(cause).__name__}: {cause}"


def _innermost(error: BaseException) -> BaseException:
    """The innermost cause of a connection error; the outer layers repeat it with the whole URL."""
    while (inner := error.__cause__ or error.__context__ or _reason(error)) is not None:
        error = inner
    return error


def _reason(error: BaseException) -> BaseException | None:
    for candidate in (getattr(error, "reason", None), *error.args):
        if isinstance(candidate, BaseException):
            return candidate
    return None
