"""An endpoint -> its pages: the page-cursor loop and its guards."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gong_source.errors import NoRowsFound, UnexpectedAnswer
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gong_source.api.throttle import Rank
    from gong_source.api.transport import Transport
    from gong_source.windows import Window

Records = list[Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the loop has to know of one of Gong's lists.

    `inputs` says where the filter and the page cursor go: a POST reads them from its JSON body and silently ignores a
    page cursor in the query. `extra_body` is sent with every request of a POST.
    """

    method: Literal["GET", "POST"]
    path: str
    list_key: str
    inputs: Literal["query", "body"] = "query"
    extra_body: tuple[tuple[str, Any], ...] = ()


CALLS = Endpoint("GET", "/v2/calls", list_key="calls")


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its records, and what Gong says of the whole walk.

    `total` is the number of rows that the filter matches (None where Gong does not say), `cursor` the page cursor of
    the next page (None on the last).
    """

    records: Records
    total: int | None
    cursor: str | None
    request_id: str
    list_key: str
    body: bytes

    def exact_records(self) -> Records:
        """The records again, with integers of any size; the fast parser makes those over 64 bits inexact."""
        if not self.body:
            return []
        answer = json.loads(self.body, parse_constant=str, parse_float=_finite)
        records: Records = answer[self.list_key]
        return records


def _finite(text: str) -> float | str:
    """The number, or its text if no float can hold it: JSON knows no infinity."""
    return value if math.isfinite(value := float(text)) else text


class Client:
    """Reads Gong's lists through a transport."""

    def __init__(self, transport: Transport, *, workspace_id: str | None = None) -> None:
        self.transport = transport
        self.workspace_id = workspace_id

    def pages(self, endpoint: Endpoint, window: Window, rank: Rank = lambda: 0.0) -> Iterator[Page]:
        """The pages of `window`, until one comes without a page cursor; at least one, which may be empty.

        Of the requests that wait for their turn, the one with the lowest `rank` goes first. Raises `UnexpectedAnswer`
        for an answer without its list or with a page cursor seen before, and `PageCursorExpired` when the walk has to
        start again.
        """
        seen: set[str] = set()
        page = self.page(endpoint, window, rank=rank)
        while True:
            yield page
            if page.cursor is None:
                return
            if page.cursor in seen:
                raise UnexpectedAnswer(
                    f"{endpoint.method} {endpoint.path} repeats its page cursor for {window}: the walk would never end;"
                    " run the same command again, and ask Gong's support if it stays",
                    request_id=page.request_id,
                )
            seen.add(page.cursor)
            page = self.page(endpoint, window, page.cursor, rank=rank)

    def page(self, endpoint: Endpoint, window: Window, cursor: str | None = None, *, rank: Rank = lambda: 0.0) -> Page:
        """The first page of `window`, or the one that `cursor` points to; a window without rows has one empty page."""
        params, body = self._inputs(endpoint, window, cursor)
        try:
            answer = self.transport.send(endpoint.method, endpoint.path, params=params, body=body, rank=rank)
        except NoRowsFound as empty:
            return Page([], 0, None, empty.request_id or "", endpoint.list_key, b"")
        records = answer.payload.get(endpoint.list_key)
        if not isinstance(records, list):
            raise UnexpectedAnswer(
                f"{endpoint.method} {endpoint.path} answered 200 without its list {endpoint.list_key!r};"
                " is base_url really Gong's, or has its API changed?",
                request_id=answer.request_id,
            )
        about = answer.payload.get("records")
        about = about if isinstance(about, dict) else {}
        total = about.get("totalRecords")
        next_cursor = about.get("cursor")
        return Page(
            records,
            total if isinstance(total, int) else None,
            str(next_cursor) if next_cursor else None,
            answer.request_id,
            endpoint.list_key,
            answer.body,
        )

    def _inputs(
        self, endpoint: Endpoint, window: Window, cursor: str | None
    ) -> tuple[dict[str, str] | None, dict[str, Any] | None]:
        bounds = {"fromDateTime": iso(window.start), "toDateTime": iso(window.end)}
        if self.workspace_id is not None:
            bounds["workspaceId"] = self.workspace_id
        following = {} if cursor is None else {"cursor": cursor}
        if endpoint.inputs == "query":
            return bounds | following, None
        return None, {"filter": bounds, **dict(endpoint.extra_body), **following}
