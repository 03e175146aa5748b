"""The command `gong-source` as its users run it: its output, its exit code, and, where that matters, its process."""

from __future__ import annotations

import base64
import gc
import json
import logging
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from conversations import public_tenant
from tenants import END, ONE_AT_A_TIME, QUARTER_BEGINS, days_ago, nine_windows, several_windows

from gong_source.cli.main import main
from gong_source.cli.progress import progress_line
from gong_source.cli.text import _program
from gong_source.runs.run import Progress
from gong_source.simulator import SMALL, Call, Fault, Tenant
from gong_source.warehouse import warehouse
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    Command = Callable[..., tuple[int, str, str]]

SECRET = "s3cr3t-of-the-key"


def environment_for(simulator: Simulator | None, **more: str) -> dict[str, str]:
    """The environment of a command: the simulator's address and key, a rate that slows no test down, and more."""
    prefix = "SOURCES__GONG__CREDENTIALS__"
    if simulator is None:
        return more
    return {
        f"{prefix}ACCESS_KEY": "key",
        f"{prefix}ACCESS_KEY_SECRET": simulator.settings.access_key_secret,
        f"{prefix}BASE_URL": simulator.base_url,
        "SOURCES__GONG__REQUESTS_PER_SECOND": "1000",
    } | more


def start_process(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Starts `gong-source` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "gong_source.cli", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process, which has its imports done; returns exit code, stdout and stderr."""

    def run(*arguments: str, simulator: Simulator | None = None, **environment: str) -> tuple[int, str, str]:
        thresholds = gc.get_threshold()
        with monkeypatch.context() as own:
            for name, value in environment_for(simulator, **environment).items():
                own.setenv(name, value)
            try:
                code = main(arguments)
            finally:
                gc.set_threshold(*thresholds)
        return code, *capsys.readouterr()

    return run


def tenant_of(calls: int) -> Tenant:
    """A tenant whose calls lie in the last 20 days."""
    return Tenant.generate(calls, start=END - timedelta(days=20), end=END, seed=calls)


QUARTER = {"SOURCES__GONG__START_DATE": iso(QUARTER_BEGINS)}


def loaded() -> int:
    """The number of rows in the table."""
    with duckdb.connect("gong_calls.duckdb") as connection:
        (count,) = connection.execute("select count(*) from gong.calls").fetchall()[0]
    return int(count)


class Gate:
    """A simulator's clock that stands still, and the simulator with it, from the first request until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> float:
        self.reached.set()
        self.opened.wait(60)
        return time.time()


def test_sync_json_is_one_object_with_the_promised_keys(serve: Serve) -> None:
    """Stdout holds one JSON object and nothing else, with what a scheduler needs to know."""
    simulator = serve(tenant_of(500))

    process = start_process("sync", "--json", **environment_for(simulator, SOURCES__GONG__START_DATE="2020-01-01"))
    out, err = process.communicate(timeout=120)

    result = json.loads(out)
    promised = {"command", "status", "calls_received", "requests", "windows", "watermark", "seconds"}
    assert process.returncode == 0
    assert promised <= result.keys()
    assert (result["command"], result["status"], result["calls_received"]) == ("sync", "done", 500)
    assert result["requests"] == len(simulator.requests)
    assert err == ""
    assert loaded() == 500
    assert [path.name for path in Path.cwd().iterdir()] == ["gong_calls.duckdb"]


def test_first_sync_without_a_start_date_says_so(serve: Serve, command: Command) -> None:
    """The range and how to change it are on stderr, the result is on stdout."""
    code, out, err = command("sync", simulator=serve(tenant_of(50)))

    assert code == 0
    assert "last 30 days" in err
    assert "50 calls received" in out


@pytest.mark.usefixtures("one_day")
def test_status_reads_the_warehouse_without_a_request_or_a_key(serve: Serve, command: Command) -> None:
    """All facts of `status` come from the warehouse."""
    simulator = serve(tenant_of(300))
    command("sync", simulator=simulator, SOURCES__GONG__START_DATE=iso(END - timedelta(days=20)))
    sent = len(simulator.requests)

    code, out, _ = command("status", "--json")
    text = command("status")[1]

    result = json.loads(out)
    assert code == 0
    assert (result["rows"], result["gaps"], result["unsettled"], result["requests_today"]) == (300, [], [], sent)
    assert result["watermark"] == result["covered"][0][1]
    assert result["lookback"][0] < result["watermark"] <= result["lookback"][1]
    assert result["last_run_mode"] == "sync"
    assert "300" in text
    assert len(simulator.requests) == sent


def test_status_tells_a_probe_whether_each_resource_is_current(serve: Serve, command: Command) -> None:
    """--max-age: exit 0 while all are current, else 3 with the old ones on stderr; a snapshot may be a day older."""
    simulator = serve(Tenant(users=2))
    both = {"SOURCES__GONG__RESOURCES": "calls,users"}
    empty = command("status", "--max-age", "6h", **both)
    assert command("sync", simulator=simulator, **both)[0] == 0
    current = command("status", "--max-age", "6h", **both)
    with duckdb.connect("gong_calls.duckdb") as connection:
        connection.execute("update gong.fetched_windows set fetched_at = fetched_at - interval 20 hours")
        connection.execute("update gong.fetched_windows set watermark = watermark - interval 20 hours")
    code, out, err = command("status", "--max-age", "6 hours", "--json", **both)

    assert (empty[0], empty[2]) == (3, "gong-source: calls: nothing is loaded yet; users: nothing is loaded yet\n")
    assert (current[0], current[2]) == (0, "")
    assert re.search(r"^calls +0 rows, current to \S+, [\d.]+ seconds? ago$", current[1], re.MULTILINE)
    assert re.search(r"^users +2 rows, current to \S+, [\d.]+ seconds? ago$", current[1], re.MULTILINE)
    assert (code, err) == (3, "gong-source: calls is 20 hours old, more than 6 hours\n")
    assert json.loads(out)["status"] == "incomplete"
    assert command("status", "--max-age", "soon")[::2] == (
        2,
        "gong-source: --max-age: 'soon' is not a duration; write it like 6h, 90 minutes or 1d 12h\n",
    )


def test_status_without_a_dataset_says_so(command: Command) -> None:
    """Before the first sync, status says that there is no dataset. That is no error, and no file is made."""
    code, out, _ = command("status")
    as_json = json.loads(command("status", "--json")[1])

    assert code == 0
    assert "there is no dataset gong in" in out
    assert (as_json["exists"], as_json["rows"]) == (False, 0)
    assert [*Path().iterdir()] == []


@pytest.mark.parametrize(
    ("calls", "expected"), [(120, "lists 120 calls"), (0, "the key may not see calls")], ids=["calls", "nothing"]
)
def test_check_sends_one_request_for_each_resource_and_says_what_the_key_sees(
    serve: Serve, command: Command, calls: int, expected: str
) -> None:
    """One request for each endpoint, plain words, nothing written."""
    simulator = serve(tenant_of(calls) if calls else Tenant())

    code, out, _ = command("check", simulator=simulator)

    assert code == 0
    assert expected in out
    paths = ["/v2/calls", "/v2/users", "/v2/workspaces", "/v2/calls/extensive", "/v2/calls/transcript"]
    assert [request.path for request in simulator.requests] == paths
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["sync"], {"SOURCES__GONG__START_DATE": "soon"}, "start_date: 'soon' is not a date"),
        (["sync", "--destination", "oracle"], {}, "unknown destination 'oracle'"),
        (["sync", "--dataset", "a b"], {}, "--dataset: 'a b'"),
        (["sync", "--pipeline-name", "gong"], {}, "choose another --dataset or file"),
        (["sync", "--dataset", "Gong_Calls"], {}, "choose another --dataset or file"),
        (["sync"], {"DESTINATION__DUCKDB__CREDENTIALS": "Gong.prod.duckdb"}, "choose another --dataset or file"),
        (["sync", "--dataset", "temp"], {}, "DuckDB keeps the schema temp for itself"),
        (["sync"], {"SOURCES__GONG__CREDENTIALS__ACCESS_KEY": " "}, "Gong's access_key is empty"),
        (["sync"], {"SOURCES__GONG__CREDENTIALS": '["key", "secret"]'}, "not a JSON object with access_key"),
        (
            ["sync"],
            {"LOAD__RAISE_ON_FAILED_JOBS": "false"},
            "load.raise_on_failed_jobs = false: records that could not",
        ),
        (
            ["sync"],
            {"NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_ID": "true"},
            "add_dlt_id = true: the tables have their own keys",
        ),
        (["sync"], {"SOURCES__GONG__CREDENTIALS__BASE_URL": "http://gong.example"}, "unencrypted"),
        (["sync"], {"SOURCES__GONG__LOOKBACK_DAYS": "-1"}, "lookback_days"),
        (["sync"], {"SOURCES__GONG__REQUESTS_PER_SECOND": "0"}, "requests_per_second"),
        (["backfill", "--from", "2026-02-01", "--to", "2026-01-01"], {}, "must lie before --to"),
        (["backfill", "--from", "x"], {}, "--from: 'x' is not a date"),
        (["sync", "--resources", "calls,user"], {}, "transcripts, or all; did you mean users?"),
        (["sync", "--resources", "all,calls"], {}, "resources: all stands alone"),
        (["sync"], {"SOURCES__GONG__RESOURCES": "[]"}, "resources: the list is empty"),
        (["sync"], {"SOURCES__GONG__SNAPSHOT_HOURS": "-1"}, "snapshot_hours: -1 must lie between 0"),
        (["sync", "--destination", "duckdbb"], {}, "did you mean duckdb?"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(
    serve: Serve, command: Command, arguments: list[str], environment: dict[str, str], message: str
) -> None:
    """Wrong usage is reported in one line before any request or write."""
    simulator = serve(Tenant())

    code, out, err = command(*arguments, simulator=simulator, **environment)

    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert simulator.requests == []


def test_dlts_own_progress_keeps_off_the_result(serve: Serve, command: Command) -> None:
    """Stdout is for results, also if the user switched on dlt's progress."""
    _, out, _ = command("sync", "--json", simulator=serve(tenant_of(10)), PROGRESS="log")

    assert json.loads(out)["status"] == "done"


@pytest.mark.parametrize("arguments", [["sync", "--json"], ["status", "--json"], ["check", "--json"]])
def test_broken_toml_is_one_clear_line(arguments: list[str]) -> None:
    """A configuration that cannot be read is wrong usage, whatever the command."""
    Path(".dlt").mkdir()
    Path(".dlt/config.toml").write_text("[sources.gong")

    code, out, err = run_in_process(*arguments)

    assert code == 2
    assert json.loads(out)["error"] == "ConfigurationError"
    assert "config.toml" in err
    assert len(err.strip().splitlines()) == 1


def test_key_as_one_json_object(serve: Serve, command: Command) -> None:
    """The credentials can be one JSON object, as for dlt's own destinations."""
    simulator = serve(tenant_of(10), access_key_secret=SECRET)
    credentials = {"access_key": " key ", "access_key_secret": SECRET, "base_url": simulator.base_url}

    code, out, _ = command("check", SOURCES__GONG__CREDENTIALS=json.dumps(credentials))

    assert code == 0
    assert "lists 10 calls" in out


def test_empty_workspace_is_none(serve: Serve, command: Command) -> None:
    """An unset variable arrives as empty text: all workspaces."""
    simulator = serve(tenant_of(20))
    empty = {"SOURCES__GONG__WORKSPACE_ID": " "}
    code, out, _ = command("sync", "--json", "--resources", "calls,transcripts", simulator=simulator, **empty)

    assert code == 0
    assert json.loads(out)["resources"]["transcripts"]["asked"] > 0
    assert json.loads(command("status", "--json")[1])["rows"] == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "--accept-deletions"], "--accept-deletions needs --repair"),
        (["backfill", "--plan", "--from", "2026-01", "--max-requests", "5"], "leave out --publish and --max-requests"),
        (
            ["backfill", "--plan", "--from", "2026-01", "--publish", "x.duckdb"],
            "leave out --publish and --max-requests",
        ),
    ],
)
def test_option_without_effect_is_refused(
    command: Command, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """An option that could do nothing is wrong usage."""
    with pytest.raises(SystemExit) as left:
        command(*arguments)
    assert left.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["status", "--max-age", ""], ["backfill", "--from", "2026-01", "--to", ""], ["verify", "--from", ""]]
)
def test_empty_time_is_refused(serve: Serve, command: Command, arguments: list[str]) -> None:
    """A variable that is not set in a script must not choose another range."""
    code, _, err = command(*arguments, simulator=serve(Tenant()))
    assert code == 2
    assert "''" in err


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lookback_days", "abc", "lookback_days: 'abc' is not a number"),
        ("daily_request_budget", "1.5", "daily_request_budget: '1.5' is not a whole number"),
    ],
)
@pytest.mark.parametrize("arguments", ["status", "sync"])
def test_setting_of_a_wrong_type_is_one_clear_line(
    command: Command, serve: Serve, arguments: str, name: str, value: str, message: str
) -> None:
    """Also for a command that needs no key."""
    code, _, err = command(arguments, simulator=serve(Tenant()), **{f"SOURCES__GONG__{name.upper()}": value})

    assert (code, err) == (2, f"gong-source: {message}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["sync", "--max-requests", "0"],
        ["sync", "--max-requests", "many"],
        ["demo", "--calls", "-5"],
        ["simulate", "--port", "99999"],
        ["simulate", "--port", "http"],
        ["simulate", "--calls", "-1"],
        ["simulate", "--fault", "status,status=abc"],
    ],
)
def test_number_out_of_bounds_is_wrong_usage(
    command: Command, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A number that makes no sense is reported with the option's name."""
    with pytest.raises(SystemExit) as left:
        command(*arguments)

    assert left.value.code == 2
    error = capsys.readouterr().err
    assert f"argument {arguments[1]}: " in error
    assert "number" in error


def test_unknown_time_zone_of_the_simulator_is_reported(command: Command) -> None:
    """An unknown time zone of the simulator is reported."""
    code, _, err = command("simulate", "--time-zone", "Mars/Base")

    assert code == 2
    assert "Mars/Base" in err


def test_budget_too_small_for_a_window_is_reported(serve: Serve, command: Command) -> None:
    """The message says that a larger budget is needed, because the same command would end in the same place."""
    code, _, err = command("sync", "--max-requests", "1", simulator=serve(nine_windows(3)), **QUARTER)

    assert code == 4
    assert "this run's budget was too small to load anything: allow it more requests" in err


def test_budget_too_small_to_compare_is_reported(serve: Serve, command: Command) -> None:
    """A verification loads nothing, so its message speaks of comparing."""
    simulator = serve(tenant_of(300))
    assert command("sync", simulator=simulator, **QUARTER)[0] == 0
    simulator.tenant.delete(next(iter(simulator.tenant.calls)))
    code, _, err = command("verify", "--max-requests", "1", simulator=simulator, **QUARTER)

    assert code == 4
    assert "this run's budget was too small to compare anything: allow it more requests" in err


def test_budget_that_was_enough_for_one_resource_is_just_used_up(serve: Serve, command: Command) -> None:
    """Calls were loaded and users were not: the same command goes on."""
    simulator = serve(Tenant.generate(150, start=days_ago(20), end=END, seed=1, users=150))
    code, _, err = command("sync", "--resources", "calls,users", "--max-requests", "3", simulator=simulator, **QUARTER)

    assert code == 4
    assert "this run's budget of 3 requests is used up. Run the same command to continue" in err
    assert "too small" not in err


def test_verification_without_a_request_left_is_mentioned(serve: Serve, command: Command) -> None:
    """A sync that has used up its budget says that the last days were not verified."""
    simulator = serve(tenant_of(50))
    code, _, err = command("sync", "--verify-days", "7", "--max-requests", "1", simulator=simulator, **QUARTER)

    assert code == 0
    assert "the last days were not verified: this run's budget of requests is used up" in err


@pytest.mark.parametrize("arguments", [["status"], ["sync"]])
def test_file_that_is_no_database_is_left_alone(serve: Serve, command: Command, arguments: list[str]) -> None:
    """A file of another kind is not overwritten; the error says what to do."""
    file = Path("gong_calls.duckdb")
    file.write_bytes(b"no database" * 1000)
    code, _, err = command(*arguments, simulator=serve(Tenant()))

    assert code == 1
    assert err.endswith("is not a valid DuckDB database file. Move it away, or choose another file\n")
    assert file.read_bytes() == b"no database" * 1000


def test_report_and_copy_need_two_files(serve: Serve, command: Command) -> None:
    """One would replace the other."""
    both = ("--report", "x.html", "--publish", "x.html")
    code, _, err = command("sync", *both, simulator=serve(tenant_of(5)))

    assert (code, err) == (2, "gong-source: --report and --publish name the same file\n")


def test_transcripts_without_calls_say_what_is_missing(serve: Serve, command: Command) -> None:
    """Nothing can be due where no calls are stored, so the run says to choose calls too."""
    code, _, err = command("sync", "--resources", "transcripts", simulator=serve(tenant_of(5)))

    assert code == 0
    assert "no calls are loaded, so there is nothing to ask for: choose the resource calls too" in err


def test_refresh_that_a_budget_ended_begins_anew(serve: Serve, command: Command) -> None:
    """The message does not promise that the same command goes on."""
    simulator = serve(tenant_of(900))
    begin = ("--from", iso(days_ago(30)))
    code, _, err = command("backfill", *begin, "--refresh", "--max-requests", "5", simulator=simulator)

    assert code == 4
    assert "used up. With --refresh the same command begins anew: choose a shorter range" in err


def test_sync_of_a_workspace_that_gong_does_not_know(serve: Serve, command: Command) -> None:
    """Gong answers as if the workspace had no calls; the result names that among the reasons."""
    code, out, _ = command("sync", "--workspace-id", "999", simulator=serve(tenant_of(10)))

    assert code == 0
    assert "Gong listed no call. There may be none in this range, the key may not see calls, or workspace_id" in out


def run_in_process(*arguments: str, **streams: Any) -> tuple[int, str, str]:
    """Runs a command as a process of its own, in this folder."""
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    ran = subprocess.run([sys.executable, "-m", "gong_source.cli", *arguments], check=False, text=True, **piped)
    return ran.returncode, ran.stdout or "", ran.stderr or ""


def test_full_disk_behind_stdout_is_no_traceback() -> None:
    """A full disk behind stdout is reported in one line."""
    with Path("/dev/full").open("w") as full:
        code, _, err = run_in_process("status", "--json", stdout=full)

    assert code == 1
    assert len(err.strip().splitlines()) == 1
    assert "the command has ended, but its result cannot be written to stdout: No space left on device" in err


def test_closed_standard_error_stops_nothing(serve: Serve) -> None:
    """A run with a closed stderr still loads."""
    environment = {**os.environ, **environment_for(serve(tenant_of(10)))}

    ran = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m gong_source.cli sync --json 2>&-"],
        env=environment,
        capture_output=True,
        check=False,
        text=True,
    )

    assert (ran.returncode, json.loads(ran.stdout)["status"]) == (0, "done")
    assert loaded() == 10


