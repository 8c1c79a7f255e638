"""An image of a promptable model stays on the GPU between its networks, and gives what the processor gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from comparing import assert_same, frames
from gpu_bench import Bench
from test_frame_graph import Interface, Lent

from edgevision import BackendError, InputError, PromptableModel
from edgevision.backends import open_session
from edgevision.errors import EdgeVisionWarning
from edgevision.spec import load_spec

CALLS: list[dict[str, Any]] = [
    {"points": [[20, 30]]},
    {"points": [[20, 30], [25, 31]], "labels": [1, 0]},
    {"box": [10, 10, 40, 44]},
    {"points": [[20, 30]], "multimask": False},
    {"box": [10, 10, 40, 44], "points": [[20, 20]]},
]


def new_counts(bench: Bench, work: Callable[[], object]) -> dict[str, int]:
    """The calls of CUDA that `work` makes."""
    before = dict(bench.cuda.counts)
    work()
    return {
        call: count - before.get(call, 0)
        for call, count in bench.cuda.counts.items()
        if count != before.get(call, 0)
    }


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_prompts_are_answered_as_on_the_processor(bench: Bench, dtype: str) -> None:
    model, reference = bench.open(dtype, dtype), bench.open(dtype, dtype, slots=0)
    for image in frames(7):
        model.set_image(image)
        reference.set_image(image)
        assert model.image_hw == image.shape[:2]
        for call in CALLS:
            assert_same(model.predict(**call), reference.predict(**call))
        earlier = model.predict(points=[[20, 30]]).best().low_res_logits
        refined = [one.predict(points=[[21, 30]], mask=earlier) for one in (model, reference)]
        assert_same(*refined)
        boxes = [[1, 2, 30, 40], [5, 5, 45, 60], [20, 20, 49, 63]]
        for got, expected in zip(model.predict_boxes(boxes), reference.predict_boxes(boxes), strict=True):
            assert_same(got, expected)


def test_answers_follow_the_image(bench: Bench) -> None:
    model = bench.open()
    overlaps = []
    for value in (0, 51, 255, 51, 0, 102):
        model.set_image(np.full((48, 64, 3), value, np.uint8))
        overlaps.append(model.predict(points=[[20, 30]]).iou[0] - 0.6)
    np.testing.assert_allclose(overlaps, [0, 0.6, 3, 0.6, 0, 1.2], rtol=0, atol=1e-5)


def test_the_decoder_reads_what_the_encoder_wrote_where_it_lies(bench: Bench) -> None:
    model = bench.open()
    for image in frames(3):
        model.set_image(image)
        model.predict(points=[[20, 30]])
    name = "image_embeddings"
    assert model.decoder.input_address(name) == model.encoder.output_address(name)


def test_a_decoder_that_was_fed_otherwise_reads_the_next_image(bench: Bench) -> None:
    model, reference = bench.open(), bench.open(slots=0)
    for image in frames(4):
        for one in (model, reference):
            one.set_image(image)
            assert one.decoder.input_buffer("point_coords", (1, 2, 2)).shape == (1, 2, 2)
        assert_same(model.predict(points=[[20, 30]]), reference.predict(points=[[20, 30]]))
        model.decoder.input_buffer("image_embeddings", (1, 3))[:] = -1


def test_an_image_is_one_launch_and_a_prompt_another(bench: Bench) -> None:
    model = bench.open()
    image = frames(1)[0]
    for _ in range(3):
        model.set_image(image)
        model.predict(points=[[20, 30]])
    one_launch = {"launch": 1, "synchronize": 1}
    for _ in range(3):
        assert new_counts(bench, lambda: model.set_image(image)) == one_launch
        for x in range(3):
            assert new_counts(bench, lambda x=x: model.predict(points=[[20 + x, 30]])) == one_launch
    assert model.timings.total > 0


def test_prompts_of_several_shapes_take_turns_without_being_bound_anew(bench: Bench) -> None:
    model, reference = bench.open(), bench.open(slots=0)
    image = frames(1)[0]
    for one in (model, reference):
        one.set_image(image)
    for _ in range(3):
        for call in CALLS:
            assert_same(model.predict(**call), reference.predict(**call))
    for _ in range(2):
        for call in CALLS:
            assert new_counts(bench, lambda call=call: model.predict(**call)) == {
                "launch": 1,
                "synchronize": 1,
            }


def test_of_many_shapes_the_oldest_makes_room(bench: Bench) -> None:
    model, reference = bench.open(), bench.open(slots=0)
    points = [[10 + 3 * index, 20 + 2 * index] for index in range(9)]
    for image in frames(2):
        for one in (model, reference):
            one.set_image(image)
        for count in (1, 2, 3, 4, 5, 1, 6, 7, 1, 9, 5, 5, 5, 2):
            call = {"points": points[:count]}
            assert_same(model.predict(**call), reference.predict(**call))
    assert len(bench.cuda.streams) <= 2 + 2 + 3 + (2 * 2 if bench.ort is not None else 0)


def test_where_memory_for_another_shape_is_short_the_decoder_is_bound_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, reference = bench.open(), bench.open(slots=0)

    def refuse() -> None:
        raise BackendError("could not make a context of m.engine: likely the GPU is out of memory")

    monkeypatch.setattr(model.decoder, "clone", refuse)
    for image in frames(2):
        for one in (model, reference):
            one.set_image(image)
        for call in CALLS * 2:
            assert_same(model.predict(**call), reference.predict(**call))


def test_a_clone_keeps_the_image_when_the_model_goes_on(bench: Bench) -> None:
    model, reference = bench.open(), bench.open(slots=0)
    first, second, third = frames(3)
    model.set_image(first)
    reference.set_image(first)
    twin = model.clone()
    again = twin.clone()  # of one that has encoded nothing itself
    expected = [reference.predict(**call) for call in CALLS]
    model.set_image(second)
    for one in (twin, again):
        for call, answer in zip(CALLS, expected, strict=True):
            assert_same(one.predict(**call), answer)
    model.close()
    assert_same(again.predict(**CALLS[0]), expected[0])
    twin.set_image(third)
    assert_same(again.predict(**CALLS[1]), expected[1])
    reference.set_image(third)
    for call in CALLS:
        assert_same(twin.predict(**call), reference.predict(**call))
    empty = twin.clone()
    empty.reset_image()
    with pytest.raises(InputError, match="set_image"):
        empty.predict(points=[[20, 30]])
    for one in (twin, again, empty):
        one.close()


def test_a_clone_for_which_there_is_no_memory_is_not_made(bench: Bench) -> None:
    model = bench.open()
    model.set_image(frames(1)[0])
    expected = model.predict(points=[[20, 30]])
    bench.cuda.fail = "device"
    with pytest.raises(BackendError, match="out of memory"):
        model.clone()
    bench.cuda.fail = ""
    assert_same(model.predict(points=[[20, 30]]), expected)


@pytest.mark.parametrize("wrap", [Interface, Lent])
def test_images_on_the_device_are_read_where_they_lie(bench: Bench, wrap: Any) -> None:
    model, reference = bench.open(), bench.open(slots=0)
    for image in frames(4):
        for view in (image, image[3:-2, 5:], image[::2, ::3, 0]):
            model.set_image(wrap(view))
            reference.set_image(view)
            assert_same(model.predict(points=[[5, 6]]), reference.predict(points=[[5, 6]]))
    for wrong in (wrap(np.zeros((8, 8, 3), np.float32)), [image], "image.png", None):
        with pytest.raises(InputError):
            model.set_image(wrong)
    with pytest.raises(InputError, match=r"image is another library's array .*NumPy"):
        reference.set_image(wrap(image))


def test_an_image_may_be_written_where_the_gpu_reads_it(bench: Bench) -> None:
    model, reference = bench.open(), bench.open(slots=0)
    for image in frames(6):
        buffer = model.frame_buffer(image.shape)
        buffer[:] = image
        model.set_image(buffer)
        reference.set_image(image)
        assert_same(model.predict(points=[[20, 30]]), reference.predict(points=[[20, 30]]))
    plain = reference.frame_buffer((48, 64, 3))
    assert (plain.shape, plain.dtype) == ((48, 64, 3), np.uint8)


# What cannot stay there


@pytest.mark.parametrize(("encoder", "decoder"), [("float32", "float16"), ("float16", "float32")])
def test_an_embedding_of_another_type_comes_down_and_is_converted(
    bench: Bench, encoder: str, decoder: str
) -> None:
    model, reference = bench.open(encoder, decoder), bench.open(encoder, decoder, slots=0)
    for image in frames(4):
        for one in (model, reference):
            one.set_image(image)
        twin = model.clone()
        for call in CALLS[:2]:
            expected = reference.predict(**call)
            assert_same(model.predict(**call), expected)
            assert_same(twin.predict(**call), expected)
        twin.close()


def test_an_embedding_that_the_processor_reads_comes_down(bench: Bench) -> None:
    if bench.ort is None:
        pytest.skip("of ONNX Runtime")
    reference = bench.open(slots=0)
    encoder, decoder = bench.files("float32") / "model.onnx", bench.files("float32") / "decoder.onnx"
    on_gpu = bench.session(encoder.read_bytes())
    bench.ort.in_processors_memory = ("image_embeddings",)
    model = PromptableModel(load_spec(encoder), on_gpu, bench.session(decoder.read_bytes()))
    bench.opened.append(model)
    for image in frames(4):
        for one in (model, reference):
            one.set_image(image)
        assert_same(model.predict(points=[[20, 30]]), reference.predict(points=[[20, 30]]))
    assert "image_embeddings" not in model.encoder._memory.on_processor


def test_an_encoder_whose_outputs_depend_on_the_data_is_fed_by_the_processor(bench: Bench) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    network = onnx.load(bench.files("float32") / "model.onnx")
    network.graph.node.append(onnx.helper.make_node("NonZero", ["image_embeddings"], ["where"]))
    network.graph.output.append(onnx.helper.make_tensor_value_info("where", 7, [2, None]))
    model, reference = bench.open(network=network.SerializeToString()), bench.open(slots=0)
    first, *others = frames(4)
    with pytest.warns(EdgeVisionWarning, match="images are prepared on the processor: .*depend on the data"):
        model.set_image(first)
    reference.set_image(first)
    assert_same(model.predict(points=[[20, 30]]), reference.predict(points=[[20, 30]]))
    for image in others:
        for one in (model, reference):
            one.set_image(image)
        assert_same(model.predict(points=[[20, 30]]), reference.predict(points=[[20, 30]]))
    with pytest.raises(InputError, match="another library's array"):
        model.set_image(Interface(first))


def test_a_decoder_on_the_processor_takes_what_comes_down(bench: Bench) -> None:
    reference = bench.open(slots=0)
    folder = bench.files("float32")
    encoder = bench.session((folder / "model.onnx").read_bytes())
    if bench.ort is not None:
        decoder = bench._networks.open((folder / "decoder.onnx").read_bytes(), "cpu")
    else:
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
        decoder = open_session(folder / "decoder.onnx", backend="onnxruntime", device="cpu")
    model = PromptableModel(load_spec(folder / "model.onnx"), encoder, decoder)
    bench.opened.append(model)
    assert model.device == "cuda:0, decoder on cpu"
    for image in frames(3):
        for one in (model, reference):
            one.set_image(image)
        assert_same(model.predict(points=[[20, 30]]), reference.predict(points=[[20, 30]]))


# Failures


@pytest.mark.filterwarnings("ignore:.*without a CUDA graph")  # where it was recording just then
@pytest.mark.parametrize("fail", ["pinned", "device", "kernels", "copy", "synchronize", "launch"])
def test_what_cuda_refuses_leaves_no_image_and_the_next_one_goes_on(bench: Bench, fail: str) -> None:
    model, reference = bench.open(), bench.open(slots=0)
    refused: list[str] = []
    for image in frames(4):
        reference.set_image(image)
        bench.cuda.fail = fail
        try:
            model.set_image(image)
        except BackendError as error:
            refused.append(str(error))
            bench.cuda.fail = ""
            with pytest.raises(InputError, match="set_image"):
                model.predict(points=[[20, 30]])
            model.set_image(image)
        bench.cuda.fail = fail
        try:
            model.predict(points=[[20, 30]])
        except BackendError as error:
            refused.append(str(error))
        bench.cuda.fail = ""
        assert_same(model.predict(points=[[20, 30]]), reference.predict(points=[[20, 30]]))
    assert refused or (bench.cuda.info.integrated and fail in ("device", "copy"))
    assert all("out of memory" in words for words in refused)  # what the stand-in says


def test_a_closed_model_is_told_so(bench: Bench) -> None:
    model = bench.open()
    model.set_image(frames(1)[0])
    model.close()
    model.close()
    with pytest.raises(InputError, match="set_image"):
        model.predict(points=[[20, 30]])
    with pytest.raises(BackendError, match="closed"):
        model.set_image(frames(1)[0])
