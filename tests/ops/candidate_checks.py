"""What the tests of the decoders share."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgevision.ops.boxes import Candidates


def floats(rows: Any) -> np.ndarray:
    return np.array(rows, np.float32)


def assert_candidates(found: Candidates, boxes: Any, scores: Any, class_ids: Any, extra: Any = None) -> None:
    expected_boxes = floats(boxes).reshape(len(scores), found.boxes.shape[1])
    np.testing.assert_array_equal(found.boxes, expected_boxes)
    np.testing.assert_array_equal(found.scores, floats(scores))
    np.testing.assert_array_equal(found.class_ids, np.array(class_ids, np.int64))
    width = 0 if extra is None else len(extra[0])
    np.testing.assert_array_equal(found.extra, floats(extra or []).reshape(len(scores), width))
    dtypes = [found.boxes.dtype, found.scores.dtype, found.class_ids.dtype, found.extra.dtype]
    assert dtypes == [np.float32, np.float32, np.int64, np.float32]
    assert len(found) == len(scores)
