"""Trace a PyTorch module to an ONNX graph."""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Mapping
from typing import Any

import onnx
import torch
from onnxscript import optimizer

from edgevision.errors import InputError
from edgevision.export.errors import ExportError, explain_trace_failure
from edgevision.export.network import Axis, Part

__all__ = [
    "DEFAULT_OPSET",
    "LEGACY_OPSET",
    "slim_graph",
    "trace_part",
]

DEFAULT_OPSET = 20
"""What torch's exporter emits natively: lower ones go through a converter, and ONNX Runtime 1.17 reads 20."""

LEGACY_OPSET = 17
"""The last opset that torch's older exporter writes without gaps."""

Axes = Mapping[str, Mapping[int, Axis]]


def trace_part(
    part: Part,
    *,
    batch: int | None = 1,
    opset: int = DEFAULT_OPSET,
    module: torch.nn.Module | None = None,
) -> onnx.ModelProto:
    """The ONNX model of a part.

    batch:  of the part "model": its inputs' first dimension; None: any number.
    opset:  of the graph; a part for the legacy tracer takes at most LEGACY_OPSET.
    module: traced instead of the part's own, such as its half-precision copy.
    Raises ExportError that names the operator when the module cannot be traced, and when an output of "model" lost
    the batch dimension, or a dynamic dimension is gone from an input.
    """
    if part.tracer not in ("dynamo", "legacy"):
        raise InputError(f"part {part.role!r}: tracer must be 'dynamo' or 'legacy', got {part.tracer!r}")
    axes = _part_axes(part, batch)
    repeat = batch if part.role == "model" and batch is not None else 1
    example = tuple(
        _widen(tensor, axes.get(name, {}), repeat)
        for name, tensor in zip(part.inputs, part.example, strict=True)
    )
    traced = (module or part.module).eval()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # The exporters warn of their own internals; whether the graph is right is measured afterwards.
            warnings.simplefilter("ignore")
            traced(*example)  # heads cache anchors on their first call: outside the trace, not in it
            if part.tracer == "legacy":
                model = _trace_legacy(traced, example, part, axes, min(opset, LEGACY_OPSET))
            else:
                model = _trace_dynamo(traced, example, part, axes, opset)
    except Exception as error:  # the exporters raise whatever their many passes raise
        raise ExportError(
            f"the network cannot be traced ({part.role}): {explain_trace_failure(error)}"
        ) from error
    _check_axes(model, part, axes, batch)
    return slim_graph(model)


def _part_axes(part: Part, batch: int | None) -> dict[str, dict[int, Axis]]:
    axes = {name: dict(dims) for name, dims in part.dynamic.items()}
    unknown = sorted(set(axes) - set(part.inputs))
    if unknown:
        raise InputError(f"part {part.role!r} has no input {', '.join(unknown)}; its inputs: {part.inputs}")
    if part.role == "model" and batch is None:
        for name in part.inputs:
            axes.setdefault(name, {})[0] = Axis("batch")
    return axes


def _widen(tensor: torch.Tensor, axes: Mapping[int, Axis], batch: int) -> torch.Tensor:
    """The example, repeated where a dimension of 1 (or of one multiple) is to vary: the tracer takes a 1 for a constant,
    and networks specialise on it in silence."""
    counts = [1] * tensor.ndim
    if batch > 1:
        counts[0] = batch
    for dim, axis in axes.items():
        if tensor.shape[dim] * counts[dim] == axis.multiple and axis.high > axis.multiple:
            counts[dim] = 2
    return tensor.repeat(*counts) if max(counts, default=1) > 1 else tensor


def _trace_dynamo(
    module: torch.nn.Module, example: tuple[torch.Tensor, ...], part: Part, axes: Axes, opset: int
) -> onnx.ModelProto:
    shapes: Any = None
    if axes:
        dims: dict[str, Any] = {}
        shapes = tuple(
            {dim: _dimension(axis, dims) for dim, axis in axes[name].items()} if name in axes else None
            for name in part.inputs
        )
        if _takes_any(module):
            shapes = (shapes,)
    program = torch.onnx.export(
        module,
        example,
        dynamo=True,
        external_data=False,
        opset_version=opset,
        input_names=list(part.inputs),
        output_names=list(part.outputs),
        dynamic_shapes=shapes,
        verbose=False,
    )
    assert program is not None  # only with dynamo=False
    model: onnx.ModelProto = program.model_proto
    return model


def _takes_any(module: torch.nn.Module) -> bool:
    """Whether forward takes `*inputs` from the first on: torch.export then wants their shapes as one argument's."""
    first = next(iter(inspect.signature(module.forward).parameters.values()), None)
    return first is not None and first.kind is inspect.Parameter.VAR_POSITIONAL


def _dimension(axis: Axis, made: dict[str, Any]) -> Any:
    """A plain axis by its name; one of multiples as an expression, which must share its symbol with its equals."""
    if axis.multiple == 1:
        return axis.symbol
    if axis.symbol not in made:
        low, high = -(-axis.low // axis.multiple), axis.high // axis.multiple
        made[axis.symbol] = torch.export.Dim(axis.symbol, min=max(low, 1), max=high)
    return axis.multiple * made[axis.symbol]


def _trace_legacy(
    module: torch.nn.Module, example: tuple[torch.Tensor, ...], part: Part, axes: Axes, opset: int
) -> onnx.ModelProto:
    named = {name: {dim: axis.symbol for dim, axis in dims.items()} for name, dims in axes.items()}
    if "batch" in {symbol for dims in named.values() for symbol in dims.values()}:
        # This tracer keeps a dimension of an output only where it is told to.
        named |= {name: {0: "batch"} for name in part.outputs}
    file = io.BytesIO()
    torch.onnx.export(
        module,
        example,
        file,
        dynamo=False,
        opset_version=opset,
        input_names=list(part.inputs),
        output_names=list(part.outputs),
        dynamic_axes=named,
        do_constant_folding=True,
    )
    # It leaves Identity nodes and shape arithmetic by the dozen: ResNet-50 has 169 nodes so, 122 without, as many as the
    # newer tracer gives (which runs the same optimiser).
    slim: onnx.ModelProto = optimizer.optimize(onnx.load_from_string(file.getvalue()))
    return slim


def _check_axes(model: onnx.ModelProto, part: Part, axes: Axes, batch: int | None) -> None:
    for value in model.graph.input:
        for dim in axes.get(value.name, {}):
            if not value.type.tensor_type.shape.dim[dim].dim_param:
                raise ExportError(
                    f"dimension {dim} of input {value.name!r} became fixed in the trace; export it with a fixed one"
                )
    if part.role != "model" or batch is not None:
        return
    for value in model.graph.output:
        dims = value.type.tensor_type.shape.dim
        if not dims or not dims[0].dim_param:
            raise ExportError(
                f"output {value.name!r} lost its batch dimension in the trace; export it with a fixed batch"
            )


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
