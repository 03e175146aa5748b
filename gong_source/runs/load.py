"""Loads a resource. Windows are loaded chunk by chunk, where each chunk is one dlt package; a snapshot is one package.

A run that dies loses at most the chunk that it was working on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gong_source.api.fetch import Fetch, FetchedWindow
from gong_source.packages.content_rows import describe_losses
from gong_source.packages.sources import chunk_source
from gong_source.packages.window_content import WindowContent, fetch_windows
from gong_source.packages.window_package import WindowPackage, rule_known
from gong_source.records.batch import Batch, Converter
from gong_source.resources.bookkeeping import ARRIVALS, RUNS, VERIFICATIONS
from gong_source.runs.progress import ProgressReporter
from gong_source.stored.deletions import refusal
from gong_source.stored.query import placeholders
from gong_source.warehouse.arrivals import record_arrivals
from gong_source.warehouse.mark_and_remove import apply_policy
from gong_source.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from gong_source.packages.content_rows import ContentRows
    from gong_source.resources.declare import Resource
    from gong_source.runs.results import ResourceResult
    from gong_source.runs.run import Run
    from gong_source.warehouse.warehouse import Warehouse

    LoadIf = Callable[[FetchedWindow[Batch]], bool]
    # Called for each window fetched, with the package that the window goes into, if it goes into one.
    Report = Callable[[FetchedWindow[Batch], WindowPackage | None], None]

# A chunk this large makes the fixed cost of a package small. It is still cheap to fetch again, and DuckDB merges it in
# little memory.
_RECORDS_PER_CHUNK = 110_000
_BYTES_PER_CHUNK = 36_000_000
SECONDS_PER_CHUNK = 120.0
# With content, a chunk has many tables and costs seconds on BigQuery. A large one is soon fetched again after a crash.
CALLS_WITH_CONTENT = 20_000
BYTES_WITH_CONTENT = 300_000_000
# The first load makes these tables too, so that queries and views can rely on them.
BEGUN_EMPTY = (ARRIVALS, RUNS, VERIFICATIONS)


class _SelectedFetch(Fetch[Batch]):
    """A fetch that hands out only the windows that `load_if` picks; `load_if` is called once for each, in time order.

    `on_skipped` is called for each of the other windows.
    """

    load_if: LoadIf | None = None
    on_skipped: Report

    def __next__(self) -> FetchedWindow[Batch]:
        if self._put_back is not None or self.load_if is None:
            return super().__next__()
        while True:
            fetched = super().__next__()
            if self.load_if(fetched):
                return fetched
            self.on_skipped(fetched, None)


def load_windows(
    run: Run,
    resource: Resource,
    result: ResourceResult,
    *,
    mode: str,
    watermark: datetime | None = None,
    covered: Sequence[Window] = (),
    contents: Mapping[Resource, ResourceResult] | None = None,
    load_if: LoadIf | None = None,
) -> None:
    """Fetches `result.ranges` (disjoint, in time order) and loads the records, chunk by chunk; fills in `result`.

    Windows that `load_if` does not pick are fetched and not loaded. `contents` are the results of the resources whose
    content is loaded with the records, from the same requests.

    `watermark` is the time up to which everything is loaded. The load moves it on, also over windows that earlier runs
    loaded, and over `covered`, what this run has loaded before. With None it stays where it is. If fetching ends with
    an error, a used-up quota or a stop, what was fetched before is loaded, and `result` says why it ended. Raises
    `WrongTenant`, and `DestinationFailed` if the warehouse fails.
    """
    if not result.ranges:
        return
    warehouse, contents = run.warehouse, contents or {}
    state = warehouse.pipeline.state.get("sources", {}).get("gong", {}).get("resources", {}).get(resource.name, {})
    rule, private = rule_known(state, resource), run.settings.keeps_private
    converter = Converter(run.client, resource, rule, run.settings.privacy, members=list(contents), private=private)
    fetch = fetch_windows(_SelectedFetch, run.client, converter, result.ranges)
    fetch.load_if = load_if
    try:
        load_ids = _load_chunks(run, result, fetch, _Terms(converter, mode, covered, contents), watermark)
    finally:
        fetch.close()
    record_arrivals(warehouse, resource, load_ids)
    result.changed = rows_changed(warehouse, resource, load_ids)
    for part in contents.values():
        part.take_refusal()
    _set_status(fetch, result)


@dataclass(slots=True)
class _Terms:
    """What the chunks of a load have in common; the fields are those of `load_windows`."""

    converter: Converter
    mode: str
    covered: Sequence[Window]
    contents: Mapping[Resource, ResourceResult]


def _load_chunks(
    run: Run, result: ResourceResult, fetch: _SelectedFetch, terms: _Terms, watermark: datetime | None
) -> list[str]:
    """Loads the fetch to its end and returns the load ids; counts each chunk in `result` once it is loaded."""
    report = fetch.on_skipped = _reporter(run, result, fetch)
    start = watermark if watermark is not None else result.ranges[0].start
    result.watermark = None if watermark is None else run.ledger(terms.converter.resource).watermark
    load_ids: list[str] = []
    while (fetched := next(fetch, None)) is not None:
        fetch.put_back(fetched)
        package = _package(run, fetch, terms, watermark, report)
        load_ids += run.warehouse.load(chunk_source(package, start))
        result.watermark = watermark = package.watermark
        if package.gone.rows:
            apply_policy(run.warehouse, package.resource, run.settings.deleted_calls)
        _count(result, package)
        if package.content is not None:
            for member, part in terms.contents.items():
                count_content(part, len(package.content.asked), package.content.rows, member)
    return load_ids


def _package(
    run: Run, fetch: _SelectedFetch, terms: _Terms, watermark: datetime | None, report: Report
) -> WindowPackage:
    """The next chunk of a fetch."""
    query, settings, members = run.warehouse.query, run.settings, terms.converter.members
    ledger, share = run.ledger(terms.converter.resource), settings.max_deleted_share
    return WindowPackage(
        fetch,
        terms.converter,
        mode=terms.mode,
        watermark=watermark,
        covered=[*ledger.covered, *terms.covered],
        empty_tables=BEGUN_EMPTY,
        content=WindowContent(members, query, share, settings.privacy) if members else None,
        query=query,
        compared=[] if terms.mode == "repair" else ledger.comparable,  # a repair compares by itself
        max_deleted_share=share,
        max_records=CALLS_WITH_CONTENT if members else _RECORDS_PER_CHUNK,
        max_bytes=BYTES_WITH_CONTENT if members else _BYTES_PER_CHUNK,
        max_seconds=SECONDS_PER_CHUNK,
        on_window=report,
    )


def _count(result: ResourceResult, package: WindowPackage) -> None:
    """Counts a chunk that has been loaded."""
    result.received += package.records
    result.windows += len(package.ledger_rows)
    result.loaded += [Window(row["window_start"], row["window_end"]) for row in package.ledger_rows]
    result.unmapped += package.unmapped
    result.unsettled += package.unsettled
    result.marked_deleted += len(package.gone.rows)
    if package.gone.refused:
        result.refusal = refusal(package.resource, package.gone.count, package.gone.stored)


def count_content(result: ResourceResult, asked: int, rows: ContentRows, resource: Resource) -> None:
    """Adds what a chunk has loaded of a resource."""
    result.asked += asked
    result.received += rows.found[resource.name]
    result.changed += rows.changed[resource.name]
    result.unmapped += rows.unmapped[resource.name]
    if rows.losses[resource.name]:
        result.losses.update(rows.losses[resource.name])
        result.refusal = describe_losses(result.losses)


def _reporter(run: Run, result: ResourceResult, fetch: _SelectedFetch) -> Report:
    """A function that reports to `run.control` how far the run is: after each window, and while it waits for one."""
    reporter, windows = ProgressReporter(run, result.resource), 0

    def report(_fetched: FetchedWindow[Batch] | None = None, package: WindowPackage | None = None) -> None:
        nonlocal windows
        if package is not None:
            windows = result.windows + len(package.ledger_rows)
        extent = fetch.extent()
        reporter.report(extent.arrived, extent.to_come, extent.pages_to_come, exact=extent.exact, windows=windows)

    fetch.on_wait = report
    return report


def rows_changed(warehouse: Warehouse, resource: Resource, load_ids: Sequence[str]) -> int:
    """How many rows are new or different since these loads."""
    if not load_ids:
        return 0
    among = f"where _dlt_load_id in ({placeholders(load_ids)})"
    found = warehouse.query(f"select count(*) from {{dataset}}.{resource.table.name} {among}", *load_ids)
    return int(found[0][0]) if found else 0


def _set_status(fetch: _SelectedFetch, result: ResourceResult) -> None:
    """Sets the status, from how the fetch ended."""
    result.failures = [f"{window}: {error}" for window, error in fetch.failures]
    if not result.ended_early(fetch.stopped_by) and result.failures:
        failed, all_windows = len(result.failures), result.windows + len(result.failures)
        # A run that loads nothing has failed. With `load_if`, there may be nothing to load.
        result.status = "failed" if not result.windows and fetch.load_if is None else "incomplete"
        result.message = f"{failed} of {all_windows} windows could not be loaded. The first: {result.failures[0]}"
    result.take_refusal()
