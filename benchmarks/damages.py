"""What `verify` costs and finds: forty random damages in forty days of a large table, repaired by counts, then deeply.

    python benchmarks/damages.py                          # a million calls of five years, three seeds: some ten minutes
    python benchmarks/damages.py --calls 20000 --days 100 # quick
    python benchmarks/damages.py --keep FOLDER            # load the table once, and take it from there the next time

A damage is a row deleted from the table, or a call added late, deleted or edited at the server. Counts can show all but
the edits, unless a call too many and one too few share a window that is never cut: `left` are the calls of such pairs.
`edits` are those found by `--repair`, in windows that it loaded anyway, and by `--deep`. `fields` are those of all
calls that differ from the server's in the end. Under the commands stand the requests that arrived. Each is a process of
its own, as anyone runs it, against a simulator without latency and limits.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from gong_source.resources.calls import CALLS
from gong_source.simulator import Call, Settings, Simulator, Tenant

if TYPE_CHECKING:
    from collections.abc import Callable

END = datetime(2026, 1, 1, tzinfo=UTC)
FILE = "gong_calls.duckdb"
DAMAGES = 40


@dataclass
class Bench:
    """A simulated Gong, and the folder of the DuckDB file that mirrors it."""

    simulator: Simulator
    start: datetime
    folder: Path

    def run(self, *command: str) -> dict[str, Any]:
        """One command as a process of its own: its result, with the requests that arrived."""
        prefix = "SOURCES__GONG__CREDENTIALS__"
        environment = {
            f"{prefix}ACCESS_KEY": "key",
            f"{prefix}ACCESS_KEY_SECRET": "secret",
            f"{prefix}BASE_URL": self.simulator.base_url,
            "SOURCES__GONG__REQUESTS_PER_SECOND": "100000",
            "SOURCES__GONG__DAILY_REQUEST_BUDGET": "100000000",
            "DLT_DATA_DIR": f"{self.folder}/dlt",
        }
        self.simulator.reset_requests()
        process = subprocess.run(  # noqa: S603 - the command is ours
            [sys.executable, "-m", "gong_source.cli", *command, "--json"],
            cwd=self.folder,
            env=os.environ | environment,
            check=False,
            capture_output=True,
        )
        result: dict[str, Any] = json.loads(process.stdout)
        return result | {"arrived": len(self.simulator.requests)}

    def damage(self, seed: int) -> tuple[int, list[Callable[[], None]]]:
        """Damages one call on each of forty days; the number that counts can show, and how to undo it at the server."""
        draw, tenant = random.Random(seed), self.simulator.tenant
        by_day: dict[int, list[tuple[str, datetime]]] = defaultdict(list)
        with duckdb.connect(str(self.folder / FILE)) as db:
            db.execute("set timezone = 'UTC'")
            for call_id, time in db.execute("select id, call_time from gong.calls order by id").fetchall():
                by_day[(time - self.start).days].append((call_id, time))
            visible = DAMAGES
            undo: list[Callable[[], None]] = []
            for day in draw.sample(sorted(by_day), DAMAGES):
                call_id, time = draw.choice(by_day[day])
                kind = draw.choice(["lost", "late", "deleted", "edited"])
                if kind == "lost":
                    db.execute("delete from gong.calls where id = ?", [call_id])
                elif kind == "late":
                    late = str(draw.getrandbits(60))
                    tenant.add(Call(late, started=time))
                    undo.append(partial(tenant.delete, late))
                elif kind == "deleted":
                    tenant.delete(call_id)
                    undo.append(partial(tenant.restore, call_id))
                else:
                    title = tenant.served(call_id)["title"]
                    tenant.edit(call_id, title=f"{title} (edited)")
                    undo.append(partial(tenant.edit, call_id, title=title))
                    visible -= 1
        return visible, undo

    def left(self) -> int:
        """The calls that are missing, or held and not marked though the server has them no more."""
        with duckdb.connect(str(self.folder / FILE), read_only=True) as db:
            held = {row[0] for row in db.execute("select id from gong.calls where deleted_at is null").fetchall()}
        return len(held ^ set(self.simulator.tenant.calls))

    def wrong_fields(self) -> int:
        """The fields of all calls that differ from what the server has."""
        names = ", ".join(column.name for column in CALLS.table.fields.values())
        wrong = 0
        with duckdb.connect(str(self.folder / FILE), read_only=True) as db:
            db.execute("set timezone = 'UTC'")
            rows = db.execute(f"select {names}, extra from gong.calls where deleted_at is null")
            while some := rows.fetchmany(10_000):
                for *values, extra in some:
                    held = dict(zip(CALLS.table.fields, values, strict=True)) | json.loads(extra or "{}")
                    served = dict.fromkeys(CALLS.table.fields) | self.simulator.tenant.served(held["id"])
                    for name in ("scheduled", "started"):
                        served[name] = served[name] and datetime.fromisoformat(served[name])
                    wrong += sum(held[name] != value for name, value in served.items())
        return wrong


def one_seed(bench: Bench, seed: int) -> None:
    """Damages the table, repairs it, and prints a line of the table."""
    clean = bench.run("verify")
    visible, undo = bench.damage(seed)
    repair = bench.run("verify", "--repair")
    left = bench.left()
    deep = bench.run("verify", "--deep", "--repair")
    again = bench.run("verify")
    print(
        f"| {seed} | {clean['arrived']} | {DAMAGES} | {visible} | {visible - left} | {repair['arrived']} | {left} |"
        f" {repair['changed']} + {deep['changed']} of {DAMAGES - visible} | {deep['arrived']:,} | {bench.left()} |"
        f" {bench.wrong_fields()} | {again['outcome']} |",
        flush=True,
    )
    for step in undo:
        step()


def main() -> None:
    """Loads the table, and damages copies of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=5 * 365)
    parser.add_argument("--seed", type=int, action="append", help="(default: 1, 2 and 3)")
    parser.add_argument("--keep", type=Path, help="folder that keeps the loaded table")
    options = parser.parse_args()
    start = END - timedelta(days=options.days)
    tenant = Tenant.generate(options.calls, start=start, end=END, seed=1)
    limitless = Settings(requests_per_second=None, daily_quota=None)
    with tempfile.TemporaryDirectory() as scratch, Simulator(tenant, limitless) as simulator:
        loaded = Bench(simulator, start, options.keep or Path(scratch))
        if not (loaded.folder / FILE).exists():
            loaded.folder.mkdir(exist_ok=True)
            result = loaded.run("backfill", "--from", start.isoformat(), "--to", END.isoformat())
            assert result["calls_received"] == options.calls, result
        print(
            "| seed | clean verify | damages | visible | found | --repair | left | edits | --deep --repair | left |"
            " fields | verify afterwards |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
        )
        for seed in options.seed or [1, 2, 3]:
            with tempfile.TemporaryDirectory() as folder:
                shutil.copy(loaded.folder / FILE, folder)
                one_seed(Bench(simulator, start, Path(folder)), seed)


if __name__ == "__main__":
    main()
