"""Rows of our own tables that no load brings: of `runs`, one for each command that loaded or tried to."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

from gong_source.errors import GongError
from gong_source.packages.sources import rows_source
from gong_source.resources import RESOURCES
from gong_source.resources.bookkeeping import RUNS
from gong_source.runs.verification import Verification
from gong_source.stored.query import placeholders
from gong_source.version import __version__
from gong_source.windows import now_exactly

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from gong_source.resources.declare import Resource, Table
    from gong_source.runs.results import LoadResult, ResourceResult
    from gong_source.runs.verification import VerifyResult
    from gong_source.settings import GongSettings
    from gong_source.warehouse.warehouse import Warehouse

logger = logging.getLogger(__name__)


def describe_end(result: LoadResult | VerifyResult | None, error: BaseException | None) -> dict[str, Any]:
    """How a run ended, as columns of `runs`; `result` is None if it ended before there was one."""
    if error is not None:
        text = str(error) if isinstance(error, GongError) else type(error).__name__
        status, message = "failed", " ".join(text.split())
    elif result is None:
        status, message = "done", None
    else:
        status, message = str(result.status), result.message
    parts = [] if result is None else [*result.resources.values()]
    return {
        "done": ",".join(_done(parts) if error is None else []),
        "status": status,
        "message": message,
        "records": sum(part.received for part in parts),
        "changed": sum(part.rewritten if isinstance(part, Verification) else part.changed for part in parts),
    }


def _done(parts: Sequence[ResourceResult | Verification]) -> list[str]:
    """The resources that were done whole. What calls have is not, where a load could not list all calls."""
    listed = all(
        isinstance(part, Verification) or (part.status in {"done", "incomplete"} and not part.failures)
        for part in parts
        if RESOURCES[part.resource].windowed
    )
    return [part.resource for part in parts if part.status == "done" and (listed or not RESOURCES[part.resource].by_id)]


def record_run(warehouse: Warehouse, settings: GongSettings, command: str, started_at: datetime, **more: Any) -> None:
    """Adds the row of a run; `more` are its other columns. Does nothing in a dataset that has no tables of ours.

    A row that cannot be written is no reason to fail: what the run has loaded is there.
    """
    resources = settings.chosen
    row = {
        "run_id": uuid.uuid4().hex,
        "command": command,
        "resources": ",".join(resource.name for resource in resources),
        "workspace_id": settings.workspace_id,
        "started_at": started_at,
        "finished_at": now_exactly(),
        "version": __version__,
        **more,
    }
    try:
        if warehouse.known_tables():
            add_row(warehouse, resources[0], RUNS, row)
    except GongError as error:
        logger.warning("this run is not written down in the table %s: %s", RUNS.name, error)


def add_row(warehouse: Warehouse, resource: Resource, table: Table, row: Mapping[str, Any]) -> None:
    """Adds a row to one of our own tables; one that is not there yet is made, as part of `resource`."""
    if table.name in warehouse.known_tables():  # an insert costs far less than a dlt package
        values = {name: value for name, value in row.items() if value is not None}
        statement = f"insert into {{dataset}}.{table.name} ({', '.join(values)}) values ({placeholders([*values])})"
        warehouse.execute(statement, *values.values())
    else:
        warehouse.load(rows_source(resource, table, [row]))
