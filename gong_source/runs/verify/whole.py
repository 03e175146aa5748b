"""Verifies a resource that Gong only lists whole: reads the list, compares every record, and loads it if asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gong_source.packages.snapshot_package import SnapshotPackage, read_snapshot, refuse_strangers
from gong_source.packages.sources import snapshot_source
from gong_source.runs.verification import Difference
from gong_source.stored.query import rows_where

if TYPE_CHECKING:
    from gong_source.resources.declare import Resource
    from gong_source.runs.run import Run
    from gong_source.runs.verification import Verification
    from gong_source.runs.verify.windowed import Terms


def verify_whole(run: Run, resource: Resource, result: Verification, terms: Terms) -> None:
    """Compares each record that Gong lists with its row and, in a repair, loads the list and marks deleted records.

    Raises what requests and loads raise.
    """
    snapshot = read_snapshot(run.client, resource, run.settings.privacy)
    (key,) = resource.table.primary_key
    stored = {row[key]: row for row in rows_where(run.warehouse.query, resource.table, "deleted_at is null")}
    refuse_strangers(snapshot, [*stored.values()])
    listed = {row[key]: row for row in snapshot.table.to_pylist()}
    total = len(listed) if snapshot.total is None else snapshot.total
    result.listed, result.stored = total, len(stored)
    found = Difference(
        resource.name,
        None,
        listed=total,
        stored=len(stored),
        missing=sum(record_id not in stored for record_id in listed),
        changed=sum(record_id in stored and row != stored[record_id] for record_id, row in listed.items()),
        surplus=sum(record_id not in listed for record_id in stored),
        unsettled=max(0, total - len(listed)),
    )
    if not (found.missing or found.changed or found.surplus or found.unsettled):
        return
    result.windows.append(found)
    if not (found.missing or found.changed or found.surplus > found.unsettled):
        found.outcome = "unsettled"
        return
    package = SnapshotPackage(snapshot, run.warehouse.query, "repair", terms.share)
    if terms.repair:
        run.warehouse.load(snapshot_source(package))
        found.outcome = "refused" if package.refused else "repaired"
        result.marked_deleted = package.marked_deleted
        result.received, result.rewritten = len(listed), found.missing + found.changed
    elif package.would_refuse(found.surplus, found.stored):
        found.outcome = "refused"
