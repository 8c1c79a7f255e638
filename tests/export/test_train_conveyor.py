"""The pictures, batches and updates that all of the demo's networks learn by, and the evaluation of the detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (the export extra)")
pytest.importorskip("torchvision", reason="torchvision is not installed (the export extra)")
pytest.importorskip("cv2", reason="OpenCV is not installed (the video extra)")

from edgevision.demo.scene import Scene  # noqa: E402
from edgevision.export import conveyor_cache, conveyor_data  # noqa: E402
from edgevision.export.conveyor_batch import Pictures, make_batch, to_input  # noqa: E402
from edgevision.export.conveyor_cache import Samples  # noqa: E402
from edgevision.export.conveyor_data import INPUT_HW, held_out_frames, letterbox  # noqa: E402
from edgevision.export.conveyor_eval import detect, evaluate  # noqa: E402
from edgevision.export.conveyor_loss import detector_loss  # noqa: E402
from edgevision.export.conveyor_trainer import Schedule, Team, Trainer  # noqa: E402
from edgevision.export.conveyor_yolo import ConveyorYolo  # noqa: E402
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
    sample = conveyor_data.to_sample(frame)
    placement = place_image(SIZE, INPUT_HW)
    assert sample.image.shape == (*INPUT_HW, 3)
    expected = placement.points_to_model(frame.truth.boxes.reshape(-1, 2)).reshape(-1, 4)
    np.testing.assert_allclose(sample.boxes[:, :4], expected, rtol=0, atol=1e-4)  # float32 products below 448
    assert np.array_equal(sample.boxes[:, 4], frame.truth.class_id)
    assert np.array_equal(sample.boxes[:, 5], frame.truth.ignored)


def test_a_sample_says_which_object_each_pixel_shows() -> None:
    frame = Scene(4, SIZE).frame(3.0)
    sample = conveyor_data.to_sample(frame)
    placement = place_image(SIZE, INPUT_HW)
    (top, left), (height, width) = placement.offset_yx, placement.resized_hw
    assert not sample.owners[:top].any()
    assert not sample.owners[top + height :].any()
    inside = sample.owners[top : top + height, left : left + width]
    # The pixel under each centre: 720 / 252 picture pixels to one of the input's.
    line, column = (np.floor((np.arange(n) + 0.5) * 720 / 252).astype(int) for n in (height, width))
    shown = np.ix_(line, column)
    assert np.array_equal(inside > 0, frame.truth.labels[shown] > 0)
    for row, mask in enumerate(frame.truth.masks):
        assert np.array_equal(inside == row + 1, mask[shown])


def test_a_samples_landmarks_show_where_it_says_so() -> None:
    sample = conveyor_data.to_sample(Scene(4, SIZE).frame(3.0))
    lying = checked = 0
    for row, landmarks in enumerate(sample.keypoints):
        for x, y, shows in landmarks:
            if shows:
                checked += 1
                lying += sample.owners[int(y), int(x)] != row + 1
    assert checked > 30
    # Visibility is the full picture's; a pixel of the input stands for eight of those.
    assert lying <= 0.05 * checked


def test_crops_hold_the_counted_parts() -> None:
    frame = Scene(4, SIZE).frame(3.0)
    crops, classes = conveyor_data.crop_samples(frame)
    assert crops.shape == (len(frame.truth.counted()), *conveyor_data.CROP_HW, 3)
    assert np.array_equal(classes, frame.truth.counted().class_id)
    some, of = conveyor_data.crop_samples(frame, np.random.default_rng(0), 3)
    assert len(some) == len(of) == 3


def test_a_cache_is_rendered_once_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conveyor_cache, "CHUNK", 2)
    path = conveyor_cache._render_chunk(0, 9, tmp_path)
    written = path.stat().st_mtime_ns
    assert conveyor_cache._render_chunk(0, 9, tmp_path) == path
    assert path.stat().st_mtime_ns == written
    samples = conveyor_cache.load_samples([path, path])
    assert samples.images.shape == (4, *INPUT_HW, 3)
    assert samples.owners.shape == (4, *INPUT_HW)
    assert [len(b) for b in samples.boxes[:2]] == [len(b) for b in samples.boxes[2:]]
    assert [len(k) for k in samples.keypoints] == [len(b) for b in samples.boxes]
    assert not np.array_equal(samples.images[0], samples.images[1])
    crops = conveyor_cache.load_crops([path])
    assert 0 < len(crops) == len(crops.classes) <= 2 * conveyor_cache.CROPS_A_PICTURE
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
    """A blue bracket's box and landmarks on black, and an ignored object in the corner."""
    image, owners = np.zeros((64, 96, 3), np.uint8), np.zeros((64, 96), np.uint8)
    image[10:30, 20:50] = (255, 120, 60)
    owners[10:30, 20:50], owners[:4, :4] = 1, 2
    landmarks = np.zeros((2, 4, 3), np.float32)
    landmarks[0, :, :2] = [[22.5, 28.5], [48.5, 28.5], [22.5, 11.5], [60.5, 5.5]]
    boxes = np.array([[20, 10, 50, 30, 4, 0], [0, 0, 4, 4, 4, 1]], np.float32)
    return Samples(image[None], (boxes,), (landmarks,), owners[None])


