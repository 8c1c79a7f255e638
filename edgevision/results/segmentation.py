"""A class for every pixel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.results.common import freeze_arrays, import_supervision, label_of, resolve_classes

__all__ = ["Region", "Segmentation"]


class Region(NamedTuple):
    """One class of a `Segmentation`."""

    class_id: int
    name: str
    area: int
    """Pixels of this class."""
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """The class of each pixel of one image.

    labels:   uint8 or int32 (H, W), class ids.
    image_hw: (H, W), pixels.
    classes:  class names by class id; empty when the model carries none.
    """

    labels: NDArray[np.uint8] | NDArray[np.int32]
    image_hw: tuple[int, int]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.labels.shape != tuple(self.image_hw) or self.labels.dtype not in (np.uint8, np.int32):
            raise InputError(
                f"labels must be uint8 or int32 {tuple(self.image_hw)}, got {self.labels.dtype} {self.labels.shape}"
            )
        freeze_arrays(self)

    @property
    def class_id(self) -> NDArray[np.int64]:
        """The class ids present, ascending: int64 (K,)."""
        return np.asarray(np.unique(self.labels), dtype=np.int64)

    @property
    def names(self) -> list[str]:
        """The class names present, by ascending class id."""
        return [label_of(self.classes, int(class_id)) for class_id in self.class_id]

    def mask_of(self, *classes: int | str) -> NDArray[np.bool_]:
        """bool (H, W): where the pixel is of one of the given classes, by name or id."""
        return np.isin(self.labels, resolve_classes(classes, self.classes))

    def __len__(self) -> int:
        return len(self.class_id)

    def __iter__(self) -> Iterator[Region]:
        for class_id in self.class_id:
            mask = self.labels == class_id
            yield Region(int(class_id), label_of(self.classes, int(class_id)), int(mask.sum()), mask)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict: {"task", "image_hw", "regions": [{"class_id", "name", "area"}], "runs"}.

        "runs" is the whole map, lossless: [class_id, length, class_id, length, ...] over its rows.
        """
        regions = [{"class_id": r.class_id, "name": r.name, "area": r.area} for r in self]
        flat = self.labels.ravel()
        starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
        lengths = np.diff(np.append(starts, flat.size))
        runs = np.stack([flat[starts].astype(np.int64), lengths], axis=1).ravel()
        return {
            "task": "semantic",
            "image_hw": list(self.image_hw),
            "regions": regions,
            "runs": runs.tolist(),
        }

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict())

    def to_supervision(self) -> Any:
        """supervision.Detections with one mask a class. Needs the extra `supervision`."""
        supervision = import_supervision()
        regions = list(self)
        masks = np.stack([region.mask for region in regions])
        return supervision.Detections(
            xyxy=supervision.mask_to_xyxy(masks).astype(np.float32),
            mask=masks,
            class_id=self.class_id.astype(int),
            data={"class_name": np.array(self.names, dtype=str)},
        )
