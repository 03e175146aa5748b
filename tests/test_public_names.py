"""The public names are one list, cheap to import, and each of them is there."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib import import_module

import pytest

import gong_source
from gong_source import errors

# What a person who only wants help, or a name, should not have to wait for.
HEAVY = ("dlt", "duckdb", "pyarrow", "requests", "pendulum", "rich", "sqlglot")


def loaded_after(code: str) -> tuple[list[str], str]:
    """The heavy modules that a fresh interpreter has loaded after `code`, and what it printed."""
    ending = f"\nimport sys, json; print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    run = subprocess.run([sys.executable, "-c", code + ending], capture_output=True, text=True, check=True)
    printed, _, last = run.stdout.rstrip().rpartition("\n")
    return json.loads(last), printed


@pytest.mark.parametrize("name", gong_source.__all__)
def test_name_is_importable(name: str) -> None:
    """Every name in the list can be imported from the package, and is documented."""
    value = getattr(gong_source, name)

    assert value is not None
    assert name == "__version__" or inspect.getdoc(value)


def test_list_is_what_the_package_has() -> None:
    """The list is sorted, without doubles, and the same as the names that the package knows where to find."""
    assert sorted(set(gong_source.__all__)) == sorted(gong_source.__all__)
    assert set(gong_source.__all__) == {*gong_source._HOMES, "__version__"}
    assert set(gong_source.__all__) <= set(dir(gong_source))


def test_names_live_where_they_are_said_to() -> None:
    """A name is defined in the module that it is loaded from, not passed on by another."""
    for name, home in gong_source._HOMES.items():
        value = getattr(import_module(home), name)
        assert getattr(gong_source, name) is value
        assert getattr(value, "__module__", home) == home


def test_star_import() -> None:
    """`from gong_source import *` brings the list and nothing else."""
    names: dict[str, object] = {}
    exec("from gong_source import *", names)

    assert set(gong_source.__all__) == names.keys() - {"__builtins__"}


def test_unknown_name() -> None:
    """A name that is not there is an AttributeError, as everywhere."""
    with pytest.raises(AttributeError, match="has no attribute 'gonk'"):
        gong_source.gonk  # noqa: B018
    with pytest.raises(ImportError):
        from gong_source import gonk  # noqa: F401


def test_every_error_a_caller_may_meet_is_public() -> None:
    """Errors are public, but for those that never leave the package, or mean only that somebody stopped it."""
    tree = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}

    assert tree - set(gong_source.__all__) <= {"NoRowsFound", "PageCursorExpired", "RunStopped"}


def test_import_is_cheap() -> None:
    """Importing the package loads no heavy dependency."""
    heavy, _ = loaded_after("import gong_source")

    assert heavy == []


def test_errors_and_windows_are_cheap() -> None:
    """Catching an error, or naming a window, loads no heavy dependency either."""
    heavy, _ = loaded_after("from gong_source import GongError, QuotaExhausted, Window")

    assert heavy == []


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["sync", "--help"], ["verify", "--help"]])
def test_help_is_cheap(arguments: list[str]) -> None:
    """Help comes at once: a heavy dependency is loaded only when it is needed."""
    heavy, printed = loaded_after(
        "from gong_source.cli.main import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as done:\n"
        "    assert not done.code, done.code"
    )

    assert heavy == []
    assert "gong-source" in printed


def test_simulator_needs_nothing() -> None:
    """The simulator is the standard library alone."""
    heavy, _ = loaded_after("import gong_source.simulator")

    assert heavy == []
