"""What is not stored: excluded columns, the personal data of people outside, and what private calls are about.

All of it is taken out of Gong's answers before they become rows. So it reaches neither a column nor `extra`, neither a
hash nor a file in dlt's working folder.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from gong_source.errors import ConfigurationError, did_you_mean
from gong_source.records.rows import ParsedRecords, may_be_inexact
from gong_source.resources import RESOURCES, TABLES
from gong_source.resources.calls import CALLS
from gong_source.resources.transcripts import TRANSCRIPTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gong_source.resources.declare import Column, Resource, Table

PERSONAL_DATA = ("keep", "hash", "drop")
# What stays of a private call: enough to count it, and to know where Gong lists it.
KEPT_OF_PRIVATE = ("id", "workspace_id", "call_time", "scheduled", "started", "direction", "is_private")
# Runs read these columns to know which calls Gong has deleted, and which ones are private.
_NEEDED = frozenset({("calls", name) for name in ("workspace_id", "scheduled", "started", "is_private")})
_STEP = re.compile(r"([^.\[]+)(?:\[([^\]]*)\])?\.?")
_FLAG = re.compile(r"\[=[^\]]*\]$")
_PICK = re.compile(r"\[([^=\]]+)=[^\]]*\]")
_METHODS = ("Invitee", "Attendee")
# One step of a path: a name, and for a list which of its elements: all of them (""), or those with `name=value`.
_Step = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Privacy:
    """What must not be stored; the settings of the same names say it. `key` is the key of the hashes."""

    excluded: frozenset[tuple[str, str]] = frozenset()
    personal_data: str = "keep"
    key: str = field(default="", repr=False)
    drops_private: bool = False

    def null_columns(self, table: Table) -> frozenset[str]:
        """The columns of `table` that are null in every row: those excluded, and others that the same field fills."""
        return _null_columns(self.excluded, table.name)

    def removed(self, resource: Resource) -> frozenset[str]:
        """The paths of the excluded fields in the records that a resource, and others with its endpoint, read."""
        return _removed(self.excluded, resource.name)

    def clean_rows(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows for a table, also stored ones that are loaded once more, without what must not be stored."""
        names, kept = self.null_columns(table), {*KEPT_OF_PRIVATE, "deleted_at"}
        cleaned = [{**row, **dict.fromkeys(names)} for row in rows]
        if self.drops_private and table.name == CALLS.table.name:
            cleaned = [row | dict.fromkeys(row.keys() - kept) if row["is_private"] else row for row in cleaned]
        return cleaned

    def clean_records(self, resource: Resource, records: ParsedRecords) -> ParsedRecords:
        """Records without lists of objects, as columns, without what must not be stored."""
        arrays, extras = dict(records.arrays), records.extras
        for name in self.null_columns(resource.table):
            arrays[name] = pa.nulls(records.size, arrays[name].type)
        if paths := _removed(self.excluded, resource.name):
            extras = {row: kept for row, extra in extras.items() if (kept := _without_all(extra, paths))}
        if self.drops_private and resource.name == CALLS.name:
            private = pc.fill_null(records.arrays["is_private"], fill_value=False)
            for name in arrays.keys() - set(KEPT_OF_PRIVATE):
                arrays[name] = pc.if_else(private, pa.scalar(None, arrays[name].type), arrays[name])
            extras = {row: extra for row, extra in extras.items() if not private[row].as_py()}
        return ParsedRecords(arrays, extras, records.size)

    def clean_answer(self, resource: Resource, record: dict[str, Any], *, exact: bool) -> dict[str, Any]:
        """A record of what Gong answered about a call, without what must not be stored; `record` is left as it is.

        `exact` says that no number in it may have lost digits.
        """
        if self.personal_data != "keep" and "parties" in record:
            parties = record["parties"]
            people = [self._person(party, exact=exact) for party in parties] if type(parties) is list else None
            record = record | {"parties": people}
        return _without_all(record, _removed(self.excluded, resource.name))

    def hidden(self, value: str, kind: Literal["email", "phone", "text"]) -> str | None:
        """What is stored instead of a value about a person outside."""
        normal = NORMAL[kind](value)
        if self.personal_data != "hash" or not normal:
            return None
        return hmac.new(self.key.encode(), normal.encode(), hashlib.sha256).hexdigest()

    def _person(self, party: Any, *, exact: bool) -> dict[str, Any]:
        """A participant; of one who is not internal, only the known fields, with their values hidden."""
        if type(party) is not dict:
            return {}
        if party.get("affiliation") == "Internal":
            return party
        person = _texts(party, ("id", "userId", "speakerId", "affiliation"), exact=exact)
        if type(methods := party.get("methods")) is list:
            person["methods"] = [method for method in methods if method in _METHODS]
        shown = _texts(party, _PERSONAL, exact=True)
        person |= {name: hidden for name, text in shown.items() if (hidden := self.hidden(text, _PERSONAL[name]))}
        contexts = [context for context in _dicts(party, "context") if _dicts(context, "objects")]
        linked = [_texts(context, ("system",), exact=exact) | _objects(context, exact=exact) for context in contexts]
        return person | ({"context": linked} if linked else {})


