"""A form's file beside PyTorch: its tensors, and what the runtime makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import Session
from edgevision.backends.registry import available_backends, open_session
from edgevision.errors import BackendError
from edgevision.export.agreement import Agreement, compare_results, mask_iou
from edgevision.export.errors import ExportError
from edgevision.export.forms import FORMS
from edgevision.export.golden import PartReference
from edgevision.export.limits import TIES, failures
from edgevision.export.network import Feeds
from edgevision.export.parity import TensorParity, compare_outputs, run_session
from edgevision.spec import ModelSpec
from edgevision.tasks.options import RunOptions
from edgevision.tasks.registry import RUNNABLE_TASKS, open_task

__all__ = ["FormParity", "check_form", "compare_masks", "decode_outputs", "judge_form"]


@dataclass(frozen=True, slots=True, eq=False)
class FormParity:
    """How far one file lies from PyTorch: a part in a form, run by a runtime.

    tensors:  one row an output. results: the figures of the task; none for a part that gives no results by itself.
    decoded:  the form's results of each golden frame, for pictures.
    failures: a sentence for every limit that is not kept.
    """

    role: str
    form: str
    file: str
    runtime: str
    tensors: tuple[TensorParity, ...]
    results: tuple[Agreement, ...] = ()
    decoded: tuple[Any, ...] = ()
    failures: tuple[str, ...] = ()


def check_form(parity: FormParity) -> None:
    """Raises ExportError that names the worst tensor and frame when a limit is not kept."""
    if parity.failures:
        more = len(parity.failures) - 1
        raise ExportError(
            f"{parity.file} does not compute what PyTorch computes ({parity.runtime}): {parity.failures[0]}"
            + (f"; and {more} more: " + "; ".join(parity.failures[1:4]) if more else "")
        )


def judge_form(
    path: Path, spec: ModelSpec, reference: PartReference, form: str, runtime: str = "onnxruntime"
) -> FormParity:
    """The file compared with PyTorch on every run of the reference.

    spec: of the model in this form. Raises ExportError when the runtime refuses the file or shapes differ.
    """
    part, precision = reference.part, FORMS[form].precision
    tie = TIES[precision].score
    options = {"precision": "float32"} if runtime == "openvino" else {}
    try:
        with closing(open_session(path, backend=runtime, **options)) as session:
            found = run_session(session, reference.feeds)
            tensors = compare_outputs(
                part.outputs, reference.outputs, found, reference.names, part.selected, tie
            )
            if part.role == "model" and spec.inputs[0].batch is None:
                tensors = _worse(tensors, _compare_batches(session, reference, tie))
            label = session.runtime
    except BackendError as error:
        raise ExportError(f"{path.name} does not run: {error}") from error
    results, decoded = _compare_meaning(spec, reference, found, precision)
    failed = failures(tensors, results, precision, random_weights=spec.source.random_weights)
    return FormParity(
        part.role, form, path.name, label, tuple(tensors), tuple(results), tuple(decoded), tuple(failed)
    )


def decode_outputs(
    spec: ModelSpec, reference: PartReference, outputs: Sequence[Mapping[str, NDArray[Any]]], precision: str
) -> list[Any]:
    """The results of each run's outputs, through the runtime's own task; none for a task without one.

    Objects are kept down to a little below the spec's threshold, so that those near it can be told from the others.
    """
    if spec.task not in RUNNABLE_TASKS or reference.part.role != "model":
        return []
    task = open_task(spec, reference.part.outputs)
    options = RunOptions.from_thresholds(spec.thresholds)
    least = 0.0 if spec.task == "classify" else max(options.confidence - 2 * TIES[precision].score, 0.001)
    options = replace(options, confidence=least)
    return [
        task.finish(one, placements, options)[0]
        for one, placements in zip(outputs, reference.placements, strict=True)
    ]


def _compare_meaning(
    spec: ModelSpec,
    reference: PartReference,
    found: Sequence[Mapping[str, NDArray[Any]]],
    precision: str,
) -> tuple[list[Agreement], list[Any]]:
    if spec.task == "promptable" and reference.part.role != "model":
        return compare_masks(reference, found, TIES[precision].score), []
    wants = decode_outputs(spec, reference, reference.outputs, precision)
    haves = decode_outputs(spec, reference, found, precision)
    tie = replace(TIES[precision], confidence=spec.thresholds.confidence)
    return compare_results(wants, haves, reference.names, tie), haves


def compare_masks(
    reference: PartReference, found: Sequence[Mapping[str, NDArray[Any]]], tie: float
) -> list[Agreement]:
    """Of a promptable network's decoder: its masks, logits (B, M, h, w), where they are above 0, and which of a prompt's
    masks its predicted IoUs (B, M) put first. The form's choice is as good as PyTorch's when PyTorch rates it as high,
    but for a tie."""
    masks: list[tuple[float, str]] = []
    choices: list[tuple[float, str]] = []
    for want, have, frame in zip(reference.outputs, found, reference.names, strict=True):
        for name in reference.part.outputs:
            one, other = want[name], have[name]
            if one.ndim == 4:
                size = one.shape[2:]
                pairs = zip(one.reshape(-1, *size) > 0, other.reshape(-1, *size) > 0, strict=True)
                masks += [(mask_iou(a, b), frame) for a, b in pairs]
            elif one.ndim == 2 and one.shape[1] > 1:
                chosen = np.take_along_axis(one, other.argmax(axis=1)[:, None], axis=1)[:, 0]
                choices += [(float(good), frame) for good in chosen >= one.max(axis=1) - tie]
    rows = []
    if masks:
        rows.append(Agreement("mask_iou", *min(masks), len(masks)))
    if choices:
        share = sum(good for good, _ in choices) / len(choices)
        rows.append(Agreement("top1", share, min(choices)[1], len(choices)))
    return rows


def _worse(rows: list[TensorParity], others: list[TensorParity]) -> list[TensorParity]:
    return [
        other if not other.relative <= one.relative else one for one, other in zip(rows, others, strict=True)
    ]


def _compare_batches(session: Session, reference: PartReference, tie: float) -> list[TensorParity]:
    """Batches of 2 and 3 beside what the images give one by one (1 is every other comparison)."""
    feeds, wants, names = [], [], []
    for count in (2, 3):
        at = [i % len(reference.feeds) for i in range(count)]
        shapes = [{name: one.shape for name, one in reference.feeds[i].items()} for i in at]
        if any(shape != shapes[0] for shape in shapes):
            at = [0] * count  # a canvas that follows the frame: only equal ones share a batch
        feeds.append(_stack([reference.feeds[i] for i in at]))
        wants.append(_stack([reference.outputs[i] for i in at]))
        names.append(f"a batch of {count}")
    found = run_session(session, feeds)
    part = reference.part
    return compare_outputs(part.outputs, wants, found, names, part.selected, tie)


def _stack(runs: Sequence[Mapping[str, NDArray[Any]]]) -> Feeds:
    return {name: np.concatenate([one[name] for one in runs]) for name in runs[0]}


def installed_runtimes() -> tuple[str, ...]:
    """The backends that forms are compared with: those of the two for every processor that are installed."""
    wanted = ("onnxruntime", "openvino")
    return tuple(one.name for one in available_backends() if one.available and one.name in wanted)
