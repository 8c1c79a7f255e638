from __future__ import annotations

import json
import math

import numpy as np
import pytest

from edgevision import Embedding, InputError


def embedding(*values: float) -> Embedding:
    return Embedding(np.array(values, np.float32), (4, 6))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((3.0, 4.0), 1.0),
        ((-3.0, -4.0), -1.0),
        ((4.0, -3.0), 0.0),
        ((1.0, 0.0), 0.6),
        ((0.0, 0.0), 0.0),  # no direction at all
        ((3e30, 4e30), 1.0),  # whose squares overflow float32
    ],
    ids=str,
)
def test_similarity_is_the_cosine(other: tuple[float, float], expected: float) -> None:
    one = embedding(3.0, 4.0)
    # Lengths and products of float32 vectors in double, one rounding to float32 at the end.
    assert one.similarity(embedding(*other)) == pytest.approx(expected, abs=2**-24)
    assert one.similarity(np.array(other)) == one.similarity(embedding(*other))


def test_similarities_are_those_of_each_row() -> None:
    one = embedding(1.0, 2.0, 3.0)
    gallery = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    found = one.similarities(gallery)
    assert (found.dtype, found.shape) == (np.float32, (7,))
    assert found.tolist() == [one.similarity(row) for row in gallery]
    angle = math.acos(found[0])
    assert 0 < angle < math.pi


def test_a_vector_is_frozen_and_told_as_json() -> None:
    one = embedding(1.0, 2.0)
    assert len(one) == 2
    assert not one.vector.flags.writeable
    assert json.loads(one.to_json()) == {"task": "embed", "image_hw": [4, 6], "vector": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (lambda: Embedding(np.zeros(3), (1, 1)), r"vector must be float32 \(D,\), got float64 \(3,\)"),
        (lambda: Embedding(np.zeros((1, 3), np.float32), (1, 1)), r"got float32 \(1, 3\)"),
        (lambda: embedding(1, 2).similarity(embedding(1, 2, 3)), r"this one is \(2,\), the other \(3,\)"),
        (lambda: embedding(1, 2).similarity(np.zeros((4, 2))), r"use similarities\(\)"),
        (lambda: embedding(1, 2).similarities(np.zeros((4, 3))), r"others must be \(N, 2\), got \(4, 3\)"),
    ],
    ids=["dtype", "two dimensions", "another length", "a gallery", "another gallery"],
)
def test_what_is_no_embedding_is_refused(action, text: str) -> None:
    with pytest.raises(InputError, match=text):
        action()
