"""A DuckDB file with readers: programs that open it for a moment, and the copy that is published for them."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from gong_source import DestinationFailed, Target, publish, sync
from gong_source.cli.main import main
from gong_source.runs.run import Control
from gong_source.simulator import Call, Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.synchronize import Event

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

END = datetime.now(UTC).replace(microsecond=0)
FILE = Path("gong_calls.duckdb")
PUBLISHED = Path("published.duckdb")
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def tenant() -> Tenant:
    """A tenant with calls of the last month."""
    return Tenant.generate(300, start=END - timedelta(days=30), end=END, seed=8)


@pytest.fixture
def run(
    tenant: Tenant, serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs `gong-source sync`, or another, with the options given: its exit code and what it said on stderr."""
    simulator = serve(tenant)
    monkeypatch.setenv("SOURCES__GONG__CREDENTIALS__ACCESS_KEY", "key")
    monkeypatch.setenv("SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET", "secret")
    monkeypatch.setenv("SOURCES__GONG__CREDENTIALS__BASE_URL", simulator.base_url)
    monkeypatch.setenv("SOURCES__GONG__START_DATE", iso(END - timedelta(days=31)))
    monkeypatch.setenv("SOURCES__GONG__REQUESTS_PER_SECOND", "1000")

    def command(*options: str, name: str = "sync") -> tuple[int, str]:
        code = main([name, *options])
        return code, capsys.readouterr().err

    return command


def rows(file: Path, sql: str = "select count(*) from gong.calls") -> Any:
    """The first value of a query on the file."""
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()[0][0]


def poll(file: str, stop: Event, reads: Any) -> None:
    """Opens the file, counts its calls and closes it, every 20 ms until it is stopped; returns what it saw."""
    while not stop.is_set():
        try:
            reads.put(rows(Path(file)))
        except duckdb.Error as error:
            reads.put(str(error))
        time.sleep(0.02)
    reads.put(None)


def hold(file: str, held: Event, seconds: float) -> None:
    """Keeps the file open for a while, as a dashboard does."""
    with duckdb.connect(file, read_only=True):
        held.set()
        time.sleep(seconds)


@pytest.fixture
def hold_file() -> Iterator[Callable[[float], int]]:
    """Another program opens the DuckDB file for so many seconds: `hold_file(seconds)`; returns its process id."""
    processes = []

    def start(seconds: float) -> int:
        held = SPAWN.Event()
        process = SPAWN.Process(target=hold, args=(str(FILE.resolve()), held, seconds))
        process.start()
        processes.append(process)
        assert held.wait(60)
        return process.pid or 0

    yield start
    for process in processes:
        process.kill()
        process.join()


def test_published_file_can_be_read_at_any_moment(run: Callable[..., tuple[int, str]], tenant: Tenant) -> None:
    """A reader that opens the published file every 20 ms never fails in four runs, and sees old or new as a whole."""
    assert run("--publish", str(PUBLISHED)) == (0, "")
    stop, reads = SPAWN.Event(), SPAWN.Queue()
    reader = SPAWN.Process(target=poll, args=(str(PUBLISHED.resolve()), stop, reads))
    reader.start()
    seen = [reads.get(timeout=60)]
    for number in range(2):
        tenant.add(Call(f"7{number}", started=END - timedelta(days=1)))
        assert run("--publish", str(PUBLISHED)) == (0, "")
    for call in Tenant.generate(
        2000, start=END - timedelta(days=365), end=END - timedelta(days=40), seed=9
    ).calls.values():
        tenant.add(call)
    old = ("--from", iso(END - timedelta(days=365)), "--to", iso(END - timedelta(days=35)))
    assert run(*old, "--publish", str(PUBLISHED), name="backfill") == (0, "")
    tenant.add(Call("80", started=END - timedelta(days=20)))
    assert run("--repair", "--publish", str(PUBLISHED), name="verify") == (0, "")
    stop.set()
    while (read := reads.get(timeout=60)) is not None:
        seen.append(read)
    reader.join()

    assert set(seen) <= {300, 301, 302, 2302, 2303}
    assert seen == sorted(seen)
    assert len(seen) > 5
    assert rows(PUBLISHED) == 2303
    assert [path.name for path in Path().iterdir() if "published" in path.name] == ["published.duckdb"]


def test_reader_of_the_published_file_keeps_what_it_opened(run: Callable[..., tuple[int, str]], tenant: Tenant) -> None:
    """A connection opened before a run reads the old file to its end; one opened after it reads the new file."""
    run("--publish", str(PUBLISHED))
    with duckdb.connect(str(PUBLISHED), read_only=True) as open_before:
        tenant.add(Call("77", started=END - timedelta(days=1)))
        assert run("--publish", str(PUBLISHED)) == (0, "")
        assert open_before.execute("select count(*) from gong.calls").fetchone() == (300,)
    assert rows(PUBLISHED) == 301


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--publish", "gong_calls.duckdb"), 2, "is the file that runs load into"),
        (("--publish", "."), 2, "is a folder"),
        (("--publish", "gong.duckdb"), 2, "DuckDB cannot distinguish dataset 'gong' from its file"),
        (("--publish", "nowhere/x.duckdb"), 1, "there is no folder"),
        (("--publish", "x.duckdb", "--destination", "postgres"), 2, "--publish copies a DuckDB file"),
    ],
)
def test_publishing_where_it_cannot_work_is_refused_before_the_run(
    run: Callable[..., tuple[int, str]], options: tuple[str, ...], code: int, message: str
) -> None:
    """One line on stderr, and nothing is loaded."""
    assert run(*options)[0] == code
    assert not FILE.exists()
    code_again, text = run(*options)
    assert (code_again, len(text.splitlines())) == (code, 1)
    assert message in text


