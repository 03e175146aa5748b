"""`python -m benchmarks`: every contestant on the same simulated tenant, one after the other."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.check import faults, truth
from benchmarks.contestants import CONTESTANTS, EMPTY_DLT, FLOOR, HELP, OURS
from benchmarks.conversations import Conversations
from benchmarks.measure import Cost, run, simulated
from benchmarks.report import Result, least, picture, table
from benchmarks.simulator import tenant

if TYPE_CHECKING:
    from benchmarks.contestants import Contestant

_SYNC = CONTESTANTS[0].command


def main() -> None:
    """Prints the figures as Markdown and draws the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--calls", type=int, default=100_000, help="calls of the tenant (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; the least CPU counts (default: 3)")
    parser.add_argument("--only", default="", help="only contestants whose name holds this text, and their measures")
    parser.add_argument("--scale", action="store_true", help="also ours with up to a million calls; minutes")
    parser.add_argument("--picture", type=Path, default=Path("benchmarks.svg"), help="(default: %(default)s)")
    parser.add_argument(
        "--conversations",
        type=int,
        default=3000,
        help="calls of the tenant for details, content and transcripts (default: %(default)s)",
    )
    parser.add_argument("--pace", action="store_true", help="also load these at three requests a second")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gong-benchmark-") as name:
        conversations = Conversations(Path(name), args.conversations, args.repeat, args.only)
        conversations.run()
        at_rate = conversations.at_gongs_rate() if args.pace else ""
        if any(args.only in c.name for c in CONTESTANTS):
            _calls(Path(name), args)
        if found := conversations.table():
            print(f"\n## Details, content and transcripts of {args.conversations:,} calls into DuckDB\n\n{found}")
        if at_rate:
            print(f"\n## The same at three requests a second\n\n{at_rate}")


def _calls(folder: Path, args: argparse.Namespace) -> None:
    """The lists of calls: prints the figures and draws the picture."""
    chosen = [c for c in CONTESTANTS if args.only in c.name or c.name in {OURS, FLOOR}]
    costs = _side_by_side(folder, chosen, args.calls, args.repeat)
    start_up = _start_up(folder, args.repeat)
    scale = _scale(folder, args.repeat) if args.scale else ""
    # last: what this process holds counts in the peak memory of the processes that it starts
    expected = truth(tenant(args.calls))
    results = [Result(c.name, costs[c.name], tuple(faults(c, folder / c.name, expected))) for c in chosen]
    print(f"## {args.calls:,} calls into an empty DuckDB file\n")
    print(table(results, costs[OURS], costs[FLOOR]))
    print(f"\n## Start-up\n\n{start_up}")
    if scale:
        print(f"\n## Scale\n\n{scale}")
    args.picture.write_text(picture(results, f"CPU seconds to load {args.calls:,} calls into DuckDB"))


def _side_by_side(folder: Path, chosen: list[Contestant], calls: int, repeat: int) -> dict[str, Cost]:
    """The best run of each; the rounds go over all of them in turn, so that a slow minute hits all."""
    costs: dict[str, list[Cost]] = {contestant.name: [] for contestant in chosen}
    with simulated(calls) as gong:
        for _ in range(repeat):
            for contestant in chosen:
                place = folder / contestant.name
                shutil.rmtree(place, ignore_errors=True)
                spent = run(contestant.command, place, gong.url)
                requests, server = gong.served()
                spent = replace(spent, requests=requests, server=server)
                costs[contestant.name].append(spent)
                print(f"{contestant.name}: {spent.cpu:.2f} s CPU, {spent.memory:.0f} MB", file=sys.stderr)
    return {name: least(spent) for name, spent in costs.items()}


def _start_up(folder: Path, repeat: int) -> str:
    """An empty incremental sync beside dlt alone, and the help text."""
    ours, alone, helped = [], [], []
    with simulated(1) as gong:
        run(_SYNC, folder / "empty", gong.url)
        run(EMPTY_DLT, folder / "alone")
        for _ in range(max(repeat, 3)):
            ours.append(run(_SYNC, folder / "empty", gong.url))
            alone.append(run(EMPTY_DLT, folder / "alone"))
            helped.append(run(HELP, folder / "help"))
    sync, dlt_alone, help_text = least(ours), least(alone), least(helped)
    return "\n".join(
        [
            "| | CPU s | peak MB |",
            "|---|---:|---:|",
            f"| `import dlt` and one empty `pipeline.run` | {dlt_alone.cpu:.2f} | {dlt_alone.memory:.0f} |",
            f"| `gong-source sync`, nothing new: {sync.cpu / dlt_alone.cpu:.2f} times that | {sync.cpu:.2f}"
            f" | {sync.memory:.0f} |",
            f"| `gong-source --help` | {help_text.cpu:.2f} | {help_text.memory:.0f} |",
        ]
    )


def _scale(folder: Path, repeat: int) -> str:
    """Ours at growing sizes, and what the next sync with 500 new calls costs then."""
    lines = [
        "| calls | CPU s | CPU ms per 1,000, less start-up | peak MB | next sync, 500 new calls: CPU s | peak MB |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    start_up = 0.0
    for calls in (0, 10_000, 100_000, 1_000_000):
        place = folder / f"scale-{calls}"
        with simulated(calls) as gong:
            cost = run(_SYNC, place, gong.url)
        again = []
        for seed in range(repeat):
            with simulated(500, "--newcomers", str(seed)) as gong:
                again.append(run(_SYNC, place, gong.url))
        small = least(again)
        start_up = start_up or cost.cpu
        each = f"{(cost.cpu - start_up) / calls * 1e6:.1f}" if calls else "-"
        lines.append(
            f"| {calls:,} | {cost.cpu:.2f} | {each} | {cost.memory:.0f} | {small.cpu:.2f} | {small.memory:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
