"""The content of one made-up call: each block as JSON, drawn from the id of the call."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, ClassVar

from gong_source.simulator.answers import dump
from gong_source.simulator.call import from_micros, show_time
from gong_source.simulator.people import (
    Depth,
    Facts,
    Party,
    Staff,
    account_of,
    company,
    crm_context,
    crm_objects,
    invite,
    person,
    vary,
)
from gong_source.simulator.phrases import draw
from gong_source.simulator.pieces import Pieces, choose, highlight_title, pieces_for, rolls
from gong_source.simulator.sizes import Content
from gong_source.simulator.words import COMMENTS, OUTCOMES


class DrawnCall:
    """The content of one call. Each block is JSON, or None where this call does not have it."""

    def __init__(self, facts: Facts, sizes: Content, staff: Staff) -> None:
        self._facts = facts
        self._sizes = sizes
        self._staff = staff
        self._pieces: Pieces = pieces_for(sizes)
        self._bits = draw(2, facts.number)

    @cached_property
    def _parties(self) -> list[Party]:
        return invite(self._facts, self._sizes, self._staff)

    @cached_property
    def _speakers(self) -> list[Party]:
        return [party for party in self._parties if party.speaker_id is not None]

    @property
    def has_video(self) -> bool:
        """Whether the call was recorded with video."""
        return self._facts.has_video

    def block(self, name: str, *, depth: Depth, occurrences: bool) -> bytes | None:
        """Return a block by its API name; a group of blocks is none."""
        if name in self._sizes.absent:
            return None
        if name == "context":
            return self.context(depth)
        if name == "parties":
            return self.parties(depth)
        if name == "trackers":
            return self.trackers(occurrences=occurrences)
        return self._blocks[name](self) if name in self._blocks else None

    def context(self, depth: Depth) -> bytes:
        """Return the CRM objects of the call: none for an internal call and for one that nobody associated."""
        if self._facts.is_internal or self._bits & 15 == 15:
            return b"[]"
        number, account = self._facts.number, account_of(self._facts.number)
        opportunity = account * 3 + self._bits % 3
        name = f"{company(account)} renewal {opportunity % 3 + 1}"
        pieces = self._pieces
        objects = crm_objects("Account", account, company(account), depth=depth, pieces=pieces, moment=number)
        objects += crm_objects("Opportunity", opportunity, name, depth=depth, pieces=pieces, moment=number)
        return crm_context(objects)

    def parties(self, depth: Depth) -> bytes | None:
        """Return the parties; an imported call has none."""
        if self._bits >> 8 & 63 == 63:
            return None
        rows = []
        for party in self._parties:
            objects: list[bytes] = []
            if party.contact is not None and depth.level != "None":
                name, number = person(party.contact), self._facts.number
                objects = crm_objects("Contact", party.contact, name, depth=depth, pieces=self._pieces, moment=number)
            rows.append(b'%b,"context":%b,%b' % (party.fields, crm_context(objects), party.rest))
        return b"[%b]" % b",".join(rows)

    def trackers(self, *, occurrences: bool) -> bytes:
        """Return every tracker of the tenant with its count, and with who said it when if so asked."""
        trackers = self._pieces.trackers
        chosen = rolls("trackers", self._facts.number, 1 + len(trackers))
        hits = min(len(trackers), vary(self._sizes.tracker_hits, self._sizes, chosen[0]))
        # The trackers with the highest rolls are those that somebody said something of.
        hit = sorted(range(len(trackers)), key=lambda at: (chosen[1 + at], at))[len(trackers) - hits :]
        rows = [tracker.missed for tracker in trackers]
        for at in hit:
            rows[at] = self._tracker(at, occurrences=occurrences)
        return b"[%b]" % b",".join(rows)

    def transcript(self) -> bytes:
        """Return the transcript: monologues of the speakers, and some of a speaker that nobody knows."""
        number, pieces = self._facts.number, self._pieces
        (roll,) = rolls("length", number, 1)
        bodies = pieces.monologues.take(vary(self._sizes.sentences, self._sizes, roll), "monologues", number)
        if not bodies:
            return b"[]"
        heads = [b',{"speakerId":"%b"' % (party.speaker_id or "").encode() for party in self._speakers]
        if not heads or self._bits >> 14 & 1:
            heads.append(b',{"speakerId":null')
        said_by = rolls("speakers", number, len(bodies))
        parts = [b""] * (2 * len(bodies))
        parts[::2] = [heads[roll % len(heads)] for roll in said_by]
        parts[1::2] = bodies
        parts[0] = b"[" + parts[0][1:]
        parts.append(b"]")
        return b"".join(parts)

    def _tracker(self, at: int, *, occurrences: bool) -> bytes:
        tracker, bits = self._pieces.trackers[at], draw(31 + at, self._facts.number)
        said = [self._occurrence(draw(further, bits)) for further in range(1 + bits % 3)]
        listed = b"" if tracker.lists_phrases_alone or not occurrences else b",".join(said)
        phrases = []
        if not tracker.is_smart:
            for phrase, times in zip(tracker.phrases, (said[:1], said[1:]), strict=False):
                when = b",".join(times) if occurrences else b""
                phrases.append(b'{"count":%d,"occurrences":[%b],"phrase":%b}' % (len(times), when, phrase))
        # The count is not always that of the occurrences.
        count = len(said) + (bits >> 8 & 7 == 0)
        return b'%b%d%b%b],"phrases":[%b]}' % (tracker.head, count, tracker.middle, listed, b",".join(phrases))

    def _occurrence(self, bits: int) -> bytes:
        speakers = self._speakers
        speaker_id = speakers[bits % len(speakers)].speaker_id if speakers else None
        shown = b"null" if speaker_id is None else b'"%b"' % speaker_id.encode()
        return b'{"startTime":%.2f,"speakerId":%b}' % ((bits >> 8) % 180_000 / 100, shown)

    def _outline(self) -> bytes:
        pieces, number = self._pieces, self._facts.number
        (roll,) = rolls("outline", number, 1)
        count = vary(self._sizes.outline_items, self._sizes, roll)
        return _array(pieces.sections.take(count, "sections", number))

    def _highlights(self) -> bytes | None:
        if self._bits >> 24 & 7 == 7:
            return None
        (roll,) = rolls("highlights", self._facts.number, 1)
        count = vary(self._sizes.highlights, self._sizes, roll)
        items = list(choose(self._pieces.highlights, rolls("highlight", self._facts.number, count)))
        return _array(
            b'{"title":%b,"items":[%b]}' % (highlight_title(at), b",".join(part))
            for at, part in enumerate((items[::2], items[1::2]))
            if part
        )

    def _key_points(self) -> bytes:
        (roll,) = rolls("points", self._facts.number, 1)
        count = vary(self._sizes.key_points, self._sizes, roll)
        return _array(choose(self._pieces.key_points, rolls("point", self._facts.number, count)))

    def _topics(self) -> bytes:
        return _array(choose(self._pieces.topics, rolls("topics", self._facts.number, self._sizes.topics)))

    def _structure(self) -> bytes | None:
        places = self._pieces.structure
        shown = self._facts.has_video
        return _array(choose(places, rolls("agenda", self._facts.number, len(places)))) if shown else None

    def _brief(self) -> bytes | None:
        if self._bits >> 16 & 31 == 31:
            return None
        texts = choose(self._pieces.notes, rolls("brief", self._facts.number, 3))
        return b'"%b"' % b" ".join(text[1:-1] for text in texts)

    def _outcome(self) -> bytes | None:
        lot = self._bits >> 21 & 7
        return dump(dict(zip(("id", "category", "name"), OUTCOMES[lot], strict=True))) if lot < len(OUTCOMES) else None

    def _talk(self) -> bytes:
        rows: list[dict[str, Any]] = []
        for at, party in enumerate(self._speakers):
            row: dict[str, Any] = {"id": party.party_id}
            if party.user_id is not None or at % 2:
                row["userId"] = party.user_id
            rows.append(row | {"talkTime": (self._bits >> 3 * at) % 90_000 / 100})
        return dump(rows)

    def _stats(self) -> bytes:
        bits = self._bits
        values = {
            "Talk Ratio": bits % 101 / 100,
            "Longest Monologue": (bits >> 7) % 60_000 / 100,
            "Longest Customer Story": (bits >> 14) % 30_000 / 100,
            "Interactivity": (bits >> 21) % 1000 / 100,
            "Patience": None if bits >> 30 & 7 == 7 else (bits >> 33) % 300 / 100,
        }
        return dump([{"name": name, "value": value} for name, value in values.items() if value is not None])

    def _video(self) -> bytes | None:
        names = ("Browser", "Presentation", "WebcamPrimaryUser", "WebcamNonCompany", "Webcam")
        if not self._facts.has_video:
            return None
        return dump([{"name": name, "duration": (self._bits >> at) % 900 / 2} for at, name in enumerate(names)])

    def _questions(self) -> bytes:
        return dump({"companyCount": self._bits >> 4 & 31, "nonCompanyCount": self._bits >> 9 & 15})

    def _comments(self) -> bytes | None:
        """Return the public comments; half of the calls have none, and then no list either."""
        if self._bits >> 40 & 1 or not self._sizes.comments:
            return None
        rows: list[dict[str, Any]] = []
        for at in range(self._sizes.comments):
            bits = draw(61 + at, self._facts.number)
            member = self._staff.member(bits) or {}
            row = {
                "id": str(bits >> 1),
                "audioStartTime": None if bits & 7 == 7 else float(bits % 1500),
                "audioEndTime": None if bits & 7 == 7 else bits % 1500 + 12.5,
                "commenterUserId": member.get("id"),
                "comment": COMMENTS[bits % len(COMMENTS)],
                "posted": show_time(from_micros((self._facts.micros or 0) + bits % 10**12), self._facts.zone),
                "inReplyTo": rows[0]["id"] if rows and bits & 1 else None,
                "duringCall": bits & 2 == 2,
            }
            rows.append(row)
        return dump(rows)

    _blocks: ClassVar[dict[str, Callable[["DrawnCall"], bytes | None]]] = {
        "structure": _structure,
        "topics": _topics,
        "brief": _brief,
        "outline": _outline,
        "highlights": _highlights,
        "callOutcome": _outcome,
        "keyPoints": _key_points,
        "speakers": _talk,
        "interactionStats": _stats,
        "video": _video,
        "questions": _questions,
        "publicComments": _comments,
    }


def _array(rows: Iterable[bytes]) -> bytes:
    return b"[%b]" % b",".join(rows)
