"""What a scheduler runs to load a past range: `python pipelines/backfill.py 2023-01-01 2026-01-01`.

Run it again after exit code 4 (the day's quota is used up): it continues where it stopped.
"""

from __future__ import annotations

import sys

from gong_source import ConfigurationError, Control, GongError, Target, backfill
from gong_source.dates import parse

EXIT_CODES = {"done": 0, "failed": 1, "incomplete": 3, "paused": 4}


def main(first: str, last: str) -> int:
    """Loads `[first, last)` (UTC) into DuckDB and says what was done."""
    try:
        result = backfill(
            parse(first), parse(last), Target(destination="duckdb", dataset="gong"), control=Control(on_note=print)
        )
    except GongError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1
    print(f"{result.calls_received} calls received in {result.windows} windows, {result.requests} requests")
    if result.message:
        print(result.message, file=sys.stderr)
    return EXIT_CODES[result.status]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
