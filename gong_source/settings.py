"""Credentials and settings, by dlt's configuration system -> a client of one Gong tenant."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from dlt.common.configuration import configspec
from dlt.common.configuration.exceptions import ConfigFieldMissingException, ConfigurationException
from dlt.common.configuration.resolve import resolve_configuration
from dlt.common.configuration.specs import BaseConfiguration, CredentialsConfiguration
from dlt.common.runtime.run_context import active as run_context
from dlt.common.typing import TSecretStrValue  # noqa: TC002 - dlt resolves the annotations at run time

from gong_source.api.client import Client
from gong_source.api.throttle import Throttle
from gong_source.api.transport import Transport
from gong_source.errors import ConfigurationError, WalkStopped
from gong_source.presets import set_defaults
from gong_source.windows import days_before, parse

if TYPE_CHECKING:
    from datetime import datetime

SECTIONS = ("sources", "gong")
DEFAULT_DAYS = 30
DELETED_CALLS = ("keep", "redact", "remove")


@configspec
class GongCredentials(CredentialsConfiguration):
    """An access key of Gong's API, and the host of the tenant it belongs to."""

    access_key: TSecretStrValue = None  # type: ignore[assignment]
    """The access key."""
    access_key_secret: TSecretStrValue = None  # type: ignore[assignment]
    """The access key's secret."""
    base_url: str = "https://api.gong.io"
    """The tenant's API address, as Gong's API page shows it."""

    def parse_native_representation(self, native_value: Any) -> None:
        """Takes them as one JSON object; raises `ValueError` for anything else."""
        fields = json.loads(native_value)
        if not isinstance(fields, dict) or not fields.keys() <= self.get_resolvable_fields().keys():
            raise ValueError("not a JSON object of access_key, access_key_secret and base_url")
        for name, value in fields.items():
            self[name] = value

    def on_resolved(self) -> None:
        """Raises `ConfigurationError` for a key that is empty, as a secret that is not there often is."""
        for name in ("access_key", "access_key_secret"):
            self[name] = str(self[name]).strip()
            if not self[name]:
                raise ConfigurationError(f"Gong's {name} is empty: set SOURCES__GONG__CREDENTIALS__{name.upper()}")


# dlt resolves these annotations at run time and knows unions only as Optional
@configspec
class GongSettings(BaseConfiguration):
    """The settings in `[sources.gong]`."""

    credentials: GongCredentials = None  # type: ignore[assignment]
    start_date: Optional[str] = None  # noqa: UP045
    """The first day wanted, UTC, inclusive; None: the last 30 days."""
    lookback_days: float = 7.0
    """How far before the watermark each sync asks again, for calls that arrive late or change."""
    workspace_id: Optional[str] = None  # noqa: UP045
    """Only this workspace's calls; None: all."""
    requests_per_second: float = 3.0
    """The tenant's permitted rate."""
    max_wait_seconds: float = 300.0
    """The longest that a run waits for Gong's Retry-After; beyond it, the run stops cleanly."""
    daily_request_budget: int = 10_000
    """Requests that all runs on this key may send in one UTC day."""
    verify_days: float = 0.0
    """How many of the last days each sync verifies and repairs when it has loaded; 0: none."""
    verify_request_budget: int = 200
    """Requests that a sync may spend on that."""
    deleted_calls: str = "keep"
    """What a repair does with calls that Gong no longer lists: keep the row, redact its content, or remove it."""
    max_deleted_share: float = 0.2
    """The share of a window's calls that may be gone before a person has to confirm that they are deleted."""

    def on_resolved(self) -> None:
        """Checks each setting's bounds; raises `ConfigurationError`."""
        if not 0 <= self.lookback_days <= 3650:  # ten years
            raise ConfigurationError(f"lookback_days: {self.lookback_days:g} must lie between 0 and 3650")
        if self.daily_request_budget < 1:
            raise ConfigurationError(f"daily_request_budget: {self.daily_request_budget} must be at least 1")
        if not self.max_wait_seconds >= 0:
            raise ConfigurationError(f"max_wait_seconds: {self.max_wait_seconds:g} must not be negative")
        if not 0 <= self.verify_days <= 3650:
            raise ConfigurationError(f"verify_days: {self.verify_days:g} must lie between 0 and 3650")
        if self.verify_request_budget < 1:
            raise ConfigurationError(f"verify_request_budget: {self.verify_request_budget} must be at least 1")
        if self.deleted_calls not in DELETED_CALLS:
            raise ConfigurationError(f"deleted_calls: {self.deleted_calls!r}; choose {', '.join(DELETED_CALLS)}")
        if not 0 <= self.max_deleted_share <= 1:
            raise ConfigurationError(f"max_deleted_share: {self.max_deleted_share:g} must lie between 0 and 1")

    def start(self, now: datetime) -> datetime:
        """The start of the first sync: `start_date`, else 30 days before `now`."""
        return parse(self.start_date, "start_date") if self.start_date else days_before(now, DEFAULT_DAYS)


