"""PromptableModel: what it does around two sessions and a task. The sessions are NumPy ones, so no runtime is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from edgevision import Decoder, ImageInput, InputError, ModelSpec, PromptableModel, PromptMasks, SpecError
from edgevision.backends.base import TensorInfo

CANVAS, LOW = 64, 16
NO_MASK = np.zeros((LOW, LOW), np.float32)
Arrays = dict[str, np.ndarray]


class NumpySession:
    """A session whose network is a Python function of its inputs."""

    runtime = "numpy"

    def __init__(
        self,
        network: Callable[[Arrays], Arrays],
        inputs: Sequence[TensorInfo],
        outputs: Sequence[str],
        device: str = "cpu",
    ) -> None:
        self._network = network
        self.inputs = tuple(inputs)
        self.outputs = tuple(TensorInfo(name, (None,), "float32") for name in outputs)
        self.device = device
        self.runs: list[Arrays] = []
        self.closed = False
        self.error: Exception | None = None
        self._buffers: Arrays = {}

    def largest_batch(self, name: str) -> int | None:
        return None

    def input_buffer(self, name: str, shape: Sequence[int]) -> np.ndarray:
        info = next(one for one in self.inputs if one.name == name)
        for have, want in zip(info.shape, shape, strict=True):
            assert have in (None, want)
        held = self._buffers.get(name)
        if held is None or held.shape != tuple(shape):
            self._buffers[name] = np.full(shape, np.nan if info.dtype.startswith("float") else 99, info.dtype)
        return self._buffers[name]

    def run(self, feeds: Mapping[str, np.ndarray] | None = None) -> Mapping[str, np.ndarray]:
        assert feeds is None
        assert set(self._buffers) == {one.name for one in self.inputs}
        if self.error is not None:
            raise self.error
        self.runs.append({name: value.copy() for name, value in self._buffers.items()})
        return self._network(self._buffers)

    def clone(self) -> NumpySession:
        return NumpySession(self._network, self.inputs, [one.name for one in self.outputs], self.device)

    def close(self) -> None:
        self.closed = True


def encode(feeds: Arrays) -> Arrays:
    """The picture's mean of each channel: one number a channel stands for the embedding."""
    return {"image_embeddings": feeds["images"].mean(axis=(2, 3)), "unused": np.zeros(1, np.float32)}


def disks(feeds: Arrays, radii: Sequence[float] = (4, 8, 16, 32)) -> Arrays:
    """A disk of each radius around the centre of what was pointed at, plus the mask given."""
    grid = (np.arange(LOW) + 0.5) * CANVAS / LOW
    y, x = np.meshgrid(grid, grid, indexing="ij")
    rows = []
    for coords, labels in zip(feeds["point_coords"], feeds["point_labels"], strict=True):
        centre = coords[labels > 0].astype(np.float64).mean(axis=0)
        distance = np.hypot(x - centre[0], y - centre[1])
        rows.append([radius - distance for radius in radii])
    logits = np.array(rows, np.float32)
    if "mask_input" in feeds:
        logits += feeds["mask_input"] * feeds["has_mask_input"][:, None, None, None]
    iou = np.tile(np.linspace(0.9, 0.6, len(radii), dtype=np.float32), (len(rows), 1))
    return {"low_res_masks": logits, "iou_predictions": iou + feeds["image_embeddings"].sum()}


def decoder_inputs(prompts: int | None = 1, dtype: str = "float32", *, mask: bool = True) -> list[TensorInfo]:
    inputs = [
        TensorInfo("image_embeddings", (1, 3), dtype),
        TensorInfo("point_coords", (prompts, None, 2), dtype),
        TensorInfo("point_labels", (prompts, None), "int64" if dtype == "float16" else dtype),
    ]
    if mask:
        inputs += [
            TensorInfo("mask_input", (prompts, 1, LOW, LOW), dtype),
            TensorInfo("has_mask_input", (prompts,), dtype),
        ]
    return inputs


def spec_of(**params: Any) -> ModelSpec:
    image = ImageInput(
        size_hw=(CANVAS, CANVAS), resize="longest_side_pad", pad_placement="bottom_right", pad_value=(0, 0, 0)
    )
    return ModelSpec(task="promptable", inputs=(image,), decoder=Decoder(name="sam", params=params))


