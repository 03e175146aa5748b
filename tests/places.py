"""Datasets for tests to load into, in each destination, and a way to read them that knows nothing of this package."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
from servers import reports_layout

from gong_source import Target
from gong_source.resources.calls import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from google.cloud.bigquery import Client
    from servers import Emulator, PostgresServer


TYPES = {
    "duckdb": ("VARCHAR", "TIMESTAMP WITH TIME ZONE", "BIGINT", "DOUBLE", "BOOLEAN"),
    "postgres": ("character varying", "timestamp with time zone", "bigint", "double precision", "boolean"),
    "ducklake": ("VARCHAR", "TIMESTAMP WITH TIME ZONE", "BIGINT", "DOUBLE", "BOOLEAN"),
    "bigquery": ("STRING", "TIMESTAMP", "INT64", "FLOAT64", "BOOL"),
}

# A table's name -> its description, by None, and its columns', by their names
Described = Callable[[str], dict[str | None, str]]


@dataclass
class Place:
    """A dataset to load into, and a way to read it that knows nothing of this package."""

    target: Target
    query: Callable[[str], list[tuple[Any, ...]]]
    described: Described
    environment: dict[str, str] = field(default_factory=dict)
    keeps_layout: bool = True  # False: an emulator that does not tell about columns' descriptions and partitions
    client: Callable[[], Client] | None = None  # of BigQuery
    execute: Callable[[str], None] | None = None
    query_all: Callable[[list[str]], list[list[tuple[Any, ...]]]] | None = None  # in one connection

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        return self.query(self._named(sql))

    def fetch_all(self, statements: Iterable[str]) -> list[list[tuple[Any, ...]]]:
        """The rows of each query."""
        named = [self._named(sql) for sql in statements]
        return self.query_all(named) if self.query_all else [self.query(sql) for sql in named]

    def _named(self, sql: str) -> str:
        return sql.replace("gong.", f"{self.target.dataset}.")

    def write(self, sql: str) -> None:
        """Runs a statement of somebody who shares the database."""
        assert self.execute is not None, "nobody else can write here"
        self.execute(self._named(sql))

    def calls(self) -> dict[str, dict[str, Any]]:
        """The loaded calls by id, each in the shape that Gong served it, with instants for times."""
        loaded = {}
        names = ", ".join(column.name for column in CALLS.table.fields.values())
        for *values, extra in self.fetch(f"select {names}, extra from gong.calls"):
            record = dict(zip(CALLS.table.fields, values, strict=True))
            loaded[record["id"]] = record | (json.loads(extra) if extra else {})
        assert self.fetch("select count(*) from gong.calls") == [(len(loaded),)]
        return loaded


def duckdb_place(file: Path, dataset: str) -> Place:
    """A dataset in a DuckDB file."""

    def query(sql: str) -> list[tuple[Any, ...]]:
        return query_all([sql])[0]

    def query_all(statements: list[str]) -> list[list[tuple[Any, ...]]]:
        with duckdb.connect(str(file), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return [connection.execute(sql).fetchall() for sql in statements]

    def execute(sql: str) -> None:
        with duckdb.connect(str(file)) as connection:
            connection.execute(sql)

    described = _described_by_duckdb(query, dataset)
    return Place(Target("duckdb", dataset), query, described, execute=execute, query_all=query_all)


def _described_by_duckdb(query: Callable[[str], list[tuple[Any, ...]]], dataset: str) -> Described:
    def described(table: str) -> dict[str | None, str]:
        about = f"comment is not null and table_name = '{table}' and schema_name = '{dataset}'"
        return dict(
            query(
                f"select null, comment from duckdb_tables() where {about}"
                f" union all select null, comment from duckdb_views() where {about.replace('table_name', 'view_name')}"
                f" union all select column_name, comment from duckdb_columns() where {about}"
            )
        )

    return described


def ducklake_place(catalog: str, files: Path, configuration: dict[str, str], dataset: str) -> Place:
    """A dataset in a DuckLake; `catalog` is its SQLite file's or its Postgres' address, `configuration` DuckDB's."""
    scheme, _, rest = catalog.partition("://")
    address = f"sqlite:{rest[1:]}" if scheme == "sqlite" else f"postgres:{catalog}"
    options = [] if scheme == "sqlite" else ["metadata_schema 'ducklake'"]
    connection = duckdb.connect(config=dict(configuration))
    connection.execute("set TimeZone = 'UTC'")

    @contextmanager
    def connected(*more: str) -> Iterator[duckdb.DuckDBPyConnection]:
        attached = ", ".join([*more, *options])
        connection.execute(f"attach 'ducklake:{address}' as lake" + (f" ({attached})" if attached else ""))
        connection.execute("use lake")
        try:
            yield connection
        finally:
            connection.execute("use memory")
            connection.execute("detach lake")

    def query(sql: str) -> list[tuple[Any, ...]]:
        return query_all([sql])[0]

    def query_all(statements: list[str]) -> list[list[tuple[Any, ...]]]:
        with connected("read_only") as connection:
            return [connection.execute(sql).fetchall() for sql in statements]

    def execute(sql: str) -> None:
        with connected() as connection:
            connection.execute(sql)

    prefix = "DESTINATION__DUCKLAKE__CREDENTIALS__"
    environment = {
        f"{prefix}CATALOG": catalog,
        f"{prefix}STORAGE__BUCKET_URL": str(files),
        f"{prefix}GLOBAL_CONFIG": json.dumps(configuration),
    }
    described = _described_by_duckdb(query, dataset)
    place = Place(Target("ducklake", dataset), query, described, environment, execute=execute)
    place.query_all = query_all
    return place


