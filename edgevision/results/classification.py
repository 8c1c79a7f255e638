"""Class scores of a whole image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.results.common import freeze_arrays, import_supervision, label_of, resolve_classes

__all__ = ["Classification"]


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """Class scores of one image, best first.

    class_id:   int64 (K,).
    confidence: float32 (K,), descending; equal scores by ascending class id.
    image_hw:   (H, W) of the image, pixels.
    labels:     class names by class id; empty when the model carries none.
    """

    class_id: NDArray[np.int64]
    confidence: NDArray[np.float32]
    image_hw: tuple[int, int]
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.class_id.ndim != 1 or self.class_id.shape != self.confidence.shape:
            raise InputError(
                f"class_id and confidence must both be (K,), got {self.class_id.shape} and {self.confidence.shape}"
            )
        freeze_arrays(self)

    @property
    def names(self) -> list[str]:
        """The class names, best first."""
        return [label_of(self.labels, int(class_id)) for class_id in self.class_id]

    def top(self, count: int = 5) -> Classification:
        """The best `count` classes."""
        return replace(self, class_id=self.class_id[:count], confidence=self.confidence[:count])

    def of_class(self, *classes: int | str) -> Classification:
        """The given classes only, by name or id, still best first."""
        chosen = np.isin(self.class_id, resolve_classes(classes, self.labels))
        return replace(self, class_id=self.class_id[chosen], confidence=self.confidence[chosen])

    def __len__(self) -> int:
        return len(self.class_id)

    def __iter__(self) -> Iterator[tuple[int, str, float]]:
        """(class_id, name, confidence) of each class, best first."""
        for class_id, name, confidence in zip(self.class_id, self.names, self.confidence, strict=True):
            yield int(class_id), name, float(confidence)

    def __getitem__(self, key: Any) -> Classification:
        """The classes that `key` selects: a bool array (K,), indices, a slice, or one index."""
        key = [int(key)] if isinstance(key, (int, np.integer)) and not isinstance(key, bool) else key
        return replace(self, class_id=self.class_id[key], confidence=self.confidence[key])

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict: {"task", "image_hw", "classes": [{"class_id", "name", "confidence"}]}."""
        rows = [{"class_id": i, "name": name, "confidence": score} for i, name, score in self]
        return {"task": "classify", "image_hw": list(self.image_hw), "classes": rows}

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict())

    def to_supervision(self) -> Any:
        """supervision.Classifications. Needs the extra `supervision`."""
        return import_supervision().Classifications(
            class_id=self.class_id.astype(int), confidence=self.confidence.copy()
        )
