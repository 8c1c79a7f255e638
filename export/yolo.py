"""Export a YOLO: an Ultralytics checkpoint (v5u to 26, every task), a YOLOX, or the demo's own small one.

SOURCE is a checkpoint file or, with --random, the name of a network (yolo11n-seg, yolox-s). A checkpoint that
Ultralytics publishes (yolo11n.pt) is downloaded to where SOURCE says, where there is a network.
"""

from __future__ import annotations

import argparse
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
from edgevision.export.yolo_reader import read_yolo

__all__ = ["add_arguments", "export_yolo", "read_yolo"]


def export_yolo(
    source: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    *,
    options: ExportOptions | None = None,
    progress: Progress = quiet,
    **reading: Any,
) -> ExportResult:
    """The files of a YOLO, written once they agree with PyTorch.

    output: a bundle's folder, or NAME.onnx; None: a folder here, named after the source. reading: arguments of
    `read_yolo`. Raises as that and pipeline.export_network do.
    """
    network = read_yolo(source, **reading)
    return export_network(network, output or default_output(source), options, progress)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this family's arguments to an argparse parser."""
    parser.add_argument("source", metavar="SOURCE", help="a checkpoint, or with --random a network's name")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="Ultralytics' name of the network that a state_dict is of: yolo11n-seg",
    )
    parser.add_argument(
        "--labels", metavar="FILE", type=Path, help="class names, one a line, for weights that come without"
    )
    parser.add_argument(
        "--keypoints",
        metavar="NxD",
        type=_keypoints,
        help="keypoints and values of each (17x3) of a -pose network built by name",
    )
    parser.add_argument("--one-to-many", action="store_true", help="YOLOv10, YOLO26: the head that needs NMS")
    parser.add_argument(
        "--dynamic-size",
        action="store_true",
        help="let a frame of another shape take a smaller input, not padding",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="with --random (default: 0)")
    add_export_arguments(parser)
    parser.set_defaults(handler=_main)


def _keypoints(text: str) -> tuple[int, int]:
    number, _, values = text.lower().partition("x")
    if not number.isdecimal() or values not in ("2", "3") or int(number) < 1:
        raise argparse.ArgumentTypeError(f"must be NxD, D 2 or 3 values a keypoint, got {text!r}")
    return int(number), int(values)


def _main(arguments: argparse.Namespace) -> int:
    return export_from_arguments(
        export_yolo,
        arguments,
        model=arguments.model,
        labels=None if arguments.labels is None else read_labels(arguments.labels),
        keypoints=arguments.keypoints,
        size_hw=arguments.size,
        end2end=not arguments.one_to_many,
        dynamic_batch=arguments.dynamic_batch,
        dynamic_size=arguments.dynamic_size,
        random=arguments.random,
        seed=arguments.seed,
        trust=arguments.trust_checkpoint,
    )
