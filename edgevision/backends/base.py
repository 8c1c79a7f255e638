"""What every runtime looks like from above: a session with named, typed tensors and bound buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

from edgevision.errors import BackendError
from edgevision.spec import TensorInfo

__all__ = ["Session", "TensorInfo", "require_open"]

NetworkT = TypeVar("NetworkT")


def require_open(network: NetworkT | None) -> NetworkT:
    """What a session holds until it is closed; raises BackendError after that."""
    if network is None:
        raise BackendError("the session is closed; open the model again")
    return network


class Session(Protocol):
    """A loaded network on a device.

    One session serves one thread at a time; `clone` gives another thread its own. Open it in the process that uses it:
    after os.fork the runtime's worker threads are not in the child, and no runtime promises to work without them.
    """

    @property
    def inputs(self) -> tuple[TensorInfo, ...]: ...

    @property
    def outputs(self) -> tuple[TensorInfo, ...]: ...

    @property
    def device(self) -> str:
        """Where it really runs: "cpu", or, when it fell back, that and why: "cpu (float32 instead of float16)"."""
        ...

    @property
    def runtime(self) -> str:
        """Which library runs it, with its version, e.g. "onnxruntime 1.20.1"."""
        ...

    def input_buffer(self, name: str, shape: Sequence[int]) -> NDArray[Any]:
        """The session's own C-contiguous buffer of input `name` at `shape`, to be written before `run`.

        The same memory is given for the same shape until another shape of that input is asked for; a new buffer
        holds zeros, so that a run on it warms the network up. The runtime reads this memory itself: nothing is
        copied. Raises InputError when the network has no such input or cannot take the shape, BackendError when
        there is not enough memory for it.
        """
        ...

    def largest_batch(self, name: str) -> int | None:
        """The greatest first dimension that input `name` may have; None: any."""
        ...

    def run(self, feeds: Mapping[str, NDArray[Any]] | None = None) -> Mapping[str, NDArray[Any]]:
        """Every output by name. The next run may reuse the arrays' memory: copy what must outlive it.

        feeds: an array for every input, of exactly its type, to copy into the session's buffers (it may be strided);
        one that is the session's own buffer is not copied. None: every input's buffer, as it was last asked for, is
        already filled.
        Raises InputError for missing, unknown or misshapen feeds, BackendError when the runtime fails.
        """
        ...

    def clone(self) -> Session:
        """A session for another thread: the weights are shared, the buffers are its own, still to be asked for.

        It goes on when the session it came from is closed.
        """
        ...

    def close(self) -> None:
        """Give back the buffers and the network; `input_buffer`, `run` and `clone` then raise BackendError.

        Arrays already handed out stay valid. Closing twice is allowed.
        """
        ...