def model_of(
    network: Callable[[Arrays], Arrays] = disks,
    inputs: Sequence[TensorInfo] | None = None,
    **params: Any,
) -> PromptableModel:
    encoder = NumpySession(
        encode, [TensorInfo("images", (1, 3, CANVAS, CANVAS), "float32")], ["image_embeddings", "unused"]
    )
    decoder = NumpySession(network, inputs or decoder_inputs(), ["low_res_masks", "iou_predictions"])
    return PromptableModel(spec_of(**params), encoder, decoder)


IMAGE = np.zeros((40, 80, 3), np.uint8)  # lies in the top 32 rows of the canvas, at a gain of 0.8


def ready(*args: Any, **kwargs: Any) -> PromptableModel:
    model = model_of(*args, **kwargs)
    model.set_image(IMAGE)
    return model


def last_feeds(model: PromptableModel) -> Arrays:
    return model.decoder.runs[-1]


def test_a_point_gives_the_candidates_at_the_size_of_the_image() -> None:
    result = ready().predict(points=[[50, 25]])
    assert isinstance(result, PromptMasks)
    assert result.masks.shape == (3, 40, 80)
    assert result.iou.tolist() == pytest.approx([0.8, 0.7, 0.6])
    assert result.low_res_logits.shape == (3, LOW, LOW)
    # Radius 8 in the canvas is 10 in the image.
    y, x = np.mgrid[:40, :80] + 0.5
    wanted = np.hypot(x - 50, y - 25) < 10
    assert np.count_nonzero(wanted != result.masks[0]) < 0.2 * wanted.sum()


def test_without_multimask_mask_0_is_the_answer() -> None:
    model = ready()
    result = model.predict(points=[[50, 25]], multimask=False)
    assert len(result) == 1
    assert result.iou.tolist() == pytest.approx([0.9])
    assert result.masks.sum() < model.predict(points=[[50, 25]]).masks[0].sum()


@pytest.mark.parametrize(
    ("prompt", "params", "coords", "labels"),
    [
        ({"points": [[50, 25]]}, {}, [[40, 20], [0, 0]], [1, -1]),
        ({"points": [[50, 25], [0, 0]], "labels": [0, 1]}, {}, [[40, 20], [0, 0], [0, 0]], [0, 1, -1]),
        ({"box": [10, 20, 80, 40]}, {}, [[8, 16], [64, 32]], [2, 3]),
        ({"box": [10, 20, 80, 40]}, {"pad_boxes": True}, [[8, 16], [64, 32], [0, 0]], [2, 3, -1]),
        (
            {"points": [[50, 25]], "labels": [1], "box": [10, 20, 80, 40]},
            {},
            [[40, 20], [8, 16], [64, 32]],
            [1, 2, 3],
        ),
        (
            {"points": [[50, 25]], "box": [10, 20, 80, 40]},
            {"pad_boxes": True},
            [[40, 20], [8, 16], [64, 32], [0, 0]],
            [1, 2, 3, -1],
        ),
    ],
    ids=["point", "two points", "box", "box, padded", "point and box", "point and box, padded"],
)
def test_prompts_become_points_of_the_canvas_and_labels(
    prompt: dict[str, Any], params: dict[str, Any], coords: list[list[float]], labels: list[float]
) -> None:
    model = ready(**params)
    model.predict(**prompt)
    feeds = last_feeds(model)
    assert feeds["point_coords"][0] == pytest.approx(np.array(coords))
    assert feeds["point_labels"].tolist() == [labels]
    assert feeds["has_mask_input"].tolist() == [0]
    assert not feeds["mask_input"].any()


