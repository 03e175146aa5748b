"""What people read: results as text on stdout, progress on stderr."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gong_source.runs.backfill import Plan
    from gong_source.runs.load import LoadResult, Progress
    from gong_source.runs.status import StatusResult
    from gong_source.runs.verify.compare import Difference
    from gong_source.runs.verify.verify import VerifyResult
    from gong_source.warehouse.arrivals import Delays
    from gong_source.warehouse.ledger import Verified
    from gong_source.windows import Window

_SECONDS_BETWEEN_LINES = 30.0
_MOST_LINES = 50


def note(text: str) -> None:
    """One line for the person who started the run."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress() -> Iterator[Callable[[Progress], None]]:
    """Shows progress on stderr: a bar on a terminal, else a line every half minute."""
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
        return
    last = time.monotonic()

    def line(now: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            note(_line(now))

    yield line


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(
        BarColumn(bar_width=30), TextColumn("{task.description}"), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("asking Gong ...", total=None)

        def show(now: Progress) -> None:
            total = None if now.calls_to_come is None else now.calls + now.calls_to_come
            bar.update(task, completed=now.calls, total=total, description=_line(now))

        yield show


def _line(now: Progress) -> str:
    of = "" if now.calls_to_come is None else f" of {now.calls + now.calls_to_come:,}"
    left = "" if now.seconds_left is None else f", about {duration(now.seconds_left)} left"
    return (
        f"{now.calls:,}{of} calls, {now.windows} windows, {now.requests:,} requests"
        f" ({now.rate:.1f} of {now.permitted_rate:g} a second){left}"
    )


def load_text(result: LoadResult) -> str:
    """What a run that loads did, for people."""
    lines = [
        f"{result.command} {result.status}: {result.calls_received:,} calls received, {result.calls_changed:,} of them"
        f" new or changed; {result.windows} windows, {result.requests:,} requests, {duration(result.seconds)}"
    ]
    if result.watermark is not None:
        lines.append(f"covered up to {iso(result.watermark)}")
    if result.surprises:
        lines.append(f"{result.surprises:,} calls hold something that only the column extra could keep")
    if result.unsettled:
        lines.append(
            f"Gong is still processing calls in {len(result.unsettled)} windows; the next syncs ask for them again"
        )
    if result.status == "done" and result.calls_received == 0 and result.requests:
        lines.append(
            "Gong listed no call: there is none in this range, or the key may not see calls (it answers alike)"
        )
    lines += result.failures
    if result.verification is not None:
        lines.append(verify_text(result.verification))
    return "\n".join(lines)


def verify_text(result: VerifyResult) -> str:
    """What a verification found and did, for people."""
    counts = "" if result.gong_calls is None else f": Gong {result.gong_calls:,} calls, here {result.held_calls:,}"
    lines = [
        f"verify {result.outcome}{counts}; {len(result.differing):,} windows differ, {result.requests:,} requests,"
        f" {duration(result.seconds)}"
    ]
    if result.windows:
        lines += ["", *_differences(result.windows), ""]
    if result.marked_deleted:
        lines.append(f"{result.marked_deleted:,} calls that Gong no longer lists got deleted_at")
    if unsettled := result.total("unsettled"):
        lines.append(f"Gong counts {unsettled:,} calls that it does not list yet; it is still processing them")
    return "\n".join([*lines, *result.failures])


def _differences(windows: list[Difference]) -> list[str]:
    names = ("gong", "held", "missing", "changed", "surplus", "unsettled", "outcome")
    cells = [["from (UTC)", "to (UTC)", *names]]
    cells += [
        [iso(found.window.start), iso(found.window.end), *(str(getattr(found, name)) for name in names)]
        for found in windows[:_MOST_LINES]
    ]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return lines + ([f"and {len(windows) - _MOST_LINES:,} more"] if len(windows) > _MOST_LINES else [])


def plan_text(plan: Plan) -> str:
    """What a backfill would take, for people."""
    if not plan.ranges:
        return "nothing to do: the range is covered already; --refresh asks for it again"
    return "\n".join(
        [
            f"to ask for: {_windows(plan.ranges)}",
            f"{plan.calls:,} calls in about {plan.windows:,} windows: {plan.requests:,} requests,"
            f" {duration(plan.seconds)} at the permitted rate, {plan.days:.2f} days of the request budget",
            f"(asked Gong {plan.requests_used} times for this)",
        ]
    )


def status_text(result: StatusResult) -> str:
    """The state of a dataset, for people."""
    facts = [
        ("dataset", f"{result.dataset} in {result.place}"),
        ("calls", f"{result.rows:,}" + (f" ({result.deleted:,} no longer listed by Gong)" if result.deleted else "")),
        ("first call", _time(result.first_call)),
        ("last call", _time(result.last_call)),
        ("covered up to", _time(result.watermark)),
        ("covered", _windows(result.covered)),
        ("gaps", _windows(result.gaps)),
        ("unsettled", _windows(result.unsettled)),
        ("next lookback", str(result.lookback) if result.lookback else "-"),
        ("last run", f"{_time(result.last_run)} ({result.last_run_mode})" if result.last_run else "never"),
        ("last verified", _verified(result.verified)),
        ("arrivals", _arrivals(result.arrivals)),
        ("requests today", f"{result.requests_today:,}"),
    ]
    return "\n".join(f"{name:<15}{value}" for name, value in facts)


def _verified(verified: Verified | None) -> str:
    if verified is None:
        return "never"
    deep = ", every call" if verified.deep else ""
    return f"{iso(verified.at)}: {verified.window} {verified.outcome}{deep}"


def _arrivals(delays: Delays | None) -> str:
    if delays is None:
        return "no call arrived late in the last 90 days"
    found = "no late call found by a sync in 90 days"
    if delays.calls:
        found = (
            f"{delays.calls:,} late calls in 90 days, after {_days(delays.median)} (median), {_days(delays.p99)} (99 %)"
            f", {_days(delays.longest)} (longest)"
        )
    if delays.beyond:
        found += f"; {delays.beyond:,} came after the lookback had passed"
    return f"{found}; " + ("the lookback is long enough" if delays.enough else "make lookback_days longer")


def _days(days: float) -> str:
    return duration(days * 86400) if days < 2 else f"{days:.1f} days"


def _time(moment: object) -> str:
    return "-" if moment is None else iso(moment)  # type: ignore[arg-type]


def _windows(windows: list[Window]) -> str:
    shown = ", ".join(map(str, windows[:5]))
    return (shown or "none") + (f" and {len(windows) - 5} more" if len(windows) > 5 else "")


def duration(seconds: float) -> str:
    """A time span in the two largest units that matter."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
