"""The size of the code: a module has one job and fits on a few screens, a function fits on one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gong_source"
MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_and_functions_are_small(path: Path) -> None:
    """A module has at most 350 lines, a function at most 40 with its docstring; each module says what it is for."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]

    assert len(path.read_text().splitlines()) <= 350
    assert {f.name for f in functions if (f.end_lineno or 0) - f.lineno + 1 > 40} == set()
    assert ast.get_docstring(tree)
