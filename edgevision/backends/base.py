"""What every runtime looks like from above: a session with named, typed tensors and bound buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

__all__ = ["Session", "TensorInfo"]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A network's input or output.

    name:  as in the graph.
    shape: one entry a dimension; None where it is only known at run time.
    dtype: NumPy's name of the element type ("float32", "float16", "uint8", "int64", ...).
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class Session(Protocol):
    """A loaded network on a device. One session serves one thread; `clone` gives another one its own."""

    @property
    def inputs(self) -> tuple[TensorInfo, ...]: ...

    @property
    def outputs(self) -> tuple[TensorInfo, ...]: ...

    @property
    def device(self) -> str:
        """Where it really runs, e.g. "cpu (onnxruntime)"."""
        ...

    def input_buffer(self, name: str, shape: Sequence[int]) -> NDArray[Any]:
        """The session's own C-contiguous buffer of input `name` at `shape`, to be written before `run`.

        The same memory is given for the same shape until another shape of that input is asked for. Raises
        InputError when the network has no such input or cannot take the shape.
        """
        ...

    def run(self, feeds: Mapping[str, NDArray[Any]] | None = None) -> Mapping[str, NDArray[Any]]:
        """Every output by name. The next run may reuse the arrays' memory: copy what must outlive it.

        feeds: arrays to copy into the inputs; one that is the session's own buffer is not copied. None: every input's
        buffer, as it was last asked for, is already filled.
        Raises InputError for missing, unknown or misshapen feeds, BackendError when the runtime fails.
        """
        ...

    def clone(self) -> Session:
        """A session for another thread: the weights are shared, the buffers are its own."""
        ...

    def close(self) -> None:
        """Give back the buffers and the network; a later call of any method raises BackendError."""
        ...
