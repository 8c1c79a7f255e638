"""The image of a promptable model on the GPU: encoded as one piece of work, and left there for the decoder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.cuda import DeviceSession
from edgevision.errors import BackendError
from edgevision.frame_graph.finishers import Finisher
from edgevision.frame_graph.slot import Slot
from edgevision.frame_graph.warn_once import WarnOnce
from edgevision.geometry import Placement
from edgevision.results import Result
from edgevision.tasks.options import RunOptions
from edgevision.tasks.promptable import PromptableTask
from edgevision.timings import Timings

__all__ = ["ImageEncoder"]

_OPTIONS = RunOptions()
"""An encoder has none."""
_MOST_DECODERS = 4
"""Shapes of prompts whose memory and recording are kept: a point, a box, both, and a second point."""


class ImageEncoder:
    """Upload, preprocessing and encoder as one recorded graph. The decoder reads what the encoder writes where it lies;
    what it takes in another type, or on the processor, comes down instead.

    One object serves one thread, as its sessions do.
    """

    def __init__(
        self,
        encoder: DeviceSession,
        decoder: DeviceSession,
        task: PromptableTask,
    ) -> None:
        """encoder, decoder: on one GPU."""
        self._encoder, self._decoder, self._task = encoder, decoder, task
        # No method of this object: what nobody holds goes at once, with its memory, where it holds not itself.
        self._slot = Slot(
            encoder, task.preparation, 1, partial(_open_finisher, decoder, task), WarnOnce(stacklevel=6)
        )
        self._decoders: dict[tuple[int, int], DeviceSession] = {}  # the last one used stands last
        self._on_device: dict[str, _Tensor] = {}
        self._on_processor: dict[str, NDArray[Any]] = {}

    @property
    def timings(self) -> Timings:
        """Of the last image."""
        return self._slot.timings

    def frame_buffer(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Pinned memory that the next image may be written to, which saves a copy."""
        return self._slot.frame_buffer(shape, 0)

    def encode(self, image: Any) -> Placement:
        """Where the image lies in the encoder's input, once the decoder has what the encoder made of it.

        image: uint8, or one on the device, as `Model` takes them.
        """
        self._slot.submit([image], _OPTIONS)
        self._slot.results()
        finisher = cast(_Rest, self._slot.finisher)
        if finisher.stays:
            self._on_device = _tensors(self._encoder, self._task)
        else:
            self._on_device = {}
            self._on_processor = self._task.embed(self._encoder.output_arrays(), self._decoder.input_buffer)
        return self._slot.placements[0]

    def decoder_for(self, shape: tuple[int, int]) -> DeviceSession:
        """The decoder, with the image: one that was run with prompts of this shape before, where there is one, since what
        a session has bound and recorded holds for one shape.

        shape: how many prompts, and points of each.
        """
        if not self._on_device:
            return self._decoder
        held = self._decoders.pop(shape, None)
        decoder = self._decoders[shape] = self._new_decoder() if held is None else held
        _lend(decoder, self._on_device)
        return decoder

    def copy_from(self, other: ImageEncoder) -> None:
        """Takes over a copy of the image that the other one has."""
        if not other._on_device:
            self._on_processor = self._task.embed(other._on_processor, self._decoder.input_buffer)
            return
        session = other._encoder
        session.use_device()
        copies = {}
        with session.errors("copy the image of"):
            for name, tensor in other._on_device.items():
                buffer = session.cuda.DeviceBuffer(tensor.nbytes)
                session.cuda.copy_async(buffer.pointer, tensor.address, tensor.nbytes, session.stream)
                copies[name] = _Tensor(buffer.pointer, tensor.shape, tensor.nbytes, buffer)
            session.stream.synchronize()
        self._on_device = copies

    def close(self) -> None:
        """Gives back everything but the sessions that it was made with."""
        self._slot.close()
        for decoder in self._decoders.values():
            if decoder is not self._decoder:
                decoder.close()
        self._decoders, self._on_device, self._on_processor = {}, {}, {}

    def _new_decoder(self) -> DeviceSession:
        """One that no other shape needs, or has needed for longest."""
        if not self._decoders:
            return self._decoder
        if len(self._decoders) < _MOST_DECODERS:
            with contextlib.suppress(BackendError):  # no memory: shapes share one then
                return cast(DeviceSession, self._decoder.clone())
        return self._decoders.pop(next(iter(self._decoders)))


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor on the device.

    owner: keeps the memory.
    """

    address: int
    shape: Sequence[int]
    nbytes: int
    owner: object


def _open_finisher(
    decoder: DeviceSession,
    task: PromptableTask,
    encoder: DeviceSession,
    input_hw: tuple[int, int],
    options: RunOptions,
) -> Finisher:
    """See OpenFinisher, from the third parameter on."""
    arrays, takes = encoder.output_arrays(), {tensor.name: tensor.dtype for tensor in decoder.inputs}
    same = all(arrays[name].dtype.name == takes[name] for name in task.embedding)
    stays = same and _lend(decoder, _tensors(encoder, task))
    return _Rest(encoder, () if stays else task.embedding)


def _tensors(encoder: DeviceSession, task: PromptableTask) -> dict[str, _Tensor]:
    """What the decoder takes of the encoder's outputs."""
    arrays = encoder.output_arrays()
    return {
        name: _Tensor(encoder.output_address(name), arrays[name].shape, arrays[name].nbytes, encoder)
        for name in task.embedding
    }


def _lend(decoder: DeviceSession, tensors: dict[str, _Tensor]) -> bool:
    """Has a decoder read these; False where it reads one of them on the processor."""
    return all(
        decoder.lend_input(name, tensor.shape, tensor.address, tensor.owner)
        for name, tensor in tensors.items()
    )


class _Rest:
    """The Finisher behind an encoder: the outputs that the processor needs come down.

    stays: there are none, and the decoder reads all where they lie.
    """

    version = 0

    def __init__(self, session: DeviceSession, names: Iterable[str]) -> None:
        self._session, self._names = session, tuple(names)
        self.stays = not self._names

    def place(self, placements: Sequence[Placement]) -> tuple[int, ...]:
        """See Finisher."""
        return ()

    def put(self, count: int) -> None:
        """See Finisher."""
        self._session.download(self._names)

    def read(self, placements: Sequence[Placement]) -> list[Result]:
        """See Finisher: the result is what a prompt gives."""
        return []

    def on_device(self, count: int) -> dict[str, Any]:
        """See Finisher."""
        return {}
