from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgevision.cli.main import main
from edgevision.doctor import general as doctor


def test_inspect_shows_spec_tensors_and_hash(model_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(model_path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["sha256"] == hashlib.sha256(model_path.read_bytes()).hexdigest()
    assert facts["spec"]["task"] == "detect"
    assert facts["inputs"][0]["name"] == "images"
    assert facts["outputs"][0]["name"] == "output0"
    assert main(["inspect", str(model_path)]) == 0
    assert facts["sha256"] in capsys.readouterr().out


def test_inspect_of_a_model_without_a_spec_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper = onnx.helper
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph), tmp_path / "bare.onnx")
    assert main(["inspect", str(tmp_path / "bare.onnx")]) == 1
    said = capsys.readouterr().out
    assert "input     x  float32 [1, 3]" in said
    assert "spec      none" in said


def test_doctor_names_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["doctor", "--json"])
    checks = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert status == (1 if any(row["status"] == "problem" for row in checks.values()) else 0)
    assert sys.executable in checks["edgevision"]["detail"]
    assert checks["runtime onnxruntime"]["status"] == "ok"
    assert {"machine", "native kernels", "opencv", "NVIDIA GPU", "export"} <= set(checks)
    assert {"runtime tensorrt", "runtime tensorrt_rtx"} <= set(checks)  # what runs engines builds them too
    assert main(["doctor"]) == status
    assert "native kernels" in capsys.readouterr().out


def test_every_problem_and_missing_runtime_comes_with_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    monkeypatch.setattr(doctor, "available_backends", list)
    monkeypatch.setattr(doctor, "native", None)
    monkeypatch.setattr(doctor, "native_error", "the native extension could not be imported")
    checks = {check.name: check for check in doctor.examine()}
    assert checks["native kernels"].status == "problem"
    assert "EDGEVISION_REQUIRE_NATIVE=1" in checks["native kernels"].mend
    assert checks["runtimes"].mend.endswith("-m pip install 'edgevision[cpu]'")
    assert checks["export"].status == "missing"


def test_two_opencvs_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"opencv-python": "4.10", "opencv-python-headless": "5.0"}
    monkeypatch.setattr(doctor, "_version", versions.get)
    check = next(check for check in doctor.examine() if check.name == "opencv")
    assert check.status == "problem"
    assert "pip uninstall -y opencv-python opencv-python-headless" in check.mend


@pytest.mark.parametrize("absent", ["torch", "onnx"])
def test_export_without_its_libraries_names_the_extra(absent: str) -> None:
    code = (
        f"import sys; sys.modules[{absent!r}] = None; from edgevision.cli.main import main;"
        "sys.exit(main(['export', 'yolo', 'x.pt']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'edgevision[export]'" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["build", "--help"], ["export", "--help"], ["export", "yolo", "--help"]],
    ids=" ".join,
)
def test_help_is_there_at_every_level(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if "export" in arguments:
        pytest.importorskip("torch", reason="torch is not installed")
        pytest.importorskip("onnx", reason="onnx is not installed")
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("usage: edgevision")
