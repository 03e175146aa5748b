"""Answers about named calls: in order, a few of them ready before they are asked for, and none sent after an error."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from gong_source.api import by_id, endpoints
from gong_source.api.by_id import FetchByIds
from gong_source.api.client import Client, Page
from gong_source.api.transport import Usage
from gong_source.errors import AccessDenied, BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Gong:
    """A client that answers at once, and notes which calls it was asked for; `answer` may raise instead."""

    latency_seconds = 0.5
    requests_per_second = 3.0

    def __init__(self, answer: Callable[[Sequence[str]], None] = lambda ids: None) -> None:
        self.transport = self.throttle = self
        self.stopped = threading.Event()
        self.asked: list[Sequence[str]] = []
        self._answer = answer

    def used_by_this_thread(self) -> Usage:
        return Usage()

    def pages(self, _endpoint: Any, ids: Sequence[str], **_: Any) -> Iterator[Page]:
        self.asked.append(ids)
        self._answer(ids)
        yield Page([{"callId": i} for i in ids], None, None, "r", "callTranscripts", b"")


def fetch_of(gong: Gong, calls: int) -> FetchByIds[list[str]]:
    """A fetch of so many calls."""
    ids = [str(number) for number in range(calls)]
    return FetchByIds(cast("Client", gong), endpoints.TRANSCRIPTS, ids, lambda asked, _pages: list(asked))


def settled(gong: Gong) -> int:
    """The number of requests, once there are no more."""
    before = -1
    while before != len(gong.asked):
        before = len(gong.asked)
        time.sleep(0.1)
    return before


def test_few_answers_are_made_ready_while_nobody_asks() -> None:
    """As many as fit in memory; the others are sent as these are taken."""
    gong = Gong()
    fetch = fetch_of(gong, 3000)
    assert settled(gong) == 0
    first = next(fetch)
    ready = settled(gong)
    assert ready == 1 + by_id._MOST_HELD
    next(fetch)
    assert settled(gong) == ready + 1
    answers = [first, *fetch]
    assert [i for answer in answers for i in answer.part] == [str(i) for i in range(3000) if not 100 <= i < 200]
    assert len(gong.asked) == 30
    fetch.close()


def test_nothing_is_sent_in_the_background_after_an_error() -> None:
    """The iteration decides first what the error means."""

    def refuse(ids: Sequence[str]) -> None:
        if len(ids) > 50:
            raise BadRequest("too many")

    gong = Gong(refuse)
    fetch = fetch_of(gong, 1000)
    assert next(fetch).ids == [str(i) for i in range(50)]
    assert sum(len(ids) > 50 for ids in gong.asked) <= by_id._MOST_AT_ONCE
    assert [i for answer in fetch for i in answer.part] == [str(i) for i in range(50, 1000)]
    assert fetch.failures == []


def test_error_that_ends_the_fetch_comes_after_what_was_answered() -> None:
    """Nothing more is sent then."""

    def refuse(ids: Sequence[str]) -> None:
        if "300" in ids:
            raise AccessDenied("no")

    gong = Gong(refuse)
    fetch = fetch_of(gong, 3000)
    answers = list(fetch)
    assert [answer.ids[0] for answer in answers][:3] == ["0", "100", "200"]
    assert isinstance(fetch.stopped_by, AccessDenied)
    assert len(gong.asked) <= 4 + by_id._MOST_AT_ONCE


@pytest.mark.parametrize("close", [True, False])
def test_close_and_stop_send_nothing_more(close: bool) -> None:
    """Also from the threads whose requests end then."""
    go_on = threading.Event()
    gong = Gong(lambda ids: go_on.wait(5) and None)
    fetch = fetch_of(gong, 3000)
    fetch._start()
    time.sleep(0.1)
    sent = len(gong.asked)
    if close:
        fetch.close()
    else:
        gong.stopped.set()
    go_on.set()
    assert settled(gong) == sent
    fetch.close()
