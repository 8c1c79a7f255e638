"""What a line of the sweep is, one kind of work at many sizes, and where it is slower."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from case import Case

__all__ = ["FEW_SIZES", "SIZES", "TIE", "Line", "Size", "find_slower", "is_slower"]

TIE = 0.02
"""Of lines that move bytes and compute nothing: how much slower ours may be and be called as fast."""


class Size(NamedTuple):
    """Of an image. shape: the kind of size, a curve of its own in the chart."""

    shape: str
    height: int
    width: int


SIZES = (
    *(Size("square", side, side) for side in (64, 96, 128, 256, 384, 512, 640, 1024, 2048)),
    *(Size("16:9", height, height * 16 // 9) for height in (180, 360, 540, 720, 1080, 1440, 2160, 4320)),
    # Whatever a crop, a screen or a scanner gives: sides that no vector divides.
    *(Size("odd", *size) for size in ((65, 63), (61, 97), (251, 253), (479, 641), (767, 1366), (1079, 1919))),
    Size("odd", 2161, 3841),
    # Ends of rows, and rows themselves, cost most where there is little else.
    *(Size("strip", *size) for size in ((24, 1500), (1500, 24), (1920, 1080), (16, 8000))),
)

FEW_SIZES = tuple(
    size
    for size in SIZES
    if size[1:]
    in {
        *((64, 64), (128, 128), (256, 256), (640, 640), (2048, 2048), (360, 640), (720, 1280), (1080, 1920)),
        *((2160, 3840), (65, 63), (61, 97), (479, 641), (767, 1366), (1500, 24)),
    }
)


@dataclass(frozen=True)
class Line:
    """A kind of work.

    make: its Case for an image, or a result, of height and width. pixels: of image or result, whichever has more.
    largest: pixels that it goes to. copies: bytes are moved and nothing else.
    """

    name: str
    what: str
    make: Callable[[int, int], Case]
    pixels: Callable[[int, int], int] = lambda height, width: height * width
    sizes: Sequence[Size] = SIZES
    largest: int = 40_000_000
    copies: bool = False

    def kept_sizes(self) -> list[Size]:
        """The sizes that it goes to, smallest first."""
        kept = [size for size in self.sizes if self.pixels(*size[1:]) <= self.largest]
        return sorted(kept, key=lambda size: (size.height * size.width, size.width))


def is_slower(line: dict[str, Any], point: dict[str, Any]) -> bool:
    """Whether a point of a line in the JSON counts as slower than the peer's."""
    return bool(point["ratio"] < 1 - (TIE if line["copies"] else 0.0))


def find_slower(lines: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence for each size at which ours takes longer than the fastest peer."""
    return [
        f"{line['name']} {point['width']}x{point['height']}: {point['ours_us']:.1f} us, {point['peer']} "
        f"{point['peer_us']:.1f} us ({point['ratio']:.2f})"
        for line in lines
        for point in line["points"]
        if is_slower(line, point)
    ]
