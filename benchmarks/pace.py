"""How close a backfill comes to the permitted rate: whole processes against a simulator with Gong's real limits.

    python benchmarks/pace.py                 # 20,000 calls, latency 0.3 s and 1 s: about two and a half minutes
    python benchmarks/pace.py --uneven        # tenants of uneven density, without limits: requests only

The floor is `requests / 3` seconds, from the start of the process to its end.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta

from gong_source.simulator import Call, Settings, Simulator, Tenant

END = datetime.now(UTC).replace(microsecond=0)


def backfill(simulator: Simulator, start: datetime, rate: float) -> tuple[dict[str, object], float]:
    """One backfill as a process of its own in an empty folder: its result and its seconds."""
    prefix = "SOURCES__GONG__CREDENTIALS__"
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            f"{prefix}ACCESS_KEY": "key",
            f"{prefix}ACCESS_KEY_SECRET": "secret",
            f"{prefix}BASE_URL": simulator.base_url,
            "SOURCES__GONG__REQUESTS_PER_SECOND": str(rate),
            "SOURCES__GONG__DAILY_REQUEST_BUDGET": "1000000",
            "DLT_DATA_DIR": f"{folder}/dlt",
        }
        began = time.monotonic()
        process = subprocess.run(  # noqa: S603 - the command is ours
            [sys.executable, "-m", "gong_source.cli", "backfill", "--from", start.isoformat(), "--json"],
            cwd=folder,
            env=os.environ | environment,
            check=True,
            capture_output=True,
        )
        return json.loads(process.stdout), time.monotonic() - began


def pace(latencies: list[float]) -> None:
    """The time a backfill of 20,000 calls of a year takes, at Gong's limits."""
    print(
        "| latency s | requests | most in a second | refused | seconds | floor | ratio |\n|---|---|---|---|---|---|---|"
    )
    for latency in latencies:
        start = END - timedelta(days=365)
        tenant = Tenant.generate(20_000, start=start, end=END, seed=1, shape="business")
        tenant.warm()
        with Simulator(tenant, Settings(latency_seconds=latency)) as simulator:
            result, seconds = backfill(simulator, start, 3)
            sent = len(simulator.requests)
            refused = sum(request.status == 429 for request in simulator.requests)
            assert result["calls_received"] == 20_000, result
            print(
                f"| {latency} | {sent} ({sent / 200:.3f} x calls/100) | {simulator.peak_rate(1.0)} | {refused} |"
                f" {seconds:.1f} | {sent / 3:.1f} | {seconds * 3 / sent:.3f} |",
                flush=True,
            )


def uneven() -> None:
    """The requests that tenants of uneven density take."""
    year = END - timedelta(days=365)
    five_years = END - timedelta(days=5 * 365)
    hour, second = END - timedelta(days=100), END - timedelta(days=200)
    dense = year + timedelta(days=120)
    cases = [
        ("90 % of 20,000 calls in 2 % of a year", year, [(18_000, dense, 7.3 * 86400), (2_000, year, 365 * 86400)]),
        ("50,000 calls in one hour of a year", year, [(50_000, hour, 3600)]),
        ("10,000 calls in one second of a year", year, [(10_000, second, 1)]),
        ("10,000 calls in one second, range of a day", second - timedelta(hours=12), [(10_000, second, 1)]),
        ("300 calls in 5 years", five_years, [(300, five_years, 5 * 365 * 86400)]),
        ("1,000,000 calls in 5 years", five_years, [(1_000_000, five_years, 5 * 365 * 86400)]),
    ]
    print("| tenant | calls | requests | calls / 100 | ratio | windows |\n|---|---|---|---|---|---|")
    for name, start, parts in cases:
        draw = random.Random(name)
        numbers = iter(range(10**17, 10**18))
        tenant = Tenant(
            Call(str(next(numbers)), started=begin + timedelta(seconds=draw.random() * seconds))
            for count, begin, seconds in parts
            for _ in range(count)
        )
        calls = len(tenant)
        with Simulator(tenant, Settings(requests_per_second=None, daily_quota=None)) as simulator:
            result, _ = backfill(simulator, start, 100_000)
            assert result["calls_received"] == calls, result
            sent, floor = len(simulator.requests), math.ceil(calls / 100)
            print(
                f"| {name} | {calls:,} | {sent:,} | {floor:,} | {sent / floor:.3f} | {result['windows']} |", flush=True
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--uneven", action="store_true", help="requests of tenants of uneven density")
    parser.add_argument("--latency", type=float, action="append", help="seconds (default: 0.3 and 1)")
    options = parser.parse_args()
    uneven() if options.uneven else pace(options.latency or [0.3, 1.0])
