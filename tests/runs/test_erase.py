"""`erase`: the calls of a person disappear from every table, the others stay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from conversations import ALL, CHILDREN, HEADERS
from places import Place, duckdb_place
from tenants import END, days_ago

from gong_source import ConfigurationError, DatasetLocked, erase, sync, verify
from gong_source.cli.main import main
from gong_source.runs.run import open_run
from gong_source.settings import resolve_without_key
from gong_source.simulator import SMALL, Tenant
from gong_source.windows import iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

BOB = {"id": "b0b", "name": "Bob", "emailAddress": " Bob.Bold@Example.com", "phoneNumber": "+1 (555) 010-0199"}
KEY = "the-key"
CALL_TABLES = (*CHILDREN, *HEADERS, "transcript_sentences")


@pytest.fixture
def duckdb_file(own_place: Path) -> Place:
    """A DuckDB file."""
    return duckdb_place(own_place / "gong_calls.duckdb", "gong")


def tenant_with(person: dict[str, Any], calls: int = 6, of: int = 2) -> tuple[Tenant, list[str]]:
    """A tenant, and the calls in which the person took part."""
    tenant = Tenant.generate(calls, start=days_ago(6), end=END, seed=calls, content=SMALL)
    for call_id in tenant.calls:
        tenant.edit(call_id, isPrivate=False)
    chosen = list(tenant.calls)[:of]
    for call_id in chosen:
        tenant.set_content(call_id, parties=[{"affiliation": "External"} | person])
    return tenant, chosen


def ids_in(place: Place) -> dict[str, set[str]]:
    """The ids of the calls in each table."""
    keys = dict.fromkeys(CALL_TABLES, "call_id") | {"calls": "id", "arrivals": "id"}
    found = place.fetch_all([f"select distinct {key} from gong.{name}" for name, key in keys.items()])
    return {name: {row[0] for row in rows} for name, rows in zip(keys, found, strict=True)}


def test_calls_of_a_person_disappear_everywhere(place: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """From every table, in every destination; a sync brings them back as long as Gong lists them."""
    tenant, chosen = tenant_with(BOB, calls=4)
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8)))
    sync(place.target, settings=settings)
    before = ids_in(place)
    rows = {name: place.fetch(f"select count(*) from gong.{name}")[0][0] for name in ("calls", "call_participants")}

    result = erase(place.target, email="bob.bold@example.COM ", settings=resolve_without_key())

    assert ids_in(place) == {name: ids - set(chosen) for name, ids in before.items()}
    assert result.calls == result.tables["calls"] == result.tables["arrivals"] == len(chosen)
    for name, number in rows.items():
        left = place.fetch(f"select count(*) from gong.{name}")[0][0]
        assert result.tables[name] == number - left > 0
    assert place.fetch("select command, status, changed from gong.runs where command = 'erase'") == [
        ("erase", "done", len(chosen))
    ]


def test_erased_calls_come_back_as_long_as_gong_lists_them(
    duckdb_file: Place, serve: Serve, settings_for: SettingsFor
) -> None:
    """The result says so. Once they are deleted in Gong, they stay away."""
    place = duckdb_file
    tenant, chosen = tenant_with(BOB)
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8)))
    sync(place.target, settings=settings)
    assert "come back" in " ".join(erase(place.target, email="bob.bold@example.com").remains)
    sync(place.target, settings=settings)
    assert set(chosen) <= ids_in(place)["call_participants"]
    for call_id in chosen:
        tenant.delete(call_id)
    erase(place.target, email="bob.bold@example.com")
    sync(place.target, settings=settings)
    assert all(ids.isdisjoint(chosen) for ids in ids_in(place).values())
    assert verify(place.target, settings=settings).outcome == "clean"


@pytest.mark.parametrize("written", ["15550100199", "+1 555-010-0199", "1.555.0100199"])
def test_number_is_compared_by_its_digits(
    duckdb_file: Place, serve: Serve, settings_for: SettingsFor, written: str
) -> None:
    """However it is written."""
    tenant, chosen = tenant_with(BOB, calls=3, of=1)
    sync(duckdb_file.target, settings=settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8))))
    assert erase(duckdb_file.target, phone=written).calls == 1
    assert ids_in(duckdb_file)["calls"].isdisjoint(chosen)


def test_hashed_people_are_found(
    duckdb_file: Place, serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the key with which they were hashed; with another key, or none, nobody is found, and a note says why."""
    tenant, chosen = tenant_with(BOB, calls=3, of=1)
    hashing = {"personal_data": "hash", "personal_data_key": KEY}
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8)), **hashing)
    sync(duckdb_file.target, settings=settings)
    assert duckdb_file.fetch("select count(*) from gong.call_participants where name = 'Bob'") == [(0,)]
    for personal_data in ("keep", "hash"):
        monkeypatch.setenv("SOURCES__GONG__PERSONAL_DATA", personal_data)
        monkeypatch.setenv("SOURCES__GONG__PERSONAL_DATA_KEY", "another")
        missed = erase(duckdb_file.target, phone="+15550100199")
        assert missed.calls == 0
        assert any("stored as hashes: they are found only with personal_data = hash" in note for note in missed.notes)
    monkeypatch.setenv("SOURCES__GONG__PERSONAL_DATA_KEY", KEY)
    assert erase(duckdb_file.target, phone="+15550100199").calls == 1
    assert ids_in(duckdb_file)["calls"].isdisjoint(chosen)


