"""Instance masks from prototypes: against Ultralytics and PyTorch, by hand, native against reference, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevision.errors import InputError
from edgevision.geometry import Placement, place_image
from edgevision.ops.instance_masks import MaskCrops, assemble_masks

torch = pytest.importorskip("torch", reason="torch is not installed")


def dense(crops: MaskCrops, image_hw: tuple[int, int]) -> np.ndarray:
    """The crops over the whole image: uint8 (N, H, W)."""
    masks = np.zeros((len(crops.windows), *image_hw), np.uint8)
    for index, (x1, y1, x2, y2) in enumerate(crops.windows.tolist()):
        part = crops.data[crops.offsets[index] : crops.offsets[index + 1]]
        masks[index, y1:y2, x1:x2] = part.reshape(y2 - y1, x2 - x1)
    return masks


def network_outputs(
    canvas_hw: tuple[int, int], image_hw: tuple[int, int], objects: int = 6, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(coefficients, smooth prototypes at a quarter of the canvas, boxes in image pixels)."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.normal(0, 1, (1, 8, 5, 6)).astype(np.float32))
    size = (canvas_hw[0] // 4, canvas_hw[1] // 4)
    prototypes = torch.nn.functional.interpolate(coarse, size, mode="bicubic")[0].numpy()
    corners = np.sort(rng.uniform(0, 1, (objects, 2, 2)), axis=1).reshape(objects, 4)
    boxes = (corners * np.array([image_hw[1], image_hw[0]] * 2)).astype(np.float32)
    boxes[0] = 0, 0, image_hw[1], image_hw[0]
    boxes[1] = np.floor(boxes[1])  # edges on pixel edges
    return rng.normal(0, 1, (objects, 8)).astype(np.float32), prototypes, boxes


# ---- Against others

PLACES = [
    # canvas, image; the pad in prototype pixels
    pytest.param((64, 96), (64, 96), id="same-size"),
    pytest.param((96, 96), (120, 100), id="whole-pad"),
    pytest.param((96, 96), (60, 96), id="half-pad"),
    pytest.param((96, 96), (60, 77), id="quarter-pad-enlarged"),
    pytest.param((160, 160), (427, 640), id="quarter-pad"),
    pytest.param((448, 640), (427, 640), id="rectangle"),
    pytest.param((64, 128), (300, 20), id="very-tall"),
    pytest.param((128, 64), (9, 500), id="very-wide"),
]


@pytest.mark.parametrize(("canvas", "image"), PLACES)
def test_it_is_ultralytics_native_masks(
    kernels: str, canvas: tuple[int, int], image: tuple[int, int]
) -> None:
    ultralytics = pytest.importorskip("ultralytics.utils.ops", reason="ultralytics is not installed")
    coefficients, prototypes, boxes = network_outputs(canvas, image)
    found = dense(assemble_masks(coefficients, prototypes, boxes, place_image(image, canvas)), image)
    tensors = (torch.from_numpy(array) for array in (prototypes, coefficients, boxes))
    expected = ultralytics.process_mask_native(*tensors, image).numpy()
    assert expected.any()
    # Sums and weights are rounded otherwise there: a logit at 0 may fall to the other side.
    assert np.count_nonzero(found != expected) <= 1e-5 * found.size


def test_at_the_models_size_it_is_ultralytics_default(kernels: str) -> None:
    ultralytics = pytest.importorskip("ultralytics.utils.ops", reason="ultralytics is not installed")
    coefficients, prototypes, boxes = network_outputs((96, 160), (96, 160))
    crops = assemble_masks(coefficients, prototypes, boxes, place_image((96, 160), (96, 160)))
    tensors = (torch.from_numpy(array) for array in (prototypes, coefficients, boxes))
    expected = ultralytics.process_mask(*tensors, (96, 160), upsample=True).numpy()
    assert np.count_nonzero(dense(crops, (96, 160)) != expected) <= 1e-5 * expected.size


def crop_in_prototypes(
    coefficients: np.ndarray, prototypes: np.ndarray, boxes: np.ndarray, canvas_hw: tuple[int, int]
) -> Any:
    """The older rule with PyTorch, step by step: (N, H, W) logits at the model's input size."""
    _, height, width = prototypes.shape
    logits = (torch.from_numpy(coefficients) @ torch.from_numpy(prototypes).flatten(1)).view(
        -1, height, width
    )
    scale = torch.tensor([width / canvas_hw[1], height / canvas_hw[0]] * 2)
    x1, y1, x2, y2 = (torch.from_numpy(boxes) * scale).T[:, :, None, None]
    columns, rows = torch.arange(width), torch.arange(height)[:, None]
    logits = logits * ((columns >= x1) & (columns < x2) & (rows >= y1) & (rows < y2))
    return torch.nn.functional.interpolate(logits[None], canvas_hw, mode="bilinear", align_corners=False)[0]


