"""What the tables of whole conversations must hold, worked out from what the simulator serves, without this package."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tenants import END, days_ago

from gong_source.simulator import SMALL, Tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from places import Place

    from gong_source.simulator import Request

Row = dict[str, Any]
ALL = "calls,call_details,call_content,transcripts"
HEADERS = ("call_details", "call_content", "transcripts")
# All content, and the fields of CRM objects as they are now.
SELECTOR = {
    "context": "Extended",
    "contextTiming": ["Now"],
    "exposedFields": {
        "parties": True,
        "content": dict.fromkeys(
            (
                "structure",
                "topics",
                "trackers",
                "trackerOccurrences",
                "brief",
                "outline",
                "highlights",
                "callOutcome",
                "keyPoints",
            ),
            True,
        ),
        "interaction": dict.fromkeys(("speakers", "video", "personInteractionStats", "questions"), True),
        "collaboration": {"publicComments": True},
    },
}


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _ids_as_text(row: Row) -> Row:
    return {
        name: str(value) if name.endswith("_id") and isinstance(value, int) else value for name, value in row.items()
    }


def _participants(call: Row) -> Iterator[Row]:
    for party in call.get("parties") or ():
        methods = party.get("methods")
        yield {
            "party_id": party.get("id"),
            "user_id": party.get("userId"),
            "speaker_id": party.get("speakerId"),
            "name": party.get("name"),
            "email_address": party.get("emailAddress"),
            "title": party.get("title"),
            "phone_number": party.get("phoneNumber"),
            "affiliation": party.get("affiliation"),
            "is_invitee": None if methods is None else "Invitee" in methods,
            "is_attendee": None if methods is None else "Attendee" in methods,
        }


def _crm_objects(call: Row) -> Iterator[Row]:
    linked = [(None, context) for context in call.get("context") or ()]
    linked += [
        (party.get("id"), context) for party in call.get("parties") or () for context in party.get("context") or ()
    ]
    for party_id, context in linked:
        for found in context.get("objects") or ():
            fields = found.get("fields")
            yield {
                "party_id": party_id,
                "system": context.get("system"),
                "object_type": found.get("objectType"),
                "object_id": found.get("objectId"),
                "timing": found.get("timing"),
                "fields": None if fields is None else {field["name"]: field.get("value") for field in fields},
            }


def _occurrences(call: Row) -> Iterator[Row]:
    trackers = _in(call, "content", "trackers")
    lists = [(tracker, None, None, tracker.get("occurrences")) for tracker in trackers]
    lists += [
        (tracker, phrase.get("phrase"), number, phrase.get("occurrences"))
        for tracker in trackers
        for number, phrase in enumerate(tracker.get("phrases") or ())
    ]
    for tracker, phrase, number, found in lists:
        for each in found or ():
            yield {
                "tracker_id": tracker.get("id"),
                "phrase": phrase,
                "phrase_number": number,
                "start_seconds": each.get("startTime"),
                "speaker_id": each.get("speakerId"),
            }


def _outline(call: Row) -> Iterator[Row]:
    for section in _in(call, "content", "outline"):
        for item in section.get("items") or [{}]:
            yield {
                "section": section.get("section"),
                "section_start_seconds": section.get("startTime"),
                "section_seconds": section.get("duration"),
                "item_start_seconds": item.get("startTime"),
                "text": item.get("text"),
            }


def _highlights(call: Row) -> Iterator[Row]:
    for section in _in(call, "content", "highlights"):
        for item in section.get("items") or [{}]:
            yield {"title": section.get("title"), "text": item.get("text"), "start_seconds": item.get("startTimes")}


def _comments(call: Row) -> Iterator[Row]:
    for comment in _in(call, "collaboration", "publicComments"):
        yield {
            "comment_id": comment.get("id"),
            "commenter_user_id": comment.get("commenterUserId"),
            "text": comment.get("comment"),
            "posted_at": _time(comment.get("posted")),
            "in_reply_to": comment.get("inReplyTo"),
            "audio_start_seconds": comment.get("audioStartTime"),
            "audio_end_seconds": comment.get("audioEndTime"),
            "is_during_call": comment.get("duringCall"),
        }


def _sentences(transcript: Row) -> Iterator[Row]:
    for number, monologue in enumerate(transcript.get("transcript") or ()):
        for sentence in monologue.get("sentences") or [{}]:
            yield {
                "monologue": number,
                "speaker_id": monologue.get("speakerId"),
                "topic": monologue.get("topic"),
                "start_ms": sentence.get("start"),
                "end_ms": sentence.get("end"),
                "text": sentence.get("text"),
            }


def _in(call: Row, *path: str) -> list[Row]:
    value: Any = call
    for name in path:
        value = (value or {}).get(name)
    return value or []


def _named(*path: str, **columns: str) -> Callable[[Row], Iterator[Row]]:
    def rows(call: Row) -> Iterator[Row]:
        for element in _in(call, *path):
            yield {column: element.get(field) for column, field in columns.items()}

    return rows


def _phrases(call: Row) -> Iterator[Row]:
    for tracker in _in(call, "content", "trackers"):
        for phrase in tracker.get("phrases") or ():
            yield {"tracker_id": tracker.get("id"), "phrase": phrase.get("phrase"), "count": phrase.get("count")}


CHILDREN: dict[str, Callable[[Row], Iterator[Row]]] = {
    "call_participants": _participants,
    "call_speakers": _named("interaction", "speakers", party_id="id", user_id="userId", talk_seconds="talkTime"),
    "call_crm_objects": _crm_objects,
    "call_trackers": _named("content", "trackers", tracker_id="id", name="name", type="type", count="count"),
    "call_tracker_phrases": _phrases,
    "call_tracker_occurrences": _occurrences,
    "call_topics": _named("content", "topics", name="name", seconds="duration"),
    "call_video": _named("interaction", "video", name="name", seconds="duration"),
    "call_interaction_stats": _named("interaction", "interactionStats", name="name", value="value"),
    "call_structure": _named("content", "structure", name="name", seconds="duration"),
    "call_outline": _outline,
    "call_highlights": _highlights,
    "call_key_points": _named("content", "keyPoints", text="text"),
    "call_comments": _comments,
}
_STATS = {
    "talk_ratio": "Talk Ratio",
    "longest_monologue_seconds": "Longest Monologue",
    "longest_customer_story_seconds": "Longest Customer Story",
    "interactivity": "Interactivity",
    "patience": "Patience",
}


def _details_header(call: Row) -> Row:
    content, interaction = call.get("content") or {}, call.get("interaction") or {}
    outcome, questions = content.get("callOutcome") or {}, interaction.get("questions") or {}
    stats = {stat["name"]: stat.get("value") for stat in interaction.get("interactionStats") or ()}
    return {
        "outcome_id": outcome.get("id"),
        "outcome_category": outcome.get("category"),
        "outcome_name": outcome.get("name"),
        "company_questions": questions.get("companyCount"),
        "customer_questions": questions.get("nonCompanyCount"),
        **{column: stats.get(name) for column, name in _STATS.items()},
    }


def truth(tenant: Tenant, *, private: bool = False) -> dict[str, dict[Any, Row]]:
    """The rows of each table by key, in the columns that Gong fills; without private calls unless `private`."""
    expected: dict[str, dict[Any, Row]] = {name: {} for name in (*CHILDREN, "transcript_sentences")}
    expected |= {"call_details": {}, "call_content": {}, "transcripts": {}}
    for call_id in tenant.calls:
        served = tenant.served_details(call_id, SELECTOR)
        if served is None or (served["metaData"]["isPrivate"] is True and not private):
            continue
        expected["call_details"][call_id] = _details_header(served)
        expected["call_content"][call_id] = {"brief": (served.get("content") or {}).get("brief")}
        for name, rows in CHILDREN.items():
            expected[name] |= {(call_id, position): _ids_as_text(row) for position, row in enumerate(rows(served))}
        transcript = tenant.served_transcript(call_id)
        if transcript is not None:
            sentences = list(_sentences(transcript))
            spoken = sum(row["text"] is not None for row in sentences)
            expected["transcripts"][call_id] = {"sentences": spoken}
            expected["transcript_sentences"] |= {
                (call_id, position): row for position, row in enumerate(map(_ids_as_text, sentences))
            }
    return expected


def stored(place: Place) -> dict[str, dict[Any, Row]]:
    """The rows of each table by key, in the same columns; headers only of calls for which Gong had something."""
    found: dict[str, dict[Any, Row]] = {}
    keys = {name: ["call_id"] if name in HEADERS else ["call_id", "position"] for name in _SHAPES}
    statements = [
        f"select {', '.join([*keys[name], *names])} from gong.{name}"
        + (" where content_hash is not null" if name in HEADERS else "")
        for name, names in _SHAPES.items()
    ]
    for (name, names), rows in zip(_SHAPES.items(), place.fetch_all(statements), strict=True):
        key = len(keys[name])
        found[name] = {row[0] if key == 1 else row[:2]: dict(zip(names, row[key:], strict=True)) for row in rows}
        assert len(found[name]) == len(rows), f"{name} has a key twice"
    for name, column in (("call_crm_objects", "fields"), ("call_highlights", "start_seconds")):
        for row in found[name].values():
            row[column] = None if row[column] is None else json.loads(row[column])
    return found


def _shape(rows: Callable[[Row], Iterator[Row]], example: Row) -> list[str]:
    return list(next(rows(example)))


_EXAMPLE: Row = {
    "parties": [{}],
    "context": [{"objects": [{}]}],
    "interaction": {"speakers": [{}], "video": [{}], "interactionStats": [{}]},
    "content": {
        "trackers": [{"phrases": [{}], "occurrences": [{}]}],
        **{name: [{}] for name in ("topics", "structure", "outline", "highlights", "keyPoints")},
    },
    "collaboration": {"publicComments": [{}]},
    "transcript": [{}],
}
_SHAPES = {name: _shape(rows, _EXAMPLE) for name, rows in CHILDREN.items()} | {
    "transcript_sentences": _shape(_sentences, _EXAMPLE),
    "call_details": list(_details_header({})),
    "call_content": ["brief"],
    "transcripts": ["sentences"],
}


def difference(place: Place, tenant: Tenant, *, private: bool = False) -> list[str]:
    """The first differences between what is stored and what is served, in words; none if all is equal."""
    expected, found = truth(tenant, private=private), stored(place)
    return [
        f"{name} {key}: served {rows.get(key)}, stored {found[name].get(key)}"
        for name, rows in expected.items()
        for key in sorted(rows.keys() | found[name].keys(), key=str)
        if rows.get(key) != found[name].get(key)
    ][:10]


def public_tenant(calls: int = 12, days: float = 6) -> Tenant:
    """A tenant with so many calls of the last days, none of them private, with little content."""
    tenant = Tenant.generate(calls, start=days_ago(days), end=END, seed=calls, content=SMALL)
    for call_id in tenant.calls:
        tenant.edit(call_id, isPrivate=False)
    return tenant


def ask_again(place: Place) -> None:
    """As if the time had come at which the calls are due again."""
    for table in HEADERS:
        place.write(f"update gong.{table} set ask_again_at = asked_at where true")


def is_question(request: Request) -> bool:
    """Whether a request only finds out which time of a call the list with details uses: it asks for a millisecond."""
    asked = request.body.get("filter", {}) if request.body else {}
    if "fromDateTime" not in asked:
        return False
    start, end = (datetime.fromisoformat(asked[name]) for name in ("fromDateTime", "toDateTime"))
    return (end - start).total_seconds() < 0.01
