"""Networks of half-precision and uint8 tensors give the results of the float32 network, for every task and runtime.

The networks compute with numbers that float16 holds exactly (pixels, divided by powers of two), so that nothing but
a mistake can make a difference: the results must be equal, bit for bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_networks import BYTE, FLOAT, HALF, network, node, require_backend

import edgevision as ev
from edgevision import Decoder, ImageInput, ModelSpec, Thresholds
from edgevision.spec import write_spec
from edgevision.tasks import preparation

SIDE = 16
IMAGE = np.random.default_rng(5).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
LABELS = ("bolt", "nut")

# Rows of an output: (which channel of the picture, divisor, what is added). All exact in float16.
RED, GREEN, BLUE = 0, 1, 2
Row = tuple[int, float, float]
BOX: list[Row] = [(RED, 16, 0), (GREEN, 16, 0), (BLUE, 32, 2), (BLUE, 64, 3)]
SCORES: list[Row] = [(RED, 256, 0), (GREEN, 256, 0)]
CORNERS: list[Row] = [(RED, 64, 0), (GREEN, 64, 0), (BLUE, 32, 8), (BLUE, 64, 8)]
SELECTED: list[Row] = [(BLUE, 256, 0), (RED, 256, 0)]  # the class is cut to 0
MASKS: list[Row] = [(RED, 64, -2), (GREEN, 64, -2)]
KEYPOINTS: list[Row] = [
    (RED, 16, 0),
    (BLUE, 16, 0),
    (GREEN, 256, 0),
    (BLUE, 32, 0),
    (RED, 32, 0),
    (BLUE, 256, 0),
]
ANGLE: list[Row] = [(BLUE, 128, 0)]

MASK_PARAMS = {"masks": 2, "keypoints": 2}
Case = tuple[str, str, dict[str, Any], list[Row]]
# id: (task, decoder, its parameters, rows of the first output)
CASES: dict[str, Case] = {
    "classify": ("classify", "scores", {}, SCORES),
    "semantic": ("semantic", "class_logits", {}, [(RED, 16, 0), (GREEN, 16, 0)]),
    "detect": ("detect", "yolo", {}, BOX + SCORES),
    "detect end to end": ("detect", "yolo_end2end", {}, CORNERS + SELECTED),
    "instances": ("instances", "yolo", MASK_PARAMS, BOX + SCORES + MASKS + KEYPOINTS),
    "instances end to end": (
        "instances",
        "yolo_end2end",
        MASK_PARAMS,
        CORNERS + SELECTED + MASKS + KEYPOINTS,
    ),
    "pose": ("pose", "yolo", {"keypoints": 2}, BOX + SCORES + KEYPOINTS),
    "pose end to end": ("pose", "yolo_end2end", {"keypoints": 2}, CORNERS + SELECTED + KEYPOINTS),
    "oriented": ("oriented", "yolo", {"rotated": True}, BOX + SCORES + ANGLE),
    "oriented end to end": ("oriented", "yolo_end2end", {"rotated": True}, BOX + SELECTED + ANGLE),
}
ELEMENTS = {"float32": FLOAT, "float16": HALF, "uint8": BYTE}


def picture_network(case: Case, input_dtype: str, output_dtype: str) -> bytes:
    """The rows of the case at each of the 16 blocks of the picture, and as second output mask prototypes.

    Between the input and the outputs it computes in the outputs' type.
    """
    task, decoder, params, rows = case
    element, kind = ELEMENTS[output_dtype], np.dtype(output_dtype)
    nodes = [node("Cast", ["images"], ["x"], to=element)]
    weights: dict[str, np.ndarray] = {}

    def affine(name: str, source: str, table: list[Row], target: str) -> None:
        weights[f"{name}_w"] = np.zeros((len(table), 3, 1, 1), kind)
        for index, (channel, divisor, _) in enumerate(table):
            weights[f"{name}_w"][index, channel] = 1 / divisor
        weights[f"{name}_b"] = np.array([added for _, _, added in table], kind)
        nodes.append(node("Conv", [source, f"{name}_w", f"{name}_b"], [target]))

    nodes.append(node("MaxPool", ["x"], ["blocks"], kernel_shape=[4, 4], strides=[4, 4]))
    if task == "classify":
        nodes.append(node("GlobalMaxPool", ["blocks"], ["pooled"]))
        affine("rows", "pooled", rows, "map")
        shape: list[object] = [1, len(rows)]
    elif task == "semantic":
        affine("rows", "blocks", rows, "map")
        shape = [1, len(rows), 4, 4]
    else:
        affine("rows", "blocks", rows, "map")
        shape = [1, len(rows), 16]
    weights["shape"] = np.array(shape, np.int64)
    transposed = decoder == "yolo_end2end"
    nodes.append(node("Reshape", ["map", "shape"], ["flat" if transposed else "output0"]))
    if transposed:
        nodes.append(node("Transpose", ["flat"], ["output0"], perm=[0, 2, 1]))
        shape = [1, 16, len(rows)]
    outputs: list[tuple[str, int, object]] = [("output0", element, shape)]
    if params.get("masks"):
        nodes.append(node("MaxPool", ["x"], ["fine"], kernel_shape=[2, 2], strides=[2, 2]))
        affine("prototypes", "fine", [(RED, 32, -6), (GREEN, 32, -6)], "output1")
        outputs.append(("output1", element, [1, 2, 8, 8]))
    inputs = [("images", ELEMENTS[input_dtype], [1, 3, SIDE, SIDE])]
    return network(nodes, inputs, outputs, weights).SerializeToString()


def write_case(folder: Path, name: str, input_dtype: str, output_dtype: str) -> Path:
    """The case's network in a file, with its spec: the tensor holds the pixels themselves."""
    case = CASES[name]
    task, decoder, params, _ = case
    path = folder / f"{input_dtype}_{output_dtype}.onnx"
    path.write_bytes(picture_network(case, input_dtype, output_dtype))
    image = ImageInput(size_hw=(SIDE, SIDE), resize="stretch", scale=1.0, dtype=input_dtype)
    thresholds = Thresholds(confidence=0.3, iou=0.5)
    labels = LABELS if decoder != "yolo_end2end" else ("part",)
    write_spec(
        path,
        ModelSpec(
            task=task,
            inputs=(image,),
            decoder=Decoder(name=decoder, params=params),
            labels=labels,
            thresholds=thresholds,
        ),
    )
    return path


