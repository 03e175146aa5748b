"""What went wrong with a warehouse, in one line."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.pipeline.exceptions import PipelineStepFailed

from gong_source.errors import DestinationFailed, GongError, first_line
from gong_source.stored.query import is_missing_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gong_source.warehouse.destination import Destination

# DuckDB names the address of a lake's catalog with all that is in it.
_PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):[^\s@]*@")
# What the operating system says of a disk or a folder; a database and its driver have errors of their own.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EIO}
_TABLE_GONE = (
    ". A table that dlt created is missing. Restore it, or drop the whole dataset, with its schema, and load it anew"
)


def explain(error: Exception, destination: Destination, place: str, doing: str) -> GongError:
    """Turns an error of the warehouse into a `DestinationFailed` of one line, with what to try.

    If one of its causes is a `GongError`, that one is returned unchanged. An interrupt, which dlt wraps, is raised.

    `doing` is the verb: open, read or write.
    """
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, GongError):
            return cause
    raise_interrupt(error)
    text = last_cause(error)
    if (holder := destination.holder(text)) is not None:
        return DestinationFailed(
            f"{place} is open {holder}. Only one program at a time can write to it: close it there"
            " and try again; nothing is lost"
        )
    if isinstance(error, PipelineStepFailed) and getattr(causes[-1], "errno", None) in _DISK_ERRORS:
        return DestinationFailed(
            f"cannot write the working folder {error.pipeline.working_dir}: {text}. Make room there, or choose another"
            " place with DLT_DATA_DIR; then run the same command again"
        )
    step = f" in step {error.step}" if isinstance(error, PipelineStepFailed) else ""
    hint = destination.hint(text)
    if doing != "open" and any(isinstance(c, DatabaseUndefinedRelation) and is_missing_table(c) for c in causes):
        hint = _TABLE_GONE
    return DestinationFailed(f"cannot {doing} {place}{step}: {text.rstrip('.!') if hint else text}{hint}")


def raise_interrupt(error: Exception) -> None:
    """Raises the interrupt that dlt has wrapped into `error`, if it is one."""
    for cause in _causes(error):
        if isinstance(cause, KeyboardInterrupt):
            raise cause from None


def last_cause(error: Exception) -> str:
    """The type and the first line of the innermost cause, without passwords."""
    cause = innermost(error)
    text = _PASSWORD.sub(r"\1:***@", first_line(cause))
    return f"{type(cause).__name__}: {text}"


def innermost(error: Exception) -> BaseException:
    """The innermost cause of an error: what the database or the driver has raised."""
    return _causes(error)[-1]


def _causes(error: BaseException) -> Sequence[BaseException]:
    causes: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in causes:
        causes.append(current)
        current = current.__cause__ or getattr(current, "exception", None) or current.__context__
    return causes
