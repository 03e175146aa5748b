"""README and docs say what the code does: commands, options, settings, columns, links, queries, first blocks."""

from __future__ import annotations

import argparse
import dataclasses
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import duckdb
import pytest

from gong_source import Target
from gong_source.cli.dictionary import tables_markdown
from gong_source.cli.parser import build_parser, parse_arguments
from gong_source.resources import RESOURCES, TABLES
from gong_source.resources.declare import Resource, Table  # noqa: TC001 - for parametrize
from gong_source.runs.demo import demo
from gong_source.runs.tables import tables
from gong_source.settings import GongCredentials, GongSettings
from gong_source.warehouse.views import all_views

ROOT = Path(__file__).parent.parent
PAGES = {path.name: path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
README, OPERATIONS = PAGES["README.md"], PAGES["operations.md"]
BLOCKS = [
    (page, *block) for page, text in PAGES.items() for block in re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
]


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    (subparsers,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(subparsers.choices)


def options(parser: argparse.ArgumentParser) -> list[str]:
    """The long options of a command, without those that all commands have."""
    common = {"--help", "--json", "--log-level"}
    return [s for action in parser._actions for s in action.option_strings if s.startswith("--") and s not in common]


@pytest.mark.parametrize("name", [name for name in commands() if name != "simulate"])
def test_each_command_is_in_the_readme_with_all_its_options(name: str) -> None:
    """The table of commands names every option of every command, and no other."""
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{name}` |")]

    assert re.findall(r"`(--[a-z-]+)`", row.split("|")[3]) == options(commands()[name])


@pytest.mark.parametrize("name", list(commands()))
def test_each_option_has_a_help_text(name: str) -> None:
    """`--help` explains every option."""
    assert [action.dest for action in commands()[name]._actions if not action.help] == []


def test_settings_are_in_the_docs_with_their_defaults() -> None:
    """The table of settings is that of the code: names and defaults."""
    fields = {f.name: f.default for f in dataclasses.fields(GongSettings) if f.name in GongSettings.__annotations__}
    fields.pop("credentials")
    section = OPERATIONS.split("## Settings")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|", section, re.MULTILINE))

    for name, default in fields.items():
        shown = (
            "" if default in {None, ()} else f"`{default:g}`" if isinstance(default, int | float) else f"`{default}`"
        )
        assert rows[name] == (shown if name != "resources" else '`["calls"]`'), name
    assert set(GongCredentials.__annotations__) <= set(rows)


def test_page_of_tables_is_what_the_command_prints() -> None:
    """docs/tables.md follows from the declarations; `gong-source tables --markdown` writes it anew."""
    assert PAGES["tables.md"] == tables_markdown(tables()) + "\n"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_tables_are_in_the_readme(table: Table) -> None:
    """The README names every table, one line each."""
    section = README.split("## What you get")[1].split("\n## ")[0]

    assert len(re.findall(rf"^\| `{table.name}` \|", section, re.MULTILINE)) == 1


def test_views_are_in_the_readme() -> None:
    """The README names every view."""
    section = README.split("## What you get")[1].split("\n## ")[0]

    assert [view.name for view in all_views() if f"`{view.name}`" not in section] == []


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
def test_resources_are_in_the_docs_with_their_scopes(resource: Resource) -> None:
    """The scope that a key needs for a resource is documented."""
    assert f"| `{resource.name}` | `{resource.scope}` |" in OPERATIONS


def test_every_gong_source_command_in_the_docs_can_be_parsed() -> None:
    """Each command line that is shown is one that the parser takes."""
    lines = [line for _, kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
    shown = [part for line in lines for part in re.split(r"\s#|&&", line) if re.search(r"(^|/|\s)gong-source ", part)]
    for line in shown:
        words = shlex.split(re.sub(r"\d?>>?.*", "", line.split("gong-source ", 1)[1]))
        parse_arguments(build_parser(), words)
    assert len(shown) > 15


def test_links_lead_somewhere() -> None:
    """Each link to a file of the repository leads to one, and an anchor to a heading."""
    found = 0
    for page, text in PAGES.items():
        folder = ROOT if page == "README.md" else ROOT / "docs"
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
            path, _, anchor = target.partition("#")
            if path.endswith(".png"):
                assert 1_000 < (folder / path).stat().st_size < 150_000
                continue
            linked = (folder / path).read_text()
            headings = {
                re.sub(r"[^\w-]", "", h.lower().replace(" ", "-"))
                for h in re.findall(r"^#+ (.*)$", linked, re.MULTILINE)
            }
            assert not anchor or anchor in headings, target
            found += 1
    assert found > 10


def test_readme_is_one_page_and_begins_with_the_demo_and_the_tests() -> None:
    """The first block installs and runs the demo, the second block of commands installs and runs all tests."""
    blocks = [block for page, kind, block in BLOCKS if page == "README.md" and kind == "sh"]

    assert len(README.splitlines()) <= 200
    assert blocks[0].strip().endswith(".venv/bin/gong-source demo")
    assert blocks[1].strip().endswith(".venv/bin/pytest")


def test_readme_names_the_defaults_of_the_target() -> None:
    """File, dataset and table are those that a first sync makes."""
    target = Target()

    assert f"./{target.pipeline_name}.duckdb" in README
    assert f"{target.dataset}.calls" in README


def test_queries_of_the_docs_run_on_the_demo() -> None:
    """Each query in the docs runs, on the tables that a sync of all resources makes."""
    queries = [block for _, kind, block in BLOCKS if kind == "sql"]
    file = demo(calls=200).file

    with duckdb.connect(file, read_only=True) as connection:
        for query in queries:
            connection.execute(query).fetchall()
    assert len(queries) > 4


def test_python_of_the_docs_runs_against_the_simulator() -> None:
    """The example with the simulator runs as it is written."""
    (example,) = [block for page, kind, block in BLOCKS if page == "recipes.md" and kind == "python"]

    ran = subprocess.run([sys.executable, "-c", example], check=True, capture_output=True, text=True)

    assert ran.stdout.startswith("http://127.0.0.1:")


def test_modules_in_the_picture_are_there() -> None:
    """The picture of the house names every module of the package, and no other."""
    picture = next(block for page, kind, block in BLOCKS if page == "development.md" and kind == "text")
    package = ROOT / "gong_source"
    shown = [p for p in package.rglob("*.py") if not {"simulator", "verify"} & {*p.parts} and p.name[:2] != "__"]

    assert set(re.findall(r"\w+\.py", picture)) == {p.name for p in shown}


def test_committed_configuration_names_real_settings() -> None:
    """Each setting in .dlt/config.toml, also those in comments, and in the example of secrets exists."""
    config = (ROOT / ".dlt/config.toml").read_text()
    secrets = tomllib.loads((ROOT / ".dlt/example.secrets.toml").read_text())

    named = re.findall(r"^# (\w+) = ", config.split("[sources.gong]")[1], re.MULTILINE)
    assert set(named) <= set(GongSettings.__annotations__)
    assert tomllib.loads(config)["runtime"]["dlthub_telemetry"] is False
    assert set(secrets["sources"]["gong"]["credentials"]) == set(GongCredentials.__annotations__)
