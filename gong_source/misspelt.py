"""Warns of settings that nobody reads, because their name is misspelt."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.configuration.providers import EnvironProvider

from gong_source.errors import did_you_mean
from gong_source.resources import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

logger = logging.getLogger(__name__)

_PREFIX = "SOURCES__GONG__"
# What dlt itself reads for a source.
_OF_DLT = {
    "export_schema_path",
    "extract",
    "import_schema_path",
    "max_table_nesting",
    "normalize",
    "root_key",
    "schema_contract",
}


def warn_of_misspelt(settings: Iterable[str], credentials: Iterable[str]) -> None:
    """Logs a warning for each name in `[sources.gong]`, or in the environment, that is neither ours nor dlt's."""
    known = {*settings, *RESOURCES, *_OF_DLT}
    for name, written in sorted({*_in_environment(), *_in_files()}):
        group, _, credential = name.partition("__")
        if group == "credentials" and credential:
            _warn(credential.partition("__")[0], {*credentials}, written)
        else:
            _warn(group, known, written)


def _warn(name: str, known: set[str], written: str) -> None:
    if name not in known:
        hint = did_you_mean(name, known) if written.islower() else did_you_mean(name.upper(), map(str.upper, known))
        logger.warning("unknown setting %s, it has no effect%s", written, hint)


def _in_environment() -> Iterator[tuple[str, str]]:
    """The names in the environment below the prefix, in lower case, each with its full name."""
    for written in os.environ:
        if written.upper().startswith(_PREFIX):
            yield written[len(_PREFIX) :].lower(), written


def _in_files() -> Iterator[tuple[str, str]]:
    """The names in dlt's toml files, each with the section that it is written in."""
    for provider in dlt.config.config_providers:
        if isinstance(provider, EnvironProvider):
            continue
        section, _ = provider.get_value("gong", dict[str, Any], "", "sources")
        for name, value in section.items() if isinstance(section, dict) else ():
            inner = value if isinstance(value, dict) and name == "credentials" else {}
            yield from ((f"credentials__{each}", f"sources.gong.credentials.{each}") for each in inner)
            if not inner:
                yield name, f"sources.gong.{name}"
