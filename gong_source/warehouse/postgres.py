"""Postgres: loads by ADBC, an advisory lock against other machines, indexes and comments.

Parquet by ADBC is the only fast way into Postgres that distinguishes empty text from null (dlt's csv does not). But dlt
1.31 gives a file without rows to ADBC as no batch at all, and ADBC refuses that. So an empty first load would fail.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from dlt.destinations import postgres
from dlt.destinations.impl.postgres.postgres import PostgresClient
from dlt.destinations.job_impl import FinalizedLoadJobWithFollowupJobs

from gong_source.errors import DestinationFailed
from gong_source.warehouse.comments import read_comments, write_comments
from gong_source.warehouse.destination import Destination
from gong_source.warehouse.lock import host_name, locked_by
from gong_source.warehouse.make_views import write_views
from gong_source.warehouse.resolved_once import ResolvedOnce
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import dlt
    from dlt.common.destination.client import LoadJob
    from dlt.common.destination.typing import PreparedTableSchema

    from gong_source.resources.declare import Table
    from gong_source.warehouse.views import LocalView

_OLDEST = 150_000  # Postgres 15 is the first version with MERGE
# pg_locks shows the 64 bits of a key as two unsigned halves.
_ADVISORY_HOLDER = """
    select activity.application_name, activity.backend_start
    from pg_locks as held join pg_stat_activity as activity on activity.pid = held.pid
    where held.locktype = 'advisory' and held.objsubid = 1 and held.granted
      and held.database = (select oid from pg_database where datname = current_database())
      and (held.classid::bigint << 32) | held.objid::bigint = %s
"""
_COMMENTS = """
    select n.nspname as schema_name, t.relname as table_name, null as column_name,
      obj_description(t.oid, 'pg_class') as text
    from pg_class as t join pg_namespace as n on n.oid = t.relnamespace where t.relkind in ('r', 'p', 'v', 'm', 'f')
    union all
    select n.nspname, t.relname, a.attname, col_description(t.oid, a.attnum)
    from pg_class as t join pg_namespace as n on n.oid = t.relnamespace
    join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0
"""


class Postgres(ResolvedOnce, postgres):
    """dlt's destination `postgres`."""

    @property
    def client_class(self) -> type[PostgresClient]:
        """The client of this destination."""
        return _Client


class _Client(PostgresClient):
    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """The job that loads the file; a file without rows needs none."""
        if file_path.endswith(".parquet") and pq.read_metadata(file_path).num_rows == 0:
            return FinalizedLoadJobWithFollowupJobs.from_file_path(file_path)
        return super().create_load_job(table, file_path, load_id, restore)


@contextmanager
def advisory_lock(connection: Any, name: str, *, dataset: str, command: str) -> Iterator[Callable[[], None]]:
    """Holds the Postgres advisory lock `name` for the block, against other machines.

    Postgres releases the lock with `connection`, a connection of psycopg2 in autocommit. Yields a function that raises
    if the lock was lost.
    """
    key = int.from_bytes(hashlib.sha256(f"gong_source {name}".encode()).digest()[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("set application_name = %s", (f"gong-source {command}, PID {os.getpid()} on {host_name()}",))
        cursor.execute("set tcp_keepalives_idle = 60")  # a chunk takes longer than firewalls allow idle connections
        cursor.execute("select pg_try_advisory_lock(%s)", (key,))
        if not cursor.fetchone()[0]:
            cursor.execute(_ADVISORY_HOLDER, (key,))
            holder, since = cursor.fetchone() or ("another run", None)
            raise locked_by(dataset, f"{holder} (since {iso(since)})" if since else holder)

    def confirm() -> None:
        with connection.cursor() as cursor:
            cursor.execute("select 1")

    yield confirm


@contextmanager
def _lock(pipeline: dlt.Pipeline, dataset: str, command: str) -> Iterator[Callable[[], None]]:
    with pipeline.sql_client() as client:
        connection: Any = client.native_connection  # dlt's client would connect again, without the lock
        if connection.server_version < _OLDEST:
            raise DestinationFailed(
                f"{dataset}: Postgres {connection.server_version // 10_000} is too old; 15 or later is needed"
            )
        with advisory_lock(connection, client.dataset_name, dataset=dataset, command=command) as confirm:
            yield confirm


def _finish(client: Any, tables: Sequence[Table], views: Sequence[LocalView]) -> None:
    _index(client, tables)
    found = read_comments(client, _COMMENTS)
    write_comments(client, tables, found)
    write_views(client, views, found)


def _index(client: Any, tables: Sequence[Table]) -> None:
    """Creates indexes: a merge stays fast in a million rows, and no key can be there twice."""
    for table in tables:
        name, key = client.make_qualified_table_name(table.name), ", ".join(table.primary_key)
        client.execute_sql(f"create unique index if not exists {table.name}_key on {name} ({key})")
        if table.time_column:
            index = f"{table.name}_{table.time_column}"
            client.execute_sql(f"create index if not exists {index} on {name} ({table.time_column})")


DESTINATION = Destination(
    "postgres",
    drivers=("psycopg2", "adbc_driver_manager", "adbc_driver_postgresql"),
    setting="{}=postgresql://user:password@host:5432/database",
    keeps="Postgres keeps the bytes of deleted rows until VACUUM, and in its archived log.",
    build=lambda _write: Postgres(destination_name="postgres"),
    place=lambda config: str(config.data_location()),
    lock=_lock,
    finish=_finish,
)
