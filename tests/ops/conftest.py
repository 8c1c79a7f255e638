"""Both implementations of the kernels, as a test parameter."""

from __future__ import annotations

import pytest

from edgevision.ops import boxes, candidates, instance_masks, masks, nms, queries, rle, scores
from edgevision.ops._dispatch import native
from edgevision.ops.reference import boxes as reference_boxes
from edgevision.ops.reference import masks as reference_masks
from edgevision.ops.reference import masks_binary as reference_masks_binary
from edgevision.ops.reference import masks_rle as reference_masks_rle
from edgevision.ops.reference import nms as reference_nms
from edgevision.ops.reference import scores as reference_scores

REFERENCES = {
    boxes: reference_boxes,
    candidates: reference_boxes,
    queries: reference_boxes,
    nms: reference_nms,
    scores: reference_scores,
    masks: reference_masks,
    instance_masks: reference_masks_binary,
    rle: reference_masks_rle,
}


@pytest.fixture(params=["native", "reference"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Makes a test of boxes, scores or masks run on both implementations; its value is the name."""
    if request.param == "native" and native is None:
        pytest.skip("the native extension is not built")
    for face, reference in REFERENCES.items():
        monkeypatch.setattr(face, "_kernels", native if request.param == "native" else reference)
    return request.param
