"""`edgevision export`: a PyTorch checkpoint to ONNX with its spec (extra `export`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgevision.errors import MissingDependencyError

__all__ = ["add_parser", "run_export"]


def add_parser(commands: Any) -> None:
    """Add the command to an argparse subparsers object."""
    # Its arguments are the family's script's own: `main` hands them over unparsed, --help included.
    commands.add_parser(
        "export", help="export a PyTorch checkpoint (needs the extra `export`)", add_help=False
    )


def run_export(arguments: Sequence[str]) -> int:
    """The exit status of `edgevision export ARGUMENTS`. Raises MissingDependencyError without torch or onnx."""
    try:
        from edgevision.export.main import main
    except ImportError as error:
        if error.name is None or error.name.startswith("edgevision"):
            raise
        raise MissingDependencyError(error.name, "export", "edgevision export") from None
    return int(main(arguments))
