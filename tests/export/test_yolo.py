"""`edgevision export yolo`: Ultralytics checkpoints and the demo's own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import edgevision as ev
from edgevision.cli.main import main

os.environ.setdefault("YOLO_AUTOINSTALL", "0")
torch = pytest.importorskip("torch", reason="torch is not installed")
ultralytics = pytest.importorskip("ultralytics", reason="ultralytics is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from edgevision.export.yolo import export_yolo  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

FRAME = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)


def checkpoint(folder: Path, architecture: str) -> Path:
    torch.manual_seed(0)
    path = folder / f"{Path(architecture).stem}.pt"
    model = ultralytics.YOLO(architecture)
    for module in model.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.9, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    for parameter in model.model.model[-1].parameters():
        if parameter.ndim == 1 and parameter.numel() == 80:
            # Untrained classes all score alike, and which of equal scores a selecting head keeps is left open.
            torch.nn.init.normal_(parameter, -4, 1)
    model.save(path)
    return path


@pytest.mark.parametrize(
    ("architecture", "arguments", "decoder"),
    [
        ("yolo11n.yaml", {"size_hw": (96, 160)}, "yolo"),
        ("yolo26n.yaml", {"size_hw": (96, 96)}, "yolo_end2end"),
        ("yolo26n.yaml", {"size_hw": (96, 96), "end2end": False}, "yolo"),
        ("yolov8n-cls.yaml", {"size_hw": (64, 64)}, "scores"),
    ],
    ids=["v11", "v26", "v26 one to many", "classify"],
)
def test_an_ultralytics_checkpoint_becomes_a_model_that_runs(
    tmp_path: Path, architecture: str, arguments: dict, decoder: str
) -> None:
    done = export_yolo(checkpoint(tmp_path, architecture), **arguments)
    assert done.spec.decoder.name == decoder
    assert done.spec.inputs[0].size_hw == arguments["size_hw"]
    assert max(row.relative for row in done.parity) < 1e-4
    model = ev.load(done.path)
    assert model.spec == done.spec
    assert len(model.labels) in (80, 1000)
    model(FRAME)
    assert sorted(item.suffix for item in tmp_path.iterdir()) == [".onnx", ".pt"]


def test_a_dynamic_batch_takes_any_number(tmp_path: Path) -> None:
    done = export_yolo(checkpoint(tmp_path, "yolo11n.yaml"), size_hw=(64, 64), dynamic_batch=True)
    model = ev.load(done.path)
    assert model.session.inputs[0].shape[0] is None
    assert len(model([FRAME, FRAME, FRAME])) == 3


def test_the_command_exports_and_tells_the_parity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = checkpoint(tmp_path, "yolo11n.yaml")
    target = tmp_path / "out" / "mine.onnx"
    assert main(["export", "yolo", str(source), "--output", str(target), "--size", "64x96"]) == 0
    said = capsys.readouterr().out
    assert "parity   output0 1x84x126: max" in said
    assert f"wrote    {target}" in said
    assert ev.load(target).spec.inputs[0].size_hw == (64, 96)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            {"state_dict": {"a": torch.zeros(1)}},
            "neither an Ultralytics checkpoint nor one of train_conveyor",
        ),
        (torch.nn.Linear(2, 2), "neither an Ultralytics checkpoint"),
    ],
    ids=["state_dict", "another module"],
)
def test_a_foreign_checkpoint_says_what_it_holds(
    tmp_path: Path, content: object, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, tmp_path / "a.pt")
    assert main(["export", "yolo", str(tmp_path / "a.pt")]) == 1
    assert text in capsys.readouterr().err
    assert [item.name for item in tmp_path.iterdir()] == ["a.pt"]


def test_a_size_off_the_stride_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "yolo", str(checkpoint(tmp_path, "yolo11n.yaml")), "--size", "100"]) == 1
    assert "multiples of the network's stride 32, got (100, 100)" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.onnx"))


def test_an_interrupted_export_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = checkpoint(tmp_path, "yolo11n.yaml")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgevision.export.yolo.check_parity", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export_yolo(source, size_hw=(64, 64))
    assert [item.name for item in tmp_path.iterdir()] == [source.name]
