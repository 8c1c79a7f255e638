"""The arrays that a runtime reads its inputs from, and writes its outputs to, without a copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import index
from types import MethodType
from typing import Any, ParamSpec, TypeAlias, TypeVar
from weakref import WeakMethod

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import TensorInfo
from edgevision.errors import InputError, OutOfMemoryError

__all__ = ["Dim", "InputBuffers", "allocate", "derive_shape"]

P = ParamSpec("P")
T = TypeVar("T")

_ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector register (AVX-512)."""

Dim: TypeAlias = "int | tuple[str, int] | None"
"""A dimension of an output: a number, the same as an input's (its name, which dimension), or only known after a run."""


def allocate(shape: Sequence[int], dtype: str, name: str) -> NDArray[Any]:
    """Zeros of this shape and type, C-contiguous, 64-byte aligned; raises OutOfMemoryError when it does not suffice.

    name: the tensor, for the message.
    """
    kind = np.dtype(dtype)
    size = kind.itemsize
    for length in shape:
        size *= length
    try:
        raw = np.zeros(size + _ALIGNMENT, np.uint8)
    except (MemoryError, ValueError, OverflowError) as error:
        # ValueError, OverflowError: more bytes than an address can count.
        raise OutOfMemoryError(
            f"not enough memory for {name!r} at shape {tuple(shape)} ({size / 2**30:.3g} GiB of {dtype}); "
            "use a smaller input or batch"
        ) from error
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size].view(kind).reshape(shape)


def derive_shape(dims: Sequence[Dim], inputs: Mapping[str, NDArray[Any]]) -> tuple[int, ...] | None:
    """An output's shape when the inputs have theirs, or None when it is only known after a run."""
    shape: list[int] = []
    for dim in dims:
        if dim is None:
            return None
        shape.append(dim if isinstance(dim, int) else inputs[dim[0]].shape[dim[1]])
    return tuple(shape)


class InputBuffers:
    """One array an input, at the shape last asked for."""

    def __init__(
        self,
        infos: Sequence[TensorInfo],
        bind: Callable[[str, NDArray[Any]], None],
        allocate: Callable[[Sequence[int], str, str], NDArray[Any]] = allocate,
    ) -> None:
        """bind: makes the runtime read input `name` from this array from now on. allocate: as the function here. Methods of
        who holds this object are held weakly, so that it goes, with all its memory, as soon as nobody holds it."""
        self.arrays: dict[str, NDArray[Any]] = {}
        self._lent: set[str] = set()
        self._infos = {info.name: info for info in infos}
        self._bind = _held_weakly(bind)
        self._allocate = _held_weakly(allocate)

    def get(self, name: str, shape: Sequence[int]) -> NDArray[Any]:
        """The input's array at this shape: the same as the last time, or a new one of zeros, already bound."""
        array = self.arrays.get(name)
        if array is not None and array.shape == tuple(shape) and name not in self._lent:
            return array
        info = self._info(name)
        array = self._allocate(_check_shape(info, shape), info.dtype, name)
        self._bind(name, array)
        self.arrays[name] = array
        self._lent.discard(name)
        return array

    def stand_in(self, name: str, shape: Sequence[int]) -> NDArray[Any]:
        """An array of the input's type and this shape, not to be written, for an input that is read from memory which is
        no array. Raises InputError as `get` does."""
        info = self._info(name)
        return np.broadcast_to(np.zeros((), info.dtype), _check_shape(info, shape))

    def lend(self, name: str, stand_in: NDArray[Any]) -> None:
        """The input is read from other memory, until `get` is asked for it."""
        self.arrays[name] = stand_in
        self._lent.add(name)

    def load(self, feeds: Mapping[str, NDArray[Any]]) -> None:
        """Copy the feeds into the arrays, but for those that are the arrays themselves."""
        arrays = self.arrays
        for name, feed in feeds.items():
            if feed is not arrays.get(name):
                self._copy(name, feed)
        if len(feeds) != len(self._infos):
            raise InputError(
                f"no feed for {self._list(set(self._infos) - set(feeds))}; the network needs all of its inputs"
            )

    def check_complete(self) -> None:
        """Raises InputError when an input has no array yet."""
        missing = set(self._infos) - set(self.arrays)
        if missing:
            raise InputError(
                f"nothing to run on: pass feeds, or first fill the input_buffer of {self._list(missing)}"
            )

    def _copy(self, name: str, feed: NDArray[Any]) -> None:
        info = self._info(name)
        if not isinstance(feed, (np.ndarray, np.generic)):
            raise InputError(
                f"input {name!r} must be a NumPy array of {info.dtype}, got {type(feed).__name__}"
            )
        if feed.dtype != np.dtype(info.dtype):
            raise InputError(
                f"input {name!r} takes {info.dtype}, got {feed.dtype}; convert it with .astype({info.dtype!r})"
            )
        np.copyto(self.get(name, feed.shape), feed)

    def _info(self, name: str) -> TensorInfo:
        info = self._infos.get(name)
        if info is None:
            raise InputError(f"the network has no input {name!r}; its inputs are {self._list(self._infos)}")
        return info

    @staticmethod
    def _list(names: Any) -> str:
        return ", ".join(map(repr, sorted(names)))


def _held_weakly(call: Callable[P, T]) -> Callable[P, T]:
    """The function, or, of a method, one that does not keep its object."""
    if not isinstance(call, MethodType):
        return call
    method = WeakMethod(call)

    def forward(*given: P.args, **named: P.kwargs) -> T:
        held = method()
        assert held is not None, "who asks for buffers is there"
        made: T = held(*given, **named)
        return made

    return forward


def _check_shape(info: TensorInfo, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape as plain integers; raises InputError unless the input can take it."""
    try:
        lengths = tuple(index(length) for length in shape)
    except TypeError:
        raise InputError(f"the shape of input {info.name!r} must be whole numbers, got {shape!r}") from None
    fits = len(lengths) == len(info.shape) and all(
        length >= 1 and wanted in (None, length) for length, wanted in zip(lengths, info.shape, strict=True)
    )
    if not fits:
        accepted = ", ".join("any" if wanted is None else str(wanted) for wanted in info.shape)
        raise InputError(
            f"input {info.name!r} takes shape ({accepted}), every dimension 1 or more; got {lengths}"
        )
    return lengths
