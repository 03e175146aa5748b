"""The floor for details and content: urllib3, orjson, Arrow, Parquet, DuckDB; no dlt, no guard, no retry, no merge."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa

from benchmarks.peers.asking import DETAILS, answers, loaded_calls
from benchmarks.peers.rows import TIME, Tables, parents, positions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TEXT, REAL, WHOLE, FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()
STATS = {
    "Talk Ratio": "talk_ratio",
    "Longest Monologue": "longest_monologue_seconds",
    "Longest Customer Story": "longest_customer_story_seconds",
    "Interactivity": "interactivity",
    "Patience": "patience",
}
# The columns of a table by the fields of Gong.
Columns = dict[str, tuple[str, pa.DataType]]
Elements = list[dict[str, Any]]
DURATION: Columns = {"name": ("name", TEXT), "duration": ("seconds", REAL)}


def _inside(group: str, name: str) -> Callable[[dict[str, Any]], Elements]:
    return lambda call: call.get(group, {}).get(name) or []


def _sorted(fields: dict[str, Any]) -> str:
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode()


def _objects(call: dict[str, Any]) -> Elements:
    parts = [(None, part) for part in call.get("context") or ()]
    parts += [(party["id"], part) for party in call.get("parties") or () for part in party.get("context") or ()]
    return [
        {
            "party_id": party,
            "system": part["system"],
            **found,
            "fields": _sorted({field["name"]: field["value"] for field in found["fields"]}),
        }
        for party, part in parts
        for found in part["objects"]
    ]


def _parties(call: dict[str, Any]) -> Elements:
    return [
        party | {"is_invitee": "Invitee" in party["methods"], "is_attendee": "Attendee" in party["methods"]}
        for party in call.get("parties") or ()
    ]


def _phrases(call: dict[str, Any]) -> Elements:
    return [
        {"tracker_id": tracker["id"], **phrase}
        for tracker in _inside("content", "trackers")(call)
        for phrase in tracker["phrases"]
    ]


def _occurrences(call: dict[str, Any]) -> Elements:
    trackers = _inside("content", "trackers")(call)
    whole = [{"tracker_id": tracker["id"], **found} for tracker in trackers for found in tracker["occurrences"]]
    return whole + [
        {"tracker_id": tracker["id"], "phrase": phrase["phrase"], **found}
        for tracker in trackers
        for phrase in tracker["phrases"]
        for found in phrase["occurrences"]
    ]


def _outline(call: dict[str, Any]) -> Elements:
    return [
        {"section": part["section"], "from": part["startTime"], "duration": part["duration"], **item}
        for part in _inside("content", "outline")(call)
        for item in part["items"] or [{}]
    ]


def _highlights(call: dict[str, Any]) -> Elements:
    return [
        {"title": part["title"], **item, "startTimes": orjson.dumps(item["startTimes"]).decode()}
        for part in _inside("content", "highlights")(call)
        for item in part["items"]
    ]


CHILDREN: dict[str, tuple[Callable[[dict[str, Any]], Elements], Columns]] = {
    "call_participants": (
        _parties,
        {
            "id": ("party_id", TEXT),
            "userId": ("user_id", TEXT),
            "speakerId": ("speaker_id", TEXT),
            "name": ("name", TEXT),
            "emailAddress": ("email_address", TEXT),
            "title": ("title", TEXT),
            "phoneNumber": ("phone_number", TEXT),
            "affiliation": ("affiliation", TEXT),
            "is_invitee": ("is_invitee", FLAG),
            "is_attendee": ("is_attendee", FLAG),
        },
    ),
    "call_speakers": (
        _inside("interaction", "speakers"),
        {"id": ("party_id", TEXT), "userId": ("user_id", TEXT), "talkTime": ("talk_seconds", REAL)},
    ),
    "call_crm_objects": (
        _objects,
        {
            "party_id": ("party_id", TEXT),
            "system": ("system", TEXT),
            "objectType": ("object_type", TEXT),
            "objectId": ("object_id", TEXT),
            "timing": ("timing", TEXT),
            "fields": ("fields", TEXT),
        },
    ),
    "call_trackers": (
        _inside("content", "trackers"),
        {"id": ("tracker_id", TEXT), "name": ("name", TEXT), "type": ("type", TEXT), "count": ("count", WHOLE)},
    ),
    "call_tracker_phrases": (
        _phrases,
        {"tracker_id": ("tracker_id", TEXT), "phrase": ("phrase", TEXT), "count": ("count", WHOLE)},
    ),
    "call_tracker_occurrences": (
        _occurrences,
        {
            "tracker_id": ("tracker_id", TEXT),
            "phrase": ("phrase", TEXT),
            "startTime": ("start_seconds", REAL),
            "speakerId": ("speaker_id", TEXT),
        },
    ),
    "call_topics": (_inside("content", "topics"), DURATION),
    "call_video": (_inside("interaction", "video"), DURATION),
    "call_interaction_stats": (
        _inside("interaction", "interactionStats"),
        {"name": ("name", TEXT), "value": ("value", REAL)},
    ),
    "call_structure": (_inside("content", "structure"), DURATION),
    "call_outline": (
        _outline,
        {
            "section": ("section", TEXT),
            "from": ("section_start_seconds", REAL),
            "duration": ("section_seconds", REAL),
            "startTime": ("item_start_seconds", REAL),
            "text": ("text", TEXT),
        },
    ),
    "call_highlights": (
        _highlights,
        {"title": ("title", TEXT), "text": ("text", TEXT), "startTimes": ("start_seconds", TEXT)},
    ),
    "call_key_points": (_inside("content", "keyPoints"), {"text": ("text", TEXT)}),
    "call_comments": (
        _inside("collaboration", "publicComments"),
        {
            "id": ("comment_id", TEXT),
            "commenterUserId": ("commenter_user_id", TEXT),
            "comment": ("text", TEXT),
            "posted": ("posted_at", TEXT),
            "inReplyTo": ("in_reply_to", TEXT),
            "audioStartTime": ("audio_start_seconds", REAL),
            "audioEndTime": ("audio_end_seconds", REAL),
            "duringCall": ("is_during_call", FLAG),
        },
    ),
}


def child(name: str, calls: Elements, ids: pa.Array, times: pa.Array) -> pa.Table:
    """The rows of one child table."""
    read, columns = CHILDREN[name]
    found = [read(call) for call in calls]
    sizes = np.fromiter(map(len, found), np.int64, len(found))
    kind = pa.struct([(field, column[1]) for field, column in columns.items()])
    arrays = pa.array(list(chain.from_iterable(found)), kind).flatten()
    named = dict(zip((column for column, _ in columns.values()), arrays, strict=True))
    if "posted_at" in named:
        named["posted_at"] = named["posted_at"].cast(TIME)
    call = parents(sizes)
    return pa.table({"call_id": ids.take(call), "position": positions(sizes), **named, "call_time": times.take(call)})


def headers(calls: Elements, ids: pa.Array, times: pa.Array) -> tuple[pa.Table, pa.Table]:
    """The rows of `call_details` and of `call_content`."""

    def column(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
        return pa.array(list(values), kind)

    outcomes = [call.get("content", {}).get("callOutcome") or {} for call in calls]
    questions = [call.get("interaction", {}).get("questions") or {} for call in calls]
    listed = [_inside("interaction", "interactionStats")(call) for call in calls]
    stats = [{stat["name"]: stat["value"] for stat in found} for found in listed]
    details = {
        "call_id": ids,
        **{f"outcome_{n}": column((outcome.get(n) for outcome in outcomes), TEXT) for n in ("id", "category", "name")},
        **{name: column((found.get(text) for found in stats), REAL) for text, name in STATS.items()},
        "company_questions": column((found.get("companyCount") for found in questions), WHOLE),
        "customer_questions": column((found.get("nonCompanyCount") for found in questions), WHOLE),
        "call_time": times,
    }
    briefs = column((call.get("content", {}).get("brief") for call in calls), TEXT)
    return pa.table(details), pa.table({"call_id": ids, "brief": briefs, "call_time": times})


def main() -> None:
    """Loads the headers and all child tables into result.duckdb."""
    known, out = loaded_calls(), Tables()
    for _, body in answers("/v2/calls/extensive", DETAILS, list(known)):
        calls = orjson.loads(body)["calls"]
        names = [call["metaData"]["id"] for call in calls]
        ids, times = pa.array(names), pa.array([known[name] for name in names], TIME)
        details, content = headers(calls, ids, times)
        out.add("call_details", details)
        out.add("call_content", content)
        for name in CHILDREN:
            out.add(name, child(name, calls, ids, times))
    out.load()


if __name__ == "__main__":
    main()
