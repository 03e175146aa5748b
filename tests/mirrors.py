"""A simulated tenant and its DuckDB file, which is loaded once, then copied, read and damaged by each test."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import tenants

from gong_source import sync
from gong_source.resources.calls import CALLS
from gong_source.simulator import Call, Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence
    from multiprocessing.process import BaseProcess

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

END = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
# Calls are drawn up to this moment and moved, so that office hours lie at the same distance from every END.
DRAWN_UNTIL = datetime(2026, 3, 5, 17, tzinfo=UTC)
FILE = Path("gong_calls.duckdb")
ALL_COLUMNS = ", ".join(column.name for column in CALLS.table.columns)
SMALL: dict[str, Any] = {"calls": 300, "days": 60}
LARGE: dict[str, Any] = {"calls": 6000, "days": 300, "shape": "business", "long_gap_share": 0.05}

_loaded: dict[str, bytes] = {}


def days_ago(days: float) -> datetime:
    """That long before the end."""
    return END - timedelta(days=days)


def tenant_of(calls: int, days: float, *, workspaces: int = 1, **drawing: Any) -> Tenant:
    """A tenant with calls in the last days, the same ones at any time of any week."""
    start = DRAWN_UNTIL - timedelta(days=days)
    drawn = Tenant.generate(calls, start=start, end=DRAWN_UNTIL, seed=calls, workspaces=workspaces, **drawing)
    return Tenant(map(_moved, drawn.calls.values()), workspaces=workspaces)


def _moved(call: Call) -> Call:
    """The call, as far from END as it was drawn from DRAWN_UNTIL."""
    shift = END - DRAWN_UNTIL
    return replace(
        call,
        scheduled=call.scheduled and call.scheduled + shift,
        started=call.started and call.started + shift,
    )


def mirror(
    serve: Serve, settings_for: SettingsFor, kind: dict[str, Any], *, served: dict[str, Any] | None = None, **more: Any
) -> tuple[Tenant, Simulator, GongSettings]:
    """A tenant of that kind, its simulator with settings `served`, and the settings that sync it, which is done.

    The file that a sync makes is kept for the tests that follow; each begins as on a machine that has never synced.
    """
    shutil.rmtree(os.environ["DLT_DATA_DIR"], ignore_errors=True)
    FILE.unlink(missing_ok=True)
    tenant = tenant_of(**kind)
    simulator = serve(tenant, **(served or {}))
    settings = settings_for(simulator, **({"start_date": iso(days_ago(kind["days"]))} | more))
    key = repr((kind, {name: value for name, value in (served or {}).items() if name != "clock"}))
    if key not in _loaded:
        first = settings_for(simulator, start_date=iso(days_ago(kind["days"])))
        assert sync(settings=first).status == "done"
        _loaded[key] = FILE.read_bytes()
        simulator.reset_requests()
    FILE.write_bytes(_loaded[key])
    return tenant, simulator, settings


def rows(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """What a query on the DuckDB file finds."""
    with duckdb.connect(str(FILE), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(sql, parameters).fetchall()


def change(sql: str, *parameters: Any) -> None:
    """Damages the DuckDB file."""
    with duckdb.connect(str(FILE)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(sql, parameters)


def lose(ids: Sequence[str]) -> None:
    """Deletes these calls' rows from the DuckDB file."""
    change("delete from gong.calls where id in (select unnest(?))", list(ids))


def table() -> dict[str, dict[str, Any]]:
    """The calls not marked as deleted, by id, in the shape that Gong serves them, with their call_time."""
    loaded = {}
    fields = CALLS.table.fields
    names = ", ".join(column.name for column in fields.values())
    found = rows(f"select {names}, call_time, extra from gong.calls where deleted_at is null")
    for *values, call_time, extra in found:
        record = dict(zip(fields, values, strict=True)) | (json.loads(extra) if extra else {})
        loaded[record["id"]] = record | {"call_time": call_time}
    assert len(loaded) == len(found)
    return loaded


def truth(tenant: Tenant, rule: Any = "documented") -> dict[str, dict[str, Any]]:
    """The tenant's calls by id, with instants for times, and the time that files each."""
    return {
        call_id: record | {"call_time": tenant.effective_time(tenant.calls[call_id], rule)}
        for call_id, record in tenants.truth(tenant).items()
    }


def snapshot() -> list[tuple[Any, ...]]:
    """Every row of calls, with the load in which it last changed."""
    return rows(f"select {ALL_COLUMNS}, _dlt_load_id from gong.calls order by id")


def between(tenant: Tenant, start: datetime, end: datetime, rule: Any = "documented") -> list[str]:
    """The ids of the calls that Gong files in `[start, end)`, in the order of that time."""
    filed = sorted((tenant.effective_time(call, rule) or END, call_id) for call_id, call in tenant.calls.items())
    return [call_id for time, call_id in filed if start <= time < end]


def damage(tenant: Tenant, rng: random.Random, days: int, rule: Any = "documented") -> None:
    """Damages one call on each of that many days, in a way that the day's count shows."""
    by_day: dict[Any, list[str]] = defaultdict(list)
    for call_id, call in tenant.calls.items():
        by_day[tenant.effective_time(call, rule).date()].append(call_id)  # type: ignore[union-attr]
    with duckdb.connect(str(FILE)) as connection:
        for day in rng.sample(sorted(by_day), days):
            call_id = rng.choice(by_day[day])
            kind = rng.choice(["lost", "deleted", "moved", "late"])
            if kind == "lost":
                connection.execute("delete from gong.calls where id = ?", [call_id])
            elif kind == "deleted":
                tenant.delete(call_id)
            elif kind == "moved":
                moved = "update gong.calls set call_time = call_time + interval 3 day where id = ?"
                connection.execute(moved, [call_id])
            else:
                moment = tenant.effective_time(tenant.calls[call_id], rule)
                tenant.add(Call(str(rng.getrandbits(60)), started=moment, fields={"title": "late"}))


def sent(simulator: Simulator) -> int:
    """The number of requests that arrived."""
    return len(simulator.requests)


def environment_for(simulator: Simulator) -> dict[str, str]:
    """The environment of a command that asks the simulator."""
    prefix = "SOURCES__GONG__CREDENTIALS__"
    return {
        f"{prefix}ACCESS_KEY": "key",
        f"{prefix}ACCESS_KEY_SECRET": "secret",
        f"{prefix}BASE_URL": simulator.base_url,
        "SOURCES__GONG__REQUESTS_PER_SECOND": "1000",
    }


def started(code: str, environment: dict[str, str], **names: Any) -> BaseProcess:
    """Runs Python code in a process of its own, in this working folder, from a server that has the imports done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gong_source.runs.sync", "gong_source.runs.verify.verify"])
    place = f"import os; os.chdir({str(Path.cwd())!r}); os.environ.update({ {**os.environ, **environment}!r})\n"
    process = context.Process(target=exec, args=(place + code, {"__name__": "run", **names}))
    process.start()
    return process


def killed(code: str, environment: dict[str, str], seconds: float) -> None:
    """Runs Python code in a process of its own, and kills it after that time if it is still there."""
    process = started(code, environment)
    process.join(seconds)
    process.kill()
    process.join()
