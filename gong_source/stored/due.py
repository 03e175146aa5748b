"""Which calls are due: those whose details, content or transcript a run requests by call id.

Gong says nowhere when these are ready, and details and content of a call change later. So the header of each call says
when it is asked for again, and a run needs to know nothing else: neither when the last one was, nor on which machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gong_source.resources.declare import LOAD_ID_COLUMN, CallIds
from gong_source.stored.query import id_batches, placeholders
from gong_source.windows import exactly_in_utc, hours_after, hours_between, next_midnight, subtract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from gong_source.resources.declare import Resource
    from gong_source.stored.query import Query
    from gong_source.windows import Window

_DAY = 24.0
# What Gong makes of a call mostly comes within a day, and after a week hardly ever.
_LATE_HOURS, _OPEN_DAYS, _INCOMPLETE_DAYS = 6.0, 7.0, 3.0
# An old call that has nothing is asked for again after this share of its age, for records that are uploaded late.
_OLD_SHARE = 0.1
# Comments, CRM fields and trackers of a call change later too.
_CHANGES_DAILY_DAYS, _CHANGES_WEEKLY_DAYS = 7.0, 30.0
# dlt loads one table after the other. A header of a package that was not loaded completely may lack its child rows.
_COMPLETE = f"{LOAD_ID_COLUMN} in (select load_id from {{dataset}}._dlt_loads where status = 0)"
# If more than this share of the calls in a window is due, the window is read with content instead of call by call.
MOST_ARE_DUE = 0.5
# No hash is like this one: what has it is loaded again.
UNKNOWN_CONTENT = "unknown"
# A run every six hours must not skip one because it starts some minutes earlier than the one before.
_SHARE = 0.96


@dataclass(frozen=True, slots=True)
class Known:
    """What the header of a call says: when Gong was first asked, when it first had something, and its hash.

    `call_time` is that of its rows, which the call may not have any more.
    """

    first_asked_at: datetime
    content_hash: str | None
    found_at: datetime | None
    call_time: datetime


@dataclass(frozen=True, slots=True)
class DueCall:
    """A call to ask for. `known` holds its headers by the name of the resource, as far as there are any."""

    id: str
    call_time: datetime
    duration: int | None
    known: Mapping[str, Known]


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls may be asked for: private ones or not, of one workspace (None: of all), and of which time."""

    private: bool = False
    workspace_id: str | None = None
    window: Window | None = None
    since: datetime | None = None
    before: datetime | None = None


def due_calls(
    query: Query, members: Sequence[Resource], wanted: CallFilter, moment: datetime | None = None
) -> list[DueCall]:
    """The stored calls to ask for at `moment`, latest first: those due for any of `members`, which share requests.

    A call is due if it has no header, if its header says so or is part of a load that did not end, or if its length has
    changed since it was asked for. Without a `moment`, all calls.
    """
    known = [member for member in members if query(f"select 1 from {{dataset}}.{member.table.name} limit 1")]
    columns, joins, due = ["c.id", "c.call_time", "c.duration"], [], []
    for number, member in enumerate(known):
        h = f"h{number}"
        joins.append(f" left join {{dataset}}.{member.table.name} as {h} on {h}.call_id = c.id")
        found = f"{h}.found_at" if "found_at" in member.table.column_names else "null"
        complete = f"{h}.{_COMPLETE}"
        columns += [
            f"{h}.first_asked_at",
            f"case when {complete} then {h}.content_hash else '{UNKNOWN_CONTENT}' end",
            found,
            f"{h}.call_time",
        ]
        changed = f"coalesce({h}.asked_duration, -1) <> coalesce(c.duration, -1)"
        due.append(f"{h}.call_id is null or {h}.ask_again_at <= %s or {changed} or not {complete}")
    conditions, parameters = _conditions(wanted)
    if moment is not None and len(known) == len(members):
        conditions.append(f"({' or '.join(due)})")
        parameters += [moment] * len(due)
    rows = query(
        f"select {', '.join(columns)} from {{dataset}}.calls as c{''.join(joins)}"
        f" where {' and '.join(conditions)} order by c.call_time desc, c.id",
        *parameters,
    )
    return [_due_call(row, known) for row in rows]