def test_an_earlier_answer_refines_the_next() -> None:
    model = ready()
    first = model.predict(points=[[50, 25]])
    second = model.predict(points=[[50, 25]], mask=first.best().low_res_logits)
    feeds = last_feeds(model)
    assert feeds["has_mask_input"].tolist() == [1]
    assert np.array_equal(feeds["mask_input"][0, 0], first.low_res_logits[0])
    assert np.array_equal(second.low_res_logits, first.low_res_logits + first.low_res_logits[0])
    assert model.predict(points=[[50, 25]], mask=first.low_res_logits[:1]).iou[0] == first.iou[0]
    model.predict(points=[[50, 25]])
    assert last_feeds(model)["has_mask_input"].tolist() == [0], "the next prompt has no mask again"


def test_many_prompts_need_the_encoder_once() -> None:
    model = ready()
    for x in range(5):
        model.predict(points=[[x, 5]])
    assert len(model.encoder.runs) == 1
    assert len(model.decoder.runs) == 5


def test_results_do_not_change_with_the_next_prompt() -> None:
    kept = np.zeros((1, 4, LOW, LOW), np.float32)

    def reuse(feeds: Arrays) -> Arrays:
        found = disks(feeds)
        kept[...] = found["low_res_masks"]
        return {**found, "low_res_masks": kept}

    model = ready(reuse)
    first = model.predict(points=[[10, 10]])
    before = first.low_res_logits.copy()
    model.predict(points=[[70, 30]])
    assert np.array_equal(first.low_res_logits, before)


@pytest.mark.parametrize(
    ("radii", "params", "multimask", "kept"),
    [
        ((4,), {}, True, [0]),
        ((4,), {}, False, [0]),
        ((4, 8, 16), {"single_first": False}, True, [0, 1, 2]),
        ((4, 8, 16), {"single_first": False}, False, [0]),
        ((4, 8, 16, 32), {"stability_delta": 2.0}, False, [0]),
        ((4, 8, 16, 32), {"stability_delta": 2.0, "stability_threshold": 0.98}, False, [1]),
        ((4, 8, 16, 32), {"stability_delta": 1e-6, "stability_threshold": 0.98}, False, [0]),
        ((-9, 8, 16, 32), {"stability_delta": 1.0, "stability_threshold": 0.98}, False, [0]),
        ((4, 8, 16, 32), {"stability_delta": 2.0, "stability_threshold": 0.98}, True, [1, 2, 3]),
    ],
    ids=[
        "one mask, all",
        "one mask, single",
        "three, all",
        "three, the best",
        "never unstable",
        "unstable",
        "stable",
        "empty is stable",
        "candidates as they are",
    ],
)
def test_which_masks_are_given(
    radii: Sequence[float], params: dict[str, Any], multimask: bool, kept: list[int]
) -> None:
    model = ready(lambda feeds: disks(feeds, radii), **params)
    result = model.predict(points=[[50, 25]], multimask=multimask)
    wanted = disks(last_feeds(model), radii)["low_res_masks"][0, kept]
    assert np.array_equal(result.low_res_logits, wanted)


def test_a_threshold_shrinks_the_masks() -> None:
    wide, narrow = (ready(mask_threshold=at).predict(points=[[50, 25]]).area for at in (0.0, 3.0))
    assert (narrow < wide).all()