def test_cropped_prototypes_are_the_older_rule(kernels: str) -> None:
    size = (96, 160)
    coefficients, prototypes, boxes = network_outputs(size, size, objects=20)
    crops = assemble_masks(coefficients, prototypes, boxes, place_image(size, size), crop="prototype")
    expected = (crop_in_prototypes(coefficients, prototypes, boxes, size) > 0).numpy()
    assert np.count_nonzero(dense(crops, size) != expected) <= 1e-5 * expected.size


def test_cropped_prototypes_of_a_letterbox_are_read_where_the_image_lies(kernels: str) -> None:
    # The image has the size it is resized to, so that the canvas's own pixels are its pixels.
    canvas, image = (96, 96), (60, 96)
    placement = place_image(image, canvas)
    coefficients, prototypes, boxes = network_outputs(canvas, image, objects=20)
    found = dense(assemble_masks(coefficients, prototypes, boxes, placement, crop="prototype"), image)
    top = placement.offset_yx[0]
    moved = boxes + np.array([0, top, 0, top], np.float32)
    expected = (crop_in_prototypes(coefficients, prototypes, moved, canvas) > 0).numpy()[:, top : top + 60]
    assert np.count_nonzero(found != expected) <= 1e-5 * expected.size


# ---- By hand

ONES = np.ones((1, 8, 8), np.float32)
UNIT = np.ones((1, 1), np.float32)
SAME = place_image((32, 32), (32, 32))
EDGES = [
    # box, columns and rows inside
    pytest.param((4.0, 8.0, 12.0, 20.0), (4, 8, 12, 20), id="whole-pixels"),
    pytest.param((4.1, 8.9, 12.1, 20.9), (5, 9, 13, 21), id="rounded-up"),
    pytest.param((-5.0, -0.5, 99.0, 32.5), (0, 0, 32, 32), id="beyond-the-image"),
    pytest.param((4.2, 8.0, 4.9, 20.0), (0, 0, 0, 0), id="between-columns"),
    pytest.param((12.0, 8.0, 4.0, 20.0), (0, 0, 0, 0), id="inside-out"),
    pytest.param((40.0, 8.0, 50.0, 20.0), (0, 0, 0, 0), id="outside"),
    pytest.param((3e38, -3e38, 3e38, 3e38), (0, 0, 0, 0), id="huge"),
]


@pytest.mark.parametrize(("box", "window"), EDGES)
def test_a_box_holds_the_pixels_from_its_first_edge_to_before_its_last(
    kernels: str, box: tuple[float, ...], window: tuple[int, ...]
) -> None:
    crops = assemble_masks(UNIT, ONES, np.array([box], np.float32), SAME)
    assert crops.windows.tolist() == [list(window)]
    assert crops.data.all()
    assert crops.offsets.tolist() == [0, (window[2] - window[0]) * (window[3] - window[1])]


def test_a_prototype_crop_reaches_half_a_prototype_pixel_further(kernels: str) -> None:
    # Prototypes 2 and 3 of 4 image pixels each are 1: the bilinear slope passes 0 only at the next centre,
    # (2 - 0.5) * 4 = 6 and (3 + 1.5) * 4 = 18.
    crops = assemble_masks(UNIT, ONES, np.array([[8, 8, 16, 16]], np.float32), SAME, crop="prototype")
    assert crops.windows.tolist() == [[6, 6, 18, 18]]
    assert crops.data.all()


def test_coefficients_are_summed_and_0_is_outside(kernels: str) -> None:
    prototypes = np.stack([np.full((2, 2), value, np.float32) for value in (1, 2, 3)])
    coefficients = np.array([[1, 1, -1], [1, 1, -0.99], [-1, 0, 0]], np.float32)
    boxes = np.array([[0, 0, 3, 2]] * 3, np.float32)
    crops = assemble_masks(coefficients, prototypes, boxes, place_image((8, 8), (8, 8)))
    assert crops.data.reshape(3, 6).tolist() == [[0] * 6, [1] * 6, [0] * 6]


def test_no_objects(kernels: str) -> None:
    crops = assemble_masks(UNIT[:0], ONES, np.zeros((0, 4), np.float32), SAME)
    assert [part.shape for part in crops] == [(0, 4), (1,), (0,)]
    assert [part.dtype for part in crops] == [np.int32, np.int64, np.uint8]
    assert crops.offsets.tolist() == [0]


