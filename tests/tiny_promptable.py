"""A promptable network of a few ONNX nodes: disks around the first point, in a folder as an export lays it out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevision import Decoder, ImageInput, ModelSpec
from edgevision.spec import write_spec

CANVAS, LOW = 64, 16
RADII = (4.0, 8.0, 16.0, 32.0)


def write_promptable(folder: Path, dtype: str = "float32", image_dtype: str = "") -> Path:
    """The folder, once model.onnx and decoder.onnx are in it. Skips the test without the package onnx.

    dtype: "float32" or "float16", what both networks take, compute in and give. image_dtype: of the image alone.
    """
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    make, kinds = onnx.helper, {"float32": 1, "float16": 10, "uint8": 2}
    image_dtype = image_dtype or dtype

    def save(name: str, nodes: list, inputs: dict, outputs: dict, weights: dict) -> None:
        tensors = [
            [
                make.make_tensor_value_info(key, kinds[image_dtype if key == "images" else dtype], shape)
                for key, shape in group.items()
            ]
            for group in (inputs, outputs)
        ]
        constants = [
            onnx.numpy_helper.from_array(value.astype(dtype) if value.dtype.kind == "f" else value, key)
            for key, value in weights.items()
        ]
        graph = make.make_graph(nodes, "tiny", *tensors, constants)
        # IR version 8 is what onnxruntime 1.17, the oldest supported one, reads.
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
        (folder / name).write_bytes(model.SerializeToString())

    node = make.make_node
    save(
        "model.onnx",
        [
            node("Cast", ["images"], ["pixels"], to=kinds[dtype]),
            node("ReduceMean", ["pixels"], ["image_embeddings"], axes=[2, 3], keepdims=0),
        ],
        {"images": [1, 3, CANVAS, CANVAS]},
        {"image_embeddings": [1, 3]},
        {},
    )
    centres = (np.arange(LOW, dtype=np.float32) + 0.5) * CANVAS / LOW
    y, x = np.meshgrid(centres, centres, indexing="ij")
    save(
        "decoder.onnx",
        [
            node("Gather", ["point_coords", "zero"], ["first"], axis=1),
            node("Reshape", ["first", "point_shape"], ["point"]),
            node("Sub", ["grid", "point"], ["offset"]),
            node("ReduceL2", ["offset"], ["distance"], axes=[4], keepdims=0),
            node("Sub", ["radii", "distance"], ["disks"]),
            node("Mul", ["mask_input", "has_mask_input"], ["earlier"]),
            node("Add", ["disks", "earlier"], ["low_res_masks"]),
            node("ReduceSum", ["image_embeddings"], ["brightness"], keepdims=0),
            node("Add", ["overlaps", "brightness"], ["iou_predictions"]),
        ],
        {
            "image_embeddings": [1, 3],
            "point_coords": [1, "points", 2],
            "point_labels": [1, "points"],
            "mask_input": [1, 1, LOW, LOW],
            "has_mask_input": [1],
        },
        {"low_res_masks": [1, 4, LOW, LOW], "iou_predictions": [1, 4]},
        {
            "zero": np.array(0, np.int64),
            "point_shape": np.array([1, 1, 1, 1, 2], np.int64),
            "grid": np.stack([x, y], axis=-1)[None, None],
            "radii": np.array(RADII, np.float32).reshape(1, 4, 1, 1),
            "overlaps": np.array([[0.5, 0.6, 0.9, 0.7]], np.float32),
        },
    )
    scale = {"scale": 1.0} if image_dtype == "uint8" else {}
    image = ImageInput(size_hw=(CANVAS, CANVAS), resize="stretch", dtype=image_dtype, **scale)
    write_spec(
        folder / "model.onnx", ModelSpec(task="promptable", inputs=(image,), decoder=Decoder(name="sam"))
    )
    return folder
