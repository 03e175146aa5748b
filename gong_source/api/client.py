"""From an endpoint to its pages: the loop over page cursors, and its guards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from gong_source.api import endpoints
from gong_source.api.responses import exact_loads, loads
from gong_source.api.tenant import Identity, TenantCheck, host_of
from gong_source.errors import NoRowsFound, PageCursorExpired, UnexpectedAnswer
from gong_source.windows import Window, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gong_source.api.endpoints import Endpoint
    from gong_source.api.responses import Answer, QuickReader
    from gong_source.api.throttle import Priority
    from gong_source.api.transport import Transport

    # What a request asks for: a time range, the calls with these ids, or the whole list.
    Selection = Window | Sequence[str] | None

Records = Sequence[Any]
T = TypeVar("T")
_RESTARTS = 2


class LazyRecords(Sequence[Any]):
    """The records of a body that was read quickly: parsed when somebody asks for them after all."""

    def __init__(self, body: bytes, list_key: str) -> None:
        self._body = body
        self._list_key = list_key

    @cached_property
    def _parsed(self) -> list[Any]:
        records: list[Any] = loads(self._body)[self._list_key]
        return records

    def __getitem__(self, at: Any) -> Any:
        return self._parsed[at]

    def __len__(self) -> int:
        return len(self._parsed)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its records, and what Gong says about the whole list.

    `total` is the number of records that the filter matches (None where Gong does not say), `cursor` the page cursor
    of the next page (None on the last page). `columns` is what a quick reader made of the records, if it could.
    `fields_in` names the object that holds the own fields of each record.
    """

    records: Records
    total: int | None
    cursor: str | None
    request_id: str
    list_key: str
    body: bytes
    columns: Any = None
    fields_in: str | None = None

    def own_fields(self) -> Records:
        """The own fields of each record, without the blocks around them."""
        return _inside(self.records, self.fields_in)

    def exact_fields(self) -> Records:
        """The own fields of each record, with integers of any size."""
        return _inside(self.exact_records(), self.fields_in)

    def exact_records(self) -> Records:
        """The records again, with integers of any size; the fast parser makes integers over 64 bits inexact."""
        if not self.body:
            return []
        try:
            answer = exact_loads(self.body)
        except RecursionError:  # the fast parser reads deeper lists and objects than the exact one
            return self.records
        records: Records = answer[self.list_key]
        return records


def _inside(records: Records, name: str | None) -> Records:
    """The object of that name in each record; the record itself without a name, or if it is no object."""
    if name is None:
        return records
    return [record.get(name) if type(record) is dict else record for record in records]


