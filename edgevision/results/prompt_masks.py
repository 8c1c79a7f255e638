"""The masks that a promptable network answers one prompt with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.results.common import freeze_arrays, import_supervision, resolve_selection
from edgevision.results.masks import Masks

__all__ = ["PromptMask", "PromptMasks"]


class PromptMask(NamedTuple):
    """One mask of a `PromptMasks`."""

    mask: NDArray[np.bool_]
    """bool (H, W) of the whole image."""
    iou: float
    """The overlap with the object that the network expects of it."""
    low_res_logits: NDArray[np.float32]
    """float32 (h, w): give it to the next `predict` as `mask` to refine this one."""
    area: int
    """Pixels of the mask."""


@dataclass(frozen=True, slots=True, eq=False)
class PromptMasks:
    """Candidate masks of one object, in the network's own order.

    masks:          bool (K, H, W), of the whole image.
    iou:            float32 (K,): the overlap with the object that the network expects of each, usually 0-1.
    low_res_logits: float32 (K, h, w), as the network gave them: mask where above its threshold, over the whole input
                    tensor with its padding. One of them can be the `mask` of the next `predict`.
    image_hw:       (H, W) of the image, pixels.
    """

    masks: NDArray[np.bool_]
    iou: NDArray[np.float32]
    low_res_logits: NDArray[np.float32]
    image_hw: tuple[int, int]

    def __post_init__(self) -> None:
        count = len(self.masks)
        if self.masks.dtype != np.bool_ or self.masks.shape != (count, *self.image_hw):
            raise InputError(
                f"masks must be bool ({count}, {self.image_hw[0]}, {self.image_hw[1]}), "
                f"got {self.masks.dtype} {self.masks.shape}"
            )
        if self.iou.shape != (count,):
            raise InputError(f"iou must have one entry for each of the {count} masks, got {self.iou.shape}")
        if self.low_res_logits.ndim != 3 or len(self.low_res_logits) != count:
            raise InputError(
                f"low_res_logits must be float32 ({count}, h, w), got {self.low_res_logits.shape}"
            )
        freeze_arrays(self)

    def best(self) -> PromptMask:
        """The mask of the greatest expected overlap, the first of equals. Raises InputError without masks."""
        if not len(self):
            raise InputError("there is no best of no masks")
        return self._entry(int(np.argmax(self.iou)))

    @property
    def area(self) -> NDArray[np.int64]:
        """Pixels of each mask: int64 (K,)."""
        return np.asarray(np.count_nonzero(self.masks, axis=(1, 2)), np.int64)

    def __len__(self) -> int:
        return len(self.masks)

    def __iter__(self) -> Iterator[PromptMask]:
        for index in range(len(self)):
            yield self._entry(index)

    def __getitem__(self, key: Any) -> PromptMasks:
        """The masks that `key` selects: a bool array (K,), indices, a slice, or one index."""
        key = resolve_selection(key, len(self), "masks")
        return PromptMasks(self.masks[key], self.iou[key], self.low_res_logits[key], self.image_hw)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict: {"task", "image_hw", "masks": [{"iou", "area", "xyxy", "mask"}]}.

        "xyxy" is the box around the mask, pixels, null where the mask is empty. "mask" is as `Masks.rle` gives it.
        """
        masks = Masks.from_dense(self.masks)
        rows = [
            {
                "iou": item.iou,
                "area": item.area,
                "xyxy": masks.windows[index].tolist() if item.area else None,
                "mask": masks.rle(index),
            }
            for index, item in enumerate(self)
        ]
        return {"task": "promptable", "image_hw": list(self.image_hw), "masks": rows}

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict())

    def to_supervision(self) -> Any:
        """supervision.Detections with one mask a candidate, class 0. Needs the extra `supervision`."""
        supervision = import_supervision()
        windows = Masks.from_dense(self.masks).windows
        return supervision.Detections(
            xyxy=windows.astype(np.float32),
            mask=self.masks.copy(),
            confidence=self.iou.copy(),
            class_id=np.zeros(len(self), int),
        )

    def _entry(self, index: int) -> PromptMask:
        mask = self.masks[index]
        return PromptMask(
            mask, float(self.iou[index]), self.low_res_logits[index], int(np.count_nonzero(mask))
        )
