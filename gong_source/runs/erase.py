"""`erase`: deletes the calls that a person took part in, found by address or phone number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gong_source.errors import ConfigurationError, DestinationFailed
from gong_source.records.privacy import NORMAL
from gong_source.resources.details import CALL_DETAILS
from gong_source.resources.people import USERS
from gong_source.runs.ending import as_json
from gong_source.runs.record import describe_end, record_run
from gong_source.settings import resolve_without_key
from gong_source.stored.query import id_batches, placeholders
from gong_source.warehouse.mark_and_remove import erase_calls
from gong_source.warehouse.warehouse import Target, open_warehouse
from gong_source.windows import now_exactly

if TYPE_CHECKING:
    from gong_source.records.privacy import Privacy
    from gong_source.settings import GongSettings
    from gong_source.warehouse.warehouse import Warehouse

_PARTICIPANTS = next(table for table in CALL_DETAILS.children if table.name == "call_participants")
# Where an address or a number of a participant, and of a user, is stored.
_COLUMNS = {"email": "email_address", "phone": "phone_number"}
_OF_USERS = {"email": ("email_address", "trusted_email_address"), "phone": ("phone_number",)}
_COMES_BACK = (
    "The calls come back with the next sync as long as Gong still lists them: erase them in Gong first, and run this"
    " command again after it."
)
_COPIES = (
    "Copies: published copies (--publish) until they are published again, backups of the database, exports, and the"
    " working folders and staging tables of dlt pipelines of your own."
)


@dataclass(frozen=True, slots=True)
class EraseResult:
    """What was erased; it does not repeat the address or the number.

    `calls` is the number of calls found, `tables` the rows deleted from each table. `users` is the number of rows in
    `users` with that address or number; they stay. `remains` says where the calls may still be, `notes` what limits the
    search.
    """

    place: str
    dataset: str
    calls: int
    tables: dict[str, int]
    users: int = 0
    notes: list[str] = field(default_factory=list)
    remains: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The result in one sentence."""
        if not self.calls:
            return "No call was found with this participant; nothing was deleted."
        return f"{self.calls:,} {'call was' if self.calls == 1 else 'calls were'} erased."

    def as_json(self) -> dict[str, Any]:
        """The result as JSON's types."""
        return {"command": "erase", "status": "done", "message": self.message, **as_json(self)}


@dataclass(frozen=True, slots=True)
class _Person:
    """The person to look for: an address or a number."""

    kind: Literal["email", "phone"]
    written: str
    privacy: Privacy

    def is_in(self, stored: str) -> bool:
        """Whether a stored value is the person's, as Gong sent it or as a hash."""
        normal = NORMAL[self.kind]
        return normal(stored) == normal(self.written) or stored == self.privacy.hidden(self.written, self.kind)


def erase(
    target: Target | None = None,
    *,
    email: str | None = None,
    phone: str | None = None,
    settings: GongSettings | None = None,
) -> EraseResult:
    """Deletes every call in which a person took part, with all that is stored of it, from the dataset.

    The person is found by the address `email`, upper and lower case alike, or by the digits of the number `phone`.
    `settings` default to dlt's configuration; they need no access key. Raises `ConfigurationError`, also for a dataset
    without `call_participants`, `DatasetLocked` or `DestinationFailed`. If it ends early, run it again: the
    participants are deleted last.
    """
    settings, target = settings or resolve_without_key(), target or Target()
    person = _read_person(email, phone, settings.privacy)
    with open_warehouse(target, command="erase", write=False) as warehouse:  # creates no file where there is none
        warehouse.require()
        warehouse.restore()
        _check_participants(warehouse)
    with open_warehouse(target, command="erase", write=True, time_zone=settings.time_zone) as warehouse:
        return _erase(warehouse, person, settings, target)


def _read_person(email: str | None, phone: str | None, privacy: Privacy) -> _Person:
    if (email is None) == (phone is None):
        raise ConfigurationError("erase: give either an email address or a phone number")
    person = _Person("phone", phone or "", privacy) if email is None else _Person("email", email, privacy)
    if not NORMAL[person.kind](person.written):
        raise ConfigurationError("--phone has no digit" if person.kind == "phone" else "--email is empty")
    return person