@pytest.mark.parametrize(
    ("arguments", "code"), [((), 2), (("2026-01-01",), 2), (("x", "y"), 2), (("2026-02-01", "2026-01-01"), 2)]
)
def test_script_of_a_backfill_refuses_what_the_command_refuses(arguments: tuple[str, ...], code: int) -> None:
    """Usage and dates, with the command's exit code and without a traceback."""
    script = Path(__file__).parents[2] / "pipelines" / "backfill.py"

    ran = subprocess.run([sys.executable, script, *arguments], check=False, capture_output=True, text=True)

    assert ran.returncode == code
    assert "Traceback" not in ran.stderr


def test_missing_key_names_the_settings_to_set(command: Command) -> None:
    """Without credentials the one line says which names to set."""
    code, _, err = command("sync")

    assert code == 2
    assert "SOURCES__GONG__CREDENTIALS__ACCESS_KEY" in err
    assert "secrets.toml" in err


def test_wrong_key_fails_without_a_retry_and_names_the_causes(serve: Serve, command: Command) -> None:
    """A 401 is reported with Gong's text, its request id and what to check; exit code 1."""
    simulator = serve(Tenant())

    code, out, err = command(
        "sync", "--json", simulator=simulator, SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET="wrong-one"
    )

    assert code == 1
    assert json.loads(out)["status"] == "failed"
    assert "Validate credentials failed" in err
    assert "base_url" in err
    assert simulator.requests[-1].request_id in err
    assert len(simulator.requests) == 1


