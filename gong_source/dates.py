"""Reads the dates that people write, and writes durations in words. Uses pendulum, imported when first needed."""

from __future__ import annotations

import difflib
import math
import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from gong_source import windows
from gong_source.errors import ConfigurationError

if TYPE_CHECKING:
    from pendulum import DateTime

_EXAMPLES = (
    "2026-01-31, 2026-01-31 09:00, 2026-01-31T09:00:00Z, 2026-01-31 09:00 Europe/Berlin, 2026-01, 2026-W05,"
    " yesterday or now - 90 days"
)
_WITH_ZONE = re.compile(r"(?P<rest>.*\S)\s+(?P<zone>[A-Za-z]\w*(?:/[\w+-]+)+|UTC|GMT)", re.IGNORECASE)
# Not just any four digits: 0900 may be meant as a time.
_YEAR = re.compile(r"(?P<year>(19|20|21)\d{2})")
_QUARTER = re.compile(r"(?P<year>\d{4})-Q(?P<quarter>[1-4])", re.IGNORECASE)
_MONTH = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})")
_WEEK = re.compile(r"(?P<year>\d{4})-W(?P<week>\d{2})", re.IGNORECASE)
# A date, and perhaps a time with or without an offset. Only these forms reach the parser: it would read others as well.
_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2}|\d{8}|\d{4}-?W\d{2}-?\d)"
    r"(?P<time>[T ]\d{2}(:?\d{2}(:?\d{2}([.,]\d+)?)?)?\s*(Z|[+-]\d{2}(:?\d{2}){0,2})?)?",
    re.IGNORECASE,
)
_UNIT = r"(?P<number>\d{1,6})\s*(?P<unit>second|minute|hour|day|week|month|year)s?"
_RELATIVE = re.compile(rf"(?P<base>now|today|yesterday|tomorrow)(?:\s*(?P<sign>[+-])\s*{_UNIT})?", re.IGNORECASE)
_AGO = re.compile(rf"{_UNIT}\s+ago", re.IGNORECASE)
_DURATION_PART = re.compile(
    r"(\d{1,6}(?:\.\d{1,3})?)\s*(minutes?|min|m|hours?|h|days?|d|weeks?|w|seconds?|s)(?![a-z])", re.IGNORECASE
)
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern}\s*)+", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
# Durations in words: to seconds below an hour, to minutes below a day, to hours beyond.
_ROUNDED_TO = ((3600, 1), (86_400, 60), (math.inf, 3600))
_DAYS_FROM_TODAY = {"today": 0, "yesterday": -1, "tomorrow": 1}


def parse(
    text: str | datetime | date, name: str = "date", *, zone: str = "UTC", now: datetime | None = None
) -> datetime:
    """The UTC instant that a person wrote, cut to whole milliseconds.

    Takes dates (their midnight) and times in ISO 8601; months (`2026-11`), quarters (`2026-Q4`), ISO weeks
    (`2026-W45`) and years, each as its start; `now`, `today`, `yesterday` and `tomorrow`, with `- 90 days` or
    `+ 2 hours` behind it; and `90 days ago`. A range ends before its end, so from `2026-10` to `2026-11` is October.

    Without an offset, the text is in `zone`, or in the zone whose name stands behind the time (`2026-11-01 09:00
    Europe/Berlin`). `now` is the current time. Raises `ConfigurationError`, naming `name`, for anything else, and for a
    local time that does not exist or exists twice because clocks change.
    """
    try:
        if isinstance(text, datetime):
            return windows.utc(text) if text.tzinfo else _exactly(text, zone, name, str(text))
        if isinstance(text, date):
            return _first(datetime(text.year, text.month, text.day), zone)  # noqa: DTZ001 - a local time
        return _parse(text.strip(), name, zone, windows.now() if now is None else now)
    except (OverflowError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"{name}: {str(text)!r} is not a date; write {_EXAMPLES}") from None


def _parse(text: str, name: str, zone: str, now: datetime) -> datetime:
    if found := _WITH_ZONE.fullmatch(text):
        text, zone = found["rest"], check_zone(found["zone"], name)
    if found := _RELATIVE.fullmatch(text):
        sign = -1 if found["sign"] == "-" else 1
        return _shifted(_base(found["base"].lower(), zone, now), sign * int(found["number"] or 0), found["unit"])
    if found := _AGO.fullmatch(text):
        return _shifted(_local(now, zone), -int(found["number"]), found["unit"])
    start = _start_of_period(text)
    if start is not None:
        return _first(start, zone)
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError(text)
    moment = datetime.fromisoformat(text.replace(",", ".").upper().replace(" Z", "Z"))
    if moment.tzinfo:
        return windows.utc(moment)
    return _exactly(moment, zone, name, text) if found["time"] else _first(moment, zone)


