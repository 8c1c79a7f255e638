"""What a family's script hands to the exporter: modules ready to trace, and the spec that goes with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from edgevision.spec import ModelSpec

__all__ = ["PRECISIONS", "Axis", "Feeds", "Network", "Part"]

PRECISIONS = ("fp32", "fp16", "int8")
"""The numbers a form of a network computes with."""

Feeds: TypeAlias = dict[str, NDArray[Any]]
"""Input name -> array: what one run of a part takes."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A dimension that may differ from run to run.

    symbol:   its name in the graph; dimensions of the same symbol are equal.
    multiple: its length is a multiple of this.
    low, high: the least and the greatest length that a run may have; `Part.example` lies between them.
    """

    symbol: str
    multiple: int = 1
    low: int = 1
    high: int = 1024


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Part:
    """One network of a bundle: a module, and how it is called.

    role:     the stem of its file: "model" for the one that takes the image; "decoder", "text", ...
    module:   float32, in evaluation mode, on the CPU. Takes the inputs in order; returns a tensor or a tuple of them.
    example:  inputs of batch 1, of the types of a run.
    inputs:   the graph's input names, in the module's order.
    outputs:  the graph's output names, in the module's order.
    dynamic:  input name -> dimension -> Axis, beside the batch of "model", which `ModelSpec.inputs[0].batch` settles.
    selected: outputs (N, rows, columns) of boxes that the graph itself selected: their rows are compared as sets.
    tracer:   "dynamo", or "legacy" where only torch's older exporter can trace the module.
    feeds:    None for "model": it is fed with the golden frames through the spec's own preprocessing. Else what to
        run the part with, given the outputs by name that "model" gave in PyTorch for each golden frame: one dict of
        arrays a run. Parity is judged, and int8 calibrated, on these.
    half:     makes the module to trace at fp16 (parameters float16, inputs and outputs float32); None: the exporter
        halves a copy of `module` itself.
    graph:    the float32 graph (an onnx.ModelProto) where there is one already; None: `module` is traced.
    precisions: those of PRECISIONS that this part is worth having in; a bundle keeps fp32 of the others.
    """

    role: str = "model"
    module: torch.nn.Module
    example: tuple[torch.Tensor, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dynamic: Mapping[str, Mapping[int, Axis]] = field(default_factory=dict)
    selected: frozenset[str] = frozenset()
    tracer: str = "dynamo"
    feeds: Callable[[Sequence[Mapping[str, NDArray[Any]]]], list[Feeds]] | None = None
    half: Callable[[], torch.nn.Module] | None = None
    graph: Any = None
    precisions: tuple[str, ...] = PRECISIONS


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Network:
    """A checkpoint, read: everything an export needs to know of it.

    spec:       complete, but for what an export settles (the dtype of inputs at fp16).
    parts:      "model" first; its inputs are those of the spec.
    preprocess: the source's own preprocessing, for comparison with the spec's: uint8 (H, W, 3) BGR frame to the
        float32 tensor (1, C, H, W) that the source would feed; None where it has none of its own.
    files:      further files of the bundle by name, such as a tokenizer.
    notes:      what the report should say of this export, a sentence each.
    """

    spec: ModelSpec
    parts: tuple[Part, ...]
    preprocess: Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
