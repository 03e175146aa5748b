"""Anything may come in: answers, settings, dates, arguments and files. The outcome is a right table or one clear line.

Each test draws what comes in. `GONG_SOURCE_FUZZ=10000` draws so many examples of each; the suite draws fewer.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import shutil
import tempfile
import threading
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tenants import END, days_ago, truth

from gong_source import ConfigurationError, Control, GongError, sync
from gong_source.api.throttle import Throttle
from gong_source.cli.main import main
from gong_source.connection import connect
from gong_source.dates import parse
from gong_source.records.batch import read_batch
from gong_source.records.call_time import Rule
from gong_source.resources.calls import CALLS
from gong_source.settings import GongSettings, resolve_settings
from gong_source.simulator import Tenant
from gong_source.windows import Window, now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gong_source.simulator import Simulator

MANY = int(os.environ.get("GONG_SOURCE_FUZZ", "0"))
EXIT_CODES = {0, 1, 2, 3, 4}


def examples(few: int) -> Any:
    """How many examples a test draws."""
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    return settings(max_examples=MANY or few, deadline=None, suppress_health_check=checks)


# --- what may come in

TEXT = st.text(max_size=30)
NUMBERS = st.one_of(st.integers(), st.floats(), st.integers(2**62, 2**80))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
TIMES = st.one_of(
    st.datetimes().map(lambda time: time.isoformat()),
    st.datetimes().map(lambda time: f"{time.isoformat()}Z"),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-02-30T00:00:00Z", "now", ""]),
)
FIELDS = st.sampled_from([*CALLS.table.fields, "parties", "newField", "ids", "Id"])


def _nested(depth: int) -> bytes:
    return b'{"calls": [{"id": "1", "x": ' + b"[" * depth + b"]" * depth + b"}]}"


BODIES = st.one_of(
    st.binary(max_size=60),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([500, 900, 1100, 5000]).map(_nested),
    st.sampled_from(
        [
            b"<html>please log in</html>",
            b'{"calls": [{"id": 1e999}]}',
            b'{"calls": [NaN, {"id": "1", "duration": -Infinity}]}',
            b'{"calls": [{"id": "1", "id": "2"}], "calls": null}',
            b'{"calls": [{"id": "1", "title": "\\ud83d"}], "records": {"totalRecords": true}}',
            b'{"calls": [], "records": {"cursor": {"a": 1}, "totalRecords": -5}}',
            b'{"errors": {"a": ["scope"]}}',
            b'{"calls": [{"id": "1", "duration": ' + b"9" * 5000 + b"}]}",
        ]
    ),
)
HEADER_NAMES = "Content-Type Content-Encoding Content-Length Transfer-Encoding Retry-After Location Date x-traceid"
HEADER_VALUES = (
    "gzip deflate br identity chunked 0 1 -1 1e999 nan 9999999999999 99999999999999999999 /v2/x //x?secret=1"
)
MORE_HEADER_VALUES = ["gzip, gzip", "Wed, 21 Oct 2099 07:28:00 GMT", "Wed, 99 Oct 2099", "http://["]
HEADERS = st.dictionaries(
    st.sampled_from(HEADER_NAMES.split()),
    st.one_of(
        st.sampled_from([*HEADER_VALUES.split(), *MORE_HEADER_VALUES]),
        st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=12),
    ),
    max_size=2,
)


@dataclass
class Change:
    """What happens to one answer on its way: `status`, `body` and `headers` where given, fields and pieces of it."""

    status: int | None = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    fields: list[tuple[str, Any]] = field(default_factory=list)
    about: tuple[str, Any] | None = None
    compress: str = ""
    cut: int = 0

    def apply(self, status: int, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """The answer that arrives instead of this one."""
        if self.body is not None:
            body = self.body
        elif self.fields or self.about:
            payload = json.loads(body)
            for number, (name, value) in enumerate(self.fields):
                if records := payload.get("calls"):
                    records[number % len(records)][name] = value
            if self.about:
                payload["records"][self.about[0]] = self.about[1]
            body = json.dumps(payload).encode()
        headers = {}
        if self.compress:
            body = gzip.compress(body) if self.compress == "gzip" else zlib.compress(body)
            headers["Content-Encoding"] = self.compress
        return self.status or status, headers | self.headers, body[: len(body) - self.cut] if self.cut else body


CHANGES = st.builds(
    Change,
    status=st.one_of(
        st.none(), st.none(), st.sampled_from([200, 204, 301, 401, 403, 404, 429, 503]), st.integers(200, 599)
    ),
    body=st.one_of(st.none(), st.none(), BODIES),
    headers=HEADERS,
    fields=st.lists(st.tuples(FIELDS, st.one_of(VALUES, TIMES)), max_size=4),
    about=st.one_of(st.none(), st.tuples(st.sampled_from(["totalRecords", "cursor", "currentPageSize"]), VALUES)),
    compress=st.sampled_from(["", "", "gzip", "deflate"]),
    cut=st.sampled_from([0, 0, 0, 1, 7]),
)


class Patience(threading.Event):
    """A stop event that lets no time pass."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - the interface of an event
        """Whether to stop, at once."""
        return self.is_set()


