"""Semantic segmentation on the GPU: a label map of the image's size comes down, not the classes' logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgevision.backends.cuda import DeviceSession
from edgevision.geometry import Placement
from edgevision.results import Result, Segmentation
from edgevision.spec import ModelSpec
from edgevision.tasks.semantic import SemanticTask

__all__ = ["LabelFinisher", "open_label_finisher"]

_ALIGNMENT = 16
"""Bytes that each image's map begins at a multiple of."""


def open_label_finisher(session: DeviceSession, spec: ModelSpec, task: SemanticTask) -> LabelFinisher | None:
    """None where the output is none that the GPU reads; the task says on the processor what is wrong with it."""
    maps = session.output_arrays()[task.reads[0]]
    shape, dtype = maps.shape, maps.dtype.name
    if spec.decoder.name == "class_logits":
        if len(shape) != 4 or 0 in shape or dtype not in ("float32", "float16"):
            return None
        return LabelFinisher(session, spec, task, shape, dtype, "uint8" if shape[1] <= 256 else "int32")
    if len(shape) == 4 and shape[1] == 1:
        shape = (shape[0], *shape[2:])
    if len(shape) != 3 or 0 in shape or dtype not in ("uint8", "int32", "int64"):
        return None
    return LabelFinisher(session, spec, task, (shape[0], 1, *shape[1:]), dtype, dtype)


class LabelFinisher:
    """Class logits, or label maps of the network, to label maps of the images' sizes."""

    def __init__(
        self,
        session: DeviceSession,
        spec: ModelSpec,
        task: SemanticTask,
        shape: Sequence[int],
        source: str,
        dtype: str,
    ) -> None:
        """shape: (B, C, h, w) of the maps. source, dtype: their type and the labels'."""
        self._session, self._labels, self._output = session, spec.labels, task.reads[0]
        self._batch, self._classes, self._map_hw = shape[0], shape[1], (shape[2], shape[3])
        self._source, self._dtype = source, np.dtype(dtype)
        self._limit_hw = (0, 0)
        self._writer: Any = None
        self._device: Any = None
        self._host: Any = None
        self._places: list[tuple[int, tuple[int, int]]] = []  # first byte of each map, its size
        self._nbytes = 0
        self.version = 0

    def place(self, placements: Sequence[Placement]) -> tuple[int, ...]:
        """See Finisher."""
        self._places, self._nbytes = [], 0
        for placement in placements:
            self._places.append((self._nbytes, placement.image_hw))
            size = math.prod(placement.image_hw) * self._dtype.itemsize
            self._nbytes += -(-size // _ALIGNMENT) * _ALIGNMENT
        self._fit([placement.image_hw for placement in placements])
        for index, (placement, (first, _)) in enumerate(zip(placements, self._places, strict=True)):
            roi = placement.roi_in(self._map_hw)
            self._writer.place(index, roi, placement.image_hw, first // self._dtype.itemsize)
        return (self._nbytes,)

    def put(self, count: int) -> None:
        """See Finisher."""
        session = self._session
        self._writer.write(session.output_address(self._output), self._device.pointer, count, session.stream)
        session.cuda.copy_async(self._host.pointer, self._device.pointer, self._nbytes, session.stream)

    def read(self, placements: Sequence[Placement]) -> list[Result]:
        """See Finisher."""
        results: list[Result] = []
        for first, size_hw in self._places:
            labels = self._host.array(size_hw, self._dtype.name, first).copy()
            if self._dtype == np.int64:
                labels = labels.astype(np.int32)  # results hold uint8 or int32
            results.append(Segmentation(labels, size_hw, self._labels))
        return results

    def on_device(self, count: int) -> dict[str, Any]:
        """See Finisher: "labels", a list with one array an image."""
        arrays = [self._device.array(size_hw, self._dtype.name, first) for first, size_hw in self._places]
        return {"labels": arrays[:count]}

    def _fit(self, sizes_hw: Sequence[tuple[int, int]]) -> None:
        """Makes the writer and the memory that are large enough."""
        cuda = self._session.cuda
        limit = (
            max(self._limit_hw[0], *(height for height, _ in sizes_hw)),
            max(self._limit_hw[1], *(width for _, width in sizes_hw)),
        )
        if limit != self._limit_hw:
            self._writer = cuda.LabelWriter(
                batch=self._batch, classes=self._classes, map_hw=self._map_hw, source=self._source,
                dtype=self._dtype.name, max_hw=limit,
            )  # fmt: skip
            self._limit_hw = limit
            self.version += 1
        if self._device is None or self._device.nbytes < self._nbytes:
            self._device = self._host = None
            self._device = cuda.DeviceBuffer(self._nbytes)
            self._host = cuda.HostBuffer(self._nbytes)
            self.version += 1
