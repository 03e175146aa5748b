"""What a load costs in each destination: `gong-source sync` beside dlt's generic REST source with its defaults.

    python -m benchmarks.destinations                        # 20,000 calls into each destination
    python -m benchmarks.destinations --only postgres --calls 100000
    python -m benchmarks.destinations --resources all --calls 2000   # ours alone, with details, content and transcripts
    python -m benchmarks.destinations --growth 10000 1000000 # 500 new calls into a Postgres table of so many calls

Whole processes, from start to exit; CPU is that of the client, not of the server. It needs the test group installed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Cost, run, simulated

if TYPE_CHECKING:
    from collections.abc import Iterator

DESTINATIONS = ("duckdb", "ducklake", "postgres", "bigquery")


@contextmanager
def serving(destination: str, folder: Path) -> Iterator[dict[str, str]]:
    """The environment of a process that loads into the destination, which runs for the block."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from servers import bigquery_emulator, duckdb_extensions, postgres_server

    if destination == "postgres":
        with postgres_server() as server:
            yield {"DESTINATION__POSTGRES__CREDENTIALS": server.url}
    elif destination == "bigquery":
        with bigquery_emulator() as emulator:
            # dlt compresses what it uploads, which BigQuery takes and the emulator does not
            yield emulator.environment(folder) | {"DATA_WRITER__DISABLE_COMPRESSION": "true"}
    elif destination == "ducklake":
        extensions = duckdb_extensions(folder, "ducklake", "sqlite_scanner")
        yield {"DESTINATION__DUCKLAKE__CREDENTIALS__GLOBAL_CONFIG": json.dumps(extensions)}
    else:
        yield {}


def sync(destination: str, resources: str = "calls") -> list[str]:
    """The command as anyone runs it."""
    command = [sys.executable, "-m", "gong_source.cli", "sync", "--json"]
    return [*command, "--destination", destination, "--resources", resources]


def generic(destination: str) -> list[str]:
    """The REST source of dlt, merged on id, with dlt's defaults."""
    return [sys.executable, "-m", "benchmarks.peers.rest_api", "--destination", destination]


def side_by_side(destinations: list[str], calls: int, repeat: int, resources: str) -> None:
    """Loads the same tenant into a new dataset of each destination; the run with the least CPU counts.

    dlt's source loads calls alone, so it takes part only where `resources` are these.
    """
    print("| destination | contestant | CPU ms per 1,000 calls | wall ms per 1,000 calls | peak MB |")
    print("|---|---|---:|---:|---:|")
    with simulated(calls) as gong:
        for destination in destinations:
            costs: dict[str, list[Cost]] = {}
            for _ in range(repeat):
                commands = {"gong-source sync": sync(destination, resources)}
                if resources == "calls":
                    commands["dlt rest_api, defaults"] = generic(destination)
                for name, command in commands.items():
                    with tempfile.TemporaryDirectory() as made, serving(destination, Path(made)) as environment:
                        spent = run(command, Path(made), gong.url, environment)
                    costs.setdefault(name, []).append(spent)
            for name, all_spent in costs.items():
                least = min(all_spent, key=lambda cost: cost.cpu)
                cpu, wall = (seconds * 1e6 / calls for seconds in (least.cpu, least.wall))
                print(f"| {destination} | {name} | {cpu:,.0f} | {wall:,.0f} | {least.memory:.0f} |", flush=True)


def growth(sizes: list[int], repeat: int) -> None:
    """Syncs with 500 new calls each into Postgres tables of growing size."""
    print("| calls held | next sync, 500 new calls: CPU s | wall s |\n|---:|---:|---:|")
    for size in sizes:
        with tempfile.TemporaryDirectory() as made, serving("postgres", Path(made)) as environment:
            with simulated(size) as gong:
                run(sync("postgres"), Path(made), gong.url, environment)
            again = []
            for seed in range(repeat):
                with simulated(500, "--newcomers", str(seed)) as gong:
                    again.append(run(sync("postgres"), Path(made), gong.url, environment))
        least = min(again, key=lambda cost: cost.cpu)
        print(f"| {size:,} | {least.cpu:.2f} | {least.wall:.2f} |", flush=True)


def main() -> None:
    """Prints the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=DESTINATIONS, action="append", help="(default: all)")
    parser.add_argument("--calls", type=int, default=20_000, help="calls of the tenant (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=2, help="runs of each (default: %(default)s)")
    parser.add_argument("--resources", default="calls", help="what is loaded (default: %(default)s)")
    parser.add_argument(
        "--growth", type=int, nargs="+", metavar="CALLS", help="instead: syncs into tables of this size"
    )
    options = parser.parse_args()
    if options.growth:
        growth(options.growth, options.repeat)
    else:
        side_by_side(options.only or list(DESTINATIONS), options.calls, options.repeat, options.resources)


if __name__ == "__main__":
    main()