class Client:
    """Reads Gong's lists through a transport."""

    def __init__(self, transport: Transport, *, workspace_id: str | None = None) -> None:
        self.transport = transport
        self.workspace_id = workspace_id
        self.expect(Identity(), "")

    def expect(self, known: Identity, dataset: str) -> None:
        """From now on, an answer of another tenant than `known` raises `WrongTenant`; `dataset` names its dataset."""
        api_host = host_of(self.transport.base_url)
        self.tenant = TenantCheck(api_host, known, dataset, self._list_workspaces)

    def pages(
        self,
        endpoint: Endpoint,
        selection: Selection = None,
        priority: Priority = lambda: 0.0,
        *,
        quick: QuickReader | None = None,
    ) -> Iterator[Page]:
        """The pages of a window or of named calls, until one comes without a page cursor; at least one, maybe empty.

        Without a selection, the pages of the whole list. Among waiting requests, the one with the lowest `priority`
        goes first. `quick` reads the records of the pages that hold nothing unexpected. Raises `UnexpectedAnswer` for
        an answer without its list or with a page cursor seen before, and `PageCursorExpired` when the pages have to be
        fetched again from the first one.
        """
        seen: set[str] = set()
        page = self.page(endpoint, selection, priority=priority, quick=quick)
        while True:
            yield page
            if page.cursor is None:
                return
            if page.cursor in seen:
                where = f" for {selection}" if isinstance(selection, Window) else ""
                raise UnexpectedAnswer(
                    f"{endpoint} repeats its page cursor{where}: the pages would never end. Run the same command again;"
                    " if this happens again, ask Gong's support",
                    request_id=page.request_id,
                )
            seen.add(page.cursor)
            page = self.page(endpoint, selection, page.cursor, priority=priority, quick=quick)

    def page(
        self,
        endpoint: Endpoint,
        selection: Selection = None,
        cursor: str | None = None,
        *,
        priority: Priority = lambda: 0.0,
        quick: QuickReader | None = None,
    ) -> Page:
        """The first page of `selection`, or the page that `cursor` points to; one empty page if there are no records.

        Raises `ValueError` for a selection that the endpoint has no filter for, and for none where it has one.
        """
        page = self._read(endpoint, selection, cursor, priority, quick)
        self.tenant.see(endpoint, page.own_fields())
        return page

    def _list_workspaces(self) -> Records:
        return self._read(endpoints.WORKSPACES, None, None, lambda: 0.0).records

    def _read(
        self,
        endpoint: Endpoint,
        selection: Selection,
        cursor: str | None,
        priority: Priority,
        quick: QuickReader | None = None,
    ) -> Page:
        params, body = self._inputs(endpoint, selection, cursor)
        try:
            answer = self.transport.send(
                endpoint.method, endpoint.path, params=params, body=body, priority=priority, quick=quick
            )
        except NoRowsFound as empty:
            return Page([], 0, None, empty.request_id or "", endpoint.list_key, b"")
        records = _records(endpoint, answer)
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
            answer.columns,
            endpoint.fields_in,
        )

    def _inputs(
        self, endpoint: Endpoint, selection: Selection, cursor: str | None
    ) -> tuple[dict[str, str] | None, dict[str, Any] | None]:
        """The query and the JSON body of a request."""
        filters = self._filters(endpoint, selection)
        following = {} if cursor is None else {"cursor": cursor}
        if endpoint.inputs == "query":
            return filters | following, None
        return None, {"filter": filters, **dict(endpoint.extra_body), **following}

    def _filters(self, endpoint: Endpoint, selection: Selection) -> dict[str, Any]:
        """The filters of a request. Ids are sent alone: with another filter, Gong answers for what meets both."""
        if isinstance(selection, Window):
            if endpoint.time is None:
                raise ValueError(f"{endpoint} has no filter by time, so it cannot be asked for {selection}")
            filters = dict(zip(endpoint.time, (iso(selection.start), iso(selection.end)), strict=True))
        elif selection is not None:
            if endpoint.ids is None or not selection:
                raise ValueError(f"{endpoint} cannot be asked for {len(selection)} ids")
            return {endpoint.ids: list(selection)}
        elif endpoint.time is not None:
            raise ValueError(f"{endpoint} is asked for by time, not whole")
        else:
            filters = {}
        if self.workspace_id is not None and endpoint.workspace is not None:
            filters[endpoint.workspace] = self.workspace_id
        return filters


def _records(endpoint: Endpoint, answer: Answer) -> Records:
    if answer.columns is not None:
        return LazyRecords(answer.body, endpoint.list_key)
    records = answer.payload.get(endpoint.list_key)
    if not isinstance(records, list):
        raise UnexpectedAnswer(
            f"{endpoint} answered 200 without its list {endpoint.list_key!r}; is base_url really Gong's, or has its"
            " API changed?",
            request_id=answer.request_id,
        )
    return records


def read_whole(client: Client, endpoint: Endpoint) -> list[Page]:
    """All pages of a list that Gong only gives whole. Raises `PageCursorExpired` as `with_restarts` does."""
    return with_restarts(lambda: list(client.pages(endpoint)))


def with_restarts(read: Callable[[], T]) -> T:
    """What `read` returns, which reads pages from the first one on.

    If the page cursor expires, it reads again, twice at most; then `PageCursorExpired` is raised.
    """
    for _ in range(_RESTARTS):
        try:
            return read()
        except PageCursorExpired:
            continue
    return read()