def _start_of_period(text: str) -> datetime | None:
    """The local start of the year, quarter, month or ISO week that `text` names; None if it names none."""
    if found := _YEAR.fullmatch(text):
        return datetime(int(found["year"]), 1, 1)  # noqa: DTZ001 - a local time
    if found := _QUARTER.fullmatch(text):
        return datetime(int(found["year"]), 3 * int(found["quarter"]) - 2, 1)  # noqa: DTZ001
    if found := _MONTH.fullmatch(text):
        return datetime(int(found["year"]), int(found["month"]), 1)  # noqa: DTZ001
    if found := _WEEK.fullmatch(text):
        return datetime.fromisocalendar(int(found["year"]), int(found["week"]), 1)
    return None


def _base(word: str, zone: str, now: datetime) -> DateTime:
    local = _local(now, zone)
    return local if word == "now" else local.start_of("day").add(days=_DAYS_FROM_TODAY[word])


def _shifted(moment: DateTime, number: int, unit: str | None) -> datetime:
    """`number` units later; days and longer units keep the local time of day, also where clocks change."""
    return windows.utc(moment.add(**{f"{unit.lower()}s": number}) if unit else moment)


def _local(moment: datetime, zone: str) -> DateTime:
    import pendulum

    return pendulum.instance(moment).in_timezone(zone)


def _first(local: datetime, zone: str) -> datetime:
    """The first instant of a local day in `zone`; where clocks skip midnight, the day begins later."""
    import pendulum

    both = [pendulum.datetime(*local.timetuple()[:3], tz=zone, fold=fold) for fold in (0, 1)]
    return windows.utc(next(moment for moment in both if moment.date() == local.date()))


def _exactly(local: datetime, zone: str, name: str, text: str) -> datetime:
    """The instant of a local time in `zone`; raises `ConfigurationError` where clocks make it none or two."""
    import pendulum
    from pendulum.tz.exceptions import AmbiguousTime, NonExistingTime

    parts = local.timetuple()[:6]
    try:
        return windows.utc(pendulum.datetime(*parts, local.microsecond, tz=zone, raise_on_unknown_times=True))
    except NonExistingTime:
        problem = "does not exist there, because clocks are set forward"
    except AmbiguousTime:
        problem = "exists twice there, because clocks are set back"
    both = [pendulum.datetime(*parts, tz=zone, fold=fold) for fold in (0, 1)]
    written = " or ".join(sorted({moment.replace(microsecond=0).isoformat() for moment in both}))
    raise ConfigurationError(f"{name}: {text!r} in {zone} {problem}; write {written}")


def check_zone(zone: str, name: str = "time_zone") -> str:
    """The name of the time zone, spelt as in the list of zones; raises `ConfigurationError` for an unknown one."""
    import pendulum

    known = {known.lower(): known for known in pendulum.timezones()}
    found = known.get(str(zone).lower())
    if found is None:
        # Of an abbreviation such as CEST, the next ones in spelling are other zones.
        near = difflib.get_close_matches(str(zone).lower(), known, 3) if "/" in str(zone) else []
        hint = f"did you mean {' or '.join(known[match] for match in near)}?" if near else "write it like Europe/Berlin"
        raise ConfigurationError(f"{name}: {zone!r} is not a time zone; {hint}")
    return found


def read_duration(text: str, name: str) -> float:
    """The seconds of a duration such as `6h`, `90 minutes` or `1d 12h`; raises `ConfigurationError`."""
    if not _DURATION.fullmatch(text.strip()):
        raise ConfigurationError(f"{name}: {text!r} is not a duration; write it like 6h, 90 minutes or 1d 12h")
    return sum(float(number) * _SECONDS[unit[0].lower()] for number, unit in _DURATION_PART.findall(text))


def in_words(seconds: float) -> str:
    """A duration in words, in at most two units: `12.4 seconds`, `1 minute 5 seconds`, `2 hours 3 minutes`."""
    import pendulum

    if not math.isfinite(seconds) or abs(seconds) >= timedelta.max.total_seconds():
        return "unknown"
    if round(seconds, 1) < 60:  # pendulum's words drop the tenths of a second
        return f"{round(seconds, 1):g} {'second' if round(seconds, 1) == 1 else 'seconds'}"
    step = next(step for below, step in _ROUNDED_TO if seconds < below)
    days, rest = divmod(round(seconds / step) * step, 86_400)
    # pendulum would count weeks; people compare the words with settings in days.
    shown = [f"{days} {'day' if days == 1 else 'days'}"] if days else []
    return " ".join([*shown, *([pendulum.duration(seconds=rest).in_words()] if rest else [])])
