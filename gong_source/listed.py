"""The calls that a run of `gong` has just listed. Their details and transcripts go into the same dlt package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dlt

from gong_source.packages.items import current_load_id
from gong_source.stored.due import calls_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gong_source.api.fetch import FetchedWindow
    from gong_source.packages.window_content import WindowContent
    from gong_source.packages.window_package import WindowPackage
    from gong_source.records.batch import Batch
    from gong_source.resources.declare import Resource
    from gong_source.stored.due import ListedCall


class Listed:
    """The calls that the resource `calls` has listed in the package that is being extracted."""

    def __init__(self) -> None:
        self._load_id = ""
        self._calls: dict[str, ListedCall] = {}
        self._complete = False
        self._content: WindowContent | None = None

    def begin(self, content: WindowContent | None) -> None:
        """Called before the list is read, with what takes the content of its calls, if the list has that."""
        self.end()
        self._load_id, self._calls, self._complete = current_load_id(), {}, False
        self._content = content

    def take(self, fetched: FetchedWindow[Batch], _package: WindowPackage) -> None:
        """Takes in the calls of a window."""
        for part in fetched.parts:
            self._calls |= calls_in(part.table)

    def end(self) -> None:
        """Called when the list has been read, or cannot be."""
        self._complete = True
        if self._content is not None:
            self._content.complete = True

    def content_of(self, members: Sequence[Resource]) -> WindowContent | None:
        """What takes the content of the calls for `members`, if the list has it."""
        mine = self._content is not None and self._load_id == current_load_id()
        return self._content if mine and self._content and self._content.members == members else None

    def is_awaited(self) -> bool:
        """Whether the list of calls is still to come; never, if calls are not selected."""
        selected = "calls" in dlt.current.source().selected_resources
        return selected and not (self._complete and self._load_id == current_load_id())

    def calls(self) -> dict[str, ListedCall]:
        """The calls listed in this package, by their ids."""
        return self._calls if self._load_id == current_load_id() else {}
