"""The dlt source `gong`: one dlt resource for each resource of Gong. Knows no destination."""

from __future__ import annotations

import logging
from collections.abc import Sequence  # noqa: TC003 - dlt resolves the annotations at run time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Union, cast

import dlt
from dlt.common.typing import TSecretStrValue  # noqa: TC002 - dlt resolves the annotations at run time

from gong_source.api.fetch import Fetch
from gong_source.dates import parse
from gong_source.errors import MissingScope
from gong_source.in_pipeline import leave_out, open_client, query, raise_failure, refuse_foreign
from gong_source.listed import Listed
from gong_source.misspelt import warn_of_misspelt
from gong_source.packages.call_package import CallPackage
from gong_source.packages.content_rows import ContentRows, describe_losses
from gong_source.packages.hints import dlt_resource
from gong_source.packages.snapshot_package import SnapshotPackage, is_due, read_snapshot
from gong_source.packages.window_content import WindowContent, fetch_windows
from gong_source.packages.window_package import WindowPackage, rule_known
from gong_source.records.answers import fetch_answers
from gong_source.records.batch import Batch, Converter
from gong_source.resources import RESOURCES, choose
from gong_source.resources.declare import CallIds, Instants
from gong_source.settings import GongCredentials, GongSettings
from gong_source.stored.deletions import refusal
from gong_source.stored.due import (
    MOST_ARE_DUE,
    CallFilter,
    ListedCall,
    due_calls,
    due_of_listed,
    hidden_calls,
    share_due,
)
from gong_source.windows import Window, days_before, iso, now, reach, union, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from dlt.extract import DltResource

    from gong_source.api.client import Client
    from gong_source.resources.declare import Resource

    Incremental = dlt.sources.incremental[Any]

logger = logging.getLogger(__name__)


@dlt.source(name="gong", section="gong", spec=GongSettings)
def gong(  # noqa: PLR0913, PLR0917 - in dlt, each setting of a source is an argument
    credentials: GongCredentials = dlt.secrets.value,
    resources: Union[str, Sequence[str]] = ("calls",),  # noqa: UP007 - dlt resolves the annotations at run time
    start_date: Optional[str] = None,  # noqa: UP045
    lookback_days: float = 7.0,
    workspace_id: Optional[str] = None,  # noqa: UP045
    time_zone: str = "UTC",
    snapshot_hours: float = 24.0,
    max_deleted_share: float = 0.2,
    private_calls: str = "metadata",
    exclude_columns: Union[str, Sequence[str]] = (),  # noqa: UP007
    personal_data: str = "keep",
    personal_data_key: Optional[TSecretStrValue] = None,  # noqa: UP045
    requests_per_second: float = 3.0,
    max_wait_seconds: float = 300.0,
    daily_request_budget: int = 10_000,
) -> list[DltResource]:
    """A Gong tenant as a dlt source: `pipeline.run(gong())` is one incremental sync, in one dlt package.

    The source has a dlt resource for each resource of Gong. Those named in `resources` are selected;
    `gong().with_resources("users")` selects others. Each resource fills its own tables and the ledger
    `fetched_windows`. The tables exist after the first run, even if there is nothing to load.

    A resource with time windows is first loaded since `start_date` (inclusive; default: the last 30 days), later since
    the watermark less `lookback_days`. A `start_date` moved to an earlier day is honoured. A snapshot, such as `users`,
    is read whole, at most once in `snapshot_hours`. A resource whose scope the key lacks is left out with a warning; if
    no other resource is selected, the run raises `MissingScope`. A window that cannot be loaded ends the run with its
    error; the commands load the other windows.

    Every argument is a dlt setting under `[sources.gong]`. Building the source does no I/O. Raises
    `ConfigurationError` for a setting that cannot be used.
    """
    settings = GongSettings()
    settings.update({name: value for name, value in locals().items() if name != "settings"})
    settings.on_resolved()
    warn_of_misspelt(settings.get_resolvable_fields(), GongCredentials().get_resolvable_fields())
    return _dlt_resources(settings, settings.start(now()))


def _dlt_resources(settings: GongSettings, start: datetime) -> list[DltResource]:
    """A dlt resource for each resource; those that the settings choose are selected."""
    listed, made = Listed(), []
    for resource in RESOURCES.values():
        if isinstance(resource.select, Instants):
            read = _by_time_range(resource, settings, start, listed)
        elif isinstance(resource.select, CallIds):
            read = _by_call(resource, settings, listed)
        else:
            read = _as_a_whole(resource, settings)
        members = _sharing(resource) if resource.by_id else [resource]
        made.append(dlt_resource(resource, read, *(table for member in members for table in member.tables)))
        made[-1].selected = resource.name in settings.resources
    return made


