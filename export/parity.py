"""How far the tensors that a file computes lie from those that PyTorch computed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgevision.backends.base import Session
from edgevision.backends.registry import open_session
from edgevision.export.errors import ExportError
from edgevision.export.golden import run_module
from edgevision.export.network import Part

__all__ = [
    "FP32_RELATIVE",
    "TensorParity",
    "check_parity",
    "compare_model",
    "compare_outputs",
    "reference_frames",
    "run_session",
]

FP32_RELATIVE = 1e-4
"""Largest difference over largest reference value that a float32 export may show. Networks measured 1e-7 to 1e-5
(reordered sums); a wrong constant or a lost layer shows 1e-2 and more."""


@dataclass(frozen=True, slots=True)
class TensorParity:
    """How far one output tensor lies from PyTorch's, over every frame.

    shape:    of one run.
    max_abs, mean_abs: of the difference. relative: max_abs over the largest reference value; for integers and
        booleans, the share of elements that differ.
    cosine:   of the two tensors as vectors, 1 for equal directions: the least of any frame.
    frame:    the one that lies furthest off.
    """

    name: str
    shape: tuple[int, ...]
    max_abs: float
    mean_abs: float
    relative: float
    cosine: float
    frame: str = ""

    def __str__(self) -> str:
        where = f" (worst on {self.frame})" if self.frame else ""
        return (
            f"{self.name} {'x'.join(map(str, self.shape))}: max {self.max_abs:.2e}, mean {self.mean_abs:.2e}, "
            f"relative {self.relative:.1e}, cosine {self.cosine:.8f}{where}"
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
) -> list[TensorParity]:
    """One row an output.

    wants, haves: PyTorch's outputs and the file's, by name, one mapping a run. frames: the runs' names.
    selected: outputs (N, rows, columns) of boxes that the graph selected: their rows are compared as sets.
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
            pairs.append(_pair_rows(one, other) if name in selected else (one, other))
        rows.append(_compare(name, wants[0][name].shape, pairs, labels))
    return rows


def check_parity(rows: Sequence[TensorParity], limit: float = FP32_RELATIVE) -> None:
    """Raises ExportError that names the worst tensor when one lies further from PyTorch than `limit`."""
    worst = max(rows, key=lambda row: row.relative if row.relative == row.relative else float("inf"))
    if not worst.relative <= limit:
        raise ExportError(
            f"the ONNX file does not compute what PyTorch computes (limit {limit:.0e}): {worst}"
        )


def _pair_rows(want: NDArray[Any], have: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both tensors (N, rows, columns) as (pairs, columns): every row of either beside its nearest in the other.

    Rows whose score (column 4) the other side's worst row comes within 1e-5 of are left out: which of nearly equal
    scores is the last to be selected is chance.
    """
    wants, haves = [], []
    for one, other in zip(want, have, strict=True):
        cut = max(one[:, 4].min(), other[:, 4].min()) + 1e-5
        gap = np.abs(one[:, None] - other[None]).max(axis=2)
        of_one, of_other = one[:, 4] > cut, other[:, 4] > cut
        wants += [one[of_one], one[gap.argmin(axis=0)][of_other]]
        haves += [other[gap.argmin(axis=1)][of_one], other[of_other]]
    return np.concatenate(wants), np.concatenate(haves)


def _compare(
    name: str, shape: tuple[int, ...], pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]], frames: list[str]
) -> TensorParity:
    scale = max((float(np.abs(want).max()) for want, _ in pairs if want.size), default=0.0)
    gaps = [_gap(want, have) for want, have in pairs]
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
    return TensorParity(name, shape, max_abs, mean, relative, cosine, frames[at])


def _gap(want: NDArray[Any], have: NDArray[Any]) -> NDArray[np.float64]:
    """The absolute difference; 0 where both are the same infinity."""
    a, b = want.astype(np.float64), have.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(a == b, 0.0, np.abs(a - b)))


def _cosine(want: NDArray[Any], have: NDArray[Any]) -> float:
    a, b = want.astype(np.float64).ravel(), have.astype(np.float64).ravel()
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b / norms) if norms else float(not a.any() and not b.any())


def reference_frames(count: int, size_hw: tuple[int, int], seed: int = 0) -> NDArray[np.float32]:
    """Structured test input, float32 (count, 3, H, W), 0-1: smooth shapes under noise, as pictures have them.

    White noise alone would average out in the first layers and hide differences in the later ones.
    """
    rng = np.random.default_rng(seed)
    height, width = size_hw
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    frames = np.empty((count, 3, height, width), np.float32)
    for frame in frames:
        for plane in frame:
            waves = rng.uniform(0.005, 0.15, (4, 2)).astype(np.float32)
            phases = rng.uniform(0, 2 * np.pi, 4).astype(np.float32)
            plane[:] = sum(np.sin(fy * y + fx * x + p) for (fy, fx), p in zip(waves, phases, strict=True))
        frame[:] = (frame - frame.min()) / max(float(np.ptp(frame)), 1e-6)
        frame += rng.normal(0, 0.03, frame.shape)
    return np.clip(frames, 0.0, 1.0)


def compare_model(
    module: torch.nn.Module,
    path: str | PathLike[str],
    frames: NDArray[np.float32],
    batch: int = 1,
    selected: Collection[str] = (),
) -> list[TensorParity]:
    """How far each output of the ONNX file lies from the module's, over all frames, in the file's order.

    frames: float32 (N, C, H, W), N a multiple of `batch`.
    selected: as in `compare_outputs`.
    Raises ExportError when the shapes differ.
    """
    with closing(open_session(path, backend="onnxruntime")) as session:
        name = session.inputs[0].name
        outputs = tuple(info.name for info in session.outputs)
        part = Part(module=module, example=(), inputs=(name,), outputs=outputs)
        feeds = [{name: frames[start : start + batch]} for start in range(0, len(frames), batch)]
        found = run_session(session, feeds)
    return compare_outputs(outputs, [run_module(part, feed) for feed in feeds], found, selected=selected)
