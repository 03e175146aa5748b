"""Compares what Gong lists in a window with the rows held, and marks the calls that Gong no longer lists."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gong_source.resources.declare import CALL_ARRIVALS, CALL_WINDOWS, CALLS, LOAD_ID_COLUMN
from gong_source.runs.verify.narrow import is_mass
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from gong_source.api.fetch import WalkedWindow
    from gong_source.rows import Batch
    from gong_source.warehouse.warehouse import Warehouse
    from gong_source.windows import Window

Outcome = Literal["differs", "repaired", "refused", "unsettled"]

_NAMES = [column.name for column in CALLS.columns]
_CALL_TIME = _NAMES.index("call_time")
_DELETED_AT = _NAMES.index("deleted_at")
_TIMES = (_NAMES.index("scheduled"), _NAMES.index("started"))
# What a redacted row keeps: enough to count it, nothing of what was said or by whom.
_KEPT_WHEN_REDACTED = {"id", "workspace_id", "call_time", "deleted_at"}
_IDS_PER_STATEMENT = 1000

_Row = tuple[Any, ...]
# A window, and a UTC date in it.
_Place = tuple["Window", str]


@dataclass(slots=True)
class Difference:
    """A window in which Gong and the warehouse differ.

    `gong` and `held` are the two counts. `missing`: listed by Gong and not held; `changed`: held otherwise than listed;
    `surplus`: held and no longer listed; `unsettled`: counted by Gong and not listed yet.
    """

    window: Window
    gong: int
    held: int
    missing: int = 0
    changed: int = 0
    surplus: int = 0
    unsettled: int = 0
    outcome: Outcome = "differs"

    def as_json(self) -> dict[str, Any]:
        """The difference as JSON's types, times in RFC 3339."""
        names = ("gong", "held", "missing", "changed", "surplus", "unsettled", "outcome")
        window = {"from": iso(self.window.start), "to": iso(self.window.end)}
        return window | {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class Comparison:
    """Compares walked windows with the rows held, and keeps what differs.

    `windows` are those that differ, or are unsettled; `reached` is the end of the last one compared.
    """

    warehouse: Warehouse
    workspace_id: str | None
    repair: bool
    windows: list[Difference] = field(default_factory=list)
    reached: datetime | None = None
    _gone: dict[str, _Place] = field(default_factory=dict)
    _held: Counter[_Place] = field(default_factory=Counter)
    _elsewhere: set[str] = field(default_factory=set)

    def compare(self, walked: WalkedWindow[Batch]) -> bool:
        """Whether the window is to be loaded, for a repair; to be asked before it is.

        Of calls held twice the repair removes every row, as no load can, for the load to bring back one.
        """
        window = walked.window
        listed = {row[0]: row for part in walked.parts for row in _rows_of(part)}
        within = self._within(window)
        held = {row[0]: row for row in within}
        outside = self._by_id([call_id for call_id in listed if call_id not in held])
        self._elsewhere.update(outside)
        self._elsewhere.update(call_id for call_id, row in listed.items() if row[_CALL_TIME] not in window)
        known = held | outside
        found = Difference(
            window,
            gong=len(listed) if walked.total is None else walked.total,
            held=sum(row[_DELETED_AT] is None for row in within),
            unsettled=max(0, (walked.total or 0) - len(listed)),
        )
        for call_id, row in listed.items():
            if call_id not in known or known[call_id][_DELETED_AT] is not None:
                found.missing += 1
            elif _differ(row, known[call_id], window):
                found.changed += 1
        places = {i: (window, iso(row[_CALL_TIME])[:10]) for i, row in held.items() if row[_DELETED_AT] is None}
        gone = {i: place for i, place in places.items() if i not in listed}
        twice = [i for i, count in Counter(row[0] for row in within).items() if count > 1 and i in listed]
        found.changed += len(twice)
        if self.repair:
            _remove_rows(self.warehouse, twice)
        self.reached = window.end
        self._gone.update(gone)
        self._held.update(places.values())
        if found.missing or found.changed or gone or found.unsettled:
            self.windows.append(found)
        return self.repair and bool(found.missing or found.changed or (gone and not found.unsettled))

    def settle(self, share: float) -> dict[str, Window]:
        """The calls that Gong no longer lists, and may be marked so; to be asked after the last window compared.

        Fills in `surplus` and `outcome` of each window. In an unsettled window a call may be away for a while only: of
        more calls than are unsettled some are gone, but which ones shows later. Where more than `share` of a window, or
        of a day in it, is gone a person has to say that it is.
        """
        places = {i: place for i, place in self._gone.items() if i not in self._elsewhere}
        gone = {i: window for i, (window, _) in places.items()}
        counts = Counter(gone.values())
        by_day = Counter(places.values())
        masses = {place[0] for place, count in by_day.items() if is_mass(count, self._held[place], share)}
        for found in self.windows:
            found.surplus = counts[found.window]
            if found.surplus <= found.unsettled and found.unsettled and not (found.missing or found.changed):
                found.outcome = "unsettled"
            elif found.window in masses or is_mass(found.surplus, found.held, share):
                found.outcome = "refused"
        self.windows = [w for w in self.windows if w.missing or w.changed or w.surplus or w.unsettled]
        unsettled = {found.window for found in self.windows if found.unsettled}
        return {i: window for i, window in gone.items() if window not in unsettled}

    def _within(self, window: Window) -> list[_Row]:
        sql = f"select {', '.join(_NAMES)} from {{dataset}}.calls where call_time >= %s and call_time < %s"
        parameters: list[Any] = [window.start, window.end]
        if self.workspace_id is not None:
            sql, parameters = f"{sql} and workspace_id = %s", [*parameters, self.workspace_id]
        return self.warehouse.query(sql, *parameters)

    def _by_id(self, ids: Sequence[str]) -> dict[str, _Row]:
        found: dict[str, _Row] = {}
        for some in _batches(ids):
            sql = f"select {', '.join(_NAMES)} from {{dataset}}.calls where id in ({_marks(some)})"
            found |= {row[0]: row for row in self.warehouse.query(sql, *some)}
        return found


def _rows_of(part: Batch) -> Iterable[_Row]:
    return zip(*(part.table.column(name).to_pylist() for name in _NAMES), strict=True)


def _differ(listed: _Row, held: _Row, window: Window) -> bool:
    if listed == held:
        return False
    if all(listed[at] is None for at in _TIMES) and held[_CALL_TIME] is not None and held[_CALL_TIME] in window:
        # only the window that lists such a call tells its time
        held = (*held[:_CALL_TIME], listed[_CALL_TIME], *held[_CALL_TIME + 1 :])
    return listed != held


def mark_deleted(warehouse: Warehouse, ids: Iterable[str], moment: datetime) -> None:
    """Sets `deleted_at` of these calls to `moment`, where it is null, as a change by the latest load."""
    latest = f"(select max({LOAD_ID_COLUMN}) from {{dataset}}.{CALL_WINDOWS.name})"
    for some in _batches(list(ids)):
        warehouse.execute(
            f"update {{dataset}}.calls set deleted_at = %s, {LOAD_ID_COLUMN} = {latest}"
            f" where deleted_at is null and id in ({_marks(some)})",
            moment,
            *some,
        )


def _remove_rows(warehouse: Warehouse, ids: Sequence[str]) -> None:
    for some in _batches(ids):
        warehouse.execute(f"delete from {{dataset}}.calls where id in ({_marks(some)})", *some)


def apply_policy(warehouse: Warehouse, deleted_calls: str) -> None:
    """Removes the rows of deleted calls, or empties their content, or keeps them."""
    if deleted_calls == "remove":
        warehouse.execute("delete from {dataset}.calls where deleted_at is not null")
        known = warehouse.query(f"select count(*) from {{dataset}}.{CALL_ARRIVALS.name}")
        if known:
            warehouse.execute(
                f"delete from {{dataset}}.{CALL_ARRIVALS.name} where id not in (select id from {{dataset}}.calls)"
            )
    elif deleted_calls == "redact":
        emptied = [name for name in _NAMES if name not in _KEPT_WHEN_REDACTED]
        warehouse.execute(
            f"update {{dataset}}.calls set {', '.join(f'{name} = null' for name in emptied)}"
            f" where deleted_at is not null and ({' or '.join(f'{name} is not null' for name in emptied)})"
        )


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), _IDS_PER_STATEMENT):
        yield ids[at : at + _IDS_PER_STATEMENT]


def _marks(values: Sequence[str]) -> str:
    return ", ".join(["%s"] * len(values))
