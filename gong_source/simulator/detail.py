"""Which blocks of a call a contentSelector asks for, and how they are put together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gong_source.simulator.people import Depth

CONTENT: Final = ("structure", "trackers", "topics", "brief", "outline", "highlights", "callOutcome", "keyPoints")
# The groups of blocks, in the order in which they are served, with the flag of the selector for each block.
_GROUPS: Final = {
    "content": {name: name for name in CONTENT},
    "interaction": {
        "speakers": "speakers",
        "interactionStats": "personInteractionStats",
        "video": "video",
        "questions": "questions",
    },
    "collaboration": {"publicComments": "publicComments"},
}
BLOCKS: Final = frozenset(
    {"context", "parties", "media", *_GROUPS, *(name for group in _GROUPS.values() for name in group)}
)
"""The names of all blocks and groups of blocks."""

EVERYTHING: Final[dict[str, Any]] = {
    "context": "Extended",
    "contextTiming": ["Now", "TimeOfCall"],
    "exposedFields": {
        "parties": True,
        **{group: dict.fromkeys(flags.values(), True) for group, flags in _GROUPS.items()},
    },
}
EVERYTHING["exposedFields"]["content"]["trackerOccurrences"] = True


class WrongSelector(ValueError):
    """A contentSelector that the API refuses."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a contentSelector asks for: `groups` holds the names of the blocks asked for in each group."""

    depth: Depth
    parties: bool = False
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    occurrences: bool = False
    media: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing but `metaData` is asked for."""
        return self.depth.level == "None" and not (self.parties or self.groups or self.media)


def select(selector: Any) -> Selection:
    """Return what a contentSelector asks for; raise WrongSelector if it is wrong."""
    selector = _object(selector, "contentSelector")
    exposed = _object(selector.get("exposedFields"), "contentSelector.exposedFields")
    flags = {name: _object(exposed.get(name), f"contentSelector.exposedFields.{name}") for name in _GROUPS}
    asked = (
        (group, tuple(name for name, flag in names.items() if flags[group].get(flag)))
        for group, names in _GROUPS.items()
    )
    return Selection(
        depth=_depth(selector),
        parties=bool(exposed.get("parties")),
        groups=tuple((group, names) for group, names in asked if names),
        occurrences=bool(flags["content"].get("trackerOccurrences")),
        media=bool(exposed.get("media")),
    )


def put_together(basic: bytes, selection: Selection, block: Callable[[str], bytes | None]) -> bytes:
    """Return the JSON of one call: `basic` as its `metaData`, and the blocks asked for.

    `block` returns the JSON of a block or of a whole group, empty to leave it out, and None if there is none: a
    group is then put together from its blocks.
    """
    members = [b'"metaData":' + basic]

    def add(name: str, value: bytes | None) -> None:
        if value:
            members.append(b'"%b":%b' % (name.encode(), value))

    if selection.depth.level != "None":
        add("context", block("context"))
    if selection.parties:
        add("parties", block("parties"))
    for group, names in selection.groups:
        whole = block(group)
        if whole is None:
            found = ((name, block(name)) for name in names)
            inner = b",".join(b'"%b":%b' % (name.encode(), value) for name, value in found if value)
            whole = b"{%b}" % inner
        add(group, whole)
    if selection.media:
        add("media", block("media"))
    return b"{%b}" % b",".join(members)


def _depth(selector: dict[str, Any]) -> Depth:
    level, timings = selector.get("context"), selector.get("contextTiming")
    if level not in (None, "None", "Basic", "Extended"):
        raise WrongSelector("contentSelector.context: must be one of None, Basic, Extended")
    if timings is None:
        return Depth(level or "None")
    if level != "Extended":
        raise WrongSelector("contentSelector.contextTiming: can be provided only when context is Extended")
    if not isinstance(timings, list) or not set(map(str, timings)) <= {"Now", "TimeOfCall"}:
        raise WrongSelector("contentSelector.contextTiming: must contain only Now and TimeOfCall")
    return Depth(level, tuple(dict.fromkeys(timings)) or ("Now",))


def _object(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WrongSelector(f"{name}: must be an object")
    return value
