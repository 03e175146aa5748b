"""The endpoints of Gong's API that are read, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of Gong's lists.

    `inputs` says where filters and page cursor go: a POST reads them from its JSON body and silently ignores a page
    cursor in the query. `extra_body` is sent with every request of a POST. `time` names the two filters by time; None
    for a list that Gong only gives whole. `ids` names the filter by ids of calls; None if there is none. `workspace`
    names the filter by workspace; None if there is none.

    `fields_in` names the object inside a record that holds the record's own fields; None if they stand in the record
    itself. `workspace_field` and `address_field` name those of them that show which tenant the record belongs to: the
    id of its workspace, and an address in the tenant's Gong.
    """

    method: Literal["GET", "POST"]
    path: str
    list_key: str
    inputs: Literal["query", "body"] = "query"
    extra_body: tuple[tuple[str, Any], ...] = ()
    time: tuple[str, str] | None = None
    ids: str | None = None
    workspace: str | None = None
    fields_in: str | None = None
    workspace_field: str | None = None
    address_field: str | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


CALLS = Endpoint(
    "GET",
    "/v2/calls",
    list_key="calls",
    time=("fromDateTime", "toDateTime"),
    workspace="workspaceId",
    workspace_field="workspaceId",
    address_field="url",
)
USERS = Endpoint("GET", "/v2/users", list_key="users")
# Not paged: the answer has no object `records`.
WORKSPACES = Endpoint("GET", "/v2/workspaces", list_key="workspaces", workspace_field="id")
EXTENSIVE_CALLS = Endpoint(
    "POST",
    "/v2/calls/extensive",
    list_key="calls",
    inputs="body",
    time=("fromDateTime", "toDateTime"),
    ids="callIds",
    workspace="workspaceId",
    fields_in="metaData",
    workspace_field="workspaceId",
    address_field="url",
)
TRANSCRIPTS = Endpoint(
    "POST",
    "/v2/calls/transcript",
    list_key="callTranscripts",
    inputs="body",
    time=("fromDateTime", "toDateTime"),
    ids="callIds",
    workspace="workspaceId",
)
