"""The endpoints: from a request's inputs to a page, an object or a refusal."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gong_source.simulator.answers import Page, Refusal, Single, dump
from gong_source.simulator.asking import Ask
from gong_source.simulator.call_lists import list_calls, list_details, list_transcripts
from gong_source.simulator.cursor import issue
from gong_source.simulator.listing import following_position, position_of
from gong_source.simulator.view import View


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


_ENDPOINTS: Final = (
    Endpoint(re.compile("/v2/calls"), "GET", "api:calls:read:basic", list_calls),
    Endpoint(re.compile("/v2/calls/extensive"), "POST", "api:calls:read:extensive", list_details),
    Endpoint(re.compile("/v2/calls/transcript"), "POST", "api:calls:read:transcript", list_transcripts),
    Endpoint(re.compile("/v2/calls/([0-9]+)"), "GET", "api:calls:read:basic", _get_call),
    Endpoint(re.compile("/v2/users"), "GET", "api:users:read", _list_users),
    Endpoint(re.compile("/v2/workspaces"), "GET", "api:workspaces:read", _list_workspaces),
)
