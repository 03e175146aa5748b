"""`python -m gong_source.cli` is the command `gong-source`."""

import sys

from gong_source.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
