"""No slower at any size: images from 64x64 to 8K, ours beside the fastest of the others, a chart of both.

    python benchmarks/ops/sweep.py [--only NAME ...] [--seconds S] [--largest MEGAPIXELS] [--json FILE] [--chart FILE]
                                   [--redraw]

A step in our lines is a cliff: a size that falls off the fast path. The sizes at which ours is slower are printed, and
then the exit status is 1. Without --only, --json and --chart the figures go to benchmarks/ops/sweep.json and the chart
to docs/ops_sweep.svg.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from case import Case, Contender, Row
from chart import draw_sweep
from harness import run_row
from image_peers import cv2_blob, cv2_letterbox, numpy_tensor
from inputs import photograph
from machine import describe_machine, measure_bandwidth, select_isa, set_threads
from PIL import Image
from report import write_json
from tolerance import SAME_PIXELS, SCALED_PIXELS, apart

from edgevision.geometry import Placement, place_image
from edgevision.ops.image import PixelMap, image_to_tensor

__all__ = ["CHART", "FIGURES", "LINES", "SIZES", "find_slower", "run_line"]

HERE = Path(__file__).parent
FIGURES = HERE / "sweep.json"
CHART = HERE.parents[1] / "docs" / "ops_sweep.svg"

SIZES = (
    *(("square", side, side) for side in (64, 96, 128, 192, 256, 384, 512, 640, 768, 1024, 1536, 2048, 4096)),
    *(("16:9", height, height * 16 // 9) for height in (72, 144, 216, 288, 360, 480, 540, 720)),
    *(("16:9", height, height * 16 // 9) for height in (900, 1080, 1440, 2160, 4320)),
    # Whatever a crop, a screen or a scanner gives: sides that no vector divides.
    *(("odd", *size) for size in ((67, 65), (97, 131), (251, 253), (479, 641), (641, 639), (719, 1279))),
    *(("odd", *size) for size in ((767, 1367), (1079, 1919), (1201, 1601), (2161, 3841))),
)
"""(shape, height, width) of the images."""

SLOWER = 1.05
"""Ours counts as slower where it takes so many times as long: medians of the same code differ by less."""

ONE_OFF = apart(1.0, "Pillow 13 resizes the height first where it finds that cheaper: 1 of 255")


@dataclass(frozen=True)
class Line:
    """A kind of resize. make: its Case for an image; largest: megapixels of image or result that it goes to."""

    name: str
    what: str
    make: Callable[[np.ndarray], tuple[Case, Placement]]
    largest: float = 40.0


def _case(
    ours: Callable[[], np.ndarray], others: Sequence[Contender], image: np.ndarray, out: np.ndarray
) -> Case:
    return Case(ours, tuple(others), image.nbytes + out.nbytes)


def letterbox(image: np.ndarray) -> tuple[Case, Placement]:
    """Into 640x640, float32 NCHW RGB, INTER_LINEAR."""
    placement = place_image(image.shape[:2], (640, 640))
    out, pixels = np.empty((3, 640, 640), np.float32), cv2_letterbox(image, placement)
    others = [
        Contender("cv2 + NumPy", numpy_tensor(pixels), SCALED_PIXELS),
        Contender("cv2 + blobFromImage", cv2_blob(pixels), SCALED_PIXELS),
    ]
    return _case(lambda: image_to_tensor(image, placement, out), others, image, out), placement


def interleaved(factor: int, filter: str, code: int) -> Callable[[np.ndarray], tuple[Case, Placement]]:
    """To uint8 pixels of a multiple of the image's size, BGR to RGB."""
    options = PixelMap(filter=filter, scale=1.0, layout="nhwc")

    def make(image: np.ndarray) -> tuple[Case, Placement]:
        height, width = (side * factor for side in image.shape[:2])
        placement = place_image(image.shape[:2], (height, width), mode="stretch")
        out = np.empty((height, width, 3), np.uint8)
        resized, rgb = np.empty_like(out), np.empty_like(out)

        def call() -> np.ndarray:
            pixels = cv2.resize(image, (width, height), resized, interpolation=code) if factor > 1 else image
            return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, rgb)

        others = [Contender("cv2", call, SAME_PIXELS)]
        return _case(
            lambda: image_to_tensor(image, placement, out, pixels=options), others, image, out
        ), placement

    return make


def to_square(filter: str) -> Callable[[np.ndarray], tuple[Case, Placement]]:
    """Stretched to 640x640, uint8 NHWC RGB; cv2's INTER_NEAREST, or Pillow's antialiased filters."""
    options = PixelMap(filter=filter, scale=1.0, layout="nhwc")

    def make(image: np.ndarray) -> tuple[Case, Placement]:
        placement = place_image(image.shape[:2], (640, 640), mode="stretch")
        out = np.empty((640, 640, 3), np.uint8)
        resized, rgb = np.empty_like(out), np.empty_like(out)

        def with_cv2() -> np.ndarray:
            cv2.resize(image, (640, 640), resized, interpolation=cv2.INTER_NEAREST)
            return cv2.cvtColor(resized, cv2.COLOR_BGR2RGB, rgb)

        def with_pillow() -> np.ndarray:
            small = Image.fromarray(image).resize((640, 640), Image.Resampling[filter.split("_")[0].upper()])
            return cv2.cvtColor(np.asarray(small), cv2.COLOR_BGR2RGB, rgb)

        peer = (
            Contender("cv2", with_cv2, SAME_PIXELS)
            if filter == "nearest"
            else Contender("Pillow", with_pillow, ONE_OFF)
        )
        return _case(
            lambda: image_to_tensor(image, placement, out, pixels=options), [peer], image, out
        ), placement

    return make


