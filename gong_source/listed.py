"""The calls that a run of `gong` has just listed. Their details and transcripts go into the same dlt package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dlt

from gong_source.due import ListedCall
from gong_source.package import current_load_id
from gong_source.windows import exactly_in_utc

if TYPE_CHECKING:
    from gong_source.api.fetch import FetchedWindow
    from gong_source.call_time import Batch
    from gong_source.package import WindowPackage


class Listed:
    """The calls that the resource `calls` has listed in the package that is being extracted."""

    def __init__(self) -> None:
        self._load_id = ""
        self._calls: dict[str, ListedCall] = {}
        self._complete = False

    def begin(self) -> None:
        """Called before the list is read."""
        self._load_id, self._calls, self._complete = current_load_id(), {}, False

    def take(self, fetched: FetchedWindow[Batch], _package: WindowPackage) -> None:
        """Takes in the calls of a window."""
        for part in fetched.parts:
            for row in part.table.select(["id", "call_time", "duration", "is_private"]).to_pylist():
                call = ListedCall(exactly_in_utc(row["call_time"]), row["duration"], bool(row["is_private"]))
                self._calls[row["id"]] = call

    def end(self) -> None:
        """Called when the list has been read, or cannot be."""
        self._complete = True

    def is_awaited(self) -> bool:
        """Whether the list of calls is still to come; never, if calls are not selected."""
        selected = "calls" in dlt.current.source().selected_resources
        return selected and not (self._complete and self._load_id == current_load_id())

    def calls(self) -> dict[str, ListedCall]:
        """The calls listed in this package, by their ids."""
        return self._calls if self._load_id == current_load_id() else {}
