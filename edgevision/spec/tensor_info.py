"""`TensorInfo`: a network's input or output as its file describes it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TensorInfo"]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A network's input or output.

    name:  as in the graph.
    shape: one entry a dimension; None where it is only known at run time. Also () where the file tells none.
    dtype: NumPy's name of the element type ("float32", "float16", "uint8", "int64", ...), ONNX's where NumPy
    has
        none ("bfloat16", "float8e4m3fn", ...), "unknown" for what is no tensor.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
