"""Loads what Gong has for the calls that are due: their details, content or transcripts, chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gong_source.api.by_id import MOST_IDS
from gong_source.packages.call_package import CallPackage
from gong_source.packages.content_rows import ContentRows
from gong_source.packages.sources import answers_source, hidden_source
from gong_source.records.answers import fetch_answers
from gong_source.resources import RESOURCES
from gong_source.runs.load import BEGUN_EMPTY, BYTES_WITH_CONTENT, CALLS_WITH_CONTENT, SECONDS_PER_CHUNK, count_content
from gong_source.runs.progress import ProgressReporter
from gong_source.runs.results import ResourceResult
from gong_source.stored.due import CallFilter, due_calls, hidden_calls
from gong_source.warehouse.mark_and_remove import mark_private
from gong_source.windows import now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from gong_source.api.by_id import FetchByIds
    from gong_source.records.answers import Content
    from gong_source.resources.declare import Resource
    from gong_source.runs.run import Run
    from gong_source.stored.due import DueCall
    from gong_source.windows import Window


def sharing(resources: Sequence[Resource]) -> Iterator[list[Resource]]:
    """The resources that are loaded together: those requested by call id from one endpoint; each other one alone."""
    seen: set[str] = set()
    for resource in resources:
        if resource.name in seen:
            continue
        others = [other for other in resources if other.by_id and other.endpoint == resource.endpoint]
        group = others if resource.by_id else [resource]
        yield group
        seen |= {other.name for other in group}


def call_filter(
    run: Run, window: Window | None = None, *, since: datetime | None = None, before: datetime | None = None
) -> CallFilter:
    """The calls that the run may ask for by id."""
    return CallFilter(run.settings.keeps_private, run.settings.workspace_id, window, since, before)


def hide_private(run: Run) -> None:
    """Removes the content of calls that are private by now, also of resources that are not chosen any more."""
    query, known = run.warehouse.query, run.warehouse.known_tables()
    stored = [resource for resource in RESOURCES.values() if resource.by_id and resource.table.name in known]
    if not stored:
        return
    for members in sharing(stored):
        if hidden := hidden_calls(query, members, call_filter(run)):
            rows = ContentRows(query, {}, 1.0, run.settings.privacy)
            run.warehouse.load(hidden_source(members, rows, hidden))


def load_due(
    run: Run,
    members: Sequence[Resource],
    *,
    mode: str,
    calls: Sequence[DueCall] | None = None,
    since: datetime | None = None,
    before: datetime | None = None,
    max_deleted_share: float | None = None,
    makes_tables: bool = True,
) -> dict[str, ResourceResult]:
    """Asks Gong for the calls that are due for `members`, latest first, and loads what it has; the result of each.

    With `calls`, these instead of those that are due; else only calls `since` then, or `before`. With `makes_tables`,
    the tables exist afterwards, even if nothing is due. If asking ends with an error, a used-up quota or a stop, what
    was answered before is loaded, and the results say why it ended. Raises `WrongTenant`, and `DestinationFailed` if
    the warehouse fails.
    """
    wanted = call_filter(run, since=since, before=before)
    if calls is None:
        calls = due_calls(run.warehouse.query, members, wanted, now())
    due = {call.id: call for call in calls}
    results = {member.name: ResourceResult(member.name, nothing_due=not due) for member in members}
    known = run.warehouse.known_tables()
    if not due and (not makes_tables or all(table.name in known for member in members for table in member.tables)):
        return results
    times = {call.id: call.call_time for call in due.values()}
    answers, reader = fetch_answers(run.client, members, times, private=wanted.private, privacy=run.settings.privacy)
    try:
        share = run.settings.max_deleted_share if max_deleted_share is None else max_deleted_share
        _load_chunks(run, results, answers, _Terms(members, due, reader.hidden, mode, share))
    finally:
        answers.close()
    if reader.hidden:  # older than what the list of calls has shown lately
        mark_private(run.warehouse, reader.hidden)
        hide_private(run)
    for result in results.values():
        _set_status(answers, result)
    return results


@dataclass(frozen=True, slots=True)
class _Terms:
    """What the chunks of a load have in common.

    `due` has every call that is asked for, by its id; `found_private` grows with the answers that show a call to be
    private; `max_deleted_share` is that of `ContentRows`.
    """

    members: Sequence[Resource]
    due: dict[str, DueCall]
    found_private: AbstractSet[str]
    mode: str
    max_deleted_share: float


def _load_chunks(
    run: Run, results: dict[str, ResourceResult], answers: FetchByIds[list[Content]], terms: _Terms
) -> None:
    """Loads the answers to their end; counts each chunk in `results` once it is loaded."""
    members = terms.members
    report = _reporter(run, members[0], answers, len(terms.due))
    asked = 0
    at_least_once = True  # the tables have to exist
    while (answer := next(answers, None)) is not None or at_least_once:
        at_least_once = False
        if answer is not None:
            answers.put_back(answer)
        rows = ContentRows(run.warehouse.query, terms.due, terms.max_deleted_share, run.settings.privacy)
        package = CallPackage(
            answers,
            members,
            rows,
            terms.mode,
            found_private=terms.found_private,
            empty_tables=BEGUN_EMPTY,
            max_calls=CALLS_WITH_CONTENT,
            max_bytes=BYTES_WITH_CONTENT,
            max_seconds=SECONDS_PER_CHUNK,
            on_answer=lambda package, before=asked: report(before + package.asked),  # type: ignore[misc]
        )
        run.warehouse.load(answers_source(package))
        asked += package.asked
        for member in members:
            count_content(results[member.name], package.asked, rows, member)


def _reporter(run: Run, resource: Resource, answers: FetchByIds[list[Content]], total: int) -> Callable[[int], None]:
    """A function that reports to `run.control` how many calls Gong has answered for, and reports while it waits too."""
    reporter, answered = ProgressReporter(run, resource.name), 0

    def report(asked: int | None = None) -> None:
        nonlocal answered
        answered = answered if asked is None else asked
        reporter.report(answered, total - answered, (total - answered) / MOST_IDS, exact=True)

    answers.on_wait = report
    return report


def _set_status(answers: FetchByIds[list[Content]], result: ResourceResult) -> None:
    """Sets the status, from how the requests ended."""
    result.failures = answers.describe_failures()
    if not result.ended_early(answers.stopped_by) and result.failures:
        number = sum(len(ids) for ids, _ in answers.failures)
        what = "1 call could" if number == 1 else f"{number:,} calls could"
        result.status, result.message = "incomplete", f"{what} not be loaded. The first: {result.failures[0]}"
    result.take_refusal()
