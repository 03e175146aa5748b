"""What each command calls. A command prints its result and returns the exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from gong_source.cli import dictionary, progress, text
from gong_source.errors import ConfigurationError, GongError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from gong_source.runs.results import LoadResult
    from gong_source.runs.verification import VerifyResult
    from gong_source.settings import GongSettings
    from gong_source.warehouse.warehouse import Target

DONE, FAILED, USAGE, INCOMPLETE, PAUSED = 0, 1, 2, 3, 4
_EXIT_CODES = {"done": DONE, "failed": FAILED, "incomplete": INCOMPLETE, "paused": PAUSED}


def check(args: argparse.Namespace) -> int:
    """Tests the connection."""
    from gong_source.runs.check import check as run_check

    result = run_check(settings=_settings(args))
    _print(args, result.as_json(), text.check_text(result))
    return _EXIT_CODES[result.status]


def sync(args: argparse.Namespace) -> int:
    """Loads everything that is missing."""
    from gong_source.runs.run import Control
    from gong_source.runs.sync import sync as run_sync

    settings = _settings(args, verify_days=args.verify_days)
    _check_publish(args)
    if args.report is not None:
        from gong_source.report.write import check_report

        check_report(args.report)
        if args.publish is not None and args.publish.resolve() == args.report.resolve():
            raise ConfigurationError("--report and --publish name the same file")
    with _stop_on_signals() as (stopped, signals), progress.progress() as show:
        result = run_sync(
            _target(args), settings=settings, control=Control(stopped, args.max_requests, show, progress.note)
        )
    _publish(args, result)
    if args.report is not None:
        _report(args, result, settings)
    return _finish(args, result, text.load_text(result), signals)


def backfill(args: argparse.Namespace) -> int:
    """Loads a past range, or says what that would take."""
    from gong_source.runs.backfill import backfill as run_backfill
    from gong_source.runs.backfill import plan_backfill
    from gong_source.runs.run import Control
    from gong_source.windows import now

    settings = _settings(args)
    start = _time(args.start, "--from", settings)
    end = _time(args.end, "--to", settings) if args.end is not None else now()
    if args.plan:
        plan = plan_backfill(start, end, _target(args), refresh=args.refresh, settings=settings)
        _print(args, plan.as_json(), text.plan_text(plan))
        return DONE
    _check_publish(args)
    with _stop_on_signals() as (stopped, signals), progress.progress() as show:
        control = Control(stopped, args.max_requests, show, progress.note)
        result = run_backfill(start, end, _target(args), refresh=args.refresh, settings=settings, control=control)
    _publish(args, result)
    return _finish(args, result, text.load_text(result), signals)


def verify(args: argparse.Namespace) -> int:
    """Compares Gong with the warehouse, and repairs if asked to."""
    from gong_source.runs.run import Control
    from gong_source.runs.verify.verify import verify as run_verify

    _check_publish(args)
    settings = _settings(args)
    with _stop_on_signals() as (stopped, signals), progress.progress() as show:
        result = run_verify(
            _target(args),
            start=_time(args.start, "--from", settings) if args.start is not None else None,
            end=_time(args.end, "--to", settings) if args.end is not None else None,
            repair=args.repair,
            deep=args.deep,
            accept_deletions=args.accept_deletions,
            settings=settings,
            control=Control(stopped, args.max_requests, show, progress.note),
        )
    _publish(args, result)
    return _finish(args, result, text.verify_text(result), signals)


def status(args: argparse.Namespace) -> int:
    """Shows what the warehouse has."""
    from gong_source.dates import read_duration
    from gong_source.runs.status import status as run_status
    from gong_source.settings import resolve_without_key

    settings = resolve_without_key(workspace_id=args.workspace_id, resources=args.resources)
    most = read_duration(args.max_age, "--max-age") if args.max_age is not None else None
    result = run_status(_target(args), settings=settings, max_age_seconds=most)
    _print(args, result.as_json(), text.status_text(result))
    if result.message is None:
        return DONE
    progress.note(f"gong-source: {result.message}")
    return INCOMPLETE


def report(args: argparse.Namespace) -> int:
    """Writes the page."""
    from gong_source.report.write import write_report
    from gong_source.settings import resolve_without_key

    settings = resolve_without_key(resources=args.resources or "all", workspace_id=args.workspace_id)
    path = write_report(args.output, _target(args), settings=settings, names=args.names)
    _print(args, {"command": "report", "status": "done", "file": str(path)}, f"wrote {path}")
    return DONE


def erase(args: argparse.Namespace) -> int:
    """Deletes the calls in which a person took part."""
    from gong_source.runs.erase import erase as run_erase

    result = run_erase(_target(args), email=args.email, phone=args.phone)
    _print(args, result.as_json(), text.erase_text(result))
    return DONE


def tables(args: argparse.Namespace) -> int:
    """Shows what can be loaded."""
    from gong_source.runs.tables import tables as run_tables
    from gong_source.settings import read_names

    found = run_tables(read_names(args.resources) if args.resources else None)
    shown = dictionary.tables_markdown(found) if args.markdown else dictionary.tables_text(found)
    _print(args, found.as_json(), shown)
    return DONE


def demo(args: argparse.Namespace) -> int:
    """Loads a simulated tenant."""
    from gong_source.report.write import can_report, write_report
    from gong_source.runs.demo import TARGET, demo_settings, in_demo_file
    from gong_source.runs.demo import demo as run_demo

    result = run_demo(calls=args.calls)
    page = None
    if can_report():
        with in_demo_file() as file:  # the names of a simulated tenant are nobody's
            page = write_report(file.with_name("gong_demo_report.html"), TARGET, settings=demo_settings(), names=True)
    as_json = result.as_json() | {"report": None if page is None else str(page)}
    _print(args, as_json, text.demo_text(result, page))
    return _EXIT_CODES[result.status]


def simulate(args: argparse.Namespace) -> int:
    """Serves a local Gong API."""
    from gong_source.simulator.serve import serve

    return serve(args)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    command.__name__: command
    for command in (check, sync, backfill, verify, status, report, erase, tables, demo, simulate)
}


def _settings(args: argparse.Namespace, **more: Any) -> GongSettings:
    from gong_source.settings import resolve_settings

    return resolve_settings(workspace_id=args.workspace_id, resources=args.resources, **more)


def _time(written: str, option: str, settings: GongSettings) -> datetime:
    from gong_source.dates import parse
    from gong_source.windows import now

    return parse(written, option, zone=settings.time_zone, now=now())


def _target(args: argparse.Namespace) -> Target:
    from gong_source.warehouse.warehouse import Target

    return Target(args.destination, args.dataset, args.pipeline_name)


def _check_publish(args: argparse.Namespace) -> None:
    """Checks --publish before the run, so that a wrong path costs nothing."""
    from gong_source.warehouse.publish import check_publish

    if args.publish is not None:
        check_publish(_target(args), args.publish)


def _publish(args: argparse.Namespace, result: LoadResult | VerifyResult) -> None:
    """Publishes what the run has loaded. A failure goes into the result, so that the result is printed in any case."""
    from gong_source.warehouse.publish import publish

    if args.publish is None or result.status == "failed":
        return
    try:
        publish(args.publish, _target(args))
    except GongError as error:
        _fail(result, f"the file was not published: {error}")


def _report(args: argparse.Namespace, result: LoadResult, settings: GongSettings) -> None:
    """Writes the page after a run, also after one that failed. A failure goes into the result, as when publishing."""
    from gong_source.report.write import write_report
    from gong_source.resources import RESOURCES

    shown = settings.copy()
    shown.resources = list(RESOURCES)  # also those that this run did not load
    try:
        write_report(args.report, _target(args), settings=shown)
    except GongError as error:
        if result.status == "failed":
            progress.note(f"gong-source: no report was written: {error}")
        else:
            _fail(result, f"the report was not written: {error}")


def _fail(result: LoadResult | VerifyResult, why: str) -> None:
    """Makes a run failed because of what had to follow it; the message keeps how the run itself ended."""
    before = result.message or f"the {result.command} itself is {result.status}"
    result.status, result.message = "failed", f"{before}; but {why}"


def _finish(args: argparse.Namespace, result: LoadResult | VerifyResult, shown: str, signals: list[int]) -> int:
    """Prints the result of a run, and returns its exit code."""
    _print(args, result.as_json(), shown)
    if result.message:
        print(f"gong-source {args.command}: {result.message}", file=sys.stderr)
    return 128 + signals[0] if result.interrupted and signals else _EXIT_CODES[result.status]


def _print(args: argparse.Namespace, as_json: dict[str, Any], shown: str) -> None:
    try:
        print(json.dumps(as_json) if args.json else shown, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise GongError(
            f"the command has ended, but its result cannot be written to stdout: {error.strerror}"
        ) from None


@contextmanager
def _stop_on_signals() -> Iterator[tuple[threading.Event, list[int]]]:
    """An event that the first SIGINT or SIGTERM sets, so that the run loads what it has; a second one kills the run."""
    stopped, signals = threading.Event(), list[int]()

    def stop(number: int, _frame: object) -> None:
        signals.append(number)
        stopped.set()
        for each, handler in previous.items():
            signal.signal(each, handler)
        with suppress(OSError, ValueError):  # print would fail if the signal came in the middle of another print
            os.write(sys.stderr.fileno(), b"Stopping: finishing what was begun\n")

    previous: dict[int, Any] = {}
    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        previous[number] = signal.signal(number, stop)
    try:
        yield stopped, signals
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
