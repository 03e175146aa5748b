"""How a run ends, or its work on one resource; and results as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from gong_source.errors import (
    AccessDenied,
    AuthenticationFailed,
    ConfigurationError,
    MissingScope,
    QuotaExhausted,
    RunStopped,
)
from gong_source.windows import Window, iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gong_source.errors import GongError

Status = Literal["done", "incomplete", "failed", "paused"]
# From good to bad: the worst of the parts is that of the whole. A pause outweighs a failure, because it says when to
# run again.
_STATUSES: tuple[Status, ...] = ("done", "incomplete", "failed", "paused")
# Fields with this are for the run alone.
NOT_SHOWN: Mapping[str, bool] = {"shown": False}


def as_json(value: Any) -> Any:
    """`value` as JSON's types: times in RFC 3339, windows as pairs of times, dataclasses as objects."""
    if isinstance(value, Window):
        return [iso(value.start), iso(value.end)]
    if is_dataclass(value):
        shown = [each.name for each in fields(value) if each.metadata != NOT_SHOWN]
        return {name: as_json(getattr(value, name)) for name in shown}
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, datetime):
        return iso(value)
    return round(value, 3) if isinstance(value, float) else value


@dataclass(slots=True, kw_only=True)
class Ending:
    """How a run ended, or its work on one resource.

    `status` says whether it finished, `message` why not, and `retry_at` when to run again (None: at once).
    `interrupted` says that somebody stopped the run. `missing_scope` is the error if the key lacks the scope.
    """

    status: Status = "done"
    message: str | None = None
    retry_at: datetime | None = None
    interrupted: bool = field(default=False, metadata=NOT_SHOWN)
    missing_scope: MissingScope | None = field(default=None, metadata=NOT_SHOWN)

    def take_over(self, parts: Sequence[Ending]) -> None:
        """Ends as the worst of `parts` did, with the messages of all."""
        self.status = max((part.status for part in parts), key=_STATUSES.index, default="done")
        self.message = "; ".join(dict.fromkeys(part.message for part in parts if part.message)) or None
        self.retry_at = next((part.retry_at for part in parts if part.retry_at), None)
        self.interrupted = any(part.interrupted for part in parts)
        self.missing_scope = next((part.missing_scope for part in parts if part.missing_scope), None)

    def conclude_from(self, parts: Sequence[PartEnding], done: str, doing: str, *, any_progress: bool) -> None:
        """Ends as the worst of `parts` did, with the messages of all; `done` and `doing` are the verb for what they do.

        A budget that was used up without `any_progress` was too small: the same command would end in the same place.
        """
        self.take_over(parts)
        self.message = _messages(parts, done)
        causes = {part.message for part in parts if part.message}
        over = self.status == "paused" and self.retry_at is None and not self.interrupted
        if over and not any_progress and len(causes) == 1:
            self.message = f"this run's budget was too small to {doing} anything: allow it more requests"


@dataclass(slots=True, kw_only=True)
class PartEnding(Ending):
    """How the work on `resource` ended. `ends_run` says that the reason for an early end concerns all resources."""

    resource: str = field(kw_only=False)
    ends_run: bool = False

    def end_with(self, cause: GongError) -> None:
        """Sets the status, from the error that ended the work."""
        self.status, self.message, self.ends_run = "failed", str(cause), _ends_run(cause)
        if isinstance(cause, QuotaExhausted):
            self.status, self.retry_at = "paused", cause.retry_at
        elif isinstance(cause, RunStopped):
            self.status, self.message = "paused", "stopped on request; run it again to continue"
            self.interrupted = True
        elif isinstance(cause, MissingScope):
            self.missing_scope = cause


def _ends_run(cause: GongError) -> bool:
    """Whether the error would stop every other resource too."""
    if isinstance(cause, AccessDenied):
        return not isinstance(cause, MissingScope)
    return isinstance(cause, AuthenticationFailed | QuotaExhausted | RunStopped | ConfigurationError)


def _messages(parts: Sequence[PartEnding], done: str) -> str | None:
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
