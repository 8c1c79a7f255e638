"""`load` on bundles: forms, damage, random weights."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import edgevision as ev  # noqa: E402
from edgevision.cli.main import main  # noqa: E402
from edgevision.errors import InputError, ModelFileError, RandomWeightsWarning  # noqa: E402
from edgevision.spec import Decoder, ImageInput, ModelSpec, Source, write_spec  # noqa: E402
from edgevision.spec.bundle import describe_file, write_manifest  # noqa: E402

CPU = ("onnxruntime", "openvino")
FRAME = np.zeros((8, 8, 3), np.uint8)
SPEC = ModelSpec(
    task="classify",
    inputs=(ImageInput(size_hw=(4, 4), resize="stretch"),),
    decoder=Decoder(name="scores"),
    source=Source(framework="tests"),
)


def write_network(path: Path, bias: float, spec: ModelSpec = SPEC) -> Path:
    """Scores (1, 3): the mean of each channel plus `bias`, by which the file is known."""
    helper = onnx.helper
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images", "axes"], ["means"], keepdims=0),
            helper.make_node("Add", ["means", "bias"], ["scores"]),
        ],
        "mean",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [1, 3])],
        [
            onnx.numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
            onnx.numpy_helper.from_array(np.array([bias], np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    write_spec(path, spec)
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "b"
    folder.mkdir()
    files = []
    for index, (form, name) in enumerate(
        (("fp32", "model.onnx"), ("fp16", "model.fp16.onnx"), ("int8", "model.int8.onnx"))
    ):
        write_network(folder / name, 0.25 * index)
        files.append(describe_file(folder, name, "model", form, CPU))
    write_manifest(folder, files)
    return folder


@pytest.mark.parametrize(
    ("form", "score", "loaded"),
    [(None, 0.5, "int8"), ("fp32", 0.0, "fp32"), ("fp16", 0.25, "fp16"), ("int8", 0.5, "int8")],
)
def test_the_form_is_chosen_and_said(bundle: Path, form: str | None, score: float, loaded: str) -> None:
    with ev.load(bundle, form=form) as model:
        assert model.form == loaded
        assert f"form={loaded!r}" in repr(model)
        assert model.clone().form == loaded
        assert model(FRAME).confidence.tolist() == [score] * 3


def test_a_file_of_a_bundle_has_its_form(bundle: Path, tmp_path: Path) -> None:
    assert ev.load(bundle / "model.fp16.onnx").form == "fp16"
    assert ev.load(write_network(tmp_path / "alone.onnx", 0.0)).form == "fp32"
    with pytest.raises(
        InputError, match=r"form='fp16' chooses among the forms of a bundle, and .* is one file"
    ):
        ev.load(bundle / "model.onnx", form="fp16")
    with pytest.raises(InputError, match="has no form 'fp8'; its forms: fp32, fp16, int8"):
        ev.load(bundle, form="fp8")
    with pytest.raises(InputError, match="there is no backend 'tenserrt'"):
        ev.load(bundle, backend="tenserrt")


def test_a_damaged_bundle_says_which_file(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--verify", str(bundle)]) == 0
    said = capsys.readouterr().out
    assert "verified  all 3 files are as they were written" in said
    assert "bundle    model.int8.onnx" in said
    assert "for onnxruntime, openvino" in said
    data = bytearray((bundle / "model.int8.onnx").read_bytes())
    data[-1] ^= 1
    (bundle / "model.int8.onnx").write_bytes(data)
    assert main(["inspect", "--verify", str(bundle)]) == 1
    assert "model.int8.onnx has another SHA-256" in capsys.readouterr().err
    (bundle / "model.int8.onnx").write_bytes(data[:-2])
    with pytest.raises(
        ModelFileError, match=r"model\.int8\.onnx is \d+ bytes and the bundle was written with"
    ):
        ev.load(bundle)
    (bundle / "model.int8.onnx").unlink()
    with pytest.raises(ModelFileError, match=r"names model\.int8\.onnx, which is not in it"):
        ev.load(bundle)
    assert ev.load(bundle, form="fp32").form == "fp32"
    assert main(["inspect", "--verify", str(bundle / "model.onnx")]) == 1
    assert "--verify compares a bundle with its bundle.json" in capsys.readouterr().err


def test_random_weights_are_said_when_a_model_is_loaded_and_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = replace(SPEC, source=Source(random_weights=True))
    path = write_network(tmp_path / "random.onnx", 0.0, spec)
    with pytest.warns(RandomWeightsWarning, match="are random: it serves to measure time") as caught:
        ev.load(path)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    ev.write_image(tmp_path / "a.png", FRAME)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["run", str(path), str(tmp_path / "a.png")]) == 0
    assert f"edgevision: warning: the weights of {path} are random" in capsys.readouterr().err
