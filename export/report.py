"""What an export did and how far each form lies from PyTorch: report.json, report.md, golden.npz and pictures."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

import edgevision
from edgevision.export.build import BuiltForm
from edgevision.export.forms import FORMS
from edgevision.export.golden import PartReference
from edgevision.export.judge import FormParity, decode_outputs
from edgevision.export.limits import limits_of
from edgevision.export.network import Network
from edgevision.export.onnx_write import data_path
from edgevision.export.options import ExportOptions
from edgevision.export.pictures import Pictures
from edgevision.export.preprocessing import PreprocessingParity
from edgevision.export.report_text import report_markdown
from edgevision.export.side_by_side import write_pictures
from edgevision.spec.files import file_sha256

__all__ = ["write_report"]

REPORT_FORMAT = "edgevision.report"
REPORT_VERSION = 1

_PACKAGES = (
    "onnx",
    "onnxscript",
    "onnxruntime",
    "openvino",
    "torchvision",
    "timm",
    "transformers",
    "ultralytics",
)


def write_report(
    network: Network,
    built: Sequence[BuiltForm],
    references: Sequence[PartReference],
    pictures: Pictures,
    preprocessing: PreprocessingParity | None,
    options: ExportOptions,
    folder: Path | None,
) -> dict[str, Any]:
    """The report's content; with a folder, its files are written there too."""
    report = _content(network, built, pictures, preprocessing, options)
    if folder is None:
        return report
    _write_golden(folder / "golden.npz", network, references, pictures)
    (folder / "report").mkdir()
    shown = write_pictures(folder / "report", network.spec, references[0], pictures.golden, built)
    if not shown:
        (folder / "report").rmdir()
    report["pictures"] = [f"report/{name}" for name in shown]
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="ascii")
    (folder / "report.md").write_text(report_markdown(report), encoding="utf-8")
    return report


def _content(
    network: Network,
    built: Sequence[BuiltForm],
    pictures: Pictures,
    preprocessing: PreprocessingParity | None,
    options: ExportOptions,
) -> dict[str, Any]:
    source = network.spec.source
    notes = list(network.notes)
    if source.random_weights:
        notes.append(
            "The weights are random: results mean nothing, and low precision is judged by its tensors alone, as which "
            "of nearly equal scores comes first is chance."
        )
    if "int8" in options.precisions and not pictures.own:
        notes.append("int8 is calibrated on the golden frames, for want of pictures; the weights are random.")
    content = {
        "format": REPORT_FORMAT,
        "version": REPORT_VERSION,
        "task": network.spec.task,
        "source": asdict(source),
        "versions": _versions(),
        "frames": [
            {
                "name": frame.name,
                "image_hw": list(frame.image.shape[:2]),
                "sha256": hashlib.sha256(frame.image.tobytes()).hexdigest(),
            }
            for frame in pictures.golden
        ],
        "calibration": {"method": "min-max", "pictures": len(pictures.calibration)}
        if "int8" in options.precisions
        else None,
        "preprocessing": None if preprocessing is None else asdict(preprocessing),
        "forms": [_form(one, source.random_weights) for one in built],
        "notes": notes,
    }
    # As it reads back: lists for tuples. NaN would be no JSON, and is written as null where it can occur.
    read: dict[str, Any] = json.loads(json.dumps(content, allow_nan=False))
    return read


def _form(built: BuiltForm, random_weights: bool) -> dict[str, Any]:
    precision = FORMS[built.form].precision
    data = data_path(built.path)
    return {
        "file": built.path.name,
        "role": built.role,
        "form": built.form,
        "runtimes": list(built.runtimes),
        "sha256": file_sha256(built.path),
        "bytes": sum(path.stat().st_size for path in (built.path, data) if path.exists()),
        "data": data.name if data.exists() else "",
        "nodes": built.nodes,
        "opset": built.opset,
        "tracer": built.tracer,
        "seconds": {name: round(value, 2) for name, value in built.seconds.items()},
        "float_operators": built.islands,
        "layers": built.layers,
        "left_out": [{"nodes": list(one.layers), "error": one.error} for one in built.left_out],
        "parity": [_parity(row) for row in built.parity],
        "limits": [
            {"what": one.what, "bound": one.bound, "least": one.least, "reason": one.reason}
            for one in limits_of(precision, random_weights)
        ],
        "notes": built.notes,
    }


def _parity(row: FormParity) -> dict[str, Any]:
    return {
        "runtime": row.runtime,
        "tensors": [_finite(asdict(one)) for one in row.tensors],
        "results": [_finite(asdict(one)) for one in row.results],
        "failures": list(row.failures),
    }


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity: null."""
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}


def _versions() -> dict[str, str]:
    found = {
        "edgevision": edgevision.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "torch": str(torch.__version__),
    }
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _write_golden(
    path: Path, network: Network, references: Sequence[PartReference], pictures: Pictures
) -> None:
    """frame.N: uint8 (H, W, 3) BGR. ROLE.RUN.output.NAME and, of parts that take no frame, ROLE.RUN.input.NAME: as
    PyTorch took and gave them; an input that is an output of another part is the text of that key. result.N: the golden
    results as JSON. names: the frames'."""
    arrays: dict[str, Any] = {"names": np.array([frame.name for frame in pictures.golden])}
    for index, frame in enumerate(pictures.golden):
        arrays[f"frame.{index}"] = frame.image
    # Six prompts a frame would be six copies of its embeddings, 16 MB each for SAM 2.
    keys: dict[int, str] = {}
    for reference in references:
        role = reference.part.role
        for index, outputs in enumerate(reference.outputs):
            arrays |= {f"{role}.{index}.output.{name}": value for name, value in outputs.items()}
            if role == "model":
                keys |= {id(value): f"{role}.{index}.output.{name}" for name, value in outputs.items()}
                continue
            for name, value in reference.feeds[index].items():
                held = keys.get(id(value))
                arrays[f"{role}.{index}.input.{name}"] = value if held is None else np.array(held)
    results = decode_outputs(network.spec, references[0], references[0].outputs, "fp32")
    for index, result in enumerate(results):
        arrays[f"result.{index}"] = np.array(result.to_json())
    np.savez_compressed(path, **arrays)
