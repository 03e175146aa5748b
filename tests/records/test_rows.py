"""Pages become typed rows: values that fit go into their columns, everything else into `extra`; nothing is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gong_source.api.client import Page
from gong_source.api.responses import loads
from gong_source.errors import RecordError
from gong_source.records.batch import Batch, read_batch
from gong_source.records.call_time import Ambiguous, Rule, page_times
from gong_source.records.rows import _encode_slowly, arrow_schema, encode, read_records, to_table, with_load_id
from gong_source.resources import TABLES
from gong_source.resources.bookkeeping import FETCHED_WINDOWS
from gong_source.resources.calls import CALLS, CALLS_WITH_DETAILS
from gong_source.resources.people import USERS
from gong_source.simulator import Call, Tenant
from gong_source.windows import Window

DAY = Window(datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC))
TRACE = "4f0123456789abcdef"
TEXT_FIELDS = [field for field, column in CALLS.table.fields.items() if column.type == "text" and field != "id"]


def page_of(*records: Any, raw: str | None = None) -> Page:
    """A page as the client makes it, of these records or of the JSON text of a list."""
    body = ('{"calls": ' + (json.dumps(list(records)) if raw is None else raw) + "}").encode()
    return Page(loads(body)["calls"], None, None, TRACE, "calls", body)


def batch_of(*records: Any, raw: str | None = None, filed_by: Any = None) -> Batch:
    """The batch of one page of these records."""
    return read_batch(CALLS, [page_of(*records, raw=raw)], DAY, Rule(others=filed_by))


def row_of(raw: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The one row of a record given as JSON text, and its `extra` as Python's."""
    (row,) = batch_of(raw=f"[{raw}]").table.to_pylist()
    return row, json.loads(row["extra"]) if row["extra"] is not None else {}


# a plain call


def test_call_as_gong_sends_it() -> None:
    """Every field of a real call reaches its column with the right type, and `extra` stays null."""
    record = {
        "id": "7782342274025937895",
        "url": "https://app.gong.io/call?id=7782342274025937895",
        "title": "Intro <> Müller 🎉",
        "scheduled": "2026-01-05T10:00:00-07:00",
        "started": "2026-01-05T10:03:37.041977-07:00",
        "duration": 1785,
        "primaryUserId": "18446744073709551617",
        "direction": "Conference",
        "system": "Zoom",
        "scope": "External",
        "media": "Video",
        "language": "eng",
        "workspaceId": "623457276584334",
        "sdrDisposition": None,
        "clientUniqueId": None,
        "customData": 'a,b\n"c"',
        "purpose": "",
        "meetingUrl": "https://zoom.us/j/123",
        "isPrivate": False,
        "calendarEventId": None,
    }
    batch = batch_of(record)
    (row,) = batch.table.to_pylist()

    assert batch.table.schema == arrow_schema(CALLS.table)
    assert (batch.unmapped, row["extra"], row["deleted_at"]) == (0, None, None)
    assert row["scheduled"] == row["call_time"] == datetime(2026, 1, 5, 17, tzinfo=UTC)
    assert row["started"] == datetime(2026, 1, 5, 17, 3, 37, 41977, tzinfo=UTC)
    for field, column in CALLS.table.fields.items():
        if column.type != "timestamp":
            assert row[column.name] == record[field]


@pytest.mark.parametrize("rendering", ["offset", "utc", "mixed"])
@pytest.mark.parametrize("wild", [False, True])
def test_simulated_tenants(rendering: Any, wild: bool) -> None:
    """Whatever a simulated tenant serves arrives as it was served."""
    tenant = Tenant.generate(
        300, start=DAY.start, end=DAY.end, rendering=rendering, wild=wild, unknown_fields=True, time_zone="Europe/Paris"
    )
    served = [tenant.served(call_id) for call_id in tenant.calls]
    batch = batch_of(*served)

    assert batch.table.num_rows == 300
    for record, row in zip(served, batch.table.to_pylist(), strict=True):
        check_nothing_lost(record, row)


def test_page_of_nulls_keeps_its_types() -> None:
    """Every column is there with its type even when all that came is an id."""
    batch = batch_of({"id": "1"}, dict.fromkeys(CALLS.table.fields) | {"id": "2"})

    assert batch.table.schema == arrow_schema(CALLS.table)
    assert batch.table.column("id").to_pylist() == ["1", "2"]
    for column in CALLS.table.columns:
        if column.name not in {"id", "call_time"}:
            assert batch.table.column(column.name).null_count == 2
    assert batch.unmapped == 0


