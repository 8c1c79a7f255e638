"""A frame's way over the GPU gives what the processor gives, bit for bit, in the order that a GPU may do it in."""

from __future__ import annotations

import gc
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparing import assert_same, frames
from cuda_modules import emulated_or_skip
from frame_networks import FAMILIES, SIDE, data_dependent, family, head, label_maps, rows, spec
from late_cuda import LateCuda
from test_model import classifier
from tiny_networks import BYTE, INT, LONG
from trt_bench import Machine

from edgevision import Embedding, InputError, Model, Segmentation
from edgevision.backends.options import TensorRtOptions
from edgevision.backends.tensorrt import open_tensorrt
from edgevision.errors import BackendError, EdgeVisionWarning


@pytest.fixture(params=[False, True], ids=["discrete", "Jetson"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    made = Machine(monkeypatch, tmp_path, "10.3.0", integrated=request.param)
    made.cuda = made.trt.cuda = LateCuda(emulated_or_skip(), integrated=request.param)
    return made


Open = Callable[..., Model]


@pytest.fixture
def open_model(machine: Machine) -> Iterator[Open]:
    made: list[Model] = []

    def open_one(spec: Any, network: bytes, **options: Any) -> Model:
        path = machine.engine(network)
        made.append(Model(spec, open_tensorrt(path, "cuda", TensorRtOptions(**options))))
        return made[-1]

    yield open_one
    for model in made:
        model.close()
    gc.collect()


def size_of(result: Any) -> int:
    """How much a result says: objects, or different values."""
    if isinstance(result, Segmentation):
        return len(np.unique(result.labels))
    return 2 if isinstance(result, Embedding) else len(result)


@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gives_the_processors_results(open_model: Open, name: str, half: bool) -> None:
    spec, network = family(name, half=half)
    on_gpu, on_processor = open_model(spec, network), open_model(spec, network, slots=0)
    for frame in frames(6):
        expected = on_processor(frame)
        assert_same(on_gpu(frame), expected)
        assert size_of(expected) > 1
    batch = frames(3)
    for got, expected in zip(on_gpu(batch), on_processor(batch), strict=True):
        assert_same(got, expected)


@pytest.mark.parametrize("element", [BYTE, INT, LONG], ids=["uint8", "int32", "int64"])
def test_label_maps_of_the_network_are_resized(open_model: Open, element: int) -> None:
    spec, network = label_maps(element)
    on_gpu, on_processor = open_model(spec, network), open_model(spec, network, slots=0)
    for frame in frames(4):
        assert_same(on_gpu(frame), on_processor(frame))


# What a frame costs


def test_frames_of_a_kind_are_one_launch_and_nothing_is_made_for_them(
    machine: Machine, open_model: Open
) -> None:
    model = open_model(*family("yolo, masks"))
    kinds = [frames(3)[index] for index in (0, 1, 2, 0, 1, 2)]
    for frame in kinds:
        model(frame)
    before = dict(machine.cuda.counts)
    for frame in kinds:
        model(frame)
    used = {
        call: count - before[call] for call, count in machine.cuda.counts.items() if count != before[call]
    }
    assert used == {"launch": len(kinds), "synchronize": len(kinds)}


def test_frame_sizes_and_options_that_come_back_are_not_recorded_again(
    machine: Machine, open_model: Open
) -> None:
    model = open_model(*family("yolo"))
    reference = open_model(*family("yolo"), slots=0)
    calls = [
        (frame, options) for frame in frames(3) for options in ({}, {"confidence": 0.8}, {"classes": [1, 2]})
    ]
    for _ in range(2):
        for frame, options in calls:
            assert_same(model(frame, **options), reference(frame, **options))
    recorded = machine.cuda.counts["capture"]
    for frame, options in calls:
        assert_same(model(frame, **options), reference(frame, **options))
    assert machine.cuda.counts["capture"] == recorded


def test_a_larger_frame_makes_room_and_smaller_ones_go_on(machine: Machine, open_model: Open) -> None:
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    large, middle, small = frames(3)
    for frame in (small, small, small, middle, small, small, large, small, small, middle, middle):
        assert_same(model(frame), reference(frame))


@pytest.mark.parametrize("name", ["yolo", "class_logits", "scores"])
def test_many_sizes_and_options_are_forgotten_again(open_model: Open, name: str) -> None:
    model, reference = open_model(*family(name)), open_model(*family(name), slots=0)
    takes_options = name != "class_logits"
    for index in range(50):
        frame = frames(1, seed=index)[0][: 40 + index]
        options = {"confidence": 0.4 + index / 100} if takes_options else {}
        assert_same(model(frame, **options), reference(frame, **options))


# The ring


@pytest.mark.parametrize("slots", [1, 2, 3])
@pytest.mark.parametrize("name", ["yolo, masks", "class_logits", "scores"])
def test_frames_on_their_way_keep_their_own_results(open_model: Open, name: str, slots: int) -> None:
    model, reference = open_model(*family(name), slots=slots), open_model(*family(name), slots=0)
    given = frames(9)
    for frame in given[:3]:  # until graphs are recorded
        model(frame)
    ahead = [model.submit(frame) for frame in given]
    for frame, submission in reversed(list(zip(given, ahead, strict=True))):
        assert_same(submission.result(), reference(frame))
        assert submission.result() is submission.result()


def test_the_next_frame_is_submitted_before_the_last_is_done(machine: Machine, open_model: Open) -> None:
    model = open_model(*family("yolo"))
    frame = frames(1)[0]
    first = model.submit(frame)
    waited = machine.cuda.counts.get("synchronize", 0)
    second = model.submit(frame)
    assert machine.cuda.counts.get("synchronize", 0) == waited
    assert not first.is_done()
    first.wait()
    assert first.is_done()
    assert not second.is_done()
    assert_same(second.result(), first.result())
    assert first.is_done()
    assert first.timings.total > 0
    third = model.submit(frame)
    fourth, fifth = model.submit(frame), model.submit(frame)  # the third must make room
    assert third.is_done()
    assert not fifth.is_done()
    assert_same(fourth.result(), third.result())


def test_a_model_that_is_called_alone_needs_one_slot(machine: Machine, open_model: Open) -> None:
    model = open_model(*family("yolo"), slots=4)
    for frame in frames(6):
        model(frame)
    assert len(machine.cuda.streams) == 1


def test_clones_work_beside_each_other(open_model: Open) -> None:
    model = open_model(*family("yolo"))
    reference = open_model(*family("yolo"), slots=0)
    clones = [model.clone() for _ in range(3)]
    for frame in frames(6):
        ahead = [clone.submit(frame) for clone in clones]
        for submission in ahead:
            assert_same(submission.result(), reference(frame))
    model.close()
    assert_same(clones[0](frame), reference(frame))
    for clone in clones:
        clone.close()


def test_closing_waits_for_what_is_on_its_way(machine: Machine, open_model: Open) -> None:
    model = open_model(*family("yolo"))
    ahead = [model.submit(frame) for frame in frames(2)]
    model.close()
    assert all(not stream._queue for stream in machine.cuda.streams.values())
    for submission in ahead:
        with pytest.raises(BackendError, match="closed"):
            submission.result()
    with pytest.raises(BackendError, match="closed"):
        model(frames(1)[0])


def test_closing_gives_everything_back_where_the_gpu_has_failed(machine: Machine, open_model: Open) -> None:
    model = open_model(*family("yolo"))
    ahead = [model.submit(frame) for frame in frames(2)]
    machine.cuda.fail = "synchronize"
    model.close()
    machine.cuda.fail = ""
    with pytest.raises(BackendError, match="closed"):
        model(frames(1)[0])
    with pytest.raises(BackendError, match="closed"):
        ahead[0].result()


# Batches


def test_frames_of_several_cameras_go_as_one_batch(machine: Machine, open_model: Open) -> None:
    model, reference = open_model(*family("yolo, masks")), open_model(*family("yolo, masks"), slots=0)
    for seed in range(4):
        batch = frames(3, seed=seed)
        for got, frame in zip(model(batch), batch, strict=True):
            assert_same(got, reference(frame))
    launched = machine.cuda.counts["launch"]
    model(frames(3, seed=9))
    assert machine.cuda.counts["launch"] == launched + 1
    assert model([]) == []


def test_an_engine_of_a_fixed_batch_takes_fewer_and_more(open_model: Open) -> None:
    spec, network = family("yolo", batch=4)
    model, reference = open_model(spec, network), open_model(spec, network, slots=0)
    for count in (1, 4, 3, 9, 4, 1):
        batch = frames(count, seed=count)
        for got, expected in zip(model(batch), reference(batch), strict=True):
            assert_same(got, expected)


# Frames that are on the device already, and results that stay


class Interface:
    """An array that only says where it is, as PyCUDA's do."""

    def __init__(self, array: np.ndarray, **more: Any) -> None:
        self.array = array
        strides = None if array.flags.c_contiguous else array.strides
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (array.ctypes.data, True),
            "strides": strides,
            "version": 3,
            **more,
        }


class Lent:
    """An array that lends itself through DLPack, and tells the stream that asks."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.asked = array, []

    def __dlpack__(self, *, stream: int) -> object:
        self.asked.append(stream)
        return self.array.__dlpack__()


@pytest.mark.parametrize("wrap", [Interface, Lent])
@pytest.mark.parametrize(
    "view",
    [
        lambda image: image,
        lambda image: image[3:-2, 5:],
        lambda image: image[::2, ::3],
        lambda image: image[..., 0],
        lambda image: np.dstack([image, image[..., :1]]),
        lambda image: image[..., :1],
    ],
    ids=["whole", "crop", "every other pixel", "gray", "BGRA", "one channel"],
)
def test_frames_on_the_device_are_read_where_they_lie(
    machine: Machine, open_model: Open, wrap: Any, view: Any
) -> None:
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    for frame in frames(4):
        image = view(frame)
        assert_same(model(wrap(image)), reference(image))
        pinned = {**machine.cuda.pinned, **machine.cuda.regions}
        assert image.nbytes not in pinned.values()  # nothing was made to copy it to
    mixed = [wrap(view(frame)) if index % 2 else frame for index, frame in enumerate(frames(3))]
    plain = [view(frame) if index % 2 else frame for index, frame in enumerate(frames(3))]
    for got, expected in zip(model(mixed), reference(plain), strict=True):
        assert_same(got, expected)


def test_a_frame_is_kept_until_its_result_is_there(open_model: Open) -> None:
    model = open_model(*family("yolo"))
    image = Interface(frames(1)[0])
    kept = weakref.ref(image)
    ahead = model.submit(image)
    del image
    gc.collect()
    assert kept() is not None
    ahead.result()
    gc.collect()
    assert kept() is None


def test_what_fills_a_frame_is_waited_for(machine: Machine, open_model: Open) -> None:
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    frame = frames(1)[0]
    other, late = machine.cuda.Stream(), np.zeros_like(frame)
    for _ in range(3):
        late[:] = 0
        other.put(lambda: np.copyto(late, frame))
        assert_same(model(Interface(late, stream=other.handle)), reference(frame))
    lent = Lent(frame)
    model(lent)
    assert lent.asked == [model.session.stream.handle]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Interface(np.zeros((8, 8, 3), np.float32)), "image.*uint8.*'<f4'"),
        (Lent(np.zeros((8, 8, 3), np.float32)), "must be uint8"),
        (Interface(np.zeros((8, 8, 2), np.uint8)), r"\(8, 8, 2\)"),
        (Interface(np.zeros((0, 8, 3), np.uint8)), "at least one row"),
        (Lent(np.zeros((2, 8, 8, 3), np.uint8)), r"\(2, 8, 8, 3\)"),
        ("frame.jpg", "read_image"),
        (np.zeros((8, 8, 3), np.float32), "uint8"),
    ],
    ids=[
        "float32",
        "float32 by DLPack",
        "two channels",
        "no rows",
        "four dimensions",
        "a path",
        "NumPy float32",
    ],
)
def test_what_is_no_frame_is_refused_and_the_next_one_goes_on(
    open_model: Open, image: Any, message: str
) -> None:
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    with pytest.raises(InputError, match=message):
        model(image)
    frame = frames(1)[0]
    assert_same(model(frame), reference(frame))
    with pytest.raises(InputError, match=rf"images\[1\]|{message}"):
        model([frame, image])
    assert_same(model(frame), reference(frame))


@pytest.mark.parametrize(
    ("device", "words"),
    [(1, "lies on GPU 1, and the model runs on GPU 0"), (-1, "memory that CUDA does not know")],
)
def test_a_frame_of_another_gpu_is_refused_before_the_gpu_reads_it(
    machine: Machine, open_model: Open, device: int, words: str
) -> None:
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    frame = frames(1)[0]
    machine.cuda.elsewhere[frame.ctypes.data] = device
    with pytest.raises(InputError, match=words):
        model(Interface(frame))
    machine.cuda.elsewhere.clear()
    assert_same(model(Interface(frame)), reference(frame))


def test_a_model_on_the_processor_says_what_to_do_with_frames_on_a_device(open_model: Open) -> None:
    model = open_model(*family("yolo"), slots=0)
    with pytest.raises(InputError, match=r"image is another library's array \(Interface\).*NumPy"):
        model(Interface(frames(1)[0]))


def test_boxes_can_stay_on_the_device(open_model: Open) -> None:
    model = open_model(*family("yolo, pose"))
    for frame in frames(4):
        ahead = model.submit(frame)
        left = {name: np.from_dlpack(array).copy() for name, array in ahead.on_device().items()}
        result = ahead.result()
        count = left["counts"][0]
        assert count == len(result) > 0
        np.testing.assert_array_equal(left["boxes"][0, :count], result.xyxy)
        np.testing.assert_array_equal(left["scores"][0, :count], result.confidence)
        np.testing.assert_array_equal(left["class_ids"][0, :count], result.class_id)
        assert left["extra"].shape == (1, 300, 9)
        with pytest.raises(BackendError, match="`result` was called"):
            ahead.on_device()


def test_labels_and_outputs_can_stay_on_the_device(open_model: Open) -> None:
    labels, scores = open_model(*family("class_logits")), open_model(*family("scores"))
    batch = frames(2)
    ahead = labels.submit(batch)
    left = [np.from_dlpack(array).copy() for array in ahead.on_device()["labels"]]
    for array, result in zip(left, ahead.result(), strict=True):
        np.testing.assert_array_equal(array, result.labels)
    given = scores.submit(batch)
    assert np.from_dlpack(given.on_device()["y0"]).shape == (2, 4)
    assert given.on_device()["y0"].__cuda_array_interface__["typestr"] == "<f4"


# Frames written where the GPU reads them


@pytest.mark.parametrize("filter", ["linear", "nearest", "bilinear_antialias"])
@pytest.mark.parametrize("channels", [0, 3, 4])
def test_rows_that_a_resize_does_not_read_do_not_go_up(
    machine: Machine, open_model: Open, filter: str, channels: int
) -> None:
    spec, network = family("yolo")
    spec = replace(spec, inputs=(replace(spec.inputs[0], filter=filter),))
    model, reference = open_model(spec, network), open_model(spec, network, slots=0)
    rng = np.random.default_rng(0)
    for factor in (2, 3, 4, 5, 1, 3, 3):
        shape = (36 * factor, 64 * factor, *([channels] if channels else []))
        frame = rng.integers(0, 256, shape, np.uint8)
        assert_same(model(frame), reference(frame))
        assert_same(model(frame[:, ::-1]), reference(frame[:, ::-1]))
        cropped = frame[:, 1:]  # a row is no whole number of steps then
        assert_same(model(cropped), reference(cropped))
    memory = model._graph._slots[0]._memories[0]
    assert (memory.nbytes < 5 * 36 * 64 * 5 * max(channels, 1)) == (filter != "bilinear_antialias")


def test_a_frame_that_is_written_into_the_models_buffer_is_not_copied(
    machine: Machine, open_model: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    given = frames(6)
    for frame in given[:3]:
        model(frame)
    ahead = []
    monkeypatch.setattr("edgevision.frame_graph.slot.np.copyto", None)  # calling it would raise
    for frame in given:
        buffer = model.frame_buffer(frame.shape)
        buffer[:] = frame
        ahead.append(model.submit(buffer))
    monkeypatch.undo()
    for frame, submission in zip(given, ahead, strict=True):
        assert_same(submission.result(), reference(frame))


def test_of_a_lent_buffer_only_the_rows_that_are_read_go_up(machine: Machine, open_model: Open) -> None:
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    shape, moved = (SIDE * 3, 100, 3), []
    copy = machine.cuda.copy_rows_async
    machine.cuda.copy_rows_async = lambda *given: (moved.append(given[4] * given[5]), copy(*given))
    for seed in range(4):
        buffer = model.frame_buffer(shape)
        buffer[:] = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        expected = reference(buffer.copy())
        assert_same(model(buffer), expected)
    # A frame, and the recording of the rest; on shared memory nothing goes up.
    assert moved == ([] if machine.cuda.info.integrated else [SIDE * 100 * 3] * 2)


def test_a_lent_buffer_is_not_copied_either_where_another_slot_becomes_free(
    open_model: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    given = frames(6)
    for _ in range(2):
        for submission in [model.submit(frame) for frame in given]:
            submission.result()
    monkeypatch.setattr("edgevision.frame_graph.slot.np.copyto", None)  # calling it would raise
    ahead, found = None, []
    for frame in given:
        buffer = model.frame_buffer(frame.shape)
        buffer[:] = frame
        if ahead is not None:
            found.append(ahead.result())
        ahead = model.submit(buffer)
    found.append(ahead.result())
    monkeypatch.undo()
    for frame, result in zip(given, found, strict=True):
        assert_same(result, reference(frame))


@pytest.mark.parametrize("slots", [1, 2])
def test_frames_of_many_kinds_in_any_order(open_model: Open, slots: int) -> None:
    """What a frame shares with the one before it is not told again; what it does not share must be."""
    model, reference = open_model(*family("yolo"), slots=slots), open_model(*family("yolo"), slots=0)
    rng = np.random.default_rng(slots)
    shapes = [(SIDE * 3, 48, 3), (48, SIDE * 3, 3), (SIDE * 3, 48), (40, 64, 4)]
    shape, options, way = shapes[0], {}, 0
    ahead: list[tuple[Any, Any]] = []
    for turn in range(60):
        # One thing changes at a time, so that what follows is often nearly of the kind before.
        what = rng.integers(5)
        shape = shapes[rng.integers(2 if turn % 2 else 4)] if what == 0 else shape
        if what == 1:
            options = {} if options else {"confidence": 0.9}
        way = rng.integers(4) if what == 2 else way
        frame = rng.integers(0, 256, shape, np.uint8)
        given: Any = frame
        if way == 1:
            given = model.frame_buffer(shape)
            given[:] = frame
        elif way == 2:
            given = Interface(frame)
        elif way == 3:
            given = [frame, rng.integers(0, 256, shapes[turn % 4], np.uint8)]
        expected = [reference(one, **options) for one in (given if way == 3 else [frame])]
        ahead.append((model.submit(given, **options), expected))
        if len(ahead) >= slots:
            submission, wanted = ahead.pop(0)
            got = submission.result()
            for one, other in zip(got if isinstance(got, list) else [got], wanted, strict=True):
                assert_same(one, other)


def test_each_frame_of_a_batch_has_its_buffer(open_model: Open) -> None:
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    for seed in range(3):
        batch = frames(3, seed=seed)
        buffers = [model.frame_buffer(frame.shape, index) for index, frame in enumerate(batch)]
        for buffer, frame in zip(buffers, batch, strict=True):
            buffer[:] = frame
        for got, frame in zip(model(buffers), batch, strict=True):
            assert_same(got, reference(frame))


# Where the GPU must leave something to the processor


def test_more_boxes_than_the_gpu_suppresses_are_left_to_the_processor(open_model: Open) -> None:
    low, high = rows(5, {0: (0, 64), 1: (0, 64), 2: (0.1, 0.5), 3: (0.1, 0.5), 4: (0.6, 1.0)}, 0, 9000)
    network = head([(5, 9000)], [low], [high])
    made = spec("detect", "yolo", labels=1)
    model, reference = open_model(made, network), open_model(made, network, slots=0)
    for frame in frames(3):
        for most in (100, 9000):
            expected = reference(frame, max_detections=most, confidence=0.5)
            assert_same(model(frame, max_detections=most, confidence=0.5), expected)
        assert len(expected) > 8192


def test_masks_that_take_more_room_than_the_image_come_down_all(open_model: Open) -> None:
    bounds = {0: (30, 34), 1: (30, 34), 2: (50, 60), 3: (50, 60)} | {8 + i: (-1, 1) for i in range(5)}
    network = head([(13, 50), (5, 16, 16)], [rows(13, bounds, 0, 50)[0], -1], [rows(13, bounds, 0, 50)[1], 1])
    made = spec("instances", "yolo", masks=5)
    model, reference = open_model(made, network), open_model(made, network, slots=0)
    for frame in frames(6):
        expected = reference(frame, iou=1.0)
        assert_same(model(frame, iou=1.0), expected)
    assert expected.masks.data.size > 2 * frame.shape[0] * frame.shape[1]


def test_a_network_whose_outputs_depend_on_the_data_runs_as_before(open_model: Open) -> None:
    made, network = data_dependent()
    on_gpu, reference = open_model(made, network), open_model(made, network, slots=0)
    first, *others = frames(4)
    with pytest.warns(EdgeVisionWarning, match="depend on the data"):
        got = on_gpu(first)
    assert_same(got, reference(first))
    for frame in others:
        assert_same(on_gpu(frame), reference(frame))
    with pytest.raises(InputError, match="NumPy"):
        on_gpu(Interface(first))


def test_a_frame_that_shrinks_too_much_for_the_gpu_is_prepared_on_the_processor(open_model: Open) -> None:
    spec, network = family("yolo")
    spec = replace(spec, inputs=(replace(spec.inputs[0], filter="bilinear_antialias", resize="stretch"),))
    model, reference = open_model(spec, network), open_model(spec, network, slots=0)
    large = np.random.default_rng(0).integers(0, 256, (5000, 70, 3)).astype(np.uint8)
    with pytest.warns(EdgeVisionWarning, match="shrinks too much"):
        got = model(large)
    assert_same(got, reference(large))
    with warnings.catch_warnings(action="error"):  # said once
        for frame in (large, frames(1)[0], large, large):
            assert_same(model(frame), reference(frame))
    with pytest.raises(InputError, match="shrinks too much"):
        model(Interface(large))


def test_a_network_that_cannot_be_recorded_runs_step_by_step(machine: Machine, open_model: Open) -> None:
    machine.trt.fail = "record"
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0, cuda_graph=False)
    first, second, *others = frames(5)
    assert_same(model(first), reference(first))
    with pytest.warns(EdgeVisionWarning, match="without a CUDA graph"):
        got = model(second)
    assert_same(got, reference(second))
    assert model.device == "cuda:0 (without a CUDA graph)"
    for frame in others:
        assert_same(model(frame), reference(frame))


def test_strict_makes_an_error_of_that(machine: Machine, open_model: Open) -> None:
    machine.trt.fail = "record"
    model = open_model(*family("yolo"), strict=True)
    frame = frames(1)[0]
    model(frame)
    with pytest.raises(BackendError, match="cannot be launched as a CUDA graph"):
        model(frame)


# Failures


@pytest.mark.filterwarnings("ignore:.*without a CUDA graph")  # where it was recording just then
@pytest.mark.parametrize("fail", ["pinned", "device", "kernels", "copy", "synchronize"])
def test_what_cuda_refuses_is_said_and_the_next_frame_goes_on(
    machine: Machine, open_model: Open, fail: str
) -> None:
    if machine.cuda.info.integrated and fail in ("device", "copy"):
        pytest.skip("nothing is copied there")
    model, reference = open_model(*family("yolo, masks")), open_model(*family("yolo, masks"), slots=0)
    refused: list[str] = []
    for frame in frames(4):
        machine.cuda.fail = fail
        try:
            got = model(frame)
        except BackendError as error:
            refused.append(str(error))
        else:  # it made nothing of the kind
            assert_same(got, reference(frame))
        machine.cuda.fail = ""
        assert_same(model(frame), reference(frame))
    assert refused
    assert all("out of memory" in words for words in refused)  # what the stand-in says


def test_an_engine_that_fails_is_said_and_the_next_frame_goes_on(machine: Machine, open_model: Open) -> None:
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    frame = frames(1)[0]
    machine.trt.fail, machine.trt.says = "execute", ["Error Code 1: Cuda Runtime (an illegal memory access)"]
    with pytest.raises(BackendError, match="illegal memory access"):
        model(frame)
    machine.trt.fail = ""
    assert_same(model(frame), reference(frame))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError])
def test_an_interruption_while_a_frame_is_recorded_ends_the_recording(
    machine: Machine, open_model: Open, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    frame = frames(1)[0]
    model(frame)
    real = model.session._execute

    def interrupt(engine: Any) -> None:
        real(engine)
        raise kind

    monkeypatch.setattr(model.session, "_execute", interrupt)
    with pytest.raises(kind):
        model(frame)
    monkeypatch.undo()
    assert not model.session.stream.capturing
    for _ in range(3):
        assert_same(model(frame), reference(frame))
    assert model.device == "cuda:0"


def test_nothing_is_collected_while_a_frame_is_recorded(
    open_model: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_model(*family("yolo"))
    frame = frames(1)[0]
    model(frame)
    real, seen = model.session._execute, []

    def watch(engine: Any) -> None:
        seen.append((model.session.stream.capturing, gc.isenabled()))
        real(engine)

    monkeypatch.setattr(model.session, "_execute", watch)
    model(frame)
    assert seen == [(True, False)]
    assert gc.isenabled()


def test_a_frame_that_failed_keeps_no_memory(machine: Machine, open_model: Open) -> None:
    model = open_model(*family("yolo"))
    ahead = model.submit(frames(1)[0])
    machine.cuda.fail = "synchronize"
    with pytest.raises(BackendError):
        ahead.result()
    machine.cuda.fail = ""
    slot = weakref.ref(model._graph._slots[0])
    gc.disable()
    try:
        model.close()
        assert slot() is None
    finally:
        gc.enable()
    with pytest.raises(BackendError):
        ahead.result()


BIG = np.random.default_rng(1).integers(0, 256, (200, 300, 3), np.uint8)


def test_masks_go_on_after_a_frame_for_which_there_was_no_memory(machine: Machine, open_model: Open) -> None:
    model, reference = open_model(*family("yolo, masks")), open_model(*family("yolo, masks"), slots=0)
    frame = frames(1)[0]
    for _ in range(3):
        model(frame)
    machine.cuda.fail = "kernels"
    with pytest.raises(BackendError):
        model(BIG)
    machine.cuda.fail = ""
    for image in (frame, frame, BIG, frame):
        assert_same(model(image), reference(image))


def test_masks_go_on_after_growth_for_which_there_was_no_memory(machine: Machine, open_model: Open) -> None:
    bounds = {0: (30, 34), 1: (30, 34), 2: (50, 60), 3: (50, 60)} | {8 + i: (-1, 1) for i in range(5)}
    low, high = rows(13, bounds, 0, 50)
    network = head([(13, 50), (5, 16, 16)], [low, -1], [high, 1])
    made = spec("instances", "yolo", masks=5)
    model, reference = open_model(made, network), open_model(made, network, slots=0)
    frame = frames(1)[0]
    ahead = model.submit(frame, iou=1.0)
    ahead.wait()
    machine.cuda.fail = "kernels"
    with pytest.raises(BackendError):
        ahead.result()
    machine.cuda.fail = ""
    for _ in range(3):
        assert_same(model(frame, iou=1.0), reference(frame, iou=1.0))


def test_a_buffer_for_which_there_is_no_memory_leaves_no_graph_behind(
    machine: Machine, open_model: Open
) -> None:
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    frame = frames(1)[0]
    for _ in range(3):
        model(frame)
    machine.cuda.fail = "pinned"
    with pytest.raises(BackendError):
        model.frame_buffer((4000, 4000, 3))
    machine.cuda.fail = ""
    for _ in range(3):
        assert_same(model(frame), reference(frame))


def test_batches_that_the_processor_prepares_are_recorded_by_their_number(open_model: Open) -> None:
    made, network = family("yolo", batch=4)
    made = replace(made, inputs=(replace(made.inputs[0], filter="bilinear_antialias", resize="stretch"),))
    model, reference = open_model(made, network), open_model(made, network, slots=0)
    images = list(np.random.default_rng(0).integers(0, 256, (4, 5000, 70, 3), np.uint8))
    with warnings.catch_warnings(action="ignore"):
        for count in (2, 2, 2, 4, 1, 4):
            for got, expected in zip(model(images[:count]), reference(images[:count]), strict=True):
                assert_same(got, expected)


def test_results_are_read_on_their_own_gpu(machine: Machine, open_model: Open) -> None:
    model = open_model(*family("yolo"))
    machine.cuda.devices = 2
    for read in ("on_device", "result"):
        ahead = model.submit(frames(1)[0])
        ahead.wait()
        machine.cuda.set_device(1)  # as a model on the other one does
        getattr(ahead, read)()
        assert machine.cuda.current == 0
        ahead.result()


# The same on the processor


def test_a_model_on_the_processor_takes_submissions_too() -> None:
    with classifier() as model:
        frame = frames(1)[0]
        ahead = model.submit(frame)
        assert ahead.is_done()
        assert_same(ahead.result(), model(frame))
        assert ahead.timings.total > 0
        several = model.submit([frame, frame])
        assert len(several.result()) == 2
        assert model.submit([]).result() == []
        with pytest.raises(BackendError, match="runs on the processor"):
            ahead.on_device()
        buffer = model.frame_buffer((48, 64, 3))
        assert (buffer.shape, buffer.dtype) == ((48, 64, 3), np.uint8)
        with pytest.raises(InputError, match="no option 'iou'"):
            model.submit(frame, iou=0.5)


@pytest.mark.parametrize("slots", [-1, True, 1.5, "2"])
def test_slots_are_a_number(slots: Any) -> None:
    with pytest.raises(InputError, match="slots must be a whole number"):
        TensorRtOptions(slots=slots)


# The benchmark


def test_the_benchmark_measures_every_way(machine: Machine, open_model: Open) -> None:
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    import gpu_frame

    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    found = gpu_frame.measure(model, reference, frames(1)[0], seconds=0.0, rounds=3, in_a_row=4)
    assert list(found["ways"]) == ["network", "frame", "buffer", "processor", "submit", "streamed"]
    assert all(row["p99_us"] >= row["p50_us"] > 0 for row in found["ways"].values())
    assert "goal: at most 1.25" in gpu_frame.table(found)
    with pytest.raises(SystemExit, match="measures a GPU"):
        gpu_frame.measure(classifier(), reference, frames(1)[0], seconds=0.0, rounds=3, in_a_row=4)
    other = open_model(*family("yolov5"), slots=0)
    with pytest.raises(SystemExit, match="nothing is timed"):
        gpu_frame.measure(model, other, frames(1)[0], seconds=0.0, rounds=3, in_a_row=4)