@dataclass
class Way:
    """The way to a simulator, on which answers change: the first by the first of `changes`, and so on."""

    simulator: Simulator
    base_url: str = ""
    changes: list[Change | None] = field(default_factory=list)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """What arrives for a request."""
        connection = http.client.HTTPConnection(urlsplit(self.simulator.base_url).netloc)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            status, body = answer.status, answer.read()
        finally:
            connection.close()
        change = self.changes.pop(0) if self.changes else None
        return change.apply(status, body) if change else (status, {}, body)


@contextmanager
def way(simulator: Simulator) -> Iterator[Way]:
    """The way to the simulator, for the block."""
    made = Way(simulator)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            request = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, body = made.answer(self.command, self.path, request, content)
            self.send_response_only(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name that the server looks for

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    made.base_url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def new_machine() -> Iterator[Path]:
    """An empty working folder and an empty data folder of dlt, for one example."""
    before, data = Path.cwd(), os.environ["DLT_DATA_DIR"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "work")
        folder.mkdir()
        os.chdir(folder)
        os.environ["DLT_DATA_DIR"] = f"{name}/dlt"
        try:
            yield folder
        finally:
            os.chdir(before)
            os.environ["DLT_DATA_DIR"] = data


def settings_at(base_url: str) -> GongSettings:
    """Settings for one address; a run that Gong asks to wait ends at once."""
    credentials = {"access_key": "key", "access_key_secret": "secret", "base_url": base_url}
    return resolve_settings(credentials=credentials, requests_per_second=1e5, max_wait_seconds=0)


def table() -> dict[str, dict[str, Any]]:
    """The calls in the DuckDB file that are not marked as deleted, as Gong served them."""
    names = ", ".join(column.name for column in CALLS.table.fields.values())
    with duckdb.connect("gong_calls.duckdb", read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        found = connection.execute(f"select {names}, extra from gong.calls where deleted_at is null").fetchall()
    rows = [(dict(zip(CALLS.table.fields, values, strict=True)), extra) for *values, extra in found]
    return {row["id"]: row | json.loads(extra or "{}") for row, extra in rows}


def is_one_clear_line(text: str) -> bool:
    """Whether a message is one line, and says more than the name of an error."""
    return "\n" not in text and " " in text.strip() and "Traceback" not in text


@contextmanager
def allowed(kind: type[GongError], *names: str) -> Iterator[None]:
    """The block may end in an error of this kind, if it is one clear line that has one of the names."""
    try:
        yield
    except kind as error:
        if not is_one_clear_line(str(error)) or (names and not any(name in str(error) for name in names)):
            pytest.fail(f"no clear line: {error}")


def is_kept(name: str, value: Any, row: dict[str, Any], extra: dict[str, Any]) -> bool:
    """Whether a field of a record is in its row: exactly in its column, or as it came in `extra`."""
    if name in extra:
        return json.dumps(extra[name], sort_keys=True) == json.dumps(value, sort_keys=True)
    if value is None:
        return True
    column = CALLS.table.fields[name]
    stored = row[column.name]
    if column.type == "timestamp":
        return bool(stored == datetime.fromisoformat(value))
    return stored == (str(value) if column.type == "text" else value) and isinstance(value, (str, bool, int, float))


@pytest.fixture
def the_way(serve: Callable[..., Simulator]) -> Iterator[Way]:
    """The way to a tenant with forty calls of the last days."""
    with way(serve(Tenant.generate(40, start=days_ago(5), end=END, seed=7))) as made:
        yield made


# --- the tests


@examples(300)
@given(change=CHANGES)
def test_any_answer_becomes_rows_that_keep_it_or_one_line(change: Change, the_way: Way) -> None:
    """Whatever arrives is kept to the last field, or ends in an error of ours; the program never fails in between."""
    the_way.changes = [change]
    throttle = Throttle(1e5, max_wait_seconds=0, sleep=lambda seconds: None)
    client = connect(settings_at(the_way.base_url), stopped=Patience(), throttle=throttle)
    pages, batch = [], None
    with allowed(GongError):
        pages = list(client.pages(CALLS.endpoint, Window(days_ago(5), END)))
        batch = read_batch(CALLS, pages, Window(days_ago(5), END), Rule())
    client.transport.close()
    if batch is None:
        return

    records = [record for page in pages for record in page.exact_records()]
    rows = batch.table.to_pylist()
    assert [row["id"] for row in rows] == [str(record["id"]) for record in records]
    for record, row in zip(records, rows, strict=True):
        extra = json.loads(row["extra"] or "{}")
        assert all(is_kept(name, value, row, extra) for name, value in record.items() if name != "id")


@examples(12)
@given(changes=st.lists(st.one_of(st.none(), CHANGES), min_size=1, max_size=4))
def test_a_sync_through_anything_ends_in_a_result_and_the_next_one_mends_all(
    changes: list[Change | None], the_way: Way
) -> None:
    """A sync that met strange answers says so in one line; the next sync, with plain ones, ends in Gong's table."""
    with new_machine():
        config = settings_at(the_way.base_url)
        the_way.changes = list(changes)
        with allowed(GongError):
            result = sync(settings=config, control=Control(stopped=Patience()))
            assert result.status == "done" or is_one_clear_line(result.message or "")
        the_way.changes = []
        for file in Path(os.environ["DLT_DATA_DIR"]).rglob("throttle.sqlite*"):
            file.unlink()  # Gong may have asked for a long wait

        again = sync(settings=config)

        assert again.status == "done" or "are missing in Gong" in (again.message or "")
        assert truth(the_way.simulator.tenant).items() <= table().items()


WORDS = (
    "sync backfill verify status check tables synk --help --version --json --from --to --plan --refresh --repair --deep"
    " --accept-deletions --publish --max-requests --resources --dataset --pipeline-name --workspace-id --verify-days"
    " --destination duckdb duckdbb --log-level error --markdown --destinaton=duckdb yesterday 2026-11 2026-W45 0 1 -1"
    " 1e9 nan calls users,calls all gong . / /proc/x/y copy.duckdb gong_calls.duckdb - -- ../x"
)
ARGUMENTS = st.lists(
    st.one_of(
        st.sampled_from([*WORDS.split(), "", "now - 3 days"]),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    ),
    min_size=1,
    max_size=6,
)


@examples(60)
@given(arguments=ARGUMENTS)
def test_any_arguments_end_with_a_documented_code(
    arguments: list[str], the_way: Way, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is written behind `gong-source`, the exit code is documented, and a failure has a line on stderr."""
    for name, value in {"ACCESS_KEY": "key", "ACCESS_KEY_SECRET": "secret", "BASE_URL": the_way.base_url}.items():
        monkeypatch.setenv(f"SOURCES__GONG__CREDENTIALS__{name}", value)
    monkeypatch.setenv("SOURCES__GONG__REQUESTS_PER_SECOND", "100000")
    with new_machine():
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse's way to end after --help and wrong usage
            code = int(end.code or 0)
        errors = capsys.readouterr().err

    assert code in EXIT_CODES
    assert code == 0 or errors.strip()
    assert "Traceback" not in errors


@examples(150)
@given(
    values=st.dictionaries(
        st.sampled_from([*GongSettings().get_resolvable_fields()]).filter(lambda name: name != "credentials"),
        st.one_of(
            st.sampled_from(["", "0", "-1", "nan", "inf", "1e400", "true", "[]", "{}", "null", "all", "calls", "1.5"]),
            st.sampled_from(["yesterday", "2026-02-30", "0001-01-01", "9999-12-31", "Europe/Berlin", "UTC+25", "a,b"]),
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_settings_can_be_used_or_are_refused(values: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting is used as it is written, or a `ConfigurationError` names it."""
    monkeypatch.setenv("SOURCES__GONG__CREDENTIALS", json.dumps({"access_key": "k", "access_key_secret": "s"}))
    with monkeypatch.context() as environment:
        for name, value in values.items():
            environment.setenv(f"SOURCES__GONG__{name.upper()}", value)
        with allowed(ConfigurationError, *values, "[sources.gong]"):
            resolved = resolve_settings()
            resolved.start(now())
            connect(resolved).transport.close()


@examples(300)
@given(
    written=st.one_of(TIMES, TEXT, st.from_regex(r"\A[0-9W:TZ+\- ]{1,25}\Z")),
    zone=st.sampled_from(["UTC", "Asia/Kolkata"]),
)
def test_any_date_is_read_or_refused(written: str, zone: str) -> None:
    """A date is a moment with a zone, or a `ConfigurationError` shows how to write one."""
    with allowed(ConfigurationError):
        assert parse(written, "--from", zone=zone, now=END).tzinfo is not None


DAMAGES = st.tuples(st.integers(0), st.sampled_from(["half", "empty", "garbage", "gone", "folder"]))


@examples(5)
@given(damages=st.lists(DAMAGES, min_size=1, max_size=2))
def test_damaged_files_end_in_one_line_and_lose_nothing_that_gong_has(
    damages: list[tuple[int, str]], the_way: Way, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After any file was cut, filled with garbage or removed, commands say what is wrong; a new start has the table."""
    for name, value in {"ACCESS_KEY": "key", "ACCESS_KEY_SECRET": "secret", "BASE_URL": the_way.base_url}.items():
        monkeypatch.setenv(f"SOURCES__GONG__CREDENTIALS__{name}", value)
    monkeypatch.setenv("SOURCES__GONG__REQUESTS_PER_SECOND", "100000")
    with new_machine() as folder:
        assert main(["sync"]) == 0
        files = sorted(path for path in folder.parent.rglob("*") if path.is_file())
        for number, how in damages:
            damage(files[number % len(files)], how)
        capsys.readouterr()

        for command in ("status", "sync", "verify"):
            code, errors = main([command]), capsys.readouterr().err
            assert code in EXIT_CODES
            assert code == 0 or is_one_clear_line(errors.strip().splitlines()[-1])
            assert "Traceback" not in errors

        shutil.rmtree(folder.parent / "dlt")
        if main(["sync"]) != 0:
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            assert main(["sync"]) == 0
        assert table() == truth(the_way.simulator.tenant)


def damage(file: Path, how: str) -> None:
    """Does something to a file."""
    if not file.is_file():
        return
    content = file.read_bytes()
    if how in {"gone", "folder"}:
        file.unlink()
    if how == "folder":
        file.mkdir()
    elif how != "gone":
        file.write_bytes({"half": content[: len(content) // 2], "empty": b"", "garbage": b"\xff\x00garbage" * 50}[how])