def test_no_calls() -> None:
    """No page, and a page without calls, give a typed table without rows."""
    for pages in ([], [page_of()], [Page([], 0, None, "", "calls", b"")]):
        batch = read_batch(CALLS, pages, DAY, Rule())

        assert (batch.table.num_rows, batch.table.schema) == (0, arrow_schema(CALLS.table))
        assert (batch.unmapped, batch.learnt, batch.ambiguous) == (0, Rule(), ())


def test_pages_stay_in_order() -> None:
    """Several pages become one table in the order received, also pages with unmapped fields."""
    pages = [page_of({"id": "3"}), page_of(), page_of({"id": "1", "new": 1.5}, {"id": 2}), page_of({"id": "9"})]
    batch = read_batch(CALLS, pages, DAY, Rule())

    assert batch.table.column("id").to_pylist() == ["3", "1", "2", "9"]
    assert [extra is not None for extra in batch.table.column("extra").to_pylist()] == [False, True, False, False]
    assert batch.unmapped == 1


# times


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-05T10:00:00Z", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T10:00:00.5Z", datetime(2026, 1, 5, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-05T10:00:00.428+02:00", datetime(2026, 1, 5, 8, 0, 0, 428_000, tzinfo=UTC)),
        ("2026-01-05T10:00:00.816562+02:00", datetime(2026, 1, 5, 8, 0, 0, 816_562, tzinfo=UTC)),
        ("2026-01-05T10:00:00-09:30", datetime(2026, 1, 5, 19, 30, tzinfo=UTC)),
        ("2026-01-05T10:00:00+0530", datetime(2026, 1, 5, 4, 30, tzinfo=UTC)),
        ("2026-01-05T10:00:00+14:00", datetime(2026, 1, 4, 20, tzinfo=UTC)),
        ("2026-10-25T02:30:00+02:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25T02:30:00+01:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        ("1969-12-31T23:59:59.999999Z", datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("1900-01-01T00:00:00Z", datetime(1900, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("surprise", ["", ', "title": 7'], ids=["fast", "one by one"])
def test_time(text: str, instant: datetime, surprise: str) -> None:
    """Any offset and any fraction down to a microsecond gives the exact instant, also in an hour that exists twice."""
    row, extra = row_of(f'{{"id": "1", "started": "{text}"{surprise}}}')

    assert row["started"] == row["call_time"] == instant
    assert extra == {}


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-05T10:00:00",
        "2026-01-05 10:00:00.123",
        "2026-01-05",
        "10:00:00Z",
        "",
        "soon",
        "2026-02-30T10:00:00Z",
        "10000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        "2026-01-05T25:00:00Z",
        "1518863400.0",
        "\u0662\u0660\u0662\u0666-01-05T10:00:00Z",
    ],
)
def test_text_that_is_not_a_time(text: str) -> None:
    """A time without an offset could mean any zone. It is kept as Gong sent it, like text that is not a time."""
    row, extra = row_of(json.dumps({"id": "1", "started": text, "scheduled": "2026-01-05T11:00:00Z"}))

    assert row["started"] is None
    assert extra == {"started": text}
    assert row["call_time"] == datetime(2026, 1, 5, 11, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-01-05T10:00:00.123456789Z", "2026-01-05T12:00:00.1234567+02:00"])
def test_time_finer_than_a_microsecond(text: str) -> None:
    """The column holds the microsecond, and `extra` the time as it came."""
    row, extra = row_of(f'{{"id": "1", "started": "{text}"}}')

    assert row["started"] == row["call_time"] == datetime(2026, 1, 5, 10, 0, 0, 123_456, tzinfo=UTC)
    assert extra == {"started": text}


# ids


@pytest.mark.parametrize(
    ("raw", "call_id"),
    [
        ('"12345678901234567890"', "12345678901234567890"),
        ('"007"', "007"),
        ("7782342274025937895", "7782342274025937895"),
        ("18446744073709551616", "18446744073709551616"),
        ("12345678901234567890", "12345678901234567890"),
        ("99999999999999999999", "99999999999999999999"),
        ("0", "0"),
    ],
)
def test_id_keeps_every_digit(raw: str, call_id: str) -> None:
    """An id is text of up to 20 digits, also where Gong sends it as a number larger than 64 bits."""
    row, extra = row_of(f'{{"id": {raw}, "primaryUserId": {raw}, "workspaceId": {raw}}}')

    assert (row["id"], row["primary_user_id"], row["workspace_id"]) == (call_id, call_id, call_id)
    assert extra == {}


@pytest.mark.parametrize(
    "raw",
    [
        "{}",
        '{"id": null}',
        '{"id": ""}',
        '{"id": "  "}',
        '{"id": true}',
        '{"id": 1.5}',
        '{"id": 1e25}',
        '{"id": ["1"]}',
        '{"id": {"id": "1"}}',
        '{"id": "a\\u0000b"}',
        '{"id": "\\ud83d"}',
        '{"id": "1\\n2"}',
        '{"ID": "1"}',
        "null",
        '"1"',
        "1",
        "[]",
        '["id"]',
    ],
)
def test_record_without_a_usable_id(raw: str) -> None:
    """A call without a usable id fails its window, with its place and Gong's request id."""
    with pytest.raises(RecordError, match=rf"call 2 of a page has no usable id: .*{TRACE}.*the next run asks again"):
        batch_of(raw=f'[{{"id": "1"}}, {raw}, {{"id": "3"}}]')


# unmapped


@pytest.mark.parametrize("raw", ["true", "12.0", "12.5", '"12"', "[12]", '{"s": 12}', "9223372036854775808", "1e400"])
def test_duration_of_another_type(raw: str) -> None:
    """A number that is no whole number of 64 bits is not rounded, cast or cut: the column is null, `extra` has it."""
    row, extra = row_of(f'{{"id": "1", "duration": {raw}}}')

    assert row["duration"] is None
    assert extra == {"duration": "1e400" if raw == "1e400" else json.loads(raw)}
    assert type(extra["duration"]) is not int or raw == "9223372036854775808"


@pytest.mark.parametrize(("raw", "value"), [("0", 0), ("-5", -5), ("9223372036854775807", 2**63 - 1)])
def test_duration(raw: str, value: int) -> None:
    """Any whole number of 64 bits fits."""
    row, extra = row_of(f'{{"id": "1", "duration": {raw}}}')

    assert (row["duration"], extra) == (value, {})


@pytest.mark.parametrize("raw", ["1", "0", '"true"', "[]", "0.0"])
def test_flag_of_another_type(raw: str) -> None:
    """Only true and false are a flag."""
    row, extra = row_of(f'{{"id": "1", "isPrivate": {raw}}}')

    assert row["is_private"] is None
    assert extra == {"isPrivate": json.loads(raw)}


@pytest.mark.parametrize("field", TEXT_FIELDS)
@pytest.mark.parametrize("raw", ["true", "1.5", "[]", '{"a": [1]}'])
def test_text_of_another_type(field: str, raw: str) -> None:
    """A value that is not text is kept as Gong sent it."""
    row, extra = row_of(f'{{"id": "1", "{field}": {raw}}}')

    assert row[CALLS.table.fields[field].name] is None
    assert extra == {field: json.loads(raw)}


@pytest.mark.parametrize("field", ["scheduled", "started"])
@pytest.mark.parametrize("raw", ["1518863400", "1518863400.0", "true", "{}"])
def test_time_of_another_type(field: str, raw: str) -> None:
    """A number could be seconds or milliseconds: it is kept, not guessed."""
    row, extra = row_of(f'{{"id": "1", "{field}": {raw}}}')

    assert row[field] is None
    assert extra == {field: json.loads(raw)}


def test_number_for_text_is_its_digits() -> None:
    """A whole number in a text column is the same text, with every digit."""
    row, extra = row_of('{"id": "1", "title": 123456789012345678901234567890, "customData": -1}')

    assert (row["title"], row["custom_data"], extra) == ("123456789012345678901234567890", "-1", {})


def test_unknown_fields_are_kept() -> None:
    """A field without a column, a nested one and a null one too, is kept with every digit of its numbers."""
    digits = "123456789012345678901234567890"
    row, extra = row_of(
        f'{{"id": "1", "title": "t", "big": {digits}, "deep": {{"a": [{digits}, {{"b": null}}]}}, "none": null,'
        ' "extra": "x", "call_time": "2026", "deleted_at": false, "Title": "T", "": 1}'
    )

    assert row["title"] == "t"
    assert extra == {
        "big": int(digits),
        "deep": {"a": [int(digits), {"b": None}]},
        "none": None,
        "extra": "x",
        "call_time": "2026",
        "deleted_at": False,
        "Title": "T",
        "": 1,
    }
    assert row["deleted_at"] is None
    assert digits in row["extra"]


@pytest.mark.parametrize("raw", ["1e400", "-1e400", "NaN", "Infinity", "-Infinity"])
def test_extra_is_always_json(raw: str) -> None:
    """A number that JSON does not have is kept as text, because any reader must be able to parse `extra`."""
    row, _ = row_of(f'{{"id": "1", "score": [{raw}], "duration": {raw}}}')

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(row["extra"], parse_constant=refuse) == {"score": [raw], "duration": raw}


@pytest.mark.parametrize(
    ("raw", "shown"),
    [('"Q3 \\ud83d"', "Q3 ?"), ('"\\udc00\\udc00"', "??"), ('"a\\u0000b"', "a?b"), ('"\\u0000"', "?")],
    ids=["cut emoji", "low halves", "NUL", "only NUL"],
)
def test_title_that_no_database_takes(raw: str, shown: str) -> None:
    """Half an emoji and a NUL are replaced in the column, and kept in `extra`; the other calls are untouched."""
    batch = batch_of(raw=f'[{{"id": "1", "title": "whole 🎉"}}, {{"id": "2", "title": {raw}}}]')
    first, second = batch.table.to_pylist()

    assert (first["title"], first["extra"]) == ("whole 🎉", None)
    assert second["title"] == shown
    assert json.loads(second["extra"]) == {"title": json.loads(raw)}
    assert "\0" not in second["extra"]
    assert second["extra"].isascii()
    assert batch.unmapped == 1


@pytest.mark.parametrize("text", ["🎉" * 50, "a\tb\r\nc", "\u2028\u202e\ufeff", "\\u0000", "x" * 100_000, "'; --"])
def test_odd_title(text: str) -> None:
    """Any other text is text."""
    row, extra = row_of(json.dumps({"id": "1", "title": text}))

    assert (row["title"], extra) == (text, {})


# nothing is lost


def check_nothing_lost(record: dict[str, Any], row: dict[str, Any]) -> None:
    """Every field of `record` can be read off the row, exactly."""
    extra = json.loads(row["extra"]) if row["extra"] is not None else {}
    assert row["extra"] is None or extra
    assert extra.keys() <= record.keys()
    for field, value in record.items():
        column = CALLS.table.fields.get(field)
        if field in extra:
            assert json.dumps(extra[field], sort_keys=True) == json.dumps(value, sort_keys=True)
        elif column is None:
            raise AssertionError(f"{field} is lost")
        elif value is None:
            assert row[column.name] is None
        elif column.type == "timestamp":
            assert row[column.name] == datetime.fromisoformat(value)
        elif column.type == "text":
            assert type(value) in {str, int}
            assert row[column.name] == str(value)
        else:
            assert type(row[column.name]) is type(value)
            assert row[column.name] == value
    for field, column in CALLS.table.fields.items():
        if field not in record:
            assert row[column.name] is None


numbers = st.one_of(st.integers(), st.integers(-(2**80), 2**80), st.floats(allow_nan=False, allow_infinity=False))
texts = st.text(st.characters(), max_size=8) | st.text(st.characters(codec="utf-8"), max_size=20)
leaves = st.one_of(st.none(), st.booleans(), numbers, texts)
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)
times = st.builds(
    lambda at, offset, zulu: at.isoformat() + ("Z" if zulu else f"{offset:+03d}:00"),
    st.datetimes(),
    st.integers(-12, 14),
    st.booleans(),
)
usable = {
    "text": texts,
    "timestamp": times,
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "bool": st.booleans(),
}
ids = st.from_regex(r"[0-9]{1,20}", fullmatch=True) | st.integers(0, 10**20 - 1)
calls = st.builds(
    lambda call_id, known, unknown: unknown | known | {"id": call_id},
    ids,
    st.fixed_dictionaries(
        {},
        optional={
            field: st.one_of(usable[column.type], usable[column.type], st.none(), anything)
            for field, column in CALLS.table.fields.items()
            if field != "id"
        },
    ),
    st.just({}) | st.dictionaries(texts.filter(lambda name: name not in CALLS.table.fields), anything, max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(calls, max_size=4))
def test_nothing_is_lost(records: list[dict[str, Any]]) -> None:
    """Whatever object Gong sends as a call, every field of it can be found again exactly in columns and `extra`."""
    batch = batch_of(*records)

    assert batch.table.schema == arrow_schema(CALLS.table)
    rows = batch.table.to_pylist()
    assert [row["id"] for row in rows] == [str(record["id"]) for record in records]
    for record, row in zip(records, rows, strict=True):
        check_nothing_lost(record, row)
        assert row["call_time"] is not None
        assert all("\0" not in value for value in row.values() if isinstance(value, str))
    assert batch.unmapped == sum(row["extra"] is not None for row in rows)


# call time


def at(hour: float) -> str:
    """A time of the day, as Gong writes it."""
    return (DAY.start + timedelta(hours=hour)).isoformat()


def instant(hour: float) -> datetime:
    """A time of the day."""
    return DAY.start + timedelta(hours=hour)


def timed(direction: str | None, scheduled: float | None, started: float | None, call_id: str = "1") -> dict[str, Any]:
    """A call with its two times, in hours of the day."""
    return {
        "id": call_id,
        "direction": direction,
        "scheduled": None if scheduled is None else at(scheduled),
        "started": None if started is None else at(started),
    }


@pytest.mark.parametrize("filed_by", [None, "started", "scheduled"])
@pytest.mark.parametrize(
    ("record", "hour"),
    [
        (timed("Conference", 10, 10.1), 10),
        (timed("Conference", None, 10.1), 10.1),
        (timed("Conference", 10, None), 10),
        (timed("Conference", -1, 1), 1),
        (timed("Conference", 23, 25), 23),
        (timed("Conference", 25, 23), 23),
        (timed("Conference", -1, 25), -1),
        (timed("Outbound", None, 3), 3),
        (timed("Outbound", 3, None), 3),
        (timed("Outbound", 5, 5), 5),
        (timed("Outbound", -1, 1), 1),
        (timed("Outbound", 23, 25), 23),
        (timed(None, -1, 1), 1),
        (timed(None, None, None), 0),
        (timed("Conference", None, None), 0),
        (timed("Outbound", None, 40), 40),
        (timed("Inbound", 0, -0.001), 0),
        (timed("Inbound", 24, 23.999), 23.999),
    ],
)
def test_call_time(filed_by: Any, record: dict[str, Any], hour: float) -> None:
    """A conference is filed by its schedule, and no call by a time outside the window that Gong answered for."""
    (row,) = batch_of(record, filed_by=filed_by).table.to_pylist()

    assert row["call_time"] == instant(hour)


@pytest.mark.parametrize("direction", ["Inbound", "Outbound", "Unknown", "Hologram", None])
@pytest.mark.parametrize(("filed_by", "hour"), [(None, 11), ("started", 11), ("scheduled", 10)])
def test_call_time_by_the_tenants_rule(direction: str | None, filed_by: Any, hour: float) -> None:
    """Where both times lie inside, the tenant's rule decides, and the documented one until it is known."""
    (row,) = batch_of(timed(direction, 10, 11), filed_by=filed_by).table.to_pylist()

    assert row["call_time"] == instant(hour)


@pytest.mark.parametrize("filed_by", [None, "started", "scheduled"])
@pytest.mark.parametrize(
    ("record", "learnt"),
    [
        (timed("Outbound", -1, 1), "started"),
        (timed("Outbound", 25, 23), "started"),
        (timed("Outbound", 24, 23), "started"),
        (timed("Outbound", 1, -1), "scheduled"),
        (timed("Outbound", 23, 25), "scheduled"),
        (timed("Outbound", 0, -0.001), "scheduled"),
        (timed(None, 23, 24), "scheduled"),
        (timed("Outbound", 10, 11), None),
        (timed("Outbound", -2, -1), None),
        (timed("Outbound", 10, 10), None),
        (timed("Outbound", None, 10), None),
        (timed("Conference", 23, 25), None),
        (timed("Conference", 25, 23), None),
    ],
)
def test_rule_is_learnt_at_the_edges(filed_by: Any, record: dict[str, Any], learnt: str | None) -> None:
    """A call with one time inside and one outside shows the tenant's rule; a conference does not."""
    assert batch_of(record, filed_by=filed_by).learnt == Rule(others=learnt)


def test_call_that_can_show_the_rule() -> None:
    """The first call whose two times both lie inside is named, so that Gong can be asked about it."""
    batch = batch_of(
        timed("Conference", 9, 10, "1"),
        timed("Outbound", None, 10, "2"),
        timed("Inbound", 11, 12, "3"),
        timed("Outbound", 13, 14, "4"),
    )

    assert batch.learnt == Rule()
    assert batch.ambiguous == (Ambiguous("3", instant(11), instant(12)),)


def with_details(*records: dict[str, Any], rule: Rule | None = None) -> Batch:
    """The batch of one page of the list with details."""
    served = [{"metaData": record} for record in records]
    body = json.dumps({"calls": served}).encode()
    page = Page(served, None, None, TRACE, "calls", body, fields_in="metaData")
    return read_batch(CALLS_WITH_DETAILS, [page], DAY, rule or Rule())


@pytest.mark.parametrize(
    ("record", "learnt"),
    [
        (timed("Conference", 23, 25), Rule(conferences="scheduled")),
        (timed("Conference", 25, 23), Rule(conferences="started")),
        (timed("Outbound", 25, 23), Rule(others="started")),
        (timed("Conference", 10, 11), Rule()),
    ],
)
def test_list_with_details_shows_its_rule_for_conferences_too(record: dict[str, Any], learnt: Rule) -> None:
    """Nothing is documented for that list, so its rule is learnt for both kinds of calls."""
    assert with_details(record).learnt == learnt


def test_calls_that_can_show_both_parts_of_the_rule() -> None:
    """In the list with details, one call of each kind is named."""
    batch = with_details(
        timed("Outbound", 11, 12, "1"), timed("Conference", 9, 10, "2"), timed("Conference", 1, 2, "3")
    )

    assert batch.ambiguous == (
        Ambiguous("2", instant(9), instant(10), "conferences"),
        Ambiguous("1", instant(11), instant(12), "others"),
    )


@pytest.mark.parametrize(("conferences", "hour"), [(None, 10), ("scheduled", 10), ("started", 11)])
def test_conference_in_the_list_with_details(conferences: Any, hour: float) -> None:
    """Its call time follows from the rule learnt for conferences."""
    (row,) = with_details(timed("Conference", 10, 11), rule=Rule(conferences=conferences)).table.to_pylist()

    assert (row["id"], row["call_time"]) == ("1", instant(hour))


@pytest.mark.parametrize("rule", ["documented", "scheduled"])
def test_call_time_is_gongs(rule: Any) -> None:
    """Under both rules, a call's time is the one that Gong files it by, once the rule is known."""
    tenant = Tenant.generate(400, start=DAY.start - timedelta(days=3), end=DAY.end + timedelta(days=3), seed=4)
    listed: list[Call] = []
    for call in tenant.calls.values():
        moment = tenant.effective_time(call, rule)
        if moment is not None and moment in DAY:
            listed.append(call)
    filed_by = {"documented": "started", "scheduled": "scheduled"}[rule]
    batch = batch_of(*(tenant.served(call.id) for call in listed), filed_by=filed_by)

    assert len(listed) > 20
    assert batch.table.column("call_time").to_pylist() == [tenant.effective_time(call, rule) for call in listed]
    assert batch.learnt in {Rule(), Rule(others=filed_by)}


# the rest


def test_page_times() -> None:
    """The times on a page are a hint: what cannot be read is left out."""
    page = page_of(
        timed("Outbound", 1, 2),
        timed(None, None, 3),
        {"id": "3"},
        {"started": "soon"},
        {"started": "2026-01-05"},
        {"started": 7},
        {"scheduled": ["x"]},
        None,
        "x",
        5,
    )

    assert page_times(page) == [instant(1), instant(3)]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_schema_of_a_table(table: Any) -> None:
    """A table's Arrow schema has its columns in order, and only the key is required."""
    schema = arrow_schema(table)

    assert schema.names == [column.name for column in table.columns]
    assert {field.name for field in schema if not field.nullable} == set(table.primary_key)
    assert {field.type for field in schema if field.name.endswith("_at")} <= {pa.timestamp("us", tz="UTC")}


def test_rows_of_our_own() -> None:
    """Rows of our own tables are typed by their table too, and get the load's id."""
    row = {"fetch_id": "w", "window_start": DAY.start, "rows": 3, "waited_seconds": 0.5, "settled": True}
    table = with_load_id(to_table(FETCHED_WINDOWS, [row]), "17.5")

    assert table.schema.names == [*(column.name for column in FETCHED_WINDOWS.columns), "_dlt_load_id"]
    (back,) = table.to_pylist()
    assert back["_dlt_load_id"] == "17.5"
    assert {name: back[name] for name in row} == row
    assert to_table(FETCHED_WINDOWS, []).num_rows == 0


@pytest.mark.parametrize("depth", [900, 1000])
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
def test_deeply_nested_unknown_field_is_kept(depth: int, brackets: tuple[str, str]) -> None:
    """As deep as the parser reads, an unknown field is kept in `extra` as JSON text, and the other fields are right."""
    opened, closed = brackets
    raw = f'{{"id": "1", "title": "deep", "newField": {opened * depth}1.5{closed * depth}}}'

    (row,) = batch_of(raw=f"[{raw}]").table.to_pylist()

    assert (row["id"], row["title"]) == ("1", "deep")
    assert row["extra"] == f'{{"newField":{opened * depth}1.5{closed * depth}}}'


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=20,
    )
)
def test_json_text_holds_the_value_exactly(value: Any) -> None:
    """The fast encoder and the one without recursion, which writes what the fast one refuses."""
    for text in (encode(value), _encode_slowly(value)):
        assert repr(json.loads(text)) == repr(in_order(value))


