"""A YOLO of Ultralytics' library at float16, its boxes decoded at float32."""

from __future__ import annotations

import copy

from torch import Tensor, nn

__all__ = ["half_module"]

_BOX_BRANCHES = ("cv2", "one2one_cv2")
"""The head's lists of networks, one a level, that give the distances from an anchor to the sides of its box."""
_KEYPOINT_BRANCHES = ("cv4_kpts", "one2one_cv4_kpts"), ("cv4", "one2one_cv4")
"""Likewise of a -pose head: offsets of its keypoints, in YOLO26 and in those before."""


class _ToFloat(nn.Module):
    """What `body` gives, as float32."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).float()


class _HalfInside(nn.Module):
    """A float16 network between float32 tensors."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = self.body(images.half())
        tensors = (found,) if isinstance(found, Tensor) else tuple(found)
        return tuple(tensor.float() for tensor in tensors)


def half_module(module: nn.Module) -> nn.Module:
    """A copy of `module` whose parameters are float16, and whose inputs and outputs stay float32.

    Between 512 and 1024 pixels, neighbouring float16 numbers lie half a pixel apart, so boxes and keypoints are not
    computed with them: what the convolutions of the head say becomes float32 before anchors and strides turn it into pixels.
    """
    half = copy.deepcopy(module).half()
    head = list(half.model)[-1]
    names = _BOX_BRANCHES
    if hasattr(head, "kpt_shape"):
        newer, older = _KEYPOINT_BRANCHES
        names += newer if hasattr(head, newer[0]) else older
    for name in names:
        branches = getattr(head, name, None)
        if branches is not None:  # fuse() leaves None where it dropped the other head
            for level, branch in enumerate(branches):
                branches[level] = _ToFloat(branch)
    if hasattr(head, "dfl"):
        head.dfl.float()
    return _HalfInside(half).eval()