@pytest.mark.parametrize(
    "placement",
    [
        pytest.param(place_image((50, 80), (64, 64), mode="stretch"), id="stretch"),
        pytest.param(place_image((50, 80), (64, 64), mode="shortest_side_crop"), id="crop"),
        pytest.param(place_image((50, 80), (64, 64), pad_placement="bottom_right"), id="bottom-right"),
        pytest.param(place_image((50, 80), (66, 70)), id="no-whole-multiple"),
        pytest.param(Placement((50, 80), (40, 64), (9, 0), (64, 64)), id="uneven-pad"),
    ],
)
@pytest.mark.parametrize("crop", ["image", "prototype"])
def test_any_placement_is_read_where_the_image_lies(kernels: str, placement: Placement, crop: str) -> None:
    # Logits rise by 1 a prototype column, so that a mask's edge tells where it was read.
    width = 16
    scale = width / placement.canvas_hw[1]
    ramp = np.arange(width, dtype=np.float32) + np.float32(0.5)
    prototypes = np.stack([np.tile(ramp, (16, 1)), np.ones((16, width), np.float32)])
    edges = np.array([20.0, 33.3, 41.0])  # image pixels
    at = (edges * placement.gain_yx[1] + placement.offset_yx[1]) * scale
    coefficients = np.stack([np.ones(3), -at], axis=1).astype(np.float32)
    boxes = np.tile(np.array([0, 0, 80, 50], np.float32), (3, 1))
    found = dense(assemble_masks(coefficients, prototypes, boxes, placement, crop=crop), (50, 80))
    centers = np.arange(80) + 0.5
    # Not where the border clamps: the crop shows columns 14.8 to 65.2.
    inside = (centers > 17) & (centers < 63) & (np.abs(centers[None] - edges[:, None]) > 0.1)
    for mask, edge, where in zip(found, edges, inside, strict=True):
        assert (mask[25, where] == (centers > edge)[where]).all()


# ---- Precision and layouts

LAYOUTS = [
    pytest.param(lambda a: np.ascontiguousarray(a[::-1])[::-1], id="backwards"),
    pytest.param(lambda a: np.asfortranarray(a), id="columns-first"),
    pytest.param(lambda a: np.ascontiguousarray(a.repeat(2, axis=-1))[..., ::2], id="every-second"),
    pytest.param(lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape), id="read-only"),
    pytest.param(
        lambda a: np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
        id="unaligned",
    ),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("arrange", LAYOUTS)
def test_layouts_change_nothing(kernels: str, arrange: Any, dtype: type) -> None:
    canvas, image = (64, 96), (77, 101)
    coefficients, prototypes, boxes = network_outputs(canvas, image)
    coefficients, prototypes = coefficients.astype(dtype), prototypes.astype(dtype)
    placement = place_image(image, canvas)
    expected = assemble_masks(coefficients, prototypes, boxes, placement)
    found = assemble_masks(arrange(coefficients), arrange(prototypes), arrange(boxes), placement)
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("crop", ["image", "prototype"])
def test_halves_are_the_floats_of_their_value(kernels: str, crop: str) -> None:
    coefficients, prototypes, boxes = network_outputs((64, 96), (77, 101))
    coefficients, prototypes = coefficients.astype(np.float16), prototypes.astype(np.float16)
    placement = place_image((77, 101), (64, 96))
    halves = assemble_masks(coefficients, prototypes, boxes, placement, crop=crop)
    floats = assemble_masks(
        coefficients.astype(np.float32), prototypes.astype(np.float32), boxes, placement, crop=crop
    )
    for got, want in zip(halves, floats, strict=True):
        np.testing.assert_array_equal(got, want)


# ---- Errors

BOXES = np.zeros((1, 4), np.float32)
ERRORS = [
    pytest.param(lambda: assemble_masks(UNIT, ONES, BOXES, SAME, crop="box"), "accepted: image, prototype", id="crop"),
    pytest.param(
        lambda: assemble_masks(UNIT.astype(float), ONES, BOXES, SAME),
        r"coefficients must be float32 or float16 .* got float64 \(1, 1\)",
        id="double",
    ),
    pytest.param(
        lambda: assemble_masks(UNIT, ONES[None], BOXES, SAME), r"pass prototypes\[0\]", id="batch-of-prototypes"
    ),
    pytest.param(
        lambda: assemble_masks(np.ones((1, 3), np.float32), ONES, BOXES, SAME),
        r"got \(1, 3\) and \(1, 8, 8\)",
        id="other-number",
    ),
    pytest.param(lambda: assemble_masks(UNIT, ONES[:, :0], BOXES, SAME), "none of these 0", id="no-rows"),
    pytest.param(
        lambda: assemble_masks(UNIT, ONES, np.zeros((2, 4), np.float32), SAME),
        r"boxes_xyxy must be float32 \(1, 4\), .* got float32 \(2, 4\)",
        id="other-boxes",
    ),
    pytest.param(lambda: assemble_masks(UNIT, ONES, BOXES.astype(int), SAME), "got int64", id="whole-boxes"),
    pytest.param(
        lambda: assemble_masks(UNIT, ONES, np.full((1, 4), np.nan, np.float32), SAME), "must be finite", id="nan"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_wrong_arguments_are_named(kernels: str, call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
