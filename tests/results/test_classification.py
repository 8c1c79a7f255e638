from __future__ import annotations

import json

import numpy as np
import pytest

from edgevision import Classification, InputError


def make() -> Classification:
    return Classification(
        np.array([2, 0, 1]), np.array([0.7, 0.2, 0.1], np.float32), (4, 5), ("cat", "dog", "fox")
    )


def test_iterates_best_first() -> None:
    assert [(i, name) for i, name, _ in make()] == [(2, "fox"), (0, "cat"), (1, "dog")]


def test_top_and_indexing() -> None:
    assert make().top(2).names == ["fox", "cat"]
    assert make()[0].names == ["fox"]
    assert make()[make().confidence < 0.5].names == ["cat", "dog"]
    assert make().of_class("dog", "cat").names == ["cat", "dog"]
    assert len(make().top(9)) == 3


def test_json_and_freezing() -> None:
    found = json.loads(make().to_json())
    assert found["classes"][0] == {"class_id": 2, "name": "fox", "confidence": pytest.approx(0.7)}
    with pytest.raises(ValueError, match="read-only"):
        make().confidence[0] = 1


def test_lengths_that_disagree_are_an_input_error() -> None:
    with pytest.raises(InputError, match=r"\(3,\) and \(2,\)"):
        Classification(np.arange(3), np.zeros(2, np.float32), (4, 5))


def test_to_supervision_keeps_the_order() -> None:
    pytest.importorskip("supervision", reason="supervision is not installed")
    theirs = make().to_supervision()
    assert theirs.class_id.tolist() == [2, 0, 1]
    assert theirs.get_top_k(1)[0].tolist() == [2]
