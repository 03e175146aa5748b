"""The rows that follow from what Gong answered about calls: a header for each call, and the rows of its child tables.

A child table gets the rows of the calls whose content has changed. A call that has lost all rows of a child table gets
a tombstone there, which deletes them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from gong_source.packages.items import as_stored
from gong_source.records.answers import text_totals
from gong_source.records.privacy import KEEP_ALL
from gong_source.records.rows import to_table
from gong_source.resources.declare import TOMBSTONE
from gong_source.stored.deletions import too_many_gone
from gong_source.stored.due import ask_again_at
from gong_source.stored.query import id_batches, placeholders, rows_with_ids
from gong_source.windows import now_exactly

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from gong_source.records.answers import Content
    from gong_source.records.privacy import Privacy
    from gong_source.resources.declare import Resource, Table
    from gong_source.stored.due import DueCall, Known
    from gong_source.stored.query import Query, Row

# dlt writes rows as they come, so that this much waits in memory.
BYTES_PER_YIELD = 8_000_000
# Each table costs dlt some time, so small ones wait longer.
LEAST_BYTES = 1_000_000
# The columns of a header that say something about the content beside the fields of Gong.
_OF_CONTENT = ("content_hash", "child_rows", "extra", "sentences", "words")


class ContentRows:
    """Collects the rows of answers until they are taken out.

    `due` has every call that was asked for, by its id. `query` reads stored rows. Where more than `max_deleted_share`
    of the calls of an answer have lost a list or a value, it is kept, because a lost licence or scope looks like that.
    `privacy` says what must not be stored. For each resource, the counts say how many calls have content (`found`), how
    many of them a new or different one (`changed`), how many something in `extra` (`unmapped`), and how many have lost
    what (`losses`).
    """

    def __init__(
        self, query: Query, due: Mapping[str, DueCall], max_deleted_share: float, privacy: Privacy = KEEP_ALL
    ) -> None:
        self.found: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()
        self.unmapped: Counter[str] = Counter()
        self.losses: dict[str, Counter[str]] = defaultdict(Counter)
        self._query = query
        self._due = due
        self._share = max_deleted_share
        self._privacy = privacy
        self._waiting: dict[str, list[pa.Table]] = defaultdict(list)
        self._bytes: Counter[str] = Counter()

    @property
    def waiting_bytes(self) -> int:
        """The size in memory of the rows that wait."""
        return self._bytes.total()

    @property
    def tables_ready(self) -> int:
        """The number of tables with rows that wait, as soon as enough waits for dlt."""
        return len(self._waiting) if self.waiting_bytes >= BYTES_PER_YIELD else 0

    def take_out(self, least_bytes: int = 0) -> Iterator[tuple[str, pa.Table]]:
        """The rows collected so far, of the tables with so many bytes: the name of each, and its rows."""
        for name in [name for name in self._waiting if self._bytes[name] >= least_bytes]:
            del self._bytes[name]
            yield name, pa.concat_tables(self._waiting.pop(name))

    def take_in(self, ids: Sequence[str], asked_at: datetime, content: Content) -> None:
        """Adds the headers of the calls that were asked for, and the child rows of those whose content has changed."""
        resource, name = content.resource, content.resource.name
        known = {i: found for i in ids if (found := self._due[i].known.get(name))}
        with_content = {i for i, header in known.items() if header.content_hash is not None}
        changed = {i for i in content.ids if i not in known or self._differs(known[i], i, content.hashes[i])}
        if content.omits_empty:
            changed |= with_content.difference(content.ids)
        had_content = changed & with_content
        kept: set[str] = set()
        for child in resource.children:
            rows = content.family.children[child.name]
            if not changed.issuperset(content.ids):
                rows = rows.filter(pc.is_in(rows[child.parent_key], pa.array(sorted(changed), pa.string())))
            self._add(child, rows)
            if had_content:
                without = had_content.difference(pc.unique(rows[child.parent_key]).to_pylist())
                kept |= self._empty(resource, child, without, len(had_content))
        answered = dict(zip(content.ids, content.family.root.to_pylist(), strict=True))
        kept |= self._keep_lost_values(resource, answered, had_content)
        silent = with_content.difference(answered)
        # Gong may answer for a call no more, before a list of calls shows that it is gone. Its content stays till then.
        stored = self._stored(resource, silent & kept if content.omits_empty else silent)
        headers = _Headers(content, known, answered, stored, kept)
        rows = self._privacy.clean_rows(resource.table, (headers.of(self._due[i], asked_at) for i in ids))
        self._add(resource.table, to_table(resource.table, rows))
        self.found[name] += len(content.ids)
        self.changed[name] += len(changed)
        self.unmapped[name] += content.family.unmapped

    def hide(self, members: Sequence[Resource], ids: Sequence[str]) -> None:
        """Empties the headers and child tables of these calls."""
        for member in members if ids else ():
            emptied = dict.fromkeys(c.name for c in member.table.columns if c.field and c.name != "call_id")
            emptied |= dict.fromkeys(_OF_CONTENT)
            # Should the call become public again, it is due at once. A new time also makes the merge write the header,
            # so that it names this load, even if it was empty before.
            emptied |= {"ask_again_at": now_exactly()}
            rows = [row | emptied for row in self._stored(member, ids).values()]
            self._add(member.table, to_table(member.table, rows))
            for child in member.children:
                self._add(child, tombstones(child, ids))

    def _differs(self, header: Known, call_id: str, content_hash: str) -> bool:
        """Whether the rows of a call have to be loaded again; they also have its call time."""
        return header.content_hash != content_hash or header.call_time != self._due[call_id].call_time

    def _add(self, table: Table, rows: pa.Table) -> None:
        if len(rows):
            self._waiting[table.name].append(rows)
            self._bytes[table.name] += rows.nbytes

    def _stored(self, resource: Resource, ids: Collection[str]) -> dict[str, Row]:
        """The stored headers of these calls, by the id of the call."""
        found = rows_with_ids(self._query, as_stored(resource.table), sorted(ids))
        rows = self._privacy.clean_rows(resource.table, found)
        return {row["call_id"]: row for row in rows}

    def _empty(self, resource: Resource, child: Table, without: Collection[str], compared: int) -> set[str]:
        """Adds a tombstone for each call that had rows in `child` and has none now, and returns none.

        Where these are too many at once, adds nothing and returns them.
        """
        lost = self._with_rows(resource, child, without)
        if too_many_gone(len(lost), compared, self._share):
            self.losses[resource.name][child.name] += len(lost)
            return lost
        self._add(child, tombstones(child, lost))
        return set()

    def _with_rows(self, resource: Resource, child: Table, ids: Collection[str]) -> set[str]:
        """Which of the calls have rows in a child table. Only their time is searched: the table may be very large."""
        if not ids:
            return set()
        times = [self._due[call_id].known[resource.name].call_time for call_id in ids]
        in_time = "call_time >= %s and call_time <= %s"
        sql = f"select distinct {child.parent_key} from {{dataset}}.{child.name} where {in_time}"
        found: set[str] = set()
        for batch in id_batches(sorted(ids)):
            among = f" and {child.parent_key} in ({placeholders(batch)})"
            found |= {call_id for (call_id,) in self._query(sql + among, min(times), max(times), *batch)}
        return found

    def _keep_lost_values(self, resource: Resource, answered: dict[str, Row], had_content: Collection[str]) -> set[str]:
        """Where too many calls have lost a value of the header at once, keeps the stored values; gives these calls."""
        names = [column.name for column in resource.table.columns[1:] if column.field]
        stored = self._stored(resource, had_content) if names else {}
        kept: set[str] = set()
        for name in names:
            lost = [i for i, row in stored.items() if row.get(name) is not None and answered[i][name] is None]
            if too_many_gone(len(lost), len(had_content), self._share):
                self.losses[resource.name][f"{resource.table.name}.{name}"] += len(lost)
                kept.update(lost)
                for call_id in lost:
                    answered[call_id][name] = stored[call_id][name]
        return kept


class _Headers:
    """The headers of the calls of one answer.

    `answered` are their columns from Gong, `stored` the headers that stay as they are because Gong gave no answer. The
    calls in `kept` have lost something that stays: they are compared again when they are asked for again.
    """

    def __init__(
        self,
        content: Content,
        known: Mapping[str, Known],
        answered: Mapping[str, Row],
        stored: Mapping[str, Row],
        kept: Collection[str],
    ) -> None:
        self._content, self._known, self._answered = content, known, answered
        self._stored, self._kept = stored, kept
        resource, children = content.resource, content.family.children
        with_totals = "words" in resource.table.column_names
        self._totals = text_totals(children[resource.children[0].name]) if with_totals else None
        self._rows: Counter[str] = Counter()
        for child in resource.children:
            counted = pc.value_counts(children[child.name][child.parent_key])
            self._rows.update(dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)))

    def of(self, call: DueCall, asked_at: datetime) -> Row:
        """The header of a call."""
        content, before = self._content, self._known.get(call.id)
        content_hash = content.hashes.get(call.id)
        found, complete = content_hash is not None, call.id in content.complete
        if call.id in self._stored:
            content_hash = self._stored[call.id]["content_hash"]
        elif before is not None and call.id in self._kept:
            content_hash = before.content_hash
        first = before.first_asked_at if before else asked_at
        about = {"found": found, "complete": complete}
        again = ask_again_at(content.resource, call.call_time, first, asked_at, **about)
        header = self._stored.get(call.id) or self._answered.get(call.id, {}) | self._counts(call.id, before, asked_at)
        return header | {
            "call_id": call.id,
            "call_time": call.call_time,
            "first_asked_at": first,
            "asked_at": asked_at,
            "ask_again_at": again,
            "asked_duration": call.duration,
            "content_hash": content_hash,
        }

    def _counts(self, call_id: str, before: Known | None, asked_at: datetime) -> Row:
        """The columns of a header that count, and when something was first found."""
        if call_id not in self._content.hashes:
            return {}
        counts: Row = {"child_rows": None if call_id in self._kept else self._rows[call_id]}
        if self._totals is not None:
            sentences, words = self._totals.get(call_id, (0, 0))
            found_at = before.found_at if before and before.found_at else asked_at
            counts |= {"found_at": found_at, "sentences": sentences, "words": words}
        return counts


def describe_losses(losses: Mapping[str, int]) -> str:
    """Says what many calls have lost at once, and what to do; `losses` has the number of calls for each name."""
    parts = ", ".join(f"{name} ({number:,} calls)" for name, number in losses.items())
    return (
        f"Gong no longer has what it had in {parts}. What is stored was kept, because a lost licence or scope looks"
        " like that. If it is really gone, run gong-source verify --repair --deep --accept-deletions"
    )


def tombstones(child: Table, ids: Collection[str]) -> pa.Table:
    """A row for each of these calls that makes a merge delete its rows in `child`, and does not land itself."""
    return to_table(child, [{child.parent_key: i, "position": -1, TOMBSTONE: True} for i in sorted(ids)])
