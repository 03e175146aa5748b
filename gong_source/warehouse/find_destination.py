"""The destinations by name, and the checks before one is used."""

from __future__ import annotations

import importlib.util
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlt.common.configuration.exceptions import ConfigFieldMissingException, ConfigurationException
from dlt.common.destination.exceptions import DestinationException
from dlt.common.exceptions import MissingDependencyException
from dlt.common.storages.configuration import WithLocalFiles

from gong_source.errors import ConfigurationError, did_you_mean, first_line

if TYPE_CHECKING:
    from gong_source.warehouse.destination import Destination

# Each has a module of its own, imported only if it is used.
NAMES = ("duckdb", "ducklake", "postgres", "bigquery")


def find_destination(name: str) -> Destination:
    """The destination of that name; raises `ConfigurationError` if there is none, or its drivers are missing."""
    if name not in NAMES:
        raise ConfigurationError(f"unknown destination {name!r}; choose {', '.join(NAMES)}{did_you_mean(name, NAMES)}")
    try:
        destination: Destination = import_module(f"gong_source.warehouse.{name}").DESTINATION
        complete = all(map(_importable, destination.drivers))
    except (ImportError, MissingDependencyException):
        complete = False
    if not complete:
        raise ConfigurationError(
            f"destination {name} needs the extra {name} (in the folder of gong-source: pip install '.[{name}]')"
        )
    return destination


def check_target(name: str, dataset: str, pipeline_name: str) -> tuple[Destination, str]:
    """The destination, and where its data lies: file, server and database, or project; without secrets.

    Raises `ConfigurationError` with what to install or set.
    """
    for option, value in (("--dataset", dataset), ("--pipeline-name", pipeline_name)):
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", value):
            raise ConfigurationError(
                f"{option}: {value!r} may only contain letters, digits and _, and must start with a letter"
            )
    destination = find_destination(name)
    place = destination.place(_configuration(destination, dataset, pipeline_name))
    destination.check(place, dataset)
    return destination, place


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a parent package
        return False


def _configuration(destination: Destination, dataset: str, pipeline_name: str) -> Any:
    """Dlt's configuration of the destination; raises `ConfigurationError` with what to set."""
    credentials = f"DESTINATION__{destination.name.upper()}__CREDENTIALS"
    setting = destination.setting.format(credentials)
    try:
        dlt_destination = destination.build(True)
        spec = dlt_destination.spec()._bind_dataset_name(dataset)  # noqa: SLF001 - as dlt's pipeline does
        if isinstance(spec, WithLocalFiles):
            spec.pipeline_name, spec.local_dir = pipeline_name, str(Path.cwd())
        return dlt_destination.configuration(spec)
    except MissingDependencyException as error:
        raise ConfigurationError(f"destination {destination.name}: {first_line(error)}") from None
    except ConfigFieldMissingException as missing:
        names = ", ".join(f"{credentials}__{name.upper()}" for name in missing.fields if name != "credentials")
        raise ConfigurationError(
            f"destination {destination.name} is not configured: set {setting}{f' (or {names})' if names else ''}, or"
            " write it to .dlt/secrets.toml"
        ) from None
    except (ConfigurationException, DestinationException, RuntimeError) as error:  # RuntimeError: for `:pipeline:`
        raise ConfigurationError(
            f"destination {destination.name} is not configured: {first_line(error)} Set {setting}, or write it to"
            " .dlt/secrets.toml"
        ) from None
