"""Every row of the kernels' benchmarks at a small size: what is timed computes the same."""

from __future__ import annotations

import importlib
from typing import Any

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
