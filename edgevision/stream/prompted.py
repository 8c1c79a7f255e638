"""A promptable model asked the same of every frame, so that it runs over a source as other models do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.promptable import PromptableModel
from edgevision.results import PromptMasks
from edgevision.timings import Timings

__all__ = ["PromptedModel"]


class PromptedModel:
    """Callable on one image; gives the masks of one prompt in it.

    model:   the promptable model; it stays the caller's to close.
    prompt:  keywords of its `predict`: points, labels, box, multimask; pixels of each image.
    timings: of the last call, the image and the prompt together.
    """

    def __init__(self, model: PromptableModel, prompt: Mapping[str, Any]) -> None:
        self.model = model
        self.prompt = dict(prompt)
        self.timings = Timings()

    def __call__(self, image: NDArray[np.uint8]) -> PromptMasks:
        """The masks in one image. Raises as `set_image` and `predict` do."""
        self.model.set_image(image)
        encoding = self.model.timings
        result = self.model.predict(**self.prompt)
        asking = self.model.timings
        self.timings = Timings(
            encoding.preprocess + asking.preprocess,
            encoding.inference + asking.inference,
            encoding.postprocess + asking.postprocess,
        )
        return result
