"""What people read on stderr while a command runs: progress and notes."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gong_source.cli.text import plural
from gong_source.dates import in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gong_source.runs.run import Progress

_SECONDS_BETWEEN_LINES = 30.0


def note(text: str) -> None:
    """Prints one line for the person who started the run."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress() -> Iterator[Callable[[Progress], None]]:
    """Shows progress on stderr: a bar on a terminal, else one line every half minute."""
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
        return
    last = time.monotonic()

    def line(now: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            note(progress_line(now))

    yield line


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(
        BarColumn(bar_width=20), TextColumn("{task.description}"), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("waiting for Gong ...", total=None)

        def show(now: Progress) -> None:
            bar.update(task, completed=now.records or 0, total=now.total, description=progress_line(now))

        yield show


def progress_line(now: Progress) -> str:
    """How far a run is, in one line; what matters most comes first, as a narrow terminal cuts the end."""
    done = "comparing counts" if now.records is None else f"{now.records:,}"
    about = "" if now.exact else "about "
    of = f" of {about}{now.total:,} ({(now.records or 0) / now.total:.0%})" if now.total else ""
    left = "" if now.seconds_left is None else f", about {in_words(now.seconds_left)} left"
    if now.requests_to_come is not None and now.requests_to_come > now.requests_left:
        left = ", more than today's requests allow"
    return (
        f"{now.resource}: {done}{of}{left}; {plural(now.requests, 'request')} ({now.rate:.1f} of"
        f" {now.permitted_rate:g} per second), {now.requests_left:,.0f} left today"
    )
