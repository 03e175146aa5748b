"""A list that Gong only gives whole: read, compared with what is stored, and made into one dlt package.

Rows that Gong no longer lists get `deleted_at`. That needs the rows stored so far, which a function brings that runs a
query on the dataset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gong_source.api.client import read_whole
from gong_source.errors import WrongTenant
from gong_source.packages.items import as_stored, current_load_id, is_new, ledger_row, rows_of
from gong_source.records.privacy import KEEP_ALL
from gong_source.records.rows import distinct, read_records, to_table, with_load_id
from gong_source.resources.bookkeeping import FETCHED_WINDOWS
from gong_source.stored.deletions import too_many_gone
from gong_source.stored.query import rows_where
from gong_source.windows import hours_between, now_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from gong_source.api.client import Client
    from gong_source.records.privacy import Privacy
    from gong_source.resources.declare import History, Resource, Table
    from gong_source.stored.query import Query, Row

# A daily run must not skip a day because it starts some minutes earlier than the day before.
_DUE_AFTER_SHARE = 0.96


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All records of a resource, as Gong listed them at `fetched_at` (UTC).

    `total` is Gong's own count (None where Gong gives none), `ids` the ids of the records. `unmapped` is the number of
    records with something in `extra`. `ledger` is the snapshot's row of the ledger, without its mode. `privacy` says
    what the records lack because it must not be stored.
    """

    resource: Resource
    table: pa.Table
    ids: set[str]
    total: int | None
    unmapped: int
    fetched_at: datetime
    ledger: Row
    privacy: Privacy = KEEP_ALL

    @property
    def settled(self) -> bool:
        """Whether Gong listed as many records as it counts."""
        return self.total is None or self.total <= len(self.ids)


def read_snapshot(client: Client, resource: Resource, privacy: Privacy = KEEP_ALL) -> Snapshot:
    """Reads all pages of `resource` from Gong, without what must not be stored.

    Raises `RequestFailed`, `QuotaExhausted` or `RunStopped`, `WrongTenant` for the list of another tenant than the
    dataset's, and `RecordError` for a record without a usable id.
    """
    fetched_at = now_exactly()
    used = client.transport.usage
    requests, waited = used.requests, used.waited_seconds
    pages = read_whole(client, resource.endpoint)
    client.tenant.confirm()
    records = privacy.clean_records(resource, read_records(resource, pages))
    (key,) = resource.table.primary_key
    table, ids = distinct([records.to_arrow(resource.table)], key)
    total = pages[0].total
    ledger = {
        "total_records": total,
        "rows": len(ids),
        "pages": len(pages),
        "requests": used.requests - requests,
        "waited_seconds": used.waited_seconds - waited,
        "first_request_id": pages[0].request_id,
        "last_request_id": pages[-1].request_id,
        "unmapped": len(records.extras),
        "fetched_at": fetched_at,
        "settled": total is None or total <= len(ids),
        **client.tenant.columns(),
    }
    return Snapshot(resource, table, ids, total, len(records.extras), fetched_at, ledger, privacy)


def is_due(last: datetime | None, hours: float) -> bool:
    """Whether a list that was read at `last` is to be read again, if a snapshot is good for `hours`."""
    return last is None or hours == 0 or hours_between(last, now_exactly()) >= _DUE_AFTER_SHARE * hours


def refuse_strangers(snapshot: Snapshot, stored: Sequence[Row]) -> None:
    """Raises `WrongTenant` if none of the stored records is listed, and others are: Gong's ids are unique."""
    (key,) = snapshot.resource.table.primary_key
    if stored and snapshot.ids and snapshot.ids.isdisjoint(row[key] for row in stored):
        raise WrongTenant(
            f"Gong lists {snapshot.resource.count(len(snapshot.ids))}, and none of the {len(stored):,} that the dataset"
            " holds: this key belongs to another tenant. Nothing was loaded. Set the key of the right tenant, or load"
            " this one into another --dataset or file"
        )


@dataclass
class SnapshotPackage:
    """A snapshot for one dlt package, with the deletions and the history that follow from it.

    `query` reads what is stored. Where more than `max_deleted_share` of the stored records are gone, none is marked
    as deleted and `refused` is true. `empty_tables` are created with the package if they do not exist. After `items`,
    the counts say what was found.
    """

    snapshot: Snapshot
    query: Query
    mode: str
    max_deleted_share: float
    empty_tables: Sequence[Table] = ()
    stored: int = 0
    gone: int = 0
    refused: bool = False
    marked_deleted: int = 0

    def items(self) -> Iterator[Any]:
        """The package's tables as dlt items."""
        load_id = current_load_id()
        snapshot, resource = self.snapshot, self.snapshot.resource
        stored = rows_where(self.query, as_stored(resource.table), "deleted_at is null")
        refuse_strangers(snapshot, stored)
        deleted = self._deleted(stored)
        deleted = snapshot.privacy.clean_rows(resource.table, deleted)
        tables = [snapshot.table, to_table(resource.table, deleted)]
        yield with_load_id(pa.concat_tables(tables), load_id)
        if resource.history is not None:
            yield rows_of(resource.history.table, self._states(resource.history, deleted), load_id)
        ledger = ledger_row(resource, mode=self.mode, **snapshot.ledger)
        yield rows_of(FETCHED_WINDOWS, [ledger], load_id)
        for other in self.empty_tables:
            if is_new(other):
                yield rows_of(other, [], load_id)

    def would_refuse(self, gone: int, stored: int) -> bool:
        """Whether `gone` of `stored` records are too many to be marked as deleted without a confirmation."""
        if not gone or self.max_deleted_share == float("inf"):
            return False
        nothing_listed = not self.snapshot.ids
        return nothing_listed or too_many_gone(gone, stored, self.max_deleted_share)

    def _deleted(self, stored: Sequence[Row]) -> list[Row]:
        """The stored rows that Gong no longer lists, marked as deleted; none where that cannot be trusted."""
        gone = [row for row in stored if row["id"] not in self.snapshot.ids]
        self.stored, self.gone = len(stored), len(gone)
        self.refused = self.would_refuse(len(gone), len(stored))
        if self.refused or not self.snapshot.settled:  # a record that Gong still processes may be listed again
            return []
        self.marked_deleted = len(gone)
        return [row | {"deleted_at": self.snapshot.fetched_at} for row in gone]

    def _states(self, history: History, deleted: Sequence[Row]) -> list[Row]:
        """The states that end with this snapshot, and those that begin."""
        moment, table = self.snapshot.fetched_at, history.table
        known = rows_where(self.query, as_stored(table), "valid_to is null")
        current = {row[history.id_column]: row for row in known}
        gone = {row["id"] for row in deleted}
        states = [row | {"valid_to": moment} for record_id, row in current.items() if record_id in gone]
        for record in self.snapshot.table.select(["id", *history.watched]).to_pylist():
            state = {name: record[name] for name in history.watched}
            before = current.get(record["id"])
            if before is not None and _same(before, state):
                continue
            if before is not None:
                states.append(before | {"valid_to": moment})
            states.append({history.id_column: record["id"], "valid_from": moment, "valid_to": None, **state})
        return self.snapshot.privacy.clean_rows(table, states)


def _same(before: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    return all(before.get(name) == value for name, value in state.items())
