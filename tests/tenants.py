"""Tenants whose walk is known beforehand, however fast or busy the machine is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gong_source.simulator import Call, Tenant

END = datetime.now(UTC).replace(microsecond=0)
# A range this long is begun in nine places.
QUARTER_BEGINS = END - timedelta(days=90)


def nine_windows(pages: int = 1) -> Tenant:
    """A tenant whose calls of the last quarter are nine windows of so many pages, half of the last one filled.

    A call shows one time alone, so that no request goes out to learn by which one it is filed.
    """
    each = 100 * pages - 50
    step = timedelta(days=10) / each
    return Tenant(Call(str(10**17 + n), started=QUARTER_BEGINS + step * (n + 0.5)) for n in range(9 * each))
