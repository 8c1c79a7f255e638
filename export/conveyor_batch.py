"""Batches of pictures for the networks that take whole frames, with random mirroring and colour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from edgevision.demo.landmarks import points_show, settle_points
from edgevision.export.conveyor_cache import Samples

__all__ = ["Pictures", "Targets", "make_batch", "to_input", "vary_colour"]


class Targets(NamedTuple):
    """Objects of a batch, padded to M rows a picture.

    boxes: float32 (B, M, 4) xyxy, input pixels. classes: int64 (B, M). counted, ignored: bool (B, M); padding is
    neither. Anchors inside ignored objects cost nothing, whatever they say.
    """

    boxes: Tensor
    classes: Tensor
    counted: Tensor
    ignored: Tensor


class Pictures(NamedTuple):
    """A batch: input and truth.

    images: float32 (B, 3, H, W) RGB 0-1. boxes, classes, counted, ignored: see Targets. keypoints: float32
    (B, M, 4, 3): x, y in input pixels, 1 where it shows. owners: int64 (B, H, W): 1 + the object's row, 0 for none.
    """

    images: Tensor
    boxes: Tensor
    classes: Tensor
    counted: Tensor
    ignored: Tensor
    keypoints: Tensor
    owners: Tensor

    @property
    def targets(self) -> Targets:
        """What the detector's loss needs."""
        return Targets(self.boxes, self.classes, self.counted, self.ignored)

    @property
    def labels(self) -> Tensor:
        """The label map, int64 (B, H, W): 0 background, class + 1 otherwise."""
        of_row = torch.cat((torch.zeros_like(self.classes[:, :1]), self.classes + 1), dim=1)
        return of_row.gather(1, self.owners.flatten(1)).view_as(self.owners)


def to_input(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Pictures as the networks take them: float32 (B, 3, H, W) RGB 0-1 from uint8 (B, H, W, 3) BGR."""
    return np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def vary_colour(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Random factors of a picture's channels, float32 (3,)."""
    return (rng.uniform(0.8, 1.2) * rng.uniform(0.94, 1.06, 3)).astype(np.float32)


def make_batch(samples: Samples, rows: npt.NDArray[np.integer], rng: np.random.Generator) -> Pictures:
    """The pictures `rows` of the cache, each mirrored at random and in slightly different colours."""
    height, width = samples.images.shape[1:3]
    most = max(1, *(len(samples.boxes[row]) for row in rows))
    objects = np.zeros((len(rows), most, 7), np.float32)
    landmarks = np.zeros((len(rows), most, 4, 3), np.float32)
    owners = np.empty((len(rows), height, width), np.int64)
    images = np.empty((len(rows), height, width, 3), np.float32)
    for i, row in enumerate(rows):
        image, owner = samples.images[row], samples.owners[row]
        boxes, points = samples.boxes[row].copy(), samples.keypoints[row][..., :2].copy()
        if rng.random() < 0.5:
            image, owner = image[:, ::-1], owner[:, ::-1]
            boxes[:, [0, 2]], points[..., 0] = width - boxes[:, [2, 0]], width - points[..., 0]
        if rng.random() < 0.5:
            image, owner = image[::-1], owner[::-1]
            boxes[:, [1, 3]], points[..., 1] = height - boxes[:, [3, 1]], height - points[..., 1]
        np.multiply(image[:, :, ::-1], vary_colour(rng) / np.float32(255), out=images[i])
        owners[i] = owner
        objects[i, : len(boxes), :6] = boxes
        objects[i, : len(boxes), 6] = 1
        points = settle_points(points, boxes[:, 4])
        landmarks[i, : len(boxes), :, :2] = points
        landmarks[i, : len(boxes), :, 2] = points_show(points, owner)
    table = torch.from_numpy(objects)
    ignored, real = table[..., 5] > 0, table[..., 6] > 0
    return Pictures(
        torch.from_numpy(images).clamp_(0, 1).permute(0, 3, 1, 2),
        table[..., :4], table[..., 4].long(), real & ~ignored, real & ignored,
        torch.from_numpy(landmarks), torch.from_numpy(owners),
    )  # fmt: skip
