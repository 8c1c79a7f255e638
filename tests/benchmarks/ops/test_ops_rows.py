"""Every row of the kernels' benchmarks at a small size: what is timed computes the same."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

for library in (
    "cv2",
    "torch",
    "torchvision",
    "PIL",
    "supervision",
    "pycocotools",
    "skimage",
    "sklearn",
    "scipy",
):
    pytest.importorskip(library, reason=f"{library} is not installed")

check = importlib.import_module("harness").check
FAMILIES = ("image", "color", "boxes", "masks", "scores")
ROWS = {row.name: row for family in FAMILIES for row in importlib.import_module(family).ROWS}


def test_no_two_rows_share_a_name() -> None:
    assert len(ROWS) == sum(len(importlib.import_module(family).ROWS) for family in FAMILIES)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_everybody_computes_what_ours_does(row: Any) -> None:
    case = row.make(True)
    distances = check(case)
    assert case.moved_bytes > 0
    assert len(distances) == len(case.others) >= 1
    assert row.rival in ("", *distances)


LINEAR = [
    # rows, resized, the rows read
    pytest.param(9, 3, [1, 4, 7], id="a-third-hits-the-middle"),
    pytest.param(8, 4, [0, 1, 2, 3, 4, 5, 6, 7], id="a-half-needs-all"),
    pytest.param(10, 2, [2, 7], id="a-fifth"),
    pytest.param(12, 3, [1, 2, 5, 6, 9, 10], id="a-quarter"),
    pytest.param(3, 3, [0, 1, 2], id="as-it-is"),
    pytest.param(2, 5, [0, 1], id="enlarged"),
    pytest.param(1, 4, [0], id="one-row"),
]


@pytest.mark.parametrize(("rows", "resized", "read"), LINEAR)
def test_the_limit_counts_the_rows_that_matter(rows: int, resized: int, read: list[int]) -> None:
    module: Any = importlib.import_module("moved")
    assert module.rows_read(rows, resized) == read
    # cv2 agrees: changing a row changes the result exactly where it is read.
    cv2: Any = pytest.importorskip("cv2", reason="opencv is not installed")
    column = np.zeros((rows, 1), np.float32)
    changed = []
    for row in range(rows):
        column[:], column[row] = 0, 1
        if cv2.resize(column, (1, resized), interpolation=cv2.INTER_LINEAR).any():
            changed.append(row)
    assert changed == read
