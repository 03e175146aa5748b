"""One writer per dataset: dlt's staging tables are shared, and two loads at once lose rows without an error.

Every lock here leaves at once with `DatasetLocked`, naming the holder, if it is held, and yields a check that raises if
the hold was lost meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from dlt.destinations.exceptions import DatabaseException
from filelock import FileLock, Timeout

from gong_source.errors import DatasetLocked, DestinationFailed
from gong_source.windows import iso, now, seconds_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import dlt

logger = logging.getLogger(__name__)

_LEASE_TABLE = "_gong_source_lock"
# pg_locks shows the 64 bits of a key as two unsigned halves.
_ADVISORY_HOLDER = """
    select activity.application_name, activity.backend_start
    from pg_locks as held join pg_stat_activity as activity on activity.pid = held.pid
    where held.locktype = 'advisory' and held.objsubid = 1 and held.granted
      and held.database = (select oid from pg_database where datname = current_database())
      and (held.classid::bigint << 32) | held.objid::bigint = %s
"""


@contextmanager
def file_lock(path: Path, *, dataset: str, command: str) -> Iterator[None]:
    """Holds the lock file `path` for the block, against other runs on this machine.

    The operating system drops the lock when its holder dies, however it dies.
    """
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise _locked(dataset, _holder(path)) from None
    except OSError as error:
        raise DestinationFailed(f"cannot lock {dataset}: {path}: {error.strerror or error}") from None
    try:
        with suppress(OSError):  # on a full disk others are still kept out, and the load will say so
            path.write_text(json.dumps({"pid": os.getpid(), "command": command, "since": iso(now())}))
        yield
    finally:
        # before the release: whoever waits then finds its file gone, and takes a new one
        path.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        known = json.loads(path.read_text())
        return f"gong-source {known['command']} (PID {known['pid']}, since {known['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"


@contextmanager
def advisory_lock(connection: Any, name: str, *, dataset: str, command: str) -> Iterator[Callable[[], None]]:
    """Holds the Postgres advisory lock `name` for the block, against other machines.

    Postgres drops it with `connection`, one of psycopg2 in autocommit.
    """
    key = int.from_bytes(hashlib.sha256(f"gong_source {name}".encode()).digest()[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("set application_name = %s", (f"gong-source {command}, PID {os.getpid()} on {_host()}",))
        cursor.execute("set tcp_keepalives_idle = 60")  # a chunk is longer than what firewalls call idle
        cursor.execute("select pg_try_advisory_lock(%s)", (key,))
        if not cursor.fetchone()[0]:
            cursor.execute(_ADVISORY_HOLDER, (key,))
            holder, since = cursor.fetchone() or ("another run", None)
            raise _locked(dataset, f"{holder} (since {iso(since)})" if since else holder)

    def confirm() -> None:
        with connection.cursor() as cursor:
            cursor.execute("select 1")

    yield confirm


@contextmanager
def lease(
    pipeline: dlt.Pipeline, dataset: str, command: str, *, seconds: float = 300.0, renewal_seconds: float = 60.0
) -> Iterator[Callable[[], None]]:
    """Holds a lease in the BigQuery dataset for the block, against other machines.

    The lease is an empty table that expires: BigQuery creates a table once only, and changes one only for who has seen
    its last state. A run that was killed blocks others for `seconds`; one that cannot renew for so long loses its hold.
    """
    with pipeline.sql_client() as client:
        if not client.has_dataset():
            pipeline.sync_destination()  # forgets a dataset that was dropped, which dlt does only while it is missing
            _create_dataset(client)
        holder = f"gong-source {command}, PID {os.getpid()} on {_host()}, since {iso(now())}"
        name = client.make_qualified_table_name(_LEASE_TABLE, quote=False)
        held = _Lease(client.native_connection, name, dataset, holder, seconds, renewal_seconds)
        try:
            yield held.confirm
        finally:
            held.release()


def _create_dataset(client: Any) -> None:
    try:
        client.create_dataset()
    except DatabaseException:
        if not client.has_dataset():  # else another machine was faster
            raise


class _Lease:
    """A lease taken, and renewed by a thread until `release`."""

    def __init__(
        self, connection: Any, name: str, dataset: str, holder: str, seconds: float, renewal_seconds: float
    ) -> None:
        from google.cloud.bigquery import DEFAULT_RETRY

        self._connection = connection
        self._name = name
        self._dataset = dataset
        self._seconds = seconds
        self._renewal_seconds = renewal_seconds
        # what Google's client would try again for ten minutes has to end before the next renewal is due
        self._patience = {"retry": DEFAULT_RETRY.with_timeout(renewal_seconds / 2), "timeout": renewal_seconds / 2}
        self._lost = False
        self._until = seconds_after(now(), seconds)
        self._released = threading.Event()
        self._table = self._take(holder)
        self._renewals = threading.Thread(target=self._renew, name="gong-source lease", daemon=True)
        self._renewals.start()

    def _take(self, holder: str) -> Any:
        from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed
        from google.cloud.bigquery import Table

        table = Table(self._name)
        table.description, table.expires = holder, self._until
        try:
            return self._connection.create_table(table, **self._patience)
        except Conflict:
            logger.debug("the lease exists")
        try:
            table = self._connection.get_table(self._name, **self._patience)
            if table.expires is None or table.expires > now():
                until = f" (if that run died, its hold ends at {iso(table.expires)})" if table.expires else ""
                raise _locked(self._dataset, f"{table.description or 'another run'}{until}")
            table.description, table.expires = holder, self._until
            return self._connection.update_table(table, ["description", "expires"], **self._patience)
        except (NotFound, PreconditionFailed):
            raise _locked(self._dataset, "another run") from None

    def _renew(self) -> None:
        from google.api_core.exceptions import GoogleAPIError, NotFound, PreconditionFailed

        while not self._released.wait(self._renewal_seconds):
            until = seconds_after(now(), self._seconds)
            try:
                self._table.expires = until
                self._table = self._connection.update_table(self._table, ["expires"], **self._patience)
                self._until = until
            except (NotFound, PreconditionFailed):
                self._lost = True
                return
            except (GoogleAPIError, OSError) as error:
                logger.warning("the lease on %s was not renewed: %s", self._dataset, error)

    def _is_lost(self) -> bool:
        return self._lost or self._until <= now()

    def confirm(self) -> None:
        if self._is_lost():
            raise DestinationFailed(f"the hold on {self._dataset} was lost; run it again, nothing is lost")

    def release(self) -> None:
        from google.api_core.exceptions import GoogleAPIError

        self._released.set()
        self._renewals.join()
        if self._is_lost():  # by now it may be another run's
            return
        try:
            self._connection.delete_table(self._name, not_found_ok=True, **self._patience)
        except (GoogleAPIError, OSError) as error:
            logger.warning("the lease on %s ends by itself at %s: %s", self._dataset, iso(self._until), error)


def _host() -> str:
    return socket.gethostname().encode("ascii", "replace").decode()


def _locked(dataset: str, holder: str) -> DatasetLocked:
    return DatasetLocked(f"{dataset} is being loaded by {holder}; two loads at once would lose rows. Try again later")
