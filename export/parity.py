"""Compare what an ONNX file computes with what PyTorch computed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from os import PathLike

import numpy as np
import torch
from numpy.typing import NDArray

from edgevision.backends.registry import open_session
from edgevision.export.onnx_graph import ExportError

__all__ = ["FP32_RELATIVE", "TensorParity", "check_parity", "compare_model", "reference_frames"]

FP32_RELATIVE = 1e-4
"""Largest difference over largest reference value that a float32 export may show. Networks measured 1e-7 to 1e-5
(reordered sums); a wrong constant or a lost layer shows 1e-2 and more."""


@dataclass(frozen=True, slots=True)
class TensorParity:
    """How far one output tensor lies from PyTorch's.

    max_abs, mean_abs: of the difference. relative: max_abs over the largest reference value.
    cosine: of both tensors as vectors, 1 for equal directions.
    """

    name: str
    shape: tuple[int, ...]
    max_abs: float
    mean_abs: float
    relative: float
    cosine: float

    def __str__(self) -> str:
        return (
            f"{self.name} {'x'.join(map(str, self.shape))}: max {self.max_abs:.2e}, mean {self.mean_abs:.2e}, "
            f"relative {self.relative:.1e}, cosine {self.cosine:.8f}"
        )


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
    selected: outputs (N, rows, columns) of boxes that the graph selected: their rows are compared as sets.
    Raises ExportError when the shapes differ.
    """
    with closing(open_session(path, backend="onnxruntime")) as session:
        name = session.inputs[0].name
        expected: list[list[NDArray[np.float32]]] = [[] for _ in session.outputs]
        found: list[list[NDArray[np.float32]]] = [[] for _ in session.outputs]
        for start in range(0, len(frames), batch):
            chunk = frames[start : start + batch]
            with torch.no_grad():
                wanted = _tensors(module(torch.from_numpy(chunk)))
            got = session.run({name: chunk})
            for index, info in enumerate(session.outputs):
                expected[index].append(wanted[index].float().numpy())
                found[index].append(np.array(got[info.name], dtype=np.float32))
        names = [info.name for info in session.outputs]
    rows = []
    for name, wants, haves in zip(names, expected, found, strict=True):
        want, have = np.concatenate(wants), np.concatenate(haves)
        if name in selected and want.shape == have.shape:
            want, have = _pair_rows(want, have)
        rows.append(_compare(name, want, have))
    return rows


def check_parity(rows: Sequence[TensorParity], limit: float = FP32_RELATIVE) -> None:
    """Raises ExportError that names the worst tensor when one lies further from PyTorch than `limit`."""
    worst = max(rows, key=lambda row: row.relative)
    if not worst.relative <= limit:
        raise ExportError(
            f"the ONNX file does not compute what PyTorch computes (limit {limit:.0e}): {worst}"
        )


def _tensors(value: object) -> list[torch.Tensor]:
    """The tensors in a module's output, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in _tensors(item)]
    raise ExportError(
        f"the network returns {type(value).__name__}; a tensor or a tuple of tensors can be exported"
    )


def _pair_rows(
    want: NDArray[np.float32], have: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
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


def _compare(name: str, want: NDArray[np.float32], have: NDArray[np.float32]) -> TensorParity:
    if want.shape != have.shape:
        raise ExportError(f"output {name!r} is {have.shape} in the ONNX file and {want.shape} in PyTorch")
    gap = np.abs(want.astype(np.float64) - have.astype(np.float64))
    a, b = want.astype(np.float64).ravel(), have.astype(np.float64).ravel()
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    scale = float(np.abs(want).max()) if want.size else 0.0
    max_abs = float(gap.max()) if gap.size else 0.0
    return TensorParity(
        name,
        want.shape,
        max_abs,
        float(gap.mean()) if gap.size else 0.0,
        max_abs / scale if scale else (0.0 if max_abs == 0 else float("inf")),
        float(a @ b / norms) if norms else 1.0,
    )
