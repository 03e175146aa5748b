"""Lists filtered calls page by page, by position and not by offset."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gong_source.simulator.answers import Refusal
from gong_source.simulator.behaviour import Settings
from gong_source.simulator.cursor import CursorError, Position, read
from gong_source.simulator.index import Index, id_of, key_of, micros_of
from gong_source.simulator.tenant import Tenant
from gong_source.simulator.view import View


@dataclass(slots=True)
class Filter:
    """Which calls are wanted: times in [start, end), microseconds since 1970, None without a bound."""

    start: int | None
    end: int | None
    view: View = field(default_factory=lambda: View("documented"))
    call_ids: Sequence[str] | None = None
    user_ids: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One page: where its calls are in the index, the total that it reports, and where the listing continues."""

    index: Index
    positions: Sequence[int]
    total: int
    next: Position | None

    @property
    def numbers(self) -> list[int]:
        """The ids of the calls on the page."""
        keys = self.index.keys
        return [id_of(keys[at]) for at in self.positions]


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing of the calls that a filter wants. `now` is unix seconds; `again` rows come a second time.

    The list has a new call `lag` seconds later than others do, and never a call that it `lacks`; such a call
    counts in the total if `counts_lacking`.
    """

    tenant: Tenant
    settings: Settings
    now: float
    wanted: Filter
    again: int = 0
    lag: float = 0.0
    lacks: Callable[[int], bool] | None = None
    counts_lacking: bool = True

    def step(self, position: Position | None) -> Step:
        """Return the page after a position, or the first one; hold the tenant's lock."""
        index = self._index()
        low, high = index.span(self.wanted.start, self.wanted.end)
        total = position.total if position else self._total(index.keys[low:high])
        descending = self.settings.order == "descending"
        if position is not None:
            key = key_of(position.micros or 0, position.row_id)
            if descending:
                high = min(high, index.before(key) + self.again)
            else:
                low = max(low, index.after(key) - self.again)
        positions, more = self._cut(index.keys, low, high)
        following = None
        if more:
            last = index.keys[positions[-1]]
            expires = math.floor(self.now + self.settings.cursor_lifetime_seconds)
            following = following_position(
                last=(id_of(last), micros_of(last)), total=total, before=position, expires=expires
            )
        if self._has_holes:
            positions = [at for at in positions if not self._hidden(index.keys[at])]
        return Step(index, positions, total, following)

    def rows(self, step: Step) -> list[bytes]:
        """Return the JSON of the calls on a page; hold the tenant's lock."""
        index, rows = step.index, []
        for at in step.positions:
            row = index.rows[at]
            if row is None:
                row = index.rows[at] = self.tenant.rendered(id_of(index.keys[at]))
            rows.append(row)
        return rows

    @property
    def _has_holes(self) -> bool:
        return self.tenant.has_pending or self.lacks is not None

    def _cut(self, keys: Sequence[int], low: int, high: int) -> tuple[Sequence[int], bool]:
        """Return the positions of one page in the order of the listing, and whether more follow."""
        size = self.settings.page_size
        order = range(high - 1, low - 1, -1) if self.settings.order == "descending" else range(low, high)
        if self.settings.short_pages or not self._has_holes:
            return order[:size], len(order) > size
        shown: list[int] = []
        for at in order:
            if not self._hidden(keys[at]):
                if len(shown) == size:
                    return shown, True
                shown.append(at)
        return shown, False

    def _hidden(self, key: int) -> bool:
        return self._awaited(key) or (self.lacks is not None and self.lacks(id_of(key)))

    def _awaited(self, key: int) -> bool:
        return self.tenant.has_pending and self.tenant.hidden(id_of(key), self.now - self.lag)

    def _total(self, keys: Sequence[int]) -> int:
        if self.lacks is not None and not self.counts_lacking:
            keys = [key for key in keys if not self.lacks(id_of(key))]
        if self.settings.totals_run_ahead or not self.tenant.has_pending:
            return len(keys)
        if self.wanted.call_ids is not None or self.wanted.user_ids is not None or self.lacks is not None:
            return sum(1 for key in keys if not self._awaited(key))
        pending = self.tenant.index(self.wanted.view._replace(pending_only=True))
        low, high = pending.span(self.wanted.start, self.wanted.end)
        return len(keys) - sum(1 for key in pending.keys[low:high] if self._awaited(key))

    def _index(self) -> Index:
        index = self.tenant.index(self.wanted.view)
        if self.wanted.call_ids is None and self.wanted.user_ids is None:
            return index
        if self.wanted.call_ids is not None:
            numbers = {int(call_id) for call_id in self.wanted.call_ids if _is_id(call_id)}
            keys = [key for number in numbers if (key := self.tenant.key(self.wanted.view, number)) is not None]
        else:
            low, high = index.span(self.wanted.start, self.wanted.end)
            keys = index.keys[low:high]
        return Index(key for key in keys if self._has_user(id_of(key)))

    def _has_user(self, number: int) -> bool:
        if self.wanted.user_ids is None:
            return True
        call = self.tenant.find(str(number))
        return call is not None and call.fields.get("primaryUserId") in self.wanted.user_ids


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit()


EXPIRED: Final = "cursor: the provided cursor has expired, start again from the first page"


def following_position(*, last: tuple[int, int | None], total: int, before: Position | None, expires: int) -> Position:
    """Return the position after a row (id, microseconds); only the first one of a listing sets its expiry."""
    if before is None:
        return Position(*last, total, 0, expires)
    return Position(*last, total, before.page_number + 1, before.expires)


def position_of(cursor: Any, settings: Settings, now: float, id_name: str = "callId") -> Position:
    """Return the position in a cursor; raise Refusal if it is damaged, foreign or too old."""
    try:
        position = read(str(cursor), secret=settings.cursor_secret, id_name=id_name)
    except CursorError:
        raise Refusal(400, "Failed to verify cursor") from None
    if now >= position.expires:
        raise Refusal(400, EXPIRED)
    return position
