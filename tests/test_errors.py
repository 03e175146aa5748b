"""The error tree: the drawing is right, and each error has what a program needs to act on it."""

from __future__ import annotations

import inspect
import pickle
import re
from datetime import UTC, datetime

import pytest

from gong_source import errors
from gong_source.errors import ConfigurationError, GongError, QuotaExhausted, RequestFailed

TREE = {name: value for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, GongError)}


def drawn() -> dict[str, str | None]:
    """The parent of each error, as the drawing at the top of the module shows it."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"((?:│   |    )*)(├── |└── )?([A-Z]\w+)\b", line)
        if found is None or not (found[2] or found[3] == "GongError"):
            continue
        depth = len(found[1]) // 4 + bool(found[2])
        parents[found[3]] = above[depth - 1] if depth else None
        above[depth:] = [found[3]]
    return parents


def test_drawing_is_the_tree() -> None:
    """The drawing names every error under its parent, and none that is not there."""
    real = {name: cls.__mro__[1].__name__ for name, cls in TREE.items() if cls is not GongError}

    assert drawn() == {"GongError": None} | real


@pytest.mark.parametrize("cls", TREE.values(), ids=lambda cls: cls.__name__)
def test_error_says_what_it_means(cls: type[GongError]) -> None:
    """Every error is documented, can be shown, and can travel between processes."""
    error = cls("what happened")

    assert cls.__doc__
    assert str(error) == "what happened"
    assert str(pickle.loads(pickle.dumps(error))) == "what happened"


def test_request_id_is_in_the_message() -> None:
    """A failed request has Gong's request id, if there is one, in its message and as an attribute."""
    error = RequestFailed("it broke", request_id="4f17")

    assert (error.request_id, str(error)) == ("4f17", "it broke (Gong's request id: 4f17)")
    assert RequestFailed("it broke").request_id is None


@pytest.mark.parametrize(
    "error",
    [RequestFailed("it broke", request_id="4f17"), QuotaExhausted("later", retry_at=datetime(2026, 1, 1, tzinfo=UTC))],
)
def test_error_travels_whole(error: GongError) -> None:
    """An error pickled by a process pool keeps its message and its attributes."""
    back = pickle.loads(pickle.dumps(error))

    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def test_quota_says_when_to_come_back() -> None:
    """A used-up quota says when to run again, or that only a new run helps."""
    at = datetime(2026, 1, 2, tzinfo=UTC)

    assert QuotaExhausted("later", retry_at=at).retry_at == at
    assert QuotaExhausted("later").retry_at is None


def test_wrong_setting_is_a_value_error() -> None:
    """Code that catches `ValueError` for wrong settings catches this error too."""
    assert issubclass(ConfigurationError, ValueError)
