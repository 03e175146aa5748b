"""The simulated tenant, served from a process of its own until its standard input closes.

    python -m benchmarks.simulator --calls 100000

Prints its address; then, for each line that it reads, how many requests it has answered since the line before, and the
seconds of CPU that this took.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime, timedelta

from gong_source.simulator import Content, Settings, Simulator, Tenant

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
_CALLS_WITH_A_NEW_FIELD = 20


def tenant(calls: int) -> Tenant:
    """The same tenant in every process: two years of office hours, and a few calls with a field nobody knows.

    A transcript has 500 sentences on average; details and content are lifelike.
    """
    content = Content(sentences=500)
    made = Tenant.generate(calls, start=START, end=END, shape="business", seed=7, content=content)
    ids = [*made.calls]
    for call_id in ids[:: max(1, calls // _CALLS_WITH_A_NEW_FIELD)]:
        made.edit(call_id, newField={"score": 7, "labels": ["a", "b"]})
    return made


def newcomers(calls: int, seed: int) -> Tenant:
    """Calls of the last day, which the lookback of any sync asks for; another seed makes others."""
    now = datetime.now(UTC).replace(microsecond=0)
    return Tenant.generate(calls, start=now - timedelta(days=1), end=now, seed=seed)


def main() -> None:
    """Serves without latency and without limits, or as Gong does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--newcomers", type=int, metavar="SEED", help="serve calls of the last day instead")
    parser.add_argument("--limits", action="store_true", help="answer after 0.3 s, three times a second at most")
    args = parser.parse_args()
    settings = Settings(latency_seconds=0.3) if args.limits else Settings(requests_per_second=None, daily_quota=None)
    served = tenant(args.calls) if args.newcomers is None else newcomers(args.calls, args.newcomers)
    served.warm()
    with Simulator(served, settings) as gong:
        print(gong.base_url, flush=True)
        began = time.process_time()
        for _ in sys.stdin:
            print(len(gong.requests), time.process_time() - began, flush=True)
            gong.reset_requests()
            began = time.process_time()


if __name__ == "__main__":
    main()