def _check_participants(warehouse: Warehouse) -> None:
    if _PARTICIPANTS.name not in warehouse.known_tables():
        raise ConfigurationError(
            f"{warehouse.dataset} has no table {_PARTICIPANTS.name}, so nobody can be found in it: load the resource"
            f" {CALL_DETAILS.name} for this (gong-source sync --resources calls,{CALL_DETAILS.name})"
        )


def _erase(warehouse: Warehouse, person: _Person, settings: GongSettings, target: Target) -> EraseResult:
    started_at, failure = now_exactly(), None
    result: EraseResult | None = None
    try:
        with warehouse.connected():
            warehouse.restore()
            warehouse.load_pending()  # else the next run would load calls that are erased now
            ids = _calls_with(warehouse, person)
            result = EraseResult(
                place=warehouse.place,
                dataset=target.dataset,
                calls=len(ids),
                tables=erase_calls(warehouse, ids),
                users=_users_like(warehouse, person),
                notes=_limits(person) + _unseen(warehouse) + ([] if ids else _hashed(warehouse, person)),
                remains=[_COMES_BACK, _COPIES, warehouse.destination.keeps] if ids else [],
            )
    except BaseException as error:
        failure = error
        raise
    finally:
        if not isinstance(failure, DestinationFailed):  # a warehouse that has failed cannot be written to
            end = describe_end(None, failure) | {"changed": 0 if result is None else result.calls}
            record_run(warehouse, settings, "erase", started_at, requests=0, **end)
    return result


def _calls_with(warehouse: Warehouse, person: _Person) -> list[str]:
    """The ids of the calls that the person took part in."""
    column, key = _COLUMNS[person.kind], _PARTICIPANTS.parent_key
    # Databases differ in what is lower case, a space or a digit, so the different values are compared here.
    values = _stored(warehouse, _PARTICIPANTS.name, column, person)
    sql = f"select distinct {key} from {{dataset}}.{_PARTICIPANTS.name} where {column} in"
    batches = id_batches(values)
    return sorted({i for batch in batches for (i,) in warehouse.query(f"{sql} ({placeholders(batch)})", *batch)})


def _users_like(warehouse: Warehouse, person: _Person) -> int:
    """How many rows of `users` have the address or number."""
    found: set[str] = set()
    for column in _OF_USERS[person.kind]:
        values = _stored(warehouse, USERS.table.name, column, person)
        sql = f"select id from {{dataset}}.{USERS.table.name} where {column} in"
        found |= {i for b in id_batches(values) for (i,) in warehouse.query(f"{sql} ({placeholders(b)})", *b)}
    return len(found)


def _stored(warehouse: Warehouse, table: str, column: str, person: _Person) -> list[str]:
    """The values of a column that are the person's."""
    rows = warehouse.query(f"select distinct {column} from {{dataset}}.{table} where {column} is not null")
    return sorted(value for (value,) in rows if person.is_in(value))


def _limits(person: _Person) -> list[str]:
    """What the search cannot see, because it is not stored."""
    column = _COLUMNS[person.kind]
    if column in person.privacy.null_columns(_PARTICIPANTS):
        return [f"The setting exclude_columns leaves out {_PARTICIPANTS.name}.{column}, so nobody is found by it."]
    if person.privacy.personal_data == "drop":
        return ["With personal_data = drop, only people of your own company are found: others have no stored address."]
    return []


def _hashed(warehouse: Warehouse, person: _Person) -> list[str]:
    """What a search that found nobody may have missed, because it is stored as a hash."""
    column = _COLUMNS[person.kind]
    found = warehouse.query(
        f"select count(*) from {{dataset}}.{_PARTICIPANTS.name} where length({column}) = 64 and {column} not like %s",
        "%@%",
    )
    number = int(found[0][0]) if found else 0
    if not number:
        return []
    people = "1 participant is" if number == 1 else f"{number:,} participants are"
    return [f"{people} stored as hashes: they are found only with personal_data = hash and the key of their load."]


def _unseen(warehouse: Warehouse) -> list[str]:
    """What the search cannot see, because nobody is stored as a participant of these calls."""
    found = warehouse.query(
        f"select count(*) from {{dataset}}.calls as c where not exists"
        f" (select 1 from {{dataset}}.{_PARTICIPANTS.name} as p where p.{_PARTICIPANTS.parent_key} = c.id)"
    )
    number = int(found[0][0]) if found else 0
    if not number:
        return []
    calls = "1 call has" if number == 1 else f"{number:,} calls have"
    return [f"{calls} no stored participants (private, not asked for yet, or without any), so nobody is found in them."]
