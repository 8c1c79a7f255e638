"""What a form may differ from PyTorch by, each limit with its reason, and the gate that holds a form to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from edgevision.export.agreement import Agreement, Tie
from edgevision.export.parity import TensorParity

__all__ = ["LIMITS", "TIES", "Limit", "failures", "limits_of"]


@dataclass(frozen=True, slots=True)
class Limit:
    """what: "relative", "noise" or "tensor_cosine" of a tensor, or the name of an Agreement. precision: of PRECISIONS.
    bound: the least where `least` is true, else the most. random: holds for networks of random weights too."""

    what: str
    precision: str
    bound: float
    least: bool
    random: bool
    reason: str

    def holds(self, value: float) -> bool:
        """Whether the value keeps the limit; NaN never does."""
        return value >= self.bound if self.least else value <= self.bound


# A float32 export differs by the order of its sums: 1e-7 to 1e-5 of the largest value. Half precision has 11 bits, an
# error of 5e-4 an operation, and tens of operations in a row. Int8 has 256 steps a tensor: single values may be off by
# several percent, and what counts is whether the results stay.
LIMITS: tuple[Limit, ...] = (
    Limit("relative", "fp32", 1e-4, False, True, "measured 1e-7 to 1e-5; a wrong constant shows 1e-2"),
    Limit("relative", "fp16", 5e-2, False, True, "measured 6e-4 to 2e-2; an overflow or a lost layer shows 1"),
    Limit("tensor_cosine", "fp32", 0.999999, True, True, "follows from `relative` but for tensors of outliers"),
    Limit("tensor_cosine", "fp16", 0.999, True, True, "measured 0.9999 and more"),
    Limit("tensor_cosine", "int8", 0.95, True, True, "measured 0.994 and more"),
    Limit("noise", "fp16", 1e-2, False, True, "measured 4e-7 to 2e-5; a lost channel shows 1"),
    Limit("noise", "int8", 1e-1, False, True, "measured 1e-4 to 6e-2; a runtime that computed it wrongly showed 5 to 12"),
    Limit("top1", "fp32", 1.0, True, True, "ties apart, the same class"),
    Limit("top1", "fp16", 1.0, True, True, "ties apart, the same class"),
    Limit("top1", "int8", 0.99, True, False, "INT8 may lose one point of accuracy, ties apart"),
    Limit("top5", "fp32", 1.0, True, True, "ties apart, the same classes"),
    Limit("top5", "fp16", 1.0, True, True, "ties apart, the same classes"),
    Limit("top5", "int8", 0.95, True, False, "the fourth and fifth class are often within a few percent of the sixth"),
    Limit("matched", "fp32", 1.0, True, False, "every object but for ties; at random, neighbours tie all over"),
    Limit("matched", "fp16", 0.99, True, False, "one of a hundred may be suppressed by another neighbour"),
    Limit("matched", "int8", 0.95, True, False, "one of twenty, among them the half-hidden ones"),
    Limit("box_px", "fp32", 0.05, False, False, "ten times the 0.01 px that decoding is held to, at 4K frames"),
    Limit("box_px", "fp16", 4.0, False, False, "half a pixel of a 640-pixel input is 2 in a full-HD frame"),
    Limit("score", "fp32", 1e-3, False, True, "of a softmax or sigmoid; measured 1e-6"),
    Limit("score", "fp16", 3e-2, False, False, "the rounding of what goes into a softmax or sigmoid"),
    Limit("mask_iou", "fp32", 0.999, True, True, "border pixels only"),
    Limit("mask_iou", "fp16", 0.98, True, False, "border pixels only, of small objects too"),
    Limit("mask_iou", "int8", 0.90, True, False, "a border one pixel wide around a small object"),
    Limit("keypoint_px", "fp32", 0.05, False, False, "as box_px"),
    Limit("keypoint_px", "fp16", 4.0, False, False, "as box_px"),
    Limit("pixels", "fp32", 0.9999, True, True, "ties along borders"),
    Limit("pixels", "fp16", 0.99, True, False, "borders"),
    Limit("pixels", "int8", 0.97, True, False, "borders"),
    Limit("class_iou", "int8", 0.85, True, False, "thin classes are all border"),
    Limit("cosine", "fp32", 0.99999, True, True, "as tensor_cosine"),
    Limit("cosine", "fp16", 0.999, True, True, "nearest neighbours stay the same"),
    Limit("cosine", "int8", 0.97, True, False, "distances between images of unlike things are tens of times larger"),
)  # fmt: skip

TIES = {"fp32": Tie(1e-4), "fp16": Tie(2e-2), "int8": Tie(0.1)}
"""What each precision may move a score by: two closer than this may change places."""


def limits_of(precision: str, random_weights: bool) -> tuple[Limit, ...]:
    """The limits that a form of this precision is held to.

    A network of random weights scores everything nearly alike: what changes its results at low precision is chance,
    so there its tensors alone are judged. Which of its objects suppresses its neighbour is chance at any precision: of
    426 that a random YOLOv5 found, two differed in float32, where every value was within 4e-6 of the largest.
    """
    return tuple(one for one in LIMITS if one.precision == precision and (one.random or not random_weights))


def failures(
    tensors: Sequence[TensorParity],
    results: Sequence[Agreement],
    precision: str,
    *,
    random_weights: bool = False,
) -> list[str]:
    """A sentence for every limit that is not kept, the tensors' first; none: the form passes."""
    found = []
    for limit in limits_of(precision, random_weights):
        bound = f"{limit.what} {'at least' if limit.least else 'at most'} {limit.bound:g} for {precision}"
        for row in tensors:
            value = {"relative": row.relative, "noise": row.noise, "tensor_cosine": row.cosine}.get(
                limit.what
            )
            if (
                value is not None
                and not limit.holds(value)
                and not (limit.what == "noise" and _is_exact(row))
            ):
                found.append(f"{bound}: {row}")
        found += [
            f"{bound}: {row}" for row in results if row.name == limit.what and not limit.holds(row.value)
        ]
    return found


def _is_exact(row: TensorParity) -> bool:
    """Whether a vector of scores is right to the last bit that half precision has for its largest value.

    Scores that hardly differ from one another have next to no variance, and rounding alone is then much of it: SAM's
    four IoU predictions, at random weights, are 1.28 with a deviation of 2e-3 where a half's steps are 1e-3.
    """
    return prod(row.shape[2:]) == 1 and row.relative <= 2.0**-10