def test_mirrored_pictures_keep_their_truth_on_their_objects() -> None:
    seen = set()
    for seed in range(12):
        batch = make_batch(bright_square(), np.array([0]), np.random.default_rng(seed))
        x0, y0, x1, y1 = (int(v) for v in batch.boxes[0, 0])
        lit = batch.images[0].amax(dim=0) > 0.5
        assert lit[y0:y1, x0:x1].all()
        assert int(lit.sum()) == (x1 - x0) * (y1 - y0)
        assert torch.equal(batch.owners[0] == 1, lit)
        assert torch.equal(batch.labels[0] == 5, lit | (batch.owners[0] == 2))
        assert (
            batch.images[0, 0, y0, x0] < batch.images[0, 1, y0, x0] < batch.images[0, 2, y0, x0]
        )  # RGB of blue
        assert batch.keypoints[0, 0, :, 2].tolist() == [1, 1, 1, 0]
        assert lit[batch.keypoints[0, 0, :3, 1].long(), batch.keypoints[0, 0, :3, 0].long()].all()
        seen.add((x0, y0))
    assert len(seen) == 4


def test_batches_flag_counted_ignored_and_padding() -> None:
    one = bright_square()
    both = Samples(
        np.repeat(one.images, 2, axis=0),
        (one.boxes[0], one.boxes[0][:1]),
        (one.keypoints[0], one.keypoints[0][:1]),
        np.repeat(one.owners, 2, axis=0),
    )
    targets = make_batch(both, np.array([0, 1]), np.random.default_rng(0)).targets
    assert targets.counted.tolist() == [[True, False], [True, False]]
    assert targets.ignored.tolist() == [[False, True], [False, False]]


def test_networks_take_rgb_from_0_to_1() -> None:
    picture = np.zeros((1, 2, 3, 3), np.uint8)
    picture[..., 0], picture[..., 2] = 255, 51  # blue, red
    tensor = to_input(picture)
    assert tensor.shape == (1, 3, 2, 3)
    assert tensor[0, :, 0, 0].tolist() == [np.float32(0.2), 0.0, 1.0]


def make_trainer(folder: Path, seed: int, frozen: tuple[str, ...] = ()) -> Trainer:
    torch.manual_seed(seed)
    schedule = Schedule(minutes=1.0, epochs=1, rate=1e-3, bfloat16=False)
    return Trainer(ConveyorYolo(8), detector_loss, schedule, Team(0, 1, folder), "cpu", frozen)


def square_batch() -> Pictures:
    return make_batch(bright_square(), np.array([0, 0]), np.random.default_rng(0))


def test_training_goes_on_from_a_checkpoint_as_if_never_stopped(tmp_path: Path) -> None:
    first, batch = make_trainer(tmp_path, 1), square_batch()
    first.train_step(batch, 0.5)
    first.save(tmp_path / "last.pt")
    second = make_trainer(tmp_path, 2)
    second.load(tmp_path / "last.pt")
    assert first.train_step(batch, 0.5)["loss"] == second.train_step(batch, 0.5)["loss"]
    for mine, theirs in zip(
        first.average.state_dict().values(), second.average.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs)
    assert (first.step, second.step) == (2, 2)


def test_frozen_children_stay_as_they_are_and_the_others_learn(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, 1, ("stem", "stage3"))
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.train_step(square_batch(), 0.0)
    changed = {
        name for name, value in trainer.model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed
    assert not any(name.startswith(("stem.", "stage3.")) for name in changed)


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, 1)
    trainer.loss = lambda model, batch: (next(model.parameters()).sum() * float("nan"), {})
    with pytest.raises(FloatingPointError, match="lower --rate"):
        trainer.train_step(square_batch(), 0.0)


def perfect(frame: object) -> np.ndarray:
    """What a flawless network would say of the frame: one column an object and one of noise."""
    rows = conveyor_data.to_sample(frame).boxes  # type: ignore[arg-type]
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
