"""Reads the ledger: which windows and snapshots were fetched, and by which runs.

dlt loads one table after the other, so a crash can leave ledger rows whose records are missing. Only the rows of
completely loaded packages count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gong_source.resources import ways_to_list
from gong_source.resources.bookkeeping import FETCHED_WINDOWS
from gong_source.resources.declare import LOAD_ID_COLUMN
from gong_source.windows import (
    Coverage,
    Window,
    days_before,
    hours_after,
    intersect,
    subtract,
    union,
    utc,
    whole_second,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from gong_source.resources.declare import Resource
    from gong_source.warehouse.warehouse import Warehouse

# The packages that were loaded completely, and below the ledger's rows in them. After a crash at just that moment, dlt
# records a load twice.
LOADS = """
    (select load_id, min(inserted_at) as inserted_at from {dataset}._dlt_loads where status = 0 group by load_id)
"""
LOADED = f"""
    {{dataset}}.{FETCHED_WINDOWS.name} as fetched
    join {LOADS} as loaded on loaded.load_id = fetched.{LOAD_ID_COLUMN}
"""
_WINDOWS = f"""
    select window_start, window_end, mode, settled, fetched_at, watermark, workspace_id, endpoint
    from {LOADED} where resource = %s and window_start is not null order by fetched_at, loaded.load_id
