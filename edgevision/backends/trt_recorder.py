"""Work on a GPU's stream recorded as one graph, an engine's among it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

from edgevision.backends.cuda import Graph, Stream
from edgevision.backends.trt_engine import Engine
from edgevision.errors import BackendError, EdgeVisionWarning

__all__ = ["Recorder"]

_CAPTURE = threading.Lock()
"""Graphs are recorded one at a time in a process: what another thread does with CUDA may end a recording."""


class Recorder:
    """Records graphs on one stream, until one cannot be.

    allowed: whether graphs are wanted and none has failed yet.
    """

    def __init__(self, engine: Engine, context: Any, stream: Stream) -> None:
        self.allowed = engine.options.cuda_graph
        self._engine: Any = engine
        self._context: Any = context
        self._stream = stream

    def record(self, put: Callable[[], None]) -> Graph | None:
        """What `put` puts on the stream, not run. None where it cannot be recorded: a warning says why, once.

        Raises BackendError then where the options are strict.
        """
        capturable = getattr(self._context, "is_stream_capturable", None)
        with _CAPTURE:
            if capturable is not None and not capturable(self._stream.handle):
                graph, reason = None, "the engine cannot be recorded"
            else:
                graph, reason = self._try(put)
        if graph is None:
            self._give_up(reason)
        return graph

    def release(self) -> None:
        """Lets go of context and engine, of which a closed session keeps no memory. Nothing is recorded from then on."""
        self._engine = self._context = None

    def _try(self, put: Callable[[], None]) -> tuple[Graph | None, str]:
        """The graph, or None and why there is none."""
        reason = ""
        try:
            self._stream.begin_capture()
            try:
                put()
            except (BackendError, RuntimeError) as error:
                reason = str(error)
            graph = self._stream.end_capture()  # in any case: it ends the recording
        except RuntimeError as error:
            return None, reason or str(error)
        return (None, reason) if reason else (graph, "")

    def _give_up(self, reason: str) -> None:
        name = self._engine.name
        if self._engine.options.strict:
            raise BackendError(f"{name} cannot be launched as a CUDA graph: {reason}; pass cuda_graph=False")
        self.allowed = False
        warnings.warn(f"{name} runs without a CUDA graph: {reason}", EdgeVisionWarning, stacklevel=5)
