"""Trace a PyTorch module to an ONNX file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch

from edgevision.errors import EdgeVisionError
from edgevision.spec.files import atomic_writer

__all__ = ["DEFAULT_OPSET", "ExportError", "slim_graph", "trace_module", "write_model"]

DEFAULT_OPSET = 20
"""What torch's exporter emits natively: lower ones go through a converter, and ONNX Runtime 1.17 reads 20."""


class ExportError(EdgeVisionError):
    """A checkpoint cannot be exported, or its export does not compute what PyTorch computes."""


def trace_module(
    module: torch.nn.Module,
    example: torch.Tensor,
    *,
    input_name: str = "images",
    output_names: Sequence[str] = ("output0",),
    dynamic_batch: bool = False,
    opset: int = DEFAULT_OPSET,
) -> onnx.ModelProto:
    """The ONNX model of `module` in evaluation mode.

    example: the input to trace with, (B, C, H, W). With dynamic_batch it is repeated to batch 2: at batch 1 the
        exporter silently specialises some networks, which then fail at any other batch.
    Raises ExportError with the exporter's first line when the module cannot be traced, or when an output lost the
    batch dimension that was asked for.
    """
    module = module.eval()
    dynamic_shapes = None
    if dynamic_batch:
        example = example[:1].repeat(2, *([1] * (example.ndim - 1)))
        dynamic_shapes = ({0: "batch"},)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # The exporter warns of its own internals; whether the graph is right is measured afterwards.
            warnings.simplefilter("ignore")
            module(example)  # heads cache anchors on their first call: outside the trace, not in it
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                external_data=False,
                opset_version=opset,
                input_names=[input_name],
                output_names=list(output_names),
                dynamic_shapes=dynamic_shapes,
                verbose=False,
            )
    except Exception as error:  # the exporter raises whatever its many passes raise
        lines = str(error).strip().splitlines()
        raise ExportError(
            f"the network cannot be traced: {lines[0] if lines else type(error).__name__}"
        ) from error
    assert program is not None  # only with dynamo=False
    model = slim_graph(program.model_proto)
    if dynamic_batch:
        for output in model.graph.output:
            if not output.type.tensor_type.shape.dim[0].dim_param:
                raise ExportError(
                    f"output {output.name!r} lost its batch dimension in the trace; export it with a fixed batch"
                )
    return model


def slim_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` without what only its exporter wants: doc strings and per-node stack traces (they name local paths)."""
    graph = model.graph
    model.doc_string = ""
    graph.doc_string = ""
    groups: list[Any] = [graph.node, graph.initializer, graph.input, graph.output, graph.value_info]
    for function in model.functions:
        groups.append(function.node)
        function.doc_string = ""
        function.ClearField("metadata_props")
    for group in groups:
        for item in group:
            item.doc_string = ""
            item.ClearField("metadata_props")
    graph.ClearField("metadata_props")
    model.ClearField("metadata_props")
    return model


def write_model(model: onnx.ModelProto, path: str | os.PathLike[str]) -> Path:
    """The path written, atomically. Raises ExportError beyond protobuf's 2 GiB."""
    target = Path(path)
    try:
        data = model.SerializeToString()
    except ValueError as error:
        raise ExportError(f"the model is too large for one ONNX file (2 GiB): {error}") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(target) as file:
        file.write(data)
    return target
