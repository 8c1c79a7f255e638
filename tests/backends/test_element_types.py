"""Networks of half-precision and uint8 tensors give the results of the float32 network, for every task and runtime.

The networks compute with numbers that float16 holds exactly, so that nothing but a mistake can make a difference: the
results must be equal, bit for bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_networks import CASES, IMAGE, LABELS, SIDE, write_case
from tiny_networks import BYTE, FLOAT, INT, LONG, network, node, require_backend

import edgevision as ev
from edgevision import Decoder, ImageInput, ModelSpec
from edgevision.spec import write_spec
from edgevision.tasks import preparation


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
    assert name == "embed" or len(whole) > 1
    assert all(array.any() for array in arrays_of(whole).values())
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


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_label_maps_of_every_integer_are_the_logits_argmax(backend: str, tmp_path: Path) -> None:
    require_backend(backend)
    image = ImageInput(size_hw=(SIDE, SIDE), resize="stretch", scale=1.0, dtype="uint8")
    spec = ModelSpec(task="semantic", inputs=(image,), decoder=Decoder(name="label_map"), labels=LABELS)
    # One colour a block of the map, so that its label is known.
    picture = np.random.default_rng(8).integers(0, 256, (SIDE // 4, SIDE // 4, 3), np.uint8)
    labels = (picture[:, :, 1] > picture[:, :, 2]).astype(int)  # green over red; the first of equals
    large = np.kron(picture, np.ones((4, 4, 1), np.uint8))
    for dtype, element in (("uint8", BYTE), ("int32", INT), ("int64", LONG)):
        nodes = [
            node("Cast", ["images"], ["x"], to=FLOAT),
            node("MaxPool", ["x"], ["blocks"], kernel_shape=[4, 4], strides=[4, 4]),
            node("Slice", ["blocks", "first", "last", "axis"], ["red_green"]),
            node("ArgMax", ["red_green"], ["best"], axis=1, keepdims=0),
            node("Cast", ["best"], ["labels"], to=element),
        ]
        weights = {"first": np.array([0]), "last": np.array([2]), "axis": np.array([1])}
        model = network(
            nodes, [("images", BYTE, [1, 3, SIDE, SIDE])], [("labels", element, [1, 4, 4])], weights
        )
        path = tmp_path / f"{dtype}.onnx"
        path.write_bytes(model.SerializeToString())
        found = ev.load(path, backend=backend, spec=spec)(large)
        assert found.labels.dtype == ("uint8" if dtype == "uint8" else "int32")
        assert np.array_equal(found.labels[::4, ::4], labels)
        assert np.array_equal(found.labels, np.kron(labels, np.ones((4, 4), int)))


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