def test_a_file_of_another_kind_is_never_replaced(run: Callable[..., tuple[int, str]]) -> None:
    """A misspelt path costs no file of the user; an empty file, as of `mktemp`, holds nothing to lose."""
    notes, empty = Path("notes.txt"), Path("empty.duckdb")
    notes.write_text("what nobody wants to lose")
    empty.touch()

    code, text = run("--publish", str(notes))

    assert (code, len(text.splitlines())) == (2, 1)
    assert "notes.txt exists and is no DuckDB file; name another one" in text
    assert notes.read_text() == "what nobody wants to lose"
    assert not FILE.exists()
    assert run("--publish", str(empty)) == (0, "")
    assert rows(empty) == 300


def test_run_waits_for_a_short_reader_of_its_file(
    serve: Serve, settings_for: SettingsFor, tenant: Tenant, hold_file: Callable[[float], int]
) -> None:
    """A program that has the file open delays the run, and does not break it."""
    settings = settings_for(serve(tenant), start_date=iso(END - timedelta(days=31)))
    sync(settings=settings)
    tenant.add(Call("77", started=END - timedelta(days=1)))
    holders: list[int] = []

    def hold_once(_progress: object) -> None:
        if not holders:
            holders.append(hold_file(1.0))

    result = sync(settings=settings, control=Control(on_progress=hold_once))

    assert (result.status, result.calls_changed, len(holders)) == ("done", 1, 1)
    assert rows(FILE) == 301


def test_file_that_stays_open_elsewhere_is_named_with_its_holder_and_loses_nothing(
    serve: Serve, settings_for: SettingsFor, tenant: Tenant, hold_file: Callable[[float], int]
) -> None:
    """After a few seconds the run gives up in one line; what it had fetched is loaded by the next one."""
    simulator = serve(tenant)
    settings = settings_for(simulator, start_date=iso(END - timedelta(days=31)))
    sync(settings=settings)
    tenant.add(Call("77", started=END - timedelta(days=1)))
    holders: list[int] = []

    def hold_once(_progress: object) -> None:
        if not holders:
            holders.append(hold_file(60.0))

    with pytest.raises(DestinationFailed) as failed:
        sync(settings=settings, control=Control(on_progress=hold_once))
    os.kill(holders[0], signal.SIGKILL)
    os.waitid(os.P_PID, holders[0], os.WEXITED | os.WNOWAIT)
    result = sync(settings=settings)

    assert "is open in another program" in str(failed.value)
    assert f"(PID {holders[0]})" in str(failed.value)
    assert len(str(failed.value).splitlines()) == 1
    assert "loaded what an earlier run had left in its working folder" in result.notes
    assert rows(FILE) == 301


@pytest.mark.parametrize(
    ("options", "ending"),
    [([], "the sync itself is done"), (["--max-requests", "3"], "is used up. Run the same command to continue")],
)
def test_a_run_whose_file_cannot_be_published_shows_its_result(
    serve: Serve,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    ending: str,
) -> None:
    """The folder of the copy vanishes during the run: exit code 1, both reasons, and the result of the run."""
    folder = Path("readers")
    folder.mkdir()

    def clock() -> float:
        shutil.rmtree(folder, ignore_errors=True)
        return time.time()

    simulator = serve(tenant, clock=clock)
    for name, value in {"ACCESS_KEY": "key", "ACCESS_KEY_SECRET": "secret", "BASE_URL": simulator.base_url}.items():
        monkeypatch.setenv(f"SOURCES__GONG__CREDENTIALS__{name}", value)
    monkeypatch.setenv("SOURCES__GONG__START_DATE", iso(END - timedelta(days=31)))

    code = main(["sync", "--json", "--publish", str(folder / "x.duckdb"), *options])
    out, err = capsys.readouterr()

    assert code == 1
    assert 0 < json.loads(out)["calls_received"] <= 300
    assert f"{ending}; but the file was not published: cannot write" in err


def test_publish_is_a_function_too(serve: Serve, settings_for: SettingsFor, tenant: Tenant) -> None:
    """A script publishes what a run of its own has loaded."""
    sync(settings=settings_for(serve(tenant), start_date=iso(END - timedelta(days=31))))
    left = Path(f".{PUBLISHED}.4711")
    left.write_text("the copy of a run that was killed")

    publish(PUBLISHED, Target())

    assert rows(PUBLISHED) == 300
    assert not left.exists()
