"""How much content a made-up call has, and when it comes."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Content:
    """How much the calls of a tenant contain, and how long after the call it comes.

    Counts are those of an average call: `spread` 0.5 lets parties, hits, outline items, highlights, key points
    and sentences vary from half to one and a half times the count, 0 makes all calls alike. Trackers, topics and
    CRM fields are the same number for every call.

    `absent` names blocks that this tenant does not have, by their API names: `structure`, `highlights`, `video`.

    A transcript comes `transcript_seconds` after the call (after the moment at which the lists show it; without
    such a moment, after the time that files it), and what is in the block `content` comes `content_seconds`
    after it. A `late_content_share` of the calls waits up to
    `late_content_seconds` more, for both. A `without_transcript_share`
    of the calls never gets a transcript.
    """

    parties: int = 4
    trackers: int = 30
    tracker_hits: int = 5
    topics: int = 10
    outline_items: int = 45
    highlights: int = 8
    key_points: int = 10
    comments: int = 2
    crm_fields: int = 60
    sentences: int = 400
    spread: float = 0.5
    absent: frozenset[str] = frozenset()

    transcript_seconds: float = 0.0
    content_seconds: float = 0.0
    late_content_share: float = 0.0
    late_content_seconds: float = 86_400.0
    without_transcript_share: float = 0.05

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, (int, float)) and value < 0:
                raise ValueError(f"{name} must not be negative")
        for name in ("spread", "late_content_share", "without_transcript_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1")


LIFELIKE: Final = Content()
"""Half an hour of talk: 400 sentences, 45 outline items, 30 trackers, objects of 60 CRM fields."""

SMALL: Final = Content(
    parties=3,
    trackers=3,
    tracker_hits=1,
    topics=2,
    outline_items=3,
    highlights=2,
    key_points=2,
    comments=1,
    crm_fields=6,
    sentences=6,
)
"""Enough of everything to see its shape, for tests."""
