"""Masks, keypoints and rotated boxes are those of Ultralytics' own predictor, from its exports and from ours.

Random weights, real photographs, about a hundred objects above the confidence in each. Ultralytics is run as a black
box.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ultralytics_models import SIDE, build_model, busy_photographs, export_model, open_predictor, ultralytics

import edgevision as ev

cv2 = pytest.importorskip("cv2", reason="OpenCV (extra video) is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")

from edgevision.export.yolo import export_yolo  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    # Ultralytics' exporter and torch's, none of it ours.
    pytest.mark.filterwarnings("ignore"),
]

ARCHITECTURES = [
    f"{size}-{task}" for task in ("seg", "pose", "obb") for size in ("yolov8n", "yolo11n", "yolo26n")
]
TASKS = {"seg": ("segment", "instances"), "pose": ("pose", "pose"), "obb": ("obb", "oriented")}

# Networks that go through export_yolo as well: each task and each generation once.
OURS = ["yolo26n-seg", "yolov8n-pose", "yolo11n-obb"]
# How Ultralytics exports: as it does by itself, with NMS in the graph, with an input that shrinks to the picture.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "ultralytics": {},
    "nms inside": {"nms": True, "conf": 0.001},
    "dynamic": {"dynamic": True},
}
EXPORTS = [
    *((name, "ultralytics") for name in ARCHITECTURES),
    *((name, "nms inside") for name in ARCHITECTURES if "11" in name),
    ("yolo11n-seg", "dynamic"),
    *((name, "edgevision") for name in OURS),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """The ONNX file of (architecture, exporter), made once."""
    folder = tmp_path_factory.mktemp("tasks")
    done: dict[tuple[str, str], Path] = {}

    def export(name: str, exporter: str) -> Path:
        if (name, exporter) in done:
            return done[name, exporter]
        checkpoint = folder / f"{name}.pt"
        if not checkpoint.exists():
            build_model(f"{name}.yaml", seed=5, extras=True).save(checkpoint)
        target = folder / f"{name}_{exporter.replace(' ', '_')}.onnx"
        if exporter == "edgevision":
            export_yolo(checkpoint, target, size_hw=(SIDE, SIDE))
        else:
            # Of the checkpoint: it holds half-precision weights, and both exporters shall have the same.
            arguments = ARGUMENTS[exporter] | ({"end2end": True} if "26" in name else {})
            export_model(ultralytics.YOLO(checkpoint), folder, imgsz=SIDE, **arguments).rename(target)
        done[name, exporter] = target
        return target

    return export


class Pair:
    """Our model of a file, and Ultralytics' predictor of its own export of the same weights."""

    def __init__(self, files: Callable[[str, str], Path], name: str, exporter: str, **options: Any) -> None:
        theirs, ours = TASKS[name.split("-")[1]]
        self.model = ev.load(files(name, exporter))
        assert self.model.task == ours
        self.selected = "26" in name or exporter == "nms inside"
        assert self.model.spec.decoder.name == ("yolo_end2end" if self.selected else "yolo")
        own = files(name, "ultralytics" if exporter == "edgevision" else exporter)
        self._predict = open_predictor(own, theirs, imgsz=SIDE, **options)

    def results(self, image: np.ndarray) -> tuple[Any, Any]:
        """(ours, theirs) at the same confidence, which keeps 60 to 200 candidates.

        It lies in the widest gap between their scores. Two float32 networks differ in the last bits: with a
        confidence among thousands of nearly equal scores, chance would decide which are kept and which suppress.
        """
        self.model(image)
        rows = self.model.session.run()["output0"][0]
        classes = len(self.model.labels)
        scores = rows[:, 4] if self.selected else rows[4 : 4 + classes].max(axis=0)
        best = np.sort(scores)[::-1]
        cut = 60 + int(np.argmax(best[60:200] - best[61:201]))
        assert best[cut] - best[cut + 1] > 2e-6, "rounding is 1e-7"
        confidence = float(best[cut] + best[cut + 1]) / 2
        return self.model(image, confidence=confidence), self._predict(image, confidence)


