"""How far the tensors that a file computes lie from those that PyTorch computed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import Session
from edgevision.export.errors import ExportError

__all__ = ["TensorParity", "channel_noise", "compare_outputs", "run_session"]


@dataclass(frozen=True, slots=True)
class TensorParity:
    """How far one output tensor lies from PyTorch's, over every frame.

    shape:    of one run.
    max_abs, mean_abs: of the difference. relative: max_abs over the largest reference value; for integers and
        booleans, the share of elements that differ.
    cosine:   of the two tensors as vectors, 1 for equal directions: the least of any frame.
    noise:    see channel_noise: the most of any frame.
    frame:    the one that lies furthest off.
    """

    name: str
    shape: tuple[int, ...]
    max_abs: float
    mean_abs: float
    relative: float
    cosine: float
    noise: float = 0.0
    frame: str = ""

    def __str__(self) -> str:
        where = f" (worst on {self.frame})" if self.frame else ""
        return (
            f"{self.name} {'x'.join(map(str, self.shape))}: max {self.max_abs:.2e}, mean {self.mean_abs:.2e}, "
            f"relative {self.relative:.1e}, cosine {self.cosine:.8f}, noise {self.noise:.1e}{where}"
        )


def run_session(
    session: Session, feeds: Sequence[Mapping[str, NDArray[Any]]]
) -> list[dict[str, NDArray[Any]]]:
    """Copies of the outputs of each run, in the order of the graph; feeds are cast to the types of its inputs."""
    kinds = {info.name: info.dtype for info in session.inputs}
    found = []
    for feed in feeds:
        cast = {name: np.asarray(feed[name]).astype(kind, copy=False) for name, kind in kinds.items()}
        found.append({name: np.array(value) for name, value in session.run(cast).items()})
    return found


def compare_outputs(
    names: Sequence[str],
    wants: Sequence[Mapping[str, NDArray[Any]]],
    haves: Sequence[Mapping[str, NDArray[Any]]],
    frames: Sequence[str] = (),
    selected: Collection[str] = (),
    tie: float = 1e-5,
) -> list[TensorParity]:
    """One row an output.

    wants, haves: PyTorch's outputs and the file's, by name, one mapping a run. frames: the runs' names.
    selected: outputs (N, rows, columns) of boxes that the graph selected: their rows are compared as sets.
    tie: scores closer than this may change places, so that a row near the last selected may be missing.
    Raises ExportError when the shapes differ.
    """
    labels = list(frames) or [""] * len(wants)
    rows = []
    for name in names:
        pairs = []
        for want, have in zip(wants, haves, strict=True):
            one, other = want[name], have[name]
            if one.shape != other.shape:
                raise ExportError(f"output {name!r} is {other.shape} in the file and {one.shape} in PyTorch")
            pairs.append(_pair_rows(one, other, tie) if name in selected else _drop_infinities(one, other))
        rows.append(_compare(name, wants[0][name].shape, pairs, labels))
    return rows


def channel_noise(want: NDArray[Any], have: NDArray[Any]) -> float:
    """Squared error over variance, in the mean over the channels (dimension 1): 0 for equals, 1 for a constant guess.

    A channel at a time, so that scores of 0-1 count as much as the boxes of 0-640 that stand beside them in one tensor,
    which alone make its cosine. 0 for integers and for tensors without channels; NaN where values are.
    """
    if want.dtype.kind != "f" or want.ndim < 2 or not want.size:
        return 0.0
    a = want.astype(np.float64).swapaxes(0, 1).reshape(want.shape[1], -1)
    b = have.astype(np.float64).swapaxes(0, 1).reshape(want.shape[1], -1)
    # One value a channel (class scores) has no variance of its own: that of the whole tensor stands in.
    spread = a.var(axis=1) if a.shape[1] > 1 else np.full(len(a), a.var())
    floor = max(float(a.var()) * 1e-6, 1e-30)  # a channel that hardly varies holds nothing to be lost
    return float(np.mean(np.mean((a - b) ** 2, axis=1) / np.maximum(spread, floor)))


def _pair_rows(want: NDArray[Any], have: NDArray[Any], tie: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both tensors (N, rows, columns) as (pairs, columns): every row of either beside its nearest in the other.

    Rows whose score (column 4) the other side's worst row comes within `tie` of are left out: which of nearly equal
    scores is the last to be selected is chance. The best tenth is always compared, however close the scores.
    """
    wants, haves = [], []
    for one, other in zip(want, have, strict=True):
        cut = max(one[:, 4].min(), other[:, 4].min()) + tie
        cut = min(cut, np.sort(one[:, 4])[-1 - len(one) // 10] - 1e-5)
        gap = np.abs(one[:, None] - other[None]).max(axis=2)
        of_one, of_other = one[:, 4] > cut, other[:, 4] > cut
        wants += [one[of_one], one[gap.argmin(axis=0)][of_other]]
        haves += [other[gap.argmin(axis=1)][of_one], other[of_other]]
    return np.concatenate(wants), np.concatenate(haves)


def _drop_infinities(want: NDArray[Any], have: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both with 0 where both are the same infinity (a masked logit), which no sum survives."""
    same = np.isinf(want) & (want == have) if want.dtype.kind == "f" else np.zeros(0, bool)
    return (np.where(same, 0, want), np.where(same, 0, have)) if same.any() else (want, have)


@np.errstate(invalid="ignore")  # an infinity where PyTorch has none makes NaN, and fails every limit
def _compare(
    name: str, shape: tuple[int, ...], pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]], frames: list[str]
) -> TensorParity:
    scale = max((float(np.abs(want).max()) for want, _ in pairs if want.size), default=0.0)
    gaps = [np.abs(want.astype(np.float64) - have.astype(np.float64)) for want, have in pairs]
    worst = [float(gap.max()) if gap.size else 0.0 for gap in gaps]
    # A NaN, which no comparison would ever choose, is the worst there is.
    at = int(np.argmax([np.inf if np.isnan(one) else one for one in worst]))
    count = sum(gap.size for gap in gaps)
    mean = sum(float(gap.sum()) for gap in gaps) / count if count else 0.0
    max_abs = worst[at]
    if pairs[0][0].dtype.kind in "biu":
        relative = sum(int((gap > 0).sum()) for gap in gaps) / count if count else 0.0
    else:
        relative = max_abs / scale if scale else (0.0 if max_abs == 0 else float("inf"))
    cosine = min(_cosine(want, have) for want, have in pairs)
    noise = max(channel_noise(want, have) for want, have in pairs)
    return TensorParity(name, shape, max_abs, mean, relative, cosine, noise, frames[at])


def _cosine(want: NDArray[Any], have: NDArray[Any]) -> float:
    a, b = want.astype(np.float64).ravel(), have.astype(np.float64).ravel()
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b / norms) if norms else float(not a.any() and not b.any())