def test_search_that_cannot_find_anybody_says_why(duckdb_file: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """What is not stored cannot be searched."""
    tenant, _ = tenant_with(BOB, calls=2, of=1)
    found = {"resources": ALL, "start_date": iso(days_ago(8))}
    dropping = settings_for(serve(tenant), personal_data="drop", **found)
    sync(duckdb_file.target, settings=dropping)
    result = erase(duckdb_file.target, email="bob.bold@example.com", settings=dropping)
    assert (result.calls, len(result.notes)) == (0, 1)
    excluding = settings_for(serve(tenant), exclude_columns="call_participants.email_address", **found)
    assert "exclude_columns" in erase(duckdb_file.target, email="a@b.c", settings=excluding).notes[0]


def test_users_stay_and_are_mentioned(duckdb_file: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """Staff is not deleted; the result counts the rows."""
    tenant, _ = tenant_with(BOB, calls=2, of=1)
    settings = settings_for(serve(tenant), resources=f"{ALL},users", start_date=iso(days_ago(8)))
    sync(duckdb_file.target, settings=settings)
    (address,) = duckdb_file.fetch("select email_address from gong.users where email_address is not null limit 1")[0]
    users = duckdb_file.fetch("select count(*) from gong.users")
    assert erase(duckdb_file.target, email=address.upper()).users == 1
    assert erase(duckdb_file.target, email="bob.bold@example.com").users == 0
    assert duckdb_file.fetch("select count(*) from gong.users") == users


def test_command_reports_and_needs_no_key(
    duckdb_file: Place, serve: Serve, settings_for: SettingsFor, capsys: pytest.CaptureFixture[str]
) -> None:
    """Text for people, JSON for programs, without the address; nothing found is no failure."""
    tenant, _ = tenant_with(BOB, calls=2, of=1)
    sync(duckdb_file.target, settings=settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8))))
    capsys.readouterr()
    assert main(["erase", "--email", "nobody@example.com"]) == 0
    assert capsys.readouterr().out == "No call was found with this participant; nothing was deleted.\n"
    assert main(["erase", "--email", "bob.bold@example.com", "--json"]) == 0
    printed = capsys.readouterr().out
    result = json.loads(printed)
    assert (result["command"], result["status"], result["calls"], result["tables"]["calls"]) == ("erase", "done", 1, 1)
    assert "example.com" not in printed
    assert main(["erase", "--email", "bob.bold@example.com"]) == 0
    assert "nothing was deleted" in capsys.readouterr().out
    runs = duckdb_file.fetch("select * from gong.runs where command = 'erase'")
    assert len(runs) == 3
    assert "example.com" not in str(runs)