def _by_time_range(
    resource: Resource, settings: GongSettings, start: datetime, listed: Listed
) -> Callable[..., Iterator[Any]]:
    """The function of a dlt resource that Gong lists by time range."""
    assert isinstance(resource.select, Instants)

    def fetch(
        incremental: dlt.sources.incremental[Any] = dlt.sources.incremental(  # noqa: B008 - dlt's idiom
            resource.select.column, initial_value=start, lag=settings.lookback_days * 86400.0
        ),
    ) -> Iterator[Any]:
        refuse_foreign(resource)
        client = open_client(settings)
        (chosen,) = (one for one in choose(dlt.current.source().selected_resources) if one.name == resource.name)
        try:
            for one in filter(None, (chosen, chosen.fallback)):
                try:
                    yield from _fetch_missing(client, one, settings, start, incremental, listed)
                    return
                except MissingScope as error:
                    missing = error
            leave_out([resource], missing)
        finally:
            listed.end()
            client.transport.close()

    return fetch


def _fetch_missing(
    client: Client,
    resource: Resource,
    settings: GongSettings,
    start: datetime,
    incremental: Incremental,
    listed: Listed,
) -> Iterator[Any]:
    """Everything that is missing up to now. Only that interval, if the user or a scheduler gave dlt one.

    The resource's state says that all of `[covered_from, watermark)` has been fetched, in one workspace.
    """
    state = dlt.current.resource_state()
    wanted = _wanted(state, resource, incremental, settings, start)
    content = _content(resource, settings, wanted)
    listed.begin(content)
    members, private = list(content.members) if content else [], settings.private_calls == "keep"
    rule, privacy = rule_known(state, resource), settings.privacy
    converter = Converter(client, resource, rule, privacy, members=members, private=private)
    fetch = fetch_windows(Fetch[Batch], client, converter, wanted.ranges)
    package = WindowPackage(
        fetch,
        converter,
        mode="sync",
        watermark=wanted.since,
        content=content,
        query=query,
        compared=wanted.compared,
        max_deleted_share=settings.max_deleted_share,
        on_window=listed.take,
    )
    try:
        yield from package.items(incremental)
    finally:
        fetch.close()
    raise_failure(fetch)
    fetched = [Window(row["window_start"], row["window_end"]) for row in package.ledger_rows]
    if wanted.is_extended and reach(start, fetched) >= wanted.known_from:
        state["covered_from"] = iso(start)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a run fetches: all `ranges`, of which `[since, ...)` follows the watermark.

    All of `[known_from, reached)` has been fetched before. With `is_extended`, the ranges go back further. Stored
    records in `compared` that Gong does not list are gone.
    """

    ranges: list[Window]
    since: datetime
    known_from: datetime
    reached: datetime
    compared: list[Window]
    is_extended: bool


def _wanted(
    state: dict[str, Any], resource: Resource, incremental: Incremental, settings: GongSettings, start: datetime
) -> _Wanted:
    interval = incremental.end_value is not None
    end = utc(cast("datetime", incremental.end_value)) if interval else now()
    since = utc(cast("datetime", incremental.start_value))
    known_from = since
    if not interval:
        since, known_from = _resume(state, incremental, settings, start)
    missing = [Window(start, known_from)] if start < known_from and not interval else []
    ranges = [*missing, *([Window(since, end)] if since < end else [])]
    compared = [Window(min(since, known_from), end)] if since < end else []
    if state.get("endpoint", str(resource.endpoint)) != str(resource.endpoint):
        # This list may use the other of the two times of a call, so near an end a call may lie outside.
        ranges, compared = [Window(days_before(window.start, 1), window.end) for window in ranges], []
    # Unlike `last_value`, this is without the lag.
    reached = utc(cast("datetime", incremental.get_state()["last_value"]))
    return _Wanted(union(ranges), since, known_from, reached, compared, bool(missing))


def _content(resource: Resource, settings: GongSettings, wanted: _Wanted) -> WindowContent | None:
    """What takes the content of the calls that are wanted, if the list has it and most of the calls are due."""
    selected = dlt.current.source().selected_resources
    members = [other for other in RESOURCES.values() if other.name in selected and other.comes_with(resource)]
    if not members or not wanted.ranges:
        return None
    covered = [Window(wanted.known_from, wanted.reached)] if wanted.known_from < wanted.reached else []
    calls, moment = CallFilter(settings.keeps_private, settings.workspace_id), now()
    due = sum(share_due(query, members, calls, window, covered, moment) * window.seconds for window in wanted.ranges)
    if due / sum(window.seconds for window in wanted.ranges) <= MOST_ARE_DUE:
        return None
    return WindowContent(members, query, settings.max_deleted_share, settings.privacy)


def _resume(
    state: dict[str, Any], incremental: Incremental, settings: GongSettings, start: datetime
) -> tuple[datetime, datetime]:
    """Since when to fetch, and from which time on everything up to the watermark has been fetched."""
    since = utc(cast("datetime", incremental.start_value))
    if state.get("workspace_id") != settings.workspace_id:
        incremental.advance(start)
        since = start
        state.update(workspace_id=settings.workspace_id, covered_from=iso(start))
    # If only commands have loaded so far, this source does not know how far back.
    return since, parse(state.setdefault("covered_from", iso(since)))


def _by_call(resource: Resource, settings: GongSettings, listed: Listed) -> Callable[..., Iterator[Any]]:
    """The function of a dlt resource that Gong answers for named calls."""

    def fetch() -> Iterator[Any]:
        refuse_foreign(resource)
        selected = dlt.current.source().selected_resources
        members = [member for member in _sharing(resource) if member.name in selected]
        if members[0] is not resource:  # one of the resources that share requests asks for all of them
            return
        while (content := listed.content_of(members)) is None and listed.is_awaited():
            yield None  # dlt goes on with the other resources
        if content is not None:
            yield from content.items()
        while listed.is_awaited():
            yield None
        read = content.asked if content is not None else set[str]()
        client = open_client(settings)
        try:
            yield from _ask(client, members, settings, listed.calls(), read)
        except MissingScope as error:
            leave_out(members, error)
        finally:
            client.transport.close()

    return fetch


def _sharing(resource: Resource) -> list[Resource]:
    """The resources that share requests with `resource`, and `resource` itself."""
    return [other for other in RESOURCES.values() if other.by_id and other.endpoint == resource.endpoint]


def _ask(
    client: Client,
    members: list[Resource],
    settings: GongSettings,
    listed: dict[str, ListedCall],
    read: AbstractSet[str],
) -> Iterator[Any]:
    """What Gong has for the calls that are due, stored ones and those just listed, but for those just `read`."""
    wanted, moment = CallFilter(settings.keeps_private, settings.workspace_id), now()
    stored = [call for call in due_calls(query, members, wanted, moment) if call.id not in listed]
    unread = {call_id: call for call_id, call in listed.items() if call_id not in read}
    due = {call.id: call for call in [*due_of_listed(query, members, unread, wanted, moment), *stored]}
    times, privacy = {call.id: call.call_time for call in due.values()}, settings.privacy
    answers, reader = fetch_answers(client, members, times, private=wanted.private, privacy=privacy)
    package = CallPackage(
        answers,
        members,
        ContentRows(query, due, settings.max_deleted_share, privacy),
        "sync",
        hidden=hidden_calls(query, members, wanted, listed),
        found_private=reader.hidden,
    )
    try:
        yield from package.items()
    finally:
        answers.close()
    for losses in package.rows.losses.values():
        logger.warning("%s", describe_losses(losses))
    raise_failure(answers)


def _as_a_whole(resource: Resource, settings: GongSettings) -> Callable[..., Iterator[Any]]:
    """The function of a dlt resource that Gong only lists whole."""

    def fetch() -> Iterator[Any]:
        refuse_foreign(resource)
        yield from _read_whole(resource, settings)

    return fetch


def _read_whole(resource: Resource, settings: GongSettings) -> Iterator[Any]:
    """All records of a resource that Gong only lists whole, unless the last snapshot is recent enough."""
    state = dlt.current.resource_state()
    if "fetched_at" in state and not is_due(parse(state["fetched_at"]), settings.snapshot_hours):
        return
    client = open_client(settings)
    try:
        snapshot = read_snapshot(client, resource, settings.privacy)
    except MissingScope as error:
        leave_out([resource], error)
        return
    finally:
        client.transport.close()
    package = SnapshotPackage(snapshot, query, "sync", settings.max_deleted_share)
    yield from package.items()
    if package.refused:
        logger.warning("%s", refusal(resource, package.gone, package.stored))
    state["fetched_at"] = iso(snapshot.fetched_at)
