"""Networks of half-precision and uint8 tensors give the results of the float32 network, for every task and runtime.

The networks compute with numbers that float16 holds exactly, so that nothing but a mistake can make a difference: the
results must be equal, bit for bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_networks import CASES, IMAGE, SIDE, write_case
from tiny_networks import require_backend

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
