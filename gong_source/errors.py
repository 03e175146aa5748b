"""Everything that can go wrong, drawn once.

GongError
├── ConfigurationError       a setting or option cannot be used (also a ValueError)
├── RequestFailed            Gong answered, or did not, and the request is given up
│   ├── AuthenticationFailed 401: wrong key, or wrong host for this tenant
│   ├── AccessDenied         401 or 403: scope missing, or address not trusted
│   ├── NotFound             404 that does not mean "no rows": wrong host or path
│   ├── NoRowsFound          404 that means "no rows"; the client turns it into an empty page
│   ├── BadRequest           any other 4xx
│   │   └── PageCursorExpired  400: the page cursor is too old or cannot be verified
│   ├── Unavailable          5xx, time-outs and broken connections outlasted every retry
│   └── UnexpectedAnswer     200, but not what the API promises
├── RecordError              a record without a usable id
├── QuotaExhausted           the next request would have to wait too long; come back later
├── WalkStopped              a person or a scheduler asked the run to stop
├── DatasetLocked            another run holds the dataset
└── DestinationFailed        the warehouse cannot be opened, read or written
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class GongError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigurationError(GongError, ValueError):
    """A setting or option cannot be used; the message says which and how to mend it."""


class RequestFailed(GongError):
    """A request to Gong was given up; `request_id` is Gong's own id for it, where it gave one."""

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        self.request_id = request_id
        super().__init__(f"{message} (Gong's request id: {request_id})" if request_id else message)


class AuthenticationFailed(RequestFailed):
    """Gong refused the access key: it is wrong, or belongs to another host."""


class AccessDenied(RequestFailed):
    """The key is known but may not do this: a scope is missing, or the address is not trusted."""


class NotFound(RequestFailed):
    """The address does not exist: wrong host or path."""


class NoRowsFound(RequestFailed):
    """A valid filter matched nothing, which Gong answers with 404."""


class BadRequest(RequestFailed):
    """Gong rejected the request."""


class PageCursorExpired(BadRequest):
    """The page cursor is too old or cannot be verified: the window has to be walked from its start."""


class Unavailable(RequestFailed):
    """Gong could not be reached, or kept failing, for longer than the retries last."""


class UnexpectedAnswer(RequestFailed):
    """Gong answered 200, but without what the API promises; never taken for an empty page."""


class RecordError(GongError):
    """A record cannot be keyed, so its window is not loaded."""


class QuotaExhausted(GongError):
    """The next request may not be sent before `retry_at` (UTC; None: only a new run helps)."""

    def __init__(self, message: str, *, retry_at: datetime | None = None) -> None:
        self.retry_at = retry_at
        super().__init__(message)


class WalkStopped(GongError):
    """The run was asked to stop."""


class DatasetLocked(GongError):
    """Another run holds the dataset, and two at once would lose rows."""


class DestinationFailed(GongError):
    """The warehouse cannot be opened, read or written."""
