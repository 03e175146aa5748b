"""What POST /v2/calls/extensive shows of a call beside its basic fields."""

from typing import Any

from gong_source.simulator.answers import dump
from gong_source.simulator.phrases import draw


def detailed(basic: bytes, selector: dict[str, Any]) -> bytes:
    """Return the JSON of one call: `basic` as its `metaData`, and what the contentSelector asks for."""
    # The id is the first field of every row.
    number = int(basic[len(b'{"id":"') : basic.index(b'"', len(b'{"id":"'))])
    bits = draw(2, number)
    exposed = selector.get("exposedFields") or {}
    extra: dict[str, Any] = {"context": []}
    if exposed.get("parties"):
        extra["parties"] = _parties(number, bits)
    content = exposed.get("content") or {}
    if content:
        extra["content"] = {name: value for name, value in _content(bits).items() if content.get(name)}
    if exposed.get("interaction"):
        extra["interaction"] = {
            "speakers": [],
            "questions": {"companyCount": bits & 15, "nonCompanyCount": 3},
        }
    if exposed.get("collaboration"):
        extra["collaboration"] = {}
    return b"".join((b'{"metaData":', basic, b",", dump(extra)[1:]))


def _parties(number: int, bits: int) -> list[dict[str, Any]]:
    return [
        {
            "id": str(bits >> 2),
            "emailAddress": "user1@example.com",
            "name": "Ada Example1",
            "userId": str(bits >> 3),
            "speakerId": str(bits >> 4),
            "context": [],
            "affiliation": "Internal",
            "methods": ["Invitee", "Attendee"],
        },
        {
            "id": str(number >> 1),
            "name": None,
            "speakerId": None,
            "affiliation": "Unknown",
            "methods": ["Attendee"],
        },
    ]


def _content(bits: int) -> dict[str, Any]:
    return {
        "topics": [{"name": "Pricing", "duration": bits & 255}, {"name": "Next steps", "duration": 60}],
        "trackers": [{"id": "881", "name": "Competitors", "count": bits & 3, "type": "KEYWORD", "occurrences": []}],
        "brief": "They talked about prices and agreed to meet again.",
        "keyPoints": [{"text": "A second meeting is planned."}],
    }
