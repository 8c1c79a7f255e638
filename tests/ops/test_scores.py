"""softmax, sigmoid, top_k: against PyTorch and exact arithmetic, native against reference, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevision.errors import InputError
from edgevision.ops._dispatch import native
from edgevision.ops.reference import scores as reference
from edgevision.ops.reference.arith import exp_f32
from edgevision.ops.scores import sigmoid, softmax, top_k

torch = pytest.importorskip("torch", reason="torch is not installed")

NAN, INF = float("nan"), float("inf")


def floats(values: Any) -> np.ndarray:
    return np.array(values, np.float32)


def units_apart(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The distance in units in the last place of float32 at `expected` (float64)."""
    unit = np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
    return np.abs(found.astype(np.float64) - expected) / unit


# ---- The exponential
# -------------------------------------------------------------------------------------------------


def test_exp_is_within_two_units_in_the_last_place() -> None:
    x = np.concatenate([np.linspace(-103.9, 88.7, 300_001), np.linspace(-1, 1, 100_001)]).astype(np.float32)
    assert units_apart(exp_f32(x), np.exp(x.astype(np.float64))).max() <= 2


def test_exp_of_the_ends() -> None:
    found = exp_f32(floats([-INF, -200, -104, 0, -0.0, 88.73, 1e30, INF, NAN]))
    assert found[:-1].tolist() == [0, 0, 0, 1, 1, INF, INF, INF]
    assert np.isnan(found[-1])


# ---- softmax
# ---------------------------------------------------------------------------------------------------------

SHAPES = [
    ((1000,), 0),
    ((1,), -1),
    ((5, 17), -1),
    ((3, 7, 65), 1),
    ((21, 8, 9), 0),
    ((2, 3, 4, 5), -2),
    ((4, 1, 3), 1),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_softmax_is_exact_arithmetics_within_some_ulp_and_torchs(
    kernels: str, shape: tuple[int, ...], axis: int, dtype: type
) -> None:
    logits = np.random.default_rng(0).normal(0, 8, shape).astype(dtype)
    found = softmax(logits, axis)
    assert (found.dtype, found.shape) == (np.float32, shape)
    below = logits.max(axis, keepdims=True) - logits.astype(np.float64)
    exact = np.exp(-below) / np.exp(-below).sum(axis, keepdims=True)
    # 2 for exp, 1 for the quotient, 1 for the sum; and the logit's distance to the greatest is rounded to
    # float32.
    assert (units_apart(found, exact) <= 4 + below).all()
    expected = torch.from_numpy(logits.astype(np.float32)).softmax(axis).numpy()
    # torch sums in float32: some units in the last place of 1 over 1000 classes.
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-37)


ROWS = [
    pytest.param([1000.0, 1000.0], [0.5, 0.5], id="large"),
    pytest.param([-1000.0, -1000.0], [0.5, 0.5], id="very-negative"),
    pytest.param([3e38, -3e38], [1, 0], id="far-apart"),
    pytest.param([0.0, -INF], [1, 0], id="minus-infinity"),
    pytest.param([INF, 0.0], [NAN, NAN], id="infinity"),
    pytest.param([-INF, -INF], [NAN, NAN], id="nothing"),
    pytest.param([NAN, 0.0], [NAN, NAN], id="nan"),
]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("row", "expected"), ROWS)
def test_softmax_of_extremes_is_torchs(
    kernels: str, row: list[float], expected: list[float], axis: int
) -> None:
    logits = floats([row, [1.0, 1.0]])
    found = softmax(logits if axis == 1 else np.ascontiguousarray(logits.T), axis)
    found = found if axis == 1 else found.T
    np.testing.assert_array_equal(found, floats([expected, [0.5, 0.5]]))
    np.testing.assert_array_equal(torch.from_numpy(logits).softmax(1).numpy(), found)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (0, 0)], ids=str)
def test_empty_arrays_stay_empty(kernels: str, shape: tuple[int, ...]) -> None:
    assert softmax(np.zeros(shape, np.float32)).shape == shape
    assert sigmoid(np.zeros(shape, np.float32)).shape == shape


