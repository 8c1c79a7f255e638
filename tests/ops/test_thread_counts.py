"""Results do not depend on the number of threads, and a forked child computes them too.

The frames are large enough that every kernel which may use threads is cut into parts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import edgevision as ev
from edgevision.geometry import place_image
from edgevision.ops import color, image, instance_masks, masks, rle, scores
from edgevision.ops._dispatch import native

pytestmark = pytest.mark.skipif(native is None, reason="the native extension is not built")

HEIGHT, WIDTH = 1080, 1920


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def frame(*shape: int) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, shape, dtype=np.uint8)


def write_tensor(mode: str, dtype: str, canvas: int) -> np.ndarray:
    out = np.zeros((1, 3, canvas, canvas), dtype)
    placement = place_image((HEIGHT, WIDTH), (canvas, canvas), mode=mode)
    return image.images_to_tensor([frame(HEIGHT, WIDTH, 3)], [placement], out)


def assemble() -> np.ndarray:
    corners = np.abs(random(30, 2)) * 400
    boxes = np.hstack([corners, corners + 700]).astype(np.float32)
    placement = place_image((HEIGHT, WIDTH), (640, 640), mode="letterbox")
    crops = instance_masks.assemble_masks(random(30, 8), random(8, 160, 160), boxes, placement)
    return np.frombuffer(b"".join(part.tobytes() for part in crops), np.uint8)


CASES = {
    "letterbox-float32": lambda: write_tensor("letterbox", "float32", 1280),
    "stretch-float16": lambda: write_tensor("stretch", "float16", 1280),
    "nv12": lambda: color.yuv_to_bgr(frame(HEIGHT * 3 // 2, WIDTH), "nv12"),
    "label-map": lambda: masks.upsample_argmax(random(9, 128, 128), (HEIGHT, WIDTH)),
    "labels": lambda: masks.label_map_to_image(frame(640, 640), (HEIGHT, WIDTH)),
    "masks": lambda: masks.upsample_masks(random(3, 256, 256), (HEIGHT, WIDTH)),
    "instance-masks": assemble,
    "run-lengths": lambda: rle.encode_rle(frame(HEIGHT, WIDTH) > 127),
    "softmax": lambda: scores.softmax(random(21, 512, 512), axis=0),
    "softmax-rows": lambda: scores.softmax(random(347, 1000)),
    "softmax-slices": lambda: scores.softmax(random(7, 21, 3001), axis=1),
    "softmax-few-columns": lambda: scores.softmax(random(70000, 5), axis=0),
    "softmax-float16": lambda: scores.softmax(random(347, 1000).astype(np.float16)),
    "sigmoid": lambda: scores.sigmoid(random(21, 512, 512)),
    "sigmoid-float16": lambda: scores.sigmoid(random(8399, 81).astype(np.float16)),
}


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = ev.get_num_threads()
    yield
    ev.set_num_threads(before)


@pytest.mark.parametrize("compute", [pytest.param(call, id=name) for name, call in CASES.items()])
def test_results_do_not_depend_on_the_number_of_threads(compute: Callable[[], np.ndarray]) -> None:
    ev.set_num_threads(1)
    expected = np.array(compute())
    for threads in (2, 5):
        ev.set_num_threads(threads)
        assert np.array_equal(compute(), expected), f"{threads} threads"


FORKING = """
import os, numpy as np, edgevision as ev
from edgevision.ops import masks
ev.set_num_threads(4)
logits = np.random.default_rng(1).normal(size=(3, 256, 256)).astype(np.float32)
expected = masks.upsample_masks(logits, (1080, 1920))
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(masks.upsample_masks(logits, (1080, 1920)), expected) else 1)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), np.array_equal(masks.upsample_masks(logits, (1080, 1920)), expected))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes_the_same_with_threads_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.split() == ["0", "True"], done.stderr
