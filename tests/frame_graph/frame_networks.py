"""Networks whose outputs depend on the frame, as ONNX, and the specs that say what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from tiny_networks import FLOAT, HALF, LONG, network, node, onnx

from edgevision import Decoder, ImageInput, ModelSpec, Thresholds

SIDE = 64


def head(
    shapes: Sequence[tuple[int, ...]],
    low: Sequence[Any],
    high: Sequence[Any],
    *,
    batch: object = "batch",
    half: bool = False,
    side: object = SIDE,
) -> bytes:
    """A network of outputs y0, y1, ... (batch, *shape) with values from low to high that differ from frame to frame.

    low, high: one an output, which its shape broadcasts.
    """
    rng = np.random.default_rng(0)
    nodes = [node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0)]
    nodes.append(node("Cast", ["mean"], ["mean32"], to=FLOAT))
    weights: dict[str, np.ndarray] = {}
    outputs = []
    for index, (shape, least, most) in enumerate(zip(shapes, low, high, strict=True)):
        name, size = f"y{index}", int(np.prod(shape))
        least = np.broadcast_to(np.float32(least), shape).astype(np.float32)
        most = np.broadcast_to(np.float32(most), shape).astype(np.float32)
        weights |= {
            f"w{index}": rng.normal(0, 40, (3, size)).astype(np.float32),
            f"s{index}": np.array([-1, *shape], np.int64),
            f"a{index}": (most - least) / 2,
            f"b{index}": (most + least) / 2,
        }
        nodes += [
            node("MatMul", ["mean32", f"w{index}"], [f"m{index}"]),
            node("Sin", [f"m{index}"], [f"n{index}"]),
            node("Reshape", [f"n{index}", f"s{index}"], [f"r{index}"]),
            node("Mul", [f"r{index}", f"a{index}"], [f"p{index}"]),
            node("Add", [f"p{index}", f"b{index}"], [f"q{index}"]),
            node("Cast", [f"q{index}"], [name], to=HALF if half else FLOAT),
        ]
        outputs.append((name, HALF if half else FLOAT, [batch, *shape]))
    kind = HALF if half else FLOAT
    made = network(nodes, [("images", kind, [batch, 3, side, side])], outputs, weights)
    return made.SerializeToString()


def rows(channels: int, bounds: dict[int, tuple[float, float]], axis: int, count: int) -> tuple[Any, Any]:
    """(low, high) of an output with `channels` along `axis` and `count` along the other; channel -> its bounds."""
    low, high = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    for channel, (least, most) in bounds.items():
        low[channel], high[channel] = least, most
    shape = (channels, 1) if axis == 0 else (1, channels)
    return low.reshape(shape), high.reshape(shape)


def spec(task: str, decoder: str, *, labels: int = 4, half: bool = False, **params: Any) -> ModelSpec:
    """Letterboxed frames of SIDE x SIDE."""
    return ModelSpec(
        task=task,
        inputs=(ImageInput(size_hw=(SIDE, SIDE), batch=None, dtype="float16" if half else "float32"),),
        decoder=Decoder(name=decoder, params=params),
        labels=tuple(f"c{index}" for index in range(labels)),
        thresholds=Thresholds(confidence=0.6, iou=0.5),
    )


BOX = {0: (0, SIDE), 1: (0, SIDE), 2: (4, 40), 3: (4, 40)}
CORNERS = {0: (0, 30), 1: (0, 30), 2: (34, 64), 3: (34, 64), 5: (0, 3.9)}


def _dense(channels: int, anchors: int, **bounds: tuple[float, float]) -> tuple[Any, ...]:
    return (channels, anchors), *rows(channels, BOX, 0, anchors)


def _flat(count: int, channels: int, bounds: dict[int, tuple[float, float]]) -> tuple[Any, ...]:
    return (count, channels), *rows(channels, bounds, 1, count)


# name -> (spec's arguments, outputs as head takes them)
FAMILIES: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]]]] = {
    "yolo": ({"task": "detect", "decoder": "yolo"}, [_dense(8, 100)]),
    "yolo, offset": (
        {"task": "detect", "decoder": "yolo", "nms_class_offset": 7680.0},
        [_dense(8, 100)],
    ),
    "yolo, pose": (
        {"task": "pose", "decoder": "yolo", "labels": 1, "keypoints": 3, "keypoint_dims": 3},
        [
            (
                (14, 60),
                *rows(
                    14,
                    BOX | {5: (0, 64), 6: (0, 64), 8: (0, 64), 9: (0, 64), 11: (0, 64), 12: (0, 64)},
                    0,
                    60,
                ),
            )
        ],
    ),
    "yolo, masks": (
        {"task": "instances", "decoder": "yolo", "masks": 5},
        [((13, 50), *rows(13, BOX | {8 + i: (-1, 1) for i in range(5)}, 0, 50)), ((5, 16, 16), -1, 1)],
    ),
    "yolo, masks cut among prototypes": (
        {"task": "instances", "decoder": "yolo", "masks": 5, "mask_crop": "prototype"},
        [((13, 50), *rows(13, BOX | {8 + i: (-1, 1) for i in range(5)}, 0, 50)), ((5, 16, 16), -1, 1)],
    ),
    "yolo, rotated": (
        {"task": "oriented", "decoder": "yolo", "rotated": True},
        [((9, 60), *rows(9, BOX | {8: (-1.5, 1.5)}, 0, 60))],
    ),
    "yolo_end2end": ({"task": "detect", "decoder": "yolo_end2end"}, [_flat(30, 6, CORNERS)]),
    "yolo_end2end, rotated": (
        {"task": "oriented", "decoder": "yolo_end2end", "rotated": True},
        [_flat(30, 7, BOX | {5: (0, 3.9), 6: (-1.5, 1.5)})],
    ),
    "yolov5": ({"task": "detect", "decoder": "yolov5"}, [_flat(120, 9, BOX)]),
    "yolox": (
        {"task": "detect", "decoder": "yolox", "strides": (8, 16, 32)},
        [_flat(84, 9, {0: (-1, 1), 1: (-1, 1), 2: (-1, 1), 3: (-1, 1)})],
    ),
    "yolox, decoded": ({"task": "detect", "decoder": "yolox", "decoded": True}, [_flat(84, 9, BOX)]),
    "rtdetr": ({"task": "detect", "decoder": "rtdetr"}, [_flat(50, 8, {})]),
    "rtdetr, selected": (
        {"task": "detect", "decoder": "rtdetr", "selected": True},
        [_flat(50, 6, {5: (0, 3.9)})],
    ),
    "detr": (
        {"task": "detect", "decoder": "detr", "activation": "softmax"},
        [((40, 5), -3, 3), ((40, 4), 0, 1)],
    ),
    "detr, sigmoid": (
        {"task": "detect", "decoder": "detr", "activation": "sigmoid", "top_k": 60},
        [((40, 4), -3, 3), ((40, 4), 0, 1)],
    ),
    "class_logits": ({"task": "semantic", "decoder": "class_logits"}, [((4, 16, 16), -1, 1)]),
    "class_logits, one": (
        {"task": "semantic", "decoder": "class_logits", "labels": 1},
        [((1, 16, 16), -1, 1)],
    ),
    "scores": ({"task": "classify", "decoder": "scores"}, [((4,), -3, 3)]),
    "embedding": ({"task": "embed", "decoder": "embedding", "labels": 0}, [((12,), -1, 1)]),
}


def family(name: str, *, half: bool = False, batch: object = "batch") -> tuple[ModelSpec, bytes]:
    """(spec, network)."""
    arguments, outputs = FAMILIES[name]
    made = spec(**arguments, half=half)
    if batch != "batch":
        made = replace(made, inputs=(replace(made.inputs[0], batch=batch),))
    shapes, low, high = zip(*outputs, strict=True)
    return made, head(shapes, low, high, half=half, batch=batch)


def label_maps(element: int = LONG) -> tuple[ModelSpec, bytes]:
    """A network that gives a map of labels, of a type, (B, 16, 16)."""
    made = head([(16, 16)], [0], [3.99])
    import onnx

    model = onnx.load_from_string(made)
    model.graph.node.append(node("Cast", ["y0"], ["labels"], to=element))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("labels", element, ["batch", 16, 16]))
    return spec("semantic", "label_map"), model.SerializeToString()


def data_dependent() -> tuple[ModelSpec, bytes]:
    """A detector with a second output, of indices, of which there are as many as the data say."""
    model = onnx.load_from_string(head([(30, 6)], [np.zeros(6)], [np.array([30, 30, 64, 64, 1, 3.9])]))
    model.graph.node.append(node("ReduceMean", ["y0"], ["middle"], keepdims=0))
    model.graph.node.append(node("Greater", ["y0", "middle"], ["above"]))
    model.graph.node.append(node("NonZero", ["above"], ["where"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("where", LONG, [3, None]))
    return spec("detect", "yolo_end2end"), model.SerializeToString()
