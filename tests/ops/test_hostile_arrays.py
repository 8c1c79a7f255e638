"""Every function with `out=`, on arrays that overlap, begin anywhere, run backwards, are read-only, short or empty: the
right result, or an InputError and nothing written. Both implementations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from frames import frame_of, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from implementations import functions_with_out, implementation, use_everywhere
from memory_layouts import FILL, WAYS, arrange, assert_nothing_beside_was_written

from edgevision.errors import InputError
from edgevision.geometry import place_image
from edgevision.ops.color import yuv_to_bgr, yuv_to_rgb
from edgevision.ops.image import PixelMap, image_to_tensor, images_to_tensor
from edgevision.ops.masks import label_map_to_image, upsample_argmax, upsample_masks
from edgevision.ops.scores import sigmoid, softmax
from edgevision.ops.yuv_tensor import yuv_to_tensor


@dataclass(frozen=True)
class Op:
    """A good call. out: "any" strides, contiguous "rows", or "C"-contiguous. in_place: out may be the input."""

    run: Callable[..., np.ndarray]  # (*inputs, out)
    inputs: tuple[np.ndarray, ...]
    out: np.ndarray
    strides: str
    in_place: bool = False


def floats(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(0, 3, shape).astype(dtype)


PLACEMENT = place_image((10, 14), (12, 20))
IMAGE = noise(10, 14, 3)
NV12 = frame_of("nv12", 10, 14)
RAW = PixelMap(scale=1, layout="nhwc")
OPS = {
    "image_to_tensor": Op(
        lambda image, out: image_to_tensor(image, PLACEMENT, out), (IMAGE,), np.zeros((3, 12, 20), "f4"), "any"
    ),
    "image_to_tensor-uint8": Op(
        lambda image, out: image_to_tensor(image, PLACEMENT, out, pixels=RAW), (IMAGE,), np.zeros((12, 20, 3), "u1"),
        "any",
    ),
    "images_to_tensor": Op(
        lambda one, two, out: images_to_tensor([one, two], [PLACEMENT] * 2, out), (IMAGE, noise(10, 14, 3, seed=1)),
        np.zeros((2, 3, 12, 20), "f2"), "any",
    ),
    "yuv_to_tensor": Op(
        lambda frame, out: yuv_to_tensor(frame, "nv12", PLACEMENT, out), (NV12,), np.zeros((3, 12, 20), "f4"), "any"
    ),
    "yuv_to_tensor-planes": Op(
        lambda y, u, v, out: yuv_to_tensor((y, u, v), "i420", PLACEMENT, out),
        (noise(10, 14), noise(5, 7), noise(5, 7, seed=1)), np.zeros((3, 12, 20), "f2"), "any",
    ),
    "yuv_to_bgr": Op(lambda frame, out: yuv_to_bgr(frame, out=out), (NV12,), np.zeros((10, 14, 3), "u1"), "any"),
    "yuv_to_rgb": Op(
        lambda frame, out: yuv_to_rgb(frame, "yuyv", out=out), (frame_of("yuyv", 5, 6),), np.zeros((5, 6, 3), "u1"), "any"
    ),
    "upsample_argmax": Op(
        lambda logits, out: upsample_argmax(logits, (9, 20), out=out), (floats(3, 4, 5),), np.zeros((9, 20), "u1"), "rows"
    ),
    "upsample_argmax-int32": Op(
        lambda logits, out: upsample_argmax(logits, (6, 7), out=out), (floats(300, 2, 3, dtype="f2"),),
        np.zeros((6, 7), "i4"), "rows",
    ),
    "label_map_to_image": Op(
        lambda labels, out: label_map_to_image(labels, (9, 20), out=out), (noise(4, 5).astype("i8"),),
        np.zeros((9, 20), "i8"), "rows",
    ),
    "upsample_masks": Op(
        lambda logits, out: upsample_masks(logits, (9, 20), out=out), (floats(2, 4, 5),), np.zeros((2, 9, 20), "?"), "C"
    ),
    "softmax": Op(
        lambda logits, out: softmax(logits, 1, out=out), (floats(3, 4, 5),), np.zeros((3, 4, 5), "f4"), "C", in_place=True
    ),
    "softmax-last": Op(
        lambda logits, out: softmax(logits, out=out), (floats(9, 17),), np.zeros((9, 17), "f4"), "C", in_place=True
    ),
    "softmax-half": Op(
        lambda logits, out: softmax(logits, out=out), (floats(9, 17, dtype="f2"),), np.zeros((9, 17), "f4"), "C"
    ),
    "sigmoid": Op(
        lambda logits, out: sigmoid(logits, out=out), (floats(9, 17),), np.zeros((9, 17), "f4"), "C", in_place=True
    ),
}  # fmt: skip
EXAMPLES = settings(max_examples=250, deadline=None, derandomize=True)
pytestmark = pytest.mark.usefixtures("_implementation")


@pytest.fixture(scope="module", params=["reference", "native"], autouse=True)
def _implementation(request: pytest.FixtureRequest) -> Iterator[None]:
    with implementation(request.param) as module, pytest.MonkeyPatch.context() as patch:
        use_everywhere(patch, module)
        yield


def expected_of(op: Op, inputs: Any = None) -> np.ndarray:
    return op.run(*(op.inputs if inputs is None else inputs), op.out.copy())


def bytes_of(array: np.ndarray) -> np.ndarray:
    return np.frombuffer(array.tobytes(), np.uint8)


def view_of(memory: np.ndarray, begin: int, like: np.ndarray) -> np.ndarray:
    return memory[begin : begin + like.nbytes].view(like.dtype).reshape(like.shape)


@EXAMPLES
@given(name=st.sampled_from(list(OPS)), data=st.data())
def test_overlapping_input_and_output(name: str, data: st.DataObject) -> None:
    op = OPS[name]
    index = data.draw(st.integers(0, len(op.inputs) - 1))
    given_input, item = op.inputs[index], max(op.out.itemsize, op.inputs[index].itemsize)
    reach = st.integers(-given_input.nbytes // item - 2, op.out.nbytes // item + 2)
    begin = 4096 + item * data.draw(st.sampled_from([0, 1]) | reach)  # of the input; 4096: of the output
    memory = np.full(3 * 4096 + op.out.nbytes, FILL, np.uint8)
    out, moved = view_of(memory, 4096, op.out), view_of(memory, begin, given_input)
    moved[...] = given_input
    before = memory.copy()
    inputs = [*op.inputs[:index], moved, *op.inputs[index + 1 :]]
    if (
        begin < 4096 + op.out.nbytes
        and begin + given_input.nbytes > 4096
        and not (op.in_place and begin == 4096)
    ):
        with pytest.raises(InputError, match="share memory: writing out would change"):
            op.run(*inputs, out)
        np.testing.assert_array_equal(memory, before)
        return
    assert op.run(*inputs, out) is out
    before[4096 : 4096 + op.out.nbytes] = bytes_of(expected_of(op))
    np.testing.assert_array_equal(memory, before)


@EXAMPLES
@given(
    name=st.sampled_from(list(OPS)),
    way=st.sampled_from(WAYS["any"]),
    shift=st.integers(0, 70),
    read_only=st.sampled_from([False, False, False, True]),
)
def test_outputs_of_any_layout(name: str, way: str, shift: int, read_only: bool) -> None:
    op = OPS[name]
    memory, out = arrange(op.out, way, shift)
    before = memory.copy()
    contiguous = {
        "any": True,
        "rows": out.strides[-1] == out.itemsize,
        "C": out.flags.c_contiguous,
    }[op.strides]
    out.flags.writeable = not read_only
    if read_only or not contiguous or (shift % out.itemsize and name != "upsample_masks"):
        with pytest.raises(InputError, match=r"out (must be|is read-only)"):
            op.run(*op.inputs, out)
        np.testing.assert_array_equal(memory, before)
        return
    assert op.run(*op.inputs, out) is out
    np.testing.assert_array_equal(out, expected_of(op))
    assert_nothing_beside_was_written(memory, out)


@EXAMPLES
@given(
    name=st.sampled_from(list(OPS)),
    way=st.sampled_from([*WAYS["any"], "broadcast"]),
    shift=st.integers(0, 70),
    data=st.data(),
)
def test_inputs_of_any_layout(name: str, way: str, shift: int, data: st.DataObject) -> None:
    """Strides of either sign and of 0, any alignment, read-only: what their copy gives."""
    op = OPS[name]
    index = data.draw(st.integers(0, len(op.inputs) - 1))
    array = op.inputs[index]
    if way == "broadcast":
        array = np.broadcast_to(array[:1], array.shape)
        moved = np.broadcast_to(arrange(array[:1], "spaced", shift)[1], array.shape)
    else:
        memory, moved = arrange(array, way, shift)
        moved.flags.writeable = False
        before = memory.copy()
    inputs = [*op.inputs[:index], moved, *op.inputs[index + 1 :]]
    copies = [*op.inputs[:index], array.copy(), *op.inputs[index + 1 :]]
    np.testing.assert_array_equal(op.run(*inputs, op.out.copy()), expected_of(op, copies))
    if way != "broadcast":
        np.testing.assert_array_equal(memory, before)


@EXAMPLES
@given(name=st.sampled_from(list(OPS)), data=st.data())
def test_arrays_of_another_size(name: str, data: st.DataObject) -> None:
    """An array that is empty along an axis, or one shorter or longer; of bytes, that is a buffer a byte too small."""
    op = OPS[name]
    arrays = [*op.inputs, op.out]
    index = data.draw(st.integers(0, len(op.inputs)))
    axis = data.draw(st.integers(0, arrays[index].ndim - 1))
    size = data.draw(st.sampled_from([0, arrays[index].shape[axis] - 1, arrays[index].shape[axis] + 1]))
    shape = list(arrays[index].shape)
    shape[axis] = size
    arrays[index] = np.resize(arrays[index], shape)
    memory, arrays[-1] = arrange(arrays[-1], "packed", 0)
    before = memory.copy()
    if index == len(op.inputs):
        with pytest.raises(InputError, match=r"out must be|must agree on the batch"):
            op.run(*arrays)
        np.testing.assert_array_equal(memory, before)
        return
    with suppress(InputError):  # a smaller map may be a good one too
        op.run(*arrays)
        return
    if name != "images_to_tensor":  # of a batch, those before the wrong one are written
        np.testing.assert_array_equal(memory, before)


@pytest.mark.parametrize("name", OPS)
def test_a_byte_too_few_is_no_array(name: str) -> None:
    """NumPy itself makes no array that reaches beyond its memory, so a buffer a byte too small never gets here."""
    out = OPS[name].out
    memory = bytearray(out.nbytes - 1)
    with pytest.raises((TypeError, ValueError), match=r"too small|smaller"):
        np.ndarray(out.shape, out.dtype, memory)
    with pytest.raises(InputError, match="out must be"):
        OPS[name].run(*OPS[name].inputs, memory)


def test_every_function_with_out_is_here() -> None:
    assert {name.split("-")[0] for name in OPS} == functions_with_out()
