"""BigQuery: a lease against other machines, partitions and descriptions."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dlt
from dlt.destinations.exceptions import DatabaseException

from gong_source.errors import DestinationFailed
from gong_source.resources import RESOURCES
from gong_source.resources.bookkeeping import BOOKKEEPING
from gong_source.warehouse.destination import Destination
from gong_source.warehouse.lock import host_name, locked_by
from gong_source.warehouse.make_views import to_make, warn
from gong_source.windows import iso, now, seconds_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dlt.extract import DltSource

    from gong_source.resources.declare import Table
    from gong_source.warehouse.views import LocalView

logger = logging.getLogger(__name__)

_LEASE_TABLE = "_gong_source_lock"
# dlt's bigquery_adapter sets it too, but then removes the hints of all columns.
_DESCRIPTION = "x-bigquery-table-description"


@contextmanager
def lease(
    pipeline: dlt.Pipeline, dataset: str, command: str, *, seconds: float = 300.0, renewal_seconds: float = 60.0
) -> Iterator[Callable[[], None]]:
    """Holds a lease in the BigQuery dataset for the block, against other machines.

    The lease is an empty table that expires. BigQuery creates a table only once, and changes a table only for a client
    that has seen its last state. A killed run blocks others for `seconds`. A run that cannot renew for so long loses
    its lease. Yields a function that raises if the lease was lost.
    """
    with pipeline.sql_client() as client:
        if not client.has_dataset():
            pipeline.sync_destination()  # dlt forgets a dropped dataset only while it is missing
            _create_dataset(client)
        holder = f"gong-source {command}, PID {os.getpid()} on {host_name()}, since {iso(now())}"
        name = client.make_qualified_table_name(_LEASE_TABLE, quote=False)
        held = _Lease(client.native_connection, name, dataset, holder, seconds, renewal_seconds)
        try:
            yield held.confirm
        finally:
            held.release()


def _create_dataset(client: Any) -> None:
    try:
        client.create_dataset()
    except DatabaseException:
        if not client.has_dataset():  # otherwise another machine was faster
            raise


class _Lease:
    """A lease taken, and renewed by a thread until `release`."""

    def __init__(
        self, connection: Any, name: str, dataset: str, holder: str, seconds: float, renewal_seconds: float
    ) -> None:
        from google.cloud.bigquery import DEFAULT_RETRY

        self._connection = connection
        self._name = name
        self._dataset = dataset
        self._seconds = seconds
        self._renewal_seconds = renewal_seconds
        # Google's client would retry for ten minutes; that must end before the next renewal is due.
        self._patience = {"retry": DEFAULT_RETRY.with_timeout(renewal_seconds / 2), "timeout": renewal_seconds / 2}
        self._lost = False
        self._until = seconds_after(now(), seconds)
        self._released = threading.Event()
        self._table = self._take(holder)
        self._renewals = threading.Thread(target=self._renew, name="gong-source lease", daemon=True)
        self._renewals.start()

    def _take(self, holder: str) -> Any:
        from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed
        from google.cloud.bigquery import Table

        table = Table(self._name)
        table.description, table.expires = holder, self._until
        try:
            return self._connection.create_table(table, **self._patience)
        except Conflict:
            logger.debug("the lease exists")
        try:
            table = self._connection.get_table(self._name, **self._patience)
            if table.expires is None or table.expires > now():
                until = f" (if that run died, its lease ends at {iso(table.expires)})" if table.expires else ""
                raise locked_by(self._dataset, f"{table.description or 'another run'}{until}")
            table.description, table.expires = holder, self._until
            return self._connection.update_table(table, ["description", "expires"], **self._patience)
        except (NotFound, PreconditionFailed):
            raise locked_by(self._dataset, "another run") from None

    def _renew(self) -> None:
        from google.api_core.exceptions import GoogleAPIError, NotFound, PreconditionFailed

        while not self._released.wait(self._renewal_seconds):
            until = seconds_after(now(), self._seconds)
            try:
                self._table.expires = until
                self._table = self._connection.update_table(self._table, ["expires"], **self._patience)
                self._until = until
            except (NotFound, PreconditionFailed):
                self._lost = True
                return
            except (GoogleAPIError, OSError) as error:
                logger.warning("the lease on %s was not renewed: %s", self._dataset, error)

    def _is_lost(self) -> bool:
        return self._lost or self._until <= now()

    def confirm(self) -> None:
        if self._is_lost():
            raise DestinationFailed(f"the lease on {self._dataset} was lost. Run the command again; no data is lost")

    def release(self) -> None:
        from google.api_core.exceptions import GoogleAPIError

        self._released.set()
        self._renewals.join()
        if self._is_lost():  # it may belong to another run by now
            return
        try:
            self._connection.delete_table(self._name, not_found_ok=True, **self._patience)
        except (GoogleAPIError, OSError) as error:
            logger.warning("the lease on %s ends by itself at %s: %s", self._dataset, iso(self._until), error)


def _describe(source: DltSource) -> None:
    """Partitions tables by the day of their time, and describes them; dlt does both only when it creates a table."""
    for name, dlt_resource in source.resources.items():
        resource = RESOURCES[name]
        sharing = [other for other in RESOURCES.values() if other.endpoint == resource.endpoint]
        tables = dict.fromkeys(table for other in sharing for table in other.tables)
        dlt_resource.apply_hints(**_hints(resource.table))
        for table in (*tables, *BOOKKEEPING):
            if table is not resource.table:
                dlt_resource.apply_hints(table_name=table.name, create_table_variant=True, **_hints(table))


def _hints(table: Table) -> dict[str, Any]:
    """What BigQuery needs to know of a table beyond its columns; the keys are those of dlt's `bigquery_adapter`."""
    hints: dict[str, Any] = {"additional_table_hints": {_DESCRIPTION: table.description}}
    if table.time_column:
        hints["additional_table_hints"]["x-bigquery-cluster-columns"] = list(table.cluster_columns)
        clustered = {name: {"name": name, "x-bigquery-cluster": True} for name in table.cluster_columns}
        by_day = {"name": table.time_column, "x-bigquery-partition": True}
        hints["columns"] = clustered | {table.time_column: by_day}
    return hints