def postgres_place(server: PostgresServer, dataset: str) -> Place:
    """A schema in the Postgres server."""
    import psycopg2

    def query(sql: str) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(server.url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def execute(sql: str) -> None:
        connection = psycopg2.connect(server.url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql)
        finally:
            connection.close()

    def described(table: str) -> dict[str | None, str]:
        return dict(
            query(
                "select attname, description from pg_description left join pg_attribute"
                " on attrelid = objoid and attnum = objsubid and objsubid > 0"
                f" where objoid = '{dataset}.{table}'::regclass and classoid = 'pg_class'::regclass"
            )
        )

    environment = {"DESTINATION__POSTGRES__CREDENTIALS": server.url}
    return Place(Target("postgres", dataset), query, described, environment, execute=execute)


def bigquery_place(emulator: Emulator, dataset: str, folder: Path) -> Place:
    """A dataset in the BigQuery emulator."""
    from google.cloud.bigquery import Client
    from google.oauth2.credentials import Credentials

    def client() -> Client:
        return Client("local", credentials=Credentials(token="token"), client_options={"api_endpoint": emulator.url})

    return _bigquery(client, dataset, emulator.environment(folder), keeps_layout=reports_layout())


@contextmanager
def real_bigquery_place(project: str) -> Iterator[Place]:
    """A dataset of its own in a real BigQuery project, for the block; Google's usual credentials open it."""
    from google.cloud.bigquery import Client

    def client() -> Client:
        return Client(project)

    dataset = f"gong_source_test_{uuid.uuid4().hex}"
    environment = {"DESTINATION__BIGQUERY__PROJECT_ID": project, "GOOGLE_CLOUD_PROJECT": project}
    try:
        yield _bigquery(client, dataset, environment, keeps_layout=True)
    finally:
        with client() as connection:
            for name in (dataset, f"{dataset}_staging"):
                connection.delete_dataset(name, delete_contents=True, not_found_ok=True)


def _bigquery(client: Callable[[], Client], dataset: str, environment: dict[str, str], *, keeps_layout: bool) -> Place:
    def query(sql: str) -> list[tuple[Any, ...]]:
        with client() as connection:
            return [tuple(row.values()) for row in connection.query(sql).result()]

    def described(table: str) -> dict[str | None, str]:
        with client() as connection:
            found = connection.get_table(f"{connection.project}.{dataset}.{table}")
        return {None: found.description} | {column.name: column.description for column in found.schema}

    def execute(sql: str) -> None:
        query(sql)

    return Place(Target("bigquery", dataset), query, described, environment, keeps_layout, client, execute)
