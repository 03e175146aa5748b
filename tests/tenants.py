"""Tenants: one whose requests are known beforehand, and what its tables must contain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gong_source.resources.calls import CALLS
from gong_source.simulator import Call, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterable

END = datetime.now(UTC).replace(microsecond=0)
QUARTER_BEGINS = END - timedelta(days=90)


def nine_windows(pages: int = 1) -> Tenant:
    """A tenant whose calls of the last quarter fill so many pages for each of nine parts, half of the last one filled.

    They fit into one window, which is cut into these nine if a record cannot be read. A call shows one time only, so no
    request is needed to learn which time files it.
    """
    each = 100 * pages - 50
    step = timedelta(days=10) / each
    return Tenant(Call(str(10**17 + n), started=QUARTER_BEGINS + step * (n + 0.5)) for n in range(9 * each))


# With fewer than 150 requests left, windows are fetched one at a time: sixty answers finish the first one.
ONE_AT_A_TIME = 149


def several_windows() -> Tenant:
    """A tenant whose 15,000 calls of the last quarter are several windows of at most forty pages."""
    step = timedelta(days=90) / 15_000
    return Tenant(Call(str(10**17 + n), started=QUARTER_BEGINS + step * (n + 0.5)) for n in range(15_000))


def calls_within(tenant: Tenant, windows: Iterable[tuple[datetime, datetime]]) -> int:
    """How many calls of the tenant began within these windows, which are disjoint."""
    return sum(start <= call.started < end for start, end in windows for call in tenant.calls.values() if call.started)


def days_ago(days: float) -> datetime:
    """A moment before the end of the tenant's calls."""
    return END - timedelta(days=days)


def truth(tenant: Tenant) -> dict[str, dict[str, Any]]:
    """The tenant's calls by id, with instants for times."""
    served = {}
    for call_id in tenant.calls:
        record = tenant.served(call_id)
        for name in ("scheduled", "started"):
            if record.get(name) is not None:
                record[name] = datetime.fromisoformat(record[name])
        served[call_id] = dict.fromkeys(CALLS.table.fields) | record
    return served