Objects = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Scores (N,), class ids (N,), and what is compared to 0.01 px: boxes (N, 4) or corners (N, 4, 2)."""


def match_objects(ours: Objects, theirs: Objects) -> np.ndarray:
    """bool (N, N): which of theirs each of ours may be: the same class, score within 1e-5, points within 0.01 px.

    Each object must have a partner on the other side.
    """
    assert len(ours[0]) == len(theirs[0]) >= 5
    alike = ours[1][:, None] == theirs[1][None]
    alike &= np.abs(ours[0][:, None] - theirs[0][None]) <= 1e-5
    alike &= point_gaps(ours[2], theirs[2]) <= 0.01
    assert alike.any(axis=1).all(), f"{(~alike.any(axis=1)).sum()} of {len(alike)} have no equal of theirs"
    assert alike.any(axis=0).all(), f"{(~alike.any(axis=0)).sum()} of {len(alike)} have no equal of ours"
    return alike


def point_gaps(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Largest difference of any coordinate, of each of ours from each of theirs: float64 (N, N), px.

    Corners may begin at any of the four: a box turned by a quarter, its sides swapped, is the same box.
    """
    starts = [ours] if ours.ndim == 2 else [np.roll(ours, shift, axis=1) for shift in range(4)]
    flat = theirs.reshape(len(theirs), -1).astype(np.float64)
    gaps = [np.abs(points.reshape(len(ours), 1, -1) - flat[None]).max(axis=2) for points in starts]
    return np.min(gaps, axis=0)


def of_boxes(result: Any) -> Objects:
    return result.boxes.conf.numpy(), result.boxes.cls.numpy(), result.boxes.xyxy.numpy()


def of_ours(result: ev.Detections) -> Objects:
    return result.confidence, result.class_id, result.xyxy


def mask_ious(ours: np.ndarray, theirs: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """IoU of each of our masks with the best of its partners': float64 (N,)."""
    ious = []
    for mask, partners in zip(ours, alike, strict=True):
        others = theirs[partners] != 0
        union = (mask | others).sum(axis=(1, 2))
        ious.append(((mask & others).sum(axis=(1, 2)) / union).max())
    return np.array(ious)


@pytest.mark.parametrize(("name", "exporter"), [case for case in EXPORTS if "-seg" in case[0]])
def test_masks_are_those_of_retina_masks(name: str, exporter: str, files: Callable[[str, str], Path]) -> None:
    pair = Pair(files, name, exporter, retina_masks=True)
    for picture, image in busy_photographs().items():
        ours, theirs = pair.results(image)
        alike = match_objects(of_ours(ours), of_boxes(theirs))
        assert mask_ious(ours.mask, theirs.masks.data.numpy(), alike).min() >= 0.999, picture


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if "-seg" in name])
def test_masks_at_the_size_of_the_input_are_the_predictors_default(
    name: str, files: Callable[[str, str], Path]
) -> None:
    """Without retina_masks its masks stay at the size of the model's input: here that of the picture as well."""
    pair = Pair(files, name, "ultralytics")
    for picture in ("astronaut", "china"):
        whole = busy_photographs()[picture]
        side = min(whole.shape[:2])
        image = cv2.resize(whole[:side, :side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        ours, theirs = pair.results(image)
        alike = match_objects(of_ours(ours), of_boxes(theirs))
        assert mask_ious(ours.mask, theirs.masks.data.numpy(), alike).min() >= 0.999, picture


@pytest.mark.parametrize(("name", "exporter"), [case for case in EXPORTS if "-pose" in case[0]])
def test_keypoints_are_the_predictors(name: str, exporter: str, files: Callable[[str, str], Path]) -> None:
    pair = Pair(files, name, exporter)
    for picture, image in busy_photographs().items():
        ours, theirs = pair.results(image)
        alike = match_objects(of_ours(ours), of_boxes(theirs))
        gap = np.abs(ours.keypoints[:, None] - theirs.keypoints.data.numpy()[None])
        near = (gap[..., :2].max(axis=(2, 3)) <= 0.01) & (gap[..., 2].max(axis=2) <= 1e-5)
        assert (near & alike).any(axis=1).all(), picture


@pytest.mark.parametrize(("name", "exporter"), [case for case in EXPORTS if "-obb" in case[0]])
def test_rotated_boxes_are_the_predictors(
    name: str, exporter: str, files: Callable[[str, str], Path]
) -> None:
    pair = Pair(files, name, exporter)
    for image in busy_photographs().values():
        ours, theirs = pair.results(image)
        match_objects(
            (ours.confidence, ours.class_id, ours.corners),
            (theirs.obb.conf.numpy(), theirs.obb.cls.numpy(), theirs.obb.xyxyxyxy.numpy()),
        )
        assert ours.xywhr[:, 4].min() >= 0
        assert ours.xywhr[:, 4].max() < np.pi / 2
