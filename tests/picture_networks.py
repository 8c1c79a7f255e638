"""Networks of a few nodes for every task, whose results depend on the picture and can be worked out by hand.

They compute with numbers that float16 holds exactly: pixels, divided by powers of two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevision import Decoder, ImageInput, ModelSpec, Thresholds
from edgevision.spec import write_spec

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

__all__ = ["CASES", "IMAGE", "LABELS", "SIDE", "picture_network", "write_case"]

SIDE = 16
IMAGE = np.random.default_rng(5).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
LABELS = ("bolt", "nut")

# Rows of an output: (which channel of the picture, divisor, what is added). All exact in float16.
RED, GREEN, BLUE = 0, 1, 2
Row = tuple[int, float, float]
BOX: list[Row] = [(RED, 16, 0), (GREEN, 16, 0), (BLUE, 32, 2), (BLUE, 64, 3)]
SCORES: list[Row] = [(RED, 256, 0), (GREEN, 256, 0)]
CORNERS: list[Row] = [(RED, 64, 0), (GREEN, 64, 0), (BLUE, 32, 8), (BLUE, 64, 8)]
SELECTED: list[Row] = [(BLUE, 256, 0), (RED, 128, 0)]  # the class is cut to 0 or 1
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
    "embed": ("embed", "embedding", {}, SCORES),
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
ELEMENTS = {
    "float32": onnx.TensorProto.FLOAT,
    "float16": onnx.TensorProto.FLOAT16,
    "uint8": onnx.TensorProto.UINT8,
}


def picture_network(case: Case, input_dtype: str, output_dtype: str) -> bytes:
    """The rows of the case at each of the 16 blocks of the picture, and as second output mask prototypes.

    Between the input and the outputs it computes in the outputs' type.
    """
    task, decoder, params, rows = case
    node = onnx.helper.make_node
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
    if task in ("classify", "embed"):
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
    outputs = [onnx.helper.make_tensor_value_info("output0", element, shape)]
    if params.get("masks"):
        nodes.append(node("MaxPool", ["x"], ["fine"], kernel_shape=[2, 2], strides=[2, 2]))
        affine("prototypes", "fine", [(RED, 32, -6), (GREEN, 32, -6)], "output1")
        outputs.append(onnx.helper.make_tensor_value_info("output1", element, [1, 2, 8, 8]))
    graph = onnx.helper.make_graph(
        nodes,
        "picture",
        [onnx.helper.make_tensor_value_info("images", ELEMENTS[input_dtype], [1, 3, SIDE, SIDE])],
        outputs,
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    # What onnxruntime 1.17, the oldest supported one, reads.
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def write_case(folder: Path, name: str, input_dtype: str = "float32", output_dtype: str = "float32") -> Path:
    """The case's network in a file, with its spec: the tensor holds the pixels themselves."""
    case = CASES[name]
    task, decoder, params, _ = case
    path = folder / f"{input_dtype}_{output_dtype}.onnx"
    path.write_bytes(picture_network(case, input_dtype, output_dtype))
    image = ImageInput(size_hw=(SIDE, SIDE), resize="stretch", scale=1.0, dtype=input_dtype)
    thresholds = Thresholds(confidence=0.3, iou=0.5)
    write_spec(
        path,
        ModelSpec(
            task=task,
            inputs=(image,),
            decoder=Decoder(name=decoder, params=params),
            labels=() if task == "embed" else LABELS,
            thresholds=thresholds,
        ),
    )
    return path
