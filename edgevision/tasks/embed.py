"""Embed: a vector for the whole image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import SpecError
from edgevision.geometry import Placement
from edgevision.results import Embedding, Result
from edgevision.spec import ModelSpec, decoder_params
from edgevision.tasks.options import RunOptions
from edgevision.tasks.outputs import select_outputs
from edgevision.tasks.preparation import ImagePreparation

__all__ = ["EmbedTask", "normalize_rows"]


def normalize_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row of float32 (N, D) divided by its Euclidean length; a row of zeros stays."""
    # Squares of float32 beyond 1e19 would overflow, and their sum would round, in float32.
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=-1, keepdims=True)
    directions = np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0)
    return np.asarray(directions, dtype=np.float32)


class EmbedTask:
    """Vectors (B, D) to `Embedding`, of length 1 when the decoder's `normalize` is set."""

    name = "embed"
    options: frozenset[str] = frozenset()

    def __init__(self, spec: ModelSpec, outputs: Sequence[str], frame_format: str) -> None:
        self.reads = select_outputs(spec, outputs, 1)
        self._normalize = bool(decoder_params(spec.decoder)["normalize"])
        self.preparation = ImagePreparation(spec.inputs[0], frame_format)

    def finish(
        self, outputs: Mapping[str, NDArray[Any]], placements: Sequence[Placement], options: RunOptions
    ) -> list[Result]:
        """See Task."""
        tensor = outputs[self.reads[0]]
        if tensor.ndim != 2:
            raise SpecError(
                f"decoder 'embedding' reads a tensor (B, D), and {self.reads[0]!r} is {tensor.shape}; name the right "
                f"output in the spec's decoder.outputs"
            )
        # A copy in any case: the network's next run may write over its outputs.
        vectors = tensor[: len(placements)].astype(np.float32)
        if self._normalize:
            vectors = normalize_rows(vectors)
        return [
            # Each row its own array: keeping one result must not keep the whole batch.
            Embedding(vector.copy(), placement.image_hw)
            for vector, placement in zip(vectors, placements, strict=True)
        ]
