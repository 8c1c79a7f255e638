"""What an export can be told, as a library and on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgevision.export.network import PRECISIONS
from edgevision.export.onnx_graph import DEFAULT_OPSET

if TYPE_CHECKING:
    from edgevision.export.pipeline import ExportResult

__all__ = [
    "ExportOptions",
    "Progress",
    "add_export_arguments",
    "add_output_arguments",
    "export_from_arguments",
    "options_from_arguments",
    "parse_size",
    "print_result",
    "quiet",
    "show_progress",
]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how many of it are done, and how many there are."""


def quiet(step: str, done: int, total: int) -> None:
    """The Progress that tells nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExportOptions:
    """How a network is exported.

    precisions:  one or more of "fp32", "fp16", "int8".
    opset:       of the ONNX files.
    images:      the user's pictures: a folder, or a list of paths or arrays uint8 (H, W, 3) BGR. Some become the golden
        frames, the others calibrate int8. Empty: golden frames are rendered.
    calibration: pictures for int8 alone, likewise; empty: those of `images`.
    half_io:     fp16 forms take and give float16 tensors.
    float_islands: fp16 forms compute normalisation and softmax in float32 from the start, not only where parity asks
        for it.
    int8_exclude: names of graph nodes that int8 leaves in float, beside those that it finds by itself.
    reduce_range: int8 weights of 7 bits, for x86 processors without VNNI, whose 8-bit sums can overflow.
    """

    precisions: tuple[str, ...] = ("fp32",)
    opset: int = DEFAULT_OPSET
    images: str | PathLike[str] | Sequence[Any] = ()
    calibration: str | PathLike[str] | Sequence[Any] = ()
    half_io: bool = False
    float_islands: bool = False
    int8_exclude: tuple[str, ...] = ()
    reduce_range: bool = False


def add_export_arguments(parser: argparse.ArgumentParser, *, size: bool = True) -> None:
    """The options that every family shares: those of add_output_arguments, --opset --half-io --dynamic-batch, --size
    unless `size` is False, --random, --trust-checkpoint."""
    add_output_arguments(parser, ["fp32"])
    parser.add_argument(
        "--opset", type=int, default=DEFAULT_OPSET, metavar="N", help=f"default: {DEFAULT_OPSET}"
    )
    parser.add_argument("--half-io", action="store_true", help="fp16 takes and gives float16 tensors")
    parser.add_argument("--dynamic-batch", action="store_true", help="let a run take any number of images")
    if size:
        parser.add_argument(
            "--size",
            type=parse_size,
            metavar="HxW",
            help="the network's input, e.g. 640 or 384x640 (default: as trained)",
        )
    parser.add_argument(
        "--random", action="store_true", help="random weights: for latency work, results mean nothing"
    )
    parser.add_argument(
        "--trust-checkpoint", action="store_true", help="unpickle whatever the file holds: it can run code"
    )


def add_output_arguments(
    parser: argparse.ArgumentParser, default: Sequence[str], choices: Sequence[str] = PRECISIONS
) -> None:
    """--output --precision --images --reduce-range; `default` and `choices` are of --precision."""
    parser.add_argument(
        "--output",
        metavar="PATH",
        type=Path,
        help="NAME.onnx writes one file; any other name a bundle folder (default: named after the model)",
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=tuple(choices),
        default=list(default),
        metavar="P",
        help=f"one or more of {', '.join(choices)} (default: {' '.join(default)})",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="pictures like those of the deployment: some to compare with PyTorch on, the others to calibrate int8",
    )
    parser.add_argument(
        "--reduce-range",
        action="store_true",
        help="int8 weights of 7 bits: for x86 processors without VNNI",
    )


def options_from_arguments(arguments: argparse.Namespace) -> ExportOptions:
    """The options that the arguments above spell."""
    return ExportOptions(
        precisions=tuple(arguments.precision),
        opset=getattr(arguments, "opset", DEFAULT_OPSET),
        images=arguments.images or (),
        half_io=getattr(arguments, "half_io", False),
        reduce_range=arguments.reduce_range,
    )


def print_result(result: ExportResult) -> None:
    """What was written and how far each of its tensors lies from PyTorch, on stdout."""
    for row in result.parity:
        kept = "  (outside its limits there: not for that runtime)" if row.failures else ""
        for tensor in row.tensors:
            print(f"parity   {row.file}  {tensor}, {row.runtime}{kept}")
        for figure in row.results:
            print(f"parity   {row.file}  {figure}, {row.runtime}")
    for form in result.report["forms"]:
        for note in form["notes"]:
            print(f"note     {form['file']}: {note}")
    if result.path.is_dir():
        sizes = [path.stat().st_size for path in result.path.rglob("*") if path.is_file()]
        size = f"{len(sizes)} files, {sum(sizes):,} bytes"
    else:
        size = f"{result.path.stat().st_size:,} bytes"
    print(f"wrote    {result.path}  ({size}, task {result.spec.task})")


def export_from_arguments(
    export: Callable[..., ExportResult], arguments: argparse.Namespace, **reading: Any
) -> int:
    """The exit status of a family's command: its `export` of SOURCE, with progress, and what was written on stdout."""
    options = options_from_arguments(arguments)
    print_result(
        export(arguments.source, arguments.output, options=options, progress=show_progress, **reading)
    )
    return 0


def show_progress(step: str, done: int, total: int) -> None:
    """A line on stderr that says what is being done; nothing where stderr is no terminal."""
    if sys.stderr.isatty():
        share = f" {done}/{total}" if total > 1 else ""
        sys.stderr.write(f"\r{step}{share}\033[K" + ("\n" if done >= total else ""))
        sys.stderr.flush()


def parse_size(text: str) -> tuple[int, int]:
    """(H, W) out of "640" or "384x640"; the type of an argparse option."""
    parts = text.lower().split("x")
    try:
        sides = [int(part) for part in parts]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or any(side < 1 for side in sides):
        raise argparse.ArgumentTypeError(f"must be a side or HxW in pixels, got {text!r}")
    return sides[0], sides[-1]
