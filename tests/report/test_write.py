"""The page as its users get it: written by the commands, opened in a browser, on every destination."""

from __future__ import annotations

import re
import sys
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
from tenants import END, days_ago

from gong_source import backfill, sync, verify, write_report
from gong_source.cli.main import main
from gong_source.report import charts
from gong_source.report.gather import gather
from gong_source.runs.demo import TARGET, demo
from gong_source.settings import resolve_without_key
from gong_source.simulator import Call, Fault, Tenant
from gong_source.warehouse.warehouse import Target, open_warehouse
from gong_source.windows import iso, now

if TYPE_CHECKING:
    from collections.abc import Callable

    from browser import Browser

    from gong_source.report.gather import Facts
    from gong_source.settings import GongSettings
    from gong_source.simulator import Simulator

    Serve = Callable[..., Simulator]
    SettingsFor = Callable[..., GongSettings]

EVERYTHING = {"resources": "all"}


def trouble(serve: Serve, settings_for: SettingsFor) -> None:
    """Loads a dataset with a gap, an unsettled window, late calls, differences, and a last run that fails."""
    tenant = Tenant.generate(900, start=days_ago(300), end=END, seed=4, users=12)
    simulator = serve(tenant)
    chosen = "calls,users,workspaces"
    settings = settings_for(simulator, resources=chosen, start_date=iso(days_ago(60)), snapshot_hours=0)
    sync(settings=settings)
    backfill(days_ago(300), days_ago(200), settings=settings)
    for number in range(6):
        tenant.add(Call(str(10**16 + number), started=days_ago(1 + number / 2)))
    tenant.add(Call("77", started=days_ago(3), available_at=now().timestamp() + 3600))
    sync(settings=settings)
    for call_id in [*tenant.calls][-40:-30]:
        tenant.delete(call_id)
    verify(settings=settings)
    simulator.faults = [Fault(kind="status", status=401, text="<script>alert('key')</script>")]
    sync(settings=settings)


