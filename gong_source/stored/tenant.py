"""The tenant that a dataset has been loaded from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gong_source.api.tenant import Identity
from gong_source.resources.bookkeeping import FETCHED_WINDOWS

if TYPE_CHECKING:
    from gong_source.stored.query import Query


def known_tenant(query: Query) -> Identity:
    """The tenant that the dataset has been loaded from, as the ledger says."""
    known = Identity()
    columns = "tenant_api_host, tenant_app_hosts, tenant_workspaces"
    for api_host, app_hosts, workspaces in query(f"select distinct {columns} from {{dataset}}.{FETCHED_WINDOWS.name}"):
        known |= Identity(
            frozenset({api_host} - {None}),
            frozenset(json.loads(app_hosts or "[]")),
            frozenset(json.loads(workspaces or "[]")),
        )
    return known
