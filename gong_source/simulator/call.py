"""One call as the simulated tenant knows it, and how the API shows it as JSON."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, Literal

Rule = Literal["documented", "scheduled", "started"]
"""By which time a call is filed: see `effective_time`."""

Rendering = Literal["offset", "utc", "mixed"]
"""How times are written: with the company's offset, with `Z`, or some calls one way and some the other."""

API_FIELDS: Final = (
    "id",
    "url",
    "title",
    "scheduled",
    "started",
    "duration",
    "primaryUserId",
    "direction",
    "system",
    "scope",
    "media",
    "language",
    "workspaceId",
    "sdrDisposition",
    "clientUniqueId",
    "customData",
    "purpose",
    "meetingUrl",
    "isPrivate",
    "calendarEventId",
)
"""The twenty documented fields, in the order in which they are served."""

ABSENT: Final = object()
"""As a value in `Call.fields`: leave the key out of the JSON instead of serving null."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
# One encoder for all calls: json.dumps with options builds a new one each time.
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(slots=True)
class Call:
    """The truth about one call.

    `id` is decimal text. `scheduled` and `started` are aware datetimes. `fields` holds the other API fields
    under their API names: a documented field that is missing is served as null, an unknown one is served
    after the documented ones, and `scheduled` or `started` in it is served as it stands in place of the
    rendered time. `available_at` is the moment (unix seconds) from which the call is listed. `filed` is the
    time by which a call is filed that shows neither `scheduled` nor `started`.
    """

    id: str
    scheduled: datetime | None = None
    started: datetime | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    available_at: float | None = None
    filed: datetime | None = None

    def copy(self) -> "Call":
        """Return an independent copy; values inside `fields` are shared."""
        return Call(self.id, self.scheduled, self.started, dict(self.fields), self.available_at, self.filed)


def effective_time(call: Call, rule: Rule) -> datetime | None:
    """Return the time by which the call is filtered and ordered, or None for a call that no list shows.

    "documented": `scheduled` for a conference, else `started`. "scheduled": `scheduled` whenever set.
    "started": `started` whenever set. Each falls back to the other time, then to `filed`.
    """
    by_schedule = rule == "scheduled" or (rule == "documented" and call.fields.get("direction") == "Conference")
    first, second = (call.scheduled, call.started) if by_schedule else (call.started, call.scheduled)
    return first or second or call.filed


def to_micros(moment: datetime) -> int:
    """Return microseconds since 1970 UTC."""
    return (moment - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC datetime of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


def show_time(moment: datetime, zone: tzinfo | None) -> str:
    """Return ISO-8601 text in `zone` (None: UTC, as `Z`) with the 0, 3 or 6 fraction digits it needs."""
    micros = moment.microsecond
    digits = "microseconds" if micros % 1000 else "milliseconds" if micros else "seconds"
    if zone is None:
        return moment.astimezone(UTC).isoformat(timespec=digits)[:-6] + "Z"
    return moment.astimezone(zone).isoformat(timespec=digits)


def render(call: Call, zone: tzinfo | None) -> bytes:
    """Return the JSON object served for the call, as UTF-8 bytes."""
    fields = call.fields
    row: dict[str, Any] = {name: fields.get(name) for name in API_FIELDS}
    row["id"] = call.id
    if "scheduled" not in fields and call.scheduled is not None:
        row["scheduled"] = show_time(call.scheduled, zone)
    if "started" not in fields and call.started is not None:
        row["started"] = show_time(call.started, zone)
    row.update((name, value) for name, value in fields.items() if name not in row)
    if ABSENT in fields.values():
        row = {name: value for name, value in row.items() if value is not ABSENT}
    return _encode(row).encode()
