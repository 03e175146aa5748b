"""Details, content and transcripts: ours, a floor and dlt's own lists, for the same calls, which are loaded already."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import duckdb

from benchmarks.measure import Cost, run, simulated
from benchmarks.peers.asking import LOADED, RESULT
from benchmarks.report import Result, least, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

OURS, FLOOR, DLT = "gong-source sync", "floor without dlt", "dlt's own lists"
_SYNC = (sys.executable, "-m", "gong_source.cli", "sync", "--json")
_AT_GONGS_RATE = {"SOURCES__GONG__REQUESTS_PER_SECOND": "3"}
# Columns of JSON text: the floor writes some numbers in another way.
_JSON = {"call_crm_objects": "fields", "call_highlights": "start_seconds"}


@dataclass(frozen=True)
class Group:
    """Resources that share requests.

    `lists` has, by our child tables, the ends of the names of the tables that dlt makes of the same lists.
    """

    name: str
    resources: str
    floor: str
    dlt: str
    lists: Mapping[str, tuple[str, ...]]

    def commands(self) -> dict[str, tuple[str, ...]]:
        """The commands of the contestants, by their names."""
        peer = (sys.executable, "-m")
        return {
            f"{self.name}: {OURS}": (*_SYNC, "--resources", self.resources),
            f"{self.name}: {FLOOR}": (*peer, f"benchmarks.peers.{self.floor}"),
            f"{self.name}: {DLT}": (*peer, "benchmarks.peers.dlt_lists", self.dlt),
        }

    def chosen(self, text: str) -> dict[str, tuple[str, ...]]:
        """The commands of those with `text` in the name, and the two measures; none if no name has it."""
        commands = self.commands()
        if not any(text in name for name in commands):
            return {}
        return {name: c for name, c in commands.items() if text in name or not name.endswith(DLT)}


GROUPS = (
    Group(
        "transcripts",
        "transcripts",
        "floor_transcripts",
        "transcripts",
        {"transcript_sentences": ("transcript__sentences",)},
    ),
    Group(
        "details and content",
        "call_details,call_content",
        "floor_details",
        "details",
        {
            "call_participants": ("parties",),
            "call_speakers": ("interaction__speakers",),
            "call_crm_objects": ("context__objects", "parties__context__objects"),
            "call_trackers": ("content__trackers",),
            "call_tracker_phrases": ("content__trackers__phrases",),
            "call_tracker_occurrences": (
                "content__trackers__occurrences",
                "content__trackers__phrases__occurrences",
            ),
            "call_topics": ("content__topics",),
            "call_video": ("interaction__video",),
            "call_interaction_stats": ("interaction__interaction_stats",),
            "call_structure": ("content__structure",),
            "call_outline": ("content__outline__items",),
            "call_highlights": ("content__highlights__items",),
            "call_key_points": ("content__key_points",),
            "call_comments": ("collaboration__public_comments",),
        },
    ),
)


class Conversations:
    """Runs the contestants with `text` in their names; each starts beside a file with the table `calls` loaded."""

    def __init__(self, folder: Path, calls: int, repeat: int, text: str) -> None:
        self._folder = folder / "conversations"
        self._calls = calls
        self._repeat = repeat
        self._groups = {group.name: (group, group.chosen(text)) for group in GROUPS if group.chosen(text)}
        self._costs: dict[str, Cost] = {}

    def run(self) -> None:
        """Runs all of them, several times in turn."""
        commands = {name: command for _, chosen in self._groups.values() for name, command in chosen.items()}
        if not commands:
            return
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        with simulated(self._calls) as gong:
            self._load_calls(gong.url)
            gong.served()
            for _ in range(self._repeat):
                for name, command in commands.items():
                    spent = self._run(name, command, gong.url)
                    requests, server = gong.served()
                    costs[name].append(replace(spent, requests=requests, server=server))
                    print(f"{name}: {spent.cpu:.2f} s CPU, {spent.memory:.0f} MB", file=sys.stderr)
        self._costs = {name: least(found) for name, found in costs.items()}

    def at_gongs_rate(self) -> str:
        """A sync of each group, and of both, at three requests a second: its seconds beside those of its requests."""
        lines = [
            "| | requests | wall s | requests / 3 | ratio | CPU s | peak MB |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        names = {group.name: group.resources for group, _ in self._groups.values()}
        if len(names) > 1:
            names["all three"] = ",".join(names.values())
        with simulated(self._calls, "--limits") as gong:
            self._load_calls(gong.url)
            gong.served()
            for name, resources in names.items():
                cost = self._run("at-rate", (*_SYNC, "--resources", resources), gong.url, _AT_GONGS_RATE)
                requests, _ = gong.served()
                floor = requests / 3
                lines.append(
                    f"| {name} | {requests} | {cost.wall:.1f} | {floor:.1f} | {cost.wall / floor:.2f}"
                    f" | {cost.cpu:.1f} | {cost.memory:.0f} |"
                )
        return "\n".join(lines)

    def table(self) -> str:
        """What they cost and whether their rows are the same, as Markdown."""
        parts = []
        for group, chosen in self._groups.values():
            ours, floor = self._folder / f"{group.name}: {OURS}", self._folder / f"{group.name}: {FLOOR}"
            checks: dict[str, Callable[[], list[str]]] = {
                OURS: list,
                FLOOR: lambda ours=ours, floor=floor: different_rows(ours, floor),
                DLT: lambda ours=ours, group=group: different_counts(
                    ours, self._folder / f"{group.name}: {DLT}", group
                ),
            }
            results = [
                Result(name, self._costs[name], tuple(checks[name.removeprefix(f"{group.name}: ")]()))
                for name in chosen
            ]
            parts.append(table(results, results[0].cost, results[1].cost))
        return "\n\n".join(parts)

    def _load_calls(self, url: str) -> None:
        """Loads the table `calls`, in the folder in which all run: dlt's own folder belongs to that place."""
        for name in ("run", "loaded"):
            shutil.rmtree(self._folder / name, ignore_errors=True)
        run(_SYNC, self._folder / "run", url)
        shutil.copytree(self._folder / "run", self._folder / "loaded")

    def _run(self, name: str, command: Sequence[str], url: str, environment: Mapping[str, str] | None = None) -> Cost:
        place, kept = self._folder / "run", self._folder / name
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self._folder / "loaded", place)
        cost = run(command, place, url, environment)
        place.rename(kept)
        return cost


