"""All that differs from one destination to the next: drivers, place, the lock across machines, indexes, comments."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.configuration.exceptions import ConfigFieldMissingException, ConfigurationException
from dlt.common.destination.exceptions import DestinationException
from dlt.common.exceptions import MissingDependencyException
from dlt.common.normalizers.naming.snake_case import NamingConvention
from dlt.common.storages.configuration import WithLocalFiles

from gong_source.errors import ConfigurationError, DestinationFailed
from gong_source.resources.declare import CALL_ARRIVALS, CALL_WINDOWS, CALLS, VERIFICATIONS, Table
from gong_source.warehouse.lock import advisory_lock, file_lock, lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlt.extract import DltSource

# What holds a dataset for a block: (pipeline, words for the dataset, command) -> raises if the hold was lost meanwhile.
Lock = Callable[[dlt.Pipeline, str, str], AbstractContextManager[Callable[[], None]]]


@dataclass(frozen=True, slots=True)
class Kind:
    """What is particular to one destination.

    `drivers` are the modules it needs, `place` says where its data lies, `lock` keeps other machines out, `adapt` adds
    hints to a source before it is loaded, `finish` brings what dlt does not create to the tables just loaded.
    """

    drivers: tuple[str, ...]
    place: Callable[[Any], str]
    lock: Lock
    adapt: Callable[[DltSource], None] = lambda source: None
    finish: Callable[[Any], None] = lambda client: None


def check_target(destination: str, dataset: str, pipeline_name: str) -> tuple[Kind, str]:
    """What is particular to the destination, and where its data lies: file, server and database, or project.

    Raises `ConfigurationError` with what to install or set; the place holds no secret.
    """
    if destination not in KINDS:
        raise ConfigurationError(f"unknown destination {destination!r}; choose {', '.join(KINDS)}")
    for option, name in (("--dataset", dataset), ("--pipeline-name", pipeline_name)):
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise ConfigurationError(
                f"{option}: {name!r} may hold letters, digits and _ only, and starts with a letter"
            )
    kind = KINDS[destination]
    if not all(map(_importable, kind.drivers)):
        raise ConfigurationError(
            f"destination {destination} needs its drivers: pip install 'gong-source[{destination}]'"
        )
    place = kind.place(_configuration(destination, dataset, pipeline_name))
    if destination == "duckdb":
        check_file(Path(place), dataset)
    return kind, place


def check_file(path: Path, dataset: str) -> None:
    """Raises `ConfigurationError` or `DestinationFailed` if `path` cannot be a DuckDB file that holds `dataset`."""
    schema = NamingConvention().normalize_identifier(dataset)
    # DuckDB's name for a file ends at the first dot, and there is no case in its names
    if path.name.lstrip(".").split(".")[0].lower() == schema:
        raise ConfigurationError(
            f"DuckDB cannot tell dataset {dataset!r} from its file {path.name}; choose another --dataset or file"
        )
    if schema in _DUCKDB_SCHEMAS:
        raise ConfigurationError(f"DuckDB keeps {schema} for itself; choose another --dataset")
    if not path.parent.is_dir():
        raise DestinationFailed(f"cannot write {path}: there is no folder {path.parent}")


def factory(destination: str, *, write: bool = True) -> Any:
    """The dlt destination of that name; a DuckDB file is opened to be read alone, unless `write` says more."""
    if destination == "postgres":
        from gong_source.warehouse.postgres import Postgres

        return Postgres(destination_name=destination)
    if destination in {"duckdb", "ducklake"}:
        from gong_source.warehouse.duckdb import DuckDB, DuckLake

        if destination == "ducklake":
            return DuckLake()
        file = DuckDB()
        file.read_only = not write
        return file
    # by attribute: by name, dlt would first look into a module called like the current folder
    return getattr(dlt.destinations, destination)()


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a parent package
        return False


def _configuration(destination: str, dataset: str, pipeline_name: str) -> Any:
    settings = f"DESTINATION__{destination.upper()}__CREDENTIALS"
    try:
        dlt_destination = factory(destination)
        spec = dlt_destination.spec()._bind_dataset_name(dataset)  # noqa: SLF001 - as dlt's pipeline does
        if isinstance(spec, WithLocalFiles):
            spec.pipeline_name, spec.local_dir = pipeline_name, str(Path.cwd())
        return dlt_destination.configuration(spec)
    except MissingDependencyException as error:
        raise ConfigurationError(f"destination {destination}: {_first_line(error)}") from None
    except ConfigFieldMissingException as missing:
        names = ", ".join(f"{settings}__{name.upper()}" for name in missing.fields if name != "credentials")
        raise ConfigurationError(
            f"destination {destination} is not configured: set {_WHOLE[destination].format(settings)}"
            f"{f' (or {names})' if names else ''}, or write it to .dlt/secrets.toml"
        ) from None
    except (ConfigurationException, DestinationException, RuntimeError) as error:  # the last: of `:pipeline:`
        raise ConfigurationError(
            f"destination {destination} is not configured: {_first_line(error)} Set"
            f" {_WHOLE[destination].format(settings)}, or write it to .dlt/secrets.toml"
        ) from None


_OTHERS = (CALL_WINDOWS, CALL_ARRIVALS, VERIFICATIONS)
_POSTGRES = 150_000  # the first with MERGE
# What DuckDB says then, of a statement or of its commit.
OUT_OF_MEMORY = re.compile(r"Out of Memory Error|(allocate|pin) (block|data) of size")
_DUCKDB_SCHEMAS = ("information_schema", "pg_catalog", "system", "temp")
_LAKE_CATALOGS = ("sqlite", "postgres", "postgresql")  # DuckDB's own file would let in one program at a time
# The shortest way to configure each destination
_WHOLE = {
    "duckdb": "{}=<path of the file>",
    "ducklake": "{0}__CATALOG=postgresql://user:password@host/database and {0}__STORAGE__BUCKET_URL=<folder or bucket>",
    "postgres": "{}=postgresql://user:password@host:5432/database",
    "bigquery": "{}=<the service account's JSON>, or GOOGLE_APPLICATION_CREDENTIALS=<its file>",
}


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")


def _duckdb_place(config: Any) -> str:
    credentials = config.credentials
    # dlt takes the last part of an address, or all of it, for the name of a file in this folder
    if credentials.drivername != "duckdb" or credentials.host or re.search(r"/(md:|\w+:/)", credentials.database):
        raise ConfigurationError(
            "destination duckdb: its credentials are the path of a file, not an address;"
            " another destination is named by --destination"
        )
    return str(config.data_location())


def _bigquery_place(config: Any) -> str:
    project = config.project_id or config.credentials.project_id
    return f"{project}:{config.data_location()}"


def _file_alone(_pipeline: dlt.Pipeline, _dataset: str, _command: str) -> AbstractContextManager[Callable[[], None]]:
    # the lock file beside the database file is where every machine that can load into it finds it
    return nullcontext(lambda: None)


@contextmanager
def _postgres_lock(pipeline: dlt.Pipeline, dataset: str, command: str) -> Iterator[Callable[[], None]]:
    with pipeline.sql_client() as client:
        connection: Any = client.native_connection  # dlt's client would connect anew, without the lock
        if connection.server_version < _POSTGRES:
            raise DestinationFailed(
                f"{dataset}: Postgres {connection.server_version // 10_000} is too old; 15 is needed"
            )
        with advisory_lock(connection, client.dataset_name, dataset=dataset, command=command) as confirm:
            yield confirm


@contextmanager
def _lake_lock(pipeline: dlt.Pipeline, dataset: str, command: str) -> Iterator[Callable[[], None]]:
    """A lock beside the catalog's file, or in its server: where every machine that can load into the lake finds it."""
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


