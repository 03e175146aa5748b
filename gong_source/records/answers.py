"""Reads Gong's answers about named calls: for each resource that shares the request, the rows of its tables."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from gong_source.api.by_id import FetchByIds
from gong_source.errors import RecordError
from gong_source.records.children import family_of, read_families, read_families_fast
from gong_source.records.content_hash import bytes_of_texts, content_hashes
from gong_source.records.lists import RECORDS
from gong_source.records.privacy import KEEP_ALL
from gong_source.records.quick import quick_levels, quick_reader
from gong_source.records.rows import encode, is_id
from gong_source.resources import RESOURCES
from gong_source.resources.declare import CallIds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from gong_source.api.client import Client, Page
    from gong_source.api.endpoints import Endpoint
    from gong_source.records.children import Family
    from gong_source.records.privacy import Privacy
    from gong_source.resources.declare import Resource

logger = logging.getLogger(__name__)

# What Gong sends about the call itself, which the table `calls` has, and addresses that change with every request.
_NOT_READ = ("metaData", "media")


@dataclass(frozen=True, slots=True)
class Content:
    """What one resource has of an answer: the ids in the order of its rows, and the hash of the content of each.

    `complete` are the ids of the records that have the block that comes last.
    """

    resource: Resource
    ids: list[str]
    family: Family
    hashes: dict[str, str]
    complete: set[str]

    def without(self, ids: AbstractSet[str]) -> Content:
        """The content of the other calls."""
        left_out = pa.array(sorted(ids), pa.string())
        key = self.resource.table.primary_key[0]
        keys = {child.name: child.parent_key for child in self.resource.children}
        children = {
            name: rows.filter(pc.invert(pc.is_in(rows[keys[name]], left_out)))
            for name, rows in self.family.children.items()
        }
        root = self.family.root.filter(pc.invert(pc.is_in(self.family.root[key], left_out)))
        return replace(
            self,
            ids=[call_id for call_id in self.ids if call_id not in ids],
            family=replace(self.family, root=root, children=children),
            hashes={call_id: text for call_id, text in self.hashes.items() if call_id not in ids},
            complete=self.complete - ids,
        )

    @property
    def omits_empty(self) -> bool:
        """Whether a call without a record has no content any more."""
        return isinstance(self.resource.select, CallIds) and self.resource.select.omits_empty


class AnswerReader:
    """Turns the pages of an answer into the content of `members`, the resources that share the request.

    `call_times` has the call time of every call that is asked for. Unless `private`, private calls are left out, and
    their ids are added to `hidden`. `privacy` says what else must not be stored. `quick` reads the bodies of answers
    that hold nothing unexpected; None if all have to be parsed.
    """

    def __init__(
        self,
        members: Sequence[Resource],
        call_times: Mapping[str, datetime],
        *,
        private: bool = False,
        privacy: Privacy = KEEP_ALL,
    ) -> None:
        self.members = members
        self.hidden: set[str] = set()
        self.quick = quick_reader(members)
        self._call_times = call_times
        self._private = private
        self._privacy = privacy
        self._id_path = str(members[0].table.columns[0].field).split(".")
        self._cuts = [_cut_for(members, member) for member in members]

    def __call__(self, asked: Sequence[str], pages: Sequence[Page]) -> list[Content]:
        """The content of each member. Raises `RecordError` for a record without a usable id."""
        quick = self._quick_content(asked, pages)
        if quick is not None:
            return [quick]
        records = [record for page in pages for record in page.records]
        by_id = self._by_id(records, asked)
        if by_id is not None:
            fast = [self._content(member, cut, by_id, exact=False) for member, cut in self._with_cuts()]
            if all(content is not None for content in fast):
                return [content for content in fast if content is not None]
        by_id = self._by_id(self._exact(pages), asked)
        assert by_id is not None
        exact = [self._content(member, cut, by_id, exact=True) for member, cut in self._with_cuts()]
        return [content for content in exact if content is not None]

    def _quick_content(self, asked: Sequence[str], pages: Sequence[Page]) -> Content | None:
        """The content if all pages were read quickly, with nothing but one record for each of some calls asked for."""
        (member, *_), parts = self.members, [page.columns for page in pages]
        if any(part is None for part in parts):
            return None
        records = parts[0] if len(parts) == 1 else pa.concat_arrays(parts)
        levels = quick_levels(member, records, self._privacy.removed(member))
        if levels is None:
            return None
        ids = levels[RECORDS].arrays[".".join(self._id_path)].to_pylist()
        if not all(map(is_id, ids)) or len(set(ids)) < len(ids) or not set(ids) <= set(asked):
            return None
        assert isinstance(member.select, CallIds)
        family = family_of(member, levels, [self._call_times[call_id] for call_id in ids])
        complete = {ids[row] for row in pc.unique(levels[f"{member.select.awaited}[]"].around).to_pylist()}
        return Content(member, ids, family, _hashes(member, ids, family), complete)

    def _with_cuts(self) -> zip[tuple[Resource, Callable[[dict[str, Any]], dict[str, Any]]]]:
        return zip(self.members, self._cuts, strict=True)

    def _by_id(self, records: Sequence[Any], asked: Sequence[str]) -> dict[str, dict[str, Any]] | None:
        """The records by id, the last one where an id is there twice; None if an id is not text."""
        found: dict[str, dict[str, Any]] = {}
        for record in records:
            call_id = _at(record, self._id_path)
            if not is_id(call_id):
                return None
            found[call_id] = record
        if strangers := found.keys() - set(asked):
            logger.warning(
                "Gong also answered for %d calls that it was not asked for; they are left out", len(strangers)
            )
        hidden = set() if self._private else {i for i in asked if i in found and _is_private(found[i])}
        self.hidden |= hidden
        return {call_id: record for call_id, record in found.items() if call_id not in hidden | strangers}

    def _exact(self, pages: Sequence[Page]) -> list[dict[str, Any]]:
        """The records with integers of any size and ids as text; raises `RecordError` for one without a usable id."""
        records = []
        for page in pages:
            for number, record in enumerate(page.exact_records(), 1):
                call_id = _at(record, self._id_path)
                text = str(call_id) if type(call_id) is int else call_id
                if not is_id(text):
                    resource = self.members[0]
                    raise RecordError(
                        f"{resource.singular} {number} of a page has no usable id: {encode(call_id)[:80]} (Gong's"
                        f" request id: {page.request_id}). The calls of this request are not loaded; the next run asks"
                        " again"
                    )
                _set_at(record, self._id_path, text)
                records.append(record)
        return records

    def _content(
        self,
        member: Resource,
        cut: Callable[[dict[str, Any]], dict[str, Any]],
        by_id: Mapping[str, dict[str, Any]],
        *,
        exact: bool,
    ) -> Content | None:
        assert isinstance(member.select, CallIds)
        records = []
        for call_id, record in by_id.items():
            part = cut(self._privacy.clean_answer(member, record, exact=exact))
            _set_at(part, self._id_path, call_id)
            records.append(part)
        times = [self._call_times[call_id] for call_id in by_id]
        family = (read_families if exact else read_families_fast)(member, records, times)
        if family is None:
            return None
        awaited = member.select.awaited.split(".")
        return Content(
            member,
            list(by_id),
            family,
            _hashes(member, list(by_id), family),
            {call_id for call_id, record in by_id.items() if _at(record, awaited)},
        )


def fetch_answers(
    client: Client, members: Sequence[Resource], call_times: Mapping[str, datetime], *, private: bool, privacy: Privacy
) -> tuple[FetchByIds[list[Content]], AnswerReader]:
    """A fetch of what Gong has for these calls, in their order, and the reader of its answers."""
    reader = AnswerReader(members, call_times, private=private, privacy=privacy)
    return FetchByIds(client, request_for(members), list(call_times), reader, quick=reader.quick), reader


def request_for(members: Sequence[Resource]) -> Endpoint:
    """The endpoint that `members` share, with all that they need in the body of each request."""
    flags = [flag for member in members if isinstance(member.select, CallIds) for flag in member.select.selector]
    if not flags:
        return members[0].endpoint
    selector: dict[str, Any] = {"exposedFields": {}}
    for flag in flags:
        if flag == "context":
            selector |= {"context": "Extended", "contextTiming": ["Now"]}
        else:
            _set_at(selector["exposedFields"], flag.split("."), True)
    return replace(members[0].endpoint, extra_body=(("contentSelector", selector),))


def text_totals(table: pa.Table) -> dict[str, tuple[int, int]]:
    """For each call, the number of texts in a child table, and of the words in them, counted by the spaces between."""
    spoken = table.select(["call_id", "text"])
    if spoken["text"].null_count:
        spoken = spoken.filter(pc.is_valid(spoken["text"]))
    calls = pc.value_counts(spoken["call_id"])
    ids, sentences = calls.field(0).to_pylist(), calls.field(1).to_pylist()
    spans = [*pairwise(accumulate(sentences, initial=0))]
    texts = bytes_of_texts(spoken["text"].combine_chunks(), spans) if ids else []
    return {i: (count, bytes(text).count(b" ") + count) for i, count, text in zip(ids, sentences, texts, strict=True)}


def _cut_for(members: Sequence[Resource], member: Resource) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A function that gives the part of a record that `member` reads.

    The first member also gets what no resource of the endpoint reads: it keeps that in `extra`.
    """
    assert isinstance(member.select, CallIds)
    own = [block.split(".") for block in member.select.blocks]
    if member is not members[0]:
        return lambda record: _only(record, own)
    others = [
        block.split(".")
        for other in RESOURCES.values()
        if other.endpoint == member.endpoint and other is not member and isinstance(other.select, CallIds)
        for block in other.select.blocks
    ]
    return lambda record: _without(record, others)


def _only(record: dict[str, Any], paths: Sequence[Sequence[str]]) -> dict[str, Any]:
    part: dict[str, Any] = {}
    for path in paths:
        if (value := _at(record, path)) is not None:
            _set_at(part, path, value)
    return part


def _without(record: dict[str, Any], paths: Sequence[Sequence[str]]) -> dict[str, Any]:
    part = {name: value for name, value in record.items() if name not in _NOT_READ}
    for *outer, name in paths:
        if not outer:
            part.pop(name, None)
        elif type(inside := part.get(outer[0])) is dict:
            part[outer[0]] = {key: value for key, value in inside.items() if key != name}
    return part


def _at(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name) if type(value) is dict else None
    return value


def _set_at(record: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *outer, name = path
    for part in outer:
        record = record.setdefault(part, {})
    record[name] = value


def _is_private(record: dict[str, Any]) -> bool:
    return _at(record, ("metaData", "isPrivate")) is True


def _hashes(member: Resource, ids: Sequence[str], family: Family) -> dict[str, str]:
    return dict(zip(ids, content_hashes(member, family), strict=True))
