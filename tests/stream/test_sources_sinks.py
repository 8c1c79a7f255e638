from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgevision import Detections, InputError, read_image, write_image
from edgevision.stream import (
    Frame,
    JsonLinesSink,
    PictureSink,
    PictureSource,
    VideoSink,
    VideoSource,
    open_source,
)

cv2 = pytest.importorskip("cv2", reason="OpenCV (extra video) is not installed")

SIZE = (48, 64, 3)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, SIZE, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in (2, 0, 1):
        write_image(tmp_path / f"p{index}.png", picture(index))
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    sink = VideoSink(tmp_path / "clip.mp4", fps=25.0)
    for index in range(5):
        sink.write(np.full(SIZE, 40 * index, np.uint8))
    sink.close()
    return sink.path


def test_a_picture_survives_png(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture(1))
    assert np.array_equal(read_image(tmp_path / "a.png"), picture(1))


def test_a_folder_gives_its_pictures_in_order(folder: Path) -> None:
    frames = list(open_source(folder))
    assert [frame.path.name for frame in frames] == ["p0.png", "p1.png", "p2.png"]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert np.array_equal(frames[2].image, picture(2))


def test_a_glob_gives_what_matches(folder: Path) -> None:
    source = open_source(str(folder / "p[01].*"))
    assert source.count == 2
    assert [frame.path.name for frame in source] == ["p0.png", "p1.png"]


def test_a_video_gives_frames_with_times(video: Path) -> None:
    source = open_source(video)
    assert isinstance(source, VideoSource)
    assert source.count == 5
    assert source.fps == pytest.approx(25.0)
    frames = list(source)
    source.close()
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    # MPEG-4 is lossy: flat frames come back within a few grey levels.
    assert [round(float(frame.image.mean()) / 40) for frame in frames] == [0, 1, 2, 3, 4]


def test_broken_pictures_can_be_skipped(folder: Path) -> None:
    (folder / "p1.png").write_bytes(b"\x89PNG broken")
    source = open_source(folder)
    assert isinstance(source, PictureSource)
    with pytest.raises(InputError, match=r"p1.png is not a picture that can be read \(11 bytes\)"):
        list(source)
    skipped: list[str] = []
    source.on_error = lambda path, error: skipped.append(path.name)
    assert [frame.path.name for frame in source] == ["p0.png", "p2.png"]
    assert skipped == ["p1.png"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nowhere.png", "no file, folder or match"),
        ("*.gif", "no picture matches"),
        ("empty", "holds no picture"),
        ("bad.mp4", "not a video that OpenCV can open"),
    ],
)
def test_a_source_that_is_not_there_says_so(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match=text):
        open_source(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text"), [("a.xyz", "accepted suffixes"), ("a", "accepted suffixes")], ids=["unknown", "none"]
)
def test_an_unknown_picture_suffix_is_an_input_error(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(InputError, match=text):
        write_image(tmp_path / name, picture(0))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.png", picture(1))
    monkeypatch.setattr(
        "os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError, match="No space left"):
        write_image(tmp_path / "a.png", picture(2))
    monkeypatch.undo()
    assert np.array_equal(read_image(tmp_path / "a.png"), picture(1))
    assert [item.name for item in tmp_path.iterdir()] == ["a.png"]


def test_a_video_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "v.avi", fps=10)
    sink.write(picture(0))
    assert not sink.path.exists()
    sink.close()
    assert sink.path.stat().st_size > 0
    aborted = VideoSink(tmp_path / "w.mp4", fps=10)
    aborted.write(picture(0))
    aborted.abort()
    assert [item.name for item in tmp_path.iterdir()] == ["v.avi"]


def test_frames_of_a_video_must_be_of_one_size(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "v.mp4", fps=10)
    sink.write(picture(0))
    with pytest.raises(InputError, match="must be of one size"):
        sink.write(picture(0)[:40])
    sink.abort()
    with pytest.raises(InputError, match=r"accepted suffixes: \.mp4, \.avi"):
        VideoSink(tmp_path / "v.gif", fps=10)


def test_pictures_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    sink = PictureSink(tmp_path / "out")
    for index, parent in enumerate("ab"):
        sink.write(picture(index), Frame(picture(index), index, tmp_path / parent / "x.png"))
    assert sorted(item.name for item in sink.path.iterdir()) == ["x.png", "x_1.png"]


def test_the_picture_being_read_is_never_overwritten(folder: Path) -> None:
    with pytest.raises(InputError, match="is the picture being read"):
        PictureSink(folder).write(picture(9), next(iter(open_source(folder))))
    assert np.array_equal(read_image(folder / "p0.png"), picture(0))


def test_json_lines_hold_frame_result_and_times(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / "r.jsonl")
    frame = Frame(picture(0), 3, tmp_path / "clip.mp4", 0.12)
    sink.write(frame, Detections.empty((48, 64)), {"inference": 1.5})
    assert not sink.path.exists()
    sink.close()
    row = json.loads(sink.path.read_text())
    assert (row["index"], row["time_s"], row["timings_ms"], row["detections"]) == (
        3,
        0.12,
        {"inference": 1.5},
        [],
    )
