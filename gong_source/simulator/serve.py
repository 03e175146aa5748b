"""The command that runs the simulator until it is interrupted."""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from gong_source.simulator.behaviour import Settings
from gong_source.simulator.call import Rendering
from gong_source.simulator.faults import Fault
from gong_source.simulator.recipe import Plan
from gong_source.simulator.server import Simulator
from gong_source.simulator.sizes import LIFELIKE, SMALL, Content
from gong_source.simulator.tenant import Tenant

_NO_OPTION: Final = frozenset({"clock"})
_DRAWING: Final = {
    "shape": "how calls spread over time",
    "conference_share": "share of web conferences, from 0 to 1",
    "gap_seconds": "longest usual wait from scheduled to started",
    "long_gap_share": "share of waits of one to three days",
    "fractions": "times have fractions of a second",
    "unknown_fields": "fields that no document names",
    "wild": "nulls, unknown values, odd titles, 20-digit ids",
    "processing_seconds": "longest wait until a call is available",
    "late_share": "share of calls that become available later still",
    "late_seconds": "longest lateness of those",
}
_PRESETS: Final = {"lifelike": LIFELIKE, "small": SMALL}
_CONTENT: Final = {
    "parties": "parties of a call",
    "trackers": "trackers of the tenant",
    "tracker_hits": "trackers with a mention in a call",
    "topics": "topics of the tenant",
    "outline_items": "items in the outline of a call",
    "highlights": "items in the highlights of a call",
    "key_points": "key points of a call",
    "comments": "comments on a call that has some",
    "crm_fields": "fields of a CRM object",
    "sentences": "sentences in a transcript",
    "spread": "how far these counts vary, from 0 to 1",
    "absent": "blocks of content that the tenant does not have",
    "transcript_seconds": "wait from a call to its transcript",
    "content_seconds": "wait from a call to its brief, outline, trackers and so on",
    "late_content_share": "share of calls that wait longer for both",
    "late_content_seconds": "longest further wait of those",
    "without_transcript_share": "share of calls that never get a transcript",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options: where to listen, which calls to make up, every setting, and faults."""
    where = parser.add_argument_group("address")
    where.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    where.add_argument(
        "--port", type=_up_to(65535), default=0, help="port to listen on; 0 = any that is free (default: 0)"
    )
    _add_tenant_arguments(parser.add_argument_group("calls"))
    _add_content_arguments(parser.add_argument_group("content of calls"))
    settings = parser.add_argument_group("behaviour of the API")
    hints = get_type_hints(Settings)
    for setting in fields(Settings):
        if setting.name not in _NO_OPTION:
            default = setting.default if setting.default is not MISSING else {}
            settings.add_argument(
                f"--{setting.name.replace('_', '-')}",
                default=default,
                help=f"{setting.metadata['help']} (default: {_show(default)})",
                **_how_to_parse(hints[setting.name]),
            )
    settings.add_argument(
        "--fault",
        dest="faults",
        action="append",
        default=[],
        type=_parse_fault,
        metavar="KIND[,NAME=VALUE...]",
        help="something that goes wrong, such as status,status=503,probability=0.01; repeatable",
    )


def serve(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; print the address and the environment to set; return the exit code."""
    try:
        tenant, settings = _tenant(args), Settings(**_settings(args))
    except (KeyError, ValueError) as error:  # KeyError: a time zone that nobody knows
        print(f"gong simulator: {error}", file=sys.stderr)
        return 2
    simulator = Simulator(tenant, settings, args.faults, host=args.host, port=args.port)
    with _until_signalled() as wait:
        try:
            simulator.start()
        except OSError as error:
            print(f"gong simulator: cannot listen on {args.host}:{args.port}: {error}", file=sys.stderr)
            return 1
        try:
            environment = {
                "SOURCES__GONG__CREDENTIALS__ACCESS_KEY": settings.access_key,
                "SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET": settings.access_key_secret,
                "SOURCES__GONG__CREDENTIALS__BASE_URL": simulator.base_url,
                "SOURCES__GONG__START_DATE": args.start.isoformat().replace("+00:00", "Z"),
            }
            print(f"# {len(tenant)} calls at {simulator.base_url}, Ctrl-C stops")
            for name, value in environment.items():
                print(f"export {name}={value}", flush=True)
            wait()
        finally:
            simulator.stop()
    return 0


def _add_tenant_arguments(group: "argparse._ArgumentGroup") -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    shown = "(default: %(default)s)"
    group.add_argument("--calls", type=_up_to(10**9), default=1000, help=f"how many calls to make up {shown}")
    group.add_argument(
        "--start",
        type=_moment,
        default=today - timedelta(days=30),
        help="first time of a call, UTC unless it has an offset (default: 30 days before today)",
    )
    group.add_argument(
        "--end", type=_moment, default=today, help="end of the calls, exclusive (default: today, 0:00 UTC)"
    )
    group.add_argument("--seed", type=int, default=0, help=f"the same seed makes the same calls {shown}")
    group.add_argument("--users", type=_up_to(10**6), default=25, help=f"how many users {shown}")
    group.add_argument("--workspaces", type=int, default=1, help=f"how many workspaces {shown}")
    group.add_argument("--time-zone", default="America/New_York", help=f"time zone of the company {shown}")
    group.add_argument(
        "--rendering", choices=get_args(Rendering), default="offset", help=f"how times are shown {shown}"
    )
    hints = get_type_hints(Plan)
    for name, text in _DRAWING.items():
        default = getattr(Plan, name)
        group.add_argument(
            f"--{name.replace('_', '-')}",
            default=default,
            help=f"{text} (default: {_show(default)})",
            **_how_to_parse(hints[name]),
        )


def _add_content_arguments(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--content",
        choices=tuple(_PRESETS),
        default="lifelike",
        help="how much the calls contain, but for the sizes that follow (default: %(default)s)",
    )
    hints = get_type_hints(Content)
    for name, text in _CONTENT.items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            help=f"{text} (lifelike: {_show(getattr(LIFELIKE, name))}, small: {_show(getattr(SMALL, name))})",
            **_how_to_parse(hints[name]),
        )


