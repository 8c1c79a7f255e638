"""A vector that stands for a whole image."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.results.common import freeze_arrays

__all__ = ["Embedding"]


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The embedding of one image. Embeddings of the same network can be compared.

    vector:   float32 (D,); of length 1 when the spec's decoder says `normalize`.
    image_hw: (H, W) of the image, pixels.
    """

    vector: NDArray[np.float32]
    image_hw: tuple[int, int]

    def __post_init__(self) -> None:
        if self.vector.ndim != 1 or self.vector.dtype != np.float32:
            raise InputError(f"vector must be float32 (D,), got {self.vector.dtype} {self.vector.shape}")
        freeze_arrays(self)

    def similarity(self, other: Embedding | NDArray[Any]) -> float:
        """The cosine of the angle to `other`, an Embedding or an array (D,): -1 to 1; 0 beside a zero vector."""
        vector = other.vector if isinstance(other, Embedding) else np.asarray(other)
        if vector.shape != self.vector.shape:
            raise InputError(
                f"only embeddings of one network can be compared: this one is {self.vector.shape}, the other "
                f"{vector.shape}; for many at once use similarities()"
            )
        return float(self.similarities(vector[None])[0])

    def similarities(self, others: NDArray[Any]) -> NDArray[np.float32]:
        """`similarity` to each row of `others` (N, D), as a gallery of known images has them: float32 (N,)."""
        rows = np.asarray(
            others, dtype=np.float64
        )  # the products of 1000s of float32 would lose digits in float32
        if rows.ndim != 2 or rows.shape[1] != len(self.vector):
            raise InputError(f"others must be (N, {len(self.vector)}), got {rows.shape}")
        own = self.vector.astype(np.float64)
        lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(own)
        cosines = np.divide(rows @ own, lengths, out=np.zeros(len(rows)), where=lengths > 0)
        return np.asarray(np.clip(cosines, -1.0, 1.0), dtype=np.float32)

    def __len__(self) -> int:
        """D."""
        return len(self.vector)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict: {"task", "image_hw", "vector"}."""
        return {"task": "embed", "image_hw": list(self.image_hw), "vector": self.vector.tolist()}

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return json.dumps(self.to_dict())
