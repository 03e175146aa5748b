"""The dlt pipeline of a run: where it loads to, who may, and the one way a load happens."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.runtime.collector import NULL_COLLECTOR
from dlt.common.runtime.run_context import active as run_context
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.pipeline.exceptions import PipelineStepFailed

from gong_source.errors import DestinationFailed, GongError
from gong_source.presets import set_defaults
from gong_source.warehouse.destinations import OUT_OF_MEMORY, Kind, check_target, factory
from gong_source.warehouse.lock import file_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dlt.destinations.sql_client import SqlClientBase
    from dlt.extract import DltSource

logger = logging.getLogger(__name__)

# How long to wait for another program to close a DuckDB file: most queries of a dashboard end within seconds.
_PATIENCE_SECONDS = 5.0
_MORE_MEMORY = (
    "; nothing is lost: allow DuckDB more memory and run it again, with"
    """ DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG='{"memory_limit": "1GB"}'"""
)
_TABLE_GONE = (
    "; what dlt once made there is gone: bring it back, or drop the whole dataset, with its schema, to load it anew"
)
_LOADED_SINCE = "select load_id from {dataset}._dlt_loads where load_id >= %s and status = 0 and schema_name = 'gong'"
_HELD = re.compile(r"Conflicting lock is held in (?:(.+?) \()?PID (\d+)")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run loads to."""

    destination: str = "duckdb"
    dataset: str = "gong"
    pipeline_name: str = "gong_calls"


