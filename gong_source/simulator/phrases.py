"""The words and numbers that fill a made-up call, user or workspace."""

from datetime import UTC, datetime, tzinfo
from typing import Any, Final
from zlib import crc32

DEFAULT_LABEL: Final = "us-12345"
# One user of so many manages the others.
_TEAM: Final = 6
_MASK: Final = (1 << 64) - 1
_TOPICS: Final = (
    "Discovery",
    "Demo",
    "Pricing",
    "Renewal",
    "Onboarding",
    "Weekly sync",
    "Kick-off",
    "Security review",
)
_FIRMS: Final = (
    "Acme",
    "Globex",
    "Initech",
    "Umbrella",
    "Hooli",
    "Stark",
    "Wayne",
    "Wonka",
    "Tyrell",
    "Cyberdyne",
)
_MEETING_SYSTEMS: Final = ("Zoom", "Google Meet", "Microsoft Teams", "ClearSlide")
_PHONE_SYSTEMS: Final = ("Outreach", "Talkdesk (Via Salesforce)", "Upload API", "Gong Connect")
_LANGUAGES: Final = ("eng", "eng", "eng", "spa", "fre", "ger", "und", "zxx")
_WILD_TITLES: Final = (
    'He said "yes", then \\ left',
    "two\nlines\tand a tab",
    "Müller & Søn: 第3四半期レビュー",
    "🎉 party 👩‍👩‍👧",
    "',); DROP TABLE calls; --",
    "",
    "   ",
    "null",
    "\u202eright to left\u202c \u2028 separators \x7f",
    "long " * 400,
)
_WILD_ENUMS: Final = {
    "scope": ("Partner", ""),
    "media": ("Screen", "video"),
    "language": ("x-klingon", "EN"),
}
_FIRST_NAMES: Final = ("Ada", "Bo", "Chloé", "Dmitri", "Elif", "Farid", "Grace", "Hana", "Ines", "Jürgen")


def draw(seed: int, number: int) -> int:
    """Return 64 bits that depend on the seed and the number alone (splitmix64)."""
    bits = (seed * 0x9E3779B97F4A7C15 + (number + 1) * 0xD1342543DE82EF95) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


def describe(
    call_id: str,
    *,
    number: int,
    seed: int,
    direction: str | None,
    user_ids: tuple[str, ...],
    wild: bool,
    unknown_fields: bool,
    label: str,
) -> dict[str, Any]:
    """Return the fields of a call apart from its id, times and workspace."""
    bits, conference = draw(seed, number), direction == "Conference"
    external = bits & 7 != 0
    topic, firm = _TOPICS[(bits >> 3) & 7], _FIRMS[(bits >> 6) % 10]
    fields: dict[str, Any] = {
        "url": f"https://{label}.app.gong.io/call?id={call_id}",
        "title": f"{topic} with {firm}" if external else f"{topic} (team)",
        "duration": 30 + (bits >> 10) % 5370,
        "primaryUserId": user_ids[(bits >> 23) % len(user_ids)] if user_ids else None,
        "direction": direction,
        "system": (_MEETING_SYSTEMS if conference else _PHONE_SYSTEMS)[(bits >> 29) & 3],
        "scope": "External" if external else "Internal",
        "media": "Video" if conference else "Audio",
        "language": _LANGUAGES[(bits >> 31) & 7],
        "workspaceId": None,
        "sdrDisposition": "Got the gatekeeper" if not conference and (bits >> 34) & 15 == 0 else None,
        "clientUniqueId": None if conference else f"{bits >> 16:X}",
        "customData": None,
        "purpose": "Demo Call" if topic == "Demo" else None,
        "meetingUrl": f"https://meet.example.com/j/{bits % 10**10}" if conference else None,
        "isPrivate": (bits >> 38) & 31 == 0,
        "calendarEventId": f"{bits:016x}@example.com" if conference else None,
    }
    if unknown_fields:
        spotlight = {"score": (bits >> 43) % 1000 / 10, "labels": [topic, None]}
        fields |= {"callSpotlight": spotlight, "reviewState": "open" if bits & 1 else None}
    if wild:
        _roughen(fields, draw(~seed, number))
    return fields


def _roughen(fields: dict[str, Any], bits: int) -> None:
    """Replace values by nulls, unknown enum values and awkward titles."""
    if bits & 1:
        fields["title"] = _WILD_TITLES[(bits >> 1) % len(_WILD_TITLES)]
    for at, (name, values) in enumerate(_WILD_ENUMS.items()):
        if (bits >> (5 + 2 * at)) & 3 == 0:
            fields[name] = values[(bits >> 11) % len(values)]
    if (bits >> 12) & 31 == 0:
        fields["duration"] = 2**40
    kept = ("direction", "workspaceId")
    for at, name in enumerate(name for name in fields if name not in kept):
        if (bits >> (17 + 2 * at)) & 3 == 0:
            fields[name] = None


def make_users(count: int, zone: tzinfo, label: str) -> list[dict[str, Any]]:
    """Return users in ascending order of id, in the shape of GET /v2/users; times have the offset of `zone`."""
    step = (2**63 - 10**17) // max(1, count)
    ids = [str(10**17 + number * step + draw(7 + _number_of(label), number) % step) for number in range(count)]
    users = []
    for number, user_id in enumerate(ids):
        bits = draw(7, number)
        created = datetime(2023, 1 + bits % 12, 10, 21, 50, 7, bits % 1000 * 1000, tzinfo=UTC)
        manager = number - number % _TEAM
        first, last = _FIRST_NAMES[bits % 10], f"Example{number}"
        users.append(
            {
                "id": user_id,
                "emailAddress": f"user{number}@example.com",
                "created": created.astimezone(zone).isoformat(timespec="milliseconds"),
                "active": bits & 7 != 0,
                "emailAliases": [],
                "trustedEmailAddress": None,
                "firstName": first,
                "lastName": last,
                "title": None if bits & 8 else "Account Executive",
                "phoneNumber": None,
                "extension": None,
                "personalMeetingUrls": [],
                "settings": {
                    "webConferencesRecorded": True,
                    "preventWebConferenceRecording": False,
                    "telephonyCallsImported": True,
                    "emailsImported": True,
                    "preventEmailImport": False,
                    "nonRecordedMeetingsImported": False,
                    "gongConnectEnabled": bool(bits & 16),
                },
                "managerId": None if manager == number else ids[manager],
                "meetingConsentPageUrl": None,
                "spokenLanguages": [{"language": "en-US", "primary": True}],
                "conferencingProviders": None,
            }
        )
    return users


def make_workspaces(count: int, label: str) -> list[dict[str, Any]]:
    """Return workspaces in the shape of GET /v2/workspaces."""
    return [
        {
            "id": str(623457276584334 + 1_000_003 * number + 10**9 * _number_of(label)),
            "name": "Initial workspace" if number == 0 else f"Workspace {number}",
            "description": "The built-in workspace" if number == 0 else None,
        }
        for number in range(count)
    ]


def _number_of(label: str) -> int:
    """Return a number that differs from tenant to tenant, so that their ids do too; 0 for the usual label."""
    return 0 if label == DEFAULT_LABEL else crc32(label.encode()) % 10**6
