"""Model: what it does around a session and a task. The session is a NumPy one, so no runtime is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from edgevision import Decoder, ImageInput, InputError, Model, ModelSpec, SpecError, Thresholds
from edgevision.backends.base import TensorInfo
from edgevision.tasks.registry import RUNNABLE_TASKS


class NumpySession:
    """A session whose network is a Python function of the input tensor."""

    device = "cpu"
    runtime = "numpy"

    def __init__(
        self,
        network: Callable[[np.ndarray], dict[str, np.ndarray]],
        shape: tuple[int | None, ...],
        dtype: str = "float32",
    ) -> None:
        self._network = network
        self.inputs = (TensorInfo("images", shape, dtype),)
        probe = network(np.zeros([side or 1 for side in shape], dtype))
        self.outputs = tuple(TensorInfo(name, value.shape, str(value.dtype)) for name, value in probe.items())
        self.runs: list[tuple[int, ...]] = []
        self.closed = False
        self._buffer = np.zeros(0, np.float32)

    def largest_batch(self, name: str) -> int | None:
        return None

    def input_buffer(self, name: str, shape: Sequence[int]) -> np.ndarray:
        assert name == "images"
        if self._buffer.shape != tuple(shape):
            self._buffer = np.full(shape, np.nan, self.inputs[0].dtype)
        return self._buffer

    def run(self, feeds: Mapping[str, np.ndarray] | None = None) -> Mapping[str, np.ndarray]:
        assert feeds is None
        self.runs.append(self._buffer.shape)
        return self._network(self._buffer)

    def clone(self) -> NumpySession:
        return NumpySession(self._network, self.inputs[0].shape, self.inputs[0].dtype)

    def close(self) -> None:
        self.closed = True


def mean_scores(tensor: np.ndarray) -> dict[str, np.ndarray]:
    """A classifier: the mean of each channel."""
    return {"scores": tensor.mean(axis=(2, 3))}


def one_box(tensor: np.ndarray) -> dict[str, np.ndarray]:
    """An end-to-end detector: three fixed rows for each image, in input pixels."""
    rows = [[8, 8, 24, 24, 0.9, 1], [8, 9, 24, 25, 0.6, 0], [0, 0, 4, 4, 0.1, 0]]
    return {"output0": np.tile(np.array(rows, np.float32), (len(tensor), 1, 1))}


def left_right(tensor: np.ndarray) -> dict[str, np.ndarray]:
    """A segmenter at a quarter of the size: class 1 where the picture is brighter than 0.5."""
    small = tensor[:, :1, ::4, ::4]
    return {"logits": np.concatenate([0.5 - small, small - 0.5], axis=1).astype(np.float32)}


def classifier(batch: int | None = 1) -> Model:
    spec = ModelSpec(
        task="classify",
        inputs=(ImageInput(size_hw=(8, 8), resize="stretch", batch=batch),),
        decoder=Decoder(name="scores", params={"activation": "none"}),
        labels=("red", "green", "blue"),
    )
    return Model(spec, NumpySession(mean_scores, (batch, 3, 8, 8)))


def detector(**thresholds: Any) -> Model:
    spec = ModelSpec(
        task="detect",
        inputs=(ImageInput(size_hw=(32, 32)),),
        decoder=Decoder(name="yolo_end2end"),
        labels=("bolt", "nut"),
        thresholds=Thresholds(**thresholds),
    )
    return Model(spec, NumpySession(one_box, (1, 3, 32, 32)))


def flat(red: int, green: int, blue: int, size_hw: tuple[int, int] = (16, 20)) -> np.ndarray:
    return np.tile(np.array([blue, green, red], np.uint8), (*size_hw, 1))


def test_a_frame_is_bgr_and_scores_come_sorted() -> None:
    result = classifier()(flat(51, 102, 255))
    assert result.names == ["blue", "green", "red"]
    assert result.confidence.tolist() == pytest.approx([1.0, 0.4, 0.2])
    assert result.image_hw == (16, 20)


def test_frame_format_rgb_swaps_the_channels() -> None:
    spec = classifier().spec
    model = Model(spec, NumpySession(mean_scores, (1, 3, 8, 8)), frame_format="rgb")
    assert model(flat(51, 102, 255)[:, :, ::-1]).names == ["blue", "green", "red"]
    with pytest.raises(InputError, match="accepted: bgr, rgb"):
        Model(spec, NumpySession(mean_scores, (1, 3, 8, 8)), frame_format="yuv")


@pytest.mark.parametrize(
    ("batch", "runs"), [(1, [1] * 5), (2, [2, 2, 2]), (None, [5])], ids=["one by one", "pairs", "any number"]
)
def test_a_list_gives_a_result_each_in_order(batch: int | None, runs: list[int]) -> None:
    model = classifier(batch)
    images = [
        flat(255, 0, 0),
        flat(0, 255, 0, (9, 4)),
        flat(0, 0, 255),
        flat(255, 0, 0, (8, 8)),
        flat(0, 255, 0),
    ]
    results = model(images)
    assert [result.names[0] for result in results] == ["red", "green", "blue", "red", "green"]
    assert [result.image_hw for result in results] == [image.shape[:2] for image in images]
    assert [shape[0] for shape in model.session.runs] == runs


def test_an_empty_list_gives_an_empty_list() -> None:
    assert classifier()([]) == []


def test_boxes_come_back_in_image_pixels() -> None:
    # 64x32 in 32x32: gain 0.5, padded by 8 left and right.
    result = detector()(np.zeros((64, 32, 3), np.uint8))
    assert result.xyxy.tolist() == [[0, 16, 32, 48], [0, 18, 32, 50]]
    assert result.names == ["nut", "bolt"]
    assert result.confidence.tolist() == pytest.approx([0.9, 0.6])


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"confidence": 0.05}, ["nut", "bolt", "bolt"]),
        ({"confidence": 0.7}, ["nut"]),
        ({"classes": "bolt"}, ["bolt"]),
        ({"classes": ["nut", 0]}, ["nut", "bolt"]),
        ({"max_detections": 1}, ["nut"]),
    ],
    ids=lambda value: str(value),
)
def test_thresholds_can_be_changed_for_one_call(changes: dict[str, Any], names: list[str]) -> None:
    model = detector()
    image = np.zeros((32, 32, 3), np.uint8)
    assert model(image, **changes).names == names
    assert model(image).names == ["nut", "bolt"], "the next call has the model's own thresholds again"


def test_the_spec_names_the_default_thresholds() -> None:
    assert detector(confidence=0.7)(np.zeros((32, 32, 3), np.uint8)).names == ["nut"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"confidence": 1.5}, "confidence must be a number from 0 to 1, got 1.5"),
        ({"confidence": "high"}, "got 'high'"),
        ({"iou": float("nan")}, "iou must be a number"),
        ({"max_detections": 0}, "at least 1, got 0"),
        ({"classes": ["gear"]}, "unknown class name 'gear'; accepted: bolt, nut"),
        ({"classes": [2]}, "accepted: 0 to 1"),
        ({"class_agnostic": 1}, "must be True or False"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_threshold_says_what_is_accepted(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        detector()(np.zeros((32, 32, 3), np.uint8), **changes)


def test_a_threshold_the_task_does_not_have_is_refused() -> None:
    with pytest.raises(
        InputError, match="task 'classify' has no option 'iou'; accepted: classes, confidence"
    ):
        classifier()(flat(1, 2, 3), iou=0.5)


def test_classes_and_confidence_narrow_a_classification() -> None:
    model = classifier()
    assert model(flat(51, 102, 255), classes=["red", "green"]).names == ["green", "red"]
    assert model(flat(51, 102, 255), confidence=0.3).names == ["blue", "green"]


def test_a_label_map_comes_back_at_the_size_of_the_image() -> None:
    spec = ModelSpec(
        task="semantic",
        inputs=(ImageInput(size_hw=(64, 64), resize="letterbox", pad_value=(0, 0, 0)),),
        decoder=Decoder(name="class_logits"),
        labels=("dark", "bright"),
    )
    model = Model(spec, NumpySession(left_right, (1, 3, 64, 64)))
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 40:] = 255
    labels = model(image).labels
    assert labels.shape == (40, 80)
    assert labels.dtype == np.uint8
    assert not labels[:, :36].any()
    assert labels[:, 44:].all()


def test_timings_are_of_the_last_call() -> None:
    model = classifier()
    assert model.timings.total == 0
    model(flat(1, 2, 3))
    timings = model.timings
    assert min(timings.preprocess, timings.inference, timings.postprocess) > 0
    assert timings.total == timings.preprocess + timings.inference + timings.postprocess


def test_warmup_runs_and_returns_the_model() -> None:
    model = classifier()
    assert model.warmup(2) is model
    assert len(model.session.runs) == 2


def test_a_clone_has_its_own_session_and_the_same_options() -> None:
    model = detector()
    model.options = model._override(confidence=0.7)
    twin = model.clone()
    assert twin.session is not model.session
    assert twin(np.zeros((32, 32, 3), np.uint8)).names == ["nut"]


def test_leaving_the_context_closes_the_session() -> None:
    with classifier() as model:
        pass
    assert model.session.closed


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.zeros((4, 4, 3), np.float32), r"must be uint8 with values 0-255, got float32"),
        (np.zeros((4, 4, 2), np.uint8), r"got \(4, 4, 2\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), "pass a batch as a list"),
        (np.zeros((0, 4, 3), np.uint8), "is empty"),
        (np.zeros(4, np.uint8), r"got \(4,\)"),
        ("image.jpg", "edgevision.read_image"),
        (None, "got NoneType"),
        ([np.zeros((4, 4, 3), np.uint8), None], r"images\[1\] must be a uint8 array"),
        ({"image": 1}, "got dict"),
    ],
    ids=[
        "float",
        "two channels",
        "four dimensions",
        "empty",
        "one dimension",
        "path",
        "None",
        "None in list",
        "dict",
    ],
)
def test_anything_but_uint8_images_is_an_input_error(image: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        classifier()(image)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((5, 6), np.uint8),
        np.zeros((5, 6, 1), np.uint8),
        np.zeros((5, 6, 4), np.uint8),
        np.zeros((10, 12, 3), np.uint8)[::2, ::-2],
    ],
    ids=["grey", "one channel", "alpha", "strided"],
)
def test_other_layouts_are_accepted(image: np.ndarray) -> None:
    image.setflags(write=False)
    assert len(classifier()(image)) == 3


@pytest.mark.parametrize(
    ("shape", "dtype", "changes", "text"),
    [
        ((1, 3, 8, 8), "float16", {}, "is float16 in the network and float32 in the spec"),
        ((1, 3, 9, 8), "float32", {}, r"\(1, 3, 9, 8\) in the network and \(1, 3, 8, 8\) in the spec"),
        ((1, 3, 8, 8), "float32", {"name": "x"}, "does not feed: images"),
    ],
    ids=["dtype", "shape", "name"],
)
def test_a_spec_that_contradicts_the_network_is_a_spec_error(
    shape: tuple[int, ...], dtype: str, changes: dict[str, Any], text: str
) -> None:
    spec = ModelSpec(
        task="classify",
        inputs=(ImageInput(**{"size_hw": (8, 8), "resize": "stretch", **changes}),),
        decoder=Decoder(name="scores"),
    )
    with pytest.raises(SpecError, match=text):
        Model(spec, NumpySession(mean_scores, shape, dtype))


def test_labels_that_do_not_count_the_scores_are_a_spec_error() -> None:
    spec = ModelSpec(
        task="classify",
        inputs=(ImageInput(size_hw=(8, 8), resize="stretch"),),
        decoder=Decoder(name="scores"),
        labels=("a", "b"),
    )
    with pytest.raises(SpecError, match="gives 3 class scores and the spec names 2 labels"):
        Model(spec, NumpySession(mean_scores, (1, 3, 8, 8)))(flat(1, 2, 3))


def test_a_missing_output_is_a_spec_error() -> None:
    spec = ModelSpec(
        task="detect",
        inputs=(ImageInput(size_hw=(32, 32)),),
        decoder=Decoder(name="yolo_end2end", outputs=("boxes",)),
    )
    with pytest.raises(SpecError, match="reads boxes, which the network does not have; its outputs: output0"):
        Model(spec, NumpySession(one_box, (1, 3, 32, 32)))


def test_a_task_of_a_later_version_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ModelSpec(
        task="instances",
        inputs=(ImageInput(size_hw=(32, 32)),),
        decoder=Decoder(name="yolo_end2end", params={"masks": 32}),
    )
    monkeypatch.delitem(RUNNABLE_TASKS, "instances")
    with pytest.raises(SpecError, match="'instances' cannot be run by this version; it runs: classify"):
        Model(spec, NumpySession(one_box, (1, 3, 32, 32)))
