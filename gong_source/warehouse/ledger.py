"""What the ledger in the warehouse knows: which time is covered, by whom, and what it cost.

Only rows whose dlt package was loaded to its end count: calls and ledger are two tables, merged one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gong_source.resources.declare import CALL_WINDOWS, LOAD_ID_COLUMN, VERIFICATIONS
from gong_source.windows import Coverage, Window, days_before, intersect, now, subtract, union, utc

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gong_source.warehouse.warehouse import Warehouse

# The packages that were loaded to their end; dlt tells twice of one that a kill ended in just that moment.
LOADS = """
    (select load_id, min(inserted_at) as inserted_at from {dataset}._dlt_loads where status = 0 group by load_id)
"""
_LOADED = f"""
    {{dataset}}.{CALL_WINDOWS.name} as walked join {LOADS} as loaded on loaded.load_id = walked.{LOAD_ID_COLUMN}
"""
_WALKED = f"""
    select window_start, window_end, mode, settled, fetched_at, requests, watermark, workspace_id
    from {_LOADED} order by fetched_at, loaded.load_id
"""
# a verification counts the windows of its repair in
_SENT_BY_LOADS = f"select sum(requests) from {_LOADED} where fetched_at >= %s and mode <> 'repair'"
_SENT_BY_VERIFICATIONS = f"select sum(requests) from {{dataset}}.{VERIFICATIONS.name} where started_at >= %s"


@dataclass(frozen=True, slots=True)
class Entry:
    """One walked window of the ledger."""

    window: Window
    mode: str
    settled: bool
    fetched_at: datetime
    requests: int
    watermark: datetime | None
    workspace_id: str | None


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger's rows, oldest walk first; of one workspace: those that asked for it or for all."""

    entries: tuple[Entry, ...]

    @property
    def covered(self) -> list[Window]:
        """The time that has been asked for, as disjoint windows in order."""
        return union(entry.window for entry in self.entries)

    @property
    def watermark(self) -> datetime | None:
        """Covered up to this time by syncs."""
        return max((entry.watermark for entry in self.entries if entry.watermark is not None), default=None)

    @property
    def sync_start(self) -> datetime | None:
        """Where the coverage by syncs begins, or is to: a first sync cut short may have loaded later windows only.

        The watermark stands at the start until the first window is loaded.
        """
        starts = [min(e.window.start, e.watermark or e.window.start) for e in self.entries if e.mode == "sync"]
        return min(starts, default=None)

    @property
    def unsettled(self) -> list[Window]:
        """The windows in which Gong was still processing calls when they were last asked for."""
        return self._last_left_open(lambda entry: None if entry.settled else entry.window)

    def unsettled_since(self, moment: datetime) -> list[Window]:
        """The unsettled windows that were first found so at or after `moment`."""
        old = union(entry.window for entry in self.entries if not entry.settled and entry.fetched_at < moment)
        return subtract(self.unsettled, old)

    def backfilled_early(self, lookback_days: float) -> list[Window]:
        """What was last asked for by another run than a sync, and less than `lookback_days` after it happened.

        Calls may have turned up there since, and no sync has come by to look back.
        """

        def early(entry: Entry) -> Window | None:
            ripe = max(days_before(entry.fetched_at, lookback_days), entry.window.start)
            return Window(ripe, entry.window.end) if entry.mode != "sync" and ripe < entry.window.end else None

        return self._last_left_open(early)

    def _last_left_open(self, opened_by: Callable[[Entry], Window | None]) -> list[Window]:
        """What `opened_by` tells of each entry, less what later entries asked for again."""
        opened: list[Window] = []
        later = Coverage()
        for entry in reversed(self.entries):
            last_asked = later.add(entry.window)
            if last_asked and (window := opened_by(entry)) is not None:
                opened += intersect([window], last_asked)
        return union(opened)


def read_ledger(warehouse: Warehouse, workspace_id: str | None) -> Ledger:
    """The ledger of `workspace_id`, or of runs over all workspaces if that is None."""
    entries = (_entry(row) for row in warehouse.query(_WALKED))
    return Ledger(tuple(entry for entry in entries if entry.workspace_id in {None, workspace_id}))


def workspaces(warehouse: Warehouse) -> list[str]:
    """The workspaces that runs have asked for by name."""
    found = warehouse.query(f"select distinct workspace_id from {_LOADED} where workspace_id is not null order by 1")
    return [str(workspace) for (workspace,) in found]


def requests_today(warehouse: Warehouse) -> int:
    """Requests that all runs into this dataset sent on the current UTC day."""
    midnight = now().replace(hour=0, minute=0, second=0)
    found = [row for sql in (_SENT_BY_LOADS, _SENT_BY_VERIFICATIONS) for row in warehouse.query(sql, midnight)]
    return sum(int(sent or 0) for (sent,) in found)


@dataclass(frozen=True, slots=True)
class Verified:
    """The last verification: of which range, when, and with what outcome."""

    window: Window
    at: datetime
    outcome: str
    deep: bool
    differing_windows: int


def last_verified(warehouse: Warehouse, workspace_id: str | None) -> Verified | None:
    """The last verification of `workspace_id`, or of all workspaces if that is None; None if there was none."""
    rows = warehouse.query(
        "select verified_from, verified_to, finished_at, outcome, is_deep, differing_windows, workspace_id"
        f" from {{dataset}}.{VERIFICATIONS.name} order by finished_at desc"
    )
    for start, end, at, outcome, deep, differing, workspace in rows:
        if workspace in {None, workspace_id}:
            return Verified(Window(utc(start), utc(end)), utc(at), outcome, bool(deep), int(differing))
    return None


def _entry(row: tuple[Any, ...]) -> Entry:
    start, end, mode, settled, fetched_at, requests, watermark, workspace_id = row
    reached = None if watermark is None else utc(watermark)
    window = Window(utc(start), utc(end))
    return Entry(window, mode, bool(settled), utc(fetched_at), int(requests), reached, workspace_id)
