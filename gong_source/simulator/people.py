"""Who takes part in a made-up call, and the CRM records of the customer."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

from gong_source.simulator.answers import dump
from gong_source.simulator.phrases import draw
from gong_source.simulator.pieces import Pieces, rolls
from gong_source.simulator.sizes import Content
from gong_source.simulator.words import COMPANIES, FIRST_NAMES, JOBS, LAST_NAMES

_ACCOUNTS: Final = 300
_PREFIXES: Final = {"Account": "001", "Opportunity": "006", "Contact": "003"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the content of a call depends on beside its id.

    That is the host, the kind of call, its time in microseconds, and how times are written: `zone` None is UTC.
    """

    number: int
    host_id: str | None
    is_internal: bool
    has_video: bool
    micros: int | None
    zone: tzinfo | None


@dataclass(frozen=True, slots=True)
class Party:
    """One participant; `fields` is the JSON object without its closing brace, up to the CRM context."""

    party_id: str
    user_id: str | None
    speaker_id: str | None
    contact: int | None
    fields: bytes
    rest: bytes


@dataclass(frozen=True, slots=True)
class Depth:
    """How much CRM context is shown: none, links alone, or links with fields, for one or two moments."""

    level: str = "None"
    timings: tuple[str, ...] = ("Now",)


class Staff:
    """The users of the tenant, from whom the parties of the company are drawn."""

    def __init__(self, users: Iterable[dict[str, Any]]) -> None:
        self._users = {user["id"]: dict(user) for user in users}
        self._ids = list(self._users)

    def host(self, user_id: str | None) -> dict[str, Any] | None:
        """Return the host of a call; the tenant need not know that user."""
        return None if user_id is None else self._users.get(user_id, {"id": user_id})

    def member(self, lot: int) -> dict[str, Any] | None:
        """Return one of the users."""
        return self._users[self._ids[lot % len(self._ids)]] if self._ids else None


def vary(size: int, sizes: Content, roll: int) -> int:
    """Return a count around `size`; `roll` is from 0 to 15."""
    return round(size * (1 + sizes.spread * (roll / 7.5 - 1)))


def account_of(number: int) -> int:
    """Return the number of the customer's account for a call."""
    return draw(21, number) % _ACCOUNTS


def invite(facts: Facts, sizes: Content, staff: Staff) -> list[Party]:
    """Return the parties of a call: the host, colleagues, and people of the customer."""
    (roll,) = rolls("parties", facts.number, 1)
    count = max(1, vary(sizes.parties, sizes, roll))
    inside = count if facts.is_internal else max(1, count // 2)
    offset = draw(22, facts.number)
    parties = []
    for at in range(count):
        bits = draw(23 + at, facts.number)
        if at < inside:
            host = staff.host(facts.host_id) if at == 0 else None
            parties.append(_colleague(bits, host or staff.member(offset + at)))
        else:
            parties.append(_customer(bits, account_of(facts.number), at - inside))
    return parties


def _colleague(bits: int, user: dict[str, Any] | None) -> Party:
    user = user or {}
    speaker_id = None if bits & 7 == 7 else str(draw(1, bits) >> 1)
    shown: dict[str, Any] = {"id": str(bits >> 1)}
    if user.get("emailAddress") is not None:
        shown["emailAddress"] = user["emailAddress"]
    names = [name for name in (user.get("firstName"), user.get("lastName")) if isinstance(name, str)]
    shown["name"] = " ".join(names) or None
    shown["title"] = user.get("title")
    if "id" in user:
        shown["userId"] = user["id"]
    shown["speakerId"] = speaker_id
    rest = {"affiliation": "Internal", "methods": _methods(bits)}
    return Party(shown["id"], user.get("id"), speaker_id, None, dump(shown)[:-1], dump(rest)[1:])


def _customer(bits: int, account: int, at: int) -> Party:
    """Return a contact of the account, or someone of whom the telephone number is all that is known."""
    contact = account * 10 + (at + bits % 3) % 10
    speaker_id = None if bits & 3 == 3 else str(draw(1, bits) >> 1)
    shown: dict[str, Any] = {"id": str(bits >> 1)}
    known = bits >> 2 & 7 != 7
    if known:
        if bits >> 5 & 3:
            shown["emailAddress"] = f"contact{contact}@{_domain(account)}"
        shown["name"] = person(contact)
        if bits >> 7 & 1:
            shown["title"] = None if bits >> 8 & 1 else JOBS[contact % len(JOBS)]
    shown["speakerId"] = speaker_id
    rest: dict[str, Any] = {"affiliation": "External" if known else "Unknown"}
    if not known or bits >> 9 & 3 == 0:
        rest["phoneNumber"] = f"+1 555-01{contact % 100:02}"
    rest["methods"] = _methods(bits >> 11)
    return Party(shown["id"], None, speaker_id, contact if known else None, dump(shown)[:-1], dump(rest)[1:])


def _methods(bits: int) -> list[str]:
    return (["Invitee", "Attendee"], ["Attendee"], ["Invitee", "Attendee"], ["Invitee"])[bits >> 3 & 3]


def company(account: int) -> str:
    """Return the name of an account."""
    return f"{COMPANIES[account % 10]} {account}"


def person(contact: int) -> str:
    """Return the name of a contact."""
    return f"{FIRST_NAMES[contact % 10]} {LAST_NAMES[contact // 10 % 10]}"


def _domain(account: int) -> str:
    return f"{COMPANIES[account % 10].lower()}{account}.example"


def crm_objects(kind: str, number: int, name: str, *, depth: Depth, pieces: Pieces, moment: int) -> list[bytes]:
    """Return the JSON of a CRM object, once for each timing; `moment` distinguishes what it was at some call."""
    head = f'{{"objectType":"{kind}","objectId":"{_PREFIXES[kind]}Qp{number:010}IAV"'
    if depth.level != "Extended":
        return [f'{head},"timing":"Now"}}'.encode()]
    shown = []
    for timing in depth.timings:
        first = b'{"name":"Name","value":%b}' % dump(name)
        # What the object is now is the same in every call.
        further = pieces.fields[kind].take(pieces.crm_fields, kind, number if timing == "Now" else moment)
        fields = b",".join((first, *further))
        shown.append(b'%b,"fields":[%b],"timing":"%b"}' % (head.encode(), fields, timing.encode()))
    return shown


def crm_context(objects: list[bytes]) -> bytes:
    """Return the JSON of a list of CRM systems with these objects."""
    return b'[{"system":"Salesforce","objects":[%b]}]' % b",".join(objects) if objects else b"[]"