def content_of(args: argparse.Namespace) -> Content:
    """Return the sizes that the options name."""
    given = {name: getattr(args, name) for name in _CONTENT if getattr(args, name) is not None}
    return replace(_PRESETS[args.content], **given)


def _tenant(args: argparse.Namespace) -> Tenant:
    # Typed loosely: the options were made from the same names.
    drawing: Any = {name: getattr(args, name) for name in _DRAWING}
    return Tenant.generate(
        args.calls,
        start=args.start,
        end=args.end,
        seed=args.seed,
        time_zone=args.time_zone,
        rendering=args.rendering,
        users=args.users,
        workspaces=args.workspaces,
        content=content_of(args),
        **drawing,
    )


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    return {setting.name: getattr(args, setting.name) for setting in fields(Settings) if setting.name not in _NO_OPTION}


def _how_to_parse(hint: Any) -> dict[str, Any]:
    """Return the arguments of add_argument that read a value of this type."""
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_origin(hint) is Literal:
        return {"choices": get_args(hint)}
    if hint in (int, float, str):
        return {"type": hint}
    parts = get_args(hint)
    if int in parts or float in parts:
        return {"type": _or_none(int if int in parts else float), "metavar": "NUMBER|none"}
    if hint == frozenset[str] or frozenset[str] in parts:
        return {"type": _or_none(_names), "metavar": "NAME[,NAME...]|none"}
    return {"type": _tokens, "metavar": "TOKEN=SECONDS|none[,...]"}


def _show(default: Any) -> str:
    if default in (None, {}, frozenset()):
        return "none"
    return ",".join(sorted(default)) if isinstance(default, frozenset) else str(default)


def _up_to(most: int) -> Callable[[str], int]:
    def value(text: str) -> int:
        if not text.isdecimal() or int(text) > most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {most}")
        return int(text)

    return value


def _or_none(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def value(text: str) -> Any:
        return None if text == "none" else parse(text)

    return value


def _names(text: str) -> frozenset[str]:
    return frozenset(name for name in text.split(",") if name)


def _tokens(text: str) -> dict[str, float | None]:
    tokens: dict[str, float | None] = {}
    for pair in _names(text):
        token, _, expiry = pair.partition("=")
        tokens[token] = None if expiry in ("", "none") else float(expiry)
    return tokens


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _parse_fault(text: str) -> Fault:
    kind, *pairs = text.split(",")
    hints = get_type_hints(Fault)
    if kind not in get_args(hints["kind"]):
        raise argparse.ArgumentTypeError(f"{kind!r} is none of {', '.join(get_args(hints['kind']))}")
    values: dict[str, Any] = {"kind": kind}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in hints or name == "kind":
            raise argparse.ArgumentTypeError(f"a fault has no {name!r}")
        try:
            values[name] = _fault_value(name, value)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{name} is a number, not {value!r}") from None
    return Fault(**values)


def _fault_value(name: str, text: str) -> Any:
    if name in ("path", "text"):
        return text
    if name in ("probability", "seconds"):
        return float(text)
    if name == "numbers":
        first, _, last = text.partition("-")
        return range(int(first), int(last or first) + 1)
    return int(text)


@contextmanager
def _until_signalled() -> Iterator[Callable[[], object]]:
    """Give a function that waits for SIGINT or SIGTERM; the handlers of before come back at the end."""
    stop = threading.Event()

    def stop_now(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, stop_now) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop.wait
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
