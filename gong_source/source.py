"""The dlt source `gong`: one dlt resource for each resource of Gong. Knows no destination."""

from __future__ import annotations

import logging
from collections.abc import Sequence  # noqa: TC003 - dlt resolves the annotations at run time
from typing import TYPE_CHECKING, Any, Optional, Union, cast

import dlt
from dlt.common.destination.exceptions import DestinationUndefinedEntity, SqlClientNotAvailable
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from gong_source.api.fetch import Fetch
from gong_source.call_time import Converter, page_times
from gong_source.connection import connect
from gong_source.dates import parse
from gong_source.deletions import refusal
from gong_source.errors import MissingScope, QuotaExhausted
from gong_source.foreign import refuse_foreign_tables
from gong_source.package import WindowPackage, current_load_id, known_tenant, rows_of
from gong_source.resources import RESOURCES
from gong_source.resources.bookkeeping import FETCHED_WINDOWS
from gong_source.resources.declare import Instants
from gong_source.rows import to_table, with_load_id
from gong_source.settings import GongCredentials, GongSettings
from gong_source.snapshot import SnapshotPackage, is_due, read_snapshot
from gong_source.windows import Window, iso, now, reach, union, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from dlt.extract import DltResource, DltSource

    from gong_source.api.client import Client
    from gong_source.resources.declare import Resource, Table

    Incremental = dlt.sources.incremental[Any]

logger = logging.getLogger(__name__)

# dlt keeps the strategy in the stored schema, so every load must use the same one. Rows that did not change are not
# written again. So `_dlt_load_id` names the load in which a row last changed.
MERGE = {"disposition": "merge", "strategy": "upsert", "skip_unchanged_rows": True}


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
    start = settings.start(now())
    chosen = settings.chosen
    made = []
    for resource in RESOURCES.values():
        read = _by_time_range(resource, settings, start) if resource.windowed else _as_a_whole(resource, settings)
        dlt_resource = _dlt_resource(resource, read)
        dlt_resource.selected = resource in chosen
        made.append(dlt_resource)
    return made


def _by_time_range(resource: Resource, settings: GongSettings, start: datetime) -> Callable[..., Iterator[Any]]:
    """The function of a dlt resource that Gong lists by time range."""
    assert isinstance(resource.select, Instants)

    def fetch(
        incremental: dlt.sources.incremental[Any] = dlt.sources.incremental(  # noqa: B008 - dlt's idiom
            resource.select.column, initial_value=start, lag=settings.lookback_days * 86400.0
        ),
    ) -> Iterator[Any]:
        _refuse_foreign_tables(resource)
        client = _connect(settings)
        try:
            yield from _fetch_missing(client, resource, settings, start, incremental)
        except MissingScope as error:
            _leave_out(resource, error)
        finally:
            client.transport.close()

    return fetch


def _fetch_missing(
    client: Client, resource: Resource, settings: GongSettings, start: datetime, incremental: Incremental
) -> Iterator[Any]:
    """Everything that is missing up to now. Only that interval, if the user or a scheduler gave dlt one.

    The resource's state says that all of `[covered_from, watermark)` has been fetched, in one workspace.
    """
    state = dlt.current.resource_state()
    interval = incremental.end_value is not None
    end = utc(cast("datetime", incremental.end_value)) if interval else now()
    since = utc(cast("datetime", incremental.start_value))
    known_from = since
    if not interval:
        since, known_from = _resume(state, incremental, settings, start)
    missing = [Window(start, known_from)] if start < known_from and not interval else []
    ranges = [*missing, *([Window(since, end)] if since < end else [])]
    converter = Converter(client, resource, state.get("filed_by"))
    fetch = Fetch(client, resource.endpoint, union(ranges), converter, page_times)
    package = WindowPackage(
        fetch,
        converter,
        mode="sync",
        watermark=since,
        query=_query,
        compared=[Window(min(since, known_from), end)] if since < end else [],
        max_deleted_share=settings.max_deleted_share,
    )
    try:
        yield from package.items(incremental)
    finally:
        fetch.close()
    _raise_failure(fetch)
    fetched = [Window(row["window_start"], row["window_end"]) for row in package.ledger_rows]
    if missing and reach(start, fetched) >= known_from:
        state["covered_from"] = iso(start)


