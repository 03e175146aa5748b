"""What our commands set in dlt where neither the environment nor a toml file says otherwise."""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.configuration.providers import CustomLoaderDocProvider
from dlt.common.configuration.resolve import resolve_configuration
from dlt.common.configuration.specs import RuntimeConfiguration
from dlt.common.runtime.anon_tracker import disable_anon_tracker

_NAME = "gong_source defaults"
_DEFAULTS: dict[str, Any] = {
    "runtime": {"dlthub_telemetry": False},
    # what was staged is loaded: it would only be written to the file too, and outlive the calls that are removed
    "load": {"delete_completed_jobs": True, "truncate_staging_dataset": True},
    "data_writer": {"disable_compression": True},
}


def set_defaults() -> None:
    """Adds the defaults behind all of dlt's other sources of configuration, so that each of those overrides them."""
    if any(provider.name == _NAME for provider in dlt.config.config_providers):
        return
    dlt.config.register_provider(CustomLoaderDocProvider(_NAME, lambda: _DEFAULTS, False, []))
    # dlt starts its telemetry before anybody can add a default; nothing has been sent by then
    if not resolve_configuration(RuntimeConfiguration()).dlthub_telemetry:
        disable_anon_tracker()
