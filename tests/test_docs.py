"""The README says what the code does: commands, options, settings, columns, and the two commands it begins with."""

from __future__ import annotations

import argparse
import dataclasses
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from gong_source import Target
from gong_source.cli.main import _parser
from gong_source.resources import declare as tables
from gong_source.settings import GongCredentials, GongSettings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    (subparsers,) = (a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(subparsers.choices)


def options(parser: argparse.ArgumentParser) -> list[str]:
    """The long options of a command, but for those that all commands have."""
    common = {"--help", "--json", "--log-level"}
    return [s for action in parser._actions for s in action.option_strings if s.startswith("--") and s not in common]


@pytest.mark.parametrize("name", [name for name in commands() if name != "simulate"])
def test_each_command_stands_in_the_readme_with_all_its_options(name: str) -> None:
    """The commands' table names every option of every command, and no other."""
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{name}` |")]

    assert re.findall(r"--[a-z-]+", row) == options(commands()[name])


@pytest.mark.parametrize("name", list(commands()))
def test_each_option_has_a_help_text(name: str) -> None:
    """`--help` explains every option."""
    assert [action.dest for action in commands()[name]._actions if not action.help] == []


def test_settings_stand_in_the_readme_with_their_defaults() -> None:
    """The settings' table is that of the code: names and defaults."""
    fields = {f.name: f.default for f in dataclasses.fields(GongSettings) if f.name in GongSettings.__annotations__}
    fields.pop("credentials")
    section = README.split("## Settings")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|", section, re.MULTILINE))

    for name, default in fields.items():
        shown = "" if default is None else f"`{default:g}`" if isinstance(default, int | float) else f"`{default}`"
        assert rows[name] == shown, name
    assert set(GongCredentials.__annotations__) <= set(rows)


@pytest.mark.parametrize(
    "table", [t for t in vars(tables).values() if isinstance(t, tables.Table)], ids=lambda t: t.name
)
def test_tables_stand_in_the_readme_with_every_column(table: tables.Table) -> None:
    """The columns, their types and their descriptions are those of the tables."""
    section = README.split(f"### `{table.name}`")[1].split("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", section, re.MULTILINE)

    assert rows == [(column.name, column.type, column.description) for column in table.columns]


def test_every_gong_source_command_in_the_readme_can_be_parsed() -> None:
    """Each shown command line is one that the parser takes."""
    lines = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
    shown = [line.split("#")[0] for line in lines if re.match(r"^(\S+ \* \* \* \* .*)?\S*gong-source ", line)]
    for line in shown:
        words = shlex.split(re.sub(r"\d?>>.*", "", line.split("gong-source ", 1)[1]))
        _parser().parse_args(words)
    assert len(shown) > 6


def test_readme_begins_with_the_demo_and_the_tests() -> None:
    """The first block installs and runs the demo, the second installs and runs all tests."""
    assert BLOCKS[0][1].strip().endswith(".venv/bin/gong-source demo")
    assert BLOCKS[1][1].strip().endswith(".venv/bin/pytest")


def test_readme_names_the_defaults_of_the_target() -> None:
    """File, dataset and table are those a first sync makes."""
    target = Target()

    assert f"./{target.pipeline_name}.duckdb" in README
    assert f"{target.dataset}.calls" in README


def test_committed_configuration_names_real_settings() -> None:
    """Each setting in .dlt/config.toml, also those in comments, and in the example of secrets exists."""
    config = (ROOT / ".dlt/config.toml").read_text()
    secrets = tomllib.loads((ROOT / ".dlt/example.secrets.toml").read_text())

    named = re.findall(r"^# (\w+) = ", config.split("[sources.gong]")[1], re.MULTILINE)
    assert set(named) <= set(GongSettings.__annotations__)
    assert tomllib.loads(config)["runtime"]["dlthub_telemetry"] is False
    assert set(secrets["sources"]["gong"]["credentials"]) == set(GongCredentials.__annotations__)
