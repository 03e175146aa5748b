"""The command `gong-source`: reads the arguments, calls the command, and returns the exit code.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 finished, but something differs or is missing; 4 stopped by the quota or
a budget; 128 + n stopped by signal n. A run that was stopped has loaded what it had fetched.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gong_source.cli.parser import build_parser, parse_arguments
from gong_source.errors import ConfigurationError, GongError, QuotaExhausted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of <malloc.h>


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; an interrupt before a run, or a second one, is raised."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the program that started this one
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for the rest of the process
    arguments = sys.argv[1:] if argv is None else argv
    args = parse_arguments(build_parser(simulate="simulate" in arguments), arguments)
    _prepare_process(args)
    from gong_source.cli.commands import COMMANDS, FAILED, PAUSED, USAGE

    try:
        return COMMANDS[args.command](args)
    except ConfigurationError as error:
        return _fail(args, error, USAGE)
    except QuotaExhausted as error:
        return _fail(args, error, PAUSED, status="paused")
    except (GongError, OSError) as error:
        return _fail(args, error, FAILED)


def _prepare_process(args: argparse.Namespace) -> None:
    # Looking for garbage in cycles took a fifth of a run, and records make no cycles. So Python looks seldom, and not
    # at the exit.
    gc.set_threshold(100_000, 50, 50)
    atexit.register(gc.freeze)
    # Arrow's own pool keeps memory that the database needs a moment later. The C library of Linux keeps large blocks in
    # the same way. If it is given a size, it gives back larger blocks as soon as they are free.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if sys.platform == "linux" and "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        _set_mmap_threshold(4_000_000)
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(name)s %(levelname)s %(message)s")


def _set_mmap_threshold(size: int) -> None:
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # of glibc, not of musl
        libc.mallopt(_MMAP_THRESHOLD, size)


def _fail(args: argparse.Namespace, error: GongError | OSError, code: int, *, status: str = "failed") -> int:
    """Says in one line what went wrong, as far as stdout and stderr are open, and returns `code`."""
    try:
        if args.json:
            print(json.dumps(_as_json(args, error, status)), flush=True)
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        print(f"gong-source: {error}", file=sys.stderr)
    return code


def _as_json(args: argparse.Namespace, error: GongError | OSError, status: str) -> dict[str, str | None]:
    retry_at = getattr(error, "retry_at", None)
    return {
        "command": args.command,
        "status": status,
        "message": str(error),
        "error": type(error).__name__,
        "retry_at": retry_at.isoformat().replace("+00:00", "Z") if retry_at else None,
    }
