"""Export a U-Net: any network of segmentation-models-pytorch, the classic one of 2015, or a module of your own.

SOURCE is a folder that save_pretrained wrote, a checkpoint, or with --random an architecture's name (Unet,
UnetPlusPlus, FPN, classic, ...). None of these sources resizes pictures: they are stretched to --size (512 unless
given), or letterboxed with --resize letterbox. --module imports and runs your own code.
"""

from __future__ import annotations

import argparse
import json
from os import PathLike
from pathlib import Path
from typing import Any

from edgevision.export.classifier_arguments import default_output
from edgevision.export.labels import read_labels
from edgevision.export.options import (
    ExportOptions,
    Progress,
    add_export_arguments,
    export_from_arguments,
    quiet,
)
from edgevision.export.pipeline import ExportResult, export_network
from edgevision.export.semantic_network import RESIZES
from edgevision.export.unet_reader import read_unet

__all__ = ["add_arguments", "export_unet", "read_unet"]


def export_unet(
    source: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    *,
    options: ExportOptions | None = None,
    progress: Progress = quiet,
    **reading: Any,
) -> ExportResult:
    """The files of a segmentation network, written once they agree with PyTorch.

    output: a bundle's folder, or NAME.onnx; None: a folder here, named after the source. reading: arguments of
    `read_unet`. Raises as that and pipeline.export_network do.
    """
    network = read_unet(source, **reading)
    return export_network(network, output or default_output(source), options, progress)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this family's arguments to an argparse parser."""
    parser.add_argument(
        "source", metavar="SOURCE", help="a folder, a checkpoint, or with --random an architecture's name"
    )
    parser.add_argument(
        "--architecture", metavar="NAME", help="of a state_dict: Unet, UnetPlusPlus, FPN, ... or classic"
    )
    parser.add_argument(
        "--encoder", metavar="NAME", help="of that architecture: resnet18, tu-convnext_tiny, ..."
    )
    parser.add_argument(
        "--module", metavar="PACKAGE.MODULE:FACTORY", help="the function that builds your network; it is run"
    )
    parser.add_argument(
        "--build",
        metavar="JSON",
        type=_json_object,
        help="""keyword arguments of the constructor: '{"decoder_attention_type": "scse"}'""",
    )
    parser.add_argument("--labels", metavar="FILE", type=Path, help="class names, one a line")
    parser.add_argument(
        "--classes", metavar="N", type=int, help="with --random and no labels: how many classes"
    )
    parser.add_argument(
        "--mean", metavar="M", type=float, nargs=3, help="of pixels 0-1, RGB (default: the encoder's own)"
    )
    parser.add_argument("--std", metavar="S", type=float, nargs=3, help="likewise")
    parser.add_argument(
        "--resize", choices=RESIZES, default="stretch", help="how a frame becomes --size (default: stretch)"
    )
    parser.add_argument(
        "--dynamic-size",
        action="store_true",
        help="with letterbox: leave out the rows or columns it does not use",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="with --random (default: 0)")
    add_export_arguments(parser)
    parser.set_defaults(handler=_main)


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a JSON object: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"must be a JSON object, got {text!r}")
    return value


def _main(arguments: argparse.Namespace) -> int:
    return export_from_arguments(
        export_unet,
        arguments,
        architecture=arguments.architecture,
        encoder=arguments.encoder,
        module=arguments.module,
        build=arguments.build,
        labels=None if arguments.labels is None else read_labels(arguments.labels),
        classes=arguments.classes,
        mean=arguments.mean,
        std=arguments.std,
        size_hw=arguments.size,
        resize=arguments.resize,
        dynamic_batch=arguments.dynamic_batch,
        dynamic_size=arguments.dynamic_size,
        random=arguments.random,
        seed=arguments.seed,
        trust=arguments.trust_checkpoint,
    )
