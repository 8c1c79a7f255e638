"""`edgevision export yolo`: the command, on Ultralytics' own definitions and on what it must refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgevision as ev
from edgevision.cli.main import main

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("ultralytics", reason="ultralytics is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from tiny_yolos import write_tiny_yolo  # noqa: E402

from edgevision.export.ultralytics_models import build_random_model  # noqa: E402
from edgevision.export.yolo import export_yolo  # noqa: E402

# torch's exporter and Ultralytics' library warn of their own internals.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)

FRAME = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)


def state_dict_of(folder: Path, kind: str, labels: tuple[str, ...]) -> tuple[Path, str]:
    name = write_tiny_yolo(folder, kind)
    torch.save(build_random_model(name, labels=labels).state_dict(), folder / "weights.pt")
    return folder / "weights.pt", name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "decoder"),
    [
        ("yolo11n", {"size_hw": (96, 160)}, "yolo"),
        ("yolo26n", {"size_hw": (96, 96)}, "yolo_end2end"),
        ("yolov8n-cls", {"size_hw": (64, 64)}, "scores"),
    ],
    ids=["v11", "v26", "classify"],
)
def test_a_published_network_becomes_a_model_that_runs(
    tmp_path: Path, name: str, arguments: dict, decoder: str
) -> None:
    done = export_yolo(name, tmp_path / f"{name}.onnx", random=True, **arguments)
    assert done.spec.decoder.name == decoder
    assert done.spec.inputs[0].size_hw == arguments["size_hw"]
    assert done.spec.source.random_weights
    model = ev.load(done.path)
    assert model.spec == done.spec
    assert len(model.labels) in (80, 1000)
    model(FRAME)
    assert [item.name for item in tmp_path.iterdir()] == [f"{name}.onnx"]


def test_the_command_exports_a_state_dict_and_tells_the_parity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, name = state_dict_of(tmp_path, "detect", ("bolt", "nut"))
    (tmp_path / "names.txt").write_text("bolt\nnut\n", encoding="ascii")
    target = tmp_path / "out" / "mine.onnx"
    command = ["export", "yolo", str(weights), "--model", name, "--labels", str(tmp_path / "names.txt")]
    assert main([*command, "--output", str(target), "--size", "64x96"]) == 0
    said = capsys.readouterr().out
    assert "output0 1x6x126: max" in said
    assert f"wrote    {target}" in said
    model = ev.load(target)
    assert model.spec.inputs[0].size_hw == (64, 96)
    assert model.labels == ("bolt", "nut")


def test_without_an_output_a_bundle_lies_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    weights, name = state_dict_of(tmp_path, "classify", ("bolt", "nut"))
    done = export_yolo(weights, model=name, labels=("bolt", "nut"), size_hw=(32, 32))
    assert done.path == Path("weights")
    assert (done.path / "model.onnx").is_file()
    assert ev.load(done.path).labels == ("bolt", "nut")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"state_dict": {"conv1.weight": torch.zeros(1)}}, "a state_dict (conv1.weight, ...)"),
        ({"epoch": 3, "optimizer": {}}, "holds no state_dict"),
        (torch.nn.Linear(2, 2), "holds a Linear, which is no network of Ultralytics'"),
    ],
    ids=["state_dict", "no weights", "another module"],
)
def test_a_foreign_checkpoint_says_what_it_holds(
    tmp_path: Path, content: object, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, tmp_path / "a.pt")
    assert main(["export", "yolo", str(tmp_path / "a.pt")]) == 1
    assert text in capsys.readouterr().err
    assert [item.name for item in tmp_path.iterdir()] == ["a.pt"]
