"""What a file that is no ONNX model looks like, and what to do with it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["describe_foreign"]

_GET_ONNX = "export an ONNX model from it with the tool that made it"
_IMAGE = "it is {} image; give the model here and the image to the model"

# (offset, bytes, what it is and what to do); the signatures are those of each format's own specification or
# writer.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", _IMAGE.format("a PNG")),
    (0, b"\xff\xd8\xff", _IMAGE.format("a JPEG")),
    (0, b"GIF8", _IMAGE.format("a GIF")),
    (8, b"WEBP", _IMAGE.format("a WebP")),
    (4, b"ftyp", "it is an MP4 video or HEIF image; give the model here and the video to the stream"),
    (0, b"\x89HDF\r\n\x1a\n", f"it is an HDF5 file (Keras weights?); {_GET_ONNX}, e.g. tf2onnx"),
    (4, b"TFL3", f"it is a TensorFlow Lite model; {_GET_ONNX}, e.g. tf2onnx"),
    (
        4,
        b"ORTM",
        "it is an ONNX Runtime .ort file, which holds no metadata; use the .onnx file it was made from",
    ),
    (0, b"GGUF", "it is a GGUF language model, which edgevision does not run"),
    (0, b"RKNN", "it is a Rockchip RKNN model; use the .onnx file it was made from"),
    (
        1,
        b"trt",
        "it is a TensorRT engine; give it the suffix .engine, or load the .onnx file it was built from",
    ),
    (0, b"\x7fELF", "it is a program or shared library"),
    (0, b"\x1f\x8b", "it is a gzip archive; unpack it first: gunzip or tar xzf"),
    (257, b"ustar", "it is a tar archive; unpack it first: tar xf"),
    (0, b"%PDF", "it is a PDF document"),
    (
        0,
        b"version https://git-lfs",
        "it is a Git LFS pointer, not the model itself; fetch it with: git lfs pull",
    ),
    (0, b"\x93NUMPY", "it is a NumPy array"),
    (0, b"7767517\n", "it is an ncnn parameter file; use the .onnx file it was made from"),
)


def describe_foreign(head: bytes, path: Path) -> str | None:
    """What the file looks like and what to do, as the end of a sentence; None when it is of no known other
    kind.

    head: its first bytes, 4096 of them where it has as many.
    """
    checkpoint = f"it is a PyTorch checkpoint; export it with: edgevision export FAMILY {path.name}"
    if head[:4] == b"PK\x03\x04":
        return _describe_zip(head, path, checkpoint)
    # A pickle (protocol 2 to 5): what torch.save wrote before version 1.6.
    if len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5:
        return checkpoint
    for offset, signature, description in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return description
    # A length and a JSON object: safetensors has 8 bytes of length, Ultralytics' engines have 4.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return "it is a safetensors file, weights without a network; export its model with: edgevision export"
    if head[4:5] == b"{" and int.from_bytes(head[:4], "little") <= 1 << 20:
        return "it is a TensorRT engine as Ultralytics writes it; give it the suffix .engine"
    return _describe_text(head)


def _describe_zip(head: bytes, path: Path, checkpoint: str) -> str:
    if b"data.pkl" in head or b"constants.pkl" in head or path.suffix in (".pt", ".pth", ".ckpt"):
        return checkpoint
    if b".npy" in head:
        return "it is a NumPy .npz archive"
    if path.suffix == ".keras" or b"config.json" in head:
        return f"it is a Keras model; {_GET_ONNX}, e.g. tf2onnx"
    return "it is a zip archive; unpack it first: unzip"


def _describe_text(head: bytes) -> str | None:
    text = head.decode("utf-8", "ignore").lstrip("\ufeff \t\r\n")
    # "ignore" drops a character cut in two at the end; anything beyond that is no text.
    if len(head) - len(head.decode("utf-8", "ignore").encode()) > 3 or any(
        ord(character) < 9 or 13 < ord(character) < 32 for character in text
    ):
        return None
    lower = text[:512].lower()
    if lower.startswith(("<!doctype html", "<html")):
        return "it is an HTML page: the download gave a web page instead of the model; download it again"
    if lower.startswith("<?xml") and "<net" in lower:
        return "it is an OpenVINO model; use the .onnx file it was made from"
    if lower.startswith("{"):
        return "it is a JSON text; a spec goes beside its model: ev.load(model, spec=this file)"
    return "it is a text file"
