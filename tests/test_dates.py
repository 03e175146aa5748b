"""Dates as people write them, durations as they read them."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gong_source.dates import check_zone, in_words, parse, read_duration
from gong_source.errors import ConfigurationError

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - what a user may hand over
PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 27, 10, 30, tzinfo=UTC)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]


def utc(*parts: int) -> datetime:
    """A UTC instant."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-01-31", utc(2026, 1, 31)),
        ("20260131", utc(2026, 1, 31)),
        (" 2026-01-31 ", utc(2026, 1, 31)),
        ("2026-01-31T09:00:00Z", utc(2026, 1, 31, 9)),
        ("2026-01-31t09:00z", utc(2026, 1, 31, 9)),
        ("2026-01-31 09:00", utc(2026, 1, 31, 9)),
        ("2026-01-31 09", utc(2026, 1, 31, 9)),
        ("2026-01-31T09:00:00.123456+05:30", utc(2026, 1, 31, 3, 30, 0, 123000)),
        ("2026-01", utc(2026, 1, 1)),
        ("2026-Q4", utc(2026, 10, 1)),
        ("2026-W45", utc(2026, 11, 2)),
        ("2026-w45", utc(2026, 11, 2)),
        ("2026", utc(2026, 1, 1)),
        ("now", NOW),
        ("today", utc(2026, 11, 27)),
        ("Yesterday", utc(2026, 11, 26)),
        ("tomorrow", utc(2026, 11, 28)),
        ("now - 90 days", NOW - timedelta(days=90)),
        ("now-90days", NOW - timedelta(days=90)),
        ("today - 2 weeks", utc(2026, 11, 13)),
        ("today - 1 month", utc(2026, 10, 27)),
        ("yesterday + 6 hours", utc(2026, 11, 26, 6)),
        ("90 days ago", NOW - timedelta(days=90)),
        ("1 year ago", utc(2025, 11, 27, 10, 30)),
    ],
)
def test_what_people_write_is_read(written: str, expected: datetime) -> None:
    """Dates, times, periods and relative times give the instant that a reader expects, in UTC."""
    found = parse(written, now=NOW)

    assert found == expected
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        (" 2026-01-31 ", datetime(2026, 1, 31, tzinfo=UTC)),
        ("20260131", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2026-01-31T09:00", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("2026-01-31 09:00:30", datetime(2026, 1, 31, 9, 0, 30, tzinfo=UTC)),
        ("2026-01-31T09:00:00Z", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("2026-01-31T09:00:00.250Z", datetime(2026, 1, 31, 9, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-01-31T09:00:00.123999", datetime(2026, 1, 31, 9, 0, 0, 123_000, tzinfo=UTC)),
        ("2026-01-31T09:00:00+02:00", datetime(2026, 1, 31, 7, tzinfo=UTC)),
        ("2026-01-01T00:30:00+01:00", datetime(2025, 12, 31, 23, 30, tzinfo=UTC)),
        ("2026-01-31T09:00:00-0930", datetime(2026, 1, 31, 18, 30, tzinfo=UTC)),
        ("9999-12-31", datetime(9999, 12, 31, tzinfo=UTC)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
        (date(2026, 1, 31), datetime(2026, 1, 31, tzinfo=UTC)),
        (NAIVE + timedelta(hours=9), datetime(2026, 1, 1, 9, tzinfo=UTC)),
        (datetime(2026, 7, 31, 9, tzinfo=PARIS), datetime(2026, 7, 31, 7, tzinfo=UTC)),
    ],
    ids=str,
)
def test_iso_forms_in_utc(text: str | date | datetime, instant: datetime) -> None:
    """A date is its UTC midnight, a time without an offset is UTC, and every result is UTC to the millisecond."""
    parsed = parse(text)

    assert parsed == instant
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "nonsense",
        "10:00",
        "T10:00",
        "10",
        "2026-1-1",
        "2026-02-29",
        "2026-13-01",
        "31.01.2026",
        "01/31/2026",
        "99999-01-01",
        "0000-01-01",
        "-2026-01-01",
        "P1D",
        "2026-01-01/2026-02-01",
        "2026-01-31T25:00",
        "2026-01-31T09:00:00+25:00",
        "1767225600",
        "None",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
    ],
    ids=str,
)
def test_other_forms_are_refused(text: str | datetime) -> None:
    """The message names the setting, what was written, and how to write a date."""
    with pytest.raises(ConfigurationError) as refusal:
        parse(text, "start_date")

    assert str(refusal.value).startswith(f"start_date: {str(text)!r} is not a date; write 2026-01-31, ")


@pytest.mark.parametrize(
    ("written", "zone", "expected"),
    [
        ("2026-01-31", "Europe/Berlin", utc(2026, 1, 30, 23)),
        ("2026-07-31", "Europe/Berlin", utc(2026, 7, 30, 22)),
        ("2026-07-31 09:00", "America/New_York", utc(2026, 7, 31, 13)),
        ("2026-07", "Asia/Kolkata", utc(2026, 6, 30, 18, 30)),
        ("2026-W45", "Europe/Berlin", utc(2026, 11, 1, 23)),
        ("today", "Pacific/Auckland", utc(2026, 11, 26, 11)),
        ("2026-07-31T09:00:00Z", "Asia/Kolkata", utc(2026, 7, 31, 9)),
        ("2026-11-01 09:00 Europe/Berlin", "America/New_York", utc(2026, 11, 1, 8)),
        ("2026-11-01 europe/berlin", "UTC", utc(2026, 10, 31, 23)),
        ("2026-11-01 09:00 UTC", "Europe/Berlin", utc(2026, 11, 1, 9)),
        ("yesterday Europe/Berlin", "UTC", utc(2026, 11, 25, 23)),
        # the night of the change has 25 hours: a day is a day of the calendar
        ("2026-10-25", "Europe/Berlin", utc(2026, 10, 24, 22)),
        ("2026-10-26", "Europe/Berlin", utc(2026, 10, 25, 23)),
        # clocks skip midnight: the day begins at one o'clock
        ("2026-03-29", "Asia/Beirut", utc(2026, 3, 28, 22)),
    ],
)
def test_zone(written: str, zone: str, expected: datetime) -> None:
    """Without an offset, a date is in the setting `time_zone`, or in the zone that stands behind it."""
    assert parse(written, zone=zone, now=NOW) == expected


def test_days_count_in_the_zone() -> None:
    """Two days before a change of clocks is the same time of day, not 48 hours before."""
    after = utc(2026, 10, 26, 9)

    assert parse("now - 2 days", zone="Europe/Berlin", now=after) == utc(2026, 10, 24, 8)
    assert parse("now - 48 hours", zone="Europe/Berlin", now=after) == utc(2026, 10, 24, 9)


@pytest.mark.parametrize(
    ("written", "zone", "expected"),
    [
        (datetime(2026, 1, 31, 9, tzinfo=timezone(timedelta(hours=2))), "Europe/Berlin", utc(2026, 1, 31, 7)),
        (datetime(2026, 1, 31, 9), "Europe/Berlin", utc(2026, 1, 31, 8)),  # noqa: DTZ001 - as TOML gives it
        (date(2026, 1, 31), "Europe/Berlin", utc(2026, 1, 30, 23)),
    ],
)
def test_dates_of_toml(written: Any, zone: str, expected: datetime) -> None:
    """A toml file gives dates and times as such; they mean the same as in text."""
    assert parse(written, zone=zone) == expected


@pytest.mark.parametrize(
    "written",
    ["monday", "12", "0900", "1730000000", "01/02/2026", "11-01", "1.2.2026", "2026-13", "2026-W60", "2026-Q5",
     "2026-02-30", "2026-01-31 25:00", "soon", "", " ", "now - 5", "now - 999999 years", "5 fortnights ago",
     "2026-01-31 09:00 CEST", "9999-12-31 23:59 America/New_York"],
)  # fmt: skip
def test_what_is_no_date_or_ambiguous_is_refused_with_examples(written: str) -> None:
    """Nothing is guessed: the message names the option, what was written, and forms that are read."""
    with pytest.raises(ConfigurationError) as refused:
        parse(written, "--from", now=NOW)

    message = str(refused.value)
    assert message.startswith(f"--from: {written!r} is not a date")
    assert "2026-01-31" in message
    assert "yesterday" in message


@pytest.mark.parametrize(
    ("written", "reason", "readings"),
    [
        ("2026-03-29 02:30", "does not exist there", ["2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"]),
        ("2026-10-25 02:30", "exists twice there", ["2026-10-25T02:30:00+01:00", "2026-10-25T02:30:00+02:00"]),
    ],
)
def test_local_time_where_clocks_change(written: str, reason: str, readings: list[str]) -> None:
    """A local time that clocks skip or repeat is refused, with both ways to write what may be meant."""
    with pytest.raises(ConfigurationError, match=reason) as refused:
        parse(written, "start_date", zone="Europe/Berlin")

    assert all(reading in str(refused.value) for reading in readings)
    assert all(isinstance(parse(reading), datetime) for reading in readings)


@given(text=st.text(max_size=40), zone=st.sampled_from(ZONES))
@example(text="0001-01-01", zone="Asia/Kolkata")
@example(text="9999-12-31T23:59:59.999999-23:59", zone="UTC")
@example(text="tomorrow + 999999 years", zone="UTC")
@example(text="2026-01-31T09:00:00+99:99", zone="UTC")
def test_any_text_is_a_date_or_a_clear_error(text: str, zone: str) -> None:
    """Whatever is written: an instant in UTC, or an error of ours that names the option."""
    try:
        found = parse(text, "--to", zone=zone, now=NOW)
    except ConfigurationError as error:
        refused = str(error)
    else:
        refused = ""
        assert found.tzinfo is UTC
    assert refused == "" or refused.startswith("--to: ")


@given(moment=st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)), zone=st.sampled_from(ZONES))  # noqa: DTZ001
def test_instants_are_read_as_written(moment: datetime, zone: str) -> None:
    """A time with an offset is that instant to the millisecond, whatever the zone."""
    instant = moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000)

    assert parse(instant.isoformat(), zone=zone) == instant


