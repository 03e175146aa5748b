"""dlt's DuckDB and DuckLake destinations, merging a file straight into its table.

dlt merges by way of a staging table, where DuckDB writes every row once more and holds it in memory a second time. It
can read the file itself.
"""

from __future__ import annotations

import glob
from typing import TYPE_CHECKING, Any

from dlt.common.destination.client import RunnableLoadJob
from dlt.destinations import duckdb, ducklake
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.ducklake.ducklake import DuckLakeClient
from dlt.destinations.sql_jobs import SqlMergeFollowupJob

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.destination.client import LoadJob
    from dlt.common.destination.typing import PreparedTableSchema


class DuckDB(duckdb):
    """The destination `duckdb`, under its own name: that is where its settings are, and how its file is called."""

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
        return _DuckDbClient


class DuckLake(ducklake):
    """The destination `ducklake`, under its own name."""

    @property
    def destination_type(self) -> str:
        """What dlt knows it as."""
        return "dlt.destinations.ducklake"

    @property
    def client_class(self) -> type[DuckLakeClient]:
        """The client of this destination."""
        return _DuckLakeClient


class _DuckDbClient(DuckDbClient):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # with dlt's gigabyte a large merge would be written twice: into the log, and at the end into the file
        self.sql_client._global_config.pop("checkpoint_threshold", None)  # noqa: SLF001 - there for derived classes

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


class _DuckLakeClient(_DuckDbClient, DuckLakeClient):
    pass


class _MergeJob(RunnableLoadJob):
    """Runs the merge that dlt writes for a staging table, with the file in the place of that table."""

    _job_client: Any

    def run(self) -> None:
        client = self._job_client.sql_client
        _, staging = client.get_qualified_table_names(self.load_table_name)
        path = glob.escape(self._file_path)  # to DuckDB, [ * ? mean more than one file
        file = f"read_parquet({client.capabilities.escape_literal(path)})"
        for statement in SqlMergeFollowupJob.generate_sql([self._load_table], client):
            client.execute_sql(statement.replace(staging, file))
