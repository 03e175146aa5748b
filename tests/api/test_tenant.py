"""Which tenant a dataset belongs to: the decision for each combination of what is known and what Gong answers."""

from __future__ import annotations

from typing import Any

import pytest

from gong_source import GongError, WrongTenant
from gong_source.api.endpoints import CALLS, USERS, WORKSPACES
from gong_source.api.tenant import Identity, TenantCheck, identity_of
from gong_source.errors import MissingScope

OURS = "us-1.app.gong.io"
THEIRS = "us-2.app.gong.io"
KNOWN = Identity(frozenset({"us-1.api.gong.io"}), frozenset({OURS}), frozenset({"11", "12"}))
ONLY_API = Identity(frozenset({"us-1.api.gong.io"}))
SHARED = Identity(frozenset({"api.gong.io"}), frozenset({OURS}), frozenset({"11"}))


def call(host: str | None, workspace: Any) -> dict[str, Any]:
    """A call as Gong lists it."""
    return {"id": "1", "url": host and f"https://{host}/call?id=1", "workspaceId": workspace}


class Gong:
    """Answers the question for the workspaces, and counts how often it was asked."""

    def __init__(self, *workspaces: str, error: GongError | None = None) -> None:
        self.records, self.error, self.asked = [{"id": workspace} for workspace in workspaces], error, 0

    def __call__(self) -> list[dict[str, str]]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.records


NO_SCOPE = MissingScope("no")


@pytest.mark.parametrize(
    ("case", "known", "api_host", "records", "gong", "refused", "asked"),
    [
        ("first load", Identity(), "us-2.api.gong.io", [call(THEIRS, "21")], Gong(), False, 0),
        ("same tenant", KNOWN, "us-1.api.gong.io", [call(OURS, "11")], Gong(), False, 0),
        ("ids of workspaces as numbers", KNOWN, "us-1.api.gong.io", [call(OURS, 11)], Gong(), False, 0),
        ("moved to another host", KNOWN, "us-9.api.gong.io", [call(THEIRS, "11")], Gong(), False, 0),
        ("a new workspace", KNOWN, "us-1.api.gong.io", [call(OURS, "13")], Gong("11", "12", "13"), False, 1),
        ("a narrower scope", KNOWN, "us-1.api.gong.io", [call(OURS, "13")], Gong(error=NO_SCOPE), False, 1),
        ("another tenant", KNOWN, "us-2.api.gong.io", [call(THEIRS, "21")], Gong("21"), True, 1),
        ("another tenant, no scope", KNOWN, "us-2.api.gong.io", [call(THEIRS, "21")], Gong(error=NO_SCOPE), True, 1),
        ("another tenant, shared API host", SHARED, "api.gong.io", [call(THEIRS, "21")], Gong("21"), True, 1),
        ("another tenant on the same hosts", SHARED, "api.gong.io", [call(OURS, "21")], Gong("21"), True, 1),
        ("no addresses, another workspace", KNOWN, "api.gong.io", [call(None, "21")], Gong("21"), True, 1),
        ("a shared app host, our workspace", KNOWN, "api.gong.io", [call("app.gong.io", "11")], Gong(), False, 0),
        ("no calls, our API host", KNOWN, "us-1.api.gong.io", [], Gong(), False, 0),
        ("no calls, shared API host", KNOWN, "api.gong.io", [], Gong(), False, 0),
        ("no calls, moved", KNOWN, "us-9.api.gong.io", [], Gong("12"), False, 1),
        ("no calls, another API host", KNOWN, "us-2.api.gong.io", [], Gong("21"), True, 1),
        ("no calls, another API host, no scope", KNOWN, "us-2.api.gong.io", [], Gong(error=NO_SCOPE), True, 1),
        ("a tenant without calls, ours", ONLY_API, "us-1.api.gong.io", [call(OURS, "11")], Gong(), False, 0),
        ("a tenant without calls, another", ONLY_API, "us-2.api.gong.io", [call(THEIRS, "21")], Gong("21"), True, 1),
    ],
)
def test_decision(
    case: str, known: Identity, api_host: str, records: list[Any], gong: Gong, refused: bool, asked: int
) -> None:
    """Two tenants are never mixed. A moved host, a new workspace, a rotated key and a narrower scope pass."""
    gong.asked = 0
    check = TenantCheck(api_host, known, "dataset gong", gong)

    def load() -> None:
        check.see(CALLS, records)
        check.confirm()

    if refused:
        with pytest.raises(WrongTenant, match=r"dataset gong belongs to the Gong tenant us-1\..*another --dataset"):
            load()
    else:
        load()
        load()

    assert (case, gong.asked) == (case, asked)


@pytest.mark.parametrize(
    ("endpoint", "records", "expected"),
    [
        (
            CALLS,
            [call(OURS, "11"), call(THEIRS.upper(), 12)],
            Identity(app_hosts={OURS, THEIRS}, workspaces={"11", "12"}),
        ),  # type: ignore[arg-type]
        (CALLS, [None, 3, "x", [], {}], Identity()),
        (CALLS, [{"url": 3, "workspaceId": [1]}, {"url": "http://[", "workspaceId": ""}], Identity()),
        (WORKSPACES, [{"id": "11"}, {"id": None}], Identity(workspaces=frozenset({"11"}))),
        (USERS, [{"id": "11", "url": "https://x.example"}], Identity()),
    ],
)
def test_what_records_show(endpoint: Any, records: list[Any], expected: Identity) -> None:
    """The host of the calls' addresses and the ids of workspaces; nonsense shows nothing and breaks nothing."""
    assert identity_of(endpoint, records) == expected
