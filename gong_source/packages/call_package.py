"""One dlt package of what Gong answered about named calls: headers, child tables, and the row of the ledger."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gong_source.errors import WrongTenant
from gong_source.packages.content_rows import BYTES_PER_YIELD, LEAST_BYTES
from gong_source.packages.items import current_load_id, empty_new_tables, is_new, item_of, ledger_row, rows_of
from gong_source.resources.bookkeeping import FETCHED_WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from gong_source.api.by_id import CallsAnswer, FetchByIds
    from gong_source.packages.content_rows import ContentRows
    from gong_source.records.answers import Content
    from gong_source.resources.declare import Resource, Table
    from gong_source.stored.query import Row


@dataclass
class CallPackage:
    """Answers for one dlt package, until a bound is reached; `members` are the resources that share the requests.

    `rows` collects the rows of the answers, and counts them. `hidden` are the ids of private calls whose content is to
    go, and `found_private` those that an answer has shown to be private. `empty_tables` are created with the first
    package. After `items`, `asked` is the number of calls asked for.
    """

    answers: FetchByIds[list[Content]]
    members: Sequence[Resource]
    rows: ContentRows
    mode: str
    hidden: Sequence[str] = ()
    found_private: AbstractSet[str] = frozenset()
    empty_tables: Sequence[Table] = ()
    max_calls: float = float("inf")
    max_bytes: float = float("inf")
    max_seconds: float = float("inf")
    clock: Callable[[], float] = time.monotonic
    on_answer: Callable[[CallPackage], None] = lambda package: None
    asked: int = 0

    def items(self) -> Iterator[Any]:
        """The package's tables as dlt items."""
        load_id = current_load_id()
        self.rows.hide(self.members, self.hidden)
        taken: list[CallsAnswer[list[Content]]] = []
        for answer in self._until_full():
            self.answers.client.tenant.confirm()
            taken.append(replace(answer, part=[]))
            for content in answer.part:
                ids = [call_id for call_id in answer.ids if call_id not in self.found_private]
                self.rows.take_in(ids, answer.asked_at, content)
            if self.rows.waiting_bytes >= BYTES_PER_YIELD:
                yield from self._taken_out(load_id, LEAST_BYTES)
            self.asked += len(answer.ids)
            self.on_answer(self)
        asked = {call_id for answer in taken for call_id in answer.ids}
        self.rows.hide(self.members, sorted(asked & self.found_private))
        if isinstance(self.answers.stopped_by, WrongTenant):
            raise self.answers.stopped_by
        yield from self._taken_out(load_id)
        yield from empty_new_tables(self.members, load_id)
        if taken or is_new(FETCHED_WINDOWS):
            yield rows_of(FETCHED_WINDOWS, self._ledger_rows(taken), load_id)
        yield from (rows_of(other, [], load_id) for other in self.empty_tables if is_new(other))
        pa.default_memory_pool().release_unused()  # the database needs memory next

    def _until_full(self) -> Iterator[CallsAnswer[list[Content]]]:
        began, size = self.clock(), 0
        for answer in self.answers:
            yield answer
            size += sum(_size(content) for content in answer.part)
            full = self.asked >= self.max_calls or size >= self.max_bytes
            if full or self.clock() - began >= self.max_seconds:
                return

    def _taken_out(self, load_id: str, least_bytes: int = 0) -> Iterator[Any]:
        """The rows that wait, of tables with so many bytes, as dlt items."""
        for name, rows in self.rows.take_out(least_bytes):
            yield item_of(self.members[0], name, rows, load_id)

    def _ledger_rows(self, answers: Sequence[CallsAnswer[list[Content]]]) -> list[Row]:
        """The row of the ledger for each member. The first has the requests, so that they are counted once."""
        if not answers:
            return []
        first, last = answers[0], answers[-1]
        return [
            ledger_row(
                member,
                mode=self.mode,
                rows=self.rows.found[member.name],
                pages=sum(answer.pages for answer in answers),
                requests=0 if number else sum(answer.requests for answer in answers),
                waited_seconds=0.0 if number else sum(answer.waited_seconds for answer in answers),
                first_request_id=first.first_request_id,
                last_request_id=last.last_request_id,
                unmapped=self.rows.unmapped[member.name],
                fetched_at=last.asked_at,
                settled=True,
                workspace_id=self.answers.client.workspace_id,
                **self.answers.client.tenant.columns(),
            )
            for number, member in enumerate(self.members)
        ]


def _size(content: Content) -> int:
    return sum(table.nbytes for table in content.family.children.values())
