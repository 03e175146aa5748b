"""The three lists of calls: basic, in detail, and transcripts."""

from collections.abc import Callable
from typing import Any, Final

from gong_source.simulator.answers import Page, Refusal
from gong_source.simulator.asking import Ask, body_filter, bounds
from gong_source.simulator.behaviour import Settings
from gong_source.simulator.cursor import issue
from gong_source.simulator.detail import Selection, WrongSelector, select
from gong_source.simulator.listing import Listing, Step, position_of
from gong_source.simulator.view import View

NO_CALLS: Final = "No calls found corresponding to the provided filters"
_MEDIA_SCOPE: Final = "api:calls:read:media-url"


def list_calls(ask: Ask) -> Page:
    """GET /v2/calls."""
    settings, query = ask.settings, ask.query
    wanted = bounds(query, settings, prefix="")
    wanted.view = _view(settings, settings.rule, query.get("workspaceId"))
    listing = Listing(ask.tenant, settings, ask.now, wanted, again=ask.again)
    return _page("calls", listing, query.get("cursor"), listing.rows)


def list_details(ask: Ask) -> Page:
    """POST /v2/calls/extensive."""
    body, settings, tenant = ask.body or {}, ask.settings, ask.tenant
    selection = _selection(body.get("contentSelector"), settings)
    wanted, workspace_id = body_filter(body, settings)
    wanted.view = _view(settings, settings.extensive_rule, workspace_id)
    listing = Listing(tenant, settings, ask.now, wanted, again=ask.again, lag=settings.extensive_lag_seconds)

    def show(step: Step) -> list[bytes]:
        rows = zip(step.numbers, listing.rows(step), strict=True)
        return [tenant.details(number, row, selection, ask.now) for number, row in rows]

    return _page("calls", listing, body.get("cursor"), show)


def list_transcripts(ask: Ask) -> Page:
    """POST /v2/calls/transcript."""
    body, settings, tenant = ask.body or {}, ask.settings, ask.tenant
    wanted, workspace_id = body_filter(body, settings)
    wanted.user_ids = None
    wanted.view = _view(settings, settings.transcript_rule, workspace_id)
    listing = Listing(
        tenant,
        settings,
        ask.now,
        wanted,
        again=ask.again,
        lacks=lambda number: tenant.lacks_transcript(number, ask.now),
        counts_lacking=settings.transcript_totals == "calls",
    )
    return _page(
        "callTranscripts",
        listing,
        body.get("cursor"),
        lambda step: [tenant.transcript(number) for number in step.numbers],
    )


def _selection(selector: Any, settings: Settings) -> Selection:
    """Return what a contentSelector asks for; raise Refusal if it is wrong or the key may not ask for media."""
    try:
        selection = select(selector)
    except WrongSelector as wrong:
        raise Refusal(400, str(wrong)) from None
    if selection.media and settings.scopes is not None and _MEDIA_SCOPE not in settings.scopes:
        raise Refusal(settings.missing_scope_status, f"You don't have permission to use '{_MEDIA_SCOPE}' in your app.")
    return selection


def _page(list_key: str, listing: Listing, cursor: Any, show: Callable[[Step], list[bytes]]) -> Page:
    tenant, settings = listing.tenant, listing.settings
    if settings.see_no_calls:
        raise Refusal(404, NO_CALLS)
    position = None if not cursor else position_of(cursor, settings, listing.now)
    with tenant.lock:
        step = listing.step(position)
        rows = show(step)
    if not rows and step.next is None:
        when_empty = settings.emptied_listing if position else settings.hidden_window
        if when_empty == "not_found" or (position is None and step.total == 0):
            raise Refusal(404, NO_CALLS)
    token = None
    if step.next is not None:
        token = issue(step.next, page_size=settings.page_size, secret=settings.cursor_secret)
    number = position.page_number + 1 if position else 0
    return Page(list_key, rows, step.total, number, token)


def _view(settings: Settings, rule: Any, workspace_id: str | None) -> View:
    return View(settings.rule if rule == "same" else rule, workspace_id or None, settings.visible_share)