def _finish(client: Any, _tables: Sequence[Table], views: Sequence[LocalView]) -> None:
    """Makes the views that are missing or differ."""
    from google.api_core.exceptions import NotFound

    for view in views:
        name = client.make_qualified_table_name(view.name, quote=False)
        try:
            found = client.native_connection.get_table(name)
        except NotFound:
            found = None
        if to_make(view, found is not None, found and found.description):
            try:
                _make_view(client, name, found, view)
            except Exception as error:  # noqa: BLE001 - whatever BigQuery says, the tables are loaded
                warn(view, error)


def _make_view(client: Any, name: str, found: Any, view: LocalView) -> None:
    """Makes the view, or changes the one that was found, and describes its columns."""
    from google.cloud import bigquery

    connection, table = client.native_connection, found or bigquery.Table(name)
    table.view_query, table.description = view.select(client), view.description
    if found:
        connection.update_table(table, ["view_query", "description"])
    else:
        connection.create_table(table)
    made = connection.get_table(name)
    columns = view.view.columns
    if made.schema:  # an emulator gives none
        made.schema = [
            bigquery.SchemaField(field.name, field.field_type, field.mode, columns[field.name]) for field in made.schema
        ]
        connection.update_table(made, ["schema"])


def _place(config: Any) -> str:
    project = config.project_id or config.credentials.project_id
    return f"{project}:{config.data_location()}"


DESTINATION = Destination(
    "bigquery",
    drivers=("google.cloud.bigquery",),
    setting="{}=<the service account's JSON>, or GOOGLE_APPLICATION_CREDENTIALS=<its file>",
    # By attribute: by name, dlt would first look into a module called like the current folder.
    keeps="BigQuery keeps the history of its tables for up to 7 days of time travel and 7 days of fail-safe.",
    build=lambda _write: dlt.destinations.bigquery(),
    place=_place,
    lock=lease,
    adapt=_describe,
    finish=_finish,
)
