"""Frames through a network on a GPU: a ring of slots, so that the next frame goes up while this one is computed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.base import Session
from edgevision.backends.cuda import DeviceSession
from edgevision.errors import BackendError
from edgevision.frame_graph.finishers import open_finisher
from edgevision.frame_graph.slot import Slot
from edgevision.frame_graph.warn_once import WarnOnce
from edgevision.results import Result
from edgevision.spec import ModelSpec
from edgevision.tasks.base import Task
from edgevision.tasks.options import RunOptions
from edgevision.timings import Timings

__all__ = ["FrameGraph", "Pending", "device_session"]


def device_session(session: Session) -> DeviceSession | None:
    """The session as one whose tensors lie on a GPU; None where they do not."""
    return cast(DeviceSession, session) if hasattr(session, "enqueue") else None


class Pending:
    """A batch on its way. Results are read once; until then, or until as many further batches as the ring has slots were
    submitted, they can stay on the device."""

    def __init__(self, slot: Slot, number: int) -> None:
        self.number = number
        """Of the submission: a lower one is older."""
        self._slot: Slot | None = slot
        self._results: list[Result] | None = None
        self._error: BaseException | None = None
        self.timings = Timings()

    def is_done(self) -> bool:
        """Whether `results` will not wait."""
        return self._slot is None or self._slot.is_done()

    def wait(self) -> None:
        """Returns once `results` will not wait; raises BackendError where the GPU failed."""
        if self._slot is not None:
            self._slot.wait()

    @property
    def is_taken(self) -> bool:
        """Whether the results have left the device, and the slot is free."""
        return self._slot is None

    def results(self) -> list[Result]:
        """One result an image, once the GPU is done; raises BackendError where it failed."""
        self.take()
        if self._error is not None:
            raise self._error
        assert self._results is not None
        return self._results

    def on_device(self) -> dict[str, Any]:
        """What the results are made of, left on the device, once it is done: arrays with `__dlpack__` and
        `__cuda_array_interface__`, by name.

        Boxes: "counts" int32 (B,), "boxes" float32 (B, N, 4 or 5; rotated ones in model pixels), "scores" float32 and
        "class_ids" int32 (B, N), "extra" float32 (B, N, E); semantic: "labels", a list of (H, W); other tasks: the
        network's outputs that the task reads, by their names. Raises BackendError once the slot has taken another batch.
        """
        if self._slot is None:
            raise BackendError(
                "these results have left the device: ask before `results`, or submit less at once"
            )
        return self._slot.on_device()

    def take(self) -> None:
        """Reads the results, or the error that there is instead, so that the slot is free; `results` has them."""
        slot, self._slot = self._slot, None
        if slot is None:
            return
        try:
            self._results = slot.results()
        except BaseException as error:
            self._error = _without_frames(error)
        self.timings = slot.timings


def _without_frames(error: BaseException) -> BaseException:
    """The error, which may be kept: its frames hold the slot with all its memory, and what keeps the error."""
    one: BaseException | None = error
    while one is not None:
        one.__traceback__ = None
        one = one.__cause__ or one.__context__
    return error


class FrameGraph:
    """The whole way of a frame on a GPU, from the camera's pixels to typed results.

    One object serves one thread, as its session does.
    """

    def __init__(
        self, session: DeviceSession, spec: ModelSpec, task: Task, batch: int | None, *, slots: int = 2
    ) -> None:
        """session: of the first slot; the others are its clones, made when they are needed.

        batch: rows of the network's input where they are fixed. slots: batches on their way at once.
        """
        self._session, self._preparation, self._batch = session, task.preparation, batch
        self._open_finisher = partial(open_finisher, spec, task)
        self._most = slots
        self._slots: list[Slot] = []
        self._pending: list[Pending | None] = []
        self._clones: list[Session] = []
        self._submitted = 0
        self._lent: tuple[int, NDArray[np.uint8]] | None = None  # the last frame_buffer, and its slot
        self._warn = WarnOnce(stacklevel=5)

    def submit(self, images: Sequence[Any], options: RunOptions) -> Pending:
        """The batch, on its way: one to as many images as the network takes at once, as `Model` takes them.

        Waits only where every slot is on its way, for the oldest one.
        """
        index = self._slot_of(images)
        slot = self._slots[index]
        slot.submit(images, options)
        pending = self._pending[index] = Pending(slot, self._submitted)
        self._submitted += 1
        return pending

    def frame_buffer(self, shape: tuple[int, ...], index: int = 0) -> NDArray[np.uint8]:
        """uint8 of this shape that the GPU reads itself: a frame written here and submitted next is not copied before.

        index: of the frame in its batch. It belongs to the next batch that is submitted, and no other.
        """
        number = self._free_slot()
        buffer = self._slots[number].frame_buffer(shape, index)
        self._lent = (number, buffer)
        return buffer

    def close(self) -> None:
        """Gives back everything but the session; batches on their way are waited for and dropped."""
        for slot, pending in zip(self._slots, self._pending, strict=True):
            if pending is not None and not pending.is_taken:
                # Of one that failed there is nothing to wait for, and all the more to give back.
                with contextlib.suppress(BackendError):
                    slot.wait()
            slot.close()
        for session in self._clones:
            session.close()
        self._slots, self._pending, self._clones, self._lent = [], [], [], None

    def _slot_of(self, images: Sequence[Any]) -> int:
        """The slot whose memory a frame was written to, where it was lent; else any free one."""
        lent, self._lent = self._lent, None
        if lent is not None and any(image is lent[1] for image in images):
            pending = self._pending[lent[0]]
            if pending is None or pending.is_taken:
                return lent[0]
        return self._free_slot()

    def _free_slot(self) -> int:
        """A slot that nothing is on its way in: the first such one, a new one, or else the oldest, waited for."""
        on_their_way: list[tuple[int, int]] = []
        for index, pending in enumerate(self._pending):
            if pending is None or pending.is_taken:
                return index
            on_their_way.append((pending.number, index))
        if len(self._slots) < self._most:
            session: Session = self._session
            if self._slots:
                session = self._session.clone()
                self._clones.append(session)
            slot = Slot(
                cast(DeviceSession, session), self._preparation, self._batch, self._open_finisher, self._warn
            )
            self._slots.append(slot)
            self._pending.append(None)
            return len(self._slots) - 1
        index = min(on_their_way)[1]
        oldest = self._pending[index]
        assert oldest is not None
        oldest.take()
        return index
