"""Networks that TensorRT-RTX really refuses: the message names the node, its operator, the reason and what to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")

from engine_networks import FLOAT, HALF, LONG, network, node, product, quantised

from edgevision.engines import BuildOptions, ShapeRange, build_engine
from edgevision.errors import BackendError, InputError, ModelFileError

SQUARE = [1, 3]


def unary(path: Path, operator: str, **options: object) -> Path:
    nodes = [node(operator, ["x"], ["y"], name="the_node", **options)]
    domains = [str(options["domain"])] if "domain" in options else []
    return network(path, nodes, [("x", FLOAT, SQUARE)], [("y", FLOAT, SQUARE)], domains=domains)


def nonzero(path: Path) -> Path:
    nodes = [node("NonZero", ["x"], ["y"], name="points")]
    return network(path, nodes, [("x", FLOAT, [4, 4])], [("y", LONG, [2, "k"])])


def suppression(path: Path) -> Path:
    nodes = [node("NonMaxSuppression", ["boxes", "scores", "most", "iou", "least"], ["y"], name="nms")]
    weights = {"most": np.int64([10]), "iou": np.float32([0.5]), "least": np.float32([0.25])}
    inputs = [("boxes", FLOAT, [1, 100, 4]), ("scores", FLOAT, [1, 80, 100])]
    return network(path, nodes, inputs, [("y", LONG, ["k", 3])], weights)


def regions(path: Path) -> Path:
    nodes = [node("RoiAlign", ["x", "rois", "at"], ["y"], name="pool", output_height=7, output_width=7)]
    inputs = [("x", FLOAT, [1, 8, 16, 16]), ("rois", FLOAT, [10, 4]), ("at", LONG, [10])]
    return network(path, nodes, inputs, [("y", FLOAT, [10, 8, 7, 7])])


def deformable(path: Path) -> Path:
    nodes = [node("DeformConv", ["x", "w", "shift"], ["y"], name="deform", kernel_shape=[1, 1])]
    inputs = [("x", FLOAT, [1, 3, 4, 4]), ("shift", FLOAT, [1, 2, 4, 4])]
    return network(
        path, nodes, inputs, [("y", FLOAT, [1, 3, 4, 4])], {"w": np.zeros((3, 3, 1, 1), np.float32)}
    )


def float_size(path: Path) -> Path:
    nodes = [
        node("Cast", ["size"], ["whole"], to=LONG, name="cast"),
        node("Slice", ["x", "start", "whole", "axis"], ["y"], name="crop"),
    ]
    inputs = [("x", FLOAT, [1, 8]), ("size", FLOAT, [1])]
    weights = {"start": np.int64([0]), "axis": np.int64([1])}
    return network(path, nodes, inputs, [("y", FLOAT, [1, "n"])], weights)


def whole_size(path: Path) -> Path:
    nodes = [node("Slice", ["x", "start", "size", "axis"], ["y"], name="crop")]
    inputs = [("x", FLOAT, [1, 8]), ("size", LONG, [1])]
    weights = {"start": np.int64([0]), "axis": np.int64([1])}
    return network(path, nodes, inputs, [("y", FLOAT, [1, "n"])], weights)


def best_4000(path: Path) -> Path:
    nodes = [node("TopK", ["x", "k"], ["values", "y"], name="best")]
    outputs = [("values", FLOAT, [1, 4000]), ("y", LONG, [1, 4000])]
    return network(path, nodes, [("x", FLOAT, [1, 8400])], outputs, {"k": np.int64([4000])})


def antialiased(path: Path) -> Path:
    nodes = [node("Resize", ["x", "", "scales"], ["y"], mode="linear", antialias=1, name="shrink")]
    weights = {"scales": np.float32([1, 1, 0.5, 0.5])}
    return network(path, nodes, [("x", FLOAT, [1, 3, 16, 16])], [("y", FLOAT, [1, 3, 8, 8])], weights)


def mixed_types(path: Path) -> Path:
    nodes = [node("Add", ["x", "h"], ["y"], name="sum")]
    return network(path, nodes, [("x", FLOAT, SQUARE), ("h", HALF, SQUARE)], [("y", FLOAT, SQUARE)])


def lists(path: Path) -> Path:
    nodes = [
        node("SequenceConstruct", ["x"], ["s"], name="pack"),
        node("SequenceAt", ["s", "i"], ["y"], name="unpack"),
    ]
    return network(path, nodes, [("x", FLOAT, SQUARE)], [("y", FLOAT, SQUARE)], {"i": np.int64(0)})


Make = Callable[[Path], Path]
# Each case: the network, and parts of the message: where, why, what to do.
CASES: dict[str, tuple[Make, tuple[str, ...]]] = {
    "an operator of another domain": (
        lambda path: unary(path, "Magic", domain="acme"),
        ("node 'the_node' (Magic): ", "Plugin not found", "; the builder has no such operator; export the module with"),
    ),
    "an operator of ONNX Runtime": (
        lambda path: unary(path, "QGemm", domain="com.microsoft"),
        ("node 'the_node' (QGemm): ", "; the builder has no such operator"),
    ),
    "NonZero": (
        nonzero,
        ("node 'points' (NonZero): ", "NonZero plugin", "the decoder's low-resolution masks, not the ONNX wrapper"),
    ),
    "NMS": (suppression, ("(node 'nms')", "no runners that implement it", "; keep it out of the graph: export the raw")),
    "RoiAlign": (regions, ("node 'pool' (RoiAlign): ", "plugin was not found", "; keep it out of the graph")),
    "deformable convolution": (deformable, ("node 'deform' (DeformConv): ", "; no engine has it")),
    "quantised bias": (
        lambda path: quantised(path, np.int8(0), bias=True),
        ("node 'bias_dequant' (DequantizeLinear): ", "Int32", "; the biases are quantised; use the TensorRT form of int8"),
    ),
    "asymmetric int8": (
        lambda path: quantised(path, np.int8(3)),
        ("node 'quant' (QuantizeLinear): ", "Non-zero zero point", "; the quantisation is not symmetric; use the Tens"),
    ),
    "a size computed in float": (
        float_size,
        ("node 'crop' (Slice): ", "is a shape tensor and must have type Int32 or Int64", "; sizes are computed with float"),
    ),
    "a size as an input": (whole_size, ("the values of input 'size' are sizes of other tensors", "with those sizes fixed")),
    "the best 4000": (best_4000, ("(node 'best')", "K exceeds the maximum value allowed (3840)", "; take at most 3840")),
    "antialiased resize": (antialiased, ("node 'shrink' (Resize): ", "Antialiasing", "; resize the image before")),
    "float32 and float16 added": (mixed_types, ("node 'sum' (Add): ", "must have same input types", "; an engine converts")),
    "lists of tensors": (
        lists, ("node 'pack' (SequenceConstruct): ", " | node 'unpack' (SequenceAt): ", "; engines have no lists of")
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "parts"), CASES.values(), ids=CASES.keys())
def test_a_refused_network_is_told_by_node_reason_and_remedy(
    make: Make, parts: tuple[str, ...], tmp_path: Path
) -> None:
    path = make(tmp_path / "m.onnx")
    with pytest.raises(BackendError) as caught:
        build_engine(path, backend="tensorrt-rtx", targets="sm86")
    text = str(caught.value)
    assert [part for part in parts if part not in text] == [], text
    # The builder's own places, and the CUDA error that every failure without a GPU trails behind it, are noise.
    for noise in ("/_src/", "cudaError", ".cpp", "Error Code", "\n"):
        assert noise not in text
    assert os.listdir(tmp_path) == ["m.onnx"]


@pytest.mark.parametrize("zero", [128, 0], ids=["zero point 128", "zero point 0"])
def test_unsigned_int8_is_refused_even_where_the_builder_takes_it_for_signed(
    zero: int, tmp_path: Path
) -> None:
    # With zero point 0 TensorRT-RTX parses it, warns, and clips activations of 128-255 at 127.
    path = quantised(tmp_path / "m.int8.onnx", np.uint8(zero))
    with pytest.raises(BackendError) as caught:
        build_engine(path, backend="tensorrt-rtx", targets="sm86")
    assert f"{path}: node 'quant' quantises to unsigned numbers" in str(caught.value)
    assert "model.int8-trt.onnx" in str(caught.value)


def test_a_truncated_file_is_refused_before_the_builder_sees_it(tmp_path: Path) -> None:
    path = product(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelFileError, match="it is truncated or damaged: copy or export it again"):
        build_engine(path, backend="tensorrt-rtx", targets="sm86")


def test_external_weights_are_read_and_missed(tmp_path: Path) -> None:
    path = product(tmp_path / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=0)
    assert build_engine(path, targets="sm86").bytes > 64 * 64 * 4
    (tmp_path / "m.bin").rename(tmp_path / "elsewhere.bin")
    with pytest.raises(ModelFileError, match=r"m.onnx has its weights in m.bin, which is not beside it"):
        build_engine(path, targets="sm86")


def test_an_unnamed_dimension_needs_a_profile(tmp_path: Path) -> None:
    path = network(
        tmp_path / "m.onnx",
        [node("Relu", ["x"], ["y"], name="relu")],
        [("x", FLOAT, [1, "length", 4])],
        [("y", FLOAT, [1, "length", 4])],
    )
    with pytest.raises(InputError) as caught:
        build_engine(path, targets="sm86")
    assert "input 'x' is 1xlengthx4, and the length of length is known at run time only" in str(caught.value)
    assert "--profile x=SHAPE:SHAPE:SHAPE" in str(caught.value)
    options = BuildOptions(profiles={"x": ShapeRange((1, 1, 4), (1, 8, 4), (1, 32, 4))})
    assert build_engine(path, targets="sm86", options=options).inputs[0].shape == (1, None, 4)


def test_a_refusal_leaves_the_next_build_alone(tmp_path: Path) -> None:
    with pytest.raises(BackendError):
        build_engine(nonzero(tmp_path / "bad.onnx"), targets="sm86")
    assert build_engine(product(tmp_path / "good.onnx"), targets="sm86").warnings == ()