@dataclass(frozen=True, slots=True)
class ListedCall:
    """What a list of calls has just shown of a call that may not be stored yet."""

    call_time: datetime
    duration: int | None
    is_private: bool


def calls_in(table: pa.Table) -> dict[str, ListedCall]:
    """The calls in rows for the table `calls`, by their ids."""
    rows = table.select(["id", "call_time", "duration", "is_private"]).to_pylist()
    return {
        row["id"]: ListedCall(exactly_in_utc(row["call_time"]), row["duration"], bool(row["is_private"]))
        for row in rows
    }


def with_headers(query: Query, members: Sequence[Resource], listed: Mapping[str, ListedCall]) -> list[DueCall]:
    """The calls just `listed`, with what is known of them."""
    headers = _headers(query, members, list(listed))
    return [_listed_call(call_id, call, headers.get(call_id, {})) for call_id, call in listed.items()]


@dataclass(frozen=True, slots=True)
class _Header:
    """A stored header; one of a load that did not end is due at any time."""

    known: Known
    ask_again_at: datetime | None
    asked_duration: int | None
    is_complete: bool


def _headers(query: Query, members: Sequence[Resource], ids: Sequence[str]) -> dict[str, dict[str, _Header]]:
    """The stored headers of these calls: by id, and by the name of the resource."""
    headers: dict[str, dict[str, _Header]] = {}
    for member in members:
        found_at = "found_at" if "found_at" in member.table.column_names else "null"
        columns = (
            f"call_id, first_asked_at, content_hash, {found_at}, ask_again_at, asked_duration, call_time, {_COMPLETE}"
        )
        sql = f"select {columns} from {{dataset}}.{member.table.name} where call_id in"
        for batch in id_batches(ids):
            for call_id, first, content_hash, found, again, duration, time, complete in query(
                f"{sql} ({placeholders(batch)})", *batch
            ):
                kept_hash = content_hash if complete else UNKNOWN_CONTENT
                times = (found and exactly_in_utc(found), exactly_in_utc(time))
                known = Known(exactly_in_utc(first), kept_hash, *times)
                header = _Header(known, again and exactly_in_utc(again), duration, bool(complete))
                headers.setdefault(call_id, {})[member.name] = header
    return headers


def _listed_call(call_id: str, call: ListedCall, headers: Mapping[str, _Header]) -> DueCall:
    known = {name: header.known for name, header in headers.items()}
    return DueCall(call_id, call.call_time, call.duration, known)


def due_of_listed(
    query: Query, members: Sequence[Resource], listed: Mapping[str, ListedCall], wanted: CallFilter, moment: datetime
) -> list[DueCall]:
    """The calls to ask for among those just `listed`, latest first."""
    headers = _headers(query, members, list(listed))

    def is_due(call_id: str, call: ListedCall) -> bool:
        found = headers.get(call_id, {})
        return len(found) < len(members) or any(
            not header.is_complete
            or (header.ask_again_at is not None and header.ask_again_at <= moment)
            or header.asked_duration != call.duration
            for header in found.values()
        )

    due = [
        _listed_call(call_id, call, headers.get(call_id, {}))
        for call_id, call in listed.items()
        if (wanted.private or not call.is_private) and is_due(call_id, call)
    ]
    return sorted(due, key=lambda call: call.call_time, reverse=True)


def hidden_calls(
    query: Query, members: Sequence[Resource], wanted: CallFilter, listed: Mapping[str, ListedCall] | None = None
) -> list[str]:
    """The private calls whose content is stored and must not be, or may be after a load that did not end.

    What a list has just shown, `listed`, counts more than what is stored.
    """
    if wanted.private:
        return []
    listed = listed or {}
    found: set[str] = set()
    for member in members:
        header = f"select t.call_id from {{dataset}}.{member.table.name} as t"
        with_content = f"(t.content_hash is not null or not t.{_COMPLETE})"
        rows = query(f"{header} join {{dataset}}.calls as c on c.id = t.call_id where c.is_private and {with_content}")
        found |= {call_id for (call_id,) in rows}
        for batch in id_batches([call_id for call_id, call in listed.items() if call.is_private]):
            rows = query(f"{header} where {with_content} and t.call_id in ({placeholders(batch)})", *batch)
            found |= {call_id for (call_id,) in rows}
    return sorted(i for i in found if i not in listed or listed[i].is_private)


