"""The figures as a Markdown table and as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measure import Cost

_BAR, _LEFT, _WIDTH = 34, 230, 960


@dataclass(frozen=True)
class Result:
    """One contestant's best run, and what is wrong with its table."""

    name: str
    cost: Cost
    faults: tuple[str, ...]


def least(costs: Sequence[Cost]) -> Cost:
    """The run with the least CPU."""
    return min(costs, key=lambda cost: cost.cpu)


def table(results: Sequence[Result], ours: Cost, floor: Cost) -> str:
    """One row a contestant.

    `x ours` and `x floor` are ratios of CPU, and of memory; `server busy` is the simulator's CPU by wall time.
    """
    lines = [
        "| | CPU s | x ours | x floor | wall s | peak MB | x ours | requests | server busy | table |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for result in results:
        cost = result.cost
        figures = (
            f"{cost.cpu:.2f} | {cost.cpu / ours.cpu:.2f} | {cost.cpu / floor.cpu:.2f} | {cost.wall:.2f}"
            f" | {cost.memory:.0f} | {cost.memory / ours.memory:.2f}"
            f" | {cost.requests:,} | {cost.server / cost.wall:.0%}"
        )
        lines.append(f"| {result.name} | {figures} | {_verdict(result)} |")
    return "\n".join(lines)


def picture(results: Sequence[Result], title: str) -> str:
    """The CPU of each contestant as a bar of an SVG; the bar of a wrong table is hollow."""
    longest = max(result.cost.cpu for result in results)
    scale = (_WIDTH - _LEFT - 260) / longest
    height = 60 + len(results) * (_BAR + 12)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif"'
        ' font-size="14">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="30" font-size="17" font-weight="bold" fill="#1f2328">{escape(title)}</text>',
    ]
    for row, result in enumerate(results):
        top = 52 + row * (_BAR + 12)
        colour = "#0969da" if row == 0 else "#8c959f"
        fill = "none" if result.faults else colour
        words = f"{result.cost.cpu:.1f} s, {result.cost.memory:.0f} MB"
        words += f", WRONG: {result.faults[0]}" if result.faults else ""
        length = max(2.0, result.cost.cpu * scale)
        middle = top + _BAR * 0.65
        parts += [
            f'<text x="{_LEFT - 12}" y="{middle:.0f}" text-anchor="end" fill="#1f2328">{escape(result.name)}</text>',
            f'<rect x="{_LEFT}" y="{top}" width="{length:.0f}" height="{_BAR}" fill="{fill}" stroke="{colour}"'
            ' stroke-width="2"/>',
            f'<text x="{_LEFT + length + 10:.0f}" y="{middle:.0f}" fill="#1f2328">{escape(words)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _verdict(result: Result) -> str:
    return "WRONG: " + ", ".join(result.faults) if result.faults else "right"