def in_order(value: Any) -> Any:
    """The value with its names in order."""
    if isinstance(value, dict):
        return {name: in_order(value[name]) for name in sorted(value)}
    return [*map(in_order, value)] if isinstance(value, list) else value


def test_json_text_can_be_searched() -> None:
    """Letters stand as they are; what no text can hold is escaped."""
    assert encode({"b": "Zoë", "a": [1.5, None]}) == '{"a":[1.5,null],"b":"Zoë"}'
    assert encode({"a": "Zo\ud83d", "b": 2**70}) == f'{{"a":"Zo\\ud83d","b":{2**70}}}'


USER = {
    "id": "7",
    "settings": {"emailsImported": True},
    "emailAliases": ["a@example.com"],
    "created": "2026-01-05T10:00Z",
}


@pytest.mark.parametrize(
    ("change", "columns", "extra"),
    [
        ({}, {"emails_imported": True, "email_aliases": '["a@example.com"]'}, None),
        ({"settings": None, "emailAliases": None}, {"emails_imported": None, "email_aliases": None}, None),
        ({"settings": {}}, {"emails_imported": None}, None),
        ({"settings": "off"}, {"emails_imported": None}, {"settings": "off"}),
        ({"settings": [1]}, {"emails_imported": None}, {"settings": [1]}),
        (
            {"settings": {"emailsImported": "yes", "x": {"y": 1}}},
            {"emails_imported": None},
            {"settings": {"emailsImported": "yes", "x": {"y": 1}}},
        ),
        ({"emailAliases": {"a": "\0"}}, {"email_aliases": '{"a":"\\u0000"}'}, None),
        ({"emailAliases": "one"}, {"email_aliases": '"one"'}, None),
        ({"created": "soon"}, {"created_at": None}, {"created": "soon"}),
        ({"id": 7}, {"id": "7"}, None),
    ],
    ids=str,
)
def test_objects_and_lists(change: dict[str, Any], columns: dict[str, Any], extra: Any) -> None:
    """A column takes a field from inside an object; a list is JSON; the rest stays in `extra` at its place."""
    body = json.dumps({"users": [USER | change]}).encode()
    page = Page(loads(body)["users"], None, None, TRACE, "users", body)

    (row,) = read_records(USERS, [page]).to_arrow(USERS.table).to_pylist()

    assert {name: row[name] for name in columns} == columns
    assert (json.loads(row["extra"]) if row["extra"] else None) == extra
