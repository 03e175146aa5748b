"""Where the command `gong-source` starts: an interrupt ends in one line, also while Python still imports the rest."""

import sys


def main() -> int:
    """Runs one command and returns its exit code."""
    try:
        from gong_source.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        print("gong-source: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