def _lake_place(config: Any) -> str:
    catalog = config.credentials.catalog
    if catalog.drivername not in _LAKE_CATALOGS:
        raise ConfigurationError(
            f"destination ducklake: its catalog must be SQLite or Postgres, not {catalog.drivername}"
        )
    return str(config.data_location()).removeprefix("sqlite://")


def _partition(source: DltSource) -> None:
    """Partitions calls by the day of call_time, and describes the tables; dlt does so when it creates a table only."""
    from dlt.destinations.adapters import bigquery_adapter

    calls = source.resources[CALLS.name]
    bigquery_adapter(
        calls, partition="call_time", cluster=["workspace_id", "direction"], table_description=CALLS.description
    )
    for table in _OTHERS:
        calls.apply_hints(
            table_name=table.name,
            create_table_variant=True,
            additional_table_hints={"x-bigquery-table-description": table.description},
        )


def _existing(client: Any) -> list[Table]:
    names = client.execute_sql(
        "select table_name from information_schema.tables where table_schema = %s", client.dataset_name
    )
    return [table for table in (CALLS, *_OTHERS) if (table.name,) in names]


def _index(client: Any) -> None:
    """Indexes that keep a merge as fast in a million rows as in a thousand, and an id from ever being there twice."""
    for table in _existing(client):
        name = client.make_qualified_table_name(table.name)
        client.execute_sql(f"create unique index if not exists {table.name}_key on {name} ({table.primary_key})")
        if table is CALLS:
            client.execute_sql(f"create index if not exists {table.name}_call_time on {name} (call_time)")


