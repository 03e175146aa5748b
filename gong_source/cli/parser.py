"""The commands of `gong-source` and their options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gong_source.errors import did_you_mean
from gong_source.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

_TARGET_OPTIONS = ("--destination", "--dataset", "--pipeline-name")
_LOAD_OPTIONS = ("--resources", *_TARGET_OPTIONS, "--workspace-id", "--max-requests", "--publish")


def at_least_one(text: str) -> int:
    """The whole number that `text` says; raises argparse's error for anything below 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


_OPTIONS: dict[str, dict[str, Any]] = {
    "--resources": {
        "metavar": "NAMES",
        "help": "resources to load, with commas between them, or all (default: the setting resources, else calls)",
    },
    "--destination": {"default": "duckdb", "help": "duckdb, ducklake, postgres or bigquery (default: duckdb)"},
    "--dataset": {"default": "gong", "help": "dataset or schema of the tables (default: gong)"},
    "--pipeline-name": {"default": "gong_calls", "help": "name of the dlt pipeline (default: gong_calls)"},
    "--publish": {"type": Path, "metavar": "PATH", "help": "then copy the DuckDB file to PATH, for its readers"},
    "--workspace-id": {"metavar": "ID", "help": "only this workspace's calls (default: all workspaces)"},
    "--max-requests": {"type": at_least_one, "metavar": "N", "help": "stop cleanly after this many requests"},
}


class Parser(argparse.ArgumentParser):
    """argparse's parser, which names the nearest command or option where one is misspelt."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Prints how the command is used and what is wrong, and exits with code 2."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction) and "invalid choice: " in message:  # noqa: SLF001
                name = message.split("invalid choice: ")[1].split("'")[1]
                hint = did_you_mean(name, action.choices) or ": see gong-source --help"
                message = f"unknown command {name!r}{hint}"
        super().error(message)


def parse_arguments(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """The parsed arguments; one that is unknown or has no effect ends the process with exit code 2 and a hint."""
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        command: Parser = parsed.parser
        known = [name for action in command._actions for name in action.option_strings]  # noqa: SLF001 - of our own class
        command.error(f"unrecognized arguments: {' '.join(unknown)}{did_you_mean(unknown[0].split('=')[0], known)}")
    _refuse_without_effect(parsed)
    return parsed


def _refuse_without_effect(parsed: argparse.Namespace) -> None:
    if parsed.command == "verify" and parsed.accept_deletions and not parsed.repair:
        parsed.parser.error("--accept-deletions needs --repair: without it, nothing is marked")
    if parsed.command == "backfill" and parsed.plan and (parsed.publish or parsed.max_requests):
        parsed.parser.error("--plan loads nothing: leave out --publish and --max-requests")


def build_parser(*, simulate: bool = True) -> Parser:
    """The parser; the many options of `simulate` only if they are wanted."""
    parser = Parser(
        prog="gong-source",
        description="Loads a Gong tenant into a warehouse: every record once, kept up to date.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 something differs or is missing, 4 run again later.",
    )
    parser.add_argument("--version", action="version", version=f"gong-source {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    check = _command(commands, "check", "test the connection: key, host, scopes and visible records")
    _add_options(check, "--resources", "--workspace-id")
    sync = _command(commands, "sync", "load everything that is missing up to now, and the lookback again")
    sync.add_argument("--verify-days", type=float, metavar="N", help="then verify and repair the last N days of calls")
    sync.add_argument("--report", type=Path, metavar="PATH", help="then write the page of gong-source report to PATH")
    _add_options(sync, *_LOAD_OPTIONS)
    backfill = _command(commands, "backfill", "load a past date range, skipping what is already loaded")
    backfill.add_argument("--from", dest="start", required=True, metavar="TIME", help="start, inclusive: 2024-01-01")
    backfill.add_argument("--to", dest="end", metavar="TIME", help="end, exclusive (default: now)")
    backfill.add_argument("--refresh", action="store_true", help="load again what is already loaded")
    backfill.add_argument("--plan", action="store_true", help="only show how many requests and days it would take")
    _add_options(backfill, *_LOAD_OPTIONS)
    _add_verify(commands)
    status = _command(commands, "status", "show what the warehouse has; sends no request")
    status.add_argument("--max-age", metavar="AGE", help="exit with 3 if a resource is older, for example 6h")
    _add_options(status, "--resources", *_TARGET_OPTIONS, "--workspace-id")
    _add_report(commands)
    _add_erase(commands)
    tables = _command(commands, "tables", "list what can be loaded: resources, scopes, tables and columns")
    tables.add_argument("--markdown", action="store_true", help="as a page in Markdown")
    _add_options(tables, "--resources")
    demo = _command(commands, "demo", "load a simulated tenant into ./gong_demo.duckdb; needs no key")
    demo.add_argument("--calls", type=at_least_one, default=3000, help="calls of the simulated tenant (default: 3000)")
    serve = commands.add_parser("simulate", help="serve a local Gong API", description="Serve a local Gong API.")
    serve.set_defaults(command="simulate", parser=serve, json=False, log_level="warning")
    if simulate:
        from gong_source.simulator.serve import add_arguments

        add_arguments(serve)
    return parser


def _add_verify(commands: Any) -> None:
    verify = _command(commands, "verify", "compare Gong with the warehouse; --repair fixes the differences")
    verify.add_argument("--from", dest="start", metavar="TIME", help="start, inclusive (default: all that is loaded)")
    verify.add_argument("--to", dest="end", metavar="TIME", help="end, exclusive (default: all that is loaded)")
    verify.add_argument("--repair", action="store_true", help="load what differs again, mark deleted records")
    verify.add_argument("--deep", action="store_true", help="compare every record, not only counts")
    verify.add_argument(
        "--accept-deletions", action="store_true", help="mark records as deleted, however many are missing in Gong"
    )
    _add_options(verify, *_LOAD_OPTIONS)


def _add_report(commands: Any) -> None:
    report = _command(commands, "report", "write a page: can the data be trusted, what happens in the calls")
    report.add_argument(
        "--output",
        type=Path,
        default=Path("gong_report.html"),
        metavar="PATH",
        help="the file to write (default: ./gong_report.html)",
    )
    report.add_argument("--names", action="store_true", help="show the names of the busiest hosts")
    report.add_argument(
        "--resources", metavar="NAMES", help="resources to show, with commas between them (default: all)"
    )
    _add_options(report, *_TARGET_OPTIONS, "--workspace-id")


def _add_erase(commands: Any) -> None:
    erase = _command(commands, "erase", "delete the calls in which a person took part; sends no request")
    person = erase.add_mutually_exclusive_group(required=True)
    person.add_argument("--email", metavar="ADDRESS", help="the person's address, in upper or lower case")
    person.add_argument("--phone", metavar="NUMBER", help="the person's number; only its digits are compared")
    _add_options(erase, *_TARGET_OPTIONS)


def _command(commands: Any, name: str, text: str) -> Parser:
    parser: Parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument(
        "--log-level",
        default="warning",
        choices=["debug", "info", "warning", "error"],
        help="log level on stderr (default: warning)",
    )
    parser.set_defaults(command=name, parser=parser)
    return parser


def _add_options(parser: Parser, *names: str) -> None:
    for name in names:
        parser.add_argument(name, **_OPTIONS[name])
