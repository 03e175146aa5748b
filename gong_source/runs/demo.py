"""`demo`: a simulated tenant, two syncs and a verification in one process, without a key."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from gong_source.errors import DestinationFailed
from gong_source.runs.ending import Ending
from gong_source.runs.sync import sync
from gong_source.runs.verify.verify import verify
from gong_source.settings import GongCredentials, GongSettings
from gong_source.simulator import SMALL, Settings, Simulator, Tenant
from gong_source.warehouse.warehouse import Target
from gong_source.windows import days_before, iso, now

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gong_source.runs.ending import Status
    from gong_source.runs.results import LoadResult
    from gong_source.runs.verification import VerifyResult

_DAYS = 90
_RENAMED = 3
TARGET = Target(pipeline_name="gong_demo")
_CREDENTIALS = "destination__duckdb__credentials"
_QUERIES = (
    (
        "calls, hours and share of private calls by direction",
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
    (
        "what people talk about",
        """select tracker, count(*) as calls, sum(mentions) as mentions, coalesce(sum(said_by_others), 0) as by_others
           from gong.tracker_mentions group by tracker order by calls desc limit 3""",
    ),
    (
        "users with most calls",
        """select u.first_name || ' ' || u.last_name as host, count(*) as calls
           from gong.calls as c join gong.users as u on u.id = c.primary_user_id
           group by host order by calls desc, host limit 3""",
    ),
)


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The answer to one question about the demo's data: column names and rows."""

    question: str
    names: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo loaded and verified, and some answers from the loaded tables."""

    file: str
    first: LoadResult
    second: LoadResult
    verification: VerifyResult
    answers: Sequence[QueryResult]

    @property
    def status(self) -> Status:
        """The worst status of the three runs."""
        whole = Ending()
        whole.take_over([self.first, self.second, self.verification])
        return whole.status

    def as_json(self) -> dict[str, Any]:
        """The result as JSON's types."""
        return {
            "command": "demo",
            "status": self.status,
            "file": self.file,
            "first_sync": self.first.as_json(),
            "second_sync": self.second.as_json(),
            "verify": self.verification.as_json(),
        }


@contextmanager
def in_demo_file() -> Iterator[Path]:
    """Within the block, the demo's pipeline uses ./gong_demo.duckdb, whatever file its user has set for others."""
    file, setting = Path.cwd() / f"{TARGET.pipeline_name}.duckdb", f"{TARGET.pipeline_name}__{_CREDENTIALS}".upper()
    before = os.environ.get(setting)
    os.environ[setting] = str(file)
    try:
        yield file
    finally:
        del os.environ[setting]
        if before is not None:
            os.environ[setting] = before


def demo_settings(base_url: str = "http://127.0.0.1", **more: Any) -> GongSettings:
    """The default settings for all resources, at the highest rate, whatever its user has set for others."""
    settings, credentials = GongSettings(), GongCredentials()
    credentials.update({"access_key": "key", "access_key_secret": "secret", "base_url": base_url})
    settings.update({"credentials": credentials, "resources": "all", "requests_per_second": 1000.0, **more})
    settings.on_resolved()
    return settings


def demo(*, calls: int = 3000) -> DemoResult:
    """Loads `calls` simulated calls of the last 90 days into ./gong_demo.duckdb.

    Then it syncs once more, after some of them have changed, and verifies. Raises `DestinationFailed` when the file
    cannot be written.
    """
    with in_demo_file() as file:
        return _demo(file, calls)


def _demo(file: Path, calls: int) -> DemoResult:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise DestinationFailed(f"cannot replace {file}: {error.strerror}") from None
    end = now()
    start = days_before(end, _DAYS)
    tenant = Tenant.generate(calls, start=start, end=end, seed=7, shape="business", content=SMALL)
    with Simulator(tenant, replace(Settings(), requests_per_second=None, daily_quota=None)) as simulator:
        settings = demo_settings(simulator.base_url, start_date=iso(start))
        first = sync(TARGET, settings=settings)
        for number, call_id in enumerate(_recent(tenant, end)):
            tenant.edit(call_id, title=f"Renamed after the first sync ({number + 1})")
        second = sync(TARGET, settings=settings)
        verification = verify(TARGET, settings=settings)
    return DemoResult(str(file), first, second, verification, _answers(file))


def _recent(tenant: Tenant, end: datetime) -> list[str]:
    """The latest calls of the days that the second sync fetches again, a few of them."""
    since = days_before(end, GongSettings().lookback_days - 1)
    times = {call_id: call.started or call.scheduled for call_id, call in tenant.calls.items()}
    found = sorted((time, call_id) for call_id, time in times.items() if time is not None and time >= since)
    return [call_id for _, call_id in found[-_RENAMED:]]


def _answers(file: Path) -> list[QueryResult]:
    answers = []
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for question, sql in _QUERIES:
            found = connection.execute(sql)
            names = [column[0] for column in found.description or []]
            answers.append(QueryResult(question, names, found.fetchall()))
    return answers