def _comment(client: Any, existing: str) -> None:
    """Writes those descriptions of tables and columns that differ from what the query `existing` finds."""
    rows = client.execute_sql(
        f"select table_name, column_name, text from ({existing}) as c where schema_name = %s", client.dataset_name
    )
    found = {(table, column): text for table, column, text in rows or ()}
    statements = []
    for table in _existing(client):
        name = client.make_qualified_table_name(table.name)
        if found.get((table.name, None)) != table.description:
            statements.append(f"comment on table {name} is {client.capabilities.escape_literal(table.description)}")
        for column in table.columns:
            if found.get((table.name, column.name)) != column.description:
                text = client.capabilities.escape_literal(column.description)
                statements.append(f"comment on column {name}.{client.escape_column_name(column.name)} is {text}")
    if statements:
        with client.begin_transaction():  # a lake keeps a snapshot of each
            for statement in statements:
                client.execute_sql(statement)


def _finish_duckdb(client: Any) -> None:
    _comment(
        client,
        """select schema_name, table_name, null as column_name, comment as text from duckdb_tables()
           union all select schema_name, table_name, column_name, comment from duckdb_columns()""",
    )


def _finish_postgres(client: Any) -> None:
    _index(client)
    _comment(
        client,
        """select n.nspname as schema_name, t.relname as table_name, a.attname as column_name, d.description as text
           from pg_description as d
           join pg_class as t on t.oid = d.objoid and d.classoid = 'pg_class'::regclass
           join pg_namespace as n on n.oid = t.relnamespace
           left join pg_attribute as a on a.attrelid = t.oid and a.attnum = d.objsubid and d.objsubid > 0""",
    )


KINDS = {
    "duckdb": Kind(("duckdb",), _duckdb_place, _file_alone, finish=_finish_duckdb),
    "ducklake": Kind(("duckdb", "psycopg2"), _lake_place, _lake_lock, finish=_finish_duckdb),
    "postgres": Kind(
        ("psycopg2", "adbc_driver_manager", "adbc_driver_postgresql"),
        lambda config: str(config.data_location()),
        _postgres_lock,
        finish=_finish_postgres,
    ),
    "bigquery": Kind(("google.cloud.bigquery",), _bigquery_place, lease, adapt=_partition),
}
