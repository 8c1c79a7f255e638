"""`edgevision run` with every kind of result: pictures are annotated, JSON lines hold all that was found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from picture_networks import CASES, IMAGE, SIDE, write_case

import edgevision as ev
from edgevision.cli.main import main

# Large enough to draw on; the network's input is stretched back to its own pixels.
PICTURE = np.repeat(np.repeat(IMAGE, 16, axis=0), 16, axis=1)


@pytest.mark.parametrize("name", [name for name in CASES if name != "embed"])  # it has nothing to draw
def test_every_result_is_drawn_and_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model_path = write_case(tmp_path, name)
    picture, out, lines = tmp_path / "p.png", tmp_path / "out", tmp_path / "r.jsonl"
    ev.write_image(picture, PICTURE)
    assert main(["run", str(model_path), str(picture), "--save", str(out), "--json", str(lines)]) == 0
    assert "1 frames" in capsys.readouterr().err
    result = ev.load(model_path)(PICTURE)
    assert len(result) > 1
    drawn = ev.read_image(out / "p.png")
    assert np.array_equal(drawn, ev.draw(PICTURE, result))
    assert not np.array_equal(drawn, PICTURE)
    row = json.loads(lines.read_text())
    assert row["task"] == CASES[name][0]
    for key, value in result.to_dict().items():
        assert row[key] == value


def test_masks_can_be_read_back_from_the_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model_path = write_case(tmp_path, "instances")
    picture = tmp_path / "p.png"
    ev.write_image(picture, PICTURE)
    assert main(["run", str(model_path), str(picture), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    runs = [item["mask"] for item in row["detections"]]
    masks = ev.Masks.from_rle(runs, (16 * SIDE, 16 * SIDE))
    assert np.array_equal(masks.dense(), ev.load(model_path)(PICTURE).mask)
    assert all(len(item["keypoints"]) == 2 for item in row["detections"])


@pytest.mark.parametrize("name", ["instances", "pose", "oriented"])
def test_the_summary_counts_what_was_found(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model_path = write_case(tmp_path, name)
    picture = tmp_path / "p.png"
    ev.write_image(picture, PICTURE)
    assert main(["run", str(model_path), str(picture), "--conf", "0.5", "--max-detections", "3"]) == 0
    found = ev.load(model_path, confidence=0.5, max_detections=3)(PICTURE).names
    said = capsys.readouterr().err
    assert all(f"{label} {found.count(label)}" in said for label in set(found))
