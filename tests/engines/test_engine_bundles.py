"""Engines of bundles: which file they are built from, and that the manifest lists them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")

from engine_networks import FLOAT, conv_relu, network, node, quantised

from edgevision.cli.main import main
from edgevision.engines import BuildOptions, build_engine, build_engines, parse_profile
from edgevision.engines.source import bundle_roles
from edgevision.errors import InputError, ModelFileError
from edgevision.spec import Decoder, ImageInput, ModelSpec, read_engine_header, write_spec
from edgevision.spec.bundle import describe_file, read_bundle, write_manifest

SPEC = ModelSpec(
    task="classify",
    inputs=(ImageInput(name="images", size_hw=(16, 16), batch=None),),
    decoder=Decoder(name="scores"),
    labels=("a", "b", "c", "d"),
)
ENGINES = ("tensorrt", "tensorrt_rtx")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Every form of a model, and a decoder in fp32 and fp16 without a spec."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    conv_relu(folder / "model.onnx")
    conv_relu(folder / "model.fp16.onnx", half=True)
    quantised(folder / "model.int8.onnx", np.uint8(128))
    quantised(folder / "model.int8-trt.onnx", np.int8(0))
    for name in ("model", "model.fp16", "model.int8", "model.int8-trt"):
        write_spec(folder / f"{name}.onnx", SPEC)
    shape = ["batch", "num_points", 2]
    relu = [node("Relu", ["points"], ["y"], name="relu")]
    network(folder / "decoder.onnx", relu, [("points", FLOAT, shape)], [("y", FLOAT, shape)])
    write_manifest(
        folder,
        [
            describe_file(folder, "model.onnx", "model", "fp32", ("onnxruntime", *ENGINES)),
            describe_file(folder, "decoder.onnx", "decoder", "fp32", ("onnxruntime", *ENGINES)),
            describe_file(folder, "model.fp16.onnx", "model", "fp16", ("onnxruntime", *ENGINES)),
            describe_file(folder, "model.int8.onnx", "model", "int8", ("onnxruntime", "openvino")),
            describe_file(folder, "model.int8-trt.onnx", "model", "int8-trt", (*ENGINES, "openvino")),
        ],
    )
    return folder


@pytest.mark.parametrize(
    ("form", "file", "precision"),
    [
        (None, "model.fp16", "fp16"),
        ("fp32", "model", "fp32"),
        ("fp16", "model.fp16", "fp16"),
        ("int8", "model.int8-trt", "int8"),
        ("int8-trt", "model.int8-trt", "int8"),
    ],
)
def test_the_form_chooses_the_file_that_the_builder_takes(
    form: str | None, file: str, precision: str, bundle: Path
) -> None:
    built = build_engine(bundle, targets="sm86", form=form)
    assert built.onnx == bundle / f"{file}.onnx"
    assert built.path == bundle / f"{file}.rtx-sm86.engine"
    assert built.key.precision == precision
    assert read_engine_header(built.path).spec == SPEC


def test_the_manifest_lists_the_engine_once(bundle: Path) -> None:
    before = read_bundle(bundle).files
    build_engine(bundle, targets="sm86", form="fp16")
    build_engine(bundle, targets="sm86", form="fp16", options=BuildOptions(tf32=False))
    listed = read_bundle(bundle)
    assert listed.files[: len(before)] == before
    engine, sidecar = listed.files[len(before) :]
    assert (engine.file, engine.role, engine.form) == ("model.fp16.rtx-sm86.engine", "model", "fp16")
    assert engine.runtimes == ("tensorrt_rtx",)
    assert (sidecar.file, sidecar.role, sidecar.form) == ("model.fp16.rtx-sm86.engine.json", "sidecar", "")
    listed.verify()
    # The next build is not of the engine that is now among the files.
    assert build_engine(bundle, targets="sm89").onnx.name == "model.fp16.onnx"


def test_a_file_of_a_bundle_named_alone_is_listed_too(bundle: Path) -> None:
    build_engine(bundle / "decoder.onnx", targets="sm86")
    listed = {one.file: one for one in read_bundle(bundle).files}
    assert (listed["decoder.rtx-sm86.engine"].role, listed["decoder.rtx-sm86.engine"].form) == (
        "decoder",
        "fp32",
    )
    stranger = conv_relu(bundle / "stranger.onnx")
    build_engine(stranger, targets="sm86")
    assert "stranger.rtx-sm86.engine" not in {one.file for one in read_bundle(bundle).files}


def test_an_engine_elsewhere_is_not_the_bundles(bundle: Path) -> None:
    before = read_bundle(bundle).files
    build_engine(bundle, bundle.parent / "m.engine", targets="sm86")
    assert read_bundle(bundle).files == before


def test_every_part_is_built_and_a_part_without_the_form_in_fp32(bundle: Path) -> None:
    assert bundle_roles(bundle) == ("model", "decoder")
    options = BuildOptions(profiles=dict([parse_profile("points=1x1x2:1x2x2:4x4x2")]))
    model, decoder = build_engines(bundle, targets="sm86", form="int8", options=options)
    assert model.path.name == "model.int8-trt.rtx-sm86.engine"
    assert decoder.path.name == "decoder.rtx-sm86.engine"
    assert (model.key.precision, decoder.key.precision) == ("int8", "fp32")
    assert str(decoder.ranges["points"]) == "1x1x2:1x2x2:4x4x2"
    assert read_engine_header(decoder.path).spec is None
    read_bundle(bundle).verify()


def test_without_a_profile_a_decoders_prompts_have_a_range(bundle: Path) -> None:
    built = build_engine(bundle, targets="sm86", part="decoder")
    assert str(built.ranges["points"]) == "1x1x2:1x1x2:8x16x2"


def test_a_profile_of_no_part_lists_the_inputs_of_all(bundle: Path) -> None:
    options = BuildOptions(profiles=dict([parse_profile("labels=1")]))
    with pytest.raises(
        InputError, match="has an input 'labels'; the inputs are model: images; decoder: points"
    ):
        build_engines(bundle, targets="sm86", options=options)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            {"form": "int4"},
            "has no form 'int4' for TensorRT-RTX; it has fp32, fp16, int8-trt: export it with --precision int4",
        ),
        ({"part": "text"}, "has no part 'text' for TensorRT-RTX; its parts are model, decoder"),
    ],
)
def test_what_the_bundle_lacks_is_refused(choice: dict[str, str], message: str, bundle: Path) -> None:
    with pytest.raises(InputError) as caught:
        build_engine(bundle, targets="sm86", **choice)
    assert message in str(caught.value)


def test_a_file_that_changed_since_the_export_is_refused(bundle: Path) -> None:
    with (bundle / "model.fp16.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelFileError, match="it was cut off or changed"):
        build_engine(bundle, targets="sm86")


def test_the_command_builds_forms_and_parts(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(bundle), "--target", "sm86", "--form", "fp32,int8"]) == 0
    engines = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("engine")]
    assert [Path(one).name for one in engines] == [
        "model.rtx-sm86.engine",
        "decoder.rtx-sm86.engine",
        "model.int8-trt.rtx-sm86.engine",
        "decoder.rtx-sm86.engine",
    ]
    assert main(["build", str(bundle), "--target", "sm86", "--part", "decoder"]) == 0
    assert main(["build", str(bundle), "--target", "sm86", "--output", "x.engine"]) == 1
    assert "--output names one engine, and 2 are to be built (model, decoder)" in capsys.readouterr().err
