"""dlt's DuckDB and DuckLake destinations, merging a file straight into its table, in little memory.

dlt merges by way of a staging table, where DuckDB writes every row once more and holds it in memory a second time. It
can read the file itself.
"""

from __future__ import annotations

import glob
from collections import ChainMap
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from dlt.common.destination.client import RunnableLoadJob
from dlt.common.schema.utils import get_columns_names_with_prop
from dlt.destinations import duckdb, ducklake
from dlt.destinations.exceptions import DatabaseException
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.ducklake.ducklake import DuckLakeClient
from dlt.destinations.sql_jobs import SqlMergeFollowupJob

from gong_source.warehouse.destinations import OUT_OF_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.destination.client import LoadJob
    from dlt.common.destination.typing import PreparedTableSchema
    from dlt.common.schema import Schema, TTableSchema

# A chunk is little work: one thread costs the least, and what of the table stays in memory would only be memory. What
# the user chooses comes before that. After a merge that fails for it, the rest of the run has no bound on memory.
BOUNDS = {"threads": 1, "memory_limit": "80MB", "enable_external_file_cache": False}
_OTHER_NAMES = {"worker_threads": "threads", "max_memory": "memory_limit"}


class DuckDB(duckdb):
    """The destination `duckdb`, under its own name: that is where its settings are, and how its file is called.

    With `read_only`, it takes a file beside other readers, without write access; one that is not there is empty.
    """

    read_only = False

    @cached_property
    def bounds(self) -> dict[str, Any]:
        """The settings that keep DuckDB small, as long as they do."""
        return dict(BOUNDS)

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        # alone, a large merge goes into the file at once, instead of into the log first
        capabilities.loader_parallelism_strategy = "sequential"
        return capabilities

    @property
    def destination_type(self) -> str:
        """What dlt knows it as."""
        return "dlt.destinations.duckdb"

    @property
    def client_class(self) -> type[DuckDbClient]:
        """The client of this destination."""
        return _Client

    def client(self, schema: Schema, initial_config: Any = None) -> DuckDbClient:
        """A client with DuckDB kept to `bounds`, which all clients share."""
        client = cast("_Client", super().client(schema, initial_config))
        credentials = client.sql_client.credentials
        if self.read_only:
            credentials.read_only = Path(credentials.database).exists()
            credentials.database = credentials.database if credentials.read_only else ":memory:"
        chosen = credentials.global_config or {}
        for name in map(str.lower, chosen):
            self.bounds.pop(_OTHER_NAMES.get(name, name), None)
        client.bounds = self.bounds
        # dlt has a gigabyte for the log's size, which would write a large merge twice: into the log, then into the file
        settings = client.sql_client._global_config  # noqa: SLF001 - "so derived class can change it"
        settings.pop("checkpoint_threshold", None)
        client.sql_client._global_config = ChainMap(self.bounds, settings)  # type: ignore[assignment] # noqa: SLF001
        return client


class DuckLake(ducklake):
    """The destination `ducklake`, under its own name."""

    @property
    def destination_type(self) -> str:
        """What dlt knows it as."""
        return "dlt.destinations.ducklake"

    @property
    def client_class(self) -> type[DuckLakeClient]:
        """The client of this destination."""
        return _LakeClient


class _Client(DuckDbClient):
    bounds: Mapping[str, Any] = MappingProxyType({})

    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:  # noqa: ARG002 - of dlt's signature
        """Never: there is no staging dataset."""
        return False

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Creates the dataset, and none for staging."""
        if not self.in_staging_dataset_mode:
            super().initialize_storage(truncate_tables or ())

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """The job that loads the file, or merges it."""
        if table["write_disposition"] == "merge" and file_path.endswith(".parquet"):
            return _MergeJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)


class _LakeClient(_Client, DuckLakeClient):
    pass


class _MergeJob(RunnableLoadJob):
    """Merges a file into its table: what the table knows by the statement that dlt writes, the rest as it comes.

    DuckDB holds all that it joins in memory; most often all is new, or little is there. So dlt's statement gets, in the
    place of its staging table, only those rows of the file whose keys are known.
    """

    _job_client: Any

    def run(self) -> None:
        client = self._job_client.sql_client
        try:
            self._merge(client)
        except DatabaseException as error:
            if not OUT_OF_MEMORY.search(str(error)) or "memory_limit" not in self._job_client.bounds:
                raise
            del self._job_client.bounds["memory_limit"]
            client.execute_sql("reset global memory_limit")  # tells the default, and does not apply it
            ((default,),) = client.execute_sql("select current_setting('memory_limit')")
            client.execute_sql(f"set global memory_limit = '{default}'")
            self._merge(client)

    def _merge(self, client: Any) -> None:
        table, staging = client.get_qualified_table_names(self.load_table_name)
        names = get_columns_names_with_prop(cast("TTableSchema", self._load_table), "primary_key")
        key = ", ".join(map(client.escape_column_name, names))
        path = glob.escape(self._file_path)  # to DuckDB, [ * ? mean more than one file
        file = f"read_parquet({client.capabilities.escape_literal(path)})"
        client.execute_sql("set TimeZone = 'UTC'")  # of what Parquet, of some flavors, holds without a zone
        with client.begin_transaction():
            client.execute_sql(
                f"create or replace temporary table known as select {key} from {file} semi join {table} using ({key})"
            )
            for statement in SqlMergeFollowupJob.generate_sql([self._load_table], client):
                client.execute_sql(statement.replace(staging, f"(from {file} semi join known using ({key}))"))
            client.execute_sql(f"insert into {table} by name from {file} anti join known using ({key})")
