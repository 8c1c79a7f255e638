"""Label maps and masks on the device: bit for bit the CPU's."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from device_memory import download, upload

from edgevision.geometry import place_image
from edgevision.ops import masks as ops
from edgevision.ops.instance_masks import assemble_masks, find_region


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_labels_of_logits_are_the_cpus(cuda: ModuleType, dtype: str) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1, (2, 5, 16, 20)).astype(dtype)
    placements = [place_image((90, 160), (64, 80)), place_image((50, 31), (64, 80))]
    writer = cuda.LabelWriter(
        batch=2, classes=5, map_hw=(16, 20), source=dtype, dtype="uint8", max_hw=(100, 200)
    )
    memory, out, stream = upload(cuda, logits), cuda.DeviceBuffer(40000), cuda.Stream()
    for index, placement in enumerate(placements):
        writer.place(index, placement.roi_in((16, 20)), placement.image_hw, 20000 * index)
    writer.write(memory.pointer, out.pointer, 2, stream)
    for index, placement in enumerate(placements):
        got = download(cuda, out.pointer + 20000 * index, placement.image_hw, "uint8", stream)
        expected = ops.upsample_argmax(logits[index], placement.image_hw, roi_yxhw=placement.roi_in((16, 20)))
        np.testing.assert_array_equal(got, expected)
        assert len(np.unique(got)) > 2


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_label_maps_are_resized(cuda: ModuleType, dtype: str) -> None:
    labels = np.random.default_rng(2).integers(0, 200, (1, 24, 30)).astype(dtype)
    placement = place_image((90, 160), (48, 60))
    writer = cuda.LabelWriter(
        batch=1, classes=1, map_hw=(24, 30), source=dtype, dtype=dtype, max_hw=(90, 160)
    )
    writer.place(0, placement.roi_in((24, 30)), placement.image_hw)
    memory, out, stream = upload(cuda, labels), cuda.DeviceBuffer(90 * 160 * 8), cuda.Stream()
    writer.write(memory.pointer, out.pointer, 1, stream)
    expected = ops.label_map_to_image(labels[0], placement.image_hw, roi_yxhw=placement.roi_in((24, 30)))
    np.testing.assert_array_equal(download(cuda, out.pointer, (90, 160), dtype, stream), expected)


@pytest.mark.parametrize("via", [False, True])
def test_masks_of_prompts_are_the_cpus(cuda: ModuleType, via: bool) -> None:
    logits = np.random.default_rng(3).normal(0, 1, (1, 3, 16, 16)).astype(np.float32)
    roi, via_hw = ((0.0, 0.0, 36.0, 64.0), (64, 64)) if via else ((0.0, 0.0, 9.0, 16.0), (0, 0))
    writer = cuda.MaskWriter(batch=1, masks=3, map_hw=(16, 16), max_hw=(100, 200), threshold=0.2)
    writer.place(0, roi, via_hw, (90, 160))
    memory, out, stream = upload(cuda, logits), cuda.DeviceBuffer(3 * 90 * 160), cuda.Stream()
    writer.write(memory.pointer, out.pointer, 1, stream)
    expected = ops.upsample_masks(
        logits[0], (90, 160), roi_yxhw=roi, via_hw=via_hw if via else None, threshold=0.2
    )
    np.testing.assert_array_equal(
        download(cuda, out.pointer, (3, 90, 160), "uint8", stream), expected.view(np.uint8)
    )


@pytest.mark.parametrize("crop", ["image", "prototype"])
@pytest.mark.parametrize("image_hw", [(90, 160), (64, 64), (200, 120)])
def test_instances_are_the_cpus_and_stop_where_no_more_fit(
    cuda: ModuleType, crop: str, image_hw: tuple[int, int]
) -> None:
    rng, placement = np.random.default_rng(4), place_image(image_hw, (64, 64))
    prototypes = rng.normal(0, 1, (1, 8, 16, 16)).astype(np.float32)
    extra = rng.normal(0, 1, (10, 9)).astype(np.float32)
    corners = np.sort(rng.random((10, 2, 2)), axis=1) * [image_hw[1], image_hw[0]]
    boxes = corners.reshape(10, 4).astype(np.float32)
    expected = assemble_masks(extra[:, :8].copy(), prototypes[0], boxes, placement, crop=crop)
    memory = [upload(cuda, array) for array in (prototypes, np.array([10], np.int32), boxes, extra)]
    for capacity, fitting in ((300000, 10), (int(expected.offsets[6]) + 1, 6)):
        writer = cuda.InstanceMasks(
            batch=1, prototypes=8, map_hw=(16, 16), max_detections=10, max_hw=(200, 160), capacity=capacity
        )
        place_instances(writer, placement, crop)
        stream = cuda.Stream()
        writer.assemble(*(buffer.pointer for buffer in memory), 9, 1, stream)
        stream.synchronize()
        assert writer.counts[0] == fitting
        np.testing.assert_array_equal(writer.windows[0, :fitting], expected.windows[:fitting])
        size = expected.offsets[fitting]
        np.testing.assert_array_equal(writer.offsets[0, : fitting + 1], expected.offsets[: fitting + 1])
        np.testing.assert_array_equal(writer.data[0, :size], expected.data[:size])


def place_instances(writer: Any, placement: Any, crop: str) -> None:
    region = find_region(placement, 16, 16, crop)
    first = (region.rows.start or 0, region.columns.start or 0)
    size = tuple(
        16 if part.stop is None else part.stop - part.start for part in (region.rows, region.columns)
    )
    scale = (size[0] / 64, size[1] / 64)
    writer.place(
        0, crop == "prototype", placement.gain_yx, placement.offset_yx, scale, region.roi_yxhw, region.via_hw,
        placement.image_hw, first, size,
    )  # fmt: skip


def test_places_beyond_the_limits_are_refused(emulated_cuda: ModuleType) -> None:
    writer = emulated_cuda.MaskWriter(batch=1, masks=1, map_hw=(8, 8), max_hw=(50, 50))
    for arguments, message in (
        ((1, (0, 0, 8, 8), (0, 0), (50, 50)), "beyond the batch"),
        ((0, (0, 0, 8, 8), (0, 0), (51, 50)), "larger than max_hw"),
        ((0, (0, 0, 0, 8), (0, 0), (50, 50)), "above 0"),
        ((0, (0.5, 0, 8, 8), (16, 16), (50, 50)), "whole pixels"),
        ((0, (0, 0, 8, 8), (16, 0), (50, 50)), "both its sizes"),
    ):
        with pytest.raises(ValueError, match=message):
            writer.place(*arguments)
    with pytest.raises(ValueError, match="256 classes"):
        emulated_cuda.LabelWriter(
            batch=1, classes=300, map_hw=(8, 8), source="float32", dtype="uint8", max_hw=(9, 9)
        )
