"""Objects in rotated boxes."""

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

__all__ = ["OrientedDetection", "OrientedDetections"]


class OrientedDetection(NamedTuple):
    """One object of an `OrientedDetections`."""

    xywhr: NDArray[np.float32]
    corners: NDArray[np.float32]
    confidence: float
    class_id: int
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class OrientedDetections:
    """Objects found in one image in rotated boxes, best first.

    xywhr:      float32 (N, 5), centre x, y, width, height in image pixels, and the angle in radians by which the
                width is turned from the x axis, clockwise as seen. Boxes may reach beyond the image.
    confidence: float32 (N,), 0-1.
    class_id:   int64 (N,).
    image_hw:   (H, W) of the image, pixels.
    labels:     class names by class id; empty when the model carries none.
    """

    xywhr: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int64]
    image_hw: tuple[int, int]
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.xywhr)
        if self.xywhr.shape != (count, 5):
            raise InputError(f"xywhr must be float32 (N, 5), got {self.xywhr.shape}")
        for name in ("confidence", "class_id"):
            value = getattr(self, name)
            if value.shape != (count,):
                raise InputError(
                    f"{name} must have one entry for each of the {count} boxes, got {value.shape}"
                )
        freeze_arrays(self)

    @classmethod
    def empty(cls, image_hw: tuple[int, int], labels: tuple[str, ...] = ()) -> OrientedDetections:
        """No objects, in an image of `image_hw`."""
        return cls(
            np.zeros((0, 5), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), image_hw, labels
        )

    @property
    def corners(self) -> NDArray[np.float32]:
        """The corners of each box: float32 (N, 4, 2) x, y in image pixels, going round it.

        Of an unturned box: bottom right, top right, top left, bottom left (Ultralytics' order).
        """
        center, half = self.xywhr[:, None, :2], self.xywhr[:, 2:4] * np.float32(0.5)
        cosine, sine = np.cos(self.xywhr[:, 4]), np.sin(self.xywhr[:, 4])
        along = np.stack([half[:, 0] * cosine, half[:, 0] * sine], axis=1)[:, None]
        across = np.stack([-half[:, 1] * sine, half[:, 1] * cosine], axis=1)[:, None]
        signs = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]], np.float32)
        return np.asarray(center + signs[:, :1] * along + signs[:, 1:] * across, dtype=np.float32)

    @property
    def xyxy(self) -> NDArray[np.float32]:
        """The upright boxes around them: float32 (N, 4), x1, y1, x2, y2 in image pixels, not clipped to the image."""
        corners = self.corners
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)

    @property
    def names(self) -> list[str]:
        """The class name of each object."""
        return [label_of(self.labels, int(class_id)) for class_id in self.class_id]

    def __len__(self) -> int:
        return len(self.xywhr)

    def __iter__(self) -> Iterator[OrientedDetection]:
        for row in zip(
            self.xywhr,
            self.corners,
            self.confidence.tolist(),
            self.class_id.tolist(),
            self.names,
            strict=True,
        ):
            yield OrientedDetection(*row)

    def __getitem__(self, key: Any) -> OrientedDetections:
        """The objects that `key` selects: a bool array (N,), indices, a slice, or one index."""
        key = resolve_selection(key, len(self), "detections")
        return replace(
            self, xywhr=self.xywhr[key], confidence=self.confidence[key], class_id=self.class_id[key]
        )

    def of_class(self, *classes: int | str) -> OrientedDetections:
        """The objects of the given classes, by name or id."""
        return self[np.isin(self.class_id, resolve_classes(classes, self.labels))]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict: {"task", "image_hw", "detections": [{"confidence", "xywhr", "corners", ...}]}."""
        rows = [
            {
                "class_id": item.class_id,
                "name": item.name,
                "confidence": item.confidence,
                "xywhr": item.xywhr.tolist(),
                "corners": item.corners.tolist(),
            }
            for item in self
        ]
        return {"task": "oriented", "image_hw": list(self.image_hw), "detections": rows}

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict())

    def to_supervision(self) -> Any:
        """supervision.Detections: `xyxy` around the boxes, the corners in `data["xyxyxyxy"]`, where its own tools look.

        Needs the extra `supervision`.
        """
        return import_supervision().Detections(
            xyxy=self.xyxy,
            confidence=self.confidence.copy(),
            class_id=self.class_id.astype(int),
            data={
                "class_name": np.array(self.names, dtype=str),
                "xyxyxyxy": self.corners,
            },
        )
