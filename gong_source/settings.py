"""Credentials and settings, in dlt's configuration system."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Optional

from dlt.common.configuration import configspec
from dlt.common.configuration.exceptions import (
    ConfigFieldMissingException,
    ConfigurationException,
    ConfigValueCannotBeCoercedException,
)
from dlt.common.configuration.resolve import resolve_configuration
from dlt.common.configuration.specs import BaseConfiguration, CredentialsConfiguration
from dlt.common.typing import TSecretStrValue  # noqa: TC002 - dlt resolves the annotations at run time

from gong_source.dates import check_zone, parse
from gong_source.errors import ConfigurationError, did_you_mean, first_line
from gong_source.misspelt import warn_of_misspelt
from gong_source.presets import set_presets
from gong_source.records.privacy import PERSONAL_DATA, Privacy, read_columns
from gong_source.resources import RESOURCES, choose
from gong_source.windows import days_before

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gong_source.resources.declare import Resource

SECTIONS = ("sources", "gong")
DEFAULT_DAYS = 30
DELETED_CALLS = ("keep", "redact", "remove")
PRIVATE_CALLS = ("keep", "metadata", "drop")
_TEN_YEARS = 3650
# For each setting with bounds: the smallest and the largest value.
_BOUNDS = {
    "lookback_days": (0, _TEN_YEARS),
    "verify_days": (0, _TEN_YEARS),
    "max_deleted_share": (0, 1),
    "snapshot_hours": (0, _TEN_YEARS * 24),
}


@configspec
class GongCredentials(CredentialsConfiguration):
    """An access key of Gong's API, and the host of the tenant that the key belongs to."""

    access_key: TSecretStrValue = None  # type: ignore[assignment]
    """The access key."""
    access_key_secret: TSecretStrValue = None  # type: ignore[assignment]
    """The access key's secret."""
    base_url: str = "https://api.gong.io"
    """The tenant's API address, as Gong's API page shows it. http is allowed for this machine only."""

    def parse_native_representation(self, native_value: Any) -> None:
        """Takes the credentials as one JSON object; raises `ValueError` for anything else."""
        fields = json.loads(native_value)
        if not isinstance(fields, dict) or not fields.keys() <= self.get_resolvable_fields().keys():
            raise ValueError("not a JSON object with access_key, access_key_secret and base_url")
        for name, value in fields.items():
            self[name] = value

    def on_resolved(self) -> None:
        """Raises `ConfigurationError` for an empty key: an unset secret often arrives as empty text."""
        for name in ("access_key", "access_key_secret"):
            self[name] = str(self[name]).strip()
            if not self[name]:
                raise ConfigurationError(f"Gong's {name} is empty: set SOURCES__GONG__CREDENTIALS__{name.upper()}")


# dlt resolves these annotations at run time, and knows unions only as Optional.
@configspec
class GongSettings(BaseConfiguration):
    """The settings in `[sources.gong]`."""

    credentials: GongCredentials = None  # type: ignore[assignment]
    resources: Any = ("calls",)
    """The resources to load: a list or names with commas between them; all: every resource."""
    start_date: Optional[str] = None  # noqa: UP045
    """The first day to load, inclusive; none: the last 30 days."""
    lookback_days: float = 7.0
    """How many days before the watermark each sync fetches again, for calls that arrive late or change."""
    workspace_id: Optional[str] = None  # noqa: UP045
    """Load only this workspace's calls; none: all workspaces."""
    time_zone: str = "UTC"
    """The time zone of dates that are written without an offset, and of local times in views and report."""
    snapshot_hours: float = 24.0
    """How old a snapshot (users, workspaces) may be before a sync reads the list again; 0: every sync."""
    requests_per_second: float = 3.0
    """The request rate that Gong grants the tenant."""
    max_wait_seconds: float = 300.0
    """The longest wait for Gong's Retry-After. If Gong asks for more, the run stops cleanly."""
    daily_request_budget: int = 10_000
    """How many requests all runs with this key may send in one UTC day."""
    verify_days: float = 0.0
    """Each sync also verifies and repairs the calls of so many last days; 0: none."""
    verify_request_budget: int = 200
    """How many requests a sync may spend on that."""
    deleted_calls: str = "keep"
    """What the commands do with calls that Gong no longer lists: keep the row, redact its content, or remove it. A dlt
    pipeline of your own keeps it."""
    private_calls: str = "metadata"
    """What is loaded of private calls: metadata (only the row in calls), keep (everything), or drop (only an almost
    empty row in calls, because verify counts rows)."""
    exclude_columns: Any = ()
    """Columns that stay null: a list or text with commas, of table.column. Their values are never written to disk."""
    personal_data: str = "keep"
    """Names, addresses, phone numbers and titles of people outside: keep, hash (with personal_data_key), or drop."""
    personal_data_key: Optional[TSecretStrValue] = None  # noqa: UP045
    """The secret key of these hashes. With another key, the same person gets another hash."""
    max_deleted_share: float = 0.2
    """The share of records that may be missing in Gong at once before a person has to confirm their deletion."""

    def on_resolved(self) -> None:
        """Checks every setting; raises `ConfigurationError`."""
        for name, (smallest, largest) in _BOUNDS.items():
            if not smallest <= self[name] <= largest:
                raise ConfigurationError(f"{name}: {self[name]:g} must lie between {smallest} and {largest}")
        for name in ("daily_request_budget", "verify_request_budget"):
            if self[name] < 1:
                raise ConfigurationError(f"{name}: {self[name]} must be at least 1")
        if not self.max_wait_seconds >= 0:
            raise ConfigurationError(f"max_wait_seconds: {self.max_wait_seconds:g} must not be negative")
        if self.deleted_calls not in DELETED_CALLS:
            raise ConfigurationError(f"deleted_calls: {self.deleted_calls!r}; choose {', '.join(DELETED_CALLS)}")
        if self.private_calls not in PRIVATE_CALLS:
            raise ConfigurationError(f"private_calls: {self.private_calls!r}; choose {', '.join(PRIVATE_CALLS)}")
        if self.personal_data not in PERSONAL_DATA:
            raise ConfigurationError(f"personal_data: {self.personal_data!r}; choose {', '.join(PERSONAL_DATA)}")
        if self.personal_data == "hash" and not str(self.personal_data_key or "").strip():
            raise ConfigurationError(
                "personal_data: hash needs a secret key: set SOURCES__GONG__PERSONAL_DATA_KEY in the environment, or"
                " personal_data_key under [sources.gong] in .dlt/secrets.toml"
            )
        self.workspace_id = (self.workspace_id or "").strip() or None  # an unset variable often arrives as empty text
        read_columns(self.exclude_columns)
        check_zone(self.time_zone)
        self.resources = read_names(self.resources)

    @property
    def keeps_private(self) -> bool:
        """Whether private calls are loaded with all that belongs to them."""
        return self.private_calls == "keep"

    @property
    def chosen(self) -> list[Resource]:
        """The resources to load, in the order in which runs load them."""
        return choose(self.resources)

    @property
    def privacy(self) -> Privacy:
        """What must not be stored."""
        return Privacy(
            read_columns(self.exclude_columns),
            self.personal_data,
            str(self.personal_data_key or "").strip(),
            drops_private=self.private_calls == "drop",
        )

    def start(self, now: datetime) -> datetime:
        """The start of the first sync: `start_date`, else 30 days before `now`.

        Raises `ConfigurationError` for a start date that is not a date, or lies in the future.
        """
        if not self.start_date:
            return days_before(now, DEFAULT_DAYS)
        start = parse(self.start_date, "start_date", zone=self.time_zone, now=now)
        if start >= now:
            raise ConfigurationError(f"start_date: {self.start_date} lies in the future")
        return start


