"""Prompts on the command line: what a promptable model is asked of every frame."""

from __future__ import annotations

import argparse
from typing import Any

import edgevision as ev
from edgevision.errors import InputError
from edgevision.stream.prompted import PromptedModel

__all__ = ["add_prompt_options", "prompt_model"]


def add_prompt_options(parser: argparse.ArgumentParser) -> None:
    """--point --box --single."""
    group = parser.add_argument_group("prompt, of a promptable model (Segment Anything)")
    group.add_argument(
        "--point",
        type=_point,
        action="append",
        metavar="X,Y[,0|1]",
        help="pixels; 1: of the object (default), 0: not of it; may be given several times",
    )
    group.add_argument("--box", type=_box, metavar="X1,Y1,X2,Y2", help="pixels, around the object")
    group.add_argument("--single", action="store_true", help="one mask instead of every candidate")


def prompt_model(model: Any, options: argparse.Namespace) -> ev.Model | PromptedModel:
    """What is called on each frame: the model itself, or a promptable one with the prompt of the options above.

    Raises InputError when a promptable model has no prompt, or another model has one.
    """
    prompted = bool(options.point or options.box or options.single)
    if not isinstance(model, ev.PromptableModel):
        if prompted:
            raise InputError(f"task {model.task!r} takes no prompt; leave out --point, --box and --single")
        return model  # type: ignore[no-any-return]
    if not options.point and not options.box:
        raise InputError("a promptable model needs a prompt: --point X,Y or --box X1,Y1,X2,Y2, in pixels")
    prompt: dict[str, Any] = {"multimask": not options.single}
    if options.point:
        prompt["points"] = [point[:2] for point in options.point]
        prompt["labels"] = [point[2] for point in options.point]
    if options.box:
        prompt["box"] = options.box
    return PromptedModel(model, prompt)


def _point(text: str) -> tuple[float, float, int]:
    parts = text.split(",")
    label = {"0": 0, "1": 1}.get(parts[2].strip()) if len(parts) == 3 else 1
    if len(parts) not in (2, 3) or label is None:
        raise argparse.ArgumentTypeError(f"must be X,Y or X,Y,0 or X,Y,1 in pixels, got {text!r}")
    x, y = _numbers(parts[:2], text, "X,Y in pixels")
    return x, y, label


def _box(text: str) -> list[float]:
    parts = text.split(",")
    if len(parts) != 4:
        raise argparse.ArgumentTypeError(f"must be X1,Y1,X2,Y2 in pixels, got {text!r}")
    return _numbers(parts, text, "X1,Y1,X2,Y2 in pixels")


def _numbers(parts: list[str], text: str, wanted: str) -> list[float]:
    try:
        return [float(part) for part in parts]
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {wanted}, got {text!r}") from None