"""
_LAST_READ = f"select max(fetched_at) from {LOADED} where resource = %s and window_start is null"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger: a fetched window."""

    window: Window
    mode: str
    settled: bool
    fetched_at: datetime
    watermark: datetime | None
    workspace_id: str | None
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger's rows, oldest fetch first. For one workspace: the rows that named it, or that named none.

    `endpoint` is the one that lists the records now; empty: no matter which. Another one may use the other of the two
    times of a call. With `own_only`, what another endpoint has listed does not count as fetched.
    """

    entries: tuple[Entry, ...]
    endpoint: str = ""
    own_only: bool = False

    def listed_as(self, resource: Resource) -> Resource:
        """The resource as it was listed last: with details, or without."""
        last = self.entries[-1].endpoint if self.entries else None
        return next((way for way in ways_to_list(resource) if str(way.endpoint) == last), resource)

    def of(self, resource: Resource) -> Ledger:
        """The ledger as it counts for the endpoint of `resource`.

        What another endpoint has listed counts too, unless `resource` is to be read from this one for its content.
        """
        return Ledger(self.entries, str(resource.endpoint), own_only=resource.fallback is not None)

    @property
    def covered(self) -> list[Window]:
        """The time that has been fetched, as disjoint windows in order."""
        return union(entry.window for entry in self._counted)

    @property
    def comparable(self) -> list[Window]:
        """The time in which a stored record that this endpoint does not list is gone.

        An empty list, if another endpoint was the last to list: a record near an end may be filed by the other of its
        two times.
        """
        return [] if self._has_changed else union(entry.window for entry in self.entries if self._is_own(entry))

    def times_covered(self, window: Window, since: datetime) -> int:
        """How many times all of `window` has been fetched at or after `since`: the lesser number of its two ends.

        Windows are fetched in time order, so a fetch that was cut off has not reached the end.
        """
        recent = [entry.window for entry in self._counted if entry.fetched_at >= since]
        ends = (window.start, days_before(window.end, 0.001))
        return min(sum(end in fetched for fetched in recent) for end in ends)

    def widened(self, windows: Sequence[Window], end: datetime) -> list[Window]:
        """`windows`, each a day longer at both ends (up to `end`) where the last to list was another endpoint.

        A call near an end may lie outside by the time that this endpoint uses.
        """
        if all(map(self._is_own, self.entries)):
            return list(windows)
        own = self.comparable
        return union(
            window
            if intersect([window], own)
            else Window(days_before(window.start, 1), max(window.end, min(end, hours_after(window.end, 24))))
            for window in windows
        )

    @property
    def _has_changed(self) -> bool:
        return bool(self.entries) and not self._is_own(self.entries[-1])

    @property
    def _counted(self) -> Sequence[Entry]:
        return [entry for entry in self.entries if self._is_own(entry)] if self.own_only else self.entries

    def _is_own(self, entry: Entry) -> bool:
        return not self.endpoint or entry.endpoint == self.endpoint

    @property
    def watermark(self) -> datetime | None:
        """Covered up to this time by syncs."""
        return max((entry.watermark for entry in self.entries if entry.watermark is not None), default=None)

    @property
    def sync_start(self) -> datetime | None:
        """From which time on syncs load. None before the first one.

        An interrupted first sync may have loaded only later windows; its watermark is still at the start then. A window
        that a backfill loaded first does not count, also where a sync has fetched it again.
        """
        covered = Coverage()
        starts: list[datetime] = []
        for entry in self.entries:
            added = covered.add(entry.window)
            if entry.mode == "sync":
                starts += [window.start for window in added]
                starts += [entry.watermark] if entry.watermark is not None else []
        return min(starts, default=None)

    @property
    def synced_to(self) -> datetime | None:
        """The end of the last window that a sync has fetched. A window before it may have failed."""
        return max((entry.window.end for entry in self._counted if entry.mode == "sync"), default=None)

    @property
    def unsettled(self) -> list[Window]:
        """The windows in which Gong was still processing records when they were last fetched."""
        return self._not_fetched_since(lambda entry: None if entry.settled else entry.window)

    def unsettled_since(self, moment: datetime) -> list[Window]:
        """The unsettled windows that were first found unsettled at or after `moment`."""
        old = union(entry.window for entry in self._counted if not entry.settled and entry.fetched_at < moment)
        return subtract(self.unsettled, old)

    def fetched_early(self, lookback_days: float) -> list[Window]:
        """The time that was last fetched less than `lookback_days` after it: records may have appeared there since."""
        last_sync = self.synced_to

        def early(entry: Entry) -> Window | None:
            fetched_at = entry.fetched_at
            if last_sync is not None and last_sync > days_before(fetched_at, lookback_days):
                fetched_at = min(fetched_at, last_sync)  # a sync looks back from the moment at which the last one began
            since = max(days_before(fetched_at, lookback_days), entry.window.start)
            return Window(since, entry.window.end) if since < entry.window.end else None

        return self._not_fetched_since(early)

    def _not_fetched_since(self, part_of: Callable[[Entry], Window | None]) -> list[Window]:
        """The windows that `part_of` gives for each entry, without the time that later entries fetched again."""
        opened: list[Window] = []
        later = Coverage()
        for entry in reversed(self._counted):
            last_fetched = later.add(entry.window)
            if last_fetched and (window := part_of(entry)) is not None:
                opened += intersect([window], last_fetched)
        return union(opened)


def read_ledger(warehouse: Warehouse, resource: Resource, workspace_id: str | None) -> Ledger:
    """The ledger of a windowed resource, for `workspace_id`, or for runs over all workspaces if that is None."""
    entries = (_entry(row) for row in warehouse.query(_WINDOWS, resource.name))
    return Ledger(tuple(entry for entry in entries if entry.workspace_id in {None, workspace_id})).of(resource)


def last_read(warehouse: Warehouse, resource: Resource) -> datetime | None:
    """When the last snapshot of `resource` was read, or Gong was last asked for it by call id, UTC; None: never.

    Only what has been loaded counts.
    """
    found = warehouse.query(_LAST_READ, resource.name)
    return utc(found[0][0]) if found and found[0][0] is not None else None


def workspaces(warehouse: Warehouse, resource: Resource) -> list[str]:
    """The workspaces that runs have named for a resource."""
    found = warehouse.query(
        f"select distinct workspace_id from {LOADED} where workspace_id is not null and resource = %s order by 1",
        resource.name,
    )
    return [str(workspace) for (workspace,) in found]


def _entry(row: tuple[Any, ...]) -> Entry:
    start, end, mode, settled, fetched_at, watermark, workspace_id, endpoint = row
    reached = None if watermark is None else utc(watermark)
    window = Window(utc(start), utc(end))
    fetched = whole_second(utc(fetched_at))
    return Entry(window, mode, bool(settled), fetched, reached, workspace_id, endpoint or "")