KEEP_ALL = Privacy()


def read_columns(value: Any) -> frozenset[tuple[str, str]]:
    """The columns that the setting `exclude_columns` names, each as table and column.

    Raises `ConfigurationError` for a table or column that is unknown or cannot be excluded.
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            value = json.loads(text) if text.startswith("[") else text.split(",")
        except ValueError:
            value = [text]
    if value is None:
        return frozenset()
    names = value if isinstance(value, list | tuple | set | frozenset) else [value]
    return frozenset(_read_column(str(name).strip()) for name in names if str(name).strip())


def _read_column(written: str) -> tuple[str, str]:
    table_name, dot, name = written.partition(".")
    if not dot or not name:
        raise _refusal(written, "write table.column, for example call_participants.email_address")
    tables = {table.name: table for table in TABLES}
    if table_name not in tables:
        raise _refusal(written, f"there is no table {table_name!r}{did_you_mean(table_name, tables)}")
    table = tables[table_name]
    columns = {column.name: column for column in table.columns}
    if name not in columns:
        raise _refusal(written, f"{table_name} has no column {name!r}{did_you_mean(name, columns)}")
    for resource in RESOURCES.values():
        if resource.history is not None and table is resource.history.table and name in resource.history.watched:
            source = f"{resource.table.name}.{name}"
            raise _refusal(written, f"its values are copied from {source}: exclude {source}")
    if name in table.primary_key:
        raise _refusal(written, "it is part of the table's key and cannot be excluded")
    if name == table.time_column or (table_name, name) in _NEEDED:
        raise _refusal(written, "the runs need it, so it cannot be excluded")
    if not _fields(table, columns[name]):
        raise _refusal(written, "gong-source computes it itself, so it cannot be excluded")
    return table_name, name


def _refusal(written: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"exclude_columns: {written}: {why}")


def _fields(table: Table, column: Column) -> list[str]:
    """The paths of the fields in a record that fill a column; none for a column that this package computes."""
    if column.field is None:
        sources = [source for rows in table.rows for name, source in rows.outer if name == column.name]
        return [source for source in sources if not source.endswith("[]")]
    paths = [f"{rows.path}.{column.field}" for rows in table.rows] if table.rows else [column.field]
    return [_FLAG.sub("", path) for path in paths]


@cache
def _removed(excluded: frozenset[tuple[str, str]], resource_name: str) -> frozenset[str]:
    """The paths of the excluded fields in the records that a resource, and others with its endpoint, read."""
    endpoint = RESOURCES[resource_name].endpoint
    return frozenset(
        path
        for resource in RESOURCES.values()
        for table in resource.tables
        for column in table.columns
        if resource.endpoint == endpoint and (table.name, column.name) in excluded
        for path in _fields(table, column)
    )


@cache
def _null_columns(excluded: frozenset[tuple[str, str]], table_name: str) -> frozenset[str]:
    found = set()
    for resource in RESOURCES.values():
        removed = _removed(excluded, resource.name)
        for table in resource.tables if removed else ():
            for column in table.columns if table.name == table_name else ():
                reads = {read for path in _fields(table, column) for read in (path, *_picked(path))}
                found |= {column.name} if reads & removed else set()
    if table_name == TRANSCRIPTS.table.name and "transcript[].sentences[].text" in _removed(excluded, TRANSCRIPTS.name):
        found |= {"sentences", "words"}  # counted from the texts
    history = {r.history.table.name: r for r in RESOURCES.values() if r.history}.get(table_name)
    if history is not None and history.history is not None:
        found |= _null_columns(excluded, history.table.name) & set(history.history.watched)
    return frozenset(found)


def _picked(path: str) -> list[str]:
    """For a path like `stats[name=X].value`, the fields that it reads: `stats[].value` and `stats[].name`."""
    if not (pick := _PICK.search(path)):
        return []
    return [f"{path[: pick.start()]}[]{path[pick.end() :]}", f"{path[: pick.start()]}[].{pick[1]}"]


def _without_all(record: dict[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    for path in paths:
        record = _without(record, _steps(path))
    return record


@cache
def _steps(path: str) -> tuple[_Step, ...]:
    return tuple((step[1], step[2]) for step in _STEP.finditer(path))


def _without(value: dict[str, Any], steps: Sequence[_Step]) -> dict[str, Any]:
    """`value` without the field at the end of the steps, and without anything of another type on the way to it."""
    (name, which), *rest = steps
    if name not in value:
        return value
    inner = value[name]
    if rest and which is None and isinstance(inner, dict) and (left := _without(inner, rest)):
        return value | {name: left}
    if rest and which is not None and isinstance(inner, list):
        return value | {name: [_without_in(element, which, rest) for element in inner]}
    return {key: kept for key, kept in value.items() if key != name}


def _without_in(element: Any, which: str, rest: Sequence[_Step]) -> dict[str, Any]:
    if type(element) is not dict:
        return {}
    name, _, text = which.partition("=")
    return _without(element, rest) if not which or element.get(name) == text else element


def _digits(text: str) -> str:
    return "".join(re.findall(r"[0-9]", text))


# How values of a kind are written before they are compared or hashed.
NORMAL: dict[str, Callable[[str], str]] = {
    "email": lambda text: text.strip().lower(),
    "phone": _digits,
    "text": str,
}
_PERSONAL: dict[str, Literal["email", "phone", "text"]] = {
    "name": "text",
    "emailAddress": "email",
    "phoneNumber": "phone",
    "title": "text",
}


def _texts(value: Mapping[str, Any], names: Iterable[str], *, exact: bool) -> dict[str, Any]:
    """The fields with these names whose values are texts, in the form in which a column holds them exactly."""
    found: dict[str, Any] = {}
    for name in names:
        text = value.get(name)
        if type(text) is int:
            found[name] = str(text)
        elif type(text) is str:
            found[name] = text.encode(errors="replace").decode().replace("\0", "?")
        elif not exact and may_be_inexact(text):
            found[name] = text  # then the page is parsed exactly
    return found


def _objects(context: dict[str, Any], *, exact: bool) -> dict[str, Any]:
    """The objects of the CRM that a person outside is linked to, without their fields."""
    objects = _dicts(context, "objects")
    return {"objects": [_texts(o, ("objectType", "objectId", "timing"), exact=exact) for o in objects]}


def _dicts(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The list with this name, with an empty object for each element that is none."""
    found = value.get(name)
    return [element if type(element) is dict else {} for element in found] if type(found) is list else []
