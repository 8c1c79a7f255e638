"""Networks larger than one ONNX file holds, with the limit set to some kilobytes: their weights lie beside the file."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from small_networks import classifier  # noqa: E402

import edgevision as ev  # noqa: E402
from edgevision.cli.main import main  # noqa: E402
from edgevision.engines import build_engine  # noqa: E402
from edgevision.errors import ModelFileError  # noqa: E402
from edgevision.export import onnx_write, staging  # noqa: E402
from edgevision.export.errors import ExportError  # noqa: E402
from edgevision.export.network import Network  # noqa: E402
from edgevision.export.onnx_file import export_onnx  # noqa: E402
from edgevision.export.onnx_graph import trace_part  # noqa: E402
from edgevision.export.onnx_write import data_path, write_model  # noqa: E402
from edgevision.export.options import ExportOptions  # noqa: E402
from edgevision.export.pipeline import export_network  # noqa: E402
from edgevision.spec import read_onnx_header, read_onnx_io, read_onnx_numbers  # noqa: E402
from edgevision.spec.bundle import read_bundle  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, (32, 48, 3), np.uint8) for _ in range(2)]
OPTIONS = ExportOptions(images=PICTURES)
CLASSES = 300  # the head alone is 19 KB in float32


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def scores(path: Path, **options: object) -> np.ndarray:
    model = ev.load(path, **options)
    return np.concatenate([model(picture).confidence for picture in PICTURES])


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_write, "ONE_FILE_BYTES", 4096)


@pytest.fixture(scope="module")
def network() -> Network:
    return classifier(classes=CLASSES)


@pytest.fixture(scope="module")
def model(network: Network) -> onnx.ModelProto:
    return trace_part(network.parts[0])


@pytest.fixture(scope="module")
def exported(network: Network, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same network as bundles with its weights beside the graph, and in it."""
    folder = tmp_path_factory.mktemp("large")
    options = replace(OPTIONS, precisions=("fp32", "fp16"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_write, "ONE_FILE_BYTES", 4096)
        large = export_network(network, folder / "large", options).path
    return {"large": large, "whole": export_network(network, folder / "whole", options).path}


@pytest.fixture
def bundle(exported: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the large bundle, to be damaged."""
    return Path(shutil.copytree(exported["large"], tmp_path / "bundle"))


def test_a_bundle_lists_the_weights_beside_each_form(exported: dict[str, Path]) -> None:
    bundle = read_bundle(exported["large"])
    files = {one.file: (one.role, one.form) for one in bundle.files}
    assert files["model.onnx.data"] == files["model.fp16.onnx.data"] == ("data", "")
    assert files["model.onnx"] == ("model", "fp32")
    bundle.verify()
    assert not list(exported["whole"].glob("*.data"))
    rows = [json.loads((path / "report.json").read_text())["forms"] for path in exported.values()]
    for large, whole, name in zip(*rows, ("model.onnx.data", "model.fp16.onnx.data"), strict=True):
        assert (large["data"], whole["data"]) == (name, "")
        assert large["nodes"] == whole["nodes"]
        files_bytes = [(exported["large"] / one).stat().st_size for one in (large["file"], name)]
        assert large["bytes"] == sum(files_bytes)
        assert files_bytes[1] > files_bytes[0] > 0


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("form", ["fp32", "fp16"])
def test_it_computes_what_one_file_computes(exported: dict[str, Path], form: str, backend: str) -> None:
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    found = [scores(path, form=form, backend=backend) for path in exported.values()]
    assert np.array_equal(*found)
    assert found[0].std() > 0


def test_its_header_says_what_one_file_says(exported: dict[str, Path]) -> None:
    large, whole = (path / "model.onnx" for path in exported.values())
    assert read_onnx_io(large) == read_onnx_io(whole)
    assert read_onnx_numbers(large) == read_onnx_numbers(whole)
    assert read_onnx_header(large).metadata == read_onnx_header(whole).metadata
    assert read_onnx_header(large).opsets == read_onnx_header(whole).opsets
    ours, theirs = onnx.load(large), onnx.load(whole)
    assert {one.name: one.raw_data for one in ours.graph.initializer} == {
        one.name: one.raw_data for one in theirs.graph.initializer
    }
    assert list(ours.graph.node) == list(theirs.graph.node)
    assert main(["inspect", "--verify", str(exported["large"])]) == 0


@pytest.mark.parametrize("alone", [False, True], ids=["bundle", "its .onnx file without the manifest"])
@pytest.mark.parametrize(
    ("cut", "bundled", "lone"),
    [
        pytest.param(None, "names model.onnx.data, which is not in it", "which is not beside it", id="gone"),
        pytest.param(
            -1, "the bundle was written with", "has weights in it up to byte .* cut off", id="a byte short"
        ),
        pytest.param(0, "the bundle was written with", "is 0 bytes and model.onnx has weights", id="empty"),
    ],
)
def test_weights_that_are_not_there_are_named(
    bundle: Path, cut: int | None, bundled: str, lone: str, alone: bool
) -> None:
    data = bundle / "model.onnx.data"
    content = data.read_bytes()
    if cut is None:
        data.unlink()
    else:
        data.write_bytes(content[:cut])
    if alone:
        (bundle / "bundle.json").unlink()
    path = bundle / "model.onnx" if alone else bundle
    with pytest.raises(ModelFileError, match=lone if alone else bundled):
        ev.load(path, backend="onnxruntime", **({} if alone else {"form": "fp32"}))
    if not alone:
        ev.load(bundle, form="fp16", backend="onnxruntime")  # which is whole


@pytest.mark.parametrize("location", ["../elsewhere", "/etc/weights", "a/../../b", ".."])
def test_weights_outside_the_folder_are_refused(bundle: Path, location: str) -> None:
    model = onnx.load(bundle / "model.onnx", load_external_data=False)
    for weight in model.graph.initializer:
        for entry in weight.external_data:
            if entry.key == "location":
                entry.value = location
    (bundle / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match="which is not in its folder"):
        ev.load(bundle / "model.onnx", backend="onnxruntime")


def test_one_file_has_its_weights_beside_it_under_its_own_name(
    network: Network, exported: dict[str, Path], tmp_path: Path
) -> None:
    target = tmp_path / "own name.onnx"
    (tmp_path / "own name.onnx.data").write_text("an older export's")
    assert export_network(network, target, OPTIONS).path == target
    assert names(tmp_path) == ["own name.onnx", "own name.onnx.data"]
    assert np.array_equal(scores(target), scores(exported["whole"], form="fp32"))
    # A file that is there already is exported with the weights that it has beside it.
    again = export_onnx(target, tmp_path / "again", replace(OPTIONS, precisions=("fp32",))).path
    assert np.array_equal(scores(again), scores(target))


@pytest.mark.parametrize("older", [False, True], ids=["nothing before", "an older pair"])
@pytest.mark.parametrize("failing", [1, 2])
def test_both_files_appear_or_neither(
    model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int, older: bool
) -> None:
    target = tmp_path / "m.onnx"
    before = {}
    if older:
        before = {"m.onnx": b"old graph", "m.onnx.data": b"old weights"}
        for name, content in before.items():
            (tmp_path / name).write_bytes(content)
    calls = []

    def replace_or_fail(source: Path, goal: Path) -> None:
        calls.append(goal)
        if len(calls) == failing:
            raise PermissionError(13, "denied")
        replaced(source, goal)

    replaced = os.replace
    with staging.staged_folder(target.with_name("warm.onnx"), file="warm.onnx") as folder:
        write_model(model, folder / "warm.onnx")
    before |= {name: (tmp_path / name).read_bytes() for name in ("warm.onnx", "warm.onnx.data")}

    def export() -> None:
        with staging.staged_folder(target, file="m.onnx") as folder:
            write_model(model, folder / "m.onnx")
            monkeypatch.setattr(staging.os, "replace", replace_or_fail)

    with pytest.raises(ModelFileError, match="nothing was written"):
        export()
    assert calls == [data_path(target), target][:failing]
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_a_graph_that_cannot_be_written_leaves_no_weights(
    model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(graph: object, target: Path) -> None:
        assert data_path(target).stat().st_size > 4096
        raise ModelFileError("the disk is full")

    monkeypatch.setattr(onnx_write, "_write_graph", refuse)
    with pytest.raises(ModelFileError, match="full"):
        write_model(model, tmp_path / "m.onnx")
    assert names(tmp_path) == []


def test_a_smaller_model_takes_the_weights_of_the_larger_away(
    model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(model, tmp_path / "m.onnx")
    assert names(tmp_path) == ["m.onnx", "m.onnx.data"]
    monkeypatch.undo()
    write_model(model, tmp_path / "m.onnx")
    assert names(tmp_path) == ["m.onnx"]


def test_int8_of_it_is_refused(network: Network, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot be quantised to int8: its weights are more than the 2 GiB"):
        export_network(network, tmp_path / "m", ExportOptions(images=PICTURES * 10, precisions=("int8",)))
    assert names(tmp_path) == []


def test_an_engine_is_built_of_both_files(bundle: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
    built = build_engine(bundle, backend="tensorrt-rtx", targets="sm86", form="fp32")
    assert built.onnx == bundle / "model.onnx"
    assert built.bytes > CLASSES * 16 * 4  # its weights are in it
    read_bundle(bundle).verify()
    (bundle / "model.onnx.data").unlink()
    with pytest.raises(ModelFileError, match=r"names model.onnx.data, which is not in it"):
        build_engine(bundle, backend="tensorrt-rtx", targets="sm86", form="fp32")
