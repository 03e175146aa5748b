"""DuckLake: a catalog in SQLite or Postgres, and Parquet files in a folder or bucket."""

from __future__ import annotations

from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlt.destinations import ducklake
from dlt.destinations.impl.ducklake.ducklake import DuckLakeClient, DuckLakeMergeFollowupJob

from gong_source.errors import ConfigurationError
from gong_source.warehouse.destination import Destination
from gong_source.warehouse.duckdb import DuckDBClient, finish, memory_hint
from gong_source.warehouse.lock import file_lock
from gong_source.warehouse.postgres import advisory_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import dlt

# A catalog in a DuckDB file would let in one program at a time.
_CATALOGS = ("sqlite", "postgres", "postgresql")


class DuckLake(ducklake):
    """dlt's destination `ducklake`. It keeps that name, because its settings are named after it."""

    @property
    def destination_type(self) -> str:
        """The name by which dlt knows it."""
        return "dlt.destinations.ducklake"

    @property
    def client_class(self) -> type[DuckLakeClient]:
        """The client of this destination."""
        return _Client


class _Client(DuckDBClient, DuckLakeClient):
    merge_statements = DuckLakeMergeFollowupJob


@contextmanager
def _lock(pipeline: dlt.Pipeline, dataset: str, command: str) -> Iterator[Callable[[], None]]:
    """A lock beside the catalog's file, or in its server: every machine that can load into the lake finds it there."""
    client: Any = pipeline.sql_client()
    catalog = client.credentials.catalog
    if catalog.drivername == "sqlite":
        with file_lock(Path(f"{catalog.database}.lock"), dataset=dataset, command=command):
            yield lambda: None
        return
    import psycopg2

    name = f"{client.credentials.metadata_schema or client.credentials.ducklake_name}.{client.dataset_name}"
    with closing(psycopg2.connect(catalog.to_native_representation())) as connection:
        connection.autocommit = True
        with advisory_lock(connection, name, dataset=dataset, command=command) as confirm:
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
    build=lambda _write: DuckLake(),
    place=_place,
    lock=_lock,
    finish=partial(finish, describe_columns=False),
    hint=memory_hint,
)
