"""Keypoints among the further channels of what was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.geometry import Placement

__all__ = ["KeypointReader"]


class KeypointReader:
    """Channels `first` to `first` + K * dims of each object to keypoints in image pixels."""

    def __init__(self, params: Mapping[str, Any], first: int = 0) -> None:
        """params: those of the spec's decoder. first: the channel that the keypoints begin at."""
        self._count, self._dims = int(params["keypoints"]), int(params["keypoint_dims"])
        self._channels = slice(first, first + self._count * self._dims)

    def read(self, extra: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
        """x, y in image pixels, clipped to the image, and the visibility, 1 where there is none: float32 (N, K, 3).

        extra: float32 (N, E), x and y in model-input pixels.
        """
        given = extra[:, self._channels].reshape(len(extra), self._count, self._dims)
        keypoints = np.ones((len(extra), self._count, 3), np.float32)
        keypoints[..., : self._dims] = placement.keypoints_to_image(given)
        return keypoints
