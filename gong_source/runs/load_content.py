"""Loads windows of calls with the content of the calls, from the same requests where that saves some.

Where a list has details too, a window of calls can be read with all content or without. With content, it takes no
requests more, but Gong sends fifty times as much. Without, the calls that are due are asked for by id afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gong_source.runs.load import load_windows
from gong_source.runs.load_by_id import call_filter
from gong_source.runs.results import ResourceResult, add_results
from gong_source.stored.due import MOST_ARE_DUE, share_due
from gong_source.windows import Window, days_before, intersect, subtract

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gong_source.resources.declare import Resource
    from gong_source.runs.run import Run

# Calls younger than this come first, where a budget of requests is short.
RECENT_DAYS = 30.0


class WindowLoad:
    """The load of `ranges` of a windowed resource, with the content of the chosen resources that read the same list.

    Content is read where most calls are not stored yet or due; with `refresh`, everywhere. `recent` loads the
    windows without content, and the last 30 days of those with content; `older` loads the rest. Both return the results
    by the name of the resource, and raise what `load_windows` raises. `watermark` and `covered` are as there.
    """

    def __init__(
        self,
        run: Run,
        resource: Resource,
        ranges: Sequence[Window],
        *,
        mode: str,
        moment: datetime,
        watermark: datetime | None = None,
        covered: Sequence[Window] = (),
        refresh: bool = False,
    ) -> None:
        self.name = resource.name
        self._run, self._resource, self._mode = run, resource, mode
        self._watermark = watermark
        self._loaded = list(covered)
        self._members = [other for other in run.settings.chosen if other.comes_with(resource)]
        full = list(ranges) if refresh and self._members else self._worth_reading(ranges, moment)
        recent = [Window(days_before(moment, RECENT_DAYS), moment)]
        self._light = subtract(ranges, full)
        self._recent, self._older = intersect(full, recent), subtract(full, recent)

    def recent(self) -> dict[str, ResourceResult]:
        """Loads what is read without content, and the last 30 days of what is read with it."""
        results = self._load(self._light, [])
        if results[self._resource.name].status != "failed":
            add_results(results, self._load(self._recent, self._members))
        if (cause := results[self._resource.name].missing_scope) is not None:
            for member in self._members:  # they need the same scope
                results[member.name] = ResourceResult(member.name)
                results[member.name].end_with(cause)
        return results

    def older(self) -> dict[str, ResourceResult]:
        """Loads the rest; no results if there is none."""
        return self._load(self._older, self._members) if self._older else {}

    def _load(self, windows: Sequence[Window], members: Sequence[Resource]) -> dict[str, ResourceResult]:
        part, contents = self._try(windows, members)
        rest = subtract(windows, part.loaded)
        if members and rest and part.status in {"failed", "incomplete"} and not (part.ends_run or part.missing_scope):
            # One call may be to blame. Listed without content, it costs no other call, and by id it is found.
            again, _none = self._try(rest, [])
            part.status, part.message, part.failures = "done", None, []
            part.take_refusal()
            part.add(again)
            part.ranges = windows
        read = {m.name: found for m, found in contents.items() if found.asked or (windows and part.status == "done")}
        return {self._resource.name: part} | read

    def _try(
        self, windows: Sequence[Window], members: Sequence[Resource]
    ) -> tuple[ResourceResult, dict[Resource, ResourceResult]]:
        """Loads windows with the content for `members`; the results of the resource, and of these."""
        part = ResourceResult(self._resource.name, windows)
        contents = {member: ResourceResult(member.name) for member in members}
        load_windows(
            self._run,
            self._resource,
            part,
            mode=self._mode,
            watermark=self._watermark,
            covered=self._loaded,
            contents=contents,
        )
        if not part.loaded:
            part.watermark = None if self._loaded else part.watermark
        self._watermark = part.watermark or self._watermark
        self._loaded += part.loaded
        return part, contents

    def _worth_reading(self, ranges: Sequence[Window], moment: datetime) -> list[Window]:
        """The ranges to read with content: those where most calls are not stored yet, or due."""
        if not self._members:
            return []
        run, covered = self._run, self._run.ledger(self._resource).covered
        query, wanted = run.warehouse.query, call_filter(run)
        return [
            window
            for window in ranges
            if share_due(query, self._members, wanted, window, covered, moment) > MOST_ARE_DUE
        ]
