"""Where the command `gong-source` starts: an interrupt ends in one line, also while Python still imports the rest."""

import sys
from typing import Any


class _NoPandas:
    """Makes pandas impossible to import in this process.

    DuckDB and Arrow import it, where it is installed, to look for its types among the values that they are given. No
    command uses it. It would take 0.2 seconds of processor time and 30 MB, more than a tenth of a short run.
    """

    @staticmethod
    def find_spec(name: str, *_more: Any) -> None:
        """Raises `ModuleNotFoundError` for pandas; everything else is left to the next finder."""
        if name == "pandas":
            raise ModuleNotFoundError("gong-source works without pandas", name=name)


def main() -> int:
    """Runs one command and returns its exit code."""
    sys.meta_path.insert(0, _NoPandas)
    try:
        from gong_source.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        print("gong-source: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
