"""Gong in a warehouse: a dlt source, and the runs around it.

    import dlt
    from gong_source import gong

    dlt.pipeline("gong_calls", destination="duckdb", dataset_name="gong").run(gong())

Importing the package does no I/O and does not import dlt; a name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gong_source.version import __version__

if TYPE_CHECKING:
    from gong_source.errors import (
        AccessDenied,
        AuthenticationFailed,
        BadRequest,
        ConfigurationError,
        DatasetLocked,
        DestinationFailed,
        GongError,
        MissingScope,
        NotFound,
        QuotaExhausted,
        RecordError,
        RequestFailed,
        Unavailable,
        UnexpectedAnswer,
        WrongTenant,
    )
    from gong_source.report.write import write_report
    from gong_source.runs.backfill import Plan, backfill, plan_backfill
    from gong_source.runs.check import CheckResult, check
    from gong_source.runs.erase import EraseResult, erase
    from gong_source.runs.results import LoadResult, ResourceResult
    from gong_source.runs.run import Control, Progress
    from gong_source.runs.status import StatusResult, status
    from gong_source.runs.sync import sync
    from gong_source.runs.verification import Difference, Verification, VerifyResult
    from gong_source.runs.verify.verify import verify
    from gong_source.settings import GongCredentials, GongSettings, resolve_settings
    from gong_source.source import gong
    from gong_source.warehouse.publish import publish
    from gong_source.warehouse.warehouse import Target
    from gong_source.windows import Window

_HOMES = {
    "AccessDenied": "gong_source.errors",
    "AuthenticationFailed": "gong_source.errors",
    "BadRequest": "gong_source.errors",
    "CheckResult": "gong_source.runs.check",
    "ConfigurationError": "gong_source.errors",
    "Control": "gong_source.runs.run",
    "DatasetLocked": "gong_source.errors",
    "DestinationFailed": "gong_source.errors",
    "Difference": "gong_source.runs.verification",
    "EraseResult": "gong_source.runs.erase",
    "GongCredentials": "gong_source.settings",
    "GongError": "gong_source.errors",
    "GongSettings": "gong_source.settings",
    "LoadResult": "gong_source.runs.results",
    "MissingScope": "gong_source.errors",
    "NotFound": "gong_source.errors",
    "Plan": "gong_source.runs.backfill",
    "Progress": "gong_source.runs.run",
    "QuotaExhausted": "gong_source.errors",
    "RecordError": "gong_source.errors",
    "RequestFailed": "gong_source.errors",
    "ResourceResult": "gong_source.runs.results",
    "StatusResult": "gong_source.runs.status",
    "Target": "gong_source.warehouse.warehouse",
    "Unavailable": "gong_source.errors",
    "UnexpectedAnswer": "gong_source.errors",
    "Verification": "gong_source.runs.verification",
    "VerifyResult": "gong_source.runs.verification",
    "Window": "gong_source.windows",
    "WrongTenant": "gong_source.errors",
    "backfill": "gong_source.runs.backfill",
    "check": "gong_source.runs.check",
    "erase": "gong_source.runs.erase",
    "gong": "gong_source.source",
    "plan_backfill": "gong_source.runs.backfill",
    "publish": "gong_source.warehouse.publish",
    "resolve_settings": "gong_source.settings",
    "status": "gong_source.runs.status",
    "sync": "gong_source.runs.sync",
    "verify": "gong_source.runs.verify.verify",
    "write_report": "gong_source.report.write",
}

__all__ = [
    "AccessDenied",
    "AuthenticationFailed",
    "BadRequest",
    "CheckResult",
    "ConfigurationError",
    "Control",
    "DatasetLocked",
    "DestinationFailed",
    "Difference",
    "EraseResult",
    "GongCredentials",
    "GongError",
    "GongSettings",
    "LoadResult",
    "MissingScope",
    "NotFound",
    "Plan",
    "Progress",
    "QuotaExhausted",
    "RecordError",
    "RequestFailed",
    "ResourceResult",
    "StatusResult",
    "Target",
    "Unavailable",
    "UnexpectedAnswer",
    "Verification",
    "VerifyResult",
    "Window",
    "WrongTenant",
    "__version__",
    "backfill",
    "check",
    "erase",
    "gong",
    "plan_backfill",
    "publish",
    "resolve_settings",
    "status",
    "sync",
    "verify",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
