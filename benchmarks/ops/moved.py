"""What a resize must read and write of memory: what the limit of a row is made from."""

from __future__ import annotations

import numpy as np

from edgevision.geometry import Placement

__all__ = ["bytes_to_move", "rows_read"]


def rows_read(rows: int, resized: int) -> list[int]:
    """The rows that INTER_LINEAR reads of an image of `rows`, resized to `resized`: one or two for each of the result."""
    read = set()
    for row in range(resized):
        # The position (row + 0.5) * rows / resized - 0.5, in whole rows and what is left.
        first, fraction = divmod((2 * row + 1) * rows - resized, 2 * resized)
        read |= {first, first + 1} if fraction else {first}
    return sorted(row for row in read if 0 <= row < rows)


def bytes_to_move(placement: Placement, channels: int, out: np.ndarray, filter: str = "linear") -> int:
    """The image's bytes that the output depends on, and the output's.

    Rows of the image that INTER_LINEAR skips are not needed, nor is what is cropped away. Columns that it skips are:
    memory is read in lines of 64 bytes.
    """
    rows, columns = placement.image_hw
    if filter == "linear":
        return len(rows_read(rows, placement.resized_hw[0])) * columns * channels + out.nbytes
    shown = [
        min(resized, canvas) / resized
        for resized, canvas in zip(placement.resized_hw, placement.canvas_hw, strict=True)
    ]
    return int(rows * shown[0] * columns * shown[1] * channels) + out.nbytes
