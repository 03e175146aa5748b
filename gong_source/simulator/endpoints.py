"""The endpoints: from a request's inputs to a page, an object or a refusal."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gong_source.simulator.answers import Page, Refusal, Single, dump
from gong_source.simulator.behaviour import Settings
from gong_source.simulator.call import to_micros
from gong_source.simulator.cursor import issue
from gong_source.simulator.detail import detailed
from gong_source.simulator.listing import Filter, Listing, following_position, position_of
from gong_source.simulator.tenant import Tenant, View

NO_CALLS: Final = "No calls found corresponding to the provided filters"
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


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of the API, with the method and the scope that it wants."""

    pattern: re.Pattern[str]
    method: str
    scope: str
    handle: Callable[[Ask], Page | Single]


def find(path: str, method: str) -> tuple[Endpoint, str]:
    """Return the endpoint for a path and the argument in the path; raise Refusal if there is none."""
    known = False
    for endpoint in _ENDPOINTS:
        matched = endpoint.pattern.fullmatch(path)
        if matched is None:
            continue
        if endpoint.method == method:
            return endpoint, matched[1] if endpoint.pattern.groups else ""
        known = True
    if known:
        raise Refusal(405, "Method Not Allowed")
    raise Refusal(404, f"Path {path} not found")


def _list_calls(ask: Ask) -> Page:
    settings, query = ask.settings, ask.query
    wanted = _bounds(query, settings, prefix="")
    wanted.view = _view(settings, settings.rule, query.get("workspaceId"))
    listing = Listing(ask.tenant, settings, ask.now, wanted, again=ask.again)
    return _page_of_calls(listing, query.get("cursor"))


def _list_calls_in_detail(ask: Ask) -> Page:
    body, settings, tenant = ask.body or {}, ask.settings, ask.tenant
    filters = body.get("filter")
    if not isinstance(filters, dict):
        raise Refusal(400, "filter: must not be null")
    if filters.get("callIds") == []:
        raise Refusal(400, "filter.callIds: must not be empty but can be null or can be omitted")
    wanted = _bounds(filters, settings, prefix="filter.")
    rule = settings.rule if settings.extensive_rule == "same" else settings.extensive_rule
    wanted.view = _view(settings, rule, filters.get("workspaceId"))
    wanted.call_ids = filters.get("callIds")
    wanted.user_ids = filters.get("primaryUserIds")
    listing = Listing(tenant, settings, ask.now, wanted, again=ask.again)
    selector = body.get("contentSelector") or {}
    return _page_of_calls(listing, body.get("cursor"), lambda row: detailed(row, selector))


def _page_of_calls(listing: Listing, cursor: Any, show: Callable[[bytes], bytes] | None = None) -> Page:
    tenant, settings = listing.tenant, listing.settings
    if settings.see_no_calls:
        raise Refusal(404, NO_CALLS)
    position = None if not cursor else position_of(cursor, settings, listing.now)
    with tenant.lock:
        step = listing.step(position)
        rows = step.rows
    if show is not None:
        rows = [show(row) for row in rows]
    if not rows and step.next is None:
        when_empty = settings.emptied_listing if position else settings.hidden_window
        if when_empty == "not_found" or (position is None and step.total == 0):
            raise Refusal(404, NO_CALLS)
    token = None
    if step.next is not None:
        token = issue(step.next, page_size=settings.page_size, secret=settings.cursor_secret)
    number = position.page_number + 1 if position else 0
    return Page("calls", rows, step.total, number, token)


def _get_call(ask: Ask) -> Single:
    tenant, settings = ask.tenant, ask.settings
    with tenant.lock:
        call = tenant.find(ask.argument)
        visible = call is not None and View("documented", None, settings.visible_share).admits(int(call.id))
        if call is None or not visible or settings.see_no_calls or tenant.hidden(int(call.id), ask.now):
            raise Refusal(404, f"Call ID {ask.argument} was not found")
        return Single("call", tenant.rendered(int(call.id)))


def _list_users(ask: Ask) -> Page:
    settings, users = ask.settings, list(ask.tenant.users)[: ask.settings.visible_users]
    cursor = ask.query.get("cursor")
    position = None if not cursor else position_of(cursor, settings, ask.now, id_name="userId")
    past = users if position is None else [user for user in users if int(user["id"]) <= position.row_id]
    rest = users if position is None else users[len(past) :]
    rows = (past[len(past) - ask.again :] if ask.again and position is not None else []) + rest[: settings.page_size]
    number = position.page_number + 1 if position else 0
    page = Page("users", [dump(row) for row in rows], position.total if position else len(users), number)
    if len(rest) > settings.page_size:
        page.cursor = issue(
            following_position(
                last=(int(rows[-1]["id"]), None),
                total=page.total or 0,
                before=position,
                expires=math.floor(ask.now + settings.cursor_lifetime_seconds),
            ),
            page_size=settings.page_size,
            secret=settings.cursor_secret,
            id_name="userId",
        )
    return page


def _list_workspaces(ask: Ask) -> Page:
    visible = list(ask.tenant.workspaces)[: ask.settings.visible_workspaces]
    return Page("workspaces", [dump(workspace) for workspace in visible])


def _view(settings: Settings, rule: Any, workspace_id: str | None) -> View:
    return View(rule, workspace_id or None, settings.visible_share)


def _bounds(inputs: dict[str, Any], settings: Settings, *, prefix: str) -> Filter:
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


def _parse(text: Any) -> int | None:
    if not isinstance(text, str) or not _MOMENT.fullmatch(text):
        return None
    try:
        return to_micros(datetime.fromisoformat(text))
    except ValueError:
        return None


_ENDPOINTS: Final = (
    Endpoint(re.compile("/v2/calls"), "GET", "api:calls:read:basic", _list_calls),
    Endpoint(re.compile("/v2/calls/extensive"), "POST", "api:calls:read:extensive", _list_calls_in_detail),
    Endpoint(re.compile("/v2/calls/([0-9]+)"), "GET", "api:calls:read:basic", _get_call),
    Endpoint(re.compile("/v2/users"), "GET", "api:users:read", _list_users),
    Endpoint(re.compile("/v2/workspaces"), "GET", "api:workspaces:read", _list_workspaces),
)