def resolve_settings(**explicit: Any) -> GongSettings:
    """The settings, from `explicit` where given, else from dlt's configuration.

    Raises `ConfigurationError`: for a missing credential with the names to set.
    """
    given = _prepare(explicit)
    try:
        return resolve_configuration(GongSettings(), sections=SECTIONS, explicit_value=given)
    except ConfigFieldMissingException as missing:
        names = ", ".join(sorted(_environment_names(missing)))
        raise ConfigurationError(
            f"Gong's access key is not set: set {names} in the environment, or access_key and access_key_secret under"
            " [sources.gong.credentials] in .dlt/secrets.toml"
        ) from None
    except ConfigurationException as error:
        raise _unreadable(error) from None


def resolve_without_key(**explicit: Any) -> GongSettings:
    """The settings for a command that sends no request, so that no access key is needed."""
    given = _prepare(explicit)
    try:
        settings = resolve_configuration(
            GongSettings(), sections=SECTIONS, accept_partial=True, explicit_value=given or None
        )
    except ConfigurationException as error:
        raise _unreadable(error) from None
    settings.on_resolved()
    return settings


def _unreadable(error: ConfigurationException) -> ConfigurationError:
    if isinstance(error, ConfigValueCannotBeCoercedException):
        expected = "a whole number" if error.hint is int else "a number"  # of text and lists, dlt takes anything
        return ConfigurationError(f"{error.field_name}: {error.field_value!r} is not {expected}")
    return ConfigurationError(f"[sources.gong]: {first_line(error)}")


def _prepare(explicit: dict[str, Any]) -> dict[str, Any]:
    """Makes dlt's configuration ready, and returns the settings that are given."""
    set_presets()
    warn_of_misspelt(GongSettings().get_resolvable_fields(), GongCredentials().get_resolvable_fields())
    return {name: value for name, value in explicit.items() if value is not None}


def read_names(resources: Any) -> list[str]:
    """The names in a value of the setting `resources`; raises `ConfigurationError` for an unknown one."""
    if isinstance(resources, str):
        text = resources.strip()
        try:
            resources = json.loads(text) if text.startswith("[") else text.split(",")
        except ValueError:
            resources = [text]
    names = [str(name).strip() for name in resources] if _is_list(resources) else [str(resources)]
    if names == ["all"]:
        return list(RESOURCES)
    for name in names:
        if name not in RESOURCES:
            if name.lower() == "all":
                raise ConfigurationError("resources: all stands alone, in small letters: it is every resource there is")
            raise ConfigurationError(f"resources: {_unknown(name, RESOURCES)}")
    if not names:
        raise ConfigurationError(f"resources: the list is empty; choose {', '.join(RESOURCES)}, or all")
    return names


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset)


def _unknown(name: str, known: Iterable[str]) -> str:
    return f"{name!r} is unknown; choose {', '.join(known)}, or all{did_you_mean(name, known)}"


def _environment_names(missing: ConfigFieldMissingException) -> set[str]:
    return {
        "__".join([*SECTIONS, "credentials", name]).upper() for name in missing.fields if name.startswith("access_key")
    } or {"SOURCES__GONG__CREDENTIALS__ACCESS_KEY", "SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET"}
