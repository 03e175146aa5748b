"""The dlt source `gong`: one dlt resource for each resource of Gong. Knows no destination."""

from __future__ import annotations

import logging
from collections.abc import Sequence  # noqa: TC003 - dlt resolves the annotations at run time
from typing import TYPE_CHECKING, Any, Optional, Union, cast

import dlt
from dlt.common.destination.exceptions import DestinationUndefinedEntity, SqlClientNotAvailable
from dlt.common.typing import TSecretStrValue  # noqa: TC002 - dlt resolves the annotations at run time
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from gong_source.answers import AnswerReader, request_for
from gong_source.api.by_id import FetchByIds
from gong_source.api.fetch import Fetch
from gong_source.call_package import CallPackage
from gong_source.call_time import Converter, page_times
from gong_source.connection import connect
from gong_source.content_rows import ContentRows, describe_losses
from gong_source.dates import parse
from gong_source.deletions import refusal
from gong_source.due import ListedCall, Scope, due_calls, due_of_listed, hidden_calls
from gong_source.errors import MissingScope, QuotaExhausted
from gong_source.foreign import refuse_foreign_tables
from gong_source.hints import dlt_resource
from gong_source.listed import Listed
from gong_source.package import WindowPackage, known_tenant
from gong_source.resources import RESOURCES
from gong_source.resources.declare import CallIds, Instants
from gong_source.settings import GongCredentials, GongSettings
from gong_source.snapshot import SnapshotPackage, is_due, read_snapshot
from gong_source.windows import Window, iso, now, reach, union, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
        made[-1].selected = resource in settings.chosen
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
        _refuse_foreign_tables(resource)
        listed.begin()
        client = _connect(settings)
        try:
            yield from _fetch_missing(client, resource, settings, start, incremental, listed)
        except MissingScope as error:
            _leave_out([resource], error)
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
    state, interval = dlt.current.resource_state(), incremental.end_value is not None
    end = utc(cast("datetime", incremental.end_value)) if interval else now()
    since = utc(cast("datetime", incremental.start_value))
    known_from = since
    if not interval:
        since, known_from = _resume(state, incremental, settings, start)
    missing = [Window(start, known_from)] if start < known_from and not interval else []
    ranges = [*missing, *([Window(since, end)] if since < end else [])]
    converter = Converter(client, resource, state.get("filed_by"), settings.privacy)
    fetch = Fetch(client, resource.endpoint, union(ranges), converter, page_times)
    package = WindowPackage(
        fetch,
        converter,
        mode="sync",
        watermark=since,
        query=_query,
        compared=[Window(min(since, known_from), end)] if since < end else [],
        max_deleted_share=settings.max_deleted_share,
        on_window=listed.take,
    )
    try:
        yield from package.items(incremental)
    finally:
        fetch.close()
    _raise_failure(fetch)
    fetched = [Window(row["window_start"], row["window_end"]) for row in package.ledger_rows]
    if missing and reach(start, fetched) >= known_from:
        state["covered_from"] = iso(start)


def _raise_failure(fetch: Fetch[Any] | FetchByIds[Any]) -> None:
    """Raises what ended the fetch early, or the first failure; a used-up quota is only a warning."""
    if fetch.failures:
        _what, error = fetch.failures[0]
        raise error
    if isinstance(fetch.stopped_by, QuotaExhausted):
        logger.warning("the run stopped early and loads what it has fetched: %s", fetch.stopped_by)
    elif fetch.stopped_by is not None:
        raise fetch.stopped_by


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
        _refuse_foreign_tables(resource)
        selected = dlt.current.source().selected_resources
        members = [member for member in _sharing(resource) if member.name in selected]
        if members[0] is not resource:  # one of the resources that share requests asks for all of them
            return
        while listed.is_awaited():
            yield None  # dlt goes on with the other resources
        client = _connect(settings)
        try:
            yield from _ask(client, members, settings, listed.calls())
        except MissingScope as error:
            _leave_out(members, error)
        finally:
            client.transport.close()

    return fetch


