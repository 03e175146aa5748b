"""Rows that were put together a moment ago, kept within a bound of memory."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

MOST_BYTES: Final = 64_000_000


class RowCache:
    """The rows used last: for each call its rows by any key. The calls used longest ago go first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._rows: OrderedDict[int, dict[Hashable, bytes]] = OrderedDict()
        self._bytes = 0

    def row(self, number: int, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """Return the row of a call with this key, made if it is not here."""
        rows = self._rows.setdefault(number, {})
        self._rows.move_to_end(number)
        row = rows.get(key)
        if row is None:
            row = rows[key] = make()
            self._bytes += len(row)
            while self._bytes > self._most:
                self.forget(next(iter(self._rows)))
        return row

    def forget(self, number: int) -> None:
        """Drop the rows of a call, because they have changed."""
        self._bytes -= sum(map(len, self._rows.pop(number, {}).values()))
