"""What commands give back: how far a run is, what it loaded, what a verification found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from gong_source.windows import Window, iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gong_source.api.transport import Usage
    from gong_source.errors import MissingScope

Status = Literal["done", "incomplete", "failed", "paused"]
Outcome = Literal["clean", "repaired", "differs", "refused", "paused", "failed"]
WindowOutcome = Literal["differs", "repaired", "refused", "unsettled"]
Count = Literal["missing", "changed", "surplus", "unsettled"]
COUNTS: tuple[Count, ...] = ("missing", "changed", "surplus", "unsettled")
# Fields with this are for the run alone.
_NOT_SHOWN: Mapping[str, bool] = {"shown": False}
# From good to bad: the worst of the parts is that of the whole. A pause outweighs a failure in the status, because it
# says when to run again; the outcome is about the data.
_STATUSES: tuple[Status, ...] = ("done", "incomplete", "failed", "paused")
# What a message about differences ends with.
REPAIR_HINT = "; gong-source verify --repair loads the differences again"
_OUTCOMES: tuple[Outcome, ...] = ("clean", "repaired", "differs", "refused", "paused", "failed")


def as_json(value: Any) -> Any:
    """`value` as JSON's types: times in RFC 3339, windows as pairs of times, dataclasses as objects."""
    if isinstance(value, Window):
        return [iso(value.start), iso(value.end)]
    if is_dataclass(value):
        shown = [each.name for each in fields(value) if each.metadata != _NOT_SHOWN]
        return {name: as_json(getattr(value, name)) for name in shown}
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, datetime):
        return iso(value)
    return round(value, 3) if isinstance(value, float) else value


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is with one resource.

    `records` have arrived; None while a verification compares counts. What is to come is None before Gong's first
    count; it is an estimate unless `exact`.
    `requests_left` are those that the budgets still allow today. Rates are in requests per second.
    """

    resource: str
    records: int | None
    records_to_come: int | None
    requests_to_come: float | None
    exact: bool
    windows: int
    requests: int
    requests_left: float
    rate: float
    permitted_rate: float

    @property
    def total(self) -> int | None:
        """The records that have arrived and those to come."""
        if self.records is None or self.records_to_come is None:
            return None
        return self.records + self.records_to_come

    @property
    def seconds_left(self) -> float | None:
        """The seconds that the requests to come take at the rate reached so far; None while there is none."""
        rate = min(self.rate, self.permitted_rate)
        return None if self.requests_to_come is None or not rate else self.requests_to_come / rate


@dataclass(slots=True, kw_only=True)
class Ending:
    """How a run ended, or its work on one resource.

    `status` says whether it finished, `message` why not, and `retry_at` when to run again (None: at once).
    `interrupted` says that somebody stopped the run. `missing_scope` is the error if the key lacks the scope.
    """

    status: Status = "done"
    message: str | None = None
    retry_at: datetime | None = None
    interrupted: bool = False
    missing_scope: MissingScope | None = field(default=None, metadata=_NOT_SHOWN)

    def take_over(self, parts: Sequence[Ending]) -> None:
        """Ends as the worst of `parts` did, with the messages of all."""
        self.status = max((part.status for part in parts), key=_STATUSES.index, default="done")
        self.message = "; ".join(dict.fromkeys(part.message for part in parts if part.message)) or None
        self.retry_at = next((part.retry_at for part in parts if part.retry_at), None)
        self.interrupted = any(part.interrupted for part in parts)
        self.missing_scope = next((part.missing_scope for part in parts if part.missing_scope), None)


@dataclass(slots=True)
class ResourceResult(Ending):
    """What a run did with one resource.

    `ends_run` says that the reason for an early end concerns all resources. `refusal` says why no record was marked as
    deleted although some are missing in Gong, or why content was kept that Gong no longer has. `asked` is the number of
    calls whose content was requested; with `nothing_due`, no call was due. `not_due_until` is set if the last snapshot
    is recent enough, so that nothing was read. `loaded` are the windows that were loaded. `losses` counts, by name, the
    calls that have lost something in Gong that is kept here.
    """

    resource: str
    ranges: Sequence[Window] = ()
    ends_run: bool = False
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
    loaded: list[Window] = field(default_factory=list, metadata=_NOT_SHOWN)
    losses: Counter[str] = field(default_factory=Counter, metadata=_NOT_SHOWN)

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
        self.take_over(parts)
        self.message = _messages(parts, "loaded")
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
        for shown in (plain, *plain["resources"].values()):
            del shown["interrupted"]
        return plain | {"verification": verification}


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


@dataclass(slots=True)
class Verification(Ending):
    """What a verification found and did with one resource.

    `status` says whether Gong and the warehouse agree now, `message` why not. `windows` are those that differed when
    the verification began, or in which Gong counts records that it does not list yet. `listed` and `stored` are the
    counts when it began; None if it ended before it knew. `resume_from` is how far a comparison of every record came
    that ended early. `ends_run` says that the reason for an early end concerns all resources.
    """

    resource: str
    ranges: Sequence[Window]
    deep: bool
    repair: bool
    outcome: Outcome = "clean"
    resume_from: datetime | None = None
    ends_run: bool = False
    listed: int | None = None
    stored: int | None = None
    windows: list[Difference] = field(default_factory=list)
    marked_deleted: int = 0
    requests: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def differing(self) -> list[Difference]:
        """The windows that differed, without those that are only unsettled."""
        return [found for found in self.windows if found.outcome != "unsettled"]

    def total(self, name: Count) -> int:
        """The records of all windows that are missing, changed, surplus or unsettled."""
        return sum(getattr(found, name) for found in self.windows)


@dataclass(slots=True)
class VerifyResult(Ending):
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

    @property
    def differing(self) -> list[Difference]:
        """The windows that differed, without those that are only unsettled."""
        return [found for found in self.windows if found.outcome != "unsettled"]

    def total(self, name: Count) -> int:
        """The records of all windows that are missing, changed, surplus or unsettled."""
        return sum(getattr(found, name) for found in self.windows)

    def conclude(self, usage: Usage, seconds: float) -> None:
        """Fills in what follows from the resources."""
        parts = list(self.resources.values())
        self.requests, self.seconds = usage.requests, seconds
        self.take_over(parts)
        self.message = _messages(parts, "verified")
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
            del shown["interrupted"]
            shown["windows"] = [found.as_json() for found in result.windows]
            shown |= {name: result.total(name) for name in COUNTS}
        return plain


def _messages(parts: Sequence[ResourceResult | Verification], done: str) -> str | None:
    """The messages of all, each once; that of a missing scope says which resources are not `done` for it."""
    names: dict[str, list[str]] = {}
    for part in parts:
        if part.message:
            names.setdefault(part.message, []).append(part.resource)
    scopes = {str(part.missing_scope) for part in parts}
    texts = []
    for text, found in names.items():
        verb = "is" if len(found) == 1 else "are"
        texts.append(f"{' and '.join(found)} {verb} not {done}: {text}" if text in scopes else text)
    return "; ".join(texts) or None


def _sum(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if not known or None in known else sum(count or 0 for count in known)
