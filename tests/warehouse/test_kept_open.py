"""The connection of a run: one for what follows closely, none while nobody needs it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from gong_source.warehouse.kept_open import KeptOpen

LONG = 3600.0


@dataclass
class Door:
    """What is opened and closed, in order; the event is set when it is closed."""

    done: list[str] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    def open(self) -> Door:
        self.done.append("open")
        self.closed.clear()
        return self

    def close(self) -> None:
        self.done.append("close")
        self.closed.set()


def kept(door: Door, idle_seconds: float) -> KeptOpen[Door]:
    """The door, kept open."""
    return KeptOpen(door.open, Door.close, idle_seconds=idle_seconds)


def test_opened_at_the_first_use_and_shared_by_those_that_follow() -> None:
    """Nothing is opened before it is needed; uses one after the other, and one within another, share it."""
    door = Door()
    connection = kept(door, LONG)
    assert door.done == []
    with connection.use() as first, connection.use() as within:
        assert first is within is door
    with connection.use() as later:
        assert later is door

    assert door.done == ["open"]
    connection.close()
    assert door.done == ["open", "close"]


def test_closed_when_nobody_uses_it_for_a_moment() -> None:
    """After the last use, it is closed without anybody asking; the next use opens it again."""
    door = Door()
    connection = kept(door, 0.001)
    with connection.use():
        pass
    assert door.closed.wait(10)
    with connection.use():
        assert not door.closed.wait(0.05)  # never while it is used
    assert door.closed.wait(10)

    assert door.done == ["open", "close", "open", "close"]


def test_uses_that_follow_closely_share_one_opening_and_one_thread() -> None:
    """However many uses follow each other, one thread waits, and closes it after the last of them."""
    door = Door()
    connection = kept(door, 0.5)
    before = set(threading.enumerate())
    for _ in range(100):
        with connection.use():
            pass
    assert len(set(threading.enumerate()) - before) == 1
    assert door.closed.wait(10)
    assert door.done == ["open", "close"]


def test_closed_after_an_error() -> None:
    """An error may have broken it, so it is closed with the outermost block, unless it is known to be harmless."""
    door = Door()
    connection = kept(door, LONG)
    with pytest.raises(KeyError), connection.use(), connection.use():
        raise KeyError
    assert door.done == ["open", "close"]
    with pytest.raises(KeyError), connection.use(reusable=lambda error: isinstance(error, KeyError)):
        raise KeyError
    assert door.done == ["open", "close", "open"]
    with pytest.raises(KeyboardInterrupt), connection.use(reusable=lambda _error: True):
        raise KeyboardInterrupt
    assert door.done == ["open", "close", "open", "close"]


def test_one_that_cannot_be_opened_is_tried_again() -> None:
    """An error while opening reaches who wanted to use it, and the next use tries again."""
    attempts = iter([OSError("not yet"), None])

    def opening() -> str:
        if (error := next(attempts)) is not None:
            raise error
        return "open"

    connection = KeptOpen(opening, lambda _client: None, idle_seconds=LONG)
    with pytest.raises(OSError, match="not yet"), connection.use():
        pass
    with connection.use() as client:
        assert client == "open"
    connection.close()


def test_error_while_it_closes_by_itself_is_not_shown() -> None:
    """A wire that was cut cannot be closed: nothing is lost, and nobody waits for it."""
    tried = threading.Event()

    def closing(_client: str) -> None:
        tried.set()
        raise OSError

    connection = KeptOpen(lambda: "open", closing, idle_seconds=0.001)
    with connection.use():
        pass
    assert tried.wait(10)


def test_error_of_a_block_within_another_closes_it_too() -> None:
    """The outermost block ends well, but the connection may be broken."""
    door = Door()
    connection = kept(door, LONG)
    with connection.use():
        with pytest.raises(KeyError), connection.use():
            raise KeyError
        assert door.done == ["open"]
    assert door.done == ["open", "close"]


def test_without_a_thread_to_close_it_later_it_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may not have more threads loses nothing of what it has done."""
    door = Door()
    connection = kept(door, LONG)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with connection.use():
        pass
    assert door.done == ["open", "close"]
