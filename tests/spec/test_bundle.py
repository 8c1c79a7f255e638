"""Bundles: the manifest is read strictly, and its files are what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgevision.errors import ModelFileError, SpecError
from edgevision.spec.bundle import bundle_part, describe_file, is_bundle, read_bundle, write_manifest

HASH = "0" * 64


def entry(**changes: Any) -> dict[str, Any]:
    fields = {"file": "model.onnx", "role": "model", "form": "fp32", "runtimes": ["onnxruntime"]}
    return {**fields, "sha256": HASH, "bytes": 4, **changes}


def manifest(*files: Any, **changes: Any) -> str:
    return json.dumps({"format": "edgevision.bundle", "version": 1, "files": list(files), **changes})


def make(folder: Path) -> Path:
    """A bundle of three networks and a report."""
    for name, content in (("model.onnx", b"abcd"), ("model.fp16.onnx", b"ab"), ("decoder.onnx", b"x")):
        (folder / name).write_bytes(content)
    (folder / "report").mkdir()
    (folder / "report" / "a.png").write_bytes(b"png")
    write_manifest(
        folder,
        [
            describe_file(folder, "model.onnx", "model", "fp32", ["onnxruntime"]),
            describe_file(folder, "model.fp16.onnx", "model", "fp16", ["onnxruntime", "tensorrt"]),
            describe_file(folder, "decoder.onnx", "decoder", "fp32", ["onnxruntime"]),
            describe_file(folder, "report/a.png", "picture"),
        ],
    )
    return folder


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert not is_bundle(tmp_path)
    bundle = read_bundle(make(tmp_path))
    assert is_bundle(tmp_path)
    assert [one.file for one in bundle.files] == [
        "model.onnx",
        "model.fp16.onnx",
        "decoder.onnx",
        "report/a.png",
    ]
    assert bundle.forms() == ("fp32", "fp16")
    assert bundle.forms("decoder") == ("fp32",)
    assert bundle.networks("model", "fp16")[0].runtimes == ("onnxruntime", "tensorrt")
    bundle.verify()


def test_a_part_is_found_in_its_form_or_in_fp32(tmp_path: Path) -> None:
    make(tmp_path)
    assert bundle_part(tmp_path, "model", "fp16") == tmp_path / "model.fp16.onnx"
    assert bundle_part(tmp_path, "decoder", "int8") == tmp_path / "decoder.onnx"
    with pytest.raises(ModelFileError, match="has no network 'text'; it has: model, decoder"):
        bundle_part(tmp_path, "text")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (manifest(), ""),
        ("[]", "must be a JSON object"),
        (manifest(format="edgevision.spec"), "its key `format` must be 'edgevision.bundle'"),
        (manifest(version=2), "was written by a newer edgevision"),
        (manifest(other=1), "unknown key 'other'"),
        (manifest(files={}), "files must be a list"),
        (manifest([1]), r"files\[0\] must be an object"),
        (manifest({"file": "a"}), r"required key files\[0\].role is missing"),
        (manifest(entry(file="../model.onnx")), r"files\[0\].file must be a plain name"),
        (manifest(entry(file="/etc/passwd")), r"files\[0\].file must be a plain name"),
        (manifest(entry(file="a/../../b")), r"files\[0\].file must be a plain name"),
        (manifest(entry(file="a\\b")), r"files\[0\].file must be a plain name"),
        (manifest(entry(file=".hidden")), r"files\[0\].file must be a plain name"),
        (manifest(entry(file="model.onnx\n")), r"files\[0\].file must be a plain name"),
        (manifest(entry(role="Model")), r"files\[0\].role must be a word"),
        (manifest(entry(form=1)), r"files\[0\].form must be a word"),
        (manifest(entry(runtimes=[])), r"files\[0\].runtimes must be of one name or more for a network"),
        (manifest(entry(form="")), r"files\[0\].runtimes must be of one name or more for a network"),
        (manifest(entry(runtimes="onnxruntime")), r"files\[0\].runtimes must be a list of names"),
        (manifest(entry(sha256="0")), r"files\[0\].sha256 must be 64"),
        (manifest(entry(bytes=-1)), r"files\[0\].bytes must be an integer"),
        (manifest(entry(bytes=True)), r"files\[0\].bytes must be an integer"),
        (manifest(entry(), entry()), "files must be of different names"),
    ],
)
def test_a_hostile_manifest_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bundle.json").write_text(text)
    if not said:
        assert read_bundle(tmp_path).files == ()
        return
    with pytest.raises(SpecError, match=said):
        read_bundle(tmp_path)


def test_files_that_are_gone_cut_or_changed_are_told_apart(tmp_path: Path) -> None:
    bundle = read_bundle(make(tmp_path))
    (tmp_path / "model.onnx").write_bytes(b"abcX")
    assert bundle.path_of(bundle.files[0]) == tmp_path / "model.onnx"  # the size is right: no hash is taken
    with pytest.raises(ModelFileError, match="another SHA-256"):
        bundle.verify()
    (tmp_path / "model.onnx").write_bytes(b"abc")
    with pytest.raises(ModelFileError, match="is 3 bytes and the bundle was written with 4"):
        bundle.path_of(bundle.files[0])
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(ModelFileError, match=r"names model\.onnx, which is not in it"):
        bundle.path_of(bundle.files[0])


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"a")
    one = describe_file(tmp_path, "a.onnx", "model", "fp32", ["onnxruntime"])
    with pytest.raises(SpecError, match="different names"):
        write_manifest(tmp_path, [one, one])
    assert not is_bundle(tmp_path)