def test_text_names_tables_and_what_remains(
    duckdb_file: Place, serve: Serve, settings_for: SettingsFor, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for each table that has lost rows."""
    tenant, _ = tenant_with(BOB, calls=2, of=1)
    sync(duckdb_file.target, settings=settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8))))
    capsys.readouterr()
    main(["erase", "--phone", "+1 555 010 0199"])
    shown = capsys.readouterr().out
    assert shown.startswith("1 call was erased.\n")
    assert "  calls: 1 row\n" in shown
    assert "  call_participants: 1 row\n" in shown
    for part in ("What remains:", "published", "backups", "next sync"):
        assert part in shown


@pytest.mark.parametrize(("option", "value"), [("--email", "  "), ("--phone", "none")])
def test_empty_address_or_number_is_wrong_usage(option: str, value: str) -> None:
    """Else it would be everybody without one."""
    assert main(["erase", option, value]) == 2


def test_one_of_address_and_number_is_needed() -> None:
    """Neither, or both: wrong usage."""
    for arguments in ([], ["--email", "a@b.c", "--phone", "1"]):
        with pytest.raises(SystemExit) as ended:
            main(["erase", *arguments])
        assert ended.value.code == 2
    with pytest.raises(ConfigurationError):
        erase()


def test_dataset_without_participants(
    duckdb_file: Place, serve: Serve, settings_for: SettingsFor, own_place: Path
) -> None:
    """The error says which resource is needed; where there is no dataset, none is made."""
    with pytest.raises(ConfigurationError, match=r"there is no dataset gong in .*; run gong-source sync first"):
        erase(duckdb_file.target, email="a@b.c")
    assert not (own_place / "gong_calls.duckdb").exists()
    tenant, _ = tenant_with(BOB, calls=2, of=1)
    sync(duckdb_file.target, settings=settings_for(serve(tenant), start_date=iso(days_ago(8))))
    with pytest.raises(ConfigurationError, match="call_details"):
        erase(duckdb_file.target, email="a@b.c")


def test_erase_is_the_only_writer(duckdb_file: Place, serve: Serve, settings_for: SettingsFor) -> None:
    """While another run loads, it is refused."""
    tenant, _ = tenant_with(BOB, calls=2, of=1)
    settings = settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8)))
    sync(duckdb_file.target, settings=settings)
    with open_run(duckdb_file.target, settings, None, command="sync"), pytest.raises(DatasetLocked):
        erase(duckdb_file.target, email="bob.bold@example.com")


def test_interrupted_erase_can_be_repeated(
    duckdb_file: Place, serve: Serve, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The participants are deleted last, so the next run finds the same calls."""
    tenant, chosen = tenant_with(BOB, calls=3, of=1)
    sync(duckdb_file.target, settings=settings_for(serve(tenant), resources=ALL, start_date=iso(days_ago(8))))
    from gong_source.warehouse.warehouse import Warehouse

    execute = Warehouse.execute

    def failing(self: Warehouse, sql: str, *parameters: Any) -> None:
        if "transcripts" in sql:
            raise KeyboardInterrupt
        execute(self, sql, *parameters)

    with monkeypatch.context() as patched:
        patched.setattr(Warehouse, "execute", failing)
        with pytest.raises(KeyboardInterrupt):
            erase(duckdb_file.target, email="bob.bold@example.com")
    assert ids_in(duckdb_file)["calls"].isdisjoint(chosen)
    assert erase(duckdb_file.target, email="bob.bold@example.com").calls == 1
    assert all(ids.isdisjoint(chosen) for ids in ids_in(duckdb_file).values())
