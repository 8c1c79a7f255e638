"""Both implementations of the kernels, as a test parameter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from implementations import IMPLEMENTATIONS, ISAS, implementation

from edgevision.ops import boxes, candidates, instance_masks, masks, nms, queries, rle, scores
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


@pytest.fixture(params=IMPLEMENTATIONS)
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Makes a test of boxes, scores or masks run on every implementation; its value is the name."""
    with implementation(request.param) as native:
        for face, reference in REFERENCES.items():
            monkeypatch.setattr(face, "_kernels", native or reference)
        yield request.param


@pytest.fixture(scope="module", params=ISAS or ("native",))
def each_isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Makes a test of the native kernels run once with those of each instruction set; its value is the name."""
    with implementation(request.param):
        yield request.param