# ---- sigmoid
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_sigmoid_is_exact_arithmetics_within_4_ulp(kernels: str, dtype: type) -> None:
    logits = np.linspace(-80, 80, 100_003).astype(dtype)
    assert units_apart(sigmoid(logits), 1 / (1 + np.exp(-logits.astype(np.float64)))).max() <= 4


def test_sigmoid_of_extremes(kernels: str) -> None:
    found = sigmoid(floats([-INF, -1e30, -200, -0.0, 0, 200, INF, NAN]))
    assert found[:-1].tolist() == [0, 0, 0, 0.5, 0.5, 1, 1]
    assert np.isnan(found[-1])


# ---- out, strides
# ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [softmax, sigmoid])
def test_out_is_written_and_returned_and_may_be_the_input(kernels: str, function: Any) -> None:
    logits = np.random.default_rng(1).normal(0, 3, (7, 33)).astype(np.float32)
    expected = function(logits)
    out = np.full_like(logits, 9)
    assert function(logits, out=out) is out
    np.testing.assert_array_equal(out, expected)
    function(logits, out=logits)
    np.testing.assert_array_equal(logits, expected)


@pytest.mark.parametrize("function", [softmax, sigmoid])
def test_strides_change_nothing(kernels: str, function: Any) -> None:
    logits = np.random.default_rng(2).normal(0, 3, (14, 33)).astype(np.float32)
    expected = function(np.ascontiguousarray(logits[::-2, 3:]))
    np.testing.assert_array_equal(function(logits[::-2, 3:]), expected)
    np.testing.assert_array_equal(function(np.asfortranarray(logits)[::-2, 3:]), expected)


