"""Outputs of detectors written by hand, and the results that a task makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgevision import Decoder, ImageInput, ModelSpec
from edgevision.geometry import Placement, place_image
from edgevision.tasks.options import RunOptions
from edgevision.tasks.registry import open_task

__all__ = ["LABELS", "dense_output", "finish", "selected_output"]

LABELS = ("bolt", "nut")

Found = tuple[list[float], float, int, list[float]]
"""(x1, y1, x2, y2 or, rotated, cx, cy, w, h in model pixels; score; class id; the further channels)."""


def dense_output(objects: list[Found], *, corners: bool = True, empty: int = 3) -> np.ndarray:
    """A `yolo` output of these objects: float32 (4 + 2 + E, A), some anchors of which hold nothing."""
    rows = []
    for box, score, class_id, extra in objects:
        x1, y1, x2, y2 = box
        centre = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1] if corners else box
        rows.append([*centre, *(score if index == class_id else 0.0 for index in range(2)), *extra])
    table = np.array(rows, np.float32)
    return np.concatenate([table, np.zeros((empty, table.shape[1]), np.float32)]).T


def selected_output(objects: list[Found], *, empty: int = 3) -> np.ndarray:
    """A `yolo_end2end` output of these objects: float32 (N, 6 + E), unused rows zero."""
    table = np.array([[*box, score, class_id, *extra] for box, score, class_id, extra in objects], np.float32)
    return np.concatenate([table, np.zeros((empty, table.shape[1]), np.float32)])


def finish(
    task: str,
    decoder: str,
    params: dict[str, Any],
    outputs: list[np.ndarray],
    placement: Placement | None = None,
    **options: Any,
) -> Any:
    """The task's result for one image of these outputs; the image is the 32 x 32 input itself if not said otherwise."""
    spec = ModelSpec(
        task=task,
        inputs=(ImageInput(size_hw=(32, 32)),),
        decoder=Decoder(name=decoder, params=params),
        labels=LABELS,
    )
    names = [f"output{index}" for index in range(len(outputs))]
    tensors = {name: output[None] for name, output in zip(names, outputs, strict=True)}
    placement = placement or place_image((32, 32), (32, 32))
    return open_task(spec, names).finish(tensors, [placement], RunOptions(**options))[0]
