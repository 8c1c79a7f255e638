"""Export a YOLO: an Ultralytics checkpoint (v5u to 26, every task), a YOLOX, or the demo's own small one.

SOURCE is a checkpoint file or, with --random, the name of a network (yolo11n-seg, yolox-s). A checkpoint that
Ultralytics publishes (yolo11n.pt) is downloaded to where SOURCE says, where there is a network.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from edgevision.export.labels import read_labels
from edgevision.export.options import (
    ExportOptions,
    Progress,
    add_export_arguments,
    options_from_arguments,
    print_result,
    quiet,
    show_progress,
)
from edgevision.export.pipeline import ExportResult, export_network
from edgevision.export.yolo_reader import read_yolo

__all__ = ["add_arguments", "export_yolo", "read_yolo"]


def export_yolo(
    source: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    options: ExportOptions | None = None,
    progress: Progress = quiet,
    *,
    model: str | None = None,
    labels: Sequence[str] | None = None,
    keypoints: tuple[int, int] | None = None,
    size_hw: tuple[int, int] | None = None,
    end2end: bool = True,
    dynamic_batch: bool = False,
    random: bool = False,
    seed: int = 0,
    trust: bool = False,
) -> ExportResult:
    """Read a YOLO (see yolo_reader.read_yolo for its arguments) and export it (see pipeline.export_network).

    output: None writes a bundle beside the checkpoint, in a folder of its name; with `random`, in this folder.
    """
    network = read_yolo(
        source,
        model=model,
        labels=labels,
        keypoints=keypoints,
        size_hw=size_hw,
        end2end=end2end,
        dynamic_batch=dynamic_batch,
        random=random,
        seed=seed,
        trust=trust,
    )
    target = Path(source).with_suffix("") if output is None else Path(output)
    return export_network(network, target, options, progress)


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
    add_export_arguments(parser)
    parser.set_defaults(handler=_main)


def _keypoints(text: str) -> tuple[int, int]:
    number, _, values = text.lower().partition("x")
    if not number.isdecimal() or values not in ("2", "3") or int(number) < 1:
        raise argparse.ArgumentTypeError(f"must be NxD, D 2 or 3 values a keypoint, got {text!r}")
    return int(number), int(values)


def _main(arguments: argparse.Namespace) -> int:
    result = export_yolo(
        arguments.source,
        arguments.output,
        options_from_arguments(arguments),
        show_progress,
        model=arguments.model,
        labels=None if arguments.labels is None else read_labels(arguments.labels),
        keypoints=arguments.keypoints,
        size_hw=arguments.size,
        end2end=not arguments.one_to_many,
        dynamic_batch=arguments.dynamic_batch,
        random=arguments.random,
        trust=arguments.trust_checkpoint,
    )
    print_result(result)
    return 0
