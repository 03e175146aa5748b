"""What can be loaded: one module for each family of resources, declarations only."""

from gong_source.resources.bookkeeping import BOOKKEEPING
from gong_source.resources.calls import CALLS
from gong_source.resources.declare import Resource, Table
from gong_source.resources.people import USERS, WORKSPACES

# Runs load resources in this order, so that calls come first where a budget of requests is short.
RESOURCES: dict[str, Resource] = {resource.name: resource for resource in (CALLS, USERS, WORKSPACES)}

TABLES: tuple[Table, ...] = (*(table for resource in RESOURCES.values() for table in resource.tables), *BOOKKEEPING)
