"""What our commands set in dlt where neither the environment nor a toml file says otherwise."""

from __future__ import annotations

import logging
from typing import Any

import dlt
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.configuration.providers import CustomLoaderDocProvider
from dlt.common.configuration.resolve import resolve_configuration
from dlt.common.configuration.specs import RuntimeConfiguration
from dlt.common.runtime.anon_tracker import disable_anon_tracker

from gong_source.errors import ConfigurationError

_NAME = "gong_source defaults"
_DEFAULTS: dict[str, Any] = {
    # of each attempt at a load dlt tells at length; the error that ends a run holds what matters
    "runtime": {"dlthub_telemetry": False, "log_level": "CRITICAL"},
    # what was staged is loaded: it would only be written to the file too, and outlive the calls that are removed
    "load": {"delete_completed_jobs": True, "truncate_staging_dataset": True},
    "data_writer": {"disable_compression": True},
}
# Settings of dlt that the commands cannot do with, and why.
_REFUSED = {
    ("load.raise_on_failed_jobs", False): "calls that could not be loaded would be missing without a word",
    ("normalize.parquet_normalizer.add_dlt_id", True): "the tables have keys of their own, and no _dlt_id",
}


def set_defaults() -> None:
    """Adds the defaults behind all of dlt's other sources of configuration, so that each of those overrides them.

    Raises `ConfigurationError` for a toml file that cannot be read, and for what the commands cannot do with.
    """
    try:
        _set_defaults()
        for (name, value), reason in _REFUSED.items():
            if dlt.config.get(name, bool) is value:
                raise ConfigurationError(f"dlt's setting {name} = {str(value).lower()}: {reason}; remove it")
    except ConfigurationException as error:
        raise ConfigurationError(" ".join(str(error).split())) from None


def _set_defaults() -> None:
    if any(provider.name == _NAME for provider in dlt.config.config_providers):
        return
    dlt.config.register_provider(CustomLoaderDocProvider(_NAME, lambda: _DEFAULTS, False, []))
    # dlt starts its telemetry and its logger before anybody can add a default; nothing has been sent by then
    runtime = resolve_configuration(RuntimeConfiguration())
    logging.getLogger("dlt").setLevel(runtime.log_level)
    if not runtime.dlthub_telemetry:
        disable_anon_tracker()
