"""Objects in boxes, perhaps with masks and keypoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.results.common import (
    freeze_arrays,
    import_supervision,
    label_of,
    resolve_classes,
    resolve_selection,
)
from edgevision.results.masks import Masks

__all__ = ["Detection", "Detections"]


class Detection(NamedTuple):
    """One object of a `Detections`; its mask is bool (H, W) of the whole image."""

    xyxy: NDArray[np.float32]
    confidence: float
    class_id: int
    name: str
    mask: NDArray[np.bool_] | None
    tracker_id: int | None
    keypoints: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Objects found in one image, best first.

    xyxy:       float32 (N, 4), corners x1, y1, x2, y2 in image pixels, clipped to the image.
    confidence: float32 (N,), 0-1.
    class_id:   int64 (N,).
    image_hw:   (H, W) of the image, pixels.
    labels:     class names by class id; empty when the model carries none.
    masks:      one mask an object, or None.
    tracker_id: int64 (N,), or None.
    keypoints:  float32 (N, K, 3), or None: x, y in image pixels, clipped to the image, and the visibility, 0-1;
                1 where the model gives none.
    """

    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int64]
    image_hw: tuple[int, int]
    labels: tuple[str, ...] = ()
    masks: Masks | None = None
    tracker_id: NDArray[np.int64] | None = None
    keypoints: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.xyxy)
        if self.xyxy.shape != (count, 4):
            raise InputError(f"xyxy must be float32 (N, 4), got {self.xyxy.shape}")
        for name in ("confidence", "class_id", "tracker_id"):
            value = getattr(self, name)
            if value is not None and value.shape != (count,):
                raise InputError(
                    f"{name} must have one entry for each of the {count} boxes, got {value.shape}"
                )
        masks, keypoints = self.masks, self.keypoints
        if masks is not None and (len(masks) != count or tuple(masks.image_hw) != tuple(self.image_hw)):
            raise InputError(
                f"masks must be {count} of an image of {tuple(self.image_hw)}, "
                f"got {len(masks)} of one of {tuple(masks.image_hw)}"
            )
        if keypoints is not None and (keypoints.ndim != 3 or keypoints.shape[::2] != (count, 3)):
            raise InputError(f"keypoints must be float32 ({count}, K, 3), got {keypoints.shape}")
        freeze_arrays(self)

    @classmethod
    def empty(cls, image_hw: tuple[int, int], labels: tuple[str, ...] = ()) -> Detections:
        """No objects, in an image of `image_hw`."""
        return cls(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), image_hw, labels
        )

    @property
    def task(self) -> str:
        """What these are results of: "instances" with masks, else "pose" with keypoints, else "detect"."""
        if self.masks is not None:
            return "instances"
        return "detect" if self.keypoints is None else "pose"

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """The masks over the whole image, bool (N, H, W), made anew at each use; None without masks."""
        return None if self.masks is None else self.masks.dense()

    @property
    def names(self) -> list[str]:
        """The class name of each object."""
        return [label_of(self.labels, int(class_id)) for class_id in self.class_id]

    def __len__(self) -> int:
        return len(self.xyxy)

    def __iter__(self) -> Iterator[Detection]:
        for index, name in enumerate(self.names):
            yield Detection(
                self.xyxy[index],
                float(self.confidence[index]),
                int(self.class_id[index]),
                name,
                None if self.masks is None else self.masks[index],
                None if self.tracker_id is None else int(self.tracker_id[index]),
                None if self.keypoints is None else self.keypoints[index],
            )

    def __getitem__(self, key: Any) -> Detections:
        """The objects that `key` selects: a bool array (N,), indices, a slice, or one index."""
        key = resolve_selection(key, len(self), "detections")
        return replace(
            self,
            xyxy=self.xyxy[key],
            confidence=self.confidence[key],
            class_id=self.class_id[key],
            masks=None if self.masks is None else self.masks[key],
            tracker_id=None if self.tracker_id is None else self.tracker_id[key],
            keypoints=None if self.keypoints is None else self.keypoints[key],
        )

    def of_class(self, *classes: int | str) -> Detections:
        """The objects of the given classes, by name or id."""
        return self[np.isin(self.class_id, resolve_classes(classes, self.labels))]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict: {"task", "image_hw", "detections": [{"xyxy", "confidence", "class_id", "name", ...}]}.

        Where there are any, an object has its "tracker_id", "keypoints" [[x, y, visibility], ...] and "mask", as COCO's
        run lengths {"size": [H, W], "counts": text}.
        """
        rows: list[dict[str, Any]] = []
        for index, name in enumerate(self.names):
            row: dict[str, Any] = {
                "class_id": int(self.class_id[index]),
                "name": name,
                "confidence": float(self.confidence[index]),
                "xyxy": self.xyxy[index].tolist(),
            }
            if self.tracker_id is not None:
                row["tracker_id"] = int(self.tracker_id[index])
            if self.keypoints is not None:
                row["keypoints"] = self.keypoints[index].tolist()
            if self.masks is not None:
                row["mask"] = self.masks.rle(index)
            rows.append(row)
        return {"task": self.task, "image_hw": list(self.image_hw), "detections": rows}

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict())

    def to_supervision(self) -> Any:
        """supervision.Detections with copies of these arrays. Needs the extra `supervision`.

        Keypoints are in its `data`, under "keypoints".
        """
        data: dict[str, Any] = {"class_name": np.array(self.names, dtype=str)}
        if self.keypoints is not None:
            data["keypoints"] = self.keypoints.copy()
        return import_supervision().Detections(
            xyxy=self.xyxy.copy(),
            confidence=self.confidence.copy(),
            class_id=self.class_id.astype(int),
            mask=self.mask,
            tracker_id=None if self.tracker_id is None else self.tracker_id.astype(int),
            data=data,
        )
