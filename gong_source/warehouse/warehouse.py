"""A dataset that is open for a run: where it lies, who may load into it, and the one way a load happens."""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.runtime.collector import NULL_COLLECTOR
from dlt.common.runtime.run_context import active as run_context

from gong_source.errors import ConfigurationError
from gong_source.presets import set_presets
from gong_source.resources import TABLES
from gong_source.stored.foreign import refuse_foreign_tables
from gong_source.stored.query import is_missing_table
from gong_source.warehouse.failures import explain, last_cause, raise_interrupt
from gong_source.warehouse.find_destination import check_target
from gong_source.warehouse.kept_open import KeptOpen
from gong_source.warehouse.lock import file_lock
from gong_source.warehouse.views import LocalView, views_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dlt.common.schema import Schema
    from dlt.destinations.sql_client import SqlClientBase
    from dlt.extract import DltSource

    from gong_source.resources.declare import Resource
    from gong_source.warehouse.destination import Destination

logger = logging.getLogger(__name__)

# How long to wait for another program to close the database: most queries of a dashboard end within seconds.
_PATIENCE_SECONDS = 5.0
# So long the connection stays open after its last use: what a run does between two requests to Gong needs only one.
_IDLE_SECONDS = 0.1
_LOADED_SINCE = "select load_id from {dataset}._dlt_loads where load_id >= %s and status = 0 and schema_name = 'gong'"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run loads to."""

    destination: str = "duckdb"
    dataset: str = "gong"
    pipeline_name: str = "gong_calls"


@dataclass(slots=True)
class Warehouse:
    """An open target: its dlt pipeline, and the place of its data for messages.

    `time_zone` is that of the local times in its views. `check_lock` raises if the lock on the dataset was lost.
    """

    pipeline: dlt.Pipeline
    place: str
    destination: Destination
    time_zone: str = "UTC"
    check_lock: Callable[[], None] = lambda: None
    _tables_finished: bool = False
    _schema: Schema | None = None
    _client: SqlClientBase[Any] | None = None  # keeps its access token between two openings
    _connection: KeptOpen[SqlClientBase[Any]] = field(init=False)

    def __post_init__(self) -> None:
        self._connection = KeptOpen(self._open, lambda client: client.close_connection(), idle_seconds=_IDLE_SECONDS)

    @property
    def dataset(self) -> str:
        """The dataset and its place, for messages."""
        return f"dataset {self.pipeline.dataset_name} in {self.place}"

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query on the dataset; none if the query names a table that does not exist yet.

        `{dataset}` in `sql` stands for the dataset's name. Raises `DestinationFailed`.
        """
        try:
            with self.connected() as client:
                statement = sql.format(dataset=client.fully_qualified_dataset_name())
                with client.execute_query(statement, *parameters) as cursor:
                    return [tuple(row) for row in cursor.fetchall()]
        except Exception as error:
            if is_missing_table(error):
                return []
            raise explain(error, self.destination, self.place, "read") from None

    def execute(self, sql: str, *parameters: Any) -> None:
        """Runs a statement that changes rows, all of them or none; `{dataset}` stands for the dataset's name.

        Raises `DestinationFailed`.
        """
        try:
            self.check_lock()
            with self.connected() as client:
                client.execute_sql(sql.format(dataset=client.fully_qualified_dataset_name()), *parameters)
        except Exception as error:
            raise explain(error, self.destination, self.place, "write") from None

    def exists(self) -> bool:
        """Whether the dataset exists; creates nothing."""
        try:
            with self.connected() as client:
                return client.has_dataset()
        except Exception as error:
            raise explain(error, self.destination, self.place, "read") from None

    def require(self) -> None:
        """Raises `ConfigurationError` if the dataset does not exist."""
        if not self.exists():
            raise ConfigurationError(f"there is no {self.dataset} yet; run gong-source sync first")

    def restore(self, resources: Sequence[Resource] = ()) -> None:
        """Takes over the state in the destination, if it is newer than the local one.

        Raises `ConfigurationError` if the dataset cannot hold `resources`, because it has tables of another program or
        of an earlier form of this package.
        """
        try:
            with self.connected():
                self.pipeline.sync_destination()
                self._schema = None
                where = f"{self.pipeline.dataset_name} in {self.place}"
                refuse_foreign_tables(self.pipeline, self.known_tables(), resources, where)
        except Exception as error:
            raise explain(error, self.destination, self.place, "read") from None

    def known_tables(self) -> Mapping[str, Any]:
        """The tables that this package has loaded here, by their names."""
        if self._schema is None and "gong" in self.pipeline.schemas:
            self._schema = self.pipeline.schemas["gong"]  # dlt reads a file here, and keeps the object up to date
        return self._schema.tables if self._schema is not None else {}

    def load_pending(self) -> bool:
        """Loads the packages that an earlier run left in its working folder, and says whether there were any.

        dlt would load them with the next load, and then skip that load's own extract without a message. Two kinds of
        package are dropped, and the run fetches their windows again, as the ledger lacks them:

        - a package that a kill left half made;
        - a package older than a completed load. That load was this very package, or came from another machine with
          newer rows, which the old package would overwrite.
        """
        if not self.pipeline.has_pending_data:
            return False
        pending = [*self.pipeline.list_extracted_load_packages(), *self.pipeline.list_normalized_load_packages()]
        if pending and self.query(_LOADED_SINCE, min(pending)):
            logger.warning("dropping what an earlier run left, because there has been a load since")
            self._drop()
            return False
        try:
            self.pipeline.normalize()
        except Exception as error:
            raise_interrupt(error)
            logger.warning("dropping what an earlier run left unfinished: %s", last_cause(error))
            if complete := bool(self.pipeline.list_normalized_load_packages()):
                self._load()
            self._drop()
            return complete
        self._load()
        return True

    def _drop(self) -> None:
        """Forgets all packages and the local state."""
        self.pipeline.drop()
        self.restore()

    def load(self, source: DltSource) -> list[str]:
        """Extracts and loads one package, all of it or nothing, and returns its load ids."""
        self.destination.adapt(source)
        try:
            self.pipeline.extract(source)
            self.pipeline.normalize()
        except Exception as error:
            raise explain(error, self.destination, self.place, "write") from None
        return self._load()

    def _load(self) -> list[str]:
        try:
            self.check_lock()
            with self.connected() as client:
                info = self.pipeline.load()
                if not self._tables_finished or any(package.schema_update for package in info.load_packages):
                    known = self.known_tables()
                    tables = [table for table in TABLES if table.name in known]
                    views = [LocalView(view, self.time_zone) for view in views_on(known)]
                    self.destination.finish(client, tables, views)
                    self._tables_finished = True
        except Exception as error:
            raise explain(error, self.destination, self.place, "write") from None
        return list(info.loads_ids)

    @contextmanager
    def connected(self) -> Iterator[SqlClientBase[Any]]:
        """One connection for the block and all blocks within it: no other program can take a DuckDB file in between."""
        with self._connection.use(reusable=is_missing_table) as client:
            yield client

    def close(self) -> None:
        """Closes the connection, which stays open for a moment after each use."""
        self._connection.close()

    def _open(self) -> SqlClientBase[Any]:
        client = self._client = self._client or self.pipeline.sql_client()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                client.open_connection()
                return client
            except Exception as error:
                if self.destination.holder(last_cause(error)) is None or time.monotonic() > deadline:
                    raise explain(error, self.destination, self.place, "open") from None
            time.sleep(0.1)


