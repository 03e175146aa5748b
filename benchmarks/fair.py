"""How four runs with one key share the permitted rate: whole processes against a simulator with Gong's real limit.

    python benchmarks/fair.py                 # about 20 seconds

Each loads a dataset of its own; they know of each other by the throttle's file alone. While all four run, each should
get a quarter of the requests, and all together no more than 3 in any second.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections import Counter
from datetime import UTC, datetime, timedelta

from gong_source.simulator import Settings, Simulator, Tenant

RUNS, RATE, SECONDS = 4, 3.0, 12.0


def start(simulator: Simulator, folder: str, number: int, workspace: str, since: datetime) -> subprocess.Popen[bytes]:
    """A backfill of one workspace into a file and a dataset of its own; the workspace tells its requests apart."""
    prefix = "SOURCES__GONG__CREDENTIALS__"
    environment = {
        f"{prefix}ACCESS_KEY": "key",
        f"{prefix}ACCESS_KEY_SECRET": "secret",
        f"{prefix}BASE_URL": simulator.base_url,
        "SOURCES__GONG__REQUESTS_PER_SECOND": str(RATE),
        "DLT_DATA_DIR": f"{folder}/dlt",
    }
    names = ["--dataset", f"gong_{number}", "--pipeline-name", f"run_{number}", "--workspace-id", workspace]
    return subprocess.Popen(  # noqa: S603 - the command is ours
        [sys.executable, "-m", "gong_source.cli", "backfill", "--from", since.isoformat(), *names],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main() -> None:
    """Runs them and prints what each got while all were asking."""
    end = datetime.now(UTC).replace(microsecond=0)
    since = end - timedelta(days=365)
    tenant = Tenant.generate(40_000, start=since, end=end, seed=1, shape="business", workspaces=RUNS)
    tenant.warm()
    with Simulator(tenant, Settings(requests_per_second=RATE)) as simulator, tempfile.TemporaryDirectory() as folder:
        runs = [start(simulator, folder, n, name, since) for n, name in enumerate(tenant.workspace_ids)]
        while len({request.query["workspaceId"] for request in simulator.requests}) < RUNS:
            time.sleep(0.01)
        began = time.monotonic()
        time.sleep(SECONDS)
        assert all(run.poll() is None for run in runs), "a run ended early"
        requests = [*simulator.requests]
        for run in runs:
            run.kill()
            run.wait()
    arrivals = [request.at for request in requests]
    shares = Counter(request.query["workspaceId"] for request in requests[bisect_left(arrivals, began) :])
    fair = shares.total() / RUNS
    print(f"| run | requests in {SECONDS:g} s | of its fair share |\n|---|---|---|")
    for number, name in enumerate(tenant.workspace_ids, 1):
        print(f"| {number} | {shares[name]} | {shares[name] / fair:.0%} |")
    refused = sum(request.status == 429 for request in requests)
    print(f"\nAll together {shares.total()}; most in a second: {simulator.peak_rate(1.0)}; refused: {refused}.")


if __name__ == "__main__":
    main()
