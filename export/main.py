"""`edgevision export FAMILY ...`: one script a family."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from edgevision.export import onnx_file, resnet, sam, unet, vit, yolo

__all__ = ["main"]

_FAMILIES = {"onnx": onnx_file, "resnet": resnet, "sam": sam, "unet": unet, "vit": vit, "yolo": yolo}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 done. Errors are raised."""
    parser = argparse.ArgumentParser(
        prog="edgevision export",
        description="Export a PyTorch checkpoint to ONNX with its spec inside, and compare both.",
        allow_abbrev=False,
    )
    families = parser.add_subparsers(dest="family", metavar="FAMILY", required=True)
    for name, family in _FAMILIES.items():
        family.add_arguments(
            families.add_parser(name, help=family.__doc__.splitlines()[0], description=family.__doc__)
        )
    options = parser.parse_args(arguments)
    return int(options.handler(options))
