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

_NAME = "gong_source presets"
_PRESETS: dict[str, Any] = {
    # dlt logs each attempt of a load at length. The error that ends a run says what matters.
    "runtime": {"dlthub_telemetry": False, "log_level": "CRITICAL"},
    # Files and staged rows would stay after the load, and outlive calls that are removed later.
    "load": {"delete_completed_jobs": True, "truncate_staging_dataset": True},
    "data_writer": {"disable_compression": True},
}
# Settings of dlt that would break what the commands promise, and why.
_REFUSED = {
    ("load.raise_on_failed_jobs", False): "records that could not be loaded would be missing without an error",
    ("normalize.parquet_normalizer.add_dlt_id", True): "the tables have their own keys and no column _dlt_id",
}


def set_presets() -> None:
    """Adds the presets behind all other sources of dlt's configuration, so that each of those overrides them.

    Raises `ConfigurationError` for a toml file that cannot be read, and for settings that would break a promise.
    """
    try:
        _set_presets()
        for (name, value), reason in _REFUSED.items():
            if dlt.config.get(name, bool) is value:
                raise ConfigurationError(f"remove dlt's setting {name} = {str(value).lower()}: {reason}")
    except ConfigurationException as error:
        raise ConfigurationError(" ".join(str(error).split())) from None


def _set_presets() -> None:
    if any(provider.name == _NAME for provider in dlt.config.config_providers):
        return
    dlt.config.register_provider(CustomLoaderDocProvider(_NAME, lambda: _PRESETS, False, []))
    # dlt starts its telemetry and its logger before anybody can add a preset. Nothing has been sent by then.
    runtime = resolve_configuration(RuntimeConfiguration())
    logging.getLogger("dlt").setLevel(runtime.log_level)
    if not runtime.dlthub_telemetry:
        disable_anon_tracker()