def test_no_network_is_one_clear_line(command: Command) -> None:
    """A host that does not answer ends in one line that names it."""
    code, _, err = command(
        "check",
        SOURCES__GONG__CREDENTIALS__ACCESS_KEY="key",
        SOURCES__GONG__CREDENTIALS__ACCESS_KEY_SECRET=SECRET,
        SOURCES__GONG__CREDENTIALS__BASE_URL="http://127.0.0.1:9",
        SOURCES__GONG__MAX_WAIT_SECONDS="1",
    )

    assert code == 1
    assert "127.0.0.1:9" in err
    assert "ConnectionRefused" in err


@contextmanager
def opened_by_another(*, read_only: bool) -> Iterator[int]:
    """Another program keeps the DuckDB file open; yields its PID."""
    code = f"import duckdb; c = duckdb.connect('gong_calls.duckdb', {read_only}); print(1, flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield holder.pid
        holder.communicate("")


def test_what_only_reads_takes_the_file_beside_readers(
    serve: Serve, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status and a plan need a file that can be read; they wait for no dashboard."""
    monkeypatch.setattr(warehouse, "_PATIENCE_SECONDS", 0.0)
    simulator = serve(tenant_of(100))
    assert command("sync", simulator=simulator)[0] == 0

    with opened_by_another(read_only=True):
        shown = command("status", "--json")[:2]
        planned = command("backfill", "--plan", "--from", iso(END - timedelta(days=60)), simulator=simulator)[0]
        refused = command("sync", simulator=simulator)[0]

    assert (shown[0], json.loads(shown[1])["rows"]) == (0, 100)
    assert (planned, refused) == (0, 1)


def test_locked_file_names_the_holder(serve: Serve, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another program has the DuckDB file open, the error names its PID; the next sync loses nothing."""
    monkeypatch.setattr(warehouse, "_PATIENCE_SECONDS", 0.0)
    simulator = serve(tenant_of(100))
    with opened_by_another(read_only=False) as pid:
        code, _, err = command("sync", simulator=simulator)
    after, out, _ = command("sync", simulator=simulator)

    assert code == 1
    assert f"PID {pid}" in err
    assert (after, "100 calls received" in out) == (0, True)


def test_file_open_in_another_container(serve: Serve, command: Command) -> None:
    """DuckDB then knows neither name nor PID of the program; a run still waits, and says what is wrong."""
    alone = ["unshare", "--pid", "--fork", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("processes may not be unshared here")
    simulator = serve(tenant_of(10))
    assert command("sync", simulator=simulator)[0] == 0

    with opened_by_another(read_only=True):
        ran = subprocess.run(
            [*alone, sys.executable, "-m", "gong_source.cli", "sync"],
            env={**os.environ, **environment_for(simulator)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert ran.returncode == 1
    assert "is open in another program, outside of this container" in ran.stderr


def test_folder_that_cannot_be_written_is_one_clear_line(serve: Serve, command: Command) -> None:
    """The path and the reason, exit code 1."""
    code, _, err = command(
        "sync", simulator=serve(Tenant()), DESTINATION__DUCKDB__CREDENTIALS="/proc/nowhere/gong_calls.duckdb"
    )

    assert code == 1
    assert "/proc/nowhere" in err


def test_second_run_at_the_same_time_ends_and_names_the_first(serve: Serve, command: Command) -> None:
    """The second of two runs ends at once, names the first one's PID and sends nothing; the first is not disturbed."""
    gate = Gate()
    simulator = serve(tenant_of(300), clock=gate)
    first = start_process("sync", **environment_for(simulator))
    assert gate.reached.wait(60)

    code, _, err = command("backfill", "--from", "2026-01-01", simulator=simulator)
    gate.opened.set()
    out, _ = first.communicate(timeout=60)

    assert code == 1
    assert f"gong-source sync (PID {first.pid}" in err
    assert "300 calls received" in out


def test_interrupt_loads_what_was_fetched(serve: Serve, command: Command) -> None:
    """SIGTERM ends the run soon, with exit code 143 and the finished windows loaded; the next run loads the rest."""
    unanswered = Fault(kind="slow", seconds=3600.0, numbers=range(60, 999))
    simulator = serve(several_windows(), faults=(unanswered,))
    budget = ("--max-requests", str(ONE_AT_A_TIME))
    process = start_process("sync", "--json", *budget, **environment_for(simulator, **QUARTER))
    while len(simulator.requests) < 60:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)

    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    saved = loaded()
    simulator.faults = []
    code, rest, _ = command("sync", "--json", simulator=simulator, **QUARTER)

    stopped = json.loads(out)
    assert process.returncode == 143
    assert stopped["status"] == "paused"
    assert 0 < stopped["calls_received"] == saved < 15_000
    assert code == 0
    assert json.loads(rest)["calls_received"] >= 15_000 - saved
    assert loaded() == 15_000


def test_second_signal_of_another_kind_ends_the_run_at_once(serve: Serve) -> None:
    """After SIGINT, a SIGTERM kills the run, however long Gong takes to answer."""
    simulator = serve(nine_windows())
    with start_process("sync", **environment_for(simulator, **QUARTER)) as first:
        assert first.wait(60) == 0
    simulator.reset_requests()
    simulator.faults = [Fault(kind="slow", seconds=3600.0)]
    with start_process("verify", **environment_for(simulator, **QUARTER)) as process:
        assert process.stderr is not None
        while not simulator.requests:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)

        process.send_signal(signal.SIGINT)
        while "Stopping" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)

        assert process.wait(60) == -signal.SIGTERM


def test_interrupt_while_a_sync_verifies_is_told_by_the_exit_code(serve: Serve) -> None:
    """What was loaded stays loaded; the exit code is that of the signal."""
    tenant = nine_windows()
    simulator = serve(tenant)
    with start_process("sync", **environment_for(simulator, **QUARTER)) as first:
        assert first.wait(60) == 0
    tenant.delete([*tenant.calls][-1])
    simulator.reset_requests()
    simulator.faults = [Fault(kind="slow", seconds=3.0, numbers=[2])]

    process = start_process("sync", "--json", "--verify-days", "90", **environment_for(simulator, **QUARTER))
    while len(simulator.requests) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)

    result = json.loads(out)
    assert process.returncode == 143
    assert (result["status"], result["resources"]["calls"]["status"]) == ("paused", "done")


