"""The dlt pipeline of a run: where it loads to, who may, and the one way a load happens."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.configuration.providers import CustomLoaderDocProvider
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.exceptions import MissingDependencyException
from dlt.common.runtime.run_context import active as run_context
from dlt.common.storages.configuration import WithLocalFiles
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.pipeline.exceptions import PipelineStepFailed

from gong_source.errors import ConfigurationError, DestinationFailed, GongError
from gong_source.runs.lock import file_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

logger = logging.getLogger(__name__)

DESTINATIONS = ("duckdb", "postgres", "bigquery")
_DRIVERS = {"duckdb": "duckdb", "postgres": "psycopg2", "bigquery": "google.cloud.bigquery"}
# Used where neither the environment nor a toml file says otherwise.
_DEFAULTS: dict[str, Any] = {
    "runtime": {"dlthub_telemetry": False},
    "load": {"delete_completed_jobs": True},
    "data_writer": {"disable_compression": True},
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run loads to."""

    destination: str = "duckdb"
    dataset: str = "gong"
    pipeline_name: str = "gong_calls"


@dataclass(frozen=True, slots=True)
class Warehouse:
    """An open target: its pipeline, and the place of its data for messages."""

    pipeline: dlt.Pipeline
    place: str

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query on the dataset; none if it names a table that does not exist yet.

        `{dataset}` in `sql` stands for the dataset's name. Raises `DestinationFailed`.
        """
        try:
            with self.pipeline.sql_client() as client:
                statement = sql.format(dataset=client.fully_qualified_dataset_name())
                with client.execute_query(statement, *parameters) as cursor:
                    return list(cursor.fetchall())
        except (DatabaseUndefinedRelation, DestinationUndefinedEntity):
            return []
        except Exception as error:
            raise _explained(error, self.place, "read") from None

    def restore(self) -> None:
        """Takes over the state that the destination holds, if it is newer than the local one."""
        try:
            self.pipeline.sync_destination()
        except Exception as error:
            raise _explained(error, self.place, "read") from None

    def drain(self) -> bool:
        """Loads what an earlier run left behind, and says whether there was any.

        dlt would do so on the next load and then skip that load's extract without a word.
        """
        if not self.pipeline.has_pending_data:
            return False
        logger.info("loading what an earlier run left")
        try:
            self.pipeline.run()
        except Exception as error:
            raise _explained(error, self.place, "write") from None
        return True

    def load(self, source: Any) -> list[str]:
        """Extracts and loads one package, all of it or nothing, and returns its load id."""
        try:
            return list(self.pipeline.run(source).loads_ids)
        except Exception as error:
            raise _explained(error, self.place, "write") from None


@contextmanager
def open_warehouse(target: Target, *, command: str, write: bool) -> Iterator[Warehouse]:
    """Opens `target`; with `write`, as its only writer.

    The pipeline's working folder belongs to one dataset in one place, so that two datasets never share pending packages
    or state. Raises `ConfigurationError`, `DatasetLocked` or `DestinationFailed`.
    """
    _set_defaults()
    place = _place(target)
    fingerprint = hashlib.sha256(f"{target.destination} {place} {target.dataset}".encode()).hexdigest()[:12]
    folder = Path(run_context().data_dir) / "gong_source" / f"{target.dataset}-{fingerprint}"
    dataset = f"dataset {target.dataset} in {place}"
    if write:
        # beside a DuckDB file, where every machine that can load into it finds the lock
        path = Path(f"{place}.lock") if target.destination == "duckdb" else folder.with_suffix(".lock")
        with file_lock(path, dataset=dataset, command=command):
            yield Warehouse(_pipeline(target, folder), place)
    else:
        yield Warehouse(_pipeline(target, folder), place)


def _pipeline(target: Target, folder: Path) -> dlt.Pipeline:
    try:
        return dlt.pipeline(
            target.pipeline_name,
            pipelines_dir=str(folder),
            destination=_factory(target),
            dataset_name=target.dataset,
        )
    except Exception as error:
        raise _explained(error, str(folder), "write") from None


def _factory(target: Target) -> Any:
    # by attribute: by name, dlt would first look into a module called like the current folder
    return getattr(dlt.destinations, target.destination)()


def _set_defaults() -> None:
    name = "gong_source defaults"
    if all(provider.name != name for provider in dlt.config.config_providers):
        dlt.config.register_provider(CustomLoaderDocProvider(name, lambda: _DEFAULTS, False, []))


def _place(target: Target) -> str:
    """Where the data lies: the file, the server and database, or the project; without secrets."""
    if target.destination not in DESTINATIONS:
        raise ConfigurationError(f"unknown destination {target.destination!r}; choose {', '.join(DESTINATIONS)}")
    for option, name in (("--dataset", target.dataset), ("--pipeline-name", target.pipeline_name)):
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise ConfigurationError(
                f"{option}: {name!r} may hold letters, digits and _ only, and starts with a letter"
            )
    if importlib.util.find_spec(_DRIVERS[target.destination].split(".")[0]) is None:
        raise ConfigurationError(
            f"destination {target.destination} needs its driver: pip install 'gong-source[{target.destination}]'"
        )
    try:
        destination = _factory(target)
        spec = destination.spec()._bind_dataset_name(target.dataset)  # noqa: SLF001 - as dlt's pipeline does
        if isinstance(spec, WithLocalFiles):
            spec.pipeline_name, spec.local_dir = target.pipeline_name, str(Path.cwd())
        config = destination.configuration(spec)
        place = str(config.data_location())
        if target.destination == "bigquery":
            place = f"{config.credentials.project_id}:{place}"
    except MissingDependencyException as error:
        raise ConfigurationError(f"destination {target.destination}: {_last_cause(error)}") from None
    except ConfigurationException as error:
        raise ConfigurationError(
            f"destination {target.destination} is not configured: {_first_line(error)} Set"
            f" DESTINATION__{target.destination.upper()}__CREDENTIALS, or its parts, or write them to .dlt/secrets.toml"
        ) from None
    if target.destination == "duckdb":
        _check_file(Path(place), target.dataset)
    return place


def _check_file(path: Path, dataset: str) -> None:
    if path.stem == dataset:
        raise ConfigurationError(
            f"DuckDB cannot tell dataset {dataset!r} from its file {path.name}; choose another --dataset or file"
        )
    if not path.parent.is_dir():
        raise DestinationFailed(f"cannot write {path}: there is no folder {path.parent}")


def _explained(error: Exception, place: str, doing: str) -> GongError:
    """What went wrong with the warehouse, in one line; an error of ours from inside a load stays what it is."""
    for cause in _causes(error):
        if isinstance(cause, GongError):
            return cause
    text = _last_cause(error)
    if held := re.search(r"Conflicting lock is held in (.+?) \(PID (\d+)\)", text):
        return DestinationFailed(
            f"{place} is open in another program: {held[1]} (PID {held[2]}); DuckDB lets one program at a time write."
            " Close it there and try again; nothing is lost"
        )
    step = f" in step {error.step}" if isinstance(error, PipelineStepFailed) else ""
    return DestinationFailed(f"cannot {doing} {place}{step}: {text}")


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
