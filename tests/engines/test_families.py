"""Every family, exported in every precision, is really built by TensorRT-RTX: the file, its sidecar, its tensors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
pytest.importorskip("torch", reason="torch is not installed")

from families import FAMILIES

from edgevision.engines import EngineBuild, build_engine
from edgevision.engines.source import bundle_roles
from edgevision.export.golden import default_frames
from edgevision.export.options import ExportOptions
from edgevision.export.pipeline import export_network
from edgevision.spec import TensorInfo, load_spec, read_engine_header, read_onnx_io
from edgevision.spec.bundle import read_bundle
from edgevision.spec.files import file_sha256
from edgevision.spec.plan_header import parse_plan_header

pytestmark = [
    pytest.mark.slow,
    # The libraries that the families come from warn of their own insides.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

FORMS = ("fp32", "fp16", "int8")
ONE, ALL = "sm86", "sm80,sm86,sm89,sm120"
FILES = {"fp32": "", "fp16": ".fp16", "int8": ".int8-trt"}


@dataclass(frozen=True)
class Built:
    """A family's bundle and its engines by part, form and targets."""

    bundle: Path
    engines: dict[tuple[str, str, str], EngineBuild]


@pytest.fixture(scope="module", params=FAMILIES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("family")
    network = FAMILIES[request.param](folder)
    # Two frames are enough here: how near the forms are to PyTorch is tested elsewhere.
    images = [frame.image for frame in default_frames()[:2]]
    bundle = export_network(network, folder / "bundle", ExportOptions(precisions=FORMS, images=images)).path
    engines = {}
    for part in bundle_roles(bundle):
        for form in FORMS:
            engines[part, form, ONE] = build_engine(bundle, targets=ONE, form=form, part=part)
    for part in bundle_roles(bundle):
        engines[part, "fp16", ALL] = build_engine(bundle, targets=ALL, form="fp16", part=part)
    return Built(bundle, engines)


def test_every_engine_file_is_whole(built: Built) -> None:
    for one in built.engines.values():
        data = one.path.read_bytes()
        header = parse_plan_header(data)
        assert header is not None
        assert header.size == len(data) == one.bytes
        assert header.version == one.key.backend_version


def test_every_sidecar_holds_the_spec_the_key_and_the_hash(built: Built) -> None:
    for (part, form, targets), one in built.engines.items():
        header = read_engine_header(one.path)
        kept = json.loads(one.sidecar.read_text())
        assert header.spec == (load_spec(one.onnx) if part == "model" else None)
        assert header.onnx_sha256 == file_sha256(one.onnx)
        assert kept["plan_size"] == one.path.stat().st_size
        capabilities = {ONE: "8.6", ALL: "8.0 8.6 8.9 12.0"}[targets]
        assert (header.key.backend, header.key.compute_capability) == ("tensorrt_rtx", capabilities)
        has_form = (one.onnx.parent / f"{part}{FILES[form]}.onnx").exists()
        assert header.key.precision == (form if has_form else "fp32")


def suggested_shape(bundle: Path, tensor: TensorInfo) -> tuple[int, ...]:
    """One image of the spec's size; one prompt of one point."""
    image = load_spec(bundle / "model.onnx").inputs[0]
    if tensor.name == image.name:
        return (1, 3, *image.size_hw)
    return tuple(1 if side is None else side for side in tensor.shape)


def test_every_tensor_is_the_onnx_files_own(built: Built) -> None:
    for one in built.engines.values():
        header = read_engine_header(one.path)
        inputs, outputs = read_onnx_io(one.onnx)
        assert header.inputs == inputs
        assert [tensor.name for tensor in header.outputs] == [tensor.name for tensor in outputs]
        assert [tensor.dtype for tensor in header.outputs] == [tensor.dtype for tensor in outputs]
        for engine, onnx in zip(header.outputs, outputs, strict=True):
            assert len(engine.shape) == len(onnx.shape)
            pairs = zip(engine.shape, onnx.shape, strict=True)
            # The builder may know less or more of a length than the file says, but never another.
            assert [pair for pair in pairs if None not in pair and pair[0] != pair[1]] == []
        assert set(one.ranges) == {tensor.name for tensor in inputs if None in tensor.shape}
        for tensor in inputs:
            if tensor.name in one.ranges:
                assert one.ranges[tensor.name].best == suggested_shape(built.bundle, tensor)


def test_half_precision_saves_its_weights_and_more_targets_cost_nothing(built: Built) -> None:
    model = {form: built.engines["model", form, ONE].bytes for form in FORMS}
    files = {form: (built.bundle / f"model{FILES[form]}.onnx").stat().st_size for form in FORMS}
    # Beside its weights a plan has code, up to a MB of it for these networks, and fp16 need not have the less of it.
    assert model["fp32"] - model["fp16"] > 0.5 * (files["fp32"] - files["fp16"]) - (1 << 20)
    assert built.engines["model", "fp16", ALL].bytes == pytest.approx(model["fp16"], rel=0.02)


def test_the_manifest_lists_every_engine(built: Built) -> None:
    manifest = read_bundle(built.bundle)
    manifest.verify()
    listed = {one.file: one for one in manifest.files}
    for (part, _, _), one in built.engines.items():
        entry = listed[one.path.name]
        assert (entry.role, entry.runtimes) == (part, ("tensorrt_rtx",))
        assert one.sidecar.name in listed
