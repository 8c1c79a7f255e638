from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from small_networks import classifier  # noqa: E402

import edgevision as ev  # noqa: E402
from edgevision.errors import InputError  # noqa: E402
from edgevision.export.errors import ExportError  # noqa: E402
from edgevision.export.network import Axis, Network, Part  # noqa: E402
from edgevision.export.options import ExportOptions  # noqa: E402
from edgevision.export.pipeline import export_network  # noqa: E402
from edgevision.spec.bundle import bundle_part, read_bundle  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, size, np.uint8) for size in ((40, 60, 3), (64, 32, 3), (32, 48, 3))]
OPTIONS = ExportOptions(images=PICTURES)


class Decode(torch.nn.Module):
    def forward(self, logits: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        return logits.sum(1, keepdim=True) + points.sum(2)


def two_parts() -> Network:
    network = classifier()
    decoder = Part(
        role="decoder",
        module=Decode(),
        example=(torch.zeros(1, 6), torch.zeros(1, 3, 2)),
        inputs=("logits", "points"),
        outputs=("sums",),
        dynamic={"points": {1: Axis("points", high=32)}},
        feeds=lambda outputs: [
            {"logits": one["logits"], "points": np.ones((1, n, 2), np.float32)}
            for one in outputs
            for n in (1, 5)
        ],
    )
    return replace(network, parts=(*network.parts, decoder), files={"words.json": b"{}"})


def test_one_file_describes_itself(tmp_path: Path) -> None:
    network = classifier()
    done = export_network(network, tmp_path / "new" / "small.onnx", OPTIONS)
    assert [path.name for path in tmp_path.rglob("*")] == ["new", "small.onnx"]
    assert done.spec == network.spec
    [row] = done.parity
    assert row.tensors[0].relative < 1e-5
    model = ev.load(done.path)
    assert model.spec == network.spec
    with torch.no_grad():
        pixels = torch.from_numpy(PICTURES[2][None, :, :, ::-1].transpose(0, 3, 1, 2).copy()).float() / 255
        wanted = network.parts[0].module(pixels).softmax(1)[0]
    assert int(model(PICTURES[2]).class_id[0]) == int(wanted.argmax())


def test_a_bundle_holds_every_part_and_says_so(tmp_path: Path) -> None:
    done = export_network(two_parts(), tmp_path / "both", OPTIONS)
    bundle = read_bundle(done.path)
    networks = [(one.file, one.role, one.form) for one in bundle.files if one.form]
    assert networks == [("model.onnx", "model", "fp32"), ("decoder.onnx", "decoder", "fp32")]
    assert (done.path / "words.json").read_bytes() == b"{}"
    bundle.verify()
    assert bundle_part(done.path, "decoder", "fp16") == done.path / "decoder.onnx"
    assert ev.load(done.path).labels[0] == "class0"


def test_a_dynamic_batch_is_checked_at_one_two_and_three(tmp_path: Path) -> None:
    model = ev.load(export_network(classifier(batch=None), tmp_path / "any.onnx", OPTIONS).path)
    assert model.session.inputs[0].shape[0] is None
    assert [len(model(PICTURES[:count])) for count in (1, 2, 3)] == [1, 2, 3]


def test_a_fixed_batch_is_traced_and_compared_as_one(tmp_path: Path) -> None:
    model = ev.load(export_network(classifier(batch=3), tmp_path / "three.onnx", OPTIONS).path)
    assert model.session.inputs[0].shape[0] == 3
    assert len(model(PICTURES)) == 3


@pytest.mark.parametrize(
    ("network", "output", "precisions", "text"),
    [
        (two_parts, "a.onnx", ("fp32",), r"2 networks \(model, decoder\); export a bundle"),
        (classifier, "a.onnx", ("fp32", "fp16"), "one .onnx file has one precision, got fp32, fp16"),
        (classifier, "a", ("fp8",), "precisions must be one or more of fp32, fp16, int8, got 'fp8'"),
        (classifier, "a", (), "precisions must be one or more of fp32, fp16, int8, got none"),
    ],
    ids=["two parts in a file", "two precisions in a file", "unknown precision", "no precision"],
)
def test_requests_that_do_not_fit_are_refused(
    tmp_path: Path, network: object, output: str, precisions: tuple[str, ...], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        export_network(network(), tmp_path / output, replace(OPTIONS, precisions=precisions))
    assert not list(tmp_path.iterdir())


def test_a_network_that_computes_otherwise_in_a_trace_is_refused(tmp_path: Path) -> None:
    class Unsteady(torch.nn.Module):
        """Another constant each time it is called: the trace keeps one of them."""

        calls = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return images.mean((2, 3)) + self.calls

    network = classifier()
    part = replace(network.parts[0], module=Unsteady())
    with pytest.raises(ExportError, match="logits 1x3: max"):
        export_network(replace(network, parts=(part,)), tmp_path / "bad", OPTIONS)
    assert not list(tmp_path.iterdir())