@dataclass(slots=True)
class Warehouse:
    """An open target: its pipeline, and the place of its data for messages."""

    pipeline: dlt.Pipeline
    place: str
    kind: Kind
    confirm: Callable[[], None] = lambda: None
    _finished: bool = False
    _client: SqlClientBase[Any] | None = None
    _users: int = 0

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query on the dataset; none if it names a table that does not exist yet.

        `{dataset}` in `sql` stands for the dataset's name. Raises `DestinationFailed`.
        """
        try:
            with self.connected() as client:
                statement = sql.format(dataset=client.fully_qualified_dataset_name())
                with client.execute_query(statement, *parameters) as cursor:
                    return [tuple(row) for row in cursor.fetchall()]
        except (DatabaseUndefinedRelation, DestinationUndefinedEntity):
            return []
        except Exception as error:
            raise _explained(error, self.place, "read") from None

    def execute(self, sql: str, *parameters: Any) -> None:
        """Runs a statement that changes rows, all of them or none; `{dataset}` stands for the dataset's name.

        Raises `DestinationFailed`.
        """
        try:
            self.confirm()
            with self.connected() as client:
                client.execute_sql(sql.format(dataset=client.fully_qualified_dataset_name()), *parameters)
        except Exception as error:
            raise _explained(error, self.place, "write") from None

    def restore(self) -> None:
        """Takes over the state that the destination holds, if it is newer than the local one."""
        try:
            with self.connected():
                self.pipeline.sync_destination()
        except Exception as error:
            raise _explained(error, self.place, "read") from None

    def drain(self) -> bool:
        """Loads what an earlier run left behind, and says whether there was any.

        dlt would do so on the next load and then skip that load's extract without a word. What a kill left half made is
        dropped, and what is older than a load that came through: this package itself, or one of another machine, whose
        newer rows it would undo. What the ledger does not tell of then, this run asks for again.
        """
        if not self.pipeline.has_pending_data:
            return False
        pending = [*self.pipeline.list_extracted_load_packages(), *self.pipeline.list_normalized_load_packages()]
        if pending and self.query(_LOADED_SINCE, min(pending)):
            logger.warning("dropping what an earlier run left: there is a load since")
            self._drop()
            return False
        try:
            self.pipeline.normalize()
        except Exception as error:
            logger.warning("dropping what an earlier run left unfinished: %s", _last_cause(error))
            if self.pipeline.list_normalized_load_packages():
                self._load()
            self._drop()
            return False
        self._load()
        return True

    def _drop(self) -> None:
        """Forgets all packages and the local state."""
        self.pipeline.drop()
        self.restore()

    def load(self, source: DltSource) -> list[str]:
        """Extracts and loads one package, all of it or nothing, and returns its load id."""
        self.kind.adapt(source)
        try:
            self.pipeline.extract(source)
            self.pipeline.normalize()
        except Exception as error:
            raise _explained(error, self.place, "write") from None
        return self._load()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds a DuckDB file for the block, with all that was committed in the file itself and none beside it."""
        try:
            with self.connected() as client:
                client.execute_sql("force checkpoint")
                yield
        except OSError:
            raise
        except Exception as error:
            raise _explained(error, self.place, "read") from None

    def _load(self) -> list[str]:
        try:
            self.confirm()
            with self.connected() as client:
                info = self.pipeline.load()
                if not self._finished or any(package.schema_update for package in info.load_packages):
                    self.kind.finish(client)
                    self._finished = True
        except Exception as error:
            raise _explained(error, self.place, "write") from None
        return list(info.loads_ids)

    @contextmanager
    def connected(self) -> Iterator[SqlClientBase[Any]]:
        """A connection, one for the block and all within it: no other program can take a DuckDB file in between.

        To open a DuckDB file and to close it costs more than most queries. But a program that wants to read it has to
        wait, so the block should not.
        """
        if self._client is None:
            self._client = self.pipeline.sql_client()
        if self._users == 0:
            self._open(self._client)
        self._users += 1
        try:
            yield self._client
        finally:
            self._users -= 1
            if self._users == 0:
                self._client.close_connection()

    def _open(self, client: SqlClientBase[Any]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                client.open_connection()
                return
            except Exception as error:
                if not _HELD.search(_last_cause(error)) or time.monotonic() > deadline:
                    raise _explained(error, self.place, "open") from None
            time.sleep(0.1)


@contextmanager
def open_warehouse(target: Target, *, command: str, write: bool) -> Iterator[Warehouse]:
    """Opens `target`; with `write`, as its only writer, else to read alone.

    The pipeline's working folder belongs to one dataset in one place, so that two datasets never share pending packages
    or state. Raises `ConfigurationError`, `DatasetLocked` or `DestinationFailed`.
    """
    set_defaults()
    kind, place = check_target(target.destination, target.dataset, target.pipeline_name)
    fingerprint = hashlib.sha256(
        f"{target.destination} {place} {target.dataset}".encode(errors="surrogateescape")
    ).hexdigest()[:12]
    folder = Path(run_context().data_dir) / "gong_source" / f"{target.dataset}-{fingerprint}"
    dataset = f"dataset {target.dataset} in {place}"
    # beside a DuckDB file, where every machine that can load into it finds the lock
    lock_file = Path(f"{place}.lock") if target.destination == "duckdb" else folder.with_suffix(".lock")
    with ExitStack() as stack:
        if write:
            stack.enter_context(file_lock(lock_file, dataset=dataset, command=command))
        warehouse = Warehouse(_pipeline(target, folder, write=write), place, kind)
        if write:
            try:
                warehouse.confirm = stack.enter_context(kind.lock(warehouse.pipeline, dataset, command))
            except Exception as error:
                raise _explained(error, place, "open") from None
        yield warehouse


def _pipeline(target: Target, folder: Path, *, write: bool) -> dlt.Pipeline:
    try:
        return dlt.pipeline(
            target.pipeline_name,
            pipelines_dir=str(folder),
            destination=factory(target.destination, write=write),
            dataset_name=target.dataset,
            progress=NULL_COLLECTOR,  # stdout is for results
        )
    except Exception as error:
        raise _explained(error, str(folder), "write") from None


def _explained(error: Exception, place: str, doing: str) -> GongError:
    """What went wrong with the warehouse, in one line; an error of ours from inside a load stays what it is."""
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, GongError):
            return cause
    text = _last_cause(error)
    if held := _HELD.search(text):
        # of a program in another container it tells no name
        holder = f": {held[1]} (PID {held[2]})" if held[1] else ", outside of this container"
        return DestinationFailed(
            f"{place} is open in another program{holder}; DuckDB lets one program at a time write."
            " Close it there and try again; nothing is lost"
        )
    step = f" in step {error.step}" if isinstance(error, PipelineStepFailed) else ""
    hint = _MORE_MEMORY if OUT_OF_MEMORY.search(text) else ""
    if any(isinstance(cause, DatabaseUndefinedRelation) for cause in causes):
        hint = _TABLE_GONE
    return DestinationFailed(f"cannot {doing} {place}{step}: {text}{hint}")


def _causes(error: BaseException) -> Sequence[BaseException]:
    causes: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in causes:
        causes.append(current)
        current = current.__cause__ or getattr(current, "exception", None) or current.__context__
    return causes


def _last_cause(error: Exception) -> str:
    cause = _causes(error)[-1]
    return f"{type(cause).__name__}: {_first_line(cause)}"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")
