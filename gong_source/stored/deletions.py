"""When records that Gong no longer lists may be marked as deleted, and which ones a sync finds.

Gong deletes without a trace, and a key that lost its visibility looks the same. So a person has to confirm when many
records are gone at once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gong_source.resources.declare import Instants
from gong_source.stored.query import rows_with_ids, select_listed
from gong_source.windows import iso, utc

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from gong_source.resources.declare import Resource
    from gong_source.stored.query import Query, Row
    from gong_source.windows import Window

# Fewer records than this are never too many.
_FEW = 10


def too_many_gone(gone: int, stored: int, share: float) -> bool:
    """Whether `gone` of `stored` records are more than `share` of them, and more than a few."""
    return gone >= _FEW and gone > share * stored


def refusal(resource: Resource, gone: int, stored: int, where: str = "") -> str:
    """Says why none of the records that are gone was marked as deleted, and what to do; `where` names the windows."""
    return (
        f"Gong no longer lists {gone:,} of {resource.count(stored)}{where}. None was marked as deleted, because a"
        " key that lost its visibility looks the same. Check the key's owner and scope (gong-source check). If the"
        f" {resource.plural} are really deleted, run gong-source verify --repair --accept-deletions"
    )


@dataclass
class Gone:
    """The stored records of some ranges that Gong no longer lists there.

    `rows` are the rows to mark as deleted, `count` and `stored` the numbers of records. `refused` says that too many
    are gone at once; `rows` is empty then.
    """

    rows: list[Row] = field(default_factory=list)
    count: int = 0
    stored: int = 0
    refused: bool = False


def find_gone(
    query: Query,
    resource: Resource,
    ranges: Sequence[Window],
    listed: Collection[str],
    workspace_id: str | None,
    share: float,
) -> Gone:
    """The records stored in `ranges`, disjoint and just listed whole, whose ids are not among `listed`.

    A record counts only if both its times lie in the ranges: with one of them outside, Gong may list it there. Where
    more than `share` of all records, or of those of one day, are gone, a person has to confirm the deletion.
    """
    (key,) = resource.table.primary_key
    stored = [i for window in ranges for (i,) in select_listed(query, resource, window, workspace_id, key)]
    gone = [record_id for record_id in stored if record_id not in listed]
    if not gone:
        return Gone(stored=len(stored))
    rows = [row for row in rows_with_ids(query, resource.table, gone) if _lies_within(resource, row, ranges)]
    time = resource.time_column
    times = (moment for window in ranges for (moment,) in select_listed(query, resource, window, workspace_id, time))
    by_day = Counter(map(_day, times))
    gone_by_day = Counter(_day(row[time]) for row in rows)
    refused = (
        bool(rows and not listed)
        or too_many_gone(len(rows), len(stored), share)
        or any(too_many_gone(number, by_day[day], share) for day, number in gone_by_day.items())
    )
    return Gone([] if refused else rows, len(rows), len(stored), refused)


def _lies_within(resource: Resource, row: Row, ranges: Sequence[Window]) -> bool:
    select = resource.select
    assert isinstance(select, Instants)
    times = [row[name] for name in (select.column, select.scheduled, select.started) if row[name] is not None]
    return all(any(utc(time) in window for window in ranges) for time in times)


def _day(moment: datetime) -> str:
    return iso(utc(moment))[:10]
