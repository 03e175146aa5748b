"""What windows of calls bring beside the calls, where the list has details: headers and rows of the child tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from gong_source.api.fetch import Fetch
from gong_source.api.plan import LISTS, WITH_CONTENT
from gong_source.packages.content_rows import LEAST_BYTES, ContentRows
from gong_source.packages.items import current_load_id, empty_new_tables, item_of, ledger_row
from gong_source.records.answers import request_for
from gong_source.records.batch import Batch, Converter
from gong_source.records.call_time import page_times
from gong_source.stored.due import calls_in, with_headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gong_source.api.client import Client
    from gong_source.api.fetch import FetchedWindow
    from gong_source.records.privacy import Privacy
    from gong_source.resources.declare import Resource
    from gong_source.stored.due import DueCall
    from gong_source.stored.query import Query, Row
    from gong_source.windows import Window

F = TypeVar("F", bound=Fetch[Batch])


class WindowContent:
    """The content in the windows of one dlt package, for `members`, the resources that read it.

    `query` reads stored rows. `rows` collects the rows and counts them, and `asked` are the ids of the calls. The
    package sets `complete` when its last window is in.
    """

    def __init__(self, members: Sequence[Resource], query: Query, max_deleted_share: float, privacy: Privacy) -> None:
        self.members = members
        self.asked: set[str] = set()
        self.complete = False
        self._query = query
        self._due: dict[str, DueCall] = {}
        self.rows = ContentRows(query, self._due, max_deleted_share, privacy)
        self._last: FetchedWindow[Batch] | None = None

    def take_in(self, fetched: FetchedWindow[Batch]) -> None:
        """Takes the content out of the parts of a window. Of a call that is in it twice, the last one counts."""
        listed = {call_id: call for part in fetched.parts for call_id, call in calls_in(part.table).items()}
        self._due |= {call.id: call for call in with_headers(self._query, self.members, listed)}
        taken: set[str] = set()
        for part in reversed(fetched.parts):
            ids = set(part.table["id"].to_pylist())
            for content in part.contents:
                once = content.without(taken) if not taken.isdisjoint(content.ids) else content
                self.rows.take_in(sorted(ids - taken - part.hidden), fetched.fetched_at, once)
            taken |= ids
            self.asked |= ids - part.hidden
            part.contents.clear()
        self._last = fetched

    def items(self) -> Iterator[Any]:
        """The rows of the package as dlt items, as they come; None while there are none."""
        load_id = current_load_id()
        while not self.complete:
            if self.rows.tables_ready:
                for name, rows in self.rows.take_out(LEAST_BYTES):
                    yield item_of(self.members[0], name, rows, load_id)
            yield None  # dlt goes on with the windows
        for name, rows in self.rows.take_out():
            yield item_of(self.members[0], name, rows, load_id)
        yield from empty_new_tables(self.members, load_id)
        pa.default_memory_pool().release_unused()  # the database needs memory next

    def ledger_rows(self, mode: str, **more: Any) -> list[Row]:
        """The rows of the ledger that say until when these resources were asked for; the windows count the requests.

        `more` are their columns about the tenant and the workspace.
        """
        if self._last is None:
            return []
        return [
            ledger_row(
                member,
                mode=mode,
                rows=self.rows.found[member.name],
                pages=0,
                requests=0,
                waited_seconds=0.0,
                first_request_id=self._last.first_request_id,
                last_request_id=self._last.last_request_id,
                unmapped=self.rows.unmapped[member.name],
                fetched_at=self._last.fetched_at,
                settled=True,
                **more,
            )
            for member in self.members
        ]


def fetch_windows(kind: type[F], client: Client, converter: Converter, ranges: Iterable[Window]) -> F:
    """A fetch of `ranges`, with the content that the members of `converter` read."""
    members, resource = converter.members, converter.resource
    endpoint, sizes = (request_for(members), WITH_CONTENT) if members else (resource.endpoint, LISTS)
    return kind(client, endpoint, ranges, converter, page_times, sizes=sizes)