@pytest.mark.parametrize("via_canvas", [False, True], ids=["direct", "by way of the canvas"])
def test_padding_is_taken_off(via_canvas: bool) -> None:
    def lower_half(feeds: Arrays) -> Arrays:
        logits = np.full((1, 1, LOW, LOW), -1.0, np.float32)
        logits[:, :, LOW // 4 :] = 1.0  # from row 16 of the canvas: from row 20 of the image
        return {"low_res_masks": logits, "iou_predictions": np.ones((1, 1), np.float32)}

    mask = ready(lower_half, via_canvas=via_canvas).predict(points=[[1, 1]]).masks[0]
    assert not mask[:20].any()
    assert mask[20:].all()


@pytest.mark.parametrize("prompts", [1, None], ids=["one at a time", "together"])
def test_boxes_are_answered_in_order(prompts: int | None) -> None:
    model = ready(inputs=decoder_inputs(prompts))
    boxes = np.array([[0, 0, 20, 20], [40, 10, 60, 30], [60, 20, 80, 40]], np.float32)
    answers = model.predict_boxes(boxes)
    assert len(model.decoder.runs) == (1 if prompts is None else 3)
    for box, answer in zip(boxes, answers, strict=True):
        alone = model.predict(box=box, multimask=False)
        assert np.array_equal(answer.masks, alone.masks)
        assert np.array_equal(answer.low_res_logits, alone.low_res_logits)
    assert model.predict_boxes(np.zeros((0, 4))) == []


def test_many_boxes_take_several_runs() -> None:
    model = ready(inputs=decoder_inputs(None))
    assert len(model.predict_boxes(np.tile([[0, 0, 20, 20]], (20, 1)))) == 20
    assert [len(run["point_labels"]) for run in model.decoder.runs] == [16, 4]


def test_the_networks_own_types_are_fed() -> None:
    model = ready(inputs=decoder_inputs(dtype="float16"))
    result = model.predict(points=[[50, 25]])
    feeds = last_feeds(model)
    assert feeds["point_labels"].dtype == np.int64
    assert feeds["point_coords"].dtype == np.float16
    assert result.low_res_logits.dtype == result.iou.dtype == np.float32


def test_a_decoder_without_masks_takes_points() -> None:
    model = ready(inputs=decoder_inputs(mask=False))
    assert len(model.predict(points=[[50, 25]])) == 3
    with pytest.raises(InputError, match="this network takes no mask as a prompt"):
        model.predict(points=[[50, 25]], mask=NO_MASK)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ({}, r"predict needs a prompt: points=\[\[x, y\], ...\], box="),
        ({"mask": NO_MASK}, "or both; mask= refines it"),
        ({"labels": [1]}, "labels belong to points"),
        (
            {"points": [50, 25]},
            r"points must be \(N, 2\), x, y in image pixels, got \(2,\); pass points\[None\]",
        ),
        ({"points": np.zeros((0, 2))}, r"got \(0, 2\)"),
        ({"points": [[80, 25]]}, r"0 <= x < 80 and 0 <= y < 40, got x, y = \[80.0, 25.0\]"),
        ({"points": [[5, 5], [5, -1]]}, r"got x, y = \[5.0, -1.0\]"),
        ({"points": [[5, float("nan")]]}, "points must be finite"),
        ({"points": [["a", "b"]]}, "points must be numbers"),
        ({"points": [[5, 5]], "labels": [1, 0]}, r"one entry for each of the 1 points, got \(2,\)"),
        ({"points": [[5, 5]], "labels": [2]}, r"labels must be 1 \(of the object\) or 0 .* got \[2.0\]"),
        ({"points": [[5, 5]], "labels": [-1]}, r"got \[-1.0\]"),
        ({"box": [0, 0, 81, 10]}, "box must lie in the image of 40x80"),
        ({"box": [10, 10, 10, 20]}, "with x1 < x2 and y1 < y2"),
        ({"box": [[0, 0, 5, 5]]}, r"box must be \(4,\).*; for several boxes use predict_boxes"),
        (
            {"points": [[5, 5]], "mask": np.zeros((8, 8), np.float32)},
            r"float \(16, 16\), got float32 \(8, 8\)",
        ),
        ({"points": [[5, 5]], "mask": NO_MASK > 0}, r"got bool \(16, 16\)"),
        ({"points": [[5, 5]], "multimask": 3}, "multimask must be True or False, got 3"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str) else "+".join(value) or "nothing",
)
def test_a_bad_prompt_says_what_is_accepted(prompt: dict[str, Any], text: str) -> None:
    model = ready()
    with pytest.raises(InputError, match=text):
        model.predict(**prompt)
    assert not model.decoder.runs


def test_bad_boxes_are_refused() -> None:
    with pytest.raises(InputError, match=r"boxes must be \(P, 4\).*got \(4,\)"):
        ready().predict_boxes([0, 0, 5, 5])
    with pytest.raises(InputError, match=r"boxes must lie in the image .* got \[0.0, 0.0, 5.0, 50.0\]"):
        ready().predict_boxes([[0, 0, 5, 5], [0, 0, 5, 50]])


