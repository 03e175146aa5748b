"""How many requests details and transcripts take: a first load, and a day of syncs. Nothing is timed.

    pip install --group benchmarks
    python benchmarks/budget.py                # 100,000 calls, then a day with one sync and with 24: some minutes
    python benchmarks/budget.py --calls 20000  # quicker

The day is made by moving the clock of this process, in which the simulator runs too. Gong processes each call for 15
minutes, one in a hundred appears up to three days late, and transcripts and content come later still.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

from gong_source import Target, sync, verify
from gong_source.settings import GongSettings, resolve_settings
from gong_source.simulator import SMALL, Settings, Simulator, Tenant

RESOURCES = "calls,call_details,transcripts"
DAY = datetime(2026, 11, 18, tzinfo=UTC)
CALLS_A_DAY, LOOKBACK = 500, 7
NAMES = {"/v2/calls/transcript": "transcripts", "/v2/calls/extensive": "calls, details"}


def settings(simulator: Simulator, start: datetime) -> GongSettings:
    """The settings of a run against the simulator, without our own limits."""
    credentials = {"access_key": "key", "access_key_secret": "secret", "base_url": simulator.base_url}
    return resolve_settings(
        credentials=credentials,
        resources=RESOURCES,
        start_date=start.isoformat(),
        requests_per_second=1000.0,
        daily_request_budget=1_000_000,
    )


def sent(simulator: Simulator, since: int) -> str:
    """The requests since then, in all and by what they ask for, as two cells of a table."""
    found = Counter(NAMES.get(request.path, "other") for request in simulator.requests[since:])
    return f"{found.total():,} | {', '.join(f'{name} {number:,}' for name, number in sorted(found.items()))}"


def first_load(calls: int) -> None:
    """A year of calls into an empty dataset."""
    now = datetime.now(UTC).replace(microsecond=0)
    tenant = Tenant.generate(calls, start=now - timedelta(days=365), end=now, seed=5, content=SMALL)
    with Simulator(tenant, Settings(requests_per_second=None, daily_quota=None)) as simulator:
        result = sync(settings=settings(simulator, now - timedelta(days=366)))
        assert result.status == "done", result.message
        print(f"| first load of {calls:,} calls | {sent(simulator, 0)} |", flush=True)


def one_day(hours: range, name: str) -> None:
    """The syncs of a day at these hours, on a tenant with a week of calls; at the end, everything is compared."""
    tenant = Tenant.generate(
        CALLS_A_DAY * (LOOKBACK + 3),
        start=DAY - timedelta(days=LOOKBACK + 1),
        end=DAY + timedelta(days=2),
        seed=5,
        content=SMALL,
        processing_seconds=900,
        late_share=0.01,
        late_seconds=3 * 86_400,
    )
    target = Target(dataset=f"day_{len(hours)}")
    start = DAY - timedelta(days=LOOKBACK + 2)
    with Simulator(tenant, Settings(requests_per_second=None, daily_quota=None, clock=time.time)) as simulator:

        def at(moment: datetime) -> None:
            with time_machine.travel(moment, tick=True):
                assert sync(target, settings=settings(simulator, start)).status == "done"

        at(DAY - timedelta(hours=25))
        at(DAY - timedelta(minutes=55))
        before = len(simulator.requests)
        for hour in hours:
            at(DAY + timedelta(hours=hour, minutes=5))
        cells = sent(simulator, before)
        end = DAY + timedelta(hours=24, minutes=5)
        at(end)
        with time_machine.travel(end + timedelta(seconds=30), tick=True):
            found = verify(target, settings=settings(simulator, start), deep=True)
        print(f"| {name} of {CALLS_A_DAY} calls a day; compared afterwards: {found.outcome} | {cells} |", flush=True)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100_000, help="calls of the first load (default: %(default)s)")
    options = parser.parse_args()
    print(f"{RESOURCES}:\n\n| | requests | of these |\n|---|---:|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(Path(folder))
        os.environ["DLT_DATA_DIR"] = folder
        one_day(range(23, 24), "daily sync")
        one_day(range(24), "24 hourly syncs")
        first_load(options.calls)


if __name__ == "__main__":
    main()
