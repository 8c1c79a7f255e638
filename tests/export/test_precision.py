"""Half precision: the halved module, float32 islands in its graph, and when they are asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from small_networks import SmallClassifier, classifier  # noqa: E402

from edgevision.backends.registry import open_session  # noqa: E402
from edgevision.export.errors import ExportError  # noqa: E402
from edgevision.export.float_islands import add_float_islands  # noqa: E402
from edgevision.export.golden import Frame  # noqa: E402
from edgevision.export.half_rounding import round_like_half  # noqa: E402
from edgevision.export.network import Part  # noqa: E402
from edgevision.export.onnx_graph import trace_part  # noqa: E402
from edgevision.export.options import ExportOptions  # noqa: E402
from edgevision.export.pipeline import export_network  # noqa: E402
from edgevision.export.precision import half_part  # noqa: E402
from edgevision.export.preprocessing import compare_preprocessing  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, (40, 60, 3), np.uint8) for _ in range(2)]


class Overflows(SmallClassifier):
    """A sum of squares that float16 cannot hold, and float32 can; the rest is as in any network."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.first(images) * 60
        energy = (features**2).sum((1, 2, 3), keepdim=True).sqrt()
        return self.head((self.second(features) / (energy / 100)).mean((2, 3)))


def overflowing() -> Part:
    return replace(classifier().parts[0], module=Overflows().eval())


def types(model: onnx.ModelProto) -> set[int]:
    return {one.data_type for one in model.graph.initializer if len(one.dims) > 1}


def io_types(model: onnx.ModelProto) -> list[int]:
    return [one.type.tensor_type.elem_type for one in (*model.graph.input, *model.graph.output)]


def test_a_halved_part_has_half_weights_and_float_ends() -> None:
    part = classifier().parts[0]
    model = trace_part(half_part(part))
    assert types(model) == {onnx.TensorProto.FLOAT16}
    assert io_types(model) == [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT]
    assert part.module.first.weight.dtype == torch.float32  # the original is as it was
    model = trace_part(half_part(part, half_io=True))
    assert io_types(model) == [onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT16]


def test_a_part_may_halve_itself() -> None:
    made = []

    class Mine(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            made.append(images.dtype)
            return images.half().mean((2, 3)).float()

    part = replace(classifier().parts[0], half=Mine)
    for half_io, kind in ((False, torch.float32), (True, torch.float16)):
        halved = half_part(part, half_io)
        assert halved.module(torch.ones(1, 3, 4, 4, dtype=kind)).dtype == kind
        assert made.pop() == torch.float32  # its own contract


def test_a_module_that_cannot_be_copied_says_so() -> None:
    class Stubborn(torch.nn.Module):
        def __deepcopy__(self, memo: object) -> object:
            raise TypeError("not me")

    with pytest.raises(ExportError, match="part 'model' cannot be halved: not me; export it in fp32 alone"):
        half_part(replace(classifier().parts[0], module=Stubborn()))


def test_islands_compute_in_float32() -> None:
    model, counts = add_float_islands(trace_part(half_part(classifier().parts[0])))
    onnx.checker.check_model(model)
    assert counts["LayerNormalization"] == counts["Softmax"] == 1
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    kinds = {one.name: one.type.tensor_type.elem_type for one in inferred.graph.value_info}
    for node in model.graph.node:
        if node.op_type in ("LayerNormalization", "Softmax"):
            assert {kinds[name] for name in (node.input[0], node.output[0])} == {onnx.TensorProto.FLOAT}
    assert io_types(model) == [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT]


def run(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    session = open_session(model.SerializeToString(), backend="onnxruntime")
    return session.run({"images": images})["logits"].copy()


def test_rounding_like_half_is_what_a_halved_module_computes() -> None:
    part = classifier().parts[0]
    half = half_part(part)
    model = round_like_half(trace_part(half))
    onnx.checker.check_model(model)
    assert io_types(model) == [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT]
    images = RNG.uniform(0, 1, (1, 3, 32, 48)).astype(np.float32)
    with torch.no_grad():
        exact, rounded = (
            part.module(torch.from_numpy(images)).numpy(),
            half.module(torch.from_numpy(images)).numpy(),
        )
    found = run(model, images)
    # Steps of float16 are 2 ** -8 between 4 and 8; torch's own half rounds in other places within an operator.
    np.testing.assert_allclose(found, rounded, atol=3 * 2**-7)
    assert 1e-4 < np.abs(found - exact).max() < 0.1


def test_an_overflow_that_processors_hide_shows_and_islands_mend_it() -> None:
    part = overflowing()
    images = RNG.uniform(0, 1, (1, 3, 32, 48)).astype(np.float32)
    with torch.no_grad():
        want = part.module(torch.from_numpy(images)).numpy()
    plain = trace_part(half_part(part))
    mended, counts = add_float_islands(plain)
    assert {"Pow", "Sqrt"} <= set(counts)
    np.testing.assert_allclose(run(plain, images), want, atol=0.05)  # in float32 between the casts
    assert np.abs(run(round_like_half(plain), images) - want).max() > 1
    np.testing.assert_allclose(run(round_like_half(mended), images), want, atol=0.05)


def test_an_export_takes_islands_where_parity_asks_for_them(tmp_path: Path) -> None:
    options = ExportOptions(precisions=("fp16",), images=PICTURES)
    network = replace(classifier(), parts=(overflowing(),))
    [form] = export_network(network, tmp_path / "a", options).report["forms"]
    assert form["float_operators"]
    assert "Normalisation and softmax compute in float32, as in half precision" in form["notes"][0]
    [form] = export_network(classifier(), tmp_path / "b", options).report["forms"]
    assert not form["float_operators"]
    [form] = export_network(classifier(), tmp_path / "c", replace(options, float_islands=True)).report[
        "forms"
    ]
    assert form["float_operators"]
    assert not form["notes"]


def torch_preprocess(image: np.ndarray) -> np.ndarray:
    """The spec of `small_networks.classifier` with OpenCV's resize."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    resized = cv2.resize(image, (48, 32), interpolation=cv2.INTER_LINEAR)
    return resized[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255


def test_preprocessing_is_compared_with_the_sources_own(tmp_path: Path) -> None:
    frames = [Frame(f"f{i}", one) for i, one in enumerate(PICTURES)]
    network = replace(classifier(), preprocess=torch_preprocess)
    found = compare_preprocessing(network, frames)
    assert found is not None
    assert found.max_levels <= 1.001
    assert found.mean_levels < 0.5
    assert compare_preprocessing(classifier(), frames) is None
    wrong = replace(network, preprocess=lambda image: torch_preprocess(image)[:, ::-1])
    with pytest.raises(ExportError, match=r"is not the source's: \d+\.\d+ grey levels apart in the mean"):
        compare_preprocessing(wrong, frames)
    other = replace(network, preprocess=lambda image: torch_preprocess(image)[:, :, :8])
    with pytest.raises(
        ExportError, match=r"a tensor \(1, 3, 32, 48\), the source's own preprocessing \(1, 3, 8"
    ):
        compare_preprocessing(other, frames)
    report = export_network(network, tmp_path / "b", ExportOptions(images=PICTURES)).report
    assert report["preprocessing"]["max_levels"] <= 1.001
