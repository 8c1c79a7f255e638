"""Files that are no ONNX model: each ends in an error that says what it looks like and what to do."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgevision.errors import ModelFileError
from edgevision.spec import read_onnx_header, resolve_model


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.onnx"))
    return buffer.getvalue()


def saved(array: bool) -> bytes:
    buffer = io.BytesIO()
    if array:
        np.save(buffer, np.zeros(3))
    else:
        np.savez(buffer, x=np.zeros(3))
    return buffer.getvalue()


SAFETENSORS = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
CHECKPOINT = "it is a PyTorch checkpoint; export it with: edgevision export FAMILY"

# name, contents, what the message says after "is not an ONNX model: "
FOREIGN: dict[str, tuple[str, bytes, str]] = {
    "torch zip": ("m.pt", zipped("m/data.pkl", "m/version"), CHECKPOINT + " m.pt"),
    "torch script": ("m.torchscript", zipped("m/constants.pkl"), CHECKPOINT + " m.torchscript"),
    "torch zip by suffix": ("m.pth", zipped("m/version"), CHECKPOINT + " m.pth"),
    "torch legacy": ("m.pt", pickle.dumps({"model": [1]}, protocol=2), CHECKPOINT),
    "pickle 5": ("m.onnx", pickle.dumps({"model": [1]}, protocol=5), CHECKPOINT),
    "npz": ("m.onnx", saved(array=False), "it is a NumPy .npz archive"),
    "npy": ("m.onnx", saved(array=True), "it is a NumPy array"),
    "keras": (
        "m.keras",
        zipped("metadata.json", "config.json"),
        "it is a Keras model; export an ONNX model from it",
    ),
    "zip": ("m.onnx", zipped("readme.txt"), "it is a zip archive; unpack it first"),
    "hdf5": ("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(64), "it is an HDF5 file"),
    "png": ("m.png", b"\x89PNG\r\n\x1a\n" + bytes(64), "it is a PNG image; give the model here"),
    "jpeg": ("m.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF", "it is a JPEG image"),
    "gif": ("m.gif", b"GIF89a" + bytes(20), "it is a GIF image"),
    "webp": ("m.webp", b"RIFF\x20\x00\x00\x00WEBPVP8 " + bytes(20), "it is a WebP image"),
    "mp4": ("m.mp4", b"\x00\x00\x00\x20ftypisom" + bytes(20), "it is an MP4 video"),
    "tflite": ("m.tflite", b"\x1c\x00\x00\x00TFL3" + bytes(30), "it is a TensorFlow Lite model"),
    "ort": ("m.ort", b"\x1c\x00\x00\x00ORTM" + bytes(30), "it is an ONNX Runtime .ort file"),
    "gguf": ("m.gguf", b"GGUF\x03\x00\x00\x00", "it is a GGUF language model"),
    "tensorrt": ("m.onnx", b"ftrt" + bytes(range(60)), "it is a TensorRT engine; give it the suffix .engine"),
    "tensorrt-rtx": ("m.bin", b"vtrt" + bytes(range(60)), "it is a TensorRT engine"),
    "ultralytics engine": (
        "m.bin",
        struct.pack("<i", 20) + b'{"task": "detect"  }' + b"ftrt",
        "it is a TensorRT eng",
    ),
    "safetensors": (
        "m.safetensors",
        struct.pack("<Q", len(SAFETENSORS)) + SAFETENSORS,
        "it is a safetensors file",
    ),
    "elf": ("m.so", b"\x7fELF\x02\x01\x01" + bytes(20), "it is a program or shared library"),
    "gzip": ("m.onnx", gzip.compress(b"x"), "it is a gzip archive; unpack it first"),
    "tar": ("m.tar", tarred(), "it is a tar archive; unpack it first"),
    "pdf": ("m.pdf", b"%PDF-1.7\n", "it is a PDF document"),
    "git lfs": (
        "m.onnx",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
        "it is a Git LFS pointer, not the model itself; fetch it with: git lfs pull",
    ),
    "html": (
        "m.onnx",
        b"\n<!DOCTYPE html>\n<html><title>404</title></html>",
        "it is an HTML page: the download",
    ),
    "openvino": ("m.xml", b'<?xml version="1.0"?>\n<net name="m" version="11">\n', "it is an OpenVINO model"),
    "ncnn": ("m.param", b"7767517\n75 83\n", "it is an ncnn parameter file"),
    "json": ("m.onnx", b'{"format": "edgevision.spec"}', "it is a JSON text; a spec goes beside its model"),
    "text": ("m.onnx", "caf\xe9, some notes\n".encode(), "it is a text file"),
    "text of one letter": ("m.onnx", b"a", "it is a text file"),
    "long text cut in a letter": ("m.onnx", b"x" + "\xe9".encode() * 4000, "it is a text file"),
}


@pytest.mark.parametrize("case", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_file_of_another_kind_is_named(case: tuple[str, bytes, str], tmp_path: Path) -> None:
    name, data, message = case
    path = tmp_path / name
    path.write_bytes(data)
    for read in (read_onnx_header, resolve_model):
        with pytest.raises(ModelFileError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path} is not an ONNX model: {message}")


def test_bytes_of_no_known_kind_are_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(
        ModelFileError, match="is not a readable ONNX model: field number 0 at byte 0 is out of range"
    ):
        read_onnx_header(path)
