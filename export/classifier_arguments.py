"""The command line that resnet.py and vit.py share."""

from __future__ import annotations

import argparse
from os import PathLike
from pathlib import Path
from typing import Any

from edgevision.export.labels import read_labels
from edgevision.export.request import FILE_SUFFIXES, LIBRARIES, Labels
from edgevision.spec.bundle import is_bundle

__all__ = ["add_source_arguments", "default_output", "reading_from_arguments"]


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """SOURCE --model --library --labels --no-labels --default-labels --classes --seed."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a name (resnet50, vit_small_patch16_224.augreg_in1k, google/vit-base-patch16-224), a file of weights "
        "(.pt, .pth, .safetensors) with --model, or a folder that transformers or timm wrote",
    )
    parser.add_argument("--model", metavar="NAME", help="the architecture of a file of weights")
    parser.add_argument(
        "--library", choices=LIBRARIES, help="whose name it is (default: the first that knows it)"
    )
    names = parser.add_mutually_exclusive_group()
    names.add_argument("--labels", metavar="FILE", type=Path, help="class names, one a line or JSON")
    names.add_argument("--no-labels", action="store_true", help="do without class names")
    names.add_argument(
        "--default-labels",
        action="store_true",
        help="the class names of the architecture's published weights",
    )
    parser.add_argument("--classes", type=int, metavar="N", help="with --random: how many classes")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="with --random (default: 0)")


def reading_from_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of `read_resnet` and `read_vit` from the arguments above and those of every export."""
    labels: Labels = "default" if arguments.default_labels else None
    if arguments.labels is not None:
        labels = read_labels(arguments.labels)
    return {
        "model": arguments.model,
        "library": arguments.library,
        "labels": () if arguments.no_labels else labels,
        "classes": arguments.classes,
        "size_hw": arguments.size,
        "dynamic_batch": arguments.dynamic_batch,
        "random": arguments.random,
        "seed": arguments.seed,
        "trust": arguments.trust_checkpoint,
    }


def default_output(source: str | PathLike[str]) -> Path:
    """The folder that an export goes to when none is named: the last part of the source's name, here.

    What lies there already is replaced only when it is a bundle.
    """
    path = Path(source)
    name = path.stem if path.suffix in FILE_SUFFIXES else path.name.replace(".", "_")
    taken = Path(name).exists() and not is_bundle(name)
    return Path(f"{name}_bundle" if taken else name)
