"""Everything that can go wrong, as one tree; and what messages about it share.

GongError
├── ConfigurationError       a setting or option cannot be used (also a ValueError)
├── RequestFailed            a request to Gong was given up
│   ├── AuthenticationFailed 401: wrong key, or wrong host for this tenant
│   ├── AccessDenied         403: Gong knows the key and refuses the request, mostly for this machine's address
│   │   └── MissingScope     401 or 403: the key lacks a scope
│   ├── NotFound             404 that does not mean "no rows", 405, or a redirect: wrong host or path
│   ├── NoRowsFound          404 that means "no rows"; the client turns it into an empty page
│   ├── BadRequest           any other status that is not 200
│   │   └── PageCursorExpired  400: the page cursor is too old or cannot be verified
│   ├── Unavailable          status 500, 502, 503 or 504, or a time-out or a broken connection after all retries
│   └── UnexpectedAnswer     200, but not what the API promises
├── RecordError              a record without a usable id
├── QuotaExhausted           the next request would have to wait too long; run again later
├── RunStopped               a person or a scheduler asked the run to stop
├── DatasetLocked            another run is loading the dataset
├── WrongTenant              the access key belongs to another tenant than the dataset
└── DestinationFailed        the warehouse cannot be opened, read or written
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class GongError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigurationError(GongError, ValueError):
    """A setting or option cannot be used; the message says which one and what to write instead."""


class RequestFailed(GongError):
    """A request to Gong was given up; `request_id` is Gong's own id for the request, if Gong gave one."""

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        self.request_id = request_id
        super().__init__(f"{message} (Gong's request id: {request_id})" if request_id else message)


class AuthenticationFailed(RequestFailed):
    """Gong refused the access key: the key is wrong, or belongs to another host."""


class AccessDenied(RequestFailed):
    """Gong knows the key but refuses the request: this machine's address is not trusted, or a scope is missing."""


class MissingScope(AccessDenied):
    """The key lacks a scope; `scope` is its name, if Gong gave it."""

    def __init__(self, message: str, *, request_id: str | None = None, scope: str | None = None) -> None:
        self.scope = scope
        super().__init__(message, request_id=request_id)


class NotFound(RequestFailed):
    """The address does not exist: wrong host or path."""


class NoRowsFound(RequestFailed):
    """A valid filter matched nothing; Gong answers that with 404."""


class BadRequest(RequestFailed):
    """Gong rejected the request."""


class PageCursorExpired(BadRequest):
    """The page cursor is too old or cannot be verified: the pages have to be fetched again from the first one."""


class Unavailable(RequestFailed):
    """Gong could not be reached, or kept failing, for longer than the retries last."""


class UnexpectedAnswer(RequestFailed):
    """Gong answered 200, but without what the API promises; never treated as an empty page."""


class RecordError(GongError):
    """A record has no usable id, so its window is not loaded."""


class QuotaExhausted(GongError):
    """The next request may not be sent before `retry_at` (UTC; None: only a new run helps)."""

    def __init__(self, message: str, *, retry_at: datetime | None = None) -> None:
        self.retry_at = retry_at
        super().__init__(message)


class RunStopped(GongError):
    """The run was asked to stop."""

    def __init__(self, message: str = "stopped on request") -> None:
        super().__init__(message)


class DatasetLocked(GongError):
    """Another run is loading the dataset; two runs at once would lose rows."""


class WrongTenant(GongError):
    """The access key belongs to another Gong tenant than the dataset; nothing was loaded."""


class DestinationFailed(GongError):
    """The warehouse cannot be opened, read or written."""


def first_line(error: BaseException) -> str:
    """The first line of the error's text that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest one that is known, if there is one."""
    near = difflib.get_close_matches(name, sorted(known), 1)
    return f"; did you mean {near[0]}?" if near else ""
