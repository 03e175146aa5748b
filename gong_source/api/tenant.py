"""Which tenant Gong's answers come from, and whether it is the one that a dataset belongs to."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gong_source.errors import RequestFailed, WrongTenant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gong_source.api.endpoints import Endpoint

# Hosts that many tenants share say nothing about the tenant.
_SHARED_HOSTS = {"api.gong.io", "app.gong.io"}
# Tests and simulators: every tenant may be there.
_LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a tenant: the hosts of its API and of its app, and the ids of its workspaces.

    Gong's workspace ids are unique. The host of the app stands in the address of each call.
    """

    api_hosts: frozenset[str] = frozenset()
    app_hosts: frozenset[str] = frozenset()
    workspaces: frozenset[str] = frozenset()

    def __or__(self, other: Identity) -> Identity:
        return Identity(
            self.api_hosts | other.api_hosts, self.app_hosts | other.app_hosts, self.workspaces | other.workspaces
        )

    def __str__(self) -> str:
        hosts = ", ".join(sorted(self.app_hosts or self.api_hosts)) or "an unknown host"
        shown = ", ".join(sorted(self.workspaces)[:3]) + (", ..." if len(self.workspaces) > 3 else "")
        return f"{hosts} (workspace {shown})" if shown else hosts


class TenantCheck:
    """Collects what Gong's answers say of their tenant, and compares it with what a dataset has been loaded from.

    `known` is the dataset's tenant, `dataset` names the dataset in messages. `list_workspaces` asks Gong for the ids of
    the workspaces; it is called at most once, if the answers alone do not show whose they are.
    """

    def __init__(
        self, api_host: str, known: Identity, dataset: str, list_workspaces: Callable[[], Sequence[Any]]
    ) -> None:
        self.seen = Identity(api_hosts=frozenset({api_host}))
        self._known = known
        self._dataset = dataset
        self._list_workspaces = list_workspaces
        self._decided = known == Identity()
        self._lock = threading.RLock()

    def columns(self) -> dict[str, str]:
        """What has been seen so far, for the ledger."""
        return {
            "tenant_api_host": ", ".join(self.seen.api_hosts),
            "tenant_app_hosts": json.dumps(sorted(self.seen.app_hosts)),
            "tenant_workspaces": json.dumps(sorted(self.seen.workspaces)),
        }

    def see(self, endpoint: Endpoint, records: Sequence[Any]) -> None:
        """Takes in the own fields of the records of a page; raises `WrongTenant` if they are another tenant's."""
        if self._is_known(endpoint, records):
            return
        found = identity_of(endpoint, records)
        if found.app_hosts <= self.seen.app_hosts and found.workspaces <= self.seen.workspaces:
            return
        with self._lock:
            self.seen |= found
            known, seen = self._known, self.seen
            comparable = (known.app_hosts and seen.app_hosts) or (known.workspaces and seen.workspaces)
            if comparable and not self._decided:
                self._decide()

    def _is_known(self, endpoint: Endpoint, records: Sequence[Any]) -> bool:
        """Whether the page shows nothing new; fast, as almost every page is one of these."""
        workspace, address = endpoint.workspace_field, endpoint.address_field
        try:
            new = workspace is not None and not {row[workspace] for row in records} <= self.seen.workspaces
            return not new and (address is None or host_of(records[0][address]) in self.seen.app_hosts)
        except (TypeError, KeyError, IndexError):
            return False

    def confirm(self) -> None:
        """Called before anything is loaded: raises `WrongTenant` if nothing shows that the tenant is the right one."""
        with self._lock:
            (api_host,) = self.seen.api_hosts
            unknown = api_host not in self._known.api_hosts | _SHARED_HOSTS | _LOCAL_HOSTS
            if unknown and self._known.api_hosts - _SHARED_HOSTS and not self._decided:
                self._decide()

    def _decide(self) -> None:
        """A common workspace shows the same tenant, also on a new host. Without one, Gong's list of workspaces decides.

        If the key may not list them, the host of the app does.
        """
        known = self._known
        if not known.workspaces & self.seen.workspaces:
            listed = self._ask()
            self.seen |= Identity(workspaces=listed)
            same_host = not (listed and known.workspaces) and known.app_hosts & self.seen.app_hosts
            if not known.workspaces & listed and not same_host:
                raise WrongTenant(
                    f"{self._dataset} belongs to the Gong tenant {known}, and this key belongs to {self.seen}. Nothing"
                    " was loaded. Set the key of the right tenant, or load this one into another --dataset or file"
                )
        self._decided = True

    def _ask(self) -> frozenset[str]:
        """The ids of all workspaces; none if the key may not list them."""
        try:
            return frozenset(str(workspace["id"]) for workspace in self._list_workspaces())
        except (RequestFailed, TypeError, KeyError):
            return frozenset()


def identity_of(endpoint: Endpoint, records: Sequence[Any]) -> Identity:
    """What the records of a page say of their tenant."""
    rows = [record for record in records if type(record) is dict]
    workspaces: set[Any] = set()
    hosts: set[str] = set()
    if endpoint.workspace_field is not None:
        found = (row.get(endpoint.workspace_field) for row in rows)
        workspaces = {value for value in found if value and isinstance(value, str | int)}
    if endpoint.address_field is not None:
        # All addresses of a page are of one tenant, so two are enough.
        hosts = {host_of(row.get(endpoint.address_field)) for row in rows[:1] + rows[-1:]}
    return Identity(app_hosts=frozenset(hosts - _SHARED_HOSTS - {""}), workspaces=frozenset(map(str, workspaces)))


def host_of(address: object) -> str:
    """The host of an address, in small letters; empty if it has none."""
    try:
        return (urlsplit(address).hostname or "") if isinstance(address, str) else ""
    except ValueError:
        return ""
