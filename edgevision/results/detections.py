"""Objects in boxes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.results.common import freeze_arrays, import_supervision, label_of, resolve_classes

__all__ = ["Detection", "Detections"]


class Detection(NamedTuple):
    """One object of a `Detections`."""

    xyxy: NDArray[np.float32]
    confidence: float
    class_id: int
    name: str
    mask: NDArray[np.bool_] | None
    tracker_id: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Objects found in one image, best first.

    xyxy:       float32 (N, 4), corners x1, y1, x2, y2 in image pixels, clipped to the image.
    confidence: float32 (N,), 0-1.
    class_id:   int64 (N,).
    image_hw:   (H, W) of the image, pixels.
    labels:     class names by class id; empty when the model carries none.
    mask:       bool (N, H, W) of the whole image, or None.
    tracker_id: int64 (N,), or None.
    """

    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int64]
    image_hw: tuple[int, int]
    labels: tuple[str, ...] = ()
    mask: NDArray[np.bool_] | None = None
    tracker_id: NDArray[np.int64] | None = None

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
        if self.mask is not None and self.mask.shape != (count, *self.image_hw):
            raise InputError(f"mask must be bool {(count, *self.image_hw)}, got {self.mask.shape}")
        freeze_arrays(self)

    @classmethod
    def empty(cls, image_hw: tuple[int, int], labels: tuple[str, ...] = ()) -> Detections:
        """No objects, in an image of `image_hw`."""
        return cls(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), image_hw, labels
        )

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
                None if self.mask is None else self.mask[index],
                None if self.tracker_id is None else int(self.tracker_id[index]),
            )

    def __getitem__(self, key: Any) -> Detections:
        """The objects that `key` selects: a bool array (N,), indices, a slice, or one index."""
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            count = len(self)
            if not -count <= int(key) < count:
                raise IndexError(f"index {int(key)} is out of range for {count} detections")
            key = [int(key)]
        elif not isinstance(key, slice):
            key = self._check_selection(np.asarray(key))
        return replace(
            self,
            xyxy=self.xyxy[key],
            confidence=self.confidence[key],
            class_id=self.class_id[key],
            mask=None if self.mask is None else self.mask[key],
            tracker_id=None if self.tracker_id is None else self.tracker_id[key],
        )

    def _check_selection(self, key: NDArray[Any]) -> NDArray[Any]:
        if key.dtype == np.bool_ and key.shape == (len(self),):
            return key
        if key.ndim == 1 and (key.dtype.kind in "iu" or key.size == 0):
            return key.astype(np.int64)
        raise InputError(
            f"a selection must be bool ({len(self)},), indices (K,), a slice or an int, got {key.dtype} {key.shape}"
        )

    def of_class(self, *classes: int | str) -> Detections:
        """The objects of the given classes, by name or id."""
        return self[np.isin(self.class_id, resolve_classes(classes, self.labels))]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict: {"task", "image_hw", "detections": [{"xyxy", "confidence", "class_id", "name", ...}]}.

        Masks are not in it.
        """
        rows: list[dict[str, Any]] = []
        for item in self:
            row: dict[str, Any] = {
                "class_id": item.class_id,
                "name": item.name,
                "confidence": item.confidence,
                "xyxy": [float(value) for value in item.xyxy],
            }
            if item.tracker_id is not None:
                row["tracker_id"] = item.tracker_id
            rows.append(row)
        return {"task": "detect", "image_hw": list(self.image_hw), "detections": rows}

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict())

    def to_supervision(self) -> Any:
        """supervision.Detections sharing these arrays' values. Needs the extra `supervision`."""
        return import_supervision().Detections(
            xyxy=self.xyxy.copy(),
            confidence=self.confidence.copy(),
            class_id=self.class_id.astype(int),
            mask=None if self.mask is None else self.mask.copy(),
            tracker_id=None if self.tracker_id is None else self.tracker_id.astype(int),
            data={"class_name": np.array(self.names, dtype=str)},
        )