@contextmanager
def open_warehouse(target: Target, *, command: str, write: bool, time_zone: str = "UTC") -> Iterator[Warehouse]:
    """Opens `target`: with `write` as its only writer, else only to read. Loads make views with times in `time_zone`.

    The pipeline's working folder belongs to one dataset in one place, so that two datasets never share pending packages
    or state. Raises `ConfigurationError`, `DatasetLocked` or `DestinationFailed`.
    """
    set_presets()
    destination, place = check_target(target.destination, target.dataset, target.pipeline_name)
    fingerprint = hashlib.sha256(
        f"{target.destination} {place} {target.dataset}".encode(errors="surrogateescape")
    ).hexdigest()[:12]
    folder = Path(run_context().data_dir) / "gong_source" / f"{target.dataset}-{fingerprint}"
    dataset = f"dataset {target.dataset} in {place}"
    with ExitStack() as stack:
        if write:
            path = destination.lock_file(place) or folder.with_suffix(".lock")
            stack.enter_context(file_lock(path, dataset=dataset, command=command))
        warehouse = Warehouse(_pipeline(target, destination, folder, write=write), place, destination, time_zone)
        if write:
            try:
                warehouse.check_lock = stack.enter_context(destination.lock(warehouse.pipeline, dataset, command))
            except Exception as error:
                raise explain(error, destination, place, "open") from None
        stack.callback(warehouse.close)
        yield warehouse


def _pipeline(target: Target, destination: Destination, folder: Path, *, write: bool) -> dlt.Pipeline:
    """The pipeline with its working folder; a run that writes replaces a folder that cannot be read."""
    aside = folder.with_suffix(".unreadable")
    try:
        return _attach(target, destination, folder, write=write)
    except Exception as error:
        failure = explain(error, destination, str(folder), "read")
        if not write or not folder.exists():
            raise failure from None
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    try:
        pipeline = _attach(target, destination, folder, write=write)
    except Exception:  # then it was not the folder's fault
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
        raise failure from None
    logger.warning("%s; it is now in %s, and what was not loaded from it is fetched again", failure, aside)
    return pipeline


def _attach(target: Target, destination: Destination, folder: Path, *, write: bool) -> dlt.Pipeline:
    pipeline = dlt.pipeline(
        target.pipeline_name,
        pipelines_dir=str(folder),
        destination=destination.build(write),
        dataset_name=target.dataset,
        progress=NULL_COLLECTOR,  # stdout is for results
    )
    # dlt would answer a signal during a load by an error, where a run wants to finish what it has begun.
    pipeline.runtime_config.intercept_signals = False
    # dlt reads its files when it needs them; a damaged one has to show now.
    if write and not pipeline.has_pending_data:
        for name in pipeline.schema_names:
            pipeline.schemas.load_schema(name)
    return pipeline
