"""DuckLake: a catalog in SQLite or Postgres, and Parquet files in a folder or bucket."""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, cast

from dlt.destinations import ducklake
from dlt.destinations.impl.duckdb.configuration import DuckDbConnectionPool
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from dlt.destinations.impl.ducklake.ducklake import DuckLakeClient, DuckLakeMergeFollowupJob
from dlt.destinations.impl.ducklake.sql_client import DuckLakeSqlClient

from gong_source.errors import ConfigurationError
from gong_source.warehouse.destination import Destination
from gong_source.warehouse.duckdb import DuckDBClient, finish, hint
from gong_source.warehouse.lock import file_lock
from gong_source.warehouse.postgres import advisory_lock
from gong_source.warehouse.resolved_once import ResolvedOnce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import dlt
    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.schema import Schema
    from dlt.destinations.impl.ducklake.configuration import DuckLakeCredentials
    from duckdb import DuckDBPyConnection

# A catalog in a DuckDB file would let in one program at a time.
_CATALOGS = ("sqlite", "postgres", "postgresql")


class DuckLake(ResolvedOnce, ducklake):
    """dlt's destination `ducklake`. It keeps that name, because its settings are named after it.

    Its clients share one DuckDB for as long as one of them is open: to load the extensions takes a quarter of a second
    each time, and dlt opens dozens of connections in a run.
    """

    _shared: _Shared | None = None

    @property
    def destination_type(self) -> str:
        """The name by which dlt knows it."""
        return "dlt.destinations.ducklake"

    @property
    def client_class(self) -> type[DuckLakeClient]:
        """The client of this destination."""
        return _Client

    def client(self, schema: Schema, initial_config: Any = None) -> DuckLakeClient:
        """A client on the DuckDB that all clients share."""
        client: DuckLakeClient = super().client(schema, initial_config)
        credentials = client.config.credentials
        credentials.conn_pool = self._shared = self._shared or _Shared(credentials)
        return client


class _Shared(DuckDbConnectionPool):
    """The DuckDB that all clients share; `users` are those that have the lake open."""

    def __init__(self, credentials: DuckLakeCredentials) -> None:
        super().__init__(credentials)
        self.lock = RLock()
        self.users: set[_SqlClient] = set()

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Keeps DuckDB with its extensions for the block. The lake is attached only while somebody uses it."""
        connection = self.borrow_conn()
        try:
            yield
        finally:
            self.return_conn(connection)


class _Client(DuckDBClient, DuckLakeClient):
    merge_statements = DuckLakeMergeFollowupJob

    def __init__(self, schema: Schema, config: Any, capabilities: DestinationCapabilitiesContext) -> None:
        super().__init__(schema, config, capabilities)
        self.sql_client: DuckLakeSqlClient = _SqlClient(
            config.normalize_dataset_name(schema),
            config.normalize_staging_dataset_name(schema),
            config.credentials,
            capabilities,
            config.override_data_path,
            config.automatic_migration,
        )


class _SqlClient(DuckLakeSqlClient):
    """Attaches the lake with the first client that opens it, and detaches it with the last one that closes it."""

    def open_connection(self) -> DuckDBPyConnection:
        """A connection with the lake attached."""
        shared = cast("_Shared", self.credentials.conn_pool)
        with shared.lock:
            shared.users.add(self)
            try:
                return super().open_connection()
            except BaseException:
                self.close_connection()
                raise

    def close_connection(self) -> None:
        """Ends a transaction that is still open, too."""
        shared = cast("_Shared", self.credentials.conn_pool)
        with shared.lock:
            shared.users.discard(self)
            if self._conn is not None:
                with suppress(Exception):  # there may be no transaction
                    self._conn.execute("rollback")
                if not shared.users:
                    with suppress(Exception):  # it may not be attached yet
                        name = self.capabilities.escape_identifier(self.credentials.ducklake_name)
                        self._conn.execute(f"use memory; detach {name}")
            DuckDbSqlClient.close_connection(self)


@contextmanager
def _lock(pipeline: dlt.Pipeline, dataset: str, command: str) -> Iterator[Callable[[], None]]:
    """A lock beside the catalog's file, or in its server: every machine that can load into the lake finds it there.

    Until it is released, the DuckDB that all clients share stays open.
    """
    client: Any = pipeline.sql_client()
    catalog, shared = client.credentials.catalog, client.credentials.conn_pool
    if catalog.drivername == "sqlite":
        with file_lock(Path(f"{catalog.database}.lock"), dataset=dataset, command=command), shared.kept_open():
            yield lambda: None
        return
    import psycopg2

    name = f"{client.credentials.metadata_schema or client.credentials.ducklake_name}.{client.dataset_name}"
    with closing(psycopg2.connect(catalog.to_native_representation())) as connection:
        connection.autocommit = True
        with advisory_lock(connection, name, dataset=dataset, command=command) as confirm, shared.kept_open():
            yield confirm


def _place(config: Any) -> str:
    catalog = config.credentials.catalog
    if catalog.drivername not in _CATALOGS:
        raise ConfigurationError(
            f"destination ducklake: its catalog must be SQLite or Postgres, not {catalog.drivername}"
        )
    return str(config.data_location()).removeprefix("sqlite://")


DESTINATION = Destination(
    "ducklake",
    drivers=("duckdb", "psycopg2"),
    setting=("{0}__CATALOG=postgresql://user:password@host/database and {0}__STORAGE__BUCKET_URL=<folder or bucket>"),
    keeps=(
        "Snapshots of the DuckLake and their files: expire the snapshots and clean up the files"
        " (ducklake_expire_snapshots, ducklake_cleanup_old_files), for deleted rows also ducklake_rewrite_data_files."
    ),
    build=lambda _write: DuckLake(),
    place=_place,
    lock=_lock,
    finish=partial(finish, describe_columns=False),
    hint=hint,
)
