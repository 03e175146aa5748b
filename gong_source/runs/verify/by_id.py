"""Verifies a resource that is requested by call id.

The warehouse alone shows whether Gong was asked for every call, and whether all rows of each answer are there. Only a
deep verification asks Gong for every call again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gong_source.records.answers import fetch_answers
from gong_source.runs.load_by_id import call_filter, hide_private, load_due
from gong_source.runs.verification import Difference
from gong_source.stored.due import UNKNOWN_CONTENT, due_calls
from gong_source.warehouse.mark_and_remove import mark_private
from gong_source.windows import hours_between, now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gong_source.resources.declare import Resource
    from gong_source.runs.results import ResourceResult
    from gong_source.runs.run import Run
    from gong_source.runs.verification import Verification
    from gong_source.runs.verify.windowed import Terms
    from gong_source.stored.due import DueCall

# A younger call may have been listed by the last sync without being asked for.
_SETTLED_HOURS = 24.0
# The rows of so many calls are counted in little memory.
_CALLS_AT_ONCE = 20_000


def verify_by_id(run: Run, members: Sequence[Resource], results: Mapping[str, Verification], terms: Terms) -> None:
    """Finds the calls that were never asked for, and those with missing rows; if `deep`, those that Gong has changed.

    `members` share their requests. A repair asks for these calls again. Raises what requests and loads raise.
    """
    ranges = results[members[0].name].ranges
    calls = due_calls(run.warehouse.query, members, call_filter(run, ranges[0] if ranges else None))
    different = {member.name: _broken(run, member, calls) for member in members}
    found = _changed(run, members, calls, results) if terms.deep else _Changed()
    if terms.repair and found.private:
        mark_private(run.warehouse, found.private)
        hide_private(run)
    for name, changed in found.calls.items():
        different[name] |= changed
    moment = now()
    settled = {call.id for call in calls if hours_between(call.call_time, moment) >= _SETTLED_HOURS}
    again: set[str] = set()
    for member in members:
        asked = {call.id for call in calls if member.name in call.known}
        missing, result = settled - asked, results[member.name]
        result.listed, result.stored = len(asked | missing), len(asked)
        if missing or different[member.name]:
            window = ranges[0] if ranges else None
            counts = (result.listed, result.stored, len(missing), len(different[member.name]))
            result.windows.append(Difference(member.name, window, *counts))
            again |= missing | different[member.name]
    if terms.repair and again:
        due = [_as_different(call, different) for call in calls if call.id in again]
        # Only the calls that differ are asked for again. The share is that of all calls that were compared.
        share = terms.share * max(1.0, found.compared / len(due))
        loads = load_due(run, members, mode="repair", calls=due, max_deleted_share=share)
        for name, load in loads.items():
            _take_over(load, results[name])
    if found.cause is not None:
        raise found.cause


def _take_over(load: ResourceResult, result: Verification) -> None:
    """How the load of a repair ended is how the verification ends."""
    result.take_over([load])
    result.ends_run = load.ends_run
    result.failures += load.failures
    result.received, result.rewritten = load.received, load.changed
    for found in result.windows:
        if load.refusal:
            found.outcome = "refused"
        elif load.status == "done":
            found.outcome = "repaired"


def _broken(run: Run, resource: Resource, calls: Sequence[DueCall]) -> set[str]:
    """The calls with more or fewer rows in the child tables than their header says."""
    in_time = "call_time >= %s and call_time <= %s"
    parts = " union all ".join(
        f"select call_id, count(*) as n from {{dataset}}.{child.name} where {in_time} group by call_id"
        for child in resource.children
    )
    sql = (
        f"select h.call_id from {{dataset}}.{resource.table.name} as h"
        f" left join (select call_id, sum(n) as n from ({parts}) as p group by call_id) as s on s.call_id = h.call_id"
        f" where h.{in_time} and (h.child_rows <> coalesce(s.n, 0) or (h.content_hash is null and s.n > 0))"
    )
    times = sorted(call.known[resource.name].call_time for call in calls if resource.name in call.known)
    found: set[str] = set()
    for at in range(0, len(times), _CALLS_AT_ONCE):
        bounds = (times[at], times[min(at + _CALLS_AT_ONCE, len(times)) - 1])
        found |= {call_id for (call_id,) in run.warehouse.query(sql, *bounds * (len(resource.children) + 1))}
    return found & {call.id for call in calls}


@dataclass(slots=True)
class _Changed:
    """What a deep verification has found: by the name of a resource, the calls that differ, and the private calls.

    `compared` is the number of calls that Gong was asked for, `cause` why asking ended early.
    """

    calls: dict[str, set[str]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    compared: int = 0
    cause: BaseException | None = None


def _changed(
    run: Run, members: Sequence[Resource], calls: Sequence[DueCall], results: Mapping[str, Verification]
) -> _Changed:
    """Asks Gong for every call that it was asked for before, and compares the answers with what is stored."""
    asked = [call for call in calls if call.known]
    times = {call.id: call.call_time for call in asked}
    settings = run.settings
    private, privacy = settings.keeps_private, settings.privacy
    answers, reader = fetch_answers(run.client, members, times, private=private, privacy=privacy)
    known = {call.id: call.known for call in asked}
    changed: dict[str, set[str]] = {member.name: set() for member in members}
    compared = 0
    try:
        for answer in answers:
            compared += len(answer.ids)
            for content in answer.part:
                name = content.resource.name
                for call_id in answer.ids if content.omits_empty else content.ids:
                    header = known[call_id].get(name)
                    if header is not None and header.content_hash != content.hashes.get(call_id):
                        changed[name].add(call_id)
    finally:
        answers.close()
    for result in results.values():
        result.failures += answers.describe_failures()
    return _Changed(changed, reader.hidden, compared, answers.stopped_by)


def _as_different(call: DueCall, different: Mapping[str, set[str]]) -> DueCall:
    """The call as if its content had changed where it differs, so that all its rows are loaded again."""
    known = {
        name: replace(header, content_hash=UNKNOWN_CONTENT) if call.id in different[name] else header
        for name, header in call.known.items()
    }
    return replace(call, known=known)
