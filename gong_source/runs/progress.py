"""Reports the progress of a run on one resource."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gong_source.runs.run import Progress

if TYPE_CHECKING:
    from gong_source.runs.run import Run


class ProgressReporter:
    """Calls `run.control.on_progress`. The rate counts from the moment at which the reporter was made."""

    def __init__(self, run: Run, resource: str) -> None:
        self._run, self._resource = run, resource
        self._began, self._sent_before = time.monotonic(), run.client.transport.usage.requests

    def report(
        self,
        records: int | None = None,
        records_to_come: int | None = None,
        requests_to_come: float | None = None,
        *,
        exact: bool = False,
        windows: int = 0,
    ) -> None:
        """Reports once. Without records, counts are compared."""
        transport = self._run.client.transport
        requests = transport.usage.requests
        self._run.control.on_progress(
            Progress(
                resource=self._resource,
                records=records,
                records_to_come=records_to_come,
                requests_to_come=requests_to_come,
                exact=exact,
                windows=windows,
                requests=requests,
                requests_left=transport.throttle.left(),
                rate=(requests - self._sent_before) / max(time.monotonic() - self._began, 0.001),
                permitted_rate=transport.throttle.requests_per_second,
            )
        )
