"""`edgevision export`: a PyTorch checkpoint to ONNX with its spec (extra `export`)."""

from __future__ import annotations

import argparse
from typing import Any

from edgevision.errors import MissingDependencyError

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to an argparse subparsers object."""
    parser = commands.add_parser(
        "export",
        help="export a PyTorch checkpoint (needs the extra `export`)",
        description="Export a PyTorch checkpoint to ONNX with its spec, and compare both.",
        add_help=False,
    )
    parser.add_argument("family", metavar="FAMILY", nargs="?", help="yolo")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the family's script takes")
    parser.set_defaults(handler=_export)


def _export(options: argparse.Namespace) -> int:
    try:
        from edgevision.export.main import main
    except ImportError as error:
        if error.name is None or error.name.startswith("edgevision"):
            raise
        raise MissingDependencyError(error.name, "export", "edgevision export") from None
    family = [options.family] if options.family else []
    return int(main([*family, *options.arguments]))
