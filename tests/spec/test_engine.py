from __future__ import annotations

import dataclasses
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from edgevision.errors import ModelFileError, SpecError
from edgevision.spec import (
    Decoder,
    EngineKey,
    ModelSpec,
    TensorInfo,
    engine_sidecar_path,
    load_spec,
    read_engine_header,
    write_engine_sidecar,
)

PLAN = b"ftrt" + bytes(range(200))
SPEC = ModelSpec(task="detect", decoder=Decoder(name="yolo"), labels=("cat",))
KEY = EngineKey(
    backend="tensorrt",
    backend_version="10.3.0",
    gpu_name="Orin",
    compute_capability="8.7",
    multiprocessors=8,
    precision="fp16",
    options={"workspace_mib": 512, "strict": True, "margin": 0.5, "tactics": "all"},
)
# As Ultralytics writes it: JSON values, class ids turned into strings.
METADATA = {
    "description": "Ultralytics YOLO11n model",
    "task": "detect",
    "stride": 32,
    "batch": 1,
    "imgsz": [320, 416],
    "names": {"0": "cat", "1": "dog"},
    "args": {"nms": True, "dynamic": False},
    "channels": 3,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "m.engine"
    file.write_bytes(PLAN)
    return file


def prefixed(header: bytes, plan: bytes = PLAN) -> bytes:
    return struct.pack("<i", len(header)) + header + plan


def test_a_sidecar_is_read_back_equal_and_the_plan_stays_raw(path: Path) -> None:
    sidecar = write_engine_sidecar(path, SPEC, KEY, onnx_sha256="ab" * 32)
    header = read_engine_header(path)
    assert sidecar == engine_sidecar_path(path) == path.with_name("m.engine.json")
    assert (header.spec, header.key, header.onnx_sha256) == (SPEC, KEY, "ab" * 32)
    assert (header.plan_offset, header.plan_size, header.metadata) == (0, len(PLAN), {})
    assert path.read_bytes() == PLAN
    assert load_spec(path) == load_spec(sidecar) == SPEC


def test_a_platform_is_read_back_and_may_be_missing(path: Path) -> None:
    sidecar = write_engine_sidecar(path, SPEC, dataclasses.replace(KEY, platform="linux-aarch64"))
    assert read_engine_header(path).key.platform == "linux-aarch64"
    document = json.loads(sidecar.read_text())
    del document["key"]["platform"]
    sidecar.write_text(json.dumps(document))
    assert read_engine_header(path).key == KEY


def test_the_networks_tensors_are_read_back(path: Path) -> None:
    inputs = (TensorInfo("images", (None, 3, 64, 64), "float32"),)
    outputs = (TensorInfo("boxes", (None, 300, 6), "float16"), TensorInfo("count", (), "int64"))
    write_engine_sidecar(path, SPEC, KEY, inputs=inputs, outputs=outputs)
    header = read_engine_header(path)
    assert (header.inputs, header.outputs) == (inputs, outputs)
    write_engine_sidecar(path, SPEC, KEY)
    assert (read_engine_header(path).inputs, read_engine_header(path).outputs) == ((), ())


def test_a_part_of_a_model_has_no_spec_and_its_sidecar_says_so(path: Path) -> None:
    sidecar = write_engine_sidecar(path, None, KEY)
    assert read_engine_header(path).spec is None
    for file in (path, sidecar):
        with pytest.raises(
            SpecError, match=r"m.engine.* has no spec: it is part of a model, or the ONNX file"
        ):
            load_spec(file)


def test_a_raw_plan_without_a_sidecar_has_no_spec(path: Path) -> None:
    header = read_engine_header(path)
    assert (header.spec, header.key, header.plan_offset, header.metadata) == (None, None, 0, {})
    with pytest.raises(
        SpecError, match=r"m.engine has no spec: m.engine.json is not beside it; give one: ev.load"
    ):
        load_spec(path)


def test_the_header_of_ultralytics_is_read_and_stepped_over(path: Path) -> None:
    header_json = json.dumps(METADATA).encode()
    path.write_bytes(prefixed(header_json))
    header = read_engine_header(path)
    assert header.metadata == METADATA
    assert path.read_bytes()[header.plan_offset :] == PLAN
    assert header.plan_size == len(PLAN)
    spec = load_spec(path)
    assert (spec.task, spec.labels, spec.decoder.name) == ("detect", ("cat", "dog"), "yolo_end2end")
    assert spec.inputs[0].size_hw == (320, 416)


def test_a_sidecar_comes_before_the_header_in_front(path: Path) -> None:
    path.write_bytes(prefixed(json.dumps(METADATA).encode()))
    write_engine_sidecar(path, SPEC, KEY)
    header = read_engine_header(path)
    assert (header.spec, header.plan_size) == (SPEC, len(PLAN))
    assert load_spec(path) == SPEC


NO_PREFIX: dict[str, bytes] = {
    "length 0": struct.pack("<i", 0) + b"{}" + PLAN,
    "negative length": struct.pack("<i", -2) + b"{}" + PLAN,
    "more than 1 MiB": struct.pack("<i", (1 << 20) + 1) + b"{" + b" " * (1 << 20) + b"}" + PLAN,
    "beyond the file": struct.pack("<i", 5000) + b"{}" + PLAN,
    "no brace": struct.pack("<i", 2) + b"[]" + PLAN,
    "no JSON": struct.pack("<i", 4) + b"{abc" + PLAN,
    "of four bytes": b"ftrt",
    "of one byte": b"\x00",
}


@pytest.mark.parametrize("data", NO_PREFIX.values(), ids=NO_PREFIX.keys())
def test_what_only_resembles_that_header_is_part_of_the_plan(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    header = read_engine_header(path)
    assert (header.plan_offset, header.plan_size, header.metadata) == (0, len(data), {})


def test_a_header_of_exactly_1_mib_is_believed(path: Path) -> None:
    path.write_bytes(prefixed(b"{}".ljust(1 << 20)))
    assert read_engine_header(path).plan_offset == (1 << 20) + 4


def test_a_header_without_a_plan_is_refused(path: Path) -> None:
    path.write_bytes(prefixed(json.dumps(METADATA).encode(), plan=b""))
    with pytest.raises(ModelFileError, match="ends after its header: the plan is missing"):
        read_engine_header(path)


def test_a_plan_of_another_size_than_the_sidecars_is_refused(path: Path) -> None:
    write_engine_sidecar(path, SPEC, KEY)
    path.write_bytes(PLAN[:-1])
    with pytest.raises(
        ModelFileError, match=r"a plan of 203 bytes, its sidecar m.engine.json was written for one of 204"
    ):
        read_engine_header(path)


def test_an_onnx_model_or_another_file_is_no_engine(path: Path) -> None:
    for data, what in [
        (b"\x08\x08\x12\x05maker", "it is an ONNX model; give it the suffix .onnx"),
        (b"\x89PNG\r\n\x1a\n", "it is a PNG image"),
        (
            b"PK\x03\x04" + b"m/data.pkl",
            "it is a PyTorch checkpoint; export it with: edgevision export FAMILY m.engine",
        ),
    ]:
        path.write_bytes(data)
        with pytest.raises(ModelFileError) as caught:
            read_engine_header(path)
        assert str(caught.value).startswith(f"{path} is not an engine: {what}")


BAD_SIDECARS: dict[str, tuple[dict[str, Any], str]] = {
    "format": ({"format": "edgevision.spec"}, "is not of the format 'edgevision.engine'"),
    "newer": ({"version": 2}, "was written by a newer edgevision (version 2 of edgevision.engine"),
    "unknown key": ({"gpu": 1}, "unknown key 'gpu'; accepted in the document: format, version, spec, key"),
    "spec missing": ({"spec": ...}, "required key spec is missing"),
    "spec a list": ({"spec": []}, "spec must be an object or null, got []"),
    "spec malformed": (
        {"spec": {"format": "edgevision.spec", "version": 1}},
        "spec: required key task is missing",
    ),
    "key incomplete": ({"key": {"backend": "tensorrt"}}, "required key key.backend_version is missing"),
    "hash": (
        {"onnx_sha256": "AB"},
        "onnx_sha256 must be 64 lower-case hexadecimal digits or empty, got 'AB'",
    ),
    "inputs no list": ({"inputs": {}}, "inputs must be a list of tensors, got {}"),
    "a tensor's key": ({"outputs": [{"name": "y"}]}, "required key outputs[0].shape is missing"),
    "a tensor's side": (
        {"inputs": [{"name": "x", "shape": [1, -1], "dtype": "float32"}]},
        "inputs[0].shape[1] must be an integer 0-281474976710656, got -1",
    ),
    "a tensor's dtype": (
        {"inputs": [{"name": "x", "shape": [None], "dtype": ""}]},
        "inputs[0].dtype must be a string of 1-65536 characters, got ''",
    ),
    "plan size": ({"plan_size": 0}, "plan_size must be an integer 1-281474976710656, got 0"),
}


@pytest.mark.parametrize("case", BAD_SIDECARS.values(), ids=BAD_SIDECARS.keys())
def test_a_malformed_sidecar_is_refused_naming_it_and_the_place(
    case: tuple[dict[str, Any], str], path: Path
) -> None:
    changes, message = case
    sidecar = write_engine_sidecar(path, SPEC, KEY)
    document = {**json.loads(sidecar.read_text()), **changes}
    sidecar.write_text(json.dumps({key: value for key, value in document.items() if value is not ...}))
    with pytest.raises(SpecError) as caught:
        read_engine_header(path)
    assert str(caught.value).startswith(str(sidecar))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"backend": ""}, "backend must be a string of 1-"),
        ({"gpu_name": None}, "gpu_name must be a string"),
        ({"multiprocessors": -1}, "multiprocessors must be an integer"),
        ({"options": []}, "options must be an object"),
        ({"options": {"a": None}}, "options.a must be a finite number"),
        ({"options": {1: 2}}, "options' keys must be a string"),
    ],
)
def test_a_key_takes_plain_values_only(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        EngineKey(**{"backend": "tensorrt", "backend_version": "10", **fields})
    assert str(caught.value).startswith(message)


def test_differences_say_why_an_engine_does_not_fit() -> None:
    here = EngineKey(backend="tensorrt", backend_version="10.16", gpu_name="Orin", compute_capability="8.7",
                     multiprocessors=16, precision="fp16", options=KEY.options)  # fmt: skip
    here = dataclasses.replace(here, platform="linux-aarch64")
    assert KEY.differences(KEY) == ()
    assert KEY.differences(here) == (
        "backend_version: built with '10.3.0', here '10.16'",
        "multiprocessors: built with 8, here 16",
        "platform: built with '', here 'linux-aarch64'",
    )


def test_a_sidecar_needs_its_engine_and_replaces_the_old_one_whole(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="does not exist"):
        write_engine_sidecar(tmp_path / "none.engine", SPEC, KEY)
    write_engine_sidecar(path, SPEC, KEY)
    write_engine_sidecar(path, SPEC.replace(labels=()), KEY)
    assert load_spec(path).labels == ()
    assert sorted(os.listdir(tmp_path)) == ["m.engine", "m.engine.json"]