def test_exhausted_quota_is_exit_code_4_with_the_time_to_come_back(serve: Serve, command: Command) -> None:
    """A Retry-After of hours ends the run at once, and says when to run again."""
    fault = Fault(kind="status", status=429, retry_after=21_600, numbers=range(60, 999))
    simulator = serve(several_windows(), faults=(fault,))

    budget = ("--max-requests", str(ONE_AT_A_TIME))
    code, out, err = command("sync", "--json", *budget, simulator=simulator, **QUARTER)

    result: dict[str, Any] = json.loads(out)
    assert code == 4
    assert result["status"] == "paused"
    assert result["retry_at"] in err
    assert [request.status for request in simulator.requests] == [200] * 59 + [429]
    assert 0 < result["calls_received"] == loaded() < 15_000


def test_default_rate_is_three_requests_a_second(serve: Serve) -> None:
    """Without a setting the requests reach the server at that rate; `test_fetch` holds every single second to it."""
    simulator = serve(nine_windows(2))
    environment = environment_for(simulator, **QUARTER)
    del environment["SOURCES__GONG__REQUESTS_PER_SECOND"]

    process = start_process("sync", **environment)
    process.communicate(timeout=120)

    assert process.returncode == 0
    assert len(simulator.requests) == 14
    # that is 13 thirds of a second, less what the first may have come late
    assert simulator.requests[-1].at - simulator.requests[0].at > 3.6


