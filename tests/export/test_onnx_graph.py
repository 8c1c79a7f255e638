"""Tracing: names, dynamic dimensions, both tracers, and what is said when it fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from edgevision.backends.registry import open_session  # noqa: E402
from edgevision.errors import InputError  # noqa: E402
from edgevision.export.errors import ExportError, explain_trace_failure  # noqa: E402
from edgevision.export.network import Axis, Part  # noqa: E402
from edgevision.export.onnx_graph import LEGACY_OPSET, trace_part  # noqa: E402
from edgevision.export.onnx_write import write_model  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Prompted(torch.nn.Module):
    """A map of half the image's size, and a sum over a free number of points."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.down = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.up = torch.nn.Conv2d(4, 2, 1)

    def forward(self, images: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.up(torch.relu(self.down(images)))
        return found, points.sum((1, 2)) + found.mean((1, 2, 3))


PART = Part(
    module=Prompted().eval(),
    example=(torch.zeros(1, 3, 32, 64), torch.zeros(1, 3, 2)),
    inputs=("images", "points"),
    outputs=("map", "sum"),
    dynamic={
        "images": {2: Axis("h", multiple=32, low=32, high=256), 3: Axis("w", multiple=32, low=32, high=256)},
        "points": {1: Axis("points", high=32)},
    },
)


def shapes(model: onnx.ModelProto) -> dict[str, list[int | str]]:
    values = [*model.graph.input, *model.graph.output]
    return {
        value.name: [one.dim_param or one.dim_value for one in value.type.tensor_type.shape.dim]
        for value in values
    }


def run(model: onnx.ModelProto, *inputs: np.ndarray) -> dict[str, np.ndarray]:
    session = open_session(model.SerializeToString(), backend="onnxruntime")
    return dict(session.run(dict(zip(("images", "points"), inputs, strict=False))))


def test_several_inputs_and_outputs_of_any_size() -> None:
    model = trace_part(PART, batch=None)
    found = shapes(model)
    assert list(found) == ["images", "points", "map", "sum"]
    assert found["images"] == ["batch", 3, "32*h", "32*w"]
    assert found["points"] == ["batch", "points", 2]
    assert found["map"][0] == found["sum"][0] == "batch"
    rng = np.random.default_rng(0)
    for batch, height, width, points in ((1, 32, 32, 1), (2, 64, 32, 3), (3, 96, 128, 7)):
        images = rng.normal(0, 1, (batch, 3, height, width)).astype(np.float32)
        marks = rng.normal(0, 1, (batch, points, 2)).astype(np.float32)
        got = run(model, images, marks)
        with torch.no_grad():
            wants = PART.module(torch.from_numpy(images), torch.from_numpy(marks))
        for name, want in zip(("map", "sum"), wants, strict=True):
            # Sums of a few hundred float32 in another order.
            np.testing.assert_allclose(got[name], want.numpy(), atol=1e-5)


def test_a_fixed_batch_and_size() -> None:
    model = trace_part(replace(PART, dynamic={}), batch=2)
    assert shapes(model) == {
        "images": [2, 3, 32, 64],
        "points": [2, 3, 2],
        "map": [2, 2, 16, 32],
        "sum": [2],
    }


def test_the_legacy_tracer_is_used_where_the_part_says_so() -> None:
    legacy = replace(PART, dynamic={}, tracer="legacy")
    model = trace_part(legacy, batch=None)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", LEGACY_OPSET)]
    assert "Identity" not in {node.op_type for node in model.graph.node}
    assert shapes(model)["images"][0] == shapes(model)["map"][0] == "batch"
    images, points = np.ones((3, 3, 32, 64), np.float32), np.ones((3, 3, 2), np.float32)
    with torch.no_grad():
        want = PART.module(torch.from_numpy(images), torch.from_numpy(points))[0]
    np.testing.assert_allclose(run(model, images, points)["map"], want.numpy(), atol=1e-5)


def test_the_file_names_no_local_path(tmp_path: Path) -> None:
    data = write_model(trace_part(PART), tmp_path / "a.onnx").read_bytes()
    assert b"/test_onnx_graph" not in data
    assert str(Path(__file__).parent).encode() not in data


class Branches(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images if images.sum() > 0 else -images


class Frozen(torch.nn.Module):
    """Its output has the example's batch, whatever is fed."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.ones(2, 3) * images.mean()


@pytest.mark.parametrize(
    ("module", "batch", "text"),
    [
        (Branches(), 1, r"the network cannot be traced \(model\): .*compute with masks \(torch.where\)"),
        (Frozen(), None, "output 'map' lost its batch dimension in the trace"),
    ],
    ids=["branches on values", "fixed batch"],
)
def test_what_cannot_be_traced_says_why(module: torch.nn.Module, batch: int | None, text: str) -> None:
    part = Part(module=module, example=(torch.zeros(1, 3, 4, 4),), inputs=("images",), outputs=("map",))
    with pytest.raises(ExportError, match=text):
        trace_part(part, batch=batch)


def test_an_operator_that_onnx_lacks_is_named() -> None:
    class Unknown(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvals(images @ images.mT).real

    part = Part(module=Unknown(), example=(torch.rand(1, 3, 4, 4),), inputs=("images",), outputs=("map",))
    with pytest.raises(ExportError, match=r"operator aten\.linalg_eig: .*leave it out of the network"):
        trace_part(part)


def test_the_legacy_tracers_words_are_understood() -> None:
    error = RuntimeError(
        "Exporting the operator 'aten::foo' to ONNX opset version 17 is not supported.\nMore"
    )
    assert explain_trace_failure(error).startswith("operator aten::foo: Exporting the operator")


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (replace(PART, tracer="other"), "tracer must be 'dynamo' or 'legacy', got 'other'"),
        (replace(PART, dynamic={"image": {0: Axis("n")}}), "part 'model' has no input image"),
    ],
    ids=["tracer", "input"],
)
def test_a_part_that_contradicts_itself_is_refused(part: Part, text: str) -> None:
    with pytest.raises(InputError, match=text):
        trace_part(part)
