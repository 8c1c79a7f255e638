from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgevision.cli.build import _size
from edgevision.cli.main import main
from edgevision.cli.progress import ShareProgress

pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")


@pytest.fixture
def model(model_path: Path, tmp_path: Path) -> Path:
    """A copy of the shipped detector, so that the engine lands beside it."""
    return Path(shutil.copy(model_path, tmp_path / "m.onnx"))


def test_build_writes_an_engine_and_inspect_shows_it(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(model), "--target", "sm86,sm89", "--workspace", "1G", "--no-tf32"]) == 0
    engine = model.with_name("m.rtx-sm86+89.engine")
    printed = capsys.readouterr().out
    assert f"engine   {engine}" in printed
    assert "for      compute capability 8.6 8.9, tensorrt_rtx" in printed
    assert main(["inspect", str(engine), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["plan"]["whole"]
    assert facts["key"]["options"]["workspace"] == 1 << 30
    assert facts["key"]["options"]["tf32"] is False
    assert facts["spec"]["task"] == "detect"
    assert facts["inputs"][0]["name"] == "images"
    assert main(["inspect", str(engine)]) == 0
    assert "bytes, whole" in capsys.readouterr().out


def test_build_prints_json(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = model.with_name("own.plan")
    assert main(["build", str(model), "--target", "86", "--output", str(engine), "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts["path"] == str(engine)
    assert facts["bytes"] == facts["plan_size"] == engine.stat().st_size
    assert facts["key"]["precision"] == "fp32"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "trt"], "there is no engine builder 'trt'; the builders are tensorrt, tensorrt-rtx"),
        (["--target", "sm99"], "there is no target 'sm99'; the targets are sm75, sm80"),
        (["--profile", "images"], "a profile must be INPUT=LEAST:BEST:GREATEST"),
        (["--form", "fp16"], "is no bundle, so it has no forms or parts"),
        (["--form", "fp16,fp32", "--output", "x.engine"], "--output names one engine, and 2 are to be built"),
        (["--timing-cache", ""], "TensorRT-RTX has no option timing_cache; its options are"),
    ],
)
def test_bad_arguments_are_told_with_what_is_accepted(
    arguments: list[str], message: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--backend" not in arguments:
        arguments = [*arguments, "--backend", "tensorrt-rtx"]
    assert main(["build", str(model), *arguments]) == 1
    assert message in capsys.readouterr().err
    assert [path.name for path in model.parent.iterdir()] == ["m.onnx"]


@pytest.mark.parametrize(
    ("text", "size"), [("5", 5), ("512M", 512 << 20), ("2g", 2 << 30), ("3KiB", 3072), ("1GB", 1 << 30)]
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert _size(text) == size


def test_the_progress_line_shows_the_share_and_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    class Terminal:
        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> None:
            written.append(text)

        def flush(self) -> None:
            pass

    monkeypatch.setattr("edgevision.cli.progress._INTERVAL_S", 0.0)
    line = ShareProgress("building model", Terminal())  # type: ignore[arg-type]
    line.update(0.5, "Optimizing graph")
    line.close()
    assert written == [f"\rbuilding model [{'#' * 14}{' ' * 14}]  50%  Optimizing graph\033[K", "\r\033[K"]