LINES = (
    Line("letterbox", "letterbox to 640x640, linear, float32 NCHW; cv2", letterbox),
    Line("nearest", "stretch to 640x640, nearest, uint8 NHWC; cv2", to_square("nearest")),
    # Nothing is resized: reading, reordering and writing.
    Line("same", "the same size, uint8 NHWC; cv2", interleaved(1, "linear", cv2.INTER_LINEAR)),
    Line("twice", "twice the size, linear, uint8 NHWC; cv2", interleaved(2, "linear", cv2.INTER_LINEAR)),
    Line("twice_nearest", "twice, nearest, uint8 NHWC; cv2", interleaved(2, "nearest", cv2.INTER_NEAREST)),
    Line("antialias", "stretch to 640x640, antialiased, uint8 NHWC; Pillow", to_square("bilinear_antialias")),
)


def run_line(
    line: Line, sizes: Sequence[tuple[str, int, int]], seconds: float, copy_gb_s: float, rounds: int = 11
) -> dict[str, Any]:
    """The line's entry in the JSON: a point a size, largest last."""
    points = []
    for shape, height, width in sorted(sizes, key=lambda size: size[1] * size[2]):
        case, placement = line.make(photograph(height, width))
        pixels = max(height * width, placement.canvas_hw[0] * placement.canvas_hw[1])
        if pixels > line.largest * 1e6:
            continue
        row = Row(f"{line.name} {height}x{width}", line.what, None, lambda small, case=case: case)
        entry = run_row(row, seconds, copy_gb_s, rounds=rounds)
        peer_us = entry["ours"]["p50_us"] * entry["ratio"]
        points.append(
            {
                "shape": shape,
                "height": height,
                "width": width,
                "pixels": pixels,
                "ours_us": entry["ours"]["p50_us"],
                "peer_us": peer_us,
                "peer": entry["fastest"],
                "ratio": entry["ratio"],
                "n": entry["ours"]["n"],
            }
        )
    return {"name": line.name, "what": line.what, "points": points}


def find_slower(lines: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence for each size at which ours takes longer than the fastest peer."""
    return [
        f"{line['name']} {point['width']}x{point['height']}: {point['ours_us']:.1f} us, {point['peer']} "
        f"{point['peer_us']:.1f} us"
        for line in lines
        for point in line["points"]
        if point["ratio"] * SLOWER < 1
    ]


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=[line.name for line in LINES], help="these lines alone")
    parser.add_argument(
        "--seconds", type=float, default=0.3, help="to time a size for (default: %(default)s)"
    )
    parser.add_argument("--largest", type=float, default=40.0, help="leave larger images out, megapixels")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--chart", type=Path, help="file for the chart (SVG)")
    parser.add_argument("--redraw", action="store_true", help="measure nothing: the chart anew")
    return parser.parse_args()


def main() -> int:
    """0 where ours is nowhere slower, else 1."""
    options = parse_arguments()
    figures = options.json or (None if options.only else FIGURES)
    chart = options.chart or (None if options.only else CHART)
    if options.redraw:
        found = json.loads((figures or FIGURES).read_text(encoding="ascii"))
    else:
        set_threads(1)
        bandwidth = measure_bandwidth()
        sizes = [size for size in SIZES if size[1] * size[2] <= options.largest * 1e6]
        lines = []
        for line in LINES:
            if options.only is None or line.name in options.only:
                lines.append(run_line(line, sizes, options.seconds, bandwidth["copy"]))
                _print_line(lines[-1])
        found = {
            "benchmark": "ops_sweep",
            "machine": describe_machine(),
            "isa": select_isa(None),
            "bandwidth_gb_s": bandwidth,
            "lines": lines,
        }
        if figures:
            write_json(figures, found)
    if chart:
        draw_sweep(found["lines"], chart)
    slower = find_slower(found["lines"])
    print("\nslower than the fastest peer:" if slower else "\nnowhere slower than the fastest peer")
    print("\n".join(slower))
    return 1 if slower else 0


def _print_line(line: dict[str, Any]) -> None:
    print(f"\n{line['what']}\n{'size':>12} {'ours us':>10} {'peer us':>10} {'ratio':>6}  peer")
    for point in line["points"]:
        size = f"{point['width']}x{point['height']}"
        times = f"{point['ours_us']:>10.1f} {point['peer_us']:>10.1f} {point['ratio']:>6.2f}"
        print(f"{size:>12} {times}  {point['peer']}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
