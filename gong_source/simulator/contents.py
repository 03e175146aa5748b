"""The content of the calls of a tenant: drawn, or set by a test, and from when it is there."""

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import RLock
from typing import Any, Final

from gong_source.simulator.answers import dump
from gong_source.simulator.cache import RowCache
from gong_source.simulator.call import ABSENT
from gong_source.simulator.detail import BLOCKS, CONTENT, EVERYTHING, Selection, put_together, select
from gong_source.simulator.drawn import DrawnCall
from gong_source.simulator.media import media_urls
from gong_source.simulator.people import Facts, Staff
from gong_source.simulator.phrases import draw
from gong_source.simulator.sizes import Content

_KEEP: Final = object()
_LEFT_OUT: Final = b""
"""As the JSON of a block: the key is left out."""

_ONE: Final = 2**64


@dataclass(frozen=True, slots=True)
class _Moments:
    """From when (unix seconds) the transcript and the content of a call are there; None is always."""

    transcript: float | None = None
    content: float | None = None


_ALWAYS: Final = _Moments()


class CallContents(ABC):
    """What `Tenant` knows of the content of its calls."""

    lock: RLock

    def __init__(self, content: Content, users: Iterable[dict[str, Any]]) -> None:
        self.content = content
        self._staff = Staff(users)
        self._blocks: dict[int, dict[str, bytes]] = {}
        self._transcripts: dict[int, bytes | None] = {}
        self._moments: dict[int, _Moments] = {}
        self._cache = RowCache()
        self._draws_moments = bool(content.transcript_seconds or content.content_seconds or content.late_content_share)

    @abstractmethod
    def facts(self, number: int) -> Facts:
        """Return what the content of a call depends on; raise KeyError if there is no such call."""

    @abstractmethod
    def came_at(self, number: int) -> float:
        """Return the unix seconds from which the call is listed, or of the time that files it."""

    @abstractmethod
    def hidden(self, number: int, now: float) -> bool:
        """Return whether the call with that id is not available yet at `now`, unix seconds."""

    @abstractmethod
    def rendered(self, number: int) -> bytes:
        """Return the JSON of the call with that id."""

    def set_content(self, call_id: str, **blocks: Any) -> None:
        """Set blocks of a call by their API names; each is served exactly as given here.

        ABSENT leaves a block out. The names are `context`, `parties`, `media`, those in `content`, `interaction`
        and `collaboration`, and these three themselves: such a group is then served whole, whichever of its
        blocks are asked for. Fields of `metaData` are set with `edit`.
        """
        unknown = ", ".join(sorted(blocks.keys() - BLOCKS))
        if unknown:
            raise ValueError(f"no such block of a call: {unknown}")
        with self.lock:
            number = self._known(call_id)
            self.forget_rows(number)
            self._blocks.setdefault(number, {}).update(
                (name, _LEFT_OUT if value is ABSENT else dump(value)) for name, value in blocks.items()
            )

    def edit_content(self, call_id: str, **changes: Callable[[Any], Any]) -> None:
        """Set blocks of a call to what a function makes of their value; it gets ABSENT for one that is left out."""
        with self.lock:
            number = self._known(call_id)
            row = json.loads(self.details(number, self.rendered(number), select(EVERYTHING), math.inf))
            del row["metaData"]
            parts = [row, *(value for value in row.values() if isinstance(value, dict))]
            values = {name: value for part in parts for name, value in part.items()}
            self.set_content(call_id, **{name: change(values.get(name, ABSENT)) for name, change in changes.items()})

    def set_transcript(self, call_id: str, transcript: Any, /, **fields: Any) -> None:
        """Set the transcript of a call, a list of monologues that is served as given; None: it never gets one.

        `fields` are further fields of the row, or replace `callId` and `transcript` in it; ABSENT leaves one out.
        """
        row = {"callId": call_id, "transcript": transcript} | fields
        shown = {name: value for name, value in row.items() if value is not ABSENT}
        with self.lock:
            number = self._known(call_id)
            self._transcripts[number] = None if transcript is None and not fields else dump(shown)

    def reset_content(self, call_id: str) -> None:
        """Bring the drawn blocks, transcript and moments of a call back."""
        with self.lock:
            self.forget_rows(int(call_id))
            for kept in (self._blocks, self._transcripts, self._moments):
                kept.pop(int(call_id), None)

    def make_content_available(self, call_id: str, *, transcript_at: Any = _KEEP, content_at: Any = _KEEP) -> None:
        """Set the unix seconds from which a call has its transcript, and what is in `content`; None is always."""
        with self.lock:
            number = self._known(call_id)
            old = self._moments_of(number)
            self._moments[number] = _Moments(
                old.transcript if transcript_at is _KEEP else transcript_at,
                old.content if content_at is _KEEP else content_at,
            )

    def served_details(
        self, call_id: str, selector: dict[str, Any] | None = EVERYTHING, *, now: float | None = None
    ) -> dict[str, Any] | None:
        """Return exactly the JSON object that POST /v2/calls/extensive serves for a call.

        `now` is unix seconds, the system's clock if None. The answer is None while the call is not available.
        Raise KeyError if there is no such call. Media addresses are signed anew each time.
        """
        moment = time.time() if now is None else now
        with self.lock:
            number = self._known(call_id)
            if self.hidden(number, moment):
                return None
            row: dict[str, Any] = json.loads(self.details(number, self.rendered(number), select(selector), moment))
            return row

    def served_transcript(self, call_id: str, *, now: float | None = None) -> dict[str, Any] | None:
        """Return exactly the JSON object that POST /v2/calls/transcript serves for a call, None while there is none.

        `now` is unix seconds, the system's clock if None. Raise KeyError if there is no such call.
        """
        moment = time.time() if now is None else now
        with self.lock:
            number = self._known(call_id)
            if self.hidden(number, moment) or self.lacks_transcript(number, moment):
                return None
            row: dict[str, Any] = json.loads(self.transcript(number))
            return row

    def lacks_transcript(self, number: int, now: float) -> bool:
        """Return whether a call has no transcript at `now`, unix seconds; hold `lock`."""
        if number in self._transcripts:
            if self._transcripts[number] is None:
                return True
        elif draw(41, number) < self.content.without_transcript_share * _ONE:
            return True
        at = self._moments_of(number).transcript
        return at is not None and at > now

    def transcript(self, number: int) -> bytes:
        """Return the row of a transcript; hold `lock`."""
        row = self._transcripts.get(number)
        if row is not None:
            return row
        return self._cache.row(
            number,
            "transcript",
            lambda: b'{"callId":"%d","transcript":%b}' % (number, self._draw_call(number).transcript()),
        )

    def details(self, number: int, basic: bytes, selection: Selection, now: float) -> bytes:
        """Return the row of a call in detail at `now`, unix seconds; hold `lock`."""
        if selection.is_empty:
            return b'{"metaData":%b}' % basic
        at = self._moments_of(number).content
        is_early = at is not None and at > now
        if selection.media:
            return self._put_together(number, basic, selection, is_early=is_early, now=now)
        return self._cache.row(
            number,
            (selection, is_early),
            lambda: self._put_together(number, basic, selection, is_early=is_early, now=now),
        )

    def forget_rows(self, number: int) -> None:
        """Put the rows of a call together anew when they are next asked for; hold `lock`."""
        self._cache.forget(number)

    def _put_together(self, number: int, basic: bytes, selection: Selection, *, is_early: bool, now: float) -> bytes:
        own, drawn = self._blocks.get(number, {}), self._draw_call(number)

        def block(name: str) -> bytes | None:
            if is_early and (name == "content" or name in CONTENT):
                return None
            if name in own:
                return own[name]
            if name == "media":
                return dump(media_urls(number, has_video=drawn.has_video, now=now))
            return drawn.block(name, depth=selection.depth, occurrences=selection.occurrences)

        return put_together(basic, selection, block)

    def _draw_call(self, number: int) -> DrawnCall:
        return DrawnCall(self.facts(number), self.content, self._staff)

    def _known(self, call_id: str) -> int:
        """Return the id of a call as a number; raise KeyError if there is no such call."""
        if not (call_id.isascii() and call_id.isdigit()):
            raise KeyError(call_id)
        return self.facts(int(call_id)).number

    def _moments_of(self, number: int) -> _Moments:
        kept = self._moments.get(number)
        if kept is not None:
            return kept
        if not self._draws_moments:
            return _ALWAYS
        sizes, came = self.content, self.came_at(number)
        if draw(42, number) < sizes.late_content_share * _ONE:
            came += sizes.late_content_seconds * draw(43, number) / _ONE
        return _Moments(came + sizes.transcript_seconds, came + sizes.content_seconds)
