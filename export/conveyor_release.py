"""A trained network of the demo to the file that ships, and the report that lies beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import edgevision as ev
from edgevision.demo.scene import CLASS_NAMES
from edgevision.export.conveyor_data import (
    FRAME_HW,
    HELD_OUT_CLIPS,
    HELD_OUT_STILLS,
    held_out_frames,
    validation_frames,
)
from edgevision.export.conveyor_eval import CONFIDENCE, NMS_IOU
from edgevision.export.conveyor_judge import JUDGES
from edgevision.export.conveyor_network import network_of
from edgevision.export.conveyor_training import read_trained
from edgevision.export.options import ExportOptions
from edgevision.export.pipeline import ExportResult, export_network
from edgevision.spec.bundle import read_bundle, write_manifest
from edgevision.spec.files import atomic_writer, file_sha256

__all__ = ["release_model", "released_path"]

_GOLDEN_FRAMES = 4


def released_path(name: str, folder: Path) -> Path:
    """Where a model lies in the folder of those that ship: one file, or the bundle of the promptable one."""
    return folder / (f"conveyor_{name}" if name == "promptable" else f"conveyor_{name}.onnx")


def release_model(checkpoint: Path, folder: Path, *, stills: int = 100, clips: int = 10) -> dict[str, Any]:
    """The report of a trained network, once it is exported into `folder`, judged there, and the report written.

    stills, clips: held-out frames, and clips of ten frames. Raises ExportError when the file does not compute what
    PyTorch computes.
    """
    trained = read_trained(checkpoint)
    target = released_path(trained.name, folder)
    frames = [frame.image for frame in validation_frames(_GOLDEN_FRAMES)]
    result = export_network(
        network_of(trained, file_sha256(checkpoint)), target, ExportOptions(images=frames)
    )
    if target.is_dir():
        _keep_networks(target)
    with ev.load(target) as model:
        figures = JUDGES[trained.name](model, held_out_frames(stills, clips))
    held_out: dict[str, Any] = {
        "frame_hw": list(FRAME_HW),
        "still_seeds": [HELD_OUT_STILLS, HELD_OUT_STILLS + stills - 1],
        "clip_seeds": [HELD_OUT_CLIPS, HELD_OUT_CLIPS + clips - 1],
    }
    if trained.name in ("yolo", "instances"):
        held_out |= {"confidence": CONFIDENCE, "nms_iou": NMS_IOU}
    report = {
        "model": f"conveyor_{trained.name}",
        "classes": list(CLASS_NAMES),
        "input_hw": list(result.spec.inputs[0].size_hw),
        "parameters": sum(p.numel() for p in trained.module.parameters()),
        "training": trained.training,
        "held_out": held_out | {"all": figures},
        "onnx_against_torch": _parity_rows(result),
    }
    _write_json(folder / f"conveyor_{trained.name}.json", report)
    return report


def _keep_networks(folder: Path) -> None:
    """Leaves the networks and the manifest of a bundle: golden frames and report weigh more than these small models."""
    kept = []
    for one in read_bundle(folder).files:
        if one.form:
            kept.append(one)
        else:
            (folder / one.file).unlink()
    write_manifest(folder, kept)


def _parity_rows(result: ExportResult) -> list[dict[str, Any]]:
    return [{"file": one.file} | asdict(row) for one in result.parity for row in one.tensors]


def _write_json(path: Path, report: Mapping[str, Any]) -> None:
    with atomic_writer(path) as file:
        file.write((json.dumps(report, indent=2) + "\n").encode("ascii"))