def different_rows(ours: Path, floor: Path) -> list[str]:
    """The tables of the floor whose rows are not ours: their number, and a sum over the hashes of all values."""
    wrong = []
    with duckdb.connect(str(floor / RESULT), read_only=True) as db, duckdb.connect(str(ours / LOADED)) as own:
        for (name,) in db.execute("select table_name from duckdb_tables() order by all").fetchall():
            columns = [column for column, *_ in db.execute(f"describe {name}").fetchall()]
            values = ", ".join(f"json({c})" if _JSON.get(name) == c else c for c in columns)
            sums = f"select count(*), sum(hash({values}))"
            theirs, found = (_row(db, f"{sums} from {name}"), _row(own, f"{sums} from gong.{name}"))
            if theirs != found:
                wrong.append(
                    f"{name}: {theirs[0]:,} rows, ours {found[0]:,}" + ", values differ" * (theirs[0] == found[0])
                )
    return wrong


def different_counts(ours: Path, theirs: Path, group: Group) -> list[str]:
    """The child tables of ours that do not have as many rows as dlt's tables for the same lists."""
    wrong = []
    with duckdb.connect(str(theirs / RESULT), read_only=True) as db, duckdb.connect(str(ours / LOADED)) as own:
        for name, lists in group.lists.items():
            count = sum(_row(db, f"select count(*) from bench.{group.dlt}__{part}")[0] for part in lists)
            (found,) = _row(own, f"select count(*) from gong.{name}")
            if count != found:
                wrong.append(f"{name}: {count:,} rows, ours {found:,}")
    return wrong


def _row(db: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    found = db.execute(sql).fetchone()
    assert found is not None
    return found
