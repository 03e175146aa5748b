"""Pieces of JSON made beforehand, from which the content of calls is put together.

A page of 100 transcripts has 50,000 sentences. So each place in a transcript, an outline or a list of fields has
sixteen ready texts, and a call is a choice of one for each place.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import shake_128
from itertools import accumulate, cycle, islice
from math import ceil
from operator import getitem
from typing import Any, Final

from gong_source.simulator.answers import dump
from gong_source.simulator.phrases import draw
from gong_source.simulator.sizes import Content
from gong_source.simulator.words import AGENDA, HIGHLIGHTS, PHRASES, SECTIONS, TOPICS, TRACKERS, note, say

Places = list[list[bytes]]
"""For each place, the texts to choose from."""

_CHOICES: Final = 16
_TO_CHOICE: Final = bytes(number % _CHOICES for number in range(256))
# How many sentences the monologues of a transcript have, in turn, and how many items the sections of an outline.
_MONOLOGUES: Final = (1, 9, 4, 6, 2, 8, 1, 7, 5, 7)
_SECTIONS: Final = (3, 8, 5, 7, 4)
_SENTENCE_MS: Final = 4500
_ITEM_SECONDS: Final = 40
# The first fields of a CRM object have these names and kinds of value; the others follow the same kinds.
_CRM_NAMES: Final = {
    "Account": ("Industry", "NumberOfEmployees", "AnnualRevenue", "IsPartner", "CreatedDate", "ParentId"),
    "Opportunity": ("StageName", "Probability", "Amount", "IsClosed", "CloseDate", "CampaignId"),
    "Contact": ("Department", "Level__c", "Score__c", "DoNotCall", "Birthdate", "ReportsToId"),
}


def rolls(kind: str, number: int, count: int) -> bytes:
    """Return `count` bytes below 16 that depend on the kind and the number alone."""
    return shake_128(f"{kind}{number}".encode()).digest(count).translate(_TO_CHOICE)


def choose(places: Places, chosen: bytes) -> Iterator[bytes]:
    """Return one text for each of the first places, as many as were chosen."""
    return map(getitem, places, chosen)


class Runs:
    """Rows of JSON in runs: the monologues of a transcript, the sections of an outline, a part of a list of fields.

    The lengths of runs follow a pattern. `wrap` makes a run of the number of its first row, a choice and its rows.
    Sixteen texts for each run are made beforehand. Only the last run of a call, which may be shorter, is put
    together when asked for.
    """

    def __init__(self, rows: Places, lengths: tuple[int, ...], wrap: Callable[[int, int, bytes], bytes]) -> None:
        self._rows = rows
        self._wrap = wrap
        self._past = [past for past in accumulate(islice(cycle(lengths), len(rows))) if past <= len(rows)]
        firsts = [0, *self._past]
        self._whole = [
            [self._run(first, past, choice) for choice in range(_CHOICES)]
            for first, past in zip(firsts, self._past, strict=False)
        ]

    def take(self, count: int, kind: str, number: int) -> list[bytes]:
        """Return the runs of the first `count` rows; which texts they are depends on the kind and the number."""
        whole = bisect_right(self._past, count)
        chosen = rolls(kind, number, whole + 1)
        taken = list(choose(self._whole, chosen[:whole]))
        first = self._past[whole - 1] if whole else 0
        if first < count:
            taken.append(self._run(first, count, chosen[whole]))
        return taken

    def _run(self, first: int, past: int, choice: int) -> bytes:
        return self._wrap(first, choice, b",".join([texts[choice] for texts in self._rows[first:past]]))


class Pieces:
    """The pieces for tenants whose calls have these sizes."""

    def __init__(self, sizes: Content) -> None:
        def most(size: int) -> int:
            return ceil(size * (1 + sizes.spread))

        self.monologues = Runs(_places(most(sizes.sentences), _sentence), _MONOLOGUES, _monologue)
        self.sections = Runs(_places(most(sizes.outline_items), _outline_item), _SECTIONS, _section)
        self.highlights = _places(most(sizes.highlights), _highlight)
        self.key_points = _places(most(sizes.key_points), lambda at, bits: {"text": note(bits)})
        self.topics = _places(sizes.topics, _topic)
        self.structure = _places(len(AGENDA), lambda at, bits: {"name": AGENDA[at], "duration": bits % 600})
        self.notes = _places(3, lambda at, bits: note(bits))
        self.crm_fields = max(0, sizes.crm_fields - 1)
        self.fields = {
            kind: Runs(_places(self.crm_fields, _crm_field(kind)), (10,), lambda first, choice, rows: rows)
            for kind in _CRM_NAMES
        }
        self.trackers = [_Tracker(at) for at in range(sizes.trackers)]


@lru_cache(maxsize=8)
def pieces_for(sizes: Content) -> Pieces:
    """Return the pieces for these sizes, made once."""
    return Pieces(sizes)


class _Tracker:
    """A tracker of the tenant, and the JSON that shows it where nobody said anything of it."""

    def __init__(self, at: int) -> None:
        self.is_smart = at % 3 == 0
        self.lists_phrases_alone = at % 3 == 1
        shown = {
            "id": str(3 * 10**17 + draw(8, at) % 10**17),
            "name": TRACKERS[at % len(TRACKERS)] + (f" {at // len(TRACKERS) + 1}" if at >= len(TRACKERS) else ""),
        }
        kind = {"type": "SMART" if self.is_smart else "KEYWORD"}
        self.head = dump(shown)[:-1] + b',"count":'
        self.middle = b"," + dump(kind)[1:-1] + b',"occurrences":['
        self.missed = self.head + b"0" + self.middle + b'],"phrases":[]}'
        self.phrases = [dump(PHRASES[(at + further) % len(PHRASES)]) for further in range(3)]


def _places(count: int, make: Callable[[int, int], Any]) -> Places:
    """Return places whose texts `make` makes from the number of the place and 64 bits."""
    return [[dump(make(at, draw(9 + at, choice))) for choice in range(_CHOICES)] for at in range(count)]


def _sentence(at: int, bits: int) -> dict[str, Any]:
    start = at * _SENTENCE_MS + bits % 900
    return {"start": start, "end": start + 300 + (bits >> 10) % _SENTENCE_MS, "text": say(bits >> 8)}


def _outline_item(at: int, bits: int) -> dict[str, Any]:
    return {"text": note(bits), "startTime": (at * _ITEM_SECONDS * 100 + bits % 3900) / 100}


def _monologue(first: int, choice: int, sentences: bytes) -> bytes:
    """Return a monologue without its speaker."""
    topic = dump(None if choice % 4 == 0 else TOPICS[(first + choice) % len(TOPICS)])
    return b',"topic":%b,"sentences":[%b]}' % (topic, sentences)


def _section(first: int, choice: int, items: bytes) -> bytes:
    name = SECTIONS[(first // 5 + choice % 2) % len(SECTIONS)]
    start = float(first * _ITEM_SECONDS)
    head = dump({"section": name, "startTime": start, "duration": (3000 + draw(first, choice) % 30_000) / 100})
    return b'%b,"items":[%b]}' % (head[:-1], items)


def _highlight(at: int, bits: int) -> dict[str, Any]:
    times = [(at * 600 + (bits >> 8 * further) % 600) / 10 for further in range(bits % 3)]
    return {"text": note(bits), "startTimes": times}


def _topic(at: int, bits: int) -> dict[str, Any]:
    name = TOPICS[at % len(TOPICS)] + (f" {at // len(TOPICS) + 1}" if at >= len(TOPICS) else "")
    return {"name": name, "duration": 0 if bits % 3 == 0 else bits % 900}


def _crm_field(kind: str) -> Callable[[int, int], dict[str, Any]]:
    names = _CRM_NAMES[kind]

    def field(at: int, bits: int) -> dict[str, Any]:
        name = names[at] if at < len(names) else f"Custom_{at}__c"
        day = f"20{10 + bits % 20}-{1 + bits % 12:02}-{1 + bits % 28:02}"
        values = (
            f"Value {bits % 1000}",
            bits % 100_000,
            bits % 10_000_000 / 100,
            bits % 2 == 0,
            day if at % 12 == 4 else f"{day}T08:15:00.000+0000",
            None,
        )
        return {"name": name, "value": None if bits % 11 == 0 else values[at % len(values)]}

    return field


def highlight_title(at: int) -> bytes:
    """Return the JSON of the title of a section of highlights."""
    return dump(HIGHLIGHTS[at % len(HIGHLIGHTS)])
