from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevision import Detections, read_image
from edgevision.cli.main import main
from edgevision.demo.scene import CLASS_NAMES, Truth
from edgevision.demo.sheet import TILE_HW
from edgevision.demo.showcase import count_matches
from edgevision.stream import VideoSource


def test_the_demo_prints_a_table_and_writes_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--seconds", "0.5", "--output", str(tmp_path / "d")]) == 0
    said = capsys.readouterr().out
    for text in (*CLASS_NAMES, "preprocess", "inference", "postprocess", "frames per second"):
        assert text in said
    found = next(line.split() for line in said.splitlines() if line.startswith("all "))
    present, hits = int(found[1]), int(found[2])
    assert present > 50
    assert hits / present > 0.9, "the shipped model finds its parts"
    assert read_image(tmp_path / "d" / "demo.png").shape == (720, 1280, 3)
    assert VideoSource(tmp_path / "d" / "demo.mp4").count == 15
    sheet = read_image(tmp_path / "d" / "contact_sheet.png")
    assert sheet.shape[1] > 3 * TILE_HW[1]
    assert sheet.shape[0] > 2 * TILE_HW[0]
    assert str(tmp_path / "d" / "contact_sheet.png") in said


def truth(boxes: list[list[float]], classes: list[int], ignored: list[bool]) -> Truth:
    count = len(boxes)
    return Truth(
        class_id=np.array(classes),
        object_id=np.arange(count),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        masks=np.zeros((count, 1, 1), bool),
        visible=np.ones(count, np.float32),
        ignored=np.array(ignored, bool),
        labels=np.zeros((1, 1), np.uint8),
        keypoints=np.zeros((count, 4, 3), np.float32),
    )


def found(boxes: list[list[float]], classes: list[int]) -> Detections:
    scores = np.linspace(0.9, 0.5, len(boxes), dtype=np.float32)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), scores, np.array(classes, np.int64), (100, 100)
    )


A, B = [0, 0, 10, 10], [50, 50, 60, 60]


@pytest.mark.parametrize(
    ("boxes", "classes", "objects", "ignored", "hits", "extras"),
    [
        ([A, B], [0, 1], [0, 1], [False, False], [True, True], [False, False]),
        ([A, A], [0, 0], [0, 1], [False, False], [True, False], [False, True]),
        ([A], [1], [0, 1], [False, False], [False, False], [True]),
        ([A, B], [0, 1], [0, 1], [True, False], [False, True], [False, False]),
        ([], [], [0, 1], [False, False], [False, False], []),
        ([[0, 0, 10, 4]], [0], [0, 1], [False, False], [False, False], [True]),
    ],
    ids=["both", "twice the same", "wrong class", "ignored object", "nothing", "too little overlap"],
)
def test_matches_are_counted_once_and_by_class(
    boxes: list, classes: list, objects: list, ignored: list, hits: list, extras: list
) -> None:
    hit, extra = count_matches(found(boxes, classes), truth([A, B], objects, ignored))
    assert hit.tolist() == hits
    assert extra.tolist() == extras
