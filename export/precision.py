"""Half precision, by halving the module before it is traced.

Converting the ONNX file instead breaks graphs whose outputs are also used inside, or that hold explicit casts.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch

from edgevision.export.errors import ExportError
from edgevision.export.network import Part

__all__ = ["half_part"]


def half_part(part: Part, half_io: bool = False) -> Part:
    """The part with its numbers in float16: a copy, the original stays as it is.

    half_io: its floating inputs and outputs are float16 as well; else they stay float32, with casts inside.
    Raises ExportError when the module cannot be copied or halved.
    """
    try:
        module = part.half() if part.half is not None else copy.deepcopy(part.module).half()
    except Exception as error:  # whatever a third-party module's copying raises
        raise ExportError(f"part {part.role!r} cannot be halved: {error}; export it in fp32 alone") from error
    # A part's own half module takes and gives float32 by contract.
    wrapped = _HalfInside(module.eval(), cast_inputs=part.half is None)
    if half_io:
        example = tuple(_cast(tensor, torch.float16) for tensor in part.example)
        return replace(part, module=_HalfOutside(wrapped, part.half is not None), example=example)
    return replace(part, module=wrapped)


class _HalfInside(torch.nn.Module):
    """Float32 in and out of a float16 module."""

    def __init__(self, module: torch.nn.Module, cast_inputs: bool) -> None:
        super().__init__()
        self.module = module
        self.cast_inputs = cast_inputs

    def forward(self, *inputs: torch.Tensor) -> Any:
        if self.cast_inputs:
            inputs = tuple(_cast(tensor, torch.float16) for tensor in inputs)
        return _cast_all(self.module(*inputs), torch.float32)


class _HalfOutside(torch.nn.Module):
    """Float16 in and out; `inner` takes float32 where its own contract says so."""

    def __init__(self, inner: _HalfInside, float_inputs: bool) -> None:
        super().__init__()
        self.inner = inner if float_inputs else inner.module
        self.float_inputs = float_inputs

    def forward(self, *inputs: torch.Tensor) -> Any:
        if self.float_inputs:
            inputs = tuple(_cast(tensor, torch.float32) for tensor in inputs)
        return _cast_all(self.inner(*inputs), torch.float16)


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _cast_all(value: Any, dtype: torch.dtype) -> Any:
    """Every floating tensor of a module's output in `dtype`."""
    if isinstance(value, torch.Tensor):
        return _cast(value, dtype)
    if isinstance(value, dict):
        return tuple(_cast_all(one, dtype) for one in value.values())
    if isinstance(value, (list, tuple)):
        return tuple(_cast_all(one, dtype) for one in value)
    return value
