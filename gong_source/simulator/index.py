"""A sorted list of (time, call id) keys: what a filtered list of calls is cut from."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final

# One integer a key compares faster and weighs less than a tuple; 68 bits hold any id of 20 digits.
_ID_BITS: Final = 68
_ID_MASK: Final = (1 << _ID_BITS) - 1


def key_of(micros: int, call_id: int) -> int:
    """Return the key that sorts by time (microseconds since 1970), then by id."""
    return (micros << _ID_BITS) | call_id


def id_of(key: int) -> int:
    """Return the call id in a key."""
    return key & _ID_MASK


def micros_of(key: int) -> int:
    """Return the time in a key, microseconds since 1970."""
    return key >> _ID_BITS


class Index:
    """Keys in ascending order, and beside each the JSON of its call once that has been rendered.

    The JSON is kept here too because pages are cut from neighbours: looking up a hundred scattered ids in a
    large dict costs more than all the rest of a page.
    """

    def __init__(self, keys: Iterable[int]) -> None:
        self.keys = sorted(keys)
        self.rows: list[bytes | None] = [None] * len(self.keys)

    def add(self, key: int) -> None:
        """Insert a key."""
        at = bisect_left(self.keys, key)
        self.keys.insert(at, key)
        self.rows.insert(at, None)

    def discard(self, key: int) -> None:
        """Remove a key if it is there."""
        at = bisect_left(self.keys, key)
        if at < len(self.keys) and self.keys[at] == key:
            del self.keys[at], self.rows[at]

    def span(self, start: int | None, end: int | None) -> tuple[int, int]:
        """Return the positions [low, high) of the keys with start <= time < end; None is no bound."""
        low = 0 if start is None else bisect_left(self.keys, start << _ID_BITS)
        high = len(self.keys) if end is None else bisect_left(self.keys, end << _ID_BITS)
        return low, max(low, high)

    def after(self, key: int) -> int:
        """Return the position of the first key greater than `key`, whether or not `key` is there."""
        return bisect_right(self.keys, key)

    def before(self, key: int) -> int:
        """Return the number of keys smaller than `key`."""
        return bisect_left(self.keys, key)
