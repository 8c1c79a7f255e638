"""Prompts: checked in image pixels, laid out as the points and labels that a promptable network takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.geometry import Placement

__all__ = ["Prompt", "check_boxes", "check_prompt", "layout_points"]

_TOP_LEFT, _BOTTOM_RIGHT, _PADDING = 2.0, 3.0, -1.0
"""Labels beside 0 (not of the object) and 1 (of the object), as docs/spec.md has them."""

_NO_PROMPT = "predict needs a prompt: points=[[x, y], ...], box=[x1, y1, x2, y2], or both"


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """What tells one object from the rest of the image; a mask alone is none, it refines points or a box.

    points_xy: float32 (N, 2), image pixels; N may be 0 where there is a box.
    labels:    float32 (N,): 1 of the object, 0 not of it.
    box_xyxy:  float32 (4,), image pixels, or None.
    mask:      (h, w) logits of an earlier answer, or None.
    """

    points_xy: NDArray[np.float32]
    labels: NDArray[np.float32]
    box_xyxy: NDArray[np.float32] | None = None
    mask: NDArray[Any] | None = None


def check_prompt(
    points: Any,
    labels: Any,
    box: Any,
    mask: Any,
    *,
    image_hw: tuple[int, int],
    mask_hw: tuple[int, int] | None,
) -> Prompt:
    """The prompt that these arguments of `predict` spell.

    mask_hw: the size that the network takes a mask in; None: it takes none.
    Raises InputError for one of a wrong shape, outside the image, for labels that are not 0 or 1, or no prompt at all.
    """
    if points is None and labels is not None:
        raise InputError(f"labels belong to points, and there are none; {_NO_PROMPT}")
    if points is None and box is None:
        hint = "" if mask is None else "; mask= refines it"
        raise InputError(f"{_NO_PROMPT}{hint}")
    points_xy = np.zeros((0, 2), np.float32) if points is None else _check_points(points, image_hw)
    return Prompt(
        points_xy,
        _check_labels(labels, len(points_xy)),
        None if box is None else check_boxes(box, "box", (4,), image_hw),
        None if mask is None else _check_mask(mask, mask_hw),
    )


def check_boxes(
    boxes: Any, name: str, shape: tuple[int | None, ...], image_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """The boxes as float32; InputError, calling them `name`, unless of that shape, in the image, and not empty."""
    wanted = "(4,)" if len(shape) == 1 else "(P, 4)"
    array = _as_floats(boxes, name, f"{wanted}, x1, y1, x2, y2 in image pixels")
    if array.ndim != len(shape) or array.shape[-1] != 4:
        hint = "; for several boxes use predict_boxes" if len(shape) == 1 and array.ndim == 2 else ""
        raise InputError(f"{name} must be {wanted}, x1, y1, x2, y2 in image pixels, got {array.shape}{hint}")
    height, width = image_hw
    rows = array.reshape(-1, 4)
    limits = np.array([width, height, width, height], np.float32)
    fits = (rows >= 0).all(axis=1) & (rows <= limits).all(axis=1)
    fits &= (rows[:, 0] < rows[:, 2]) & (rows[:, 1] < rows[:, 3])
    if not fits.all():
        raise InputError(
            f"{name} must lie in the image of {height}x{width} with x1 < x2 and y1 < y2, "
            f"got {rows[int(np.argmin(fits))].tolist()}; clip it to the image first"
        )
    return array


def layout_points(
    prompt: Prompt, placement: Placement, *, pad_boxes: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coordinates (N, 2) in pixels of the network's input, and labels (N,): points, box corners, padding.

    pad_boxes: whether a padding point also follows a prompt with a box.
    """
    points, labels = [prompt.points_xy], [prompt.labels]
    if prompt.box_xyxy is not None:
        points.append(prompt.box_xyxy.reshape(2, 2))
        labels.append(np.array([_TOP_LEFT, _BOTTOM_RIGHT], np.float32))
    coords = placement.points_to_model(np.concatenate(points))
    if prompt.box_xyxy is None or pad_boxes:
        coords = np.concatenate([coords, np.zeros((1, 2), np.float32)])
        labels.append(np.array([_PADDING], np.float32))
    return coords, np.concatenate(labels)


def _check_points(points: Any, image_hw: tuple[int, int]) -> NDArray[np.float32]:
    array = _as_floats(points, "points", "(N, 2), x, y in image pixels")
    if array.ndim != 2 or array.shape[1] != 2 or not len(array):
        hint = "; pass points[None]" if array.shape == (2,) else ""
        raise InputError(f"points must be (N, 2), x, y in image pixels, got {array.shape}{hint}")
    height, width = image_hw
    inside = (array >= 0).all(axis=1) & (array[:, 0] < width) & (array[:, 1] < height)
    if not inside.all():
        raise InputError(
            f"points must lie in the image of {height}x{width}, 0 <= x < {width} and 0 <= y < {height}, "
            f"got x, y = {array[int(np.argmin(inside))].tolist()}"
        )
    return array


def _check_labels(labels: Any, count: int) -> NDArray[np.float32]:
    if labels is None:
        return np.ones(count, np.float32)
    array = _as_floats(labels, "labels", "(N,), 1 of the object or 0 not of it")
    if array.shape != (count,):
        raise InputError(f"labels must have one entry for each of the {count} points, got {array.shape}")
    if not np.isin(array, (0.0, 1.0)).all():
        raise InputError(f"labels must be 1 (of the object) or 0 (not of it), got {array.tolist()}")
    return array


def _check_mask(mask: Any, mask_hw: tuple[int, int] | None) -> NDArray[Any]:
    if mask_hw is None:
        raise InputError("this network takes no mask as a prompt; give points or a box")
    if isinstance(mask, np.ndarray) and mask.shape == (1, *mask_hw):
        mask = mask[0]
    if not isinstance(mask, np.ndarray) or mask.shape != mask_hw or mask.dtype.kind != "f":
        got = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise InputError(
            f"mask must be the logits of an earlier answer, float {mask_hw}, got {got}; "
            f"pass result.best().low_res_logits"
        )
    return mask


def _as_floats(value: Any, name: str, wanted: str) -> NDArray[np.float32]:
    try:
        array = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be numbers {wanted}, got {value!r}") from None
    if not np.isfinite(array).all():
        raise InputError(f"{name} must be finite numbers {wanted}, got {array.tolist()}")
    return array