def _sharing(resource: Resource) -> list[Resource]:
    """The resources that share requests with `resource`, and `resource` itself."""
    return [other for other in RESOURCES.values() if other.by_id and other.endpoint == resource.endpoint]


def _ask(
    client: Client, members: list[Resource], settings: GongSettings, listed: dict[str, ListedCall]
) -> Iterator[Any]:
    """What Gong has for the calls that are due, stored ones and those just listed."""
    scope, moment = Scope(settings.private_calls == "keep", settings.workspace_id), now()
    stored = [call for call in due_calls(_query, members, scope, moment) if call.id not in listed]
    due = {call.id: call for call in [*due_of_listed(_query, members, listed, scope, moment), *stored]}
    times, privacy = {call.id: call.call_time for call in due.values()}, settings.privacy
    reader = AnswerReader(members, times, private=scope.private, privacy=privacy)
    answers = FetchByIds(client, request_for(members), list(due), reader, quick=reader.quick)
    package = CallPackage(
        answers,
        members,
        ContentRows(_query, due, settings.max_deleted_share, privacy),
        "sync",
        hidden=hidden_calls(_query, members, scope, listed),
        found_private=reader.hidden,
    )
    try:
        yield from package.items()
    finally:
        answers.close()
    for losses in package.rows.losses.values():
        logger.warning("%s", describe_losses(losses))
    _raise_failure(answers)


def _as_a_whole(resource: Resource, settings: GongSettings) -> Callable[..., Iterator[Any]]:
    """The function of a dlt resource that Gong only lists whole."""

    def fetch() -> Iterator[Any]:
        _refuse_foreign_tables(resource)
        yield from _read_whole(resource, settings)

    return fetch


def _read_whole(resource: Resource, settings: GongSettings) -> Iterator[Any]:
    """All records of a resource that Gong only lists whole, unless the last snapshot is recent enough."""
    state = dlt.current.resource_state()
    if "fetched_at" in state and not is_due(parse(state["fetched_at"]), settings.snapshot_hours):
        return
    client = _connect(settings)
    try:
        snapshot = read_snapshot(client, resource, settings.privacy)
    except MissingScope as error:
        _leave_out([resource], error)
        return
    finally:
        client.transport.close()
    package = SnapshotPackage(snapshot, _query, "sync", settings.max_deleted_share)
    yield from package.items()
    if package.refused:
        logger.warning("%s", refusal(resource, package.missing, package.stored))
    state["fetched_at"] = iso(snapshot.fetched_at)


def _refuse_foreign_tables(resource: Resource) -> None:
    pipeline, known = dlt.current.pipeline(), dlt.current.source_schema().tables
    refuse_foreign_tables(pipeline, known, [resource], pipeline.dataset_name)


def _connect(settings: GongSettings) -> Client:
    """A client that accepts only answers of the tenant that the dataset belongs to."""
    client = connect(settings)
    client.expect(known_tenant(_query), f"dataset {dlt.current.pipeline().dataset_name}")
    return client


def _query(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of a query on the dataset of the running pipeline; none without SQL, or if a table does not exist."""
    try:
        with dlt.current.pipeline().sql_client() as client:
            statement = sql.format(dataset=client.fully_qualified_dataset_name())
            with client.execute_query(statement, *parameters) as cursor:
                return [tuple(row) for row in cursor.fetchall()]
    except (DatabaseUndefinedRelation, DestinationUndefinedEntity, SqlClientNotAvailable):
        return []


def _leave_out(resources: Sequence[Resource], error: MissingScope) -> None:
    """Says that these are not loaded; raises the error if there is no other resource to load."""
    names = [resource.name for resource in resources]
    if set(dlt.current.source().selected_resources) <= set(names):
        raise error
    verb = "is" if len(names) == 1 else "are"
    logger.warning("%s %s not loaded, the other resources are: %s", " and ".join(names), verb, error)