def test_a_prompt_needs_an_image() -> None:
    model = model_of()
    assert model.image_hw is None
    with pytest.raises(InputError, match=r"call set_image\(image\) first"):
        model.predict(points=[[1, 1]])
    model.set_image(IMAGE)
    assert model.image_hw == (40, 80)
    model.reset_image()
    with pytest.raises(InputError, match="first"):
        model.predict_boxes([[0, 0, 5, 5]])


def test_a_failed_encoding_leaves_no_image() -> None:
    model = ready()
    model.encoder.error = RuntimeError("out of memory")
    with pytest.raises(RuntimeError):
        model.set_image(IMAGE)
    assert model.image_hw is None


def test_anything_but_a_uint8_image_is_an_input_error() -> None:
    model = ready()
    with pytest.raises(InputError, match="must be uint8"):
        model.set_image(np.zeros((4, 4, 3), np.float32))
    assert model.image_hw == (40, 80), "a bad argument changes nothing"


def test_calling_it_says_how_it_is_used() -> None:
    with pytest.raises(InputError, match=r"model.set_image\(image\), then model.predict"):
        model_of()(IMAGE)


def test_a_clone_knows_the_image_and_has_its_own_buffers() -> None:
    model = ready()
    model.set_image(np.full((40, 80, 3), 255, np.uint8))
    twin = model.clone()
    wanted = model.predict(points=[[50, 25]])
    assert np.array_equal(twin.predict(points=[[50, 25]]).iou, wanted.iou)
    twin.set_image(IMAGE)
    assert not np.array_equal(twin.predict(points=[[50, 25]]).iou, wanted.iou)
    assert np.array_equal(model.predict(points=[[50, 25]]).iou, wanted.iou)
    assert model_of().clone().image_hw is None


def test_leaving_the_context_closes_both_sessions() -> None:
    with ready() as model:
        pass
    assert model.encoder.closed
    assert model.decoder.closed


def test_timings_are_of_the_last_call() -> None:
    model = ready()
    encoding = model.timings
    model.predict(points=[[50, 25]])
    assert min(encoding.preprocess, encoding.inference, encoding.postprocess) > 0
    assert model.timings != encoding
    assert min(model.timings.preprocess, model.timings.inference, model.timings.postprocess) > 0


def test_warmup_runs_both_and_leaves_no_image() -> None:
    model = model_of()
    assert model.warmup(2) is model
    assert (len(model.encoder.runs), len(model.decoder.runs)) == (2, 2)
    assert model.image_hw is None


def test_device_tells_where_each_network_runs() -> None:
    model = model_of()
    assert model.device == "cpu"
    model.decoder.device = "cpu (float32 instead of float16)"
    assert model.device == "cpu, decoder on cpu (float32 instead of float16)"
    assert repr(model) == f"PromptableModel(input=64x64, device={model.device!r})"


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (decoder_inputs()[:2], "the decoder has no input point_labels"),
        (decoder_inputs()[:4], "the decoder has no input has_mask_input"),
        (decoder_inputs()[1:], "takes nothing from the encoder, whose outputs are image_embeddings, unused"),
        ([*decoder_inputs(), TensorInfo("high_res", (1,), "float32")], "takes high_res from the encoder"),
        ([*decoder_inputs()[:2], TensorInfo("point_labels", (1,), "float32")], "must have 2 dimensions"),
        (
            [
                *decoder_inputs()[:3],
                TensorInfo("mask_input", (1, 1, None, 4), "float32"),
                decoder_inputs()[4],
            ],
            "of a fixed height and width",
        ),
    ],
    ids=["labels", "flag", "embedding", "strange", "rank", "mask size"],
)
def test_networks_that_do_not_fit_are_a_spec_error(inputs: Sequence[TensorInfo], text: str) -> None:
    with pytest.raises(SpecError, match=text):
        model_of(inputs=inputs)


def test_outputs_of_the_wrong_shape_are_a_spec_error() -> None:
    def swapped(feeds: Arrays) -> Arrays:
        found = disks(feeds)
        return {"low_res_masks": found["iou_predictions"], "iou_predictions": found["low_res_masks"]}

    with pytest.raises(SpecError, match=r"must be \(P, M, h, w\) logits and \(P, M\)"):
        ready(swapped).predict(points=[[50, 25]])
