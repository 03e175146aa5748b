"""From settings to a client of one Gong tenant."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from dlt.common.runtime.run_context import active as run_context

from gong_source.api.client import Client
from gong_source.api.throttle import Throttle
from gong_source.api.transport import Transport
from gong_source.errors import RunStopped

if TYPE_CHECKING:
    from gong_source.settings import GongCredentials, GongSettings


def connect(
    settings: GongSettings,
    *,
    stopped: threading.Event | None = None,
    max_requests: int | None = None,
    throttle: Throttle | None = None,
    max_attempts: int = 6,
) -> Client:
    """A client for the tenant; sends nothing yet.

    All runs with the same key on this machine share its throttle. Setting `stopped` ends every wait.
    """
    stop = stopped or threading.Event()

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise RunStopped

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
    """A short text that differs from key to key and does not contain the key."""
    return hashlib.sha256(f"{credentials.base_url}\n{credentials.access_key}".encode()).hexdigest()[:16]
