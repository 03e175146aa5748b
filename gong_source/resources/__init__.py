"""What can be loaded: one module for each family of resources, declarations only."""

from gong_source.resources.bookkeeping import BOOKKEEPING
from gong_source.resources.calls import CALLS
from gong_source.resources.declare import Resource, Table
from gong_source.resources.details import CALL_CONTENT, CALL_DETAILS
from gong_source.resources.people import USERS, WORKSPACES
from gong_source.resources.transcripts import TRANSCRIPTS

# Runs load resources in this order, where a budget of requests is short: calls first, then the lists that cost little,
# then what is requested by call id.
RESOURCES: dict[str, Resource] = {
    resource.name: resource for resource in (CALLS, USERS, WORKSPACES, CALL_DETAILS, CALL_CONTENT, TRANSCRIPTS)
}

TABLES: tuple[Table, ...] = (*(table for resource in RESOURCES.values() for table in resource.tables), *BOOKKEEPING)
