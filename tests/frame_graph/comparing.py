"""Frames and comparisons that the tests of frame graphs share."""

from __future__ import annotations

from typing import Any

import numpy as np

SIZES = [(90, 160), (64, 64), (120, 50)]


def frames(count: int, *, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        (rng.random(3) * 255 * rng.random((*SIZES[index % len(SIZES)], 1))).astype(np.uint8)
        for index in range(count)
    ]


def assert_same(got: Any, expected: Any) -> None:
    """Every array of two results."""
    assert type(got) is type(expected)
    for name in type(expected).__dataclass_fields__:
        mine, other = getattr(got, name), getattr(expected, name)
        if hasattr(other, "__dataclass_fields__"):
            assert_same(mine, other)
        else:
            np.testing.assert_array_equal(mine, other, err_msg=name)
