"""ONNX files that Ultralytics exports itself give the results of its own predictor, with no extra word.

Random weights, real photographs, confidence 0.001: thousands of candidates, so that a difference of one grey level
or one rounding anywhere shows as another count. Ultralytics is run as a black box.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ultralytics_models import photographs, randomise, ultralytics

import edgevision as ev

pytestmark = [
    pytest.mark.slow,
    # Ultralytics' exporter and torch's, none of it ours.
    pytest.mark.filterwarnings("ignore"),
]

# id: (architecture, arguments of Ultralytics' export)
CASES = {
    "v5u": ("yolov5n.yaml", {}),
    "v8": ("yolov8n.yaml", {}),
    "v9": ("yolov9t.yaml", {}),
    "v10 end to end": ("yolov10n.yaml", {"end2end": True}),
    "v10 one to many": ("yolov10n.yaml", {"end2end": False}),
    "v11": ("yolo11n.yaml", {}),
    "v11 rectangle": ("yolo11n.yaml", {"imgsz": (384, 640)}),
    "v11 dynamic": ("yolo11n.yaml", {"dynamic": True}),
    "v11 nms inside": ("yolo11n.yaml", {"nms": True, "conf": 0.001, "max_det": 300}),
    "v12": ("yolo12n.yaml", {}),
    "v26 end to end": ("yolo26n.yaml", {"end2end": True}),
    "v26 one to many": ("yolo26n.yaml", {"end2end": False}),
    "rt-detr": ("rtdetr-l.yaml", {}),
    "v8 classify": ("yolov8n-cls.yaml", {"imgsz": 224}),
    "v11 classify": ("yolo11n-cls.yaml", {"imgsz": 224}),
    "v26 classify": ("yolo26n-cls.yaml", {"imgsz": 224}),
}
DETECTORS = [name for name in CASES if "classify" not in name]
CLASSIFIERS = [name for name in CASES if "classify" in name]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Ultralytics' own export of a case, made once."""
    done: dict[str, Path] = {}

    def export(name: str) -> Path:
        if name not in done:
            architecture, arguments = CASES[name]
            folder = tmp_path_factory.mktemp("ultralytics")
            kind = ultralytics.RTDETR if "rtdetr" in architecture else ultralytics.YOLO
            model = kind(architecture)
            randomise(model.model, seed=sorted(CASES).index(name))
            previous = Path.cwd()
            os.chdir(folder)
            try:
                done[name] = Path(model.export(format="onnx", simplify=False, **arguments)).resolve()
            finally:
                os.chdir(previous)
        return done[name]

    return export


def predictor_of(path: Path, task: str, name: str):
    model = ultralytics.RTDETR(path) if "rt-detr" in name else ultralytics.YOLO(path, task=task)

    def predict(image: np.ndarray):
        return model.predict(image, conf=0.001, iou=0.7, device="cpu", verbose=False, save=False)[0]

    return predict


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_gives_the_predictors_boxes(name: str, exported: Callable[[str], Path]) -> None:
    path = exported(name)
    model = ev.load(path, confidence=0.001)
    selected = "end to end" in name or "nms inside" in name
    assert model.spec.decoder.name == (
        "rtdetr" if name == "rt-detr" else "yolo_end2end" if selected else "yolo"
    )
    predict = predictor_of(path, "detect", name)
    total = 0
    for picture, image in photographs().items():
        theirs = predict(image).boxes
        if name == "rt-detr":
            theirs = clip_boxes(theirs, image.shape[:2])
        ours = model(image)
        assert len(ours) == len(theirs), picture
        total += len(ours)
        check_boxes(ours, theirs, picture)
    assert total > 100, "so few boxes would prove nothing"


def clip_boxes(boxes, image_hw: tuple[int, int]):
    """RT-DETR's predictor is the one that leaves boxes beyond the image; every result of ours is clipped to it."""
    data = boxes.data.clone()
    data[:, 0:4:2].clamp_(0, image_hw[1])
    data[:, 1:4:2].clamp_(0, image_hw[0])
    return type(boxes)(data, image_hw)


def check_boxes(ours: ev.Detections, theirs, picture: str) -> None:
    """Equal as sets: both are sorted by score, then by class and place, because end-to-end heads reorder ties."""
    own = np.column_stack([ours.confidence, ours.class_id, ours.xyxy]).astype(np.float64)
    other = np.column_stack([theirs.conf.numpy(), theirs.cls.numpy(), theirs.xyxy.numpy()]).astype(np.float64)
    own, other = (
        rows[np.lexsort((rows[:, 2], rows[:, 1], -np.round(rows[:, 0], 6)))] for rows in (own, other)
    )
    # Float32 networks give scores that differ in the last bits when a batch is laid out otherwise; ties then swap.
    assert np.abs(own[:, 0] - other[:, 0]).max(initial=0) <= 1e-5, picture
    gap = np.abs(own[:, None, 2:] - other[None, :, 2:]).max(axis=2)
    gap = np.where(own[:, None, 1] == other[None, :, 1], gap, np.inf)
    gap = np.where(np.abs(own[:, None, 0] - other[None, :, 0]) <= 1e-5, gap, np.inf)
    assert gap.min(axis=1, initial=np.inf).max(initial=0) <= 0.01, f"{picture}: one of ours has no equal"
    assert gap.min(axis=0, initial=np.inf).max(initial=0) <= 0.01, f"{picture}: one of theirs has no equal"


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_gives_the_predictors_scores(name: str, exported: Callable[[str], Path]) -> None:
    path = exported(name)
    model = ev.load(path)
    predict = predictor_of(path, "classify", name)
    for picture, image in photographs().items():
        theirs = predict(image).probs.data.numpy()
        ours = model(image)
        scores = np.empty(len(ours), np.float32)
        scores[ours.class_id] = ours.confidence
        assert np.abs(scores - theirs).max() <= 1e-5, picture
        assert ours.class_id[0] == theirs.argmax(), picture
    assert scores.std() > 1e-5, "equal scores for all classes would prove nothing"


def test_a_list_gives_what_single_pictures_give(exported: Callable[[str], Path]) -> None:
    model = ev.load(exported("v11 dynamic"), confidence=0.001)
    same = [photographs()["rocket"], photographs()["china"]]
    for together, alone in zip(model(same), (model(image) for image in same), strict=True):
        assert len(together) == len(alone)
        assert np.abs(together.xyxy - alone.xyxy).max() <= 0.01
        assert np.abs(together.confidence - alone.confidence).max() <= 1e-5
