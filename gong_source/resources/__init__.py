"""What can be loaded: one module for each family of resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gong_source.resources.bookkeeping import BOOKKEEPING
from gong_source.resources.calls import CALLS, CALLS_WITH_DETAILS
from gong_source.resources.declare import Resource, Table  # noqa: TC001 - others import them from here
from gong_source.resources.details import CALL_CONTENT, CALL_DETAILS
from gong_source.resources.people import USERS, WORKSPACES
from gong_source.resources.transcripts import TRANSCRIPTS

if TYPE_CHECKING:
    from collections.abc import Collection

# Runs load resources in this order, where a budget of requests is short: calls first, then the lists that cost little,
# then what is requested by call id.
RESOURCES: dict[str, Resource] = {
    resource.name: resource for resource in (CALLS, USERS, WORKSPACES, CALL_DETAILS, CALL_CONTENT, TRANSCRIPTS)
}


def choose(names: Collection[str]) -> list[Resource]:
    """The resources of these names, in the order in which runs load them.

    With a resource that the list with details has, that list gives the calls too.
    """
    chosen = [resource for name, resource in RESOURCES.items() if name in names]
    if any(resource.comes_with(CALLS_WITH_DETAILS) for resource in chosen):
        return [CALLS_WITH_DETAILS if resource is CALLS else resource for resource in chosen]
    return chosen


def ways_to_list(resource: Resource) -> list[Resource]:
    """The resource as each of Gong's lists gives it."""
    return [way for way in (*RESOURCES.values(), CALLS_WITH_DETAILS) if way.name == resource.name]


TABLES: tuple[Table, ...] = (*(table for resource in RESOURCES.values() for table in resource.tables), *BOOKKEEPING)
