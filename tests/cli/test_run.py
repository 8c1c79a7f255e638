from __future__ import annotations

import json
from pathlib import Path

import pytest

import edgevision as ev
from edgevision.cli.main import main
from edgevision.stream import VideoSource


def test_a_folder_of_pictures_is_annotated_and_told_as_json(
    model_path: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = tmp_path / "out.jsonl"
    status = main(
        ["run", str(model_path), str(pictures), "--save", str(tmp_path / "out"), "--json", str(lines)]
    )
    said = capsys.readouterr()
    assert status == 0
    assert said.out == "", "stdout belongs to --json -"
    assert "3 frames" in said.err
    assert "preprocess" in said.err
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [Path(row["source"]).name for row in rows] == ["still0.png", "still1.png", "still2.png"]
    assert all(row["detections"] and row["timings_ms"]["inference"] > 0 for row in rows)
    before = ev.read_image(pictures / "still1.png")
    after = ev.read_image(tmp_path / "out" / "still1.png")
    assert before.shape == after.shape
    assert (before != after).any()


def test_json_goes_to_stdout_by_default(
    model_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(model_path), str(pictures / "still0.png"), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    model = ev.load(model_path)
    assert row["detections"] == model(ev.read_image(pictures / "still0.png")).to_dict()["detections"]


def test_a_video_gives_an_annotated_video(
    model_path: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "annotated.mp4"
    assert main(["run", str(model_path), str(clip), "--save", str(target)]) == 0
    assert f"wrote {target}" in capsys.readouterr().err
    assert VideoSource(target).count == 6


def test_save_without_a_path_takes_a_free_one(
    model_path: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["run", str(model_path), str(clip), "--limit", "1", "--save"]) == 0
    assert sorted(item.name for item in (tmp_path / "runs").iterdir()) == ["run1.mp4", "run2.mp4"]


def test_thresholds_and_classes_reach_the_model(
    model_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = ev.load(model_path).labels[0]
    arguments = ["run", str(model_path), str(pictures), "--json", "--classes", name, "--conf", "0.01"]
    assert main([*arguments, "--max-detections", "2"]) == 0
    for line in capsys.readouterr().out.splitlines():
        found = json.loads(line)["detections"]
        assert len(found) <= 2
        assert {row["name"] for row in found} <= {name}


def test_a_broken_picture_is_skipped_and_the_status_tells(
    model_path: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes((pictures / "still0.png").read_bytes())
    (tmp_path / "b.png").write_bytes(b"broken")
    assert main(["run", str(model_path), str(tmp_path), "--json"]) == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1
    assert "skipped" in said.err
    assert "b.png is not a picture that can be read" in said.err


def test_an_interruption_keeps_what_was_done(
    model_path: Path,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = []
    original = ev.Model.__call__

    def interrupted(self: ev.Model, image: object, **changes: object) -> object:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(self, image, **changes)

    monkeypatch.setattr(ev.Model, "__call__", interrupted)
    arguments = ["--save", str(tmp_path / "v.mp4"), "--json", str(tmp_path / "r.jsonl")]
    assert main(["run", str(model_path), str(clip), *arguments]) == 130
    assert "what was done is saved" in capsys.readouterr().err
    assert VideoSource(tmp_path / "v.mp4").count == 3
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 3


def test_a_failure_leaves_no_half_written_file(
    model_path: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    original = ev.Model.__call__

    def failing(self: ev.Model, image: object, **changes: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise ev.BackendError("the runtime failed")
        return original(self, image, **changes)

    monkeypatch.setattr(ev.Model, "__call__", failing)
    arguments = ["--save", str(tmp_path / "v.mp4"), "--json", str(tmp_path / "r.jsonl")]
    assert main(["run", str(model_path), str(clip), *arguments]) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "source", "text"),
    [
        ("nowhere.onnx", "{pictures}", "nowhere.onnx"),
        ("{model}", "nowhere.png", "no file, folder or match"),
        ("{pictures}/still0.png", "{pictures}", "still0.png"),
    ],
    ids=["no model", "no source", "a picture as the model"],
)
def test_a_wrong_path_is_one_clear_line(
    model: str, source: str, text: str, model_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {"model": str(model_path), "pictures": str(pictures)}
    assert main(["run", model.format(**paths), source.format(**paths)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("edgevision: ")
    assert text in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["--conf", "2"],
        ["--conf", "high"],
        ["--iou", "-1"],
        ["--max-detections", "0"],
        ["--classes", ","],
        ["--wrong"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["run", "model", "source", *arguments])
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_a_window_without_a_display_says_which_extra_to_install(
    model_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "GUI:                           NONE" not in __import__("cv2").getBuildInformation():
        pytest.skip("this OpenCV has windows")
    assert main(["run", str(model_path), str(pictures), "--show"]) == 1
    assert "edgevision[gui]" in capsys.readouterr().err
