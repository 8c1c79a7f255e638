"""One place in the ring: a context of the network and all the memory that a frame needs on its way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.backends.cuda import DeviceSession, Graph
from edgevision.errors import BackendError, InputError
from edgevision.frame_graph.finishers import Finisher, OpenFinisher
from edgevision.frame_graph.images import (
    FrameMemory,
    Upload,
    is_device_image,
    needed_rows,
    read_device_image,
)
from edgevision.geometry import Placement
from edgevision.ops.image_plan import channel_order
from edgevision.ops.pixel_map import FILTERS, pixel_table
from edgevision.results import Result
from edgevision.tasks.options import RunOptions
from edgevision.tasks.preparation import ImagePreparation
from edgevision.timings import Timings

__all__ = ["NoFixedOutputsError", "Slot"]

_MOST_GRAPHS = 32
"""Recordings kept: one for each mix of frame sizes and options, of which a set of cameras has few."""
_MOST_OPTIONS = 8
"""Finishers kept, each with its workspace on the GPU."""


class NoFixedOutputsError(BackendError):
    """No graph can hold the network: how much its outputs hold is known after each run only, or they are no outputs of the
    GPU."""


class Slot:
    """Takes one frame, or one batch, at a time. What changes from frame to frame (where it lies, its size, where it goes)
    stands in pinned memory that the graph copies, so that one recording serves all frames of a kind."""

    def __init__(
        self,
        session: DeviceSession,
        preparation: ImagePreparation,
        batch: int | None,
        open_finisher: OpenFinisher,
        warn: Callable[[str], None],
    ) -> None:
        """preparation: of the frames. batch: rows of the network's input where they are fixed. open_finisher: makes what
        stands behind the network. warn: is told what the GPU cannot do."""
        self.session = session
        self.timings = Timings()
        self.placements: list[Placement] = []
        """Where the images that were submitted last lie in the network's input."""
        self.finisher: Finisher | None = None
        """What stood behind the network then."""
        self._preparation, self._batch = preparation, batch
        self._open_finisher, self._warn = open_finisher, warn
        self._input = preparation.spec.name
        session.use_device()
        with session.errors("prepare"):
            self._done = session.cuda.Event()
        self._buffer: NDArray[Any] | None = None  # the network's input, as it is bound now
        self._writer: Any = None
        self._memories: list[FrameMemory] = []
        self._finishers: dict[RunOptions, Finisher] = {}
        self._graphs: dict[Any, Graph] = {}
        self._ran = False  # at the present shapes
        self._owners: list[Any] = []  # of frames on the device, until the launch is done
        self._kind: Any = None  # of the last batch, where the next one may be like it
        self._key: Any = None  # of its graph
        # Where its frames' rows were copied to, and which; None of one that was written there.
        self._copies: list[tuple[NDArray[np.uint8], slice] | None] = []
        self._waited = False
        self._prepared = self._started = 0

    def frame_buffer(self, shape: tuple[int, ...], index: int) -> NDArray[np.uint8]:
        """Pinned memory that frame `index` of the next batch may be written to, which saves a copy."""
        self.session.use_device()
        with self.session.errors("make memory for"):
            return self._memory(index, math.prod(shape)).view(shape)

    def submit(self, images: Sequence[Any], options: RunOptions) -> None:
        """Puts everything for these images on the stream and returns at once; what was submitted before must be done.

        images: uint8 arrays, or images on the device, as `Model` takes them.
        """
        start = perf_counter_ns()
        session = self.session
        session.use_device()
        self._waited = False
        with session.errors("run"):
            kind = self._kind_of(images, options)
            if kind is not None and kind == self._kind and self._is_unchanged():
                self._copy_up(images)
            else:
                self._prepare(images, options, kind)
            self._prepared = perf_counter_ns() - start
            self._launch(self._key)
            self._done.record(session.stream)
        self._started = perf_counter_ns()

    def is_done(self) -> bool:
        """Whether the results can be read without waiting."""
        return bool(self._done.is_reached())

    def results(self) -> list[Result]:
        """The results of what was submitted, once it is done."""
        self.wait()
        inferred = perf_counter_ns()
        assert self.finisher is not None, "nothing was submitted"
        with self.session.errors("read the results of"):
            results = self.finisher.read(self.placements)
        done = perf_counter_ns()
        self.timings = Timings(
            self._prepared / 1e6, (inferred - self._started) / 1e6, (done - inferred) / 1e6
        )
        return results

    def on_device(self) -> dict[str, Any]:
        """What the results are made of, on the device, once it is done."""
        self.wait()
        assert self.finisher is not None, "nothing was submitted"
        return self.finisher.on_device(len(self.placements))

    def wait(self) -> None:
        """Returns when what was submitted is done."""
        self.session.use_device()
        if self._waited:
            return
        with self.session.errors("run"):
            self._done.synchronize()  # and not for what was put on the same stream since
        self._waited = True
        self._owners = []

    def close(self) -> None:
        """Gives back everything but the session."""
        self._graphs.clear()
        self._finishers.clear()
        self.finisher = self._writer = self._buffer = None
        self._memories, self._owners, self._copies, self._kind = [], [], [], None
        self._waited = False  # who waits now is told that the session is closed

    def _kind_of(self, images: Sequence[Any], options: RunOptions) -> Any:
        """What batches have in common that differ in nothing but their pixels; None of one with a frame on the device."""
        frames = []
        for index, image in enumerate(images):
            if not isinstance(image, np.ndarray):
                return None
            frames.append((image.shape, self._holds(index, image)))
        return frames, options

    def _holds(self, index: int, image: NDArray[Any]) -> bool:
        """Whether the frame was written where it goes up from."""
        return index < len(self._memories) and self._memories[index].holds(image)

    def _is_unchanged(self) -> bool:
        """Whether the network's input and what the finisher needs are still those of the last batch."""
        assert self._buffer is not None, "of the last batch"
        assert self.finisher is not None, "of the last batch"
        buffer = self.session.input_buffer(self._input, self._buffer.shape)
        return buffer is self._buffer and self.finisher.version == self._key[-1]

    def _copy_up(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Writes frames of the last batch's kind where those went up from."""
        for image, copy in zip(images, self._copies, strict=True):
            if copy is not None:
                np.copyto(copy[0], image[copy[1]])

    def _prepare(self, images: Sequence[Any], options: RunOptions, kind: Any) -> None:
        """Tells the kernels where these images lie and go, and finds the key of their graph."""
        session = self.session
        self._kind, self._copies = None, []
        frames = [
            read_device_image(session.cuda, image, session.stream, f"images[{index}]")
            if is_device_image(image)
            else image
            for index, image in enumerate(images)
        ]
        sizes = [frame.shape[:2] if isinstance(frame, np.ndarray) else frame.size_hw for frame in frames]
        self.placements, shape = self._preparation.place(sizes, self._batch)
        self._use_shape(shape)
        self.finisher = self._finisher_for(options)
        uploads = self._place(images, frames)
        place = self.finisher.place(self.placements)
        self._key = (uploads, len(images), options, place, self.finisher.version)
        if uploads is not None:
            self._kind = kind

    def _use_shape(self, shape: tuple[int, ...]) -> None:
        """Binds the network's input at a shape; what was made for another is dropped."""
        session = self.session
        buffer = session.input_buffer(self._input, shape)
        if buffer is self._buffer:
            return
        self._graphs.clear()
        self._finishers.clear()
        self._buffer, self._ran = None, False
        if not session.has_fixed_outputs():
            raise NoFixedOutputsError(
                "the shapes of its outputs depend on the data, or the processor has its tensors"
            )
        table, pad = pixel_table(self._preparation.pixels, buffer.dtype.name)
        spec = self._preparation.spec
        height, width = shape[2:] if spec.layout == "nchw" else shape[1:3]
        self._writer = session.cuda.ImageWriter(
            shape[0], height, width, table, pad, nhwc=spec.layout == "nhwc", filter=FILTERS[spec.filter]
        )
        self._buffer = buffer

    def _finisher_for(self, options: RunOptions) -> Finisher:
        found = self._finishers.get(options)
        if found is None:
            if len(self._finishers) >= _MOST_OPTIONS:
                self._finishers.clear()
                self._graphs.clear()
            canvas_hw = self.placements[0].canvas_hw
            found = self._open_finisher(self.session, canvas_hw, options)
            self._finishers[options] = found
        return found

    def _place(self, images: Sequence[Any], frames: Sequence[Any]) -> tuple[Upload, ...] | None:
        """Tells the writer where the frames lie and go; what to copy up of each.

        None: the frames were written into the network's input by the processor, because the GPU's writer cannot.
        """
        uploads = []
        try:
            for index, (frame, placement) in enumerate(zip(frames, self.placements, strict=True)):
                uploads.append(self._place_one(index, frame, placement))
        except ValueError as error:
            if any(is_device_image(image) for image in images):
                raise InputError(f"a frame on the GPU cannot be prepared there: {error}") from error
            self._warn(f"frames are prepared on the processor: {error}")
            self._preparation.write(images, self.session.input_buffer, self._batch)
            return None
        return tuple(uploads)

    def _place_one(self, index: int, frame: Any, placement: Placement) -> Upload:
        if isinstance(frame, np.ndarray):
            channels = 1 if frame.ndim == 2 else frame.shape[2]
            pointer, row_stride, upload = self._stage(index, frame, placement)
            strides = (row_stride, channels, 1)
        else:
            channels, pointer, strides, upload = frame.channels, frame.pointer, frame.strides, Upload(0)
            self._owners.append(frame)
        source, color = self._preparation.sources[channels], self._preparation.pixels.color
        self._writer.place(
            index, pointer, *placement.image_hw, channels, strides, channel_order(source, color),
            color == "gray" and channels > 1, *placement.resized_hw, *placement.offset_yx,
        )  # fmt: skip
        return upload

    def _stage(self, index: int, frame: NDArray[np.uint8], placement: Placement) -> tuple[int, int, Upload]:
        """Writes a frame where it goes up from: where the device has its row 0, bytes from row to row, what to copy.

        Rows that the resize does not read stay out, and those that it reads lie one after another: rows are then as far
        apart as these are, over the step. What the kernel reads with no weight beside them is some other row's.
        """
        row_bytes = frame.nbytes // frame.shape[0]
        held = self._holds(index, frame)
        rows = needed_rows(placement, self._preparation.spec.filter)
        if row_bytes % (rows.step or 1) or (held and self.session.mapped):
            rows = slice(None)
        first, step = rows.start or 0, rows.step or 1
        needed = frame[rows]
        upload = Upload(needed.shape[0], row_bytes, 0, row_bytes)
        if held:
            memory = self._memories[index]
            self._copies.append(None)
            upload = Upload(needed.shape[0], row_bytes, first * row_bytes, step * row_bytes)
        else:
            memory = self._memory(index, needed.nbytes + (row_bytes if step > 1 else 0))
            view = memory.view(needed.shape)
            self._copies.append((view, rows))
            np.copyto(view, needed)
        stride = row_bytes // step
        return memory.address - first * stride, stride, upload

    def _memory(self, index: int, nbytes: int) -> FrameMemory:
        """The memory of frame `index`, with room for so many bytes."""
        while len(self._memories) <= index:
            self._memories.append(FrameMemory(self.session.cuda, mapped=self.session.mapped))
        memory = self._memories[index]
        if nbytes > memory.nbytes:
            self._graphs.clear()  # before what they copy to goes, also where there is no more
            self._kind = None
            memory.make(nbytes)
        return memory

    def _launch(self, key: Any) -> None:
        """Everything on the stream, as one graph from the second time on."""
        graph = self._graphs.get(key)
        uploads = key[0]
        if graph is None and self._ran and self.session.recordable:
            graph = self.session.record(lambda: self._put(uploads))
            if graph is not None:
                if len(self._graphs) >= _MOST_GRAPHS:
                    self._graphs.clear()
                self._graphs[key] = graph
        if graph is not None:
            graph.launch(self.session.stream)
        else:
            self._put(uploads)
            self._ran = True  # TensorRT needs a plain run after new shapes before it can be recorded

    def _put(self, uploads: tuple[Upload, ...] | None) -> None:
        session, count = self.session, len(self.placements)
        if uploads is None:
            session.upload()
        else:
            for memory, upload in zip(self._memories, uploads, strict=False):
                memory.put(upload, session.stream)
            self._writer.write(session.input_address(self._input), count, session.stream)
        session.enqueue()
        assert self.finisher is not None
        self.finisher.put(count)
