"""Things that go wrong, and to which requests they happen."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

FaultKind = Literal[
    "status",
    "html",
    "not_json",
    "slow",
    "truncate",
    "reset",
    "missing_list_key",
    "empty_page",
    "record_without_id",
    "expire_cursor",
    "repeat_cursor",
    "duplicate_rows",
]

_NEEDS_CURSOR: Final = frozenset({"expire_cursor", "repeat_cursor", "duplicate_rows"})


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong, and to which requests it happens.

    Kinds: "status" (an error answer with `status`, default 500, `text` and `retry_after` seconds), "html" (a
    web page with `status`, default 200), "not_json" (a 200 that is no JSON), "slow" (`seconds` more before
    the answer), "truncate" (the connection closes in mid-body), "reset" (it closes without an answer),
    "missing_list_key" (no list in the body), "empty_page" (no rows, but the cursor), "record_without_id" (in
    the first row), "expire_cursor", "repeat_cursor" (the cursor of the request comes back), "duplicate_rows"
    (the page starts with the last `rows` rows of the page before). The kinds about a cursor pass over
    requests that bring none.

    A request is hit if its number (from 1) is in `numbers`, its path starts with `path`, its `callIds` have
    `call_id`, and a draw that depends only on `seed` and the number falls below `probability`; at most `times`
    requests are hit.
    """

    kind: FaultKind
    numbers: Collection[int] | None = None
    path: str = "/"
    call_id: str | None = None
    probability: float = 1.0
    seed: int = 0
    times: int | None = None
    status: int | None = None
    text: str = ""
    retry_after: int | None = None
    seconds: float = 0.0
    rows: int = 1

    def hits(self, number: int, path: str, *, has_cursor: bool, call_ids: Collection[str] = ()) -> bool:
        """Return whether the request is one that the fault happens to, leaving `times` aside."""
        if self.kind in _NEEDS_CURSOR and not has_cursor:
            return False
        if self.numbers is not None and number not in self.numbers:
            return False
        if not path.startswith(self.path) or (self.call_id is not None and self.call_id not in call_ids):
            return False
        return self.probability >= 1 or Random(f"{self.seed}/{number}").random() < self.probability


class FaultPlan:
    """The faults of a simulator, with how often each has happened."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        self._used = [0] * len(self.faults)

    def strike(
        self, number: int, path: str, *, has_cursor: bool, call_ids: Collection[str] = ()
    ) -> dict[FaultKind, Fault]:
        """Return the faults that happen to this request, the first of each kind, and count them."""
        struck: dict[FaultKind, Fault] = {}
        for at, fault in enumerate(self.faults):
            exhausted = fault.times is not None and self._used[at] >= fault.times
            if (
                exhausted
                or fault.kind in struck
                or not fault.hits(number, path, has_cursor=has_cursor, call_ids=call_ids)
            ):
                continue
            self._used[at] += 1
            struck[fault.kind] = fault
        return struck
