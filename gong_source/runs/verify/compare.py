"""Compares the records that Gong lists in a window with the rows stored for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gong_source.resources.declare import Instants
from gong_source.runs.verification import Difference
from gong_source.stored.deletions import too_many_gone
from gong_source.stored.query import id_batches, in_window, placeholders
from gong_source.warehouse.mark_and_remove import remove_rows
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gong_source.api.fetch import FetchedWindow
    from gong_source.records.batch import Batch
    from gong_source.resources.declare import Resource
    from gong_source.warehouse.warehouse import Warehouse
    from gong_source.windows import Window

_Row = tuple[Any, ...]
# A window, and a UTC date in it.
_Place = tuple["Window", str]


@dataclass(slots=True)
class Comparison:
    """Compares fetched windows with the stored rows, and keeps what differs.

    `windows` are those that differ or are unsettled; `reached` is the end of the last window compared.
    """

    warehouse: Warehouse
    resource: Resource
    workspace_id: str | None
    repair: bool
    windows: list[Difference] = field(default_factory=list)
    reached: datetime | None = None
    _missing_in_gong: dict[str, _Place] = field(default_factory=dict)
    _stored: Counter[_Place] = field(default_factory=Counter)
    _elsewhere: set[str] = field(default_factory=set)
    _call_time: int = field(init=False)
    _deleted_at: int = field(init=False)
    _two_times: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        names, select = self.resource.table.column_names, self.resource.select
        assert isinstance(select, Instants)
        self._call_time, self._deleted_at = names.index(select.column), names.index("deleted_at")
        self._two_times = names.index(select.scheduled), names.index(select.started)

    def compare(self, fetched: FetchedWindow[Batch]) -> bool:
        """Whether a repair has to load the window; called before the load.

        Of duplicate rows, all are deleted first; the load then inserts one.
        """
        window = fetched.window
        listed = {row[0]: row for part in fetched.parts for row in self._rows_of(part)}
        within = self._within(window)
        stored = {row[0]: row for row in within}
        outside = self._by_id([record_id for record_id in listed if record_id not in stored])
        self._elsewhere.update(outside)
        self._elsewhere.update(i for i, row in listed.items() if row[self._call_time] not in window)
        found = Difference(
            self.resource.name,
            window,
            listed=len(listed) if fetched.total is None else fetched.total,
            stored=sum(not self._is_deleted(row) for row in within),
            unsettled=max(0, (fetched.total or 0) - len(listed)),
        )
        self._count(found, listed, stored | outside)
        places = {i: self._place(window, row) for i, row in stored.items() if not self._is_deleted(row)}
        missing_in_gong = {i: place for i, place in places.items() if i not in listed}
        duplicates = [i for i, count in Counter(row[0] for row in within).items() if count > 1 and i in listed]
        found.changed += len(duplicates)
        if self.repair:
            remove_rows(self.warehouse, self.resource, duplicates)
        self.reached = window.end
        self._missing_in_gong.update(missing_in_gong)
        self._stored.update(places.values())
        if found.missing or found.changed or missing_in_gong or found.unsettled:
            self.windows.append(found)
        differs = found.missing or found.changed or (missing_in_gong and not found.unsettled)
        return self.repair and bool(differs)

    def settle(self, share: float) -> dict[str, Window]:
        """The records that Gong no longer lists and that may be marked so; called after the last window is compared.

        Fills in `surplus` and `outcome` of each window. In an unsettled window a record may be away only for a while:
        if more records are surplus than unsettled, some are deleted, but which ones shows later. Where more than
        `share` of a window, or of a day in it, is missing, a person has to confirm the deletion.
        """
        places = {i: place for i, place in self._missing_in_gong.items() if i not in self._elsewhere}
        windows = {i: window for i, (window, _) in places.items()}
        counts = Counter(windows.values())
        by_day = Counter(places.values())
        masses = {p[0] for p, count in by_day.items() if too_many_gone(count, self._stored[p], share)}
        for found in self.windows:
            assert found.window is not None
            found.surplus = counts[found.window]
            if found.surplus <= found.unsettled and found.unsettled and not (found.missing or found.changed):
                found.outcome = "unsettled"
            elif found.window in masses or too_many_gone(found.surplus, found.stored, share):
                found.outcome = "refused"
        self.windows = [w for w in self.windows if w.missing or w.changed or w.surplus or w.unsettled]
        unsettled = {found.window for found in self.windows if found.unsettled}
        return {i: window for i, window in windows.items() if window not in unsettled}

    def _count(self, found: Difference, listed: dict[str, _Row], known: dict[str, _Row]) -> None:
        """Counts in `found` the listed records that are missing here or stored with other values."""
        assert found.window is not None
        for record_id, row in listed.items():
            if record_id not in known or self._is_deleted(known[record_id]):
                found.missing += 1
            elif self._differ(row, known[record_id], found.window):
                found.changed += 1

    def _differ(self, listed: _Row, stored: _Row, window: Window) -> bool:
        if listed == stored:
            return False
        at = self._call_time
        if (
            all(listed[position] is None for position in self._two_times)
            and stored[at] is not None
            and stored[at] in window
        ):
            # Only the window that lists such a record shows its time.
            stored = (*stored[:at], listed[at], *stored[at + 1 :])
        return listed != stored

    def _place(self, window: Window, row: _Row) -> _Place:
        return window, iso(row[self._call_time])[:10]

    def _is_deleted(self, row: _Row) -> bool:
        return row[self._deleted_at] is not None

    def _within(self, window: Window) -> list[_Row]:
        table = self.resource.table
        condition, parameters = in_window(self.resource, window, self.workspace_id)
        sql = f"select {', '.join(table.column_names)} from {{dataset}}.{table.name} where {condition}"
        return self.warehouse.query(sql, *parameters)

    def _by_id(self, ids: Sequence[str]) -> dict[str, _Row]:
        table = self.resource.table
        (key,) = table.primary_key
        columns = ", ".join(table.column_names)
        found: dict[str, _Row] = {}
        for batch in id_batches(ids):
            sql = f"select {columns} from {{dataset}}.{table.name} where {key} in ({placeholders(batch)})"
            found |= {row[0]: row for row in self.warehouse.query(sql, *batch)}
        return found

    def _rows_of(self, part: Batch) -> Iterable[_Row]:
        return zip(*(part.table.column(name).to_pylist() for name in self.resource.table.column_names), strict=True)
