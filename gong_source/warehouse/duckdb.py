"""DuckDB: a file of its own. Merges each loaded file straight into its table, in little memory.

dlt merges through a staging table, for which DuckDB writes every row once more and keeps it in memory a second time.
DuckDB can read the loaded file itself.
"""

from __future__ import annotations

import glob
import logging
import re
from collections import ChainMap
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from dlt.common.destination.client import RunnableLoadJob
from dlt.common.normalizers.naming.snake_case import NamingConvention
from dlt.common.schema.utils import get_columns_names_with_prop
from dlt.destinations import duckdb
from dlt.destinations.exceptions import DatabaseException
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.sql_jobs import SqlMergeFollowupJob

from gong_source.errors import ConfigurationError, DestinationFailed
from gong_source.warehouse.comments import read_comments, write_comments
from gong_source.warehouse.destination import Destination
from gong_source.warehouse.make_views import write_views
from gong_source.warehouse.resolved_once import ResolvedOnce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.destination.client import LoadJob
    from dlt.common.destination.typing import PreparedTableSchema
    from dlt.common.schema import Schema, TTableSchema

    from gong_source.resources.declare import Table
    from gong_source.warehouse.views import LocalView

logger = logging.getLogger(__name__)

# A chunk is little work: one thread costs the least, and parts of the table that stay in memory would only cost memory.
# The user's own settings override these bounds. After a merge that needs more memory, the rest of the run has no bound.
BOUNDS = {"threads": 1, "memory_limit": "80MB", "enable_external_file_cache": False}
# What DuckDB says when a statement or its commit needs more memory.
OUT_OF_MEMORY = re.compile(r"Out of Memory Error|(allocate|pin) (block|data) of size")
_OPEN_ELSEWHERE = re.compile(r"Conflicting lock is held in (?:(.+?) \()?PID (\d+)")
_NO_DATABASE = "is not a valid DuckDB database file"
# What DuckDB says of a file that its own process has open to read, and somebody wants to open to write, or vice versa.
_OPEN_HERE = "with a different configuration than existing connections"
_OWN_SCHEMAS = ("information_schema", "pg_catalog", "system", "temp")
_COMMENTS = """
    select schema_name, table_name, null as column_name, comment as text from duckdb_tables()
    union all select schema_name, view_name, null, comment from duckdb_views()
    union all select schema_name, table_name, column_name, comment from duckdb_columns()
"""
_VIEWS_ON = """
    select schema_name, view_name from duckdb_views()
    where not internal and database_name = current_database() and contains(sql, %s)
"""
_OUTDATED = "Contents of view were altered"
_OTHER_NAMES = {"worker_threads": "threads", "max_memory": "memory_limit"}


class DuckDB(ResolvedOnce, duckdb):
    """dlt's destination `duckdb`. It keeps that name, because settings and file are named after it.

    With `read_only`, it opens a file beside other readers, without write access. A file that does not exist is empty.
    """

    read_only = False

    @cached_property
    def bounds(self) -> dict[str, Any]:
        """The settings that keep DuckDB small; a merge that needs more memory removes one."""
        return dict(BOUNDS)

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        # With no load beside it, a large merge goes into the file at once, instead of into the log first.
        capabilities.loader_parallelism_strategy = "sequential"
        return capabilities

    @property
    def destination_type(self) -> str:
        """The name by which dlt knows it."""
        return "dlt.destinations.duckdb"

    @property
    def client_class(self) -> type[DuckDbClient]:
        """The client of this destination."""
        return DuckDBClient

    def client(self, schema: Schema, initial_config: Any = None) -> DuckDbClient:
        """A client with DuckDB kept to `bounds`, which all clients share."""
        client = cast("DuckDBClient", super().client(schema, initial_config))
        credentials = client.sql_client.credentials
        if self.read_only:
            credentials.read_only = Path(credentials.database).exists()
            credentials.database = credentials.database if credentials.read_only else ":memory:"
        chosen = credentials.global_config or {}
        for name in map(str.lower, chosen):
            self.bounds.pop(_OTHER_NAMES.get(name, name), None)
        client.bounds = self.bounds
        # dlt allows the log a gigabyte, so a large merge would be written twice: into the log, then into the file.
        settings = client.sql_client._global_config  # noqa: SLF001 - "so derived class can change it"
        settings.pop("checkpoint_threshold", None)
        client.sql_client._global_config = ChainMap(self.bounds, settings)  # type: ignore[assignment] # noqa: SLF001
        return client


