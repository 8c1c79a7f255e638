"""Prints how often calls in steady state ask the allocator for memory; test_allocations runs it below a counter.

What is counted: malloc and its relatives, and mmap, of the whole process, whoever calls them: the extension, nanobind,
NumPy, Python. Only what Python takes from its own pools is not seen, objects of up to 512 bytes; C++ has no part in
these but for nanobind's handles of arrays, which end with the call.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from frames import frame_of, noise
from native_functions import FUNCTIONS, call

import edgevision as ev
from edgevision.geometry import place_image
from edgevision.ops import _dispatch, boxes, color, image, masks, scores, yuv_tensor

CALLS = (
    22  # with twice as many, and some before, more than twice the 32 calls that thread_scratch.h looks back
)
HD = (720, 1280)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def small_native_calls() -> dict[str, Callable[[], Any]]:
    """Every native function, a call of each variant."""
    native, calls = _dispatch.native, {}

    def call_all(name: str, arguments: list[Any]) -> None:
        for one in arguments:
            call(name, native, one)

    for name, function in FUNCTIONS.items():
        arguments = [function.make(33, *variant) for variant in function.variants]
        calls[f"native.{name}"] = partial(call_all, name, arguments)
    return calls


def calls_with_out() -> dict[str, Callable[[], Any]]:
    """Every public function with `out=`, on frames of a camera: large enough for several threads."""
    frame, nv12, placement = noise(*HD, 3), frame_of("nv12", *HD), place_image(HD, (640, 640))
    tensor, pixels, labels = np.empty((1, 3, 640, 640), "f4"), np.empty((*HD, 3), "u1"), np.empty(HD, "u1")
    few, many, found = normal(21, 64, 64), normal(3, 64, 64), np.empty((3, *HD), np.bool_)
    probabilities, small_labels = np.empty_like(few), noise(64, 64)
    calls: dict[str, Callable[[], Any]] = {
        "images_to_tensor": lambda: image.images_to_tensor([frame], [placement], tensor),
        "yuv_to_bgr": lambda: color.yuv_to_bgr(nv12, out=pixels),
        "yuv_to_rgb": lambda: color.yuv_to_rgb(nv12, out=pixels),
        "upsample_argmax": lambda: masks.upsample_argmax(few, HD, out=labels),
        "label_map_to_image": lambda: masks.label_map_to_image(small_labels, HD, out=labels),
        "upsample_masks": lambda: masks.upsample_masks(many, HD, out=found),
        "softmax": lambda: scores.softmax(few, 0, out=probabilities),
        "sigmoid": lambda: scores.sigmoid(few, out=probabilities),
    }
    for name in image.FILTERS:
        options = image.PixelMap(filter=name)
        calls[f"image_to_tensor, {name}"] = lambda options=options: image.image_to_tensor(
            frame, placement, tensor[0], pixels=options
        )
        calls[f"yuv_to_tensor, {name}"] = lambda options=options: yuv_tensor.yuv_to_tensor(
            nv12, "nv12", placement, tensor[0], pixels=options
        )
    return calls


def calls_of_much_scratch() -> dict[str, Callable[[], Any]]:
    """Calls that need more than is kept in any case: many classes on eight threads, many candidates, many scores."""
    logits, labels, many = normal(1000, 16, 16), np.empty((90, 640), "i4"), normal(1_300_000)
    output = np.random.default_rng(2).random((84, 8400), dtype=np.float32)
    values, indices = np.empty(9, "f4"), np.empty(9, "i8")
    return {
        "upsample_argmax of 1000 classes": lambda: masks.upsample_argmax(logits, (90, 640), out=labels),
        "decode_yolo of several labels": lambda: boxes.decode_yolo(
            output, num_classes=80, confidence=0.5, multi_label=True
        ),
        "native.top_k of many": lambda: _dispatch.native.top_k(many, 9, values, indices),
    }


def count(counter: Any, function: Callable[[], Any]) -> list[int]:
    """Allocations of so many calls, and of twice as many, after some that may allocate."""
    for _ in range(4):
        function()
    found = []
    for calls in (CALLS, 2 * CALLS):
        before = counter.allocation_calls()
        for _ in range(calls):
            function()
        found.append(counter.allocation_calls() - before)
    return found


def main() -> None:
    counter = ctypes.CDLL(sys.argv[1])
    counter.allocation_calls.restype = counter.allocated_bytes.restype = ctypes.c_long
    gc.disable()
    calls = {"small": small_native_calls(), "out": calls_with_out(), "much": calls_of_much_scratch()}
    found: dict[str, Any] = {}
    for kind, threads in (("small", 1), ("out", 1), ("out", 2), ("much", 8)):
        ev.set_num_threads(threads)
        for name, function in calls[kind].items():
            found[f"{name}, {threads} threads"] = count(counter, function)
    before = counter.allocated_bytes()
    scores.top_k(normal(6_000_000), 9)
    found["bytes kept of a single large call"] = counter.allocated_bytes() - before
    print(json.dumps({"calls": CALLS, **found}))


if __name__ == "__main__":
    main()
