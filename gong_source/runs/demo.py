"""`demo`: a simulated tenant and two syncs in one process, without a key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from gong_source.errors import DestinationFailed
from gong_source.runs.sync import sync
from gong_source.settings import resolve_settings
from gong_source.simulator import Settings, Simulator, Tenant
from gong_source.warehouse.warehouse import Target
from gong_source.windows import days_before, iso, now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gong_source.runs.load import LoadResult

_DAYS = 90
_TARGET = Target(pipeline_name="gong_demo")
_QUERIES = (
    (
        "calls, hours and private share by direction",
        """select direction, count(*) as calls, round(sum(duration) / 3600) as hours,
                  round(100.0 * avg(is_private::int), 1) as private_percent
           from gong.calls group by direction order by calls desc""",
    ),
    (
        "the last four weeks",
        """select date_trunc('week', call_time)::date as week, count(*) as calls,
                  count(distinct primary_user_id) as people
           from gong.calls group by week order by week desc limit 4""",
    ),
)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo loaded, and the text it shows."""

    file: str
    first: LoadResult
    second: LoadResult
    text: str

    def as_json(self) -> dict[str, Any]:
        """The result as JSON's types."""
        return {
            "command": "demo",
            "status": self.second.status,
            "file": self.file,
            "first_sync": self.first.as_json(),
            "second_sync": self.second.as_json(),
        }


def demo(*, calls: int = 3000) -> DemoResult:
    """Loads `calls` simulated calls of the last 90 days into ./gong_demo.duckdb, then syncs again after some changed.

    Raises `DestinationFailed` when the file cannot be written.
    """
    file = Path.cwd() / f"{_TARGET.pipeline_name}.duckdb"
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise DestinationFailed(f"cannot replace {file}: {error.strerror}") from None
    end = now()
    start = days_before(end, _DAYS)
    tenant = Tenant.generate(calls, start=start, end=end, seed=7, shape="business")
    served = replace(Settings(), requests_per_second=None, daily_quota=None)
    with Simulator(tenant, served) as simulator:
        settings = resolve_settings(
            credentials={"access_key": "key", "access_key_secret": "secret", "base_url": simulator.base_url},
            start_date=iso(start),
            requests_per_second=1000.0,
        )
        first = sync(_TARGET, settings=settings)
        for number, call_id in enumerate(_recent(tenant, 3)):
            tenant.edit(call_id, title=f"Renamed after the first sync ({number + 1})")
        second = sync(_TARGET, settings=settings)
    return DemoResult(str(file), first, second, _text(file, first, second))


def _recent(tenant: Tenant, count: int) -> list[str]:
    times = {call_id: call.started or call.scheduled for call_id, call in tenant.calls.items()}
    return sorted(times, key=lambda call_id: str(times[call_id]))[-count:]


def _text(file: Path, first: LoadResult, second: LoadResult) -> str:
    parts = [
        f"A simulated Gong tenant was loaded into {file}:",
        f"  first sync:  {first.calls_received:,} calls in {first.requests} requests, {first.seconds:.1f} s",
        f"  second sync: {second.requests} requests for the last 7 days; {second.calls_changed} calls had been renamed"
        " in Gong, and only those rows changed",
    ]
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for title, sql in _QUERIES:
            rows = connection.execute(sql)
            names = [column[0] for column in rows.description or []]
            parts += ["", f"{title}:", *_grid(names, rows.fetchall())]
    parts += [
        "",
        "Look around:  python -c "
        f"\"import duckdb; print(duckdb.connect('{file.name}').sql('from gong.calls limit 5'))\"",
        "Your own Gong: set SOURCES__GONG__CREDENTIALS__ACCESS_KEY, SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET and"
        " SOURCES__GONG__CREDENTIALS__BASE_URL, then run: gong-source check",
    ]
    return "\n".join(parts)


def _grid(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[str(cell) for cell in row] for row in [names, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    return ["  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
