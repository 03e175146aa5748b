"""The command `gong-source`: parse, call, print, exit code.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 finished, but something differs or is missing; 4 stopped by the quota or
budget, work saved; 128 + n stopped by signal n, work saved.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import json
import logging
import os
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gong_source.errors import ConfigurationError, GongError, QuotaExhausted
from gong_source.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gong_source.runs.load import LoadResult
    from gong_source.runs.verify.verify import VerifyResult
    from gong_source.warehouse.warehouse import Target

DONE, FAILED, USAGE, INCOMPLETE, PAUSED = 0, 1, 2, 3, 4
_EXIT_CODES = {"done": DONE, "failed": FAILED, "incomplete": INCOMPLETE, "paused": PAUSED}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for the rest of the process
    arguments = sys.argv[1:] if argv is None else argv
    args = _parser(simulate="simulate" in arguments).parse_args(arguments)
    # rows are trees without cycles: looking for garbage among them, and in all modules at the exit, is a fifth of a run
    gc.set_threshold(100_000, 50, 50)
    atexit.register(gc.freeze)
    # Arrow's own pool keeps what it once had, beside what the database needs a moment later
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        code: int = args.run(args)
    except ConfigurationError as error:
        code = _fail(args, error, USAGE)
    except QuotaExhausted as error:
        code = _fail(args, error, PAUSED)
    except GongError as error:
        code = _fail(args, error, FAILED)
    except OSError as error:
        code = _fail(args, error, FAILED)
    return code


def _parser(*, simulate: bool = True) -> argparse.ArgumentParser:
    """The parser; the many options of `simulate` only if that is asked for."""
    parser = argparse.ArgumentParser(
        prog="gong-source",
        description="Loads a Gong tenant's calls into a warehouse: every call, once, kept true.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 something differs or is missing, 4 come back later.",
    )
    parser.add_argument("--version", action="version", version=f"gong-source {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    check = _command(commands, "check", _check, "ask Gong once: are key, host and scope right, what can the key see?")
    _add_options(check, "--workspace-id")
    sync = _command(commands, "sync", _sync, "load all that is missing up to now, and the lookback again")
    sync.add_argument("--verify-days", type=float, metavar="N", help="then verify and repair the last N days")
    _add_options(sync, *_TARGET_OPTIONS, "--workspace-id", "--max-requests", "--publish")
    backfill = _command(commands, "backfill", _backfill, "make a past range complete; goes on where it stopped")
    backfill.add_argument("--from", dest="start", required=True, metavar="TIME", help="start, inclusive, UTC")
    backfill.add_argument("--to", dest="end", metavar="TIME", help="end, exclusive, UTC (default: now)")
    backfill.add_argument("--refresh", action="store_true", help="ask also for what is covered already")
    backfill.add_argument("--plan", action="store_true", help="only say what it would take")
    _add_options(backfill, *_TARGET_OPTIONS, "--workspace-id", "--max-requests", "--publish")
    verify = _command(commands, "verify", _verify, "compare Gong with the warehouse; repair what differs if asked to")
    verify.add_argument("--from", dest="start", metavar="TIME", help="start, inclusive, UTC (default: all covered)")
    verify.add_argument("--to", dest="end", metavar="TIME", help="end, exclusive, UTC (default: all covered)")
    verify.add_argument("--repair", action="store_true", help="load again what differs, mark deleted calls")
    verify.add_argument("--deep", action="store_true", help="compare every call, not only counts")
    verify.add_argument("--accept-deletions", action="store_true", help="mark calls deleted however many are gone")
    _add_options(verify, *_TARGET_OPTIONS, "--workspace-id", "--max-requests", "--publish")
    status = _command(commands, "status", _status, "show what the warehouse holds; sends no request")
    _add_options(status, *_TARGET_OPTIONS, "--workspace-id")
    demo = _command(commands, "demo", _demo, "load a simulated tenant into ./gong_demo.duckdb; needs no key")
    demo.add_argument("--calls", type=_at_least_one, default=3000, help="calls of the simulated tenant (default: 3000)")
    serve = commands.add_parser("simulate", help="serve a local Gong API", description="Serve a local Gong API.")
    serve.set_defaults(run=_simulate, json=False, log_level="warning")
    if simulate:
        _add_simulator_arguments(serve)
    return parser


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


_OPTIONS: dict[str, dict[str, Any]] = {
    "--destination": {"default": "duckdb", "help": "duckdb, ducklake, postgres or bigquery (default: duckdb)"},
    "--dataset": {"default": "gong", "help": "dataset or schema of the tables (default: gong)"},
    "--pipeline-name": {"default": "gong_calls", "help": "name of the dlt pipeline (default: gong_calls)"},
    "--publish": {"type": Path, "metavar": "PATH", "help": "then copy the DuckDB file to PATH, for its readers"},
    "--workspace-id": {"metavar": "ID", "help": "only this workspace's calls (default: all)"},
    "--max-requests": {"type": _at_least_one, "metavar": "N", "help": "stop cleanly after this many requests"},
}
_TARGET_OPTIONS = ("--destination", "--dataset", "--pipeline-name")


def _command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument(
        "--log-level",
        default="warning",
        choices=["debug", "info", "warning", "error"],
        help="on stderr (default: warning)",
    )
    parser.set_defaults(run=run, command=name)
    return parser


def _add_options(parser: argparse.ArgumentParser, *names: str) -> None:
    for name in names:
        parser.add_argument(name, **_OPTIONS[name])


def _add_simulator_arguments(parser: argparse.ArgumentParser) -> None:
    from gong_source.simulator.serve import add_arguments

    add_arguments(parser)


def _check(args: argparse.Namespace) -> int:
    from gong_source.runs.check import check
    from gong_source.settings import resolve_settings

    result = check(settings=resolve_settings(workspace_id=args.workspace_id))
    _print(args, result.as_json(), f"{result.base_url}: {result.message}")
    return DONE


def _sync(args: argparse.Namespace) -> int:
    from gong_source.cli import text as console
    from gong_source.runs.run import Control
    from gong_source.runs.sync import sync
    from gong_source.settings import resolve_settings

    settings = resolve_settings(workspace_id=args.workspace_id, verify_days=args.verify_days)
    _check_publish(args)
    with _stop_on_signals() as (stopped, signals), console.progress() as show:
        result = sync(_target(args), settings=settings, control=Control(stopped, args.max_requests, show, console.note))
    _publish(args, result)
    return _load_code(args, result, signals)


def _check_publish(args: argparse.Namespace) -> None:
    """Before the run, so that a wrong path costs nothing."""
    from gong_source.warehouse.publish import check_publish

    if args.publish is not None:
        check_publish(_target(args), args.publish)


def _publish(args: argparse.Namespace, result: LoadResult | VerifyResult) -> None:
    from gong_source.warehouse.publish import publish

    if args.publish is not None and result.status != "failed":
        publish(args.publish, _target(args))


def _backfill(args: argparse.Namespace) -> int:
    from gong_source.cli import text as console
    from gong_source.runs.backfill import backfill, plan_backfill
    from gong_source.runs.run import Control
    from gong_source.settings import resolve_settings
    from gong_source.windows import now, parse

    start = parse(args.start, "--from")
    end = parse(args.end, "--to") if args.end else now()
    settings = resolve_settings(workspace_id=args.workspace_id)
    if args.plan:
        plan = plan_backfill(start, end, _target(args), refresh=args.refresh, settings=settings)
        _print(args, plan.as_json(), console.plan_text(plan))
        return DONE
    _check_publish(args)
    with _stop_on_signals() as (stopped, signals), console.progress() as show:
        result = backfill(
            start,
            end,
            _target(args),
            refresh=args.refresh,
            settings=settings,
            control=Control(stopped, args.max_requests, show, console.note),
        )
    _publish(args, result)
    return _load_code(args, result, signals)


def _verify(args: argparse.Namespace) -> int:
    from gong_source.cli import text as console
    from gong_source.runs.run import Control
    from gong_source.runs.verify.verify import verify
    from gong_source.settings import resolve_settings
    from gong_source.windows import parse

    _check_publish(args)
    with _stop_on_signals() as (stopped, signals), console.progress() as show:
        result = verify(
            _target(args),
            start=parse(args.start, "--from") if args.start else None,
            end=parse(args.end, "--to") if args.end else None,
            repair=args.repair,
            deep=args.deep,
            accept_deletions=args.accept_deletions,
            settings=resolve_settings(workspace_id=args.workspace_id),
            control=Control(stopped, args.max_requests, show, console.note),
        )
    _publish(args, result)
    return _finish(args, result, console.verify_text(result), signals)


def _status(args: argparse.Namespace) -> int:
    from gong_source.cli import text as console
    from gong_source.runs.status import status
    from gong_source.settings import resolve_lookback

    result = status(_target(args), lookback_days=resolve_lookback(), workspace_id=args.workspace_id)
    _print(args, result.as_json(), console.status_text(result))
    return DONE


def _demo(args: argparse.Namespace) -> int:
    from gong_source.runs.demo import demo

    result = demo(calls=args.calls)
    _print(args, result.as_json(), result.text)
    return DONE


def _simulate(args: argparse.Namespace) -> int:
    from gong_source.simulator.serve import serve

    return serve(args)


def _target(args: argparse.Namespace) -> Target:
    from gong_source.warehouse.warehouse import Target

    return Target(args.destination, args.dataset, args.pipeline_name)


def _load_code(args: argparse.Namespace, result: LoadResult, signals: list[int]) -> int:
    from gong_source.cli import text as console

    return _finish(args, result, console.load_text(result), signals)


def _finish(args: argparse.Namespace, result: LoadResult | VerifyResult, text: str, signals: list[int]) -> int:
    """Prints the result of a run, and returns its exit code."""
    _print(args, result.as_json(), text)
    if result.message:
        print(f"gong-source {args.command}: {result.message}", file=sys.stderr)
    return 128 + signals[0] if result.interrupted and signals else _EXIT_CODES[result.status]


@contextmanager
def _stop_on_signals() -> Iterator[tuple[threading.Event, list[int]]]:
    """An event that the first SIGINT or SIGTERM sets, so that what is walked gets loaded; the second one kills."""
    stopped, signals = threading.Event(), list[int]()

    def stop(number: int, _frame: object) -> None:
        signals.append(number)
        stopped.set()
        signal.signal(number, previous[number])
        print("stopping; what has been walked is being loaded", file=sys.stderr)

    previous: dict[int, Any] = {}
    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        previous[number] = signal.signal(number, stop)
    try:
        yield stopped, signals
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _print(args: argparse.Namespace, as_json: dict[str, Any], text: str) -> None:
    print(json.dumps(as_json) if args.json else text, flush=True)


def _fail(args: argparse.Namespace, error: GongError | OSError, code: int) -> int:
    """Says in one line what went wrong, as far as there is anybody to tell."""
    try:
        _tell(args, error, code)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        print(f"gong-source: {error}", file=sys.stderr)
    return code


def _tell(args: argparse.Namespace, error: GongError | OSError, code: int) -> None:
    if args.json:
        status = "paused" if code == PAUSED else "failed"
        retry_at = getattr(error, "retry_at", None)
        print(
            json.dumps(
                {
                    "command": args.command,
                    "status": status,
                    "message": str(error),
                    "error": type(error).__name__,
                    "retry_at": retry_at.isoformat().replace("+00:00", "Z") if retry_at else None,
                }
            ),
            flush=True,
        )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
