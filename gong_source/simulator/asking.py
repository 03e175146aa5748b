"""One request as an endpoint sees it, and how its inputs are read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gong_source.simulator.answers import Refusal
from gong_source.simulator.behaviour import Settings
from gong_source.simulator.call import to_micros
from gong_source.simulator.listing import Filter
from gong_source.simulator.tenant import Tenant

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d([.]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for an endpoint at `now` (unix seconds); `again` rows of the page before come again."""

    tenant: Tenant
    settings: Settings
    now: float
    query: dict[str, str]
    body: dict[str, Any] | None
    argument: str = ""
    again: int = 0


def bounds(inputs: dict[str, Any], settings: Settings, *, prefix: str) -> Filter:
    """Return a filter with the two bounds; raise Refusal naming every input that is wrong."""
    errors: list[str] = []
    found: list[int | None] = []
    for name in ("fromDateTime", "toDateTime"):
        text = inputs.get(name)
        if text is None:
            if settings.strict_dates and not inputs.get("callIds"):
                errors.append(f"{prefix}{name}: must not be null")
            found.append(None)
            continue
        micros = _parse(text)
        if micros is None:
            errors.append(f"{prefix}{name}: must be a date-time in the ISO-8601 format")
        found.append(micros)
    if errors:
        raise Refusal(400, *errors)
    start, end = found
    if start is not None and end is not None and start >= end:
        raise Refusal(400, f"{prefix}fromDateTime: must be before toDateTime")
    return Filter(start, end)


def body_filter(body: dict[str, Any], settings: Settings) -> tuple[Filter, str | None]:
    """Return what the `filter` of a JSON body wants, and its workspace; raise Refusal if it is wrong."""
    filters = body.get("filter")
    if filters is None:
        raise Refusal(400, "filter: must not be null")
    if not isinstance(filters, dict):
        raise Refusal(400, "Bad request")
    call_ids = _ids(filters, "callIds")
    if call_ids is not None and len(call_ids) > settings.most_call_ids:
        raise Refusal(400, f"filter.callIds: size must be between 1 and {settings.most_call_ids}")
    wanted = bounds(filters, settings, prefix="filter.")
    wanted.call_ids = call_ids
    wanted.user_ids = _ids(filters, "primaryUserIds")
    workspace_id = filters.get("workspaceId")
    return wanted, None if workspace_id is None else str(workspace_id)


def _ids(filters: dict[str, Any], name: str) -> Sequence[str] | None:
    """Return the ids in an input as text; the API takes numbers for them too."""
    given = filters.get(name)
    if given is None:
        return None
    if not isinstance(given, list):
        raise Refusal(400, "Bad request")
    if not given:
        raise Refusal(400, f"filter.{name}: must not be empty but can be null or can be omitted")
    return [str(one) for one in given]


def _parse(text: Any) -> int | None:
    if not isinstance(text, str) or not _MOMENT.fullmatch(text):
        return None
    try:
        return to_micros(datetime.fromisoformat(text))
    except ValueError:
        return None
