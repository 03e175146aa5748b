"""Details, content and transcripts on every destination: after each sync, the tables equal what Gong serves."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from conversations import ALL, ask_again, difference, truth
from tenants import END, days_ago

from gong_source import sync
from gong_source.simulator import SMALL, Tenant
from gong_source.warehouse.views import all_views
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from places import Place

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

VIEWS = {"call_people", "tracker_mentions", "transcript_lines", "transcript_texts"}
CHILD_TABLES = ("call_participants", "call_outline", "transcript_sentences")


def _load_ids(place: Place, table: str) -> dict[tuple[str, int], str]:
    rows = place.fetch(f"select call_id, position, _dlt_load_id from gong.{table}")
    return {(call_id, position): load_id for call_id, position, load_id in rows}


def _check_views(place: Place, tenant: Tenant) -> None:
    """The views on conversations say what Gong served."""
    expected = truth(tenant)
    speakers = {
        (key[0], row["speaker_id"]): row["name"]
        for key, row in expected["call_participants"].items()
        if row["speaker_id"] is not None
    }
    spoken = {key: row for key, row in expected["transcript_sentences"].items() if row["text"] is not None}
    lines, texts, people, mentions = place.fetch_all(
        [
            "select call_id, position, speaker, text from gong.transcript_lines",
            "select call_id, sentences, text from gong.transcript_texts",
            "select call_id, name, email_address, talk_minutes from gong.call_people",
            "select call_id, tracker, mentions from gong.tracker_mentions",
        ]
    )
    assert sorted(lines) == sorted(
        (call_id, position, speakers.get((call_id, row["speaker_id"])), row["text"])
        for (call_id, position), row in spoken.items()
    )
    in_order = {call_id: [spoken[key]["text"] for key in sorted(spoken) if key[0] == call_id] for call_id, _ in spoken}
    assert sorted(texts) == sorted((call_id, len(said), " ".join(said)) for call_id, said in in_order.items())
    talk = {(key[0], row["party_id"]): row["talk_seconds"] for key, row in expected["call_speakers"].items()}
    assert Counter((*row[:3], None if row[3] is None else round(float(row[3]), 6)) for row in people) == Counter(
        (key[0], row["name"], row["email_address"], None if seconds is None else round(seconds / 60, 6))
        for key, row in expected["call_participants"].items()
        for seconds in [talk.get((key[0], row["party_id"]))]
    )
    assert sorted(mentions) == sorted(
        (key[0], row["name"], row["count"]) for key, row in expected["call_trackers"].items() if row["count"]
    )
    if place.target.destination in {"duckdb", "postgres"}:
        for view in all_views():
            if view.name in VIEWS:
                described = place.described(view.name)
                assert {name: text for name, text in described.items() if name} == view.columns


def test_tables_follow_what_gong_serves(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Late, added, changed, reordered, emptied, private and removed content; unchanged rows are not written again."""
    tenant = Tenant.generate(14, start=days_ago(6), end=END, seed=4, content=SMALL)
    for call_id in tenant.calls:
        tenant.edit(call_id, isPrivate=False)
    late, emptied, reordered, longer, vanished, hidden, removed, *_others = tenant.calls
    tenant.make_content_available(late, transcript_at=time.time() + 3600, content_at=time.time() + 3600)
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8)), deleted_calls="remove")
    first = sync(place.target, settings=settings)
    assert (first.status, difference(place, tenant)) == ("done", [])
    assert place.fetch(f"select found_at, sentences from gong.transcripts where call_id = '{late}'") == [(None, None)]
    _check_views(place, tenant)
    before = {table: _load_ids(place, table) for table in CHILD_TABLES}

    tenant.make_content_available(late, transcript_at=None, content_at=None)
    tenant.set_content(emptied, parties=[], outline=[], trackers=[])
    tenant.set_content(vanished, parties=None, content=None)
    tenant.edit_content(reordered, trackers=lambda trackers: trackers[::-1])
    tenant.edit_content(longer, parties=lambda people: [*people, {"id": 5, "name": "Zoë"}, {"id": "7", "methods": []}])
    tenant.set_transcript(emptied, [])
    tenant.edit(emptied, duration=1)  # a call that was trimmed: its transcript is due
    tenant.edit(hidden, isPrivate=True)
    tenant.delete(removed)
    ask_again(place)
    second = sync(place.target, settings=settings)

    assert (second.status, difference(place, tenant)) == ("done", [])
    assert [part.changed for part in second.resources.values()] == [2, 5, 3, 2]
    for table in CHILD_TABLES:
        after = _load_ids(place, table)
        kept = {key for key in before[table] if key[0] not in {late, emptied, reordered, vanished, hidden, removed}}
        assert {key: after[key] for key in kept} == {key: before[table][key] for key in kept}
    for table in ("call_details", "call_content", "transcripts"):
        assert place.fetch(f"select count(*) from gong.{table} where call_id = '{removed}'") == [(0,)]
        emptied_header = place.fetch(f"select content_hash, child_rows from gong.{table} where call_id = '{hidden}'")
        assert emptied_header == [(None, None)]
