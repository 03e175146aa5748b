"""What the ledger in the warehouse knows: which time is covered, by whom, and what it cost.

Only rows whose dlt package was loaded to its end count: calls and ledger are two tables, merged one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gong_source.tables import CALL_WINDOWS, LOAD_ID_COLUMN
from gong_source.windows import Window, now, subtract, union, utc

if TYPE_CHECKING:
    from datetime import datetime

    from gong_source.runs.pipeline import Warehouse

_WALKED = f"""
    select window_start, window_end, mode, settled, fetched_at, requests, watermark, workspace_id
    from {{dataset}}.{CALL_WINDOWS.name} as walked
    join {{dataset}}._dlt_loads as loaded on loaded.load_id = walked.{LOAD_ID_COLUMN} and loaded.status = 0
    order by fetched_at
"""


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
        """Where the coverage by syncs begins."""
        return min((entry.window.start for entry in self.entries if entry.mode == "sync"), default=None)

    @property
    def unsettled(self) -> list[Window]:
        """The windows in which Gong was still processing calls when they were last asked for."""
        open_windows: list[Window] = []
        for entry in self.entries:
            open_windows = subtract(open_windows, [entry.window])
            if not entry.settled:
                open_windows = union([*open_windows, entry.window])
        return open_windows

    def unsettled_since(self, moment: datetime) -> list[Window]:
        """The unsettled windows that were first found so at or after `moment`."""
        old = union(entry.window for entry in self.entries if not entry.settled and entry.fetched_at < moment)
        return subtract(self.unsettled, old)

    def requests_since(self, moment: datetime) -> int:
        """Requests of the windows walked at or after `moment`."""
        return sum(entry.requests for entry in self.entries if entry.fetched_at >= moment)


def read_ledger(warehouse: Warehouse, workspace_id: str | None) -> Ledger:
    """The ledger of `workspace_id`, or of runs over all workspaces if that is None."""
    entries = (_entry(row) for row in warehouse.query(_WALKED))
    return Ledger(tuple(entry for entry in entries if entry.workspace_id in {None, workspace_id}))


def requests_today(warehouse: Warehouse) -> int:
    """Requests that all runs into this dataset sent on the current UTC day."""
    midnight = now().replace(hour=0, minute=0, second=0)
    return Ledger(tuple(_entry(row) for row in warehouse.query(_WALKED))).requests_since(midnight)


def _entry(row: tuple[Any, ...]) -> Entry:
    start, end, mode, settled, fetched_at, requests, watermark, workspace_id = row
    reached = None if watermark is None else utc(watermark)
    window = Window(utc(start), utc(end))
    return Entry(window, mode, bool(settled), utc(fetched_at), int(requests), reached, workspace_id)
