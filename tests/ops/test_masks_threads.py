"""Label maps written in bands by several threads are the reference's, whatever the content and the scale."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import edgevision as ev
from edgevision.ops._dispatch import native
from edgevision.ops.reference import masks as reference

pytestmark = pytest.mark.usefixtures("each_isa", "any_number_of_threads")


@pytest.fixture
def any_number_of_threads() -> Iterator[None]:
    """Sets the number of threads back to what it was."""
    before = ev.get_num_threads()
    yield
    ev.set_num_threads(before)


def make_logits(content: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Whole numbers, so that there are ties: noise, or blocks of 16x16 pixels with one best class and borders."""
    rng = np.random.default_rng(7)
    logits = rng.integers(-4, 5, shape).astype(np.float32)
    if content == "regions":
        best = np.kron(
            rng.integers(0, shape[0], (-(-shape[1] // 16), -(-shape[2] // 16))), np.ones((16, 16), int)
        )
        logits[best[: shape[1], : shape[2]] == np.arange(shape[0])[:, None, None]] += 9
    return logits


CASES = [
    # logits, image, roi
    pytest.param((21, 64, 64), (480, 640), None, id="enlarged"),
    pytest.param((21, 100, 130), (500, 163), (3.5, -2.0, 80.25, 130.0), id="a-little-enlarged"),
    pytest.param((7, 501, 1003), (501, 1003), None, id="same-size"),
    pytest.param((5, 1200, 1300), (777, 603), None, id="shrunk"),
    pytest.param((300, 33, 65), (97, 131), None, id="int32-labels"),
    pytest.param((2, 40, 40), (3, 700000), None, id="fewer-rows-than-threads"),
]  # fmt: skip


@pytest.mark.parametrize("content", ["noise", "regions"])
@pytest.mark.parametrize(("shape", "size", "roi"), CASES)
def test_bands_change_nothing(
    content: str,
    shape: tuple[int, int, int],
    size: tuple[int, int],
    roi: tuple[float, float, float, float] | None,
) -> None:
    logits = make_logits(content, shape)
    where = roi or (0.0, 0.0, float(shape[1]), float(shape[2]))
    dtype = np.uint8 if shape[0] <= 256 else np.int32
    expected = np.full(size, 99, dtype)
    reference.upsample_argmax(logits, *where, expected)
    for threads in (1, 2, 5):
        ev.set_num_threads(threads)
        for values in (logits, logits.astype(np.float16)):
            found = np.full(size, 99, dtype)
            native.upsample_argmax(values, *where, found)
            np.testing.assert_array_equal(found, expected)