def test_unknown_zone_gets_the_nearest_names() -> None:
    """A misspelt zone is refused, with the names that it may have been."""
    assert check_zone("europe/berlin") == "Europe/Berlin"
    with pytest.raises(
        ConfigurationError, match="time_zone: 'Europe/Berln' is not a time zone; did you mean Europe/Ber"
    ):
        check_zone("Europe/Berln")
    for nowhere in ("xyzzy", "CEST"):  # the names next to CEST are other zones
        with pytest.raises(ConfigurationError, match="is not a time zone; write it like Europe/Berlin"):
            check_zone(nowhere)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (0.34, "0.3 seconds"),
        (1, "1 second"),
        (12.44, "12.4 seconds"),
        (59.97, "1 minute"),
        (65, "1 minute 5 seconds"),
        (3599.6, "1 hour"),
        (7385, "2 hours 3 minutes"),
        (86_399, "1 day"),
        (90_000, "1 day 1 hour"),
        (45 * 86_400, "45 days"),
        (float("nan"), "unknown"),
        (float("inf"), "unknown"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    """Two units at most, each with the right plural."""
    assert in_words(seconds) == words


@given(seconds=st.floats(0, 1e12))
def test_durations_have_right_plurals(seconds: float) -> None:
    """One of a unit is singular, everything else plural."""
    for number, unit in re.findall(r"([\d.]+) (\w+)", in_words(seconds)):
        assert (number == "1") != unit.endswith("s")


def test_pendulum_is_imported_late() -> None:
    """`--help` and the import of the package must not wait for pendulum."""
    code = "import sys, gong_source.dates; assert 'pendulum' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6h", 21_600),
        ("90 minutes", 5400),
        ("1d 12h", 129_600),
        ("1h30m", 5400),
        ("0.5 hours", 1800),
        (" 2W ", 1_209_600),
    ],
)
def test_duration_is_read_as_people_write_it(text: str, seconds: float) -> None:
    """A number and a unit, in short or in full, once or more."""
    assert read_duration(text, "--max-age") == seconds


@pytest.mark.parametrize("text", ["", "6", "h", "6 parsecs", "-1h", "6h ago", "1e9h", "6 h x"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    """The message names the option and shows how to write it."""
    with pytest.raises(ConfigurationError, match=r"--max-age.*write it like 6h, 90 minutes or 1d 12h"):
        read_duration(text, "--max-age")
