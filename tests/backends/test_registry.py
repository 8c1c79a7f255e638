"""Finding runtimes without importing them, and choosing one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgevision import backends
from edgevision.backends import BackendStatus, available_backends, open_session, registry
from edgevision.backends.registry import BACKENDS
from edgevision.errors import BackendError, InputError, MissingDependencyError, ModelFileError
from edgevision.spec import EngineKey, write_engine_sidecar


def absent(name: str, module: str = "no_such_runtime") -> registry.Backend:
    return replace(BACKENDS[name], module=module)


def test_public_names() -> None:
    assert backends.__all__ == sorted(backends.__all__)
    assert [name for name in backends.__all__ if not hasattr(backends, name)] == []


def test_looking_imports_no_runtime() -> None:
    code = (
        "import json, sys; from edgevision.backends import available_backends; available_backends();"
        "print(json.dumps([name for name in ('onnxruntime', 'openvino') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_every_backend_has_a_status() -> None:
    statuses = available_backends()
    assert [status.name for status in statuses] == list(BACKENDS)
    for status in statuses:
        assert status.available <= (status.mend == "")
        assert status.detail


def test_missing_backend_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "openvino", absent("openvino"))
    assert available_backends()[1] == BackendStatus(
        "openvino", False, "no_such_runtime is not installed", "pip install 'edgevision[openvino]'"
    )


def test_folder_that_a_removed_package_left_behind_is_no_backend(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "leftover_runtime").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(BACKENDS, "openvino", absent("openvino", "leftover_runtime"))
    assert not available_backends()[1].available


def test_package_without_metadata_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "openvino", replace(BACKENDS["openvino"], module="json", distributions=()))
    assert available_backends()[1] == BackendStatus("openvino", True, "json, of unknown version")


@pytest.mark.parametrize(
    ("installed", "file", "chosen"),
    [
        (("onnxruntime", "openvino"), "m.onnx", "onnxruntime"),
        (("openvino",), "m.onnx", "openvino"),
        (("openvino",), "m.ONNX", "openvino"),
        (("onnxruntime", "openvino"), "m.xml", "openvino"),
        (("onnxruntime", "openvino"), "m.ort", "onnxruntime"),
        (("onnxruntime", "openvino"), b"\x08\x08", "onnxruntime"),
    ],
)
def test_first_installed_backend_that_reads_the_file_is_chosen(
    installed: tuple[str, ...], file: str | bytes, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    for name, backend in dict(BACKENDS).items():
        module = "json" if name in installed else "no_such_runtime"
        fake = replace(
            backend,
            module=module,
            open=lambda model, device, options, name=name: called.append((name, model, device, options)),
        )
        monkeypatch.setitem(BACKENDS, name, fake)
    open_session(file, device="cpu", threads=2)
    assert called == [(chosen, file, "cpu", {"threads": 2})]


def test_no_installed_backend_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(BACKENDS):
        monkeypatch.setitem(BACKENDS, name, absent(name))
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgevision\[cpu\]'"):
        open_session("m.onnx")


@pytest.mark.parametrize("name", list(BACKENDS))
def test_chosen_backend_that_is_missing_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None in sys.modules is how Python marks a module that cannot be imported.
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=rf"needs {name}.*pip install 'edgevision\[[\w-]+\]'"):
        open_session(b"model", backend=name)


@pytest.mark.parametrize("name", list(BACKENDS))
def test_backend_that_is_broken_says_so(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text("raise ImportError('libgomp.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for loaded in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, loaded)
    with pytest.raises(
        BackendError, match=rf"{name} is installed but cannot be loaded: libgomp\.so\.1.*reinstall"
    ):
        open_session(b"model", backend=name)


def test_unknown_backend_lists_the_backends() -> None:
    with pytest.raises(
        InputError, match="no backend 'tflite'; the backends are onnxruntime, openvino, tensorrt, "
    ):
        open_session("m.onnx", backend="tflite")


@pytest.mark.parametrize("file", ["m.pt", "folder"])
def test_file_of_no_backend_lists_the_suffixes(file: str) -> None:
    with pytest.raises(
        ModelFileError, match=rf"'{file}'; model files end in \.engine, \.onnx, \.ort, \.plan, \.trt, \.xml"
    ):
        open_session(file)


@pytest.mark.parametrize("file", ["m.engine", "m.PLAN", "m.trt"])
def test_an_engine_is_refused_by_what_runs_networks(file: str) -> None:
    with pytest.raises(
        ModelFileError, match=rf"^{file} is an engine, which openvino does not run; leave out"
    ):
        open_session(file, backend="openvino")


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx", "tensorrt-rtx"])
def test_a_network_is_refused_by_what_runs_engines(name: str) -> None:
    with pytest.raises(
        ModelFileError, match=r"runs engines .*, and m\.onnx is none; build one: edgevision build"
    ):
        open_session("m.onnx", backend=name)


def test_an_engine_is_opened_by_its_runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    called = []
    for name in ("tensorrt", "tensorrt_rtx"):
        fake = replace(BACKENDS[name], open=lambda model, device, options, name=name: called.append(name))
        monkeypatch.setitem(BACKENDS, name, fake)
    rtx_head = (
        b"vtrt" + bytes(4) + (2).to_bytes(8, "little") + (40).to_bytes(8, "little") + b"\1\7\1t" + b"vtrt"
    )
    files = {"raw": b"ftrt" + bytes(60), "rtx": rtx_head + bytes(8), "keyed": b"ftrt" + bytes(60)}
    for name, content in files.items():
        (tmp_path / f"{name}.engine").write_bytes(content)
    key = EngineKey(backend="tensorrt_rtx", backend_version="1.7.1")
    write_engine_sidecar(tmp_path / "keyed.engine", None, key)
    for name in files:
        open_session(tmp_path / f"{name}.engine")
    assert called == ["tensorrt", "tensorrt_rtx", "tensorrt_rtx"]
