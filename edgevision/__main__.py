"""`python -m edgevision`: the same as the command `edgevision`."""

from __future__ import annotations

import sys

from edgevision.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
