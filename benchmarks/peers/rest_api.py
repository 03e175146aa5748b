"""dlt's generic REST source, declared as its documentation teaches.

With dlt's default settings; with `--tuned`, with the best that we know of. Into DuckDB, or `--destination NAME`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import dlt
from dlt.sources.rest_api import rest_api_source

from gong_source.simulator.call import API_FIELDS as FIELDS

TUNED = "--tuned" in sys.argv
TYPES = {"scheduled": "timestamp", "started": "timestamp", "duration": "bigint", "isPrivate": "bool"}
COLUMNS: dict[str, Any] = {
    **{name: {"data_type": kind} for name, kind in TYPES.items()},
    **{name: {"data_type": "text"} for name in FIELDS if name not in TYPES},
}


def main() -> None:
    """Loads `bench.calls` into result.duckdb, merged on `id`, incremental on `started`."""
    source = rest_api_source(
        {
            "client": {
                "base_url": os.environ["GONG_URL"] + "/v2/",
                "auth": {"type": "http_basic", "username": "key", "password": "secret"},
                "paginator": {"type": "cursor", "cursor_path": "records.cursor", "cursor_param": "cursor"},
            },
            "resource_defaults": {"primary_key": "id", "write_disposition": "merge"},
            "resources": [
                {
                    "name": "calls",
                    "endpoint": {
                        "path": "calls",
                        "data_selector": "calls",
                        "params": {
                            "fromDateTime": "{incremental.start_value}",
                            "toDateTime": "2026-01-01T00:00:00Z",
                        },
                        "incremental": {"cursor_path": "started", "initial_value": "2024-01-01T00:00:00Z"},
                    },
                }
            ],
        }
    )
    dlt.config["runtime.dlthub_telemetry"] = False
    if TUNED:
        dlt.config["data_writer.disable_compression"] = True
        source.max_table_nesting = 0
        source.calls.apply_hints(
            file_format="parquet",
            columns=COLUMNS,
            write_disposition={"disposition": "merge", "strategy": "upsert"},
        )
    # of another destination the environment tells where it is
    other = sys.argv[sys.argv.index("--destination") + 1] if "--destination" in sys.argv else "duckdb"
    destination = dlt.destinations.duckdb("result.duckdb") if other == "duckdb" else other
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench", pipelines_dir="dlt")
    pipeline.run(source)


if __name__ == "__main__":
    main()
