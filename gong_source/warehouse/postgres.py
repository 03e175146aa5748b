"""dlt's Postgres destination, able to load a file without rows.

Parquet by ADBC is the one fast way into Postgres that keeps an empty text apart from null (dlt's csv does not). But dlt
1.31 offers a file without rows to ADBC as no batch at all, which ADBC refuses, and so an empty first load would fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from dlt.destinations import postgres
from dlt.destinations.impl.postgres.postgres import PostgresClient
from dlt.destinations.job_impl import FinalizedLoadJobWithFollowupJobs

if TYPE_CHECKING:
    from dlt.common.destination.client import LoadJob
    from dlt.common.destination.typing import PreparedTableSchema


class Postgres(postgres):
    """The destination `postgres`."""

    @property
    def client_class(self) -> type[PostgresClient]:
        """The client of this destination."""
        return _Client


class _Client(PostgresClient):
    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """The job that loads the file; nothing is left to do for one without rows."""
        if file_path.endswith(".parquet") and pq.read_metadata(file_path).num_rows == 0:
            return FinalizedLoadJobWithFollowupJobs.from_file_path(file_path)
        return super().create_load_job(table, file_path, load_id, restore)