def resolve_settings(**explicit: Any) -> GongSettings:
    """The settings, from `explicit` where given, else from dlt's configuration.

    Raises `ConfigurationError` with the names to set when a credential is missing.
    """
    set_defaults()
    given = {name: value for name, value in explicit.items() if value is not None}
    try:
        return resolve_configuration(GongSettings(), sections=SECTIONS, explicit_value=given)
    except ConfigFieldMissingException as missing:
        names = ", ".join(sorted(_environment_names(missing)))
        raise ConfigurationError(
            f"Gong's access key is not set: set {names} in the environment, or access_key and access_key_secret under"
            " [sources.gong.credentials] in .dlt/secrets.toml"
        ) from None
    except ConfigurationException as error:
        raise ConfigurationError(f"[sources.gong]: {_first_line(error)}") from None


def connect(
    settings: GongSettings,
    *,
    stopped: threading.Event | None = None,
    max_requests: int | None = None,
    throttle: Throttle | None = None,
    max_attempts: int = 6,
) -> Client:
    """A client for the tenant; sends nothing yet.

    Its throttle is shared by all runs of this key on this machine. Setting `stopped` ends every wait.
    """
    stop = stopped or threading.Event()

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise WalkStopped("stopped on request")

    credentials = settings.credentials
    if throttle is None:
        throttle = Throttle(
            settings.requests_per_second,
            path=Path(run_context().data_dir) / "gong_source" / "throttle.sqlite",
            key=_fingerprint(credentials),
            max_wait_seconds=settings.max_wait_seconds,
            daily_budget=settings.daily_request_budget,
            max_requests=max_requests,
            sleep=sleep,
        )
    transport = Transport(
        credentials.base_url,
        credentials.access_key,
        credentials.access_key_secret,
        throttle=throttle,
        stopped=stop,
        max_attempts=max_attempts,
    )
    return Client(transport, workspace_id=settings.workspace_id)


def _fingerprint(credentials: GongCredentials) -> str:
    """Tells keys apart without telling the key."""
    return hashlib.sha256(f"{credentials.base_url}\n{credentials.access_key}".encode()).hexdigest()[:16]


def _environment_names(missing: ConfigFieldMissingException) -> set[str]:
    return {
        "__".join([*SECTIONS, "credentials", name]).upper() for name in missing.fields if name.startswith("access_key")
    } or {"SOURCES__GONG__CREDENTIALS__ACCESS_KEY", "SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET"}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def resolve_lookback() -> float:
    """The setting `lookback_days`, for a command that needs no access key."""
    set_defaults()
    try:
        settings = resolve_configuration(GongSettings(), sections=SECTIONS, accept_partial=True)
    except ConfigurationException as error:
        raise ConfigurationError(f"[sources.gong]: {_first_line(error)}") from None
    return float(settings.lookback_days)
