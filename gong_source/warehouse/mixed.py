"""Finds rows of several Gong tenants in one table: a dataset belongs to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gong_source.api.tenant import host_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gong_source.resources.declare import Resource
    from gong_source.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class TenantRows:
    """The rows of one tenant; `delete` is the SQL statement that removes them."""

    hosts: list[str]
    workspaces: list[str]
    rows: int
    delete: str


def tenants_in(warehouse: Warehouse, resource: Resource) -> list[TenantRows]:
    """The tenants whose rows lie in the table, that with most rows first; none if all belong to one tenant.

    Workspaces whose calls have an address on the same host belong to one tenant. A tenant that moved has workspaces
    with addresses on both hosts.
    """
    address = resource.table.fields.get(resource.endpoint.address_field or "")
    if address is None or not resource.can_filter_by_workspace:
        return []
    name = resource.table.name
    found = warehouse.query(
        f"select workspace_id, min({address.name}), max({address.name}), count(*) from {{dataset}}.{name}"
        f" where workspace_id is not null and {address.name} is not null group by workspace_id"
    )
    tenants: list[tuple[set[str], set[str], int]] = []
    for workspace, first, last, count in found:
        hosts, workspaces, rows = {host_of(first), host_of(last)}, {str(workspace)}, int(count)
        separate = []
        for known in tenants:
            if hosts & known[0]:
                hosts, workspaces, rows = hosts | known[0], workspaces | known[1], rows + known[2]
            else:
                separate.append(known)
        tenants = [*separate, (hosts, workspaces, rows)]
    if len(tenants) < 2:
        return []
    dataset = warehouse.pipeline.dataset_name
    return [
        TenantRows(sorted(hosts), sorted(workspaces), rows, _delete(f"{dataset}.{name}", sorted(workspaces)))
        for hosts, workspaces, rows in sorted(tenants, key=lambda tenant: -tenant[2])
    ]


def _delete(table: str, workspaces: Sequence[str]) -> str:
    quoted = ", ".join(f"'{workspace}'" for workspace in workspaces)
    return f"delete from {table} where workspace_id in ({quoted})"


def report(resource: Resource, tenants: Sequence[TenantRows]) -> str:
    """What is wrong, in one sentence for each tenant, and how to separate them."""
    parts = "; ".join(
        f"{', '.join(tenant.hosts)}: {resource.count(tenant.rows)} (remove them with: {tenant.delete})"
        for tenant in tenants
    )
    return f"{resource.table.name} holds {resource.plural} of {len(tenants)} Gong tenants. {parts}"
