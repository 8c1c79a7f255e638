"""Pictures, batches, checkpoints and the evaluation of the conveyor detector."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (the export extra)")
pytest.importorskip("torchvision", reason="torchvision is not installed (the export extra)")
pytest.importorskip("cv2", reason="OpenCV is not installed (the video extra)")

import edgevision as ev  # noqa: E402
import edgevision.demo  # noqa: E402
from edgevision.demo.metrics import mean_average_precision  # noqa: E402
from edgevision.demo.scene import CLASS_NAMES, Scene  # noqa: E402
from edgevision.export import conveyor_data  # noqa: E402
from edgevision.export.conveyor_data import INPUT_HW, Samples, held_out_frames, letterbox  # noqa: E402
from edgevision.export.conveyor_eval import detect, evaluate, file_detector, find_all  # noqa: E402
from edgevision.export.conveyor_loss import Targets  # noqa: E402
from edgevision.export.conveyor_trainer import Team, Trainer  # noqa: E402
from edgevision.export.train_conveyor import make_batch  # noqa: E402
from edgevision.geometry import place_image  # noqa: E402

SIZE = (720, 1280)


@pytest.mark.parametrize(
    "image_hw", [(720, 1280), (480, 640), (333, 1001), (100, 60)], ids="{0[0]}x{0[1]}".format
)
def test_letterbox_places_as_the_runtime_does(image_hw: tuple[int, int]) -> None:
    image = np.full((*image_hw, 3), 200, np.uint8)
    boxed, scale, (left, top) = letterbox(image)
    placement = place_image(image_hw, INPUT_HW)
    assert placement.offset_yx == (top, left)
    inside = np.zeros(INPUT_HW, bool)
    inside[top : top + placement.resized_hw[0], left : left + placement.resized_hw[1]] = True
    assert (boxed[inside] == 200).all()
    assert (boxed[~inside] == conveyor_data.PAD).all()
    assert max(abs(scale - gain) for gain in placement.gain_yx) < 0.5 / min(image_hw)  # a side is rounded


def test_samples_carry_the_truth_in_input_pixels() -> None:
    frame = Scene(4, SIZE).frame(3.0)
    image, rows = conveyor_data.to_sample(frame)
    placement = place_image(SIZE, INPUT_HW)
    assert image.shape == (*INPUT_HW, 3)
    expected = placement.points_to_model(frame.truth.boxes.reshape(-1, 2)).reshape(-1, 4)
    np.testing.assert_allclose(rows[:, :4], expected, rtol=0, atol=1e-4)  # float32 products below 448
    assert np.array_equal(rows[:, 4], frame.truth.class_id)
    assert np.array_equal(rows[:, 5], frame.truth.ignored)


def test_a_cache_is_rendered_once_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conveyor_data, "CHUNK", 2)
    path = conveyor_data._render_chunk(0, 9, tmp_path)
    written = path.stat().st_mtime_ns
    assert conveyor_data._render_chunk(0, 9, tmp_path) == path
    assert path.stat().st_mtime_ns == written
    samples = conveyor_data.load_cache([path, path])
    assert samples.images.shape == (4, *INPUT_HW, 3)
    assert [len(b) for b in samples.boxes[:2]] == [len(b) for b in samples.boxes[2:]]
    assert not np.array_equal(samples.images[0], samples.images[1])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # nothing half-written stays


def test_training_scenes_and_held_out_scenes_never_meet() -> None:
    class Recorder:
        def integers(self, low: int, high: int) -> int:
            self.low = low
            return low

        def uniform(self, low: float, high: float) -> float:
            return low

    from edgevision.demo.scene import random_still

    recorder = Recorder()
    random_still(recorder, (64, 64))  # type: ignore[arg-type]
    assert recorder.low == 2**31
    assert recorder.low > conveyor_data.HELD_OUT_CLIPS + 10_000


def bright_square() -> Samples:
    image = np.zeros((64, 96, 3), np.uint8)
    image[10:30, 20:50] = (255, 120, 60)
    return Samples(image[None], (np.array([[20, 10, 50, 30, 3, 0], [0, 0, 4, 4, 1, 1]], np.float32),))


def test_mirrored_pictures_keep_their_boxes_on_their_objects() -> None:
    seen = set()
    for seed in range(12):
        images, targets = make_batch(bright_square(), np.array([0]), np.random.default_rng(seed))
        x0, y0, x1, y1 = (int(v) for v in targets.boxes[0, 0])
        lit = images[0].amax(dim=0) > 0.5
        assert lit[y0:y1, x0:x1].all()
        assert int(lit.sum()) == (x1 - x0) * (y1 - y0)
        assert images[0, 0, y0, x0] < images[0, 1, y0, x0] < images[0, 2, y0, x0]  # RGB of a blue square
        seen.add((x0, y0))
    assert len(seen) == 4


def test_batches_flag_counted_ignored_and_padding() -> None:
    samples = bright_square()
    both = Samples(np.repeat(samples.images, 2, axis=0), (samples.boxes[0], samples.boxes[0][:1]))
    _, targets = make_batch(both, np.array([0, 1]), np.random.default_rng(0))
    assert targets.counted.tolist() == [[True, False], [True, False]]
    assert targets.ignored.tolist() == [[False, True], [False, False]]


def test_training_goes_on_from_a_checkpoint_as_if_never_stopped(tmp_path: Path) -> None:
    options = argparse.Namespace(seed=1, device="cpu", rate=1e-3, epochs=1, minutes=0)
    batch = make_batch(bright_square(), np.array([0, 0]), np.random.default_rng(0))

    def step(trainer: Trainer) -> float:
        return trainer.train_step(batch[0], Targets(*(t.clone() for t in vars(batch[1]).values())), 0.5)[
            "loss"
        ]

    first = Trainer(options, Team(0, 1, tmp_path))
    step(first)
    first.save(tmp_path / "last.pt")
    second = Trainer(argparse.Namespace(**vars(options) | {"seed": 2}), Team(0, 1, tmp_path))
    second.load(tmp_path / "last.pt")
    assert step(first) == step(second)
    for mine, theirs in zip(
        first.average.state_dict().values(), second.average.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs)
    assert (first.step, second.step) == (2, 2)


def perfect(frame: object) -> np.ndarray:
    """What a flawless network would say of the frame: one column an object and one of noise."""
    _, rows = conveyor_data.to_sample(frame)  # type: ignore[arg-type]
    output = np.zeros((1, 12, len(rows) + 1), np.float32)
    for i, (x0, y0, x1, y1, class_id, _) in enumerate(rows):
        output[0, :4, i] = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0
        output[0, 4 + int(class_id), i] = 0.9
    return output


def test_detections_come_back_in_image_pixels() -> None:
    frame = Scene(4, SIZE).frame(3.0)
    found = detect(lambda images: perfect(frame), frame.image)
    assert found.boxes.shape == frame.truth.boxes.shape
    order_a, order_b = np.lexsort(found.boxes.T), np.lexsort(frame.truth.boxes.T)
    # The scale is 0.35: float32 rounding of coordinates below 448 grows threefold.
    np.testing.assert_allclose(found.boxes[order_a], frame.truth.boxes[order_b], rtol=0, atol=1e-3)


def test_a_flawless_detector_scores_one() -> None:
    frames = list(held_out_frames(2, 0))
    outputs = iter([perfect(f) for f in frames])
    result = evaluate(lambda images: next(outputs), frames)
    assert result.objects == sum(len(frame.truth.counted()) for frame in frames)
    assert result.map50_95 == pytest.approx(1.0, abs=1e-12)


def test_the_shipped_model_finds_the_parts_and_its_report_is_its_own() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (the cpu extra)")
    folder = Path(edgevision.demo.__file__).parent / "models"
    model, report = (
        folder / "conveyor_yolo.onnx",
        json.loads((folder / "conveyor_yolo.json").read_text("ascii")),
    )
    assert report["classes"] == list(CLASS_NAMES)
    assert report["held_out"]["all"]["map50_95"] >= 0.80
    assert model.stat().st_size < 4_000_000
    frames = list(held_out_frames(4, 1, frames_per_clip=4))
    with ev.load(model) as loaded:
        found, truths = find_all(file_detector(loaded), frames)
    result = mean_average_precision(found, truths, len(CLASS_NAMES))
    # On eight frames the figure scatters around the report's; a wrong preprocessing step costs far more than 0.1.
    assert result.map50_95 > report["held_out"]["all"]["map50_95"] - 0.1
