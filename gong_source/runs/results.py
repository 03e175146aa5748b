"""What runs that load give back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gong_source.errors import GongError, WrongTenant
from gong_source.runs.ending import NOT_SHOWN, Ending, PartEnding, as_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from gong_source.api.transport import Usage
    from gong_source.runs.verification import VerifyResult
    from gong_source.windows import Window


@dataclass(slots=True)
class ResourceResult(PartEnding):
    """What a run did with one resource.

    `refusal` says why no record was marked as deleted although some are missing in Gong, or why content was kept that
    Gong no longer has. `asked` is the number of calls whose content was requested; with `nothing_due`, no call was due.
    `not_due_until` is set if the last snapshot is recent enough, so that nothing was read. `loaded` are the windows
    that were loaded. `losses` counts, by name, the calls that have lost something in Gong that is kept here.
    """

    ranges: Sequence[Window] = ()
    nothing_due: bool = False
    asked: int = 0
    received: int = 0
    changed: int = 0
    marked_deleted: int = 0
    refusal: str | None = None
    windows: int = 0
    unmapped: int = 0
    unsettled: list[Window] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    watermark: datetime | None = None
    not_due_until: datetime | None = None
    loaded: list[Window] = field(default_factory=list, metadata=NOT_SHOWN)
    losses: Counter[str] = field(default_factory=Counter, metadata=NOT_SHOWN)

    def ended_early(self, cause: BaseException | None) -> bool:
        """Whether something ended the requests early; sets the status then. Raises what no run can go on after."""
        if isinstance(cause, GongError) and not isinstance(cause, WrongTenant):
            self.end_with(cause)
            return True
        if cause is not None:
            raise cause
        return False

    def take_refusal(self) -> None:
        """A refusal makes the result incomplete, and is part of its message."""
        if self.refusal:
            self.status = "incomplete" if self.status == "done" else self.status
            self.message = f"{self.message}; {self.refusal}" if self.message else self.refusal

    def add(self, later: ResourceResult) -> None:
        """Takes in what a later part of the run did with the same resource."""
        self.take_over([self, later])
        self.ends_run = later.ends_run
        self.nothing_due = self.nothing_due and later.nothing_due
        self.asked += later.asked
        self.received += later.received
        self.changed += later.changed
        self.unmapped += later.unmapped
        self.failures += later.failures
        self.refusal = later.refusal or self.refusal
        self.ranges = [*self.ranges, *later.ranges]
        self.windows += later.windows
        self.loaded += later.loaded
        self.marked_deleted += later.marked_deleted
        self.unsettled += later.unsettled
        self.watermark = later.watermark or self.watermark


def add_results(results: dict[str, ResourceResult], later: Mapping[str, ResourceResult]) -> None:
    """Takes what a later part of a run did into `results`."""
    for name, part in later.items():
        if name in results:
            results[name].add(part)
        else:
            results[name] = part


@dataclass(slots=True)
class LoadResult(Ending):
    """What a run did, in all and with each resource.

    `calls_received` and `calls_changed` count the calls that Gong listed, and those that are new or different since.
    `watermark` is the time up to which syncs cover every windowed resource; None in a backfill.
    """

    command: str
    ranges: list[Window] = field(default_factory=list)
    calls_received: int = 0
    calls_changed: int = 0
    windows: int = 0
    requests: int = 0
    waited_seconds: float = 0.0
    unmapped: int = 0
    unsettled: list[Window] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    watermark: datetime | None = None
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    resources: dict[str, ResourceResult] = field(default_factory=dict)
    verification: VerifyResult | None = None

    def conclude(self, usage: Usage, seconds: float) -> None:
        """Fills in what follows from the resources. A run that failed with some of several resources is incomplete."""
        parts = list(self.resources.values())
        self.requests, self.waited_seconds, self.seconds = usage.requests, usage.waited_seconds, seconds
        progress = any(part.windows or part.asked or part.received for part in parts)
        self.conclude_from(parts, "loaded", "load", any_progress=progress)
        if self.status == "failed" and any(part.status != "failed" and not part.nothing_due for part in parts):
            self.status = "incomplete"
        self.ranges = [window for part in parts for window in part.ranges]
        self.windows = sum(part.windows for part in parts)
        self.unmapped = sum(part.unmapped for part in parts)
        self.unsettled = [window for part in parts for window in part.unsettled]
        self.failures = [failure for part in parts for failure in part.failures]
        self.watermark = min((part.watermark for part in parts if part.watermark), default=None)
        if (calls := self.resources.get("calls")) is not None:
            self.calls_received, self.calls_changed = calls.received, calls.changed

    def as_json(self) -> dict[str, Any]:
        """The result as JSON's types, times in RFC 3339."""
        plain: dict[str, Any] = as_json(self)
        verification = self.verification.as_json() if self.verification else None
        return plain | {"verification": verification}
