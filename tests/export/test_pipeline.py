from __future__ import annotations

import json
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
    row = done.parity[0]
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
    with np.load(done.path / "golden.npz", allow_pickle=False) as golden:
        # What the decoder took of the model is there once, under the model's key.
        assert [str(golden[f"decoder.{run}.input.logits"]) for run in range(4)] == [
            f"model.{frame}.output.logits" for frame in (0, 0, 1, 1)
        ]
        assert golden["decoder.1.input.points"].shape == (1, 5, 2)


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
            return images.mean((2, 3)).repeat(1, 2) + self.calls

    network = classifier()
    part = replace(network.parts[0], module=Unsteady())
    with pytest.raises(ExportError, match="logits 1x6: max"):
        export_network(replace(network, parts=(part,)), tmp_path / "bad", OPTIONS)
    assert not list(tmp_path.iterdir())


SCENES = [np.kron(RNG.integers(0, 256, (6, 8, 3), np.uint8), np.ones((7, 7, 1), np.uint8)) for _ in range(24)]


def test_every_precision_is_written_judged_and_described(tmp_path: Path) -> None:
    options = ExportOptions(precisions=("fp32", "fp16", "int8"), images=SCENES)
    done = export_network(classifier(), tmp_path / "all", options)
    bundle = read_bundle(done.path)
    bundle.verify()
    assert bundle.forms() == ("fp32", "fp16", "int8", "int8-trt")
    on_disk = {path.relative_to(done.path).as_posix() for path in done.path.rglob("*") if path.is_file()}
    assert on_disk == {"bundle.json", *(one.file for one in bundle.files)}
    report = json.loads((done.path / "report.json").read_text())
    assert report == done.report
    assert [one["form"] for one in report["forms"]] == ["fp32", "fp16", "int8", "int8-trt"]
    assert report["calibration"]["pictures"] >= 16
    assert all(one["nodes"] > 5 and one["bytes"] > 1000 for one in report["forms"])
    text = (done.path / "report.md").read_text()
    assert all(one.file in text for one in bundle.networks())
    assert "frame_0.jpg" in text
    with np.load(done.path / "golden.npz", allow_pickle=False) as golden:
        assert golden["frame.0"].dtype == np.uint8
        result = json.loads(str(golden["result.0"]))
        model = ev.load(done.path / "model.onnx")
        assert model(golden["frame.0"]).class_id[0] == result["classes"][0]["class_id"]
        assert golden["model.0.output.logits"].shape == (1, 6)


def test_half_precision_inputs_and_outputs(tmp_path: Path) -> None:
    options = replace(OPTIONS, precisions=("fp16",), half_io=True)
    done = export_network(classifier(batch=None), tmp_path / "half.onnx", options)
    assert done.spec.inputs[0].dtype == "float16"
    model = ev.load(done.path)
    assert model.spec == done.spec
    assert [one.dtype for one in (*model.session.inputs, *model.session.outputs)] == ["float16", "float16"]
    assert len(model(PICTURES)) == 3


def test_a_part_without_a_precision_stays_in_float(tmp_path: Path) -> None:
    network = two_parts()
    decoder = replace(network.parts[1], precisions=("fp32",))
    network = replace(network, parts=(network.parts[0], decoder))
    done = export_network(network, tmp_path / "b", replace(OPTIONS, precisions=("fp16",)))
    networks = [one.file for one in read_bundle(done.path).files if one.form]
    assert networks == ["model.fp16.onnx", "decoder.onnx"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (ExportOptions(precisions=("int8",)), "int8 needs 20 pictures or more, .* got 0; pass a folder"),
        (ExportOptions(precisions=("int8",), images=PICTURES), "int8 needs 20 pictures or more, .* got 3"),
        (ExportOptions(images="no such folder"), "images must be a folder of pictures, got no such folder"),
        (ExportOptions(images=[np.zeros((4, 4))]), r"images\[0\] must be a uint8 \(H, W, 3\) BGR array"),
    ],
    ids=["int8 without pictures", "int8 with few", "no folder", "no picture"],
)
def test_pictures_that_do_not_do_are_refused(tmp_path: Path, options: ExportOptions, text: str) -> None:
    with pytest.raises(InputError, match=text):
        export_network(classifier(), tmp_path / "b", options)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_export_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_network(classifier(), tmp_path / "b", OPTIONS)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgevision.export.build.judge_form", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export_network(classifier(), tmp_path / "b", OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        export_network(classifier(), tmp_path / "new", OPTIONS)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