# ---- top_k
# -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 5, 999, 1000, 5000])
def test_top_k_is_a_stable_sort(kernels: str, k: int) -> None:
    scores = np.round(np.random.default_rng(3).normal(0, 2, 1000) * 8).astype(np.float32) / np.float32(8)
    values, indices = top_k(scores, k)
    expected = np.argsort(-scores, kind="stable")[:k]
    assert (values.dtype, indices.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(values, scores[expected])


def test_top_k_is_torchs_for_distinct_scores(kernels: str) -> None:
    scores = np.random.default_rng(4).permutation(500).astype(np.float32)
    values, indices = top_k(scores, 20)
    best = torch.from_numpy(scores).topk(20)
    np.testing.assert_array_equal(indices, best.indices.numpy())
    np.testing.assert_array_equal(values, best.values.numpy())


def test_top_k_puts_nan_last_and_takes_zeros_as_equal(kernels: str) -> None:
    scores = floats([NAN, -INF, -0.0, 0.0, INF, NAN, -1, 1e-45])
    assert top_k(scores, 8)[1].tolist() == [4, 7, 2, 3, 6, 1, 0, 5]
    assert top_k(-scores[:1], 3)[1].tolist() == [0]


def test_top_k_of_halves_strides_and_nothing(kernels: str) -> None:
    scores = np.array([1, 9, 3, 9, 2, 9], np.float16)[::2]
    values, indices = top_k(scores, 2)
    assert (values.tolist(), indices.tolist()) == ([3, 2], [1, 2])
    assert values.dtype == np.float32
    assert [len(part) for part in top_k(floats([]), 3)] == [0, 0]


# ---- Native and reference
# --------------------------------------------------------------------------------------------

SPECIAL = floats([NAN, INF, -INF, 0.0, -0.0, 1e-45, 88.8, -104.0, 3e38, -3e38])


@pytest.mark.usefixtures("each_isa")
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_native_gives_the_references_bits(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    outer, size, inner = (
        st.sampled_from(sizes)
        for sizes in ([0, 1, 3], [0, 1, 3, 7, 8, 15, 17, 33, 97, 200], [0, 1, 1, 3, 15, 63, 130])
    )
    shape = (data.draw(outer), data.draw(size), data.draw(inner))
    logits = rng.normal(0, data.draw(st.sampled_from([1.0, 40.0])), shape).astype(np.float32)
    special = rng.random(shape) < data.draw(st.sampled_from([0.0, 0.01]))
    logits[special] = rng.choice(SPECIAL, int(special.sum()))
    with np.errstate(over="ignore"):
        logits = logits.astype(data.draw(st.sampled_from([np.float32, np.float16])))
    found, expected = (np.full(shape, 9, np.float32) for _ in range(2))
    native.softmax(logits, *shape, found)
    reference.softmax(logits, *shape, expected)
    np.testing.assert_array_equal(found, expected)
    native.sigmoid(logits, found)
    reference.sigmoid(logits, expected)
    np.testing.assert_array_equal(found, expected)
    flat = logits.reshape(-1).astype(np.float32)
    k = data.draw(st.integers(0, len(flat)))
    results = []
    for implementation in (native, reference):
        values, indices = np.empty(k, np.float32), np.empty(k, np.int64)
        implementation.top_k(flat, k, values, indices)
        results.append((values, indices))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


def special_logits(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 8, shape).astype(np.float32)
    logits.flat[rng.choice(logits.size, 5, replace=False)] = SPECIAL[:5]
    with np.errstate(over="ignore"):
        return logits.astype(dtype)


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(
    "shape",
    [
        # Columns longer than a block of any instruction set.
        (1, 2500, 19),
        # So large that it is written past the caches; its rows start anywhere, and at the same place in a line.
        (1, 9, 120_003),
        (1, 9, 120_000),
    ],
    ids=str,
)
def test_softmax_of_large_columns_gives_the_references_bits(shape: tuple[int, int, int], dtype: type) -> None:
    logits = special_logits(shape, dtype)
    expected = np.empty(shape, np.float32)
    reference.softmax(logits, *shape, expected)
    room = np.full(logits.size + 32, 9, np.float32)
    # At every place of a register's.
    for shift in (0, 1, 5, 15, 16):
        found = room[shift : shift + logits.size].reshape(shape)
        native.softmax(logits, *shape, found)
        np.testing.assert_array_equal(found, expected)
        assert room[shift + logits.size :].tolist() == [9] * (32 - shift)
    if dtype == np.float32:
        found[...] = logits
        native.softmax(found, *shape, found)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("order", ["rising", "falling", "random", "equal", "nan"])
@pytest.mark.parametrize("k", [1, 5, 63, 64, 300, 4000])
def test_top_k_of_many_is_a_stable_sort(k: int, order: str) -> None:
    scores = {
        "rising": np.arange(5003),
        "falling": -np.arange(5003),
        "random": np.random.default_rng(6).integers(0, 900, 5003),
        "equal": np.zeros(5003),
        "nan": np.where(np.arange(5003) % 7, NAN, np.arange(5003)),
    }[order].astype(np.float32)
    values, indices = top_k(scores, k)
    expected = np.argsort(-scores, kind="stable")[:k]
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(values, scores[expected])


# ---- Errors
# ----------------------------------------------------------------------------------------------------------

LOGITS = np.zeros((2, 3), np.float32)
ERRORS = [
    pytest.param(
        lambda: softmax(LOGITS.astype(np.float64)), r"logits must be .* got float64 \(2, 3\)", id="double"
    ),
    pytest.param(lambda: softmax([1.0]), "got a list", id="list"),
    pytest.param(lambda: softmax(np.float32(1)[()]), "logits must be", id="scalar"),
    pytest.param(lambda: softmax(LOGITS, 2), r"axis must be -2 to 1 .* got 2", id="axis"),
    pytest.param(lambda: sigmoid(LOGITS.astype(int)), "logits must be", id="integers"),
    pytest.param(
        lambda: sigmoid(LOGITS, out=LOGITS[:1]),
        r"out must be .* \(2, 3\), got float32 \(1, 3\)",
        id="out-shape",
    ),
    pytest.param(lambda: softmax(LOGITS, out=np.zeros((2, 3))), "out must be", id="out-dtype"),
    pytest.param(
        lambda: softmax(LOGITS, out=np.zeros((3, 2), np.float32).T),
        "out must be .*C-contiguous",
        id="out-strides",
    ),
    pytest.param(
        lambda: top_k(LOGITS, 1), r"scores must be .*\(N,\), got float32 \(2, 3\)", id="two-dimensions"
    ),
    pytest.param(lambda: top_k(LOGITS[0], 0), "k must be", id="k"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_wrong_arguments_are_named(kernels: str, call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_out_must_be_writeable(kernels: str) -> None:
    out = np.zeros((2, 3), np.float32)
    out.flags.writeable = False
    with pytest.raises(InputError, match="out must be writeable"):
        softmax(LOGITS, out=out)