def use(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the key and the address of the simulator for the commands."""
    for name, value in (("ACCESS_KEY", "key"), ("ACCESS_KEY_SECRET", "secret"), ("BASE_URL", simulator.base_url)):
        monkeypatch.setenv(f"SOURCES__GONG__CREDENTIALS__{name}", value)


def facts_of(target: Target, **settings: str) -> Facts:
    """What the report gathers."""
    chosen = resolve_without_key(resources="all", **settings)
    with open_warehouse(target, command="report", write=False) as warehouse:
        return gather(warehouse, chosen)


def test_page_of_the_demo_is_sound_in_a_browser(browser: Browser) -> None:
    """All is well, every chart has marks, and nobody is named unless it is asked for."""
    demo(calls=600)
    page = write_report(Path("demo.html"), TARGET, settings=resolve_without_key(**EVERYTHING))

    seen = browser.check(page, "demo")

    assert seen.charts >= 9
    assert "All is well" in seen.text
    assert "host 1" in seen.text
    names = duckdb.connect("gong_demo.duckdb").sql("select last_name, email_address from gong.users").fetchall()
    titles = duckdb.connect("gong_demo.duckdb").sql("select title from gong.calls").fetchall()
    source = page.read_text()
    assert not [name for row in (*names, *titles) for name in row if name and name in source]

    write_report(page, TARGET, settings=resolve_without_key(**EVERYTHING), names=True)
    assert any(last in page.read_text() for last, _ in names)


def test_page_of_an_empty_dataset_says_what_to_do(browser: Browser) -> None:
    """No dataset at all: the page is sound and says how to load something."""
    page = write_report(Path("empty.html"))

    seen = browser.check(page, "empty")

    assert seen.charts == 0
    assert "Nothing is loaded yet" in seen.text
    assert "gong-source sync" in seen.text


def test_page_of_a_dataset_in_trouble_names_each_trouble(
    browser: Browser, serve: Serve, settings_for: SettingsFor
) -> None:
    """Gap, unsettled window, late calls, differences and a failed run are seen at a glance; no text acts as HTML."""
    trouble(serve, settings_for)
    page = write_report(Path("trouble.html"))

    seen = browser.check(page, "trouble")

    for text in (
        "The last run (sync) ended as failed",
        "calls has a gap",
        "The last verification of calls ended with differs",
        "Never fetched",
        "Gong was still processing calls here",
        "Late calls",
        "not loaded",
    ):
        assert text in seen.text
    facts = facts_of(Target())
    assert [run.status for run in facts.runs] == ["failed", "incomplete", "done", "done", "done"]
    assert sum(facts.trust[0].late.values()) == 6
    states = {day.state for day in facts.trust[0].days}
    assert states == {"verified", "loaded", "not loaded", "partly loaded", "still processed by Gong"} & states
    assert {"not loaded", "still processed by Gong", "loaded"} <= states


def test_resources_that_are_not_loaded_are_explained(serve: Serve, settings_for: SettingsFor) -> None:
    """Without calls there is no activity, and the page says how to get it; without users, hosts have no names."""
    simulator = serve(Tenant.generate(20, start=days_ago(4), end=END, seed=6, users=4))
    sync(settings=settings_for(simulator, resources="users"))
    page = write_report(Path("page.html"))
    assert "This part needs the table calls: <code>gong-source sync --resources calls</code>" in page.read_text()

    sync(Target(dataset="other"), settings=settings_for(simulator, resources="calls"))
    write_report(page, Target(dataset="other"), names=True)
    assert "The names of the hosts are in the table users" in page.read_text()
    assert "host 1" in page.read_text()


def test_sync_writes_the_page_after_each_run_also_after_a_failed_one(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sync --report` replaces the page in one step; no other file stays."""
    simulator = serve(Tenant.generate(20, start=days_ago(4), end=END, seed=6, users=4))
    use(simulator, monkeypatch)
    folder = Path("pages")
    folder.mkdir()

    assert main(["sync", "--report", "pages/gong.html"]) == 0
    first = (folder / "gong.html").read_text()
    simulator.faults = [Fault(kind="status", status=401, text="no")]
    assert main(["sync", "--report", "pages/gong.html"]) == 1

    assert "The last run (sync) ended as failed" in (folder / "gong.html").read_text()
    assert "The last run" not in first
    assert [path.name for path in folder.iterdir()] == ["gong.html"]
    capsys.readouterr()


@pytest.mark.parametrize("arguments", [["report", "--output"], ["sync", "--report"]])
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (".", "it is a folder"),
        ("no/page.html", "there is no folder no"),
        ("notes.txt", "it exists and is no page; name another file"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_anything_else(
    arguments: list[str],
    path: str,
    reason: str,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line, exit code 2, and no request; a file of another kind, which may be the database, stays as it is."""
    Path("notes.txt").write_text("mine")
    simulator = serve(Tenant())
    use(simulator, monkeypatch)

    assert main([*arguments, path]) == 2

    assert capsys.readouterr().err == f"gong-source: the report cannot be written to {path}: {reason}" + (
        "; name a file\n" if path == "." else "\n"
    )
    assert Path("notes.txt").read_text() == "mine"
    assert simulator.requests == []


@pytest.mark.parametrize("arguments", [["report"], ["sync", "--report", "page.html"]])
def test_without_its_libraries_the_extra_is_named(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and what to install."""
    for name in ("ACCESS_KEY", "ACCESS_KEY_SECRET"):
        monkeypatch.setenv(f"SOURCES__GONG__CREDENTIALS__{name}", "x")
    monkeypatch.setitem(sys.modules, "vl_convert", None)

    assert main(arguments) == 2

    assert capsys.readouterr().err == (
        "gong-source: a report needs the extra report (in the folder of gong-source: pip install '.[report]')\n"
    )


def test_a_published_copy_can_be_reported(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy has other names for file and database; views and report work on it."""
    simulator = serve(Tenant.generate(20, start=days_ago(4), end=END, seed=6, users=4))
    use(simulator, monkeypatch)
    assert main(["sync", "--resources", "all", "--publish", "for_readers.duckdb"]) == 0
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(Path("for_readers.duckdb").resolve()))
    sent = len(simulator.requests)

    assert main(["report", "--output", "page.html"]) == 0

    capsys.readouterr()
    assert re.search(r"<dt>records</dt><dd>20</dd>", Path("page.html").read_text())
    assert len(simulator.requests) == sent
    with duckdb.connect("for_readers.duckdb", read_only=True) as connection:
        assert connection.sql("select sum(calls) from gong.rep_days").fetchall()[0][0] > 0


class Outline(HTMLParser):
    """The tags and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action", "data"}]


def test_page_needs_no_script_and_asks_for_nothing(serve: Serve, settings_for: SettingsFor) -> None:
    """Nothing but text, style and drawings in one file; headings in order."""
    trouble(serve, settings_for)
    outline = Outline()
    outline.feed(write_report(Path("page.html")).read_text())

    assert {"script", "iframe", "img", "object", "form"}.isdisjoint(outline.tags)
    assert outline.addresses == ["data:,"]
    assert [tag for tag in outline.tags if tag in {"h1", "h2"}] == ["h1", "h2", "h2"]


def test_a_verification_that_finds_differences_takes_back_what_an_earlier_one_proved(
    serve: Serve, settings_for: SettingsFor
) -> None:
    """The calendar shows what the last verification of each day found, not the best one."""
    tenant = Tenant.generate(200, start=days_ago(20), end=END, seed=3, users=2)
    settings = settings_for(serve(tenant), start_date=iso(days_ago(25)))
    sync(settings=settings)
    verify(settings=settings)
    assert {day.state for day in facts_of(Target()).trust[0].days} == {"verified"}

    tenant.delete(next(iter(tenant.calls)))
    verify(settings=settings)
    assert {day.state for day in facts_of(Target()).trust[0].days} == {"loaded"}

    verify(settings=settings, repair=True)
    assert {day.state for day in facts_of(Target()).trust[0].days} == {"verified"}


def test_report_of_one_workspace_and_of_chosen_resources(serve: Serve, settings_for: SettingsFor) -> None:
    """What was loaded for a workspace alone is shown with its id; what was not asked for is not called missing."""
    tenant = Tenant.generate(40, start=days_ago(9), end=END, seed=3, users=4, workspaces=2)
    simulator = serve(tenant)
    workspace = tenant.workspace_ids[0]
    sync(settings=settings_for(simulator, **EVERYTHING, workspace_id=workspace, start_date=iso(days_ago(10))))
    page = Path("page.html")

    write_report(page, settings=resolve_without_key(resources="all", workspace_id=workspace))
    assert "Not loaded" not in page.read_text()
    write_report(page, settings=resolve_without_key(resources="users"))
    assert "This report was asked for without calls." in page.read_text()
    settings = resolve_without_key(resources="calls", workspace_id=workspace)
    write_report(page, settings=settings, names=True)
    assert "The names of the hosts are in the table users" not in page.read_text()


def test_long_name_of_the_file_is_no_trouble() -> None:
    """The file is written first under another name, which is short."""
    page = write_report(Path(f"{'a' * 250}.html"))

    assert page.is_file()


def test_axes_of_small_numbers_cannot_be_misread() -> None:
    """Half an hour is 0.5, not 500m; a tick of a short history is a day, not a month and a year."""
    weeks = {date(2026, 11, 2) + timedelta(weeks=n): 0.25 * n for n in range(1, 5)}
    hours, calls = charts.weekly("Hours", "hours", weeks), charts.weekly("Calls", "calls", dict.fromkeys(weeks, 1.0))

    labels = re.findall(r"<text[^>]*>([^<]+)</text>", hours.svg)
    assert not [label for label in labels if label.endswith("m")]
    assert [label for label in labels if re.fullmatch(r"\d\d \w{3}", label)]
    assert not re.findall(r">0\.\d", calls.svg)
    assert "2.5 hours in 4 weeks" in hours.alt
