"""A list of records that change while they are served: users, workspaces."""

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from threading import RLock
from typing import Any, Final

Record = dict[str, Any]

_FIRST_NEW_ID: Final = 9 * 10**18


class Directory(Sequence[Record]):
    """Records in ascending order of id, as the API serves them; what it hands out are copies.

    Change records through the methods. Safe to use from several threads, and while a simulator serves it.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = {int(record["id"]): record for record in records}
        self._removed: dict[int, Record] = {}
        self._lock = RLock()

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        with self._lock:
            return iter([deepcopy(self._records[number]) for number in sorted(self._records)])

    def __getitem__(self, at: Any) -> Any:
        return list(self)[at]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, ascending."""
        with self._lock:
            return tuple(map(str, sorted(self._records)))

    def served(self, record_id: str) -> Record:
        """Return exactly the JSON object that is served for a record; raise KeyError if there is none."""
        with self._lock:
            return deepcopy(self._records[int(record_id)])

    def add(self, **fields: Any) -> str:
        """Add a record and return its id, which is a new one unless `fields` has it.

        The fields are those of the API; what is missing is taken from the first record, or is left out.
        """
        with self._lock:
            known = {**self._records, **self._removed}
            number = int(fields.get("id", max([_FIRST_NEW_ID, *known]) + 1))
            if number in known:
                raise ValueError(f"the id {number} is already there")
            example = deepcopy(self._records[min(self._records)]) if self._records else {}
            self._records[number] = example | fields | {"id": str(number)}
            return str(number)

    def edit(self, record_id: str, **fields: Any) -> None:
        """Set fields of a record by their API names."""
        if "id" in fields:
            raise ValueError("the id of a record never changes")
        with self._lock:
            self._records[int(record_id)].update(fields)

    def remove(self, record_id: str) -> None:
        """Remove a record; it leaves no trace in the API."""
        with self._lock:
            self._removed[int(record_id)] = self._records.pop(int(record_id))

    def restore(self, record_id: str) -> None:
        """Bring a removed record back as it was."""
        with self._lock:
            self._records[int(record_id)] = self._removed.pop(int(record_id))