def arrays_of(result: Any) -> dict[str, Any]:
    """Every array of a result, those of its masks too."""
    found: dict[str, Any] = {}
    for name in result.__slots__:
        value = getattr(result, name)
        if isinstance(value, ev.Masks):
            found |= {f"{name}.{key}": array for key, array in arrays_of(value).items()}
        elif isinstance(value, np.ndarray):
            found[name] = value
    return found


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("name", CASES)
def test_every_element_type_gives_the_float32_networks_result(
    name: str, backend: str, tmp_path: Path
) -> None:
    require_backend(backend)
    whole = ev.load(write_case(tmp_path, name, "float32", "float32"), backend=backend)(IMAGE)
    assert len(whole) > 1
    for types in (
        ("float16", "float16"),
        ("float16", "float32"),
        ("float32", "float16"),
        ("uint8", "float32"),
        ("uint8", "float16"),
    ):
        model = ev.load(write_case(tmp_path, name, *types), backend=backend)
        assert (model.session.inputs[0].dtype, model.session.outputs[0].dtype) == types
        arrays = arrays_of(model(IMAGE))
        assert arrays.keys() == arrays_of(whole).keys()
        for key, array in arrays_of(whole).items():
            assert arrays[key].dtype == array.dtype, (types, key)
            assert np.array_equal(arrays[key], array), (types, key)


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_pixels_are_written_straight_into_the_sessions_tensor(
    backend: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_backend(backend)
    model = ev.load(write_case(tmp_path, "detect", dtype, "float32"), backend=backend)
    written: list[np.ndarray] = []
    kernel = preparation.image_to_tensor

    def recording(image: np.ndarray, placement: Any, out: np.ndarray, **options: Any) -> np.ndarray:
        written.append(out)
        return kernel(image, placement, out, **options)

    monkeypatch.setattr(preparation, "image_to_tensor", recording)
    model(IMAGE)
    buffer = model.session.input_buffer("images", (1, 3, SIDE, SIDE))
    assert [out.dtype for out in written] == [np.dtype(dtype)]
    assert np.shares_memory(written[0], buffer)
    assert np.array_equal(buffer[0], IMAGE[:, :, ::-1].transpose(2, 0, 1).astype(dtype))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_normalised_half_precision_input_is_near_the_float32_one(backend: str, tmp_path: Path) -> None:
    """What real float16 networks are given: scaled pixels, less a mean, over a deviation."""
    require_backend(backend)
    results = []
    for dtype in ("float32", "float16"):
        path = write_case(tmp_path, "classify", dtype, dtype)
        image = ImageInput(
            size_hw=(SIDE, SIDE), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), dtype=dtype
        )
        write_spec(path, ModelSpec(task="classify", inputs=(image,), decoder=Decoder(name="scores")))
        results.append(ev.load(path, backend=backend)(IMAGE))
    whole, half = results
    assert half.class_id.tolist() == whole.class_id.tolist()
    assert whole.confidence.min() > 1e-3
    # A float16 has 11 significant bits: each of the two roundings (input, product) is off by 2^-11 at most.
    assert np.abs(half.confidence / whole.confidence - 1).max() <= 2**-10
