"""Options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from edgevision.cli.progress import ShareProgress

__all__ = ["add_model_options", "fraction", "model_options", "parse_classes", "positive_int"]


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, got {text!r}")
    return value


def positive_int(text: str) -> int:
    """An integer of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, got {text!r}")
    return value


def parse_classes(text: str) -> list[int | str]:
    """Class names or ids out of "person,car,7"."""
    items = [item.strip() for item in text.split(",") if item.strip()]
    if not items:
        raise argparse.ArgumentTypeError("must be class names or ids, separated by commas")
    return [int(item) if item.isdecimal() else item for item in items]


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--device --backend --form --threads --precision --memory --build --spec."""
    group = parser.add_argument_group("model")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1 (default: auto)")
    group.add_argument(
        "--backend",
        help="onnxruntime, openvino, tensorrt or tensorrt-rtx (default: TensorRT where an engine fits the GPU, else the "
        "first installed)",
    )
    group.add_argument(
        "--form",
        metavar="F",
        help="of a bundle: fp32, fp16 or int8 (default: the fastest that runs well here)",
    )
    group.add_argument("--threads", type=positive_int, metavar="N", help="threads of the runtime")
    group.add_argument("--precision", help="OpenVINO only: float32 (default), bfloat16, float16 or auto")
    group.add_argument(
        "--memory", help="TensorRT only: how data reach the GPU: auto (default), mapped or staged"
    )
    group.add_argument(
        "--build",
        action="store_true",
        help="where no engine fits the GPU, build one first, kept in the user's cache folder",
    )
    group.add_argument("--spec", metavar="FILE", help="JSON spec of a model that does not carry one")


def model_options(options: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of `edgevision.load` from the options above."""
    names = ("device", "backend", "form", "spec")
    chosen: dict[str, Any] = {name: getattr(options, name) for name in names}
    for name in ("threads", "precision", "memory"):
        if getattr(options, name) is not None:
            chosen[name] = getattr(options, name)
    if options.build:
        chosen |= {"build": True, "progress": _show_build()}
    return chosen


def _show_build() -> Callable[[float, str], None]:
    """A ProgressFn that draws a line, and clears it at the end."""
    line = ShareProgress("building the engine")

    def update(share: float, note: str) -> None:
        line.update(share, note)
        if share >= 1.0:
            line.close()

    return update
