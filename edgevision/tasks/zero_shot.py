"""Classify an image by the similarity of its embedding to those of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import SpecError
from edgevision.geometry import Placement
from edgevision.results import Result
from edgevision.spec import Decoder, ModelSpec, decoder_params
from edgevision.tasks.classify import ClassifyTask
from edgevision.tasks.embed import normalize_rows
from edgevision.tasks.options import RunOptions
from edgevision.tasks.outputs import select_outputs

__all__ = ["ZeroShotTask", "zero_shot_spec"]


def zero_shot_spec(embedder: ModelSpec, labels: Sequence[str]) -> ModelSpec:
    """The spec of a classifier by texts: the embedder's, but for the task, the decoder and the labels.

    Raises SpecError when the embedder has no text network.
    """
    params = decoder_params(embedder.decoder) if embedder.task == "embed" else {}
    if not params.get("logit_scale"):
        raise SpecError(
            "only a model that embeds images and texts into one space (CLIP, SigLIP) classifies by texts; this one's "
            f"task is {embedder.task!r}" + (" and its decoder has no logit_scale" if params else "")
        )
    decoder = Decoder(name="scores", params={"activation": params["activation"]})
    return replace(embedder, task="classify", decoder=decoder, labels=tuple(labels))


class ZeroShotTask:
    """Vectors (B, D) to `Classification`: each text's logit is the scaled cosine with its embedding."""

    name = "classify"
    options = ClassifyTask.options

    def __init__(
        self,
        spec: ModelSpec,
        outputs: Sequence[str],
        frame_format: str,
        *,
        embedder: ModelSpec,
        texts: NDArray[np.float32],
    ) -> None:
        """spec: zero_shot_spec of `embedder`. texts: float32 (N, D), each of length 1, one a label."""
        params = decoder_params(embedder.decoder)
        self.reads = select_outputs(embedder, outputs, 1)
        self._bias = cast(float, params["logit_bias"])
        self._weights = np.asarray(texts.T * cast(float, params["logit_scale"]), dtype=np.float32, order="C")
        self._classify = ClassifyTask(spec, self.reads, frame_format)
        self.preparation = self._classify.preparation

    def finish(
        self, outputs: Mapping[str, NDArray[Any]], placements: Sequence[Placement], options: RunOptions
    ) -> list[Result]:
        """See Task."""
        vectors = outputs[self.reads[0]][: len(placements)].astype(np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != len(self._weights):
            raise SpecError(
                f"the image network gives embeddings {vectors.shape[1:]} and the text network those of "
                f"{len(self._weights)}: they are not of one model"
            )
        logits = normalize_rows(vectors) @ self._weights + self._bias
        return self._classify.finish({self.reads[0]: logits}, placements, options)
