"""The native decoders give the reference's bits, whatever the numbers, shapes, strides and dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevision.ops._dispatch import native
from edgevision.ops.reference import boxes as reference

pytestmark = pytest.mark.usefixtures("each_isa")

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-8, 65504.0, 3e38, -3e38], np.float32)


def outputs(draw: Any, channels: int, centered: float) -> np.ndarray:
    """(anchors, channels) with ties, values at and around thresholds, and now and then no number at all."""
    seed = draw(st.integers(0, 2**32 - 1))
    anchors = draw(st.one_of(st.integers(0, 40), st.integers(500, 1100)))
    rng = np.random.default_rng(seed)
    values = rng.normal(centered, 1, (anchors, channels)).astype(np.float32)
    if draw(st.booleans()):
        values = np.round(values * 4) / np.float32(4)
    special = rng.random(values.shape) < draw(st.sampled_from([0.0, 0.001, 0.2]))
    values[special] = rng.choice(SPECIAL, int(special.sum()))
    with np.errstate(over="ignore"):
        values = values.astype(draw(st.sampled_from([np.float32, np.float16])))
    order = draw(st.sampled_from("CF"))
    values = np.asarray(values, order=order)
    return values[::-1] if draw(st.booleans()) else values


def assert_same(name: str, *arguments: Any) -> None:
    expected, found = getattr(reference, name)(*arguments), getattr(native, name)(*arguments)
    for wanted, got in zip(expected, found, strict=True):
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_array_equal(got, wanted)


confidences = st.sampled_from([0.0, 0.001, 0.25, 0.5, 1.0])


def allowed(draw: Any, classes: int) -> np.ndarray | None:
    if draw(st.booleans()):
        return None
    return np.array(draw(st.lists(st.integers(0, 1), min_size=classes, max_size=classes)), np.uint8)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_dense_outputs(data: st.DataObject) -> None:
    classes, objectness = data.draw(st.sampled_from([1, 2, 5, 17, 33])), data.draw(st.integers(0, 2))
    rotated, multi_label = data.draw(st.booleans()), data.draw(st.booleans())
    channels = (5 if objectness else 4) + classes + data.draw(st.integers(0, 3)) + rotated
    output = outputs(data.draw, channels, 0.0)
    scales = data.draw(st.sampled_from([(1.0, 1.0), (640.0, 333.0)]))
    choice = allowed(data.draw, classes)
    confidence = data.draw(confidences)
    assert_same(
        "decode_dense", output, classes, objectness, multi_label, confidence, choice, rotated, *scales
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_detection_in_one_call(data: st.DataObject) -> None:
    classes = data.draw(st.sampled_from([1, 3]))
    output = outputs(data.draw, 4 + classes + data.draw(st.integers(0, 2)), 0.0).astype(np.float32)
    with np.errstate(over="ignore"):
        output[:, :2] *= 8
        output[:, 2:4] = np.abs(output[:, 2:4]) * 16
    arguments = [data.draw(st.booleans()), data.draw(confidences), allowed(data.draw, classes)]
    arguments += [data.draw(st.booleans()), data.draw(st.sampled_from([0.0, 0.3, 0.7, 1.0]))]
    arguments += [data.draw(st.sampled_from([1, 10, 300])), data.draw(st.sampled_from([0.0, 20.0, 7680.0]))]
    arguments += [data.draw(st.sampled_from([5, 30000])), 3.0, -7.0, 0.333, 1.7, 100.0, 40.0]
    assert_same("detect_dense", output, classes, *arguments)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_grids(data: st.DataObject) -> None:
    strides, size = data.draw(
        st.sampled_from([((8,), (8, 8)), ((8, 16, 32), (64, 96)), ((4, 3), (13, 29)), ((2,) * 8, (5, 2))])
    )
    anchors = sum((size[0] // s) * (size[1] // s) for s in strides)
    classes = data.draw(st.sampled_from([1, 4]))
    output = outputs(data.draw, 5 + classes + data.draw(st.integers(0, 2)), 0.0)
    output = (
        np.resize(output, (anchors, output.shape[1]))
        if len(output)
        else np.zeros((anchors, output.shape[1]), "f4")
    )
    with np.errstate(all="ignore"):
        output[:, 2:4] *= output.dtype.type(data.draw(st.sampled_from([1.0, 60.0])))
    choice = allowed(data.draw, classes)
    assert_same(
        "decode_grid",
        output,
        classes,
        data.draw(st.booleans()),
        data.draw(confidences),
        choice,
        strides,
        *size,
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_end_to_end_outputs(data: st.DataObject) -> None:
    rotated = data.draw(st.booleans())
    output = outputs(data.draw, 6 + rotated + data.draw(st.integers(0, 3)), 1.0)
    assert_same("decode_rows", output, data.draw(confidences), allowed(data.draw, 4), rotated)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_queries(data: st.DataObject) -> None:
    logits = outputs(
        data.draw, data.draw(st.sampled_from([2, 9, 130, 300])), data.draw(st.sampled_from([0.0, -4.0]))
    )
    boxes = np.random.default_rng(len(logits)).random((len(logits), 4)).astype(np.float32)
    top_k = data.draw(st.sampled_from([0, 1, 50, 10**6]))
    assert_same("decode_queries", logits, boxes, top_k, data.draw(confidences), None, 640.0, 480.0)
