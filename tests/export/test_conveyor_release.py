"""The demo's models as they ship: what their reports say, and that the files beside them do as well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed (the export extra)")
pytest.importorskip("torchvision", reason="torchvision is not installed (the export extra)")
pytest.importorskip("onnx", reason="onnx is not installed (the export extra)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (the cpu extra)")
pytest.importorskip("cv2", reason="OpenCV is not installed (the video extra)")

import edgevision as ev
from edgevision.demo.scene import CLASS_NAMES
from edgevision.demo.shipped import DEMO_MODELS, demo_model_path
from edgevision.export.conveyor_data import held_out_frames
from edgevision.export.conveyor_judge import HEADLINES, JUDGES, headline
from edgevision.export.conveyor_network import spec_of

LEAST = {"yolo": 0.80, "instances": 0.70, "unet": 0.85, "resnet": 0.97, "vit": 0.97, "promptable": 0.80}
"""What each model must reach on held-out scenes: mAP50-95 of boxes, of masks, mIoU, top-1, top-1, mIoU after a click."""


def report_of(name: str) -> dict[str, Any]:
    path = demo_model_path(name).parent / f"conveyor_{name}.json"
    report: dict[str, Any] = json.loads(path.read_text("ascii"))
    return report


def files_of(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.iterdir())


@pytest.mark.parametrize("name", DEMO_MODELS)
def test_each_model_reaches_its_mark_on_held_out_scenes(name: str) -> None:
    report = report_of(name)
    assert report["model"] == f"conveyor_{name}"
    assert report["classes"] == list(CLASS_NAMES)
    assert report["held_out"]["all"]["frames" if name != "instances" else "masks"]
    assert headline(name, report["held_out"]["all"]) >= LEAST[name]
    assert max(row["relative"] for row in report["onnx_against_torch"]) < 1e-4


def test_all_together_are_small_and_nothing_else_ships_with_them() -> None:
    folder = demo_model_path().parent
    assert sum(path.stat().st_size for name in DEMO_MODELS for path in files_of(demo_model_path(name))) < 16e6
    wanted = {*DEMO_MODELS.values(), *(f"conveyor_{name}.json" for name in DEMO_MODELS)}
    assert {path.name for path in folder.iterdir()} == wanted
    assert {path.name for path in demo_model_path("promptable").iterdir()} == {
        "bundle.json", "decoder.onnx", "model.onnx",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", DEMO_MODELS)
def test_the_shipped_file_does_as_well_as_its_report_says(name: str) -> None:
    with ev.load(demo_model_path(name)) as model:
        wanted = spec_of(name)
        assert (model.spec.task, model.spec.decoder.name, model.spec.labels) == (
            wanted.task, wanted.decoder.name, wanted.labels,
        )  # fmt: skip
        figures = JUDGES[name](model, held_out_frames(3, 1, frames_per_clip=3))
    # On six frames a figure scatters around the report's; a wrong preprocessing step costs far more than 0.1.
    assert headline(name, figures) > headline(name, report_of(name)["held_out"]["all"]) - 0.1


def test_every_recipe_has_a_judge_and_a_headline() -> None:
    assert set(JUDGES) == set(HEADLINES) == set(DEMO_MODELS)