def _raise_failure(fetch: Fetch[Any]) -> None:
    """Raises what ended the fetch early, or the first window's failure; a used-up quota is only a warning."""
    if fetch.failures:
        _window, error = fetch.failures[0]
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
        snapshot = read_snapshot(client, resource)
    except MissingScope as error:
        _leave_out(resource, error)
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


def _leave_out(resource: Resource, error: MissingScope) -> None:
    """Says that a resource is not loaded; raises the error if there is no other resource to load."""
    if set(dlt.current.source().selected_resources) <= {resource.name}:
        raise error
    logger.warning("%s is not loaded, the other resources are: %s", resource.name, error)


def chunk_source(package: WindowPackage, start: datetime) -> DltSource:
    """A dlt source that yields one package of a run; `start` is where the run's coverage begins."""
    resource = package.resource
    assert isinstance(resource.select, Instants)

    def with_watermark(
        incremental: dlt.sources.incremental[Any] = dlt.sources.incremental(  # noqa: B008 - dlt's idiom
            resource.select.column, initial_value=start
        ),
    ) -> Iterator[Any]:
        yield from package.items(incremental)

    def without_watermark() -> Iterator[Any]:
        yield from package.items(None)

    function = without_watermark if package.watermark is None else with_watermark
    return _source(_dlt_resource(resource, function, *package.empty_tables))


def snapshot_source(package: SnapshotPackage) -> DltSource:
    """A dlt source that yields the package of a snapshot."""

    def whole() -> Iterator[Any]:
        yield from package.items()

    return _source(_dlt_resource(package.snapshot.resource, whole, *package.empty_tables))


def rows_source(resource: Resource, table: Table, rows: Sequence[Mapping[str, Any]]) -> DltSource:
    """A dlt source that adds rows to one of our own tables, as part of `resource`."""

    def additions() -> Iterator[Any]:
        yield rows_of(table, rows, current_load_id())

    return _source(_dlt_resource(resource, additions, table))


def empty_source(tables: Mapping[Resource, Sequence[Table]]) -> DltSource:
    """A dlt source without rows for these tables, each as part of a resource."""

    def nothing(resource: Resource, wanted: Sequence[Table]) -> Callable[..., Iterator[Any]]:
        def read() -> Iterator[Any]:
            load_id = current_load_id()
            for table in wanted:
                own = table is resource.table
                yield with_load_id(to_table(table, []), load_id) if own else rows_of(table, [], load_id)

        return read

    return _source(
        *(_dlt_resource(resource, nothing(resource, wanted), *wanted) for resource, wanted in tables.items())
    )


def _source(*resources: DltResource) -> DltSource:
    return dlt.source(lambda: resources, name="gong", section="gong")()


def _dlt_resource(resource: Resource, function: Callable[..., Iterator[Any]], *more: Table) -> DltResource:
    """The dlt resource of `resource`, with all that dlt has to know of its tables, the ledger and `more`."""
    made: DltResource = dlt.resource(function, name=resource.name, max_table_nesting=0)()
    # The variants first: a variant starts from the hints that the resource has at that moment.
    first, *others = resource.tables
    for table in dict.fromkeys((*others, FETCHED_WINDOWS, *(table for table in more if table is not first))):
        made.apply_hints(table_name=table.name, create_table_variant=True, **_hints(table))
    made.apply_hints(**_hints(first))
    return made


def _hints(table: Table) -> dict[str, Any]:
    return {
        "primary_key": list(table.primary_key),
        "write_disposition": MERGE,
        "file_format": "parquet",
        "columns": {
            column.name: {
                "name": column.name,
                "data_type": column.dlt_type,
                "nullable": column.name not in table.primary_key,
                "description": column.description,
            }
            for column in table.columns
        },
    }