def test_no_secret_in_any_output_or_file(
    serve: Serve, command: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The secret is in no output at debug level, no database and no working file, whether runs succeed or fail."""
    caplog.set_level(logging.DEBUG)
    gate = Gate()
    simulator = serve(tenant_of(300), access_key_secret=SECRET, clock=gate)
    killed = start_process("sync", "--log-level", "debug", **environment_for(simulator))
    assert gate.reached.wait(60)
    killed.kill()
    outputs = [*killed.communicate()]
    gate.opened.set()
    whole = start_process("sync", "--log-level", "debug", **environment_for(simulator))
    outputs += whole.communicate(timeout=120)
    codes = []
    for fault in (Fault(kind="record_without_id"), Fault(kind="status", status=400, text="no")):
        simulator.faults = [fault]
        code, *output = command("sync", "--log-level", "debug", simulator=simulator)
        codes.append(code)
        outputs += output

    needles = [SECRET.encode(), base64.b64encode(f"key:{SECRET}".encode())]
    assert (whole.returncode, codes) == (0, [1, 1])
    assert "/v2/calls" in caplog.text
    assert "/v2/calls" in outputs[3]
    for text in (*outputs, caplog.text):
        assert not any(needle in text.encode() for needle in needles)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        assert not any(needle in path.read_bytes() for needle in needles), path


def test_demo_shows_results_and_the_next_step(command: Command) -> None:
    """Without a key: a file with calls, real query results, and what to do next."""
    code, out, _ = command("demo", "--calls", "400")

    assert code == 0
    assert "400 calls" in out
    assert "Conference" in out
    assert "gong-source check" in out
    with duckdb.connect("gong_demo.duckdb") as connection:
        assert connection.execute("select count(*) from gong.calls").fetchall() == [(400,)]


def test_demo_is_the_same_whatever_its_user_has_set(command: Command) -> None:
    """Settings, budgets and the file of the user's own tenant do not concern it."""
    own = {
        "DESTINATION__DUCKDB__CREDENTIALS": "mine.duckdb",
        "SOURCES__GONG__WORKSPACE_ID": "123",
        "SOURCES__GONG__DAILY_REQUEST_BUDGET": "3",
        "SOURCES__GONG__DELETED_CALLS": "remove",
    }
    code, out, _ = command("demo", "--calls", "30", **own)

    assert code == 0
    assert "30 calls" in out
    assert "GONG_DEMO__DESTINATION__DUCKDB__CREDENTIALS" not in os.environ
    assert sorted(path.name for path in Path().glob("*.duckdb")) == ["gong_demo.duckdb"]


def test_demo_names_programs_as_the_shell_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name alone where the shell finds the same program, else by the path from the current folder."""
    programs = Path(".venv/bin")
    programs.mkdir(parents=True)
    for name in ("python", "gong-source"):
        (programs / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(programs.absolute() / "python"))

    monkeypatch.setenv("PATH", str(tmp_path))
    assert (_program("python"), _program("gong-source")) == (".venv/bin/python", ".venv/bin/gong-source")
    monkeypatch.setenv("PATH", str(programs.absolute()))
    assert (_program("python"), _program("gong-source")) == ("python", "gong-source")


def test_workspace_that_gong_does_not_list_is_named(serve: Serve, command: Command) -> None:
    """`check` says which workspaces there are; `status` counts the rows of the workspace that is asked for."""
    tenant = Tenant.generate(40, start=days_ago(6), end=END, seed=5, workspaces=2)
    simulator = serve(tenant)
    one = tenant.workspace_ids[0]
    own = sum(tenant.served(call_id)["workspaceId"] == one for call_id in tenant.calls)

    code, out, _ = command("check", "--workspace-id", "abc", simulator=simulator)
    right, _, _ = command("check", "--workspace-id", one, simulator=simulator)
    command("sync", simulator=simulator)
    counted = [
        json.loads(command("status", "--json", *options)[1])["resources"]["calls"]["rows"]
        for options in ((), ("--workspace-id", one), ("--workspace-id", "999"))
    ]

    assert (code, right) == (3, 0)
    assert "Gong lists no workspace abc; there is " in out
    assert all(workspace in out for workspace in tenant.workspace_ids)
    assert counted == [40, own, 0]


def test_help_imports_nothing_heavy() -> None:
    """`--help` and the package's import cost no dlt, duckdb, pyarrow, requests or pendulum."""
    heavy = {"dlt", "duckdb", "pyarrow", "requests", "pendulum", "rich"}
    for code in ("import gong_source", "from gong_source.cli.parser import build_parser; build_parser().format_help()"):
        loaded = subprocess.run(
            [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert not heavy & set(loaded.stdout.split())


@pytest.mark.parametrize("chosen", [None, "true"])
def test_telemetry_is_off_unless_its_user_switches_it_on(serve: Serve, chosen: str | None) -> None:
    """A run starts no thread of dlt's telemetry, unless the user's own setting says so."""
    code = """
import threading
from gong_source import sync
from dlt.common.runtime import anon_tracker
assert sync().status == "done"
print(anon_tracker._ANON_TRACKER_ENDPOINT is not None, anon_tracker._THREAD_POOL is not None)
"""
    environment = environment_for(serve(Tenant()), RUNTIME__DLTHUB_TELEMETRY_ENDPOINT="http://127.0.0.1:9")
    environment |= {"RUNTIME__DLTHUB_TELEMETRY": chosen} if chosen else {}

    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )

    assert ran.stdout.split()[-1] == str(chosen == "true")


def test_misspelt_settings_get_a_warning(serve: Serve) -> None:
    """A name that nothing reads is reported with the nearest known one, from the environment and from toml files."""
    Path(".dlt").mkdir()
    Path(".dlt/config.toml").write_text("[sources.gong]\nlookbak_days = 3\n[sources.gong.calls]\nx = 1\n")
    Path(".dlt/secrets.toml").write_text("[sources.gong.credentials]\nacces_key = 'k'\n")
    names = {"SNAPSHOT_HOUR": "3", "CREDENTIALS__BASE_ULR": "http://x", "SCHEMA_CONTRACT": "evolve"}
    environment = {f"SOURCES__GONG__{name}": value for name, value in names.items()}

    arguments = ("sync", "--resources", "workspaces")
    process = start_process(*arguments, **environment_for(serve(Tenant()), **environment))
    _, err = process.communicate(timeout=120)

    assert process.returncode == 0
    assert [line.partition("unknown setting ")[2] for line in err.splitlines() if "unknown setting" in line] == [
        "sources.gong.credentials.acces_key, it has no effect; did you mean access_key?",
        "SOURCES__GONG__CREDENTIALS__BASE_ULR, it has no effect; did you mean BASE_URL?",
        "sources.gong.lookbak_days, it has no effect; did you mean lookback_days?",
        "SOURCES__GONG__SNAPSHOT_HOUR, it has no effect; did you mean SNAPSHOT_HOURS?",
    ]


@pytest.mark.parametrize("module", ["argparse", "gong_source.cli.parser", "dlt", "duckdb"])
def test_ctrl_c_before_the_run_is_one_line(module: str) -> None:
    """An interrupt while a command still imports its modules ends with exit code 130, without a traceback."""
    code = f"""
import importlib.abc, sys
class Interrupted(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.modules.pop({module!r}, None)
sys.meta_path.insert(0, Interrupted())
sys.argv = ["gong-source", "status"]
from gong_source.cli.__main__ import main
sys.exit(main())
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (process.returncode, process.stdout, process.stderr) == (130, "", "gong-source: interrupted\n")


def test_resources_option_chooses_what_is_loaded(serve: Serve, command: Command) -> None:
    """`--resources` comes before the setting, in every command that takes it."""
    simulator = serve(Tenant(users=3))

    code, out, _ = command("sync", "--json", "--resources", "users,workspaces", simulator=simulator)
    status = command("status", "--json", "--resources", "workspaces")[1]
    verified = command("verify", "--resources", "users", simulator=simulator)[1]

    assert code == 0
    assert json.loads(out)["resources"]["users"]["received"] == 3
    assert {request.path for request in simulator.requests} == {"/v2/users", "/v2/workspaces"}
    assert list(json.loads(status)["resources"]) == ["workspaces"]
    assert "users: clean. Gong lists 3 users and the warehouse has all of them" in verified


@pytest.mark.parametrize(
    ("to_come", "exact", "left", "shown"),
    [
        (None, False, 9963, "calls: 1,200; 37 requests (2.5 of 3 per second), 9,963 left today"),
        (
            18_800,
            False,
            9963,
            "calls: 1,200 of about 20,000 (6%), about 1 minute 15 seconds left;"
            " 37 requests (2.5 of 3 per second), 9,963 left today",
        ),
        (
            0,
            True,
            1,
            "calls: 1,200 of 1,200 (100%), about 0 seconds left; 37 requests (2.5 of 3 per second), 1 left today",
        ),
        (
            18_800,
            True,
            5,
            "calls: 1,200 of 20,000 (6%), more than today's requests allow;"
            " 37 requests (2.5 of 3 per second), 5 left today",
        ),
    ],
)
def test_progress_says_how_much_and_how_long(to_come: int | None, exact: bool, left: int, shown: str) -> None:
    """Records of the total, marked "about" while it is estimated, the time left, requests used and left."""
    pages = None if to_come is None else to_come / 100
    assert "calls: comparing counts; 37 requests" in progress_line(
        Progress("calls", None, None, None, exact, 0, 37, left, 2.5, 3.0)
    )
    assert progress_line(Progress("calls", 1200, to_come, pages, exact, 3, 37, left, 2.5, 3.0)) == shown


def test_progress_on_a_terminal_has_total_and_time_left(serve: Serve, own_place: Path) -> None:
    """From the first seconds on: a bar, percent, the total, requests left of the day, and the time left."""
    tenant = Tenant.generate(4000, start=days_ago(100), end=END, seed=3)
    environment = environment_for(serve(tenant), COLUMNS="160", TERM="xterm") | {
        "SOURCES__GONG__START_DATE": iso(days_ago(100)),
        "SOURCES__GONG__REQUESTS_PER_SECOND": "15",
    }
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gong_source.cli", "sync"],
        env=os.environ | environment,
        cwd=own_place,
        stdout=subprocess.DEVNULL,
        stderr=other_end,
    )
    os.close(other_end)
    shown = b""
    with suppress(OSError):  # Linux's way to say that the other end is closed
        while data := os.read(terminal, 65536):
            shown += data
    os.close(terminal)

    assert process.wait() == 0
    text = shown.decode()
    first = re.search(r"calls: ([\d,]+) of ([\d,]+) \(\d+%\), about [\w. ]+ left; [\d,]+ requests", text)
    assert first is not None
    assert int(first[1].replace(",", "")) < 2000
    assert first[2] == "4,000", "one window, so Gong has counted all"
    assert re.search(r"9,9\d\d left today", text)


def test_check_says_when_two_lists_of_calls_differ(serve: Serve, command: Command) -> None:
    """Gong may file a web conference by its schedule in one list, and by its start in the other."""
    tenant = tenant_of(30)
    now = datetime.now(UTC)
    times = {"scheduled": now - timedelta(days=29), "started": now - timedelta(days=31)}
    tenant.add(Call("1", fields={"direction": "Conference"}, **times))
    code, out, _ = command("check", simulator=serve(tenant))
    assert code == 0
    assert "Gong counts 31 calls in its list of calls, but 30 in its list with details" in out
    assert "its list of calls" not in command("check", simulator=serve(tenant_of(30)))[1]


def test_check_shows_one_line_for_each_resource(serve: Serve, command: Command) -> None:
    """Records, or the scope that is missing; a chosen resource without its scope makes the check incomplete."""
    simulator = serve(tenant_of(30), scopes=frozenset({"api:calls:read:basic", "api:workspaces:read"}))

    default = command("check", simulator=simulator)
    several = command("check", "--resources", "calls,users", simulator=simulator)
    only = command("check", "--resources", "users", simulator=simulator)
    as_json = json.loads(command("check", "--json", simulator=simulator)[1])

    assert default[0] == 0
    lines = {line.split()[0]: line for line in default[1].splitlines()[1:]}
    assert "Gong lists 30 calls in the last 30 days" in lines["calls"]
    assert "the key lacks the scope api:users:read" in lines["users"]
    assert "(not chosen)" in lines["users"]
    assert "Gong lists 1 workspace" in lines["workspaces"]
    assert several[0] == 3
    assert "the key lacks api:users:read" in several[1]
    assert only[0] == 1
    assert "api:users:read" in only[2]
    assert as_json["calls"] == 30
    assert {part["name"]: part["granted"] for part in as_json["resources"]} == {
        "calls": True,
        "call_details": False,
        "call_content": False,
        "transcripts": False,
        "users": False,
        "workspaces": True,
    }


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["synk"], "did you mean sync?"),
        (["sync", "--destinaton", "duckdb"], "did you mean --destination?"),
        (["sync", "--destinaton=duckdb"], "did you mean --destination?"),
        (["verify", "--repare"], "did you mean --repair?"),
        (["frobnicate"], "see gong-source --help"),
        (["sync", "--dest", "duckdb"], "unrecognized arguments: --dest"),
        (["sync", "--max-requests", "0"], "'0' is not a whole number of at least 1"),
    ],
)
def test_misspelt_commands_and_options(arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The nearest command or option is named, with the usage of that command; nothing is guessed."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert hint in error
    assert f"usage: gong-source{' ' + arguments[0] if len(arguments) > 1 else ''}" in error


def test_dates_are_in_the_setting_time_zone(serve: Serve, command: Command) -> None:
    """`--from` and `--to` take months and words; without an offset they are in `time_zone`."""
    simulator = serve(Tenant())

    code, _, _ = command(
        *("backfill", "--from", "2026-01", "--to", "2026-02-01"),
        simulator=simulator,
        SOURCES__GONG__TIME_ZONE="Europe/Berlin",
    )
    unknown = command("sync", simulator=simulator, SOURCES__GONG__TIME_ZONE="Europe/Berln")

    asked = simulator.requests[0].query
    assert code == 0
    assert (asked["fromDateTime"], asked["toDateTime"]) == ("2025-12-31T23:00:00Z", "2026-01-31T23:00:00Z")
    assert unknown[0] == 2
    assert "did you mean Europe/Berlin" in unknown[2]


def test_plan_of_content_alone_says_what_it_takes(command: Command, serve: Serve) -> None:
    """The calls are there, their transcripts are not: the plan counts these."""
    simulator = serve(Tenant.generate(150, start=days_ago(9), end=days_ago(1), seed=3, content=SMALL))
    assert command("backfill", "--from", iso(days_ago(10)), simulator=simulator)[0] == 0
    plan = ("backfill", "--from", iso(days_ago(10)), "--to", iso(days_ago(1)), "--plan", "--resources")

    code, out, _err = command(*plan, "transcripts", simulator=simulator)
    assert (code, "transcripts: 2 requests" in out) == (0, True)
    assert command(*plan, "calls", simulator=simulator)[1].startswith("nothing to do: the range is loaded already")


def test_rows_of_a_load_that_did_not_finish_are_told(command: Command, serve: Serve) -> None:
    """`status` does not say that nothing is loaded where there are rows."""
    simulator = serve(public_tenant(250))
    chosen = ("--resources", "calls,transcripts")
    assert command("sync", *chosen, "--max-requests", "5", simulator=simulator)[0] == 4

    out = command("status", *chosen, "--max-age", "6h", simulator=simulator)
    assert re.search(r"transcripts +\d+ rows, but no sync has finished yet", out[1])
    assert "transcripts: no sync has finished yet" in out[2]


def test_resources_without_a_list_of_calls_are_not_called_up_to_date(command: Command, serve: Serve) -> None:
    """Where the list failed, nobody knows which calls are due; the summary says what was not loaded."""
    simulator = serve(tenant_of(5), faults=(Fault(kind="status", status=400, text="no", path="/v2/calls"),))

    code, out, err = command("sync", "--resources", "calls,transcripts", simulator=simulator)

    assert code == 1
    assert "calls: nothing loaded; the error message says why" in out
    assert "transcripts: no stored call is due" in out
    assert "answered 400" in err


def test_a_sync_that_lacks_one_scope_verifies_all_the_same(command: Command, serve: Serve) -> None:
    """What was loaded is compared, the exit code is that of the sync, and all requests are written down."""
    simulator = serve(tenant_of(5), scopes=frozenset({"api:calls:read:basic"}))
    environment = {"SOURCES__GONG__VERIFY_DAYS": "5"}

    code, out, _err = command("sync", "--json", "--resources", "calls,users", simulator=simulator, **environment)

    result = json.loads(out)
    assert (code, result["status"], result["verification"]["outcome"]) == (3, "incomplete", "clean")
    assert "interrupted" not in result["resources"]["calls"]
    with duckdb.connect("gong_calls.duckdb") as connection:
        assert connection.execute("select requests from gong.runs").fetchall() == [(len(simulator.requests),)]


def test_no_command_imports_pandas(serve: Serve) -> None:
    """DuckDB and Arrow would, where it is installed, as soon as a query has a parameter."""
    pytest.importorskip("pandas", reason="pandas is not installed")
    process = start_process("sync", **environment_for(serve(tenant_of(5)), PYTHONPROFILEIMPORTTIME="1"))
    out, err = process.communicate(timeout=120)

    assert "5 calls received" in out
    imported = {line.rpartition("|")[2].strip() for line in err.splitlines() if line.startswith("import time:")}
    assert {"duckdb", "pyarrow"} <= imported
    assert not {name for name in imported if name.startswith("pandas.")}  # a refused import has no parts


def test_labels_of_status_stand_apart_from_their_values(command: Command, serve: Serve) -> None:
    """A long label, too."""
    simulator = serve(public_tenant(30))
    chosen = ("--resources", "calls,transcripts")
    command("sync", *chosen, "--max-requests", "2", simulator=simulator)

    lines = command("status", *chosen, simulator=simulator)[1].splitlines()
    assert any(line.startswith("still without  ") for line in lines)
    assert all(line[14:15] in {"", " "} for line in lines)
