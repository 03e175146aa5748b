"""dlt sources of one package each, for the runs around `gong`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt

from gong_source.packages.hints import dlt_resource
from gong_source.packages.items import current_load_id, item_of, rows_of
from gong_source.records.rows import to_table, with_load_id
from gong_source.resources.declare import Instants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from dlt.extract import DltResource, DltSource

    from gong_source.packages.call_package import CallPackage
    from gong_source.packages.content_rows import ContentRows
    from gong_source.packages.snapshot_package import SnapshotPackage
    from gong_source.packages.window_content import WindowContent
    from gong_source.packages.window_package import WindowPackage
    from gong_source.resources.declare import Resource, Table


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
    calls = dlt_resource(resource, function, *package.empty_tables)
    return _source(calls, *_beside(package.content))


def _beside(content: WindowContent | None) -> Iterator[DltResource]:
    """The dlt resource of what the windows bring beside the calls, if they do."""
    if content is not None:
        leader, *others = content.members

        def rows() -> Iterator[Any]:
            yield from content.items()

        yield dlt_resource(leader, rows, *(table for member in others for table in member.tables))


def snapshot_source(package: SnapshotPackage) -> DltSource:
    """A dlt source that yields the package of a snapshot."""

    def whole() -> Iterator[Any]:
        yield from package.items()

    return _source(dlt_resource(package.snapshot.resource, whole, *package.empty_tables))


def answers_source(package: CallPackage) -> DltSource:
    """A dlt source that yields the package of what Gong answered about named calls."""
    leader, *others = package.members

    def answers() -> Iterator[Any]:
        yield from package.items()

    more = [table for member in others for table in member.tables]
    return _source(dlt_resource(leader, answers, *more, *package.empty_tables))


def hidden_source(members: Sequence[Resource], rows: ContentRows, ids: Sequence[str]) -> DltSource:
    """A dlt source that empties what `members` have stored of the calls `ids`; `rows` collects that."""
    leader, *others = members

    def emptied() -> Iterator[Any]:
        load_id = current_load_id()
        rows.hide(members, ids)
        for name, table in rows.take_out():
            yield item_of(leader, name, table, load_id)

    return _source(dlt_resource(leader, emptied, *(table for member in others for table in member.tables)))


def rows_source(resource: Resource, table: Table, rows: Sequence[Mapping[str, Any]]) -> DltSource:
    """A dlt source that adds rows to one of our own tables, as part of `resource`."""

    def additions() -> Iterator[Any]:
        yield rows_of(table, rows, current_load_id())

    return _source(dlt_resource(resource, additions, table))


def empty_source(tables: Mapping[Resource, Sequence[Table]]) -> DltSource:
    """A dlt source without rows for these tables, each as part of a resource."""

    def nothing(resource: Resource, wanted: Sequence[Table]) -> Callable[..., Iterator[Any]]:
        def read() -> Iterator[Any]:
            load_id = current_load_id()
            for table in wanted:
                own = table is resource.table
                yield with_load_id(to_table(table, []), load_id) if own else rows_of(table, [], load_id)

        return read

    return _source(*(dlt_resource(resource, nothing(resource, wanted), *wanted) for resource, wanted in tables.items()))


def _source(*resources: DltResource) -> DltSource:
    return dlt.source(lambda: resources, name="gong", section="gong")()
