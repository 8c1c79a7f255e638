"""The sweep over image sizes: every line computes what the others do, whatever the size; slower sizes are found."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

for library in ("cv2", "torch", "torchvision", "PIL", "skimage", "sklearn"):
    pytest.importorskip(library, reason=f"{library} is not installed")

sweep = importlib.import_module("sweep")
check = importlib.import_module("harness").check
photograph = importlib.import_module("inputs").photograph

SIZES = [
    # height, width
    pytest.param(64, 64, id="smallest"),
    pytest.param(67, 65, id="odd"),
    pytest.param(144, 256, id="16:9"),
    pytest.param(1, 300, id="a-row"),
]


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("line", sweep.LINES, ids=[line.name for line in sweep.LINES])
def test_every_line_is_checked_at_every_size(line: Any, height: int, width: int) -> None:
    case, placement = line.make(photograph(height, width))
    check(case)
    assert placement.image_hw == (height, width)


def test_sizes_reach_from_64_to_8k_and_none_is_twice_there() -> None:
    assert ("square", 64, 64) in sweep.SIZES
    assert ("16:9", 4320, 7680) in sweep.SIZES
    assert len(set(sweep.SIZES)) == len(sweep.SIZES)
    assert all(width % 8 and height % 8 for shape, height, width in sweep.SIZES if shape == "odd")


def test_a_line_has_a_point_a_size_but_for_those_too_large() -> None:
    line = next(line for line in sweep.LINES if line.name == "twice")
    small = sweep.Line(line.name, line.what, line.make, largest=0.1)
    sizes = [("16:9", 72, 128), ("square", 64, 64), ("square", 4096, 4096)]
    entry = sweep.run_line(small, sizes, 0.0, 10.0, rounds=2)
    assert [(point["height"], point["width"]) for point in entry["points"]] == [(64, 64), (72, 128)]
    first = entry["points"][0]
    # Twice the sides: the result has more pixels than the image.
    assert first["pixels"] == 128 * 128
    assert first["peer"] == "cv2"
    assert first["ratio"] == pytest.approx(first["peer_us"] / first["ours_us"])
    assert first["n"] >= 2


def test_photographs_have_the_size_asked_for_and_are_no_flat_color() -> None:
    for height, width in ((1, 1), (65, 67), (1080, 1920)):
        image = photograph(height, width)
        assert image.shape == (height, width, 3)
        assert not image.flags.writeable
    assert np.std(photograph(1080, 1920)) > 30