def share_due(
    query: Query,
    members: Sequence[Resource],
    wanted: CallFilter,
    window: Window,
    covered: Sequence[Window],
    moment: datetime,
) -> float:
    """The share of the calls in a window that are due at `moment`, from 0 to 1.

    Time that is not `covered` yet counts as wholly due, by its share of the window.
    """
    new = sum(part.seconds for part in subtract([window], covered)) / window.seconds
    if new > MOST_ARE_DUE:
        return new
    stored, _asked, _found = count_calls(query, members[0], replace(wanted, window=window))
    due = len(due_calls(query, members, replace(wanted, window=window), moment))
    return new + (1 - new) * due / stored if stored else new


def count_calls(query: Query, resource: Resource, wanted: CallFilter) -> tuple[int, int, int]:
    """The number of stored calls, of those that Gong was asked for, and of those for which it had something."""
    conditions, parameters = _conditions(wanted)
    header = f"left join {{dataset}}.{resource.table.name} as h on h.call_id = c.id"
    where = f"where {' and '.join(conditions)}"
    counts = "count(*), count(h.call_id), count(h.content_hash)"
    if found := query(f"select {counts} from {{dataset}}.calls as c {header} {where}", *parameters):
        calls, asked, with_content = found[0]
        return int(calls), int(asked), int(with_content)
    found = query(f"select count(*) from {{dataset}}.calls as c {where}", *parameters)  # the resource is not loaded yet
    return int(found[0][0]) if found else 0, 0, 0


def _conditions(wanted: CallFilter) -> tuple[list[str], list[Any]]:
    conditions, parameters = ["c.deleted_at is null"], list[Any]()
    if not wanted.private:
        conditions.append("not coalesce(c.is_private, false)")
    if wanted.workspace_id is not None:
        conditions.append("c.workspace_id = %s")
        parameters.append(wanted.workspace_id)
    if wanted.window is not None:
        conditions.append("c.call_time >= %s and c.call_time < %s")
        parameters += [wanted.window.start, wanted.window.end]
    if wanted.since is not None:
        conditions.append("c.call_time >= %s")
        parameters.append(wanted.since)
    if wanted.before is not None:
        conditions.append("c.call_time < %s")
        parameters.append(wanted.before)
    return conditions, parameters


def _due_call(row: tuple[Any, ...], members: Sequence[Resource]) -> DueCall:
    call_id, call_time, duration, *headers = row
    known = {}
    for number, member in enumerate(members):
        first, content_hash, found, time = headers[4 * number : 4 * number + 4]
        if first is not None:
            times = (found and exactly_in_utc(found), exactly_in_utc(time))
            known[member.name] = Known(exactly_in_utc(first), content_hash, *times)
    return DueCall(call_id, exactly_in_utc(call_time), duration, known)


def ask_again_at(
    resource: Resource,
    call_time: datetime,
    first_asked_at: datetime,
    asked_at: datetime,
    *,
    found: bool,
    complete: bool,
) -> datetime | None:
    """When a call is due again that Gong was asked for at `asked_at`; None: only if its length changes.

    `found` says whether Gong had something, `complete` whether that has the block that comes last.
    """
    assert isinstance(resource.select, CallIds)
    age = max(0.0, hours_between(call_time, asked_at))
    may_still_come = not found or (not complete and not resource.select.changes)
    if may_still_come and age < _OPEN_DAYS * _DAY:
        wait = _LATE_HOURS
    elif not found:
        wait = max(_DAY, hours_between(first_asked_at, asked_at), _OLD_SHARE * age)
    elif not resource.select.changes:
        return None
    elif not complete and age < _INCOMPLETE_DAYS * _DAY:
        wait = 1.0 if age < _DAY else _LATE_HOURS
    elif age < _CHANGES_DAILY_DAYS * _DAY:
        return next_midnight(asked_at)
    elif age < _CHANGES_WEEKLY_DAYS * _DAY:
        wait = 7 * _DAY
    else:
        return None
    return hours_after(asked_at, _SHARE * wait)
