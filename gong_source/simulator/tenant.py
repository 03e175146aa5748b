"""The truth about a Gong tenant: its calls, and the order in which lists show them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from threading import RLock
from typing import Any, Final, Unpack
from zoneinfo import ZoneInfo

from gong_source.simulator.call import Call, Rendering, Rule, effective_time, render, to_micros
from gong_source.simulator.contents import CallContents
from gong_source.simulator.directory import Directory
from gong_source.simulator.index import Index, id_of, key_of
from gong_source.simulator.people import Facts
from gong_source.simulator.phrases import DEFAULT_LABEL, draw, make_users, make_workspaces
from gong_source.simulator.recipe import Drawing, Plan, Recipe
from gong_source.simulator.sizes import LIFELIKE, Content
from gong_source.simulator.view import View

_KEEP: Final = object()
_ID_DIGITS: Final = 20


class Tenant(CallContents):
    """All calls of one company with their content, its users and its workspaces.

    `label` is the name of the tenant's hosts; tenants with different labels have different workspaces and users.
    Change calls through the methods, which keep every list in order; what `calls` hands out are copies. Safe
    to use from several threads, and while a simulator serves it.
    """

    def __init__(
        self,
        calls: Iterable[Call] = (),
        *,
        time_zone: str = "America/New_York",
        rendering: Rendering = "offset",
        users: int = 25,
        workspaces: int = 1,
        label: str = DEFAULT_LABEL,
        content: Content = LIFELIKE,
    ) -> None:
        self.time_zone = time_zone
        self.rendering = rendering
        self.lock = RLock()
        self._zone = ZoneInfo(time_zone)
        self.label = label
        people = make_users(users, self._zone, label)
        super().__init__(content, people)
        self.users = Directory(people)
        self.workspaces = Directory(make_workspaces(workspaces, label))
        self._recipe: Recipe | None = None
        # Each call is in exactly one of these, by id: its number in the recipe, or the call itself.
        self._drawn: dict[int, int] = {}
        self._own: dict[int, Call] = {}
        self._deleted: dict[int, Call] = {}
        self._pending: set[int] = set()
        self._indexes: dict[View, Index] = {}
        self._rendered: dict[int, bytes] = {}
        for call in calls:
            self.add(call)

    @classmethod
    def generate(  # noqa: PLR0913 - keyword arguments with defaults
        cls,
        calls: int,
        *,
        start: datetime,
        end: datetime,
        seed: int = 0,
        time_zone: str = "America/New_York",
        rendering: Rendering = "offset",
        users: int = 25,
        workspaces: int = 1,
        label: str = DEFAULT_LABEL,
        content: Content = LIFELIKE,
        **drawing: Unpack[Drawing],
    ) -> "Tenant":
        """Return a tenant whose calls depend only on the arguments; every time lies in [start, end).

        `drawing` takes the fields of `Drawing`: `shape` ("uniform", "business" hours of weekdays, "burst" of
        more than a page in one second); `conference_share`; `gap_seconds`, the longest usual gap between
        `scheduled` and `started` (some start early), and `long_gap_share` of gaps of one to three days;
        `fractions` of a second or not; `unknown_fields`; `wild` (nulls everywhere but `id`, unknown enum
        values, awkward titles, 20-digit ids); `processing_seconds` until a call becomes available, with
        `late_share` of calls up to `late_seconds` later. `content` is how much the calls contain: LIFELIKE,
        SMALL, or sizes of your own.
        """
        plan = Plan(calls=calls, start=start, end=end, seed=seed, time_zone=time_zone, **drawing)
        tenant = cls(
            time_zone=time_zone, rendering=rendering, users=users, workspaces=workspaces, label=label, content=content
        )
        recipe = Recipe(plan, tenant.user_ids, tenant.workspace_ids, label)
        tenant._recipe = recipe
        tenant._drawn = {call_id: number for number, call_id in enumerate(recipe.ids)}
        if plan.processing_seconds is not None:
            tenant._pending = set(recipe.ids)
        return tenant

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The ids of the users, ascending."""
        return self.users.ids

    @property
    def workspace_ids(self) -> tuple[str, ...]:
        """The ids of the workspaces."""
        return self.workspaces.ids

    @property
    def calls(self) -> Mapping[str, Call]:
        """A live view of the calls that exist, by id; the values are copies."""
        return _Calls(self)

    def __len__(self) -> int:
        return len(self._drawn) + len(self._own)

    def add(self, call: Call) -> None:
        """Add a call with an id that no call has, not even a deleted one; the tenant keeps a copy."""
        if not _is_id(call.id) or call.id != str(int(call.id)):
            raise ValueError(f"a call id is 1 to 20 decimal digits without leading zeros, not {call.id!r}")
        for moment in (call.scheduled, call.started, call.filed):
            _check_aware(moment)
        with self.lock:
            number = int(call.id)
            if number in self._drawn or number in self._own or number in self._deleted:
                raise ValueError(f"call {call.id} is already there")
            self._put(number, call.copy())

    def edit(self, call_id: str, **fields: Any) -> None:
        """Set fields of a call by their API names.

        `scheduled` and `started` are served as given here; the time by which a call is filed changes with
        `redate` alone.
        """
        if "id" in fields:
            raise ValueError("the id of a call never changes")
        with self.lock:
            call = self._take(call_id)
            call.fields.update(fields)
            self._put(int(call_id), call)

    def redate(self, call_id: str, *, scheduled: Any = _KEEP, started: Any = _KEEP) -> None:
        """Set the aware datetimes `scheduled`, `started` or both; None unsets one."""
        for moment in (scheduled, started):
            _check_aware(None if moment is _KEEP else moment)
        with self.lock:
            call = self._take(call_id)
            call.scheduled = call.scheduled if scheduled is _KEEP else scheduled
            call.started = call.started if started is _KEEP else started
            self._put(int(call_id), call)

    def make_available(self, call_id: str, at: float | None) -> None:
        """Set the unix seconds from which the call is listed; None is always."""
        with self.lock:
            call = self._take(call_id)
            call.available_at = at
            self._put(int(call_id), call)

    def delete(self, call_id: str) -> None:
        """Remove a call; it leaves no trace in the API."""
        with self.lock:
            self._deleted[int(call_id)] = self._take(call_id)

    def restore(self, call_id: str) -> None:
        """Bring a deleted call back as it was."""
        with self.lock:
            self._put(int(call_id), self._deleted.pop(int(call_id)))

    def served(self, call_id: str) -> dict[str, Any]:
        """Return exactly the JSON object that is served for a call."""
        with self.lock:
            if call_id not in self.calls:
                raise KeyError(call_id)
            row: dict[str, Any] = json.loads(self.rendered(int(call_id)))
            return row

    def effective_time(self, call: Call, rule: Rule) -> datetime | None:
        """Return the time, UTC, by which a call is filtered and ordered; None if no list shows it."""
        return effective_time(call, rule)

    def warm(self) -> None:
        """Render every call and sort the calls now, so that the first listing is as fast as later ones."""
        with self.lock:
            index = self.index(View("documented"))
            index.rows[:] = [self.rendered(id_of(key)) for key in index.keys]

    def numbers(self) -> tuple[int, ...]:
        """Return the ids of the calls that exist, as numbers."""
        with self.lock:
            return (*self._drawn, *self._own)

    def find(self, call_id: str) -> Call | None:
        """Return a copy of a call, or None if there is none with that id."""
        if not _is_id(call_id):
            return None
        number = int(call_id)
        with self.lock:
            if number in self._own:
                return self._own[number].copy()
            if number in self._drawn and self._recipe is not None:
                return self._recipe.call(self._drawn[number])
        return None

    def facts(self, number: int) -> Facts:
        """Return what the content of a call depends on; raise KeyError if there is no such call."""
        call = self.find(str(number))
        if call is None:
            raise KeyError(str(number))
        host, moment = call.fields.get("primaryUserId"), effective_time(call, "documented")
        return Facts(
            number=number,
            host_id=host if isinstance(host, str) else None,
            is_internal=call.fields.get("scope") == "Internal",
            has_video=call.fields.get("media") == "Video",
            micros=None if moment is None else to_micros(moment),
            zone=self._zone_of(number),
        )

    def came_at(self, number: int) -> float:
        """Return the unix seconds from which the call is listed, or of the time that files it; hold `lock`."""
        if number in self._own:
            call = self._own[number]
            filed = effective_time(call, "documented")
            return call.available_at or (0.0 if filed is None else filed.timestamp())
        assert self._recipe is not None
        drawn = self._drawn[number]
        return self._recipe.available_at(drawn) or self._recipe.micros(drawn, "documented") / 1_000_000

    def rendered(self, number: int) -> bytes:
        """Return the JSON of the call with that id; hold `lock`."""
        row = self._rendered.get(number)
        if row is None:
            call = self._own.get(number)
            if call is None and self._recipe is not None:
                call = self._recipe.call(self._drawn[number])
            if call is None:
                raise KeyError(number)
            row = self._rendered[number] = render(call, self._zone_of(number))
        return row

    def hidden(self, number: int, now: float) -> bool:
        """Return whether the call with that id is not available yet at `now`, unix seconds; hold `lock`."""
        if number not in self._pending:
            return False
        if number in self._own:
            at = self._own[number].available_at
        else:
            at = self._recipe.available_at(self._drawn[number]) if self._recipe is not None else None
        return at is not None and at > now

    @property
    def has_pending(self) -> bool:
        """Whether any call becomes, or became, available at some moment."""
        return bool(self._pending)

    def index(self, view: View) -> Index:
        """Return the sorted keys of the calls in a view, made at first use and then kept up; hold `lock`."""
        index = self._indexes.get(view)
        if index is None:
            keys = (self.key(view, number) for number in self.numbers())
            index = self._indexes[view] = Index(key for key in keys if key is not None)
        return index

    def key(self, view: View, number: int) -> int | None:
        """Return the key of the call with that id in a view, or None if it is not in it; hold `lock`."""
        if view.pending_only and number not in self._pending:
            return None
        if not view.admits(number):
            return None
        call, recipe, drawn = self._own.get(number), self._recipe, self._drawn.get(number)
        micros: int | None = None
        workspace_id = None
        if call is not None:
            moment = effective_time(call, view.rule)
            micros = None if moment is None else to_micros(moment)
            workspace_id = call.fields.get("workspaceId")
        elif recipe is not None and drawn is not None:
            micros, workspace_id = recipe.micros(drawn, view.rule), recipe.workspace_id(drawn)
        if micros is None or view.workspace_id not in (None, workspace_id):
            return None
        return key_of(micros, number)

    def _zone_of(self, number: int) -> ZoneInfo | None:
        in_utc = self.rendering == "utc" or (self.rendering == "mixed" and draw(0, number) & 1 == 1)
        return None if in_utc else self._zone

    def _take(self, call_id: str) -> Call:
        """Take a call out of every list and return it."""
        call = self.find(call_id)
        if call is None or call.id != call_id:
            raise KeyError(call_id)
        number = int(call_id)
        for view, index in self._indexes.items():
            key = self.key(view, number)
            if key is not None:
                index.discard(key)
        self._rendered.pop(number, None)
        self.forget_rows(number)
        self._pending.discard(number)
        self._drawn.pop(number, None)
        self._own.pop(number, None)
        return call

    def _put(self, number: int, call: Call) -> None:
        self._own[number] = call
        if call.available_at is not None:
            self._pending.add(number)
        for view, index in self._indexes.items():
            key = self.key(view, number)
            if key is not None:
                index.add(key)


class _Calls(Mapping[str, Call]):
    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def __getitem__(self, call_id: str) -> Call:
        call = self._tenant.find(call_id)
        if call is None or call.id != call_id:
            raise KeyError(call_id)
        return call

    def __iter__(self) -> Iterator[str]:
        return map(str, self._tenant.numbers())

    def __len__(self) -> int:
        return len(self._tenant)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS


def _check_aware(moment: datetime | None) -> None:
    if moment is not None and moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
