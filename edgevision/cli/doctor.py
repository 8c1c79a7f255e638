"""`edgevision doctor`: what this machine can run."""

from __future__ import annotations

import argparse
import json
from typing import Any

from edgevision.doctor import examine

__all__ = ["add_parser"]

_MARKS = {"ok": "ok", "missing": "--", "problem": "!!"}


def add_parser(commands: Any) -> None:
    """Add the command to an argparse subparsers object."""
    parser = commands.add_parser(
        "doctor",
        help="what this machine can run, why not the rest, and the command that mends it",
        description="What this machine can run, why not the rest, and the exact command that mends it. "
        "Exits with 1 when something is broken; what is merely not installed is no fault.",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(handler=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    checks = examine()
    if options.json:
        print(json.dumps([check.to_dict() for check in checks], indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            print(f"{_MARKS[check.status]}  {check.name:<{width}}  {check.detail}")
            if check.mend and check.status != "ok":
                print(f"    {'':<{width}}  -> {check.mend}")
    return 1 if any(check.status == "problem" for check in checks) else 0
