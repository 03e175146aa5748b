"""What a verification found and did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gong_source.runs.ending import Ending, PartEnding, as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gong_source.api.transport import Usage
    from gong_source.windows import Window

Outcome = Literal["clean", "repaired", "differs", "refused", "paused", "failed"]
WindowOutcome = Literal["differs", "repaired", "refused", "unsettled"]
Count = Literal["missing", "changed", "surplus", "unsettled"]
COUNTS: tuple[Count, ...] = ("missing", "changed", "surplus", "unsettled")
# From good to bad: the outcome is about the data, so a failure outweighs a pause.
_OUTCOMES: tuple[Outcome, ...] = ("clean", "repaired", "differs", "refused", "paused", "failed")
# What a message about differences ends with.
REPAIR_HINT = "; gong-source verify --repair loads the differences again"


@dataclass(slots=True)
class Difference:
    """A window, or the whole of a snapshot, in which Gong and the warehouse differ.

    `window` is None for a snapshot. `listed` and `stored` are the two counts. `missing` records are listed by Gong and
    not stored; `changed` ones are stored with other values; `surplus` ones are stored and no longer listed; `unsettled`
    ones are counted by Gong and not listed yet.
    """

    resource: str
    window: Window | None
    listed: int
    stored: int
    missing: int = 0
    changed: int = 0
    surplus: int = 0
    unsettled: int = 0
    outcome: WindowOutcome = "differs"

    def as_json(self) -> dict[str, Any]:
        """The difference as JSON's types, times in RFC 3339."""
        plain: dict[str, Any] = as_json(self)
        start, end = plain.pop("window") or (None, None)
        return {"resource": plain.pop("resource"), "from": start, "to": end, **plain}


class Differences:
    """What follows from `windows`."""

    __slots__ = ()
    windows: list[Difference]

    @property
    def differing(self) -> list[Difference]:
        """The windows that differed, without those that are only unsettled."""
        return [found for found in self.windows if found.outcome != "unsettled"]

    def total(self, name: Count) -> int:
        """The records of all windows that are missing, changed, surplus or unsettled."""
        return sum(getattr(found, name) for found in self.windows)


@dataclass(slots=True)
class Verification(Differences, PartEnding):
    """What a verification found and did with one resource.

    `status` says whether Gong and the warehouse agree now, `message` why not. `windows` are those that differed when
    the verification began, or in which Gong counts records that it does not list yet. `listed` and `stored` are the
    counts when it began; None if it ended before it knew. `resume_from` is how far a comparison of every record came
    that ended early. A repair has loaded
    `received` records again, of which `rewritten` are new or different since.
    """

    ranges: Sequence[Window]
    deep: bool
    repair: bool
    outcome: Outcome = "clean"
    resume_from: datetime | None = None
    listed: int | None = None
    stored: int | None = None
    windows: list[Difference] = field(default_factory=list)
    marked_deleted: int = 0
    requests: int = 0
    received: int = 0
    rewritten: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(slots=True)
class VerifyResult(Differences, Ending):
    """What a verification found and did, in all and with each resource; the fields are those of `Verification`."""

    deep: bool
    repair: bool
    command: str = "verify"
    outcome: Outcome = "clean"
    resume_from: datetime | None = None
    ranges: list[Window] = field(default_factory=list)
    listed: int | None = None
    stored: int | None = None
    windows: list[Difference] = field(default_factory=list)
    marked_deleted: int = 0
    requests: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    resources: dict[str, Verification] = field(default_factory=dict)

    def conclude(self, usage: Usage, seconds: float) -> None:
        """Fills in what follows from the resources."""
        parts = list(self.resources.values())
        self.requests, self.seconds = usage.requests, seconds
        progress = any(part.windows or part.resume_from or part.status == "done" for part in parts)
        self.conclude_from(parts, "verified", "compare", any_progress=progress)
        if self.status == "failed" and any(part.status != "failed" for part in parts):
            self.status = "incomplete"
        if self.message and (times := self.message.count(REPAIR_HINT)) > 1:  # once, at the end
            self.message = self.message.replace(REPAIR_HINT, "", times - 1)
        self.outcome = max((part.outcome for part in parts), key=_OUTCOMES.index, default="clean")
        self.resume_from = next((part.resume_from for part in parts if part.resume_from), None)
        self.ranges = [window for part in parts for window in part.ranges]
        self.listed, self.stored = _sum(p.listed for p in parts), _sum(p.stored for p in parts)
        self.windows = [found for part in parts for found in part.windows]
        self.marked_deleted = sum(part.marked_deleted for part in parts)
        self.failures = [failure for part in parts for failure in part.failures]

    def as_json(self) -> dict[str, Any]:
        """The result as JSON's types, times in RFC 3339."""
        plain: dict[str, Any] = as_json(self)
        results: list[VerifyResult | Verification] = [self, *self.resources.values()]
        for result, shown in zip(results, [plain, *plain["resources"].values()], strict=True):
            shown["windows"] = [found.as_json() for found in result.windows]
            shown |= {name: result.total(name) for name in COUNTS}
        return plain


def _sum(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if not known or None in known else sum(count or 0 for count in known)
