"""What a scheduler runs: loads everything that is missing, and the last days again.

Configure it by environment (SOURCES__GONG__...) or .dlt/*.toml. The exit code is that of `gong-source sync`, but 0 if
another run is still loading.
"""

from __future__ import annotations

import sys

from gong_source import ConfigurationError, Control, DatasetLocked, GongError, Target, sync

EXIT_CODES = {"done": 0, "failed": 1, "incomplete": 3, "paused": 4}


def main() -> int:
    """Syncs into DuckDB and says what was done."""
    try:
        result = sync(Target(destination="duckdb", dataset="gong"), control=Control(on_note=print))
    except DatasetLocked as busy:
        print(busy, file=sys.stderr)
        return 0
    except GongError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1
    for name, loaded in result.resources.items():
        print(f"{name}: {loaded.received} received, {loaded.changed} new or changed")
    if result.message:
        print(result.message, file=sys.stderr)
    return EXIT_CODES[result.status]


if __name__ == "__main__":
    sys.exit(main())
