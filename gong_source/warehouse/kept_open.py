"""The connection of a run to its warehouse: open while it is used, and for a moment longer.

Opening and closing a DuckDB file costs more than most queries. But a program that wants to read the file has to wait as
long as it is open here.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Client = TypeVar("Client")


class KeptOpen(Generic[Client]):
    """What `opening` opens and `closing` closes, opened when it is needed.

    It stays open from one use to the next if that begins within `idle_seconds`; a thread closes it when none does.
    """

    def __init__(
        self, opening: Callable[[], Client], closing: Callable[[Client], object], *, idle_seconds: float
    ) -> None:
        self._opening = opening
        self._closing = closing
        self._idle_seconds = idle_seconds
        self._lock = threading.RLock()
        self._client: Client | None = None
        self._users = 0
        self._broken = False
        self._last_use = 0.0
        self._watched = False  # a thread waits to close it

    @contextmanager
    def use(self, reusable: Callable[[Exception], bool] = lambda _error: False) -> Iterator[Client]:
        """Keeps it open for the block, and all blocks within it. After an error that is not `reusable`, closes it."""
        with self._lock:
            if self._client is None:
                self._client = self._opening()
            client = self._client
            self._users += 1
        try:
            yield client
        except BaseException as error:
            self._broken |= not (isinstance(error, Exception) and reusable(error))
            raise
        finally:
            with self._lock:
                self._users -= 1
                self._last_use = time.monotonic()
                if self._users == 0 and (self._broken or not self._watch()):
                    self.close()

    def close(self) -> None:
        """Closes it now; the next use opens it again."""
        with self._lock:
            client, self._client, self._broken = self._client, None, False
            if client is not None:
                self._closing(client)

    def _watch(self) -> bool:
        """Whether a thread waits now to close it; a process may have as many threads as it is allowed."""
        if not self._watched:
            with suppress(RuntimeError):
                threading.Thread(target=self._close_when_idle, daemon=True).start()
                self._watched = True
        return self._watched

    def _close_when_idle(self) -> None:
        idle = 0.0
        while idle < self._idle_seconds:
            time.sleep(self._idle_seconds - idle)
            with self._lock:
                idle = 0.0 if self._users else time.monotonic() - self._last_use
                if idle >= self._idle_seconds:
                    self._watched = False
                    with suppress(Exception):  # what has been written is committed; a wire that is cut cannot be closed
                        self.close()
