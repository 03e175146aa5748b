"""Loads a list that Gong only gives whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gong_source.errors import ConfigurationError, QuotaExhausted, RecordError, RequestFailed, RunStopped
from gong_source.packages.snapshot_package import SnapshotPackage, is_due, read_snapshot
from gong_source.packages.sources import snapshot_source
from gong_source.runs.load import BEGUN_EMPTY, rows_changed
from gong_source.runs.results import ResourceResult
from gong_source.stored.deletions import refusal
from gong_source.warehouse.ledger import last_read
from gong_source.windows import hours_after

if TYPE_CHECKING:
    from gong_source.resources.declare import Resource
    from gong_source.runs.run import Run


def load_snapshot(run: Run, resource: Resource) -> ResourceResult:
    """Reads `resource` whole and loads it, unless the last snapshot is recent enough.

    Raises only what loading raises.
    """
    result = ResourceResult(resource.name)
    hours = run.settings.snapshot_hours
    last = last_read(run.warehouse, resource)
    if last is not None and not is_due(last, hours):
        result.not_due_until = hours_after(last, hours)
        return result
    try:
        snapshot = read_snapshot(run.client, resource, run.settings.privacy)
    except (ConfigurationError, RequestFailed, QuotaExhausted, RunStopped, RecordError) as cause:
        result.end_with(cause)
        return result
    share = run.settings.max_deleted_share
    package = SnapshotPackage(snapshot, run.warehouse.query, "sync", share, BEGUN_EMPTY)
    load_ids = run.warehouse.load(snapshot_source(package))
    result.changed = rows_changed(run.warehouse, resource, load_ids)
    result.received, result.unmapped = len(snapshot.ids), snapshot.unmapped
    result.marked_deleted = package.marked_deleted
    if not snapshot.settled:
        run.note(
            f"Gong counts {resource.count(snapshot.total or 0)} and lists {len(snapshot.ids):,}: it still processes"
            " some, so none is marked as deleted"
        )
    if package.refused:
        result.refusal = refusal(resource, package.gone, package.stored)
        result.take_refusal()
    return result