class DuckDBClient(DuckDbClient):
    """dlt's client for DuckDB, which merges files without a staging dataset, within `bounds`."""

    bounds: Mapping[str, Any] = MappingProxyType({})
    merge_statements: type[SqlMergeFollowupJob] = SqlMergeFollowupJob

    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:  # noqa: ARG002 - of dlt's signature
        """Always false: there is no staging dataset."""
        return False

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Creates the dataset, but no staging dataset."""
        if not self.in_staging_dataset_mode:
            super().initialize_storage(truncate_tables or ())

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """The job that loads the file, or merges it."""
        if table["write_disposition"] == "merge" and file_path.endswith(".parquet"):
            return MergeJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)


class MergeJob(RunnableLoadJob):
    """Merges a file into its table: rows with known keys by the statement that dlt writes, new rows by an insert.

    DuckDB keeps in memory what it joins. Mostly all rows are new, or the table is small. So dlt's statement gets only
    the rows of the file whose keys are in the table, in the place of its staging table. A child table is merged by
    record: there, the key is that of the record, and a tombstone is never inserted.
    """

    _job_client: Any

    def run(self) -> None:
        """Merges; if DuckDB is short of memory, once more without the bound."""
        client = self._job_client.sql_client
        try:
            self._merge(client)
        except DatabaseException as error:
            if not OUT_OF_MEMORY.search(str(error)) or "memory_limit" not in self._job_client.bounds:
                raise
            del self._job_client.bounds["memory_limit"]
            client.execute_sql("reset global memory_limit")  # reports the default, but does not apply it
            ((default,),) = client.execute_sql("select current_setting('memory_limit')")
            client.execute_sql(f"set global memory_limit = '{default}'")
            self._merge(client)

    def _merge(self, client: Any) -> None:
        table, staging = client.get_qualified_table_names(self.load_table_name)
        schema = cast("TTableSchema", self._load_table)
        names = get_columns_names_with_prop(schema, "merge_key") or get_columns_names_with_prop(schema, "primary_key")
        key = ", ".join(map(client.escape_column_name, names))
        marks = get_columns_names_with_prop(schema, "hard_delete")
        new = " and ".join(f"{client.escape_column_name(mark)} is null" for mark in marks) or "true"
        path = glob.escape(self._file_path)  # DuckDB reads [ * ? as patterns for several files
        file = f"read_parquet({client.capabilities.escape_literal(path)})"
        client.execute_sql("set TimeZone = 'UTC'")  # Parquet files of some flavors have times without a zone
        with client.begin_transaction():
            client.execute_sql(
                f"create or replace temporary table known as"
                # Without the inner query, DuckDB would keep all rows of the file in memory to join them.
                f" select {key} from (select distinct {key} from {file}) semi join {table} using ({key})"
            )
            for statement in self._job_client.merge_statements.generate_sql([self._load_table], client):
                client.execute_sql(statement.replace(staging, f"(from {file} semi join known using ({key}))"))
            client.execute_sql(
                f"insert into {table} by name select * from {file} anti join known using ({key}) where {new}"
            )


def check_file(path: Path, dataset: str) -> None:
    """Raises `ConfigurationError` or `DestinationFailed` if `path` cannot be a DuckDB file that holds `dataset`."""
    schema = NamingConvention().normalize_identifier(dataset)
    # DuckDB names a file by its text before the first dot, and ignores case.
    if path.name.lstrip(".").split(".")[0].lower() == schema:
        raise ConfigurationError(
            f"DuckDB cannot distinguish dataset {dataset!r} from its file {path.name}; choose another --dataset or file"
        )
    if schema in _OWN_SCHEMAS:
        raise ConfigurationError(f"DuckDB keeps the schema {schema} for itself; choose another --dataset")
    if not path.parent.is_dir():
        raise DestinationFailed(f"cannot write {path}: there is no folder {path.parent}")


def finish(client: Any, tables: Sequence[Table], views: Sequence[LocalView], *, describe_columns: bool = True) -> None:
    """Writes the descriptions of tables and columns, and makes the views, whose columns a lake cannot describe."""
    found = read_comments(client, _COMMENTS)
    write_comments(client, tables, found)
    write_views(client, views, found, describe_columns=describe_columns)
    _name_outdated_views(client)


def _name_outdated_views(client: Any) -> None:
    """Warns of each view of somebody else that cannot be read any more since its table has got a column.

    DuckDB before 1.5 keeps the types of a `select *`, and refuses the view when they change.
    """
    for schema, view in client.execute_sql(_VIEWS_ON, client.dataset_name) or ():
        name = f"{client.escape_column_name(schema)}.{client.escape_column_name(view)}"
        try:
            client.execute_sql(f"select 1 from {name} limit 0")
        except DatabaseException as error:
            if _OUTDATED in str(error):
                logger.warning(
                    "the view %s.%s cannot be read any more, because its table has a new column: create it anew",
                    schema,
                    view,
                )


def hint(text: str) -> str:
    """What to try after an error of DuckDB with this text."""
    if _NO_DATABASE in text:
        return ". Move it away, or choose another file"
    if not OUT_OF_MEMORY.search(text):
        return ""
    return (
        ". Nothing is lost: allow DuckDB more memory and run it again, with"
        """ DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG='{"memory_limit": "1GB"}'"""
    )


def _build(write: bool) -> DuckDB:
    destination = DuckDB()
    destination.read_only = not write
    return destination


def _place(config: Any) -> str:
    credentials = config.credentials
    # dlt would take the last part of an address, or all of it, as the name of a file in this folder.
    if credentials.drivername != "duckdb" or credentials.host or re.search(r"/(md:|\w+:/)", credentials.database):
        raise ConfigurationError(
            "destination duckdb: its credentials are the path of a file, not an address."
            " For another destination, use --destination"
        )
    return str(config.data_location())


def _no_lock(_pipeline: Any, _dataset: str, _command: str) -> AbstractContextManager[Callable[[], None]]:
    # The lock file beside the database file is found by every machine that can load into the file.
    return nullcontext(lambda: None)


def _holder(text: str) -> str | None:
    if _OPEN_HERE in text:
        return "elsewhere in this program"
    found = _OPEN_ELSEWHERE.search(text)
    if found is None:
        return None
    # DuckDB does not know the name of a program in another container.
    return f"in another program{f': {found[1]} (PID {found[2]})' if found[1] else ', outside of this container'}"


DESTINATION = Destination(
    "duckdb",
    drivers=("duckdb",),
    setting="{}=<path of the file>",
    keeps="The DuckDB file and its log may hold the bytes of deleted rows until their place is used again.",
    build=_build,
    place=_place,
    lock=_no_lock,
    check=lambda place, dataset: check_file(Path(place), dataset),
    lock_file=lambda place: Path(f"{place}.lock"),
    finish=finish,
    hint=hint,
    holder=_holder,
)
