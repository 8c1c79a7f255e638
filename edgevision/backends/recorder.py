"""Work on a GPU's stream recorded as one graph, a runtime's among it."""

from __future__ import annotations

import contextlib
import gc
import threading
import warnings
from collections.abc import Callable

from edgevision.backends.cuda import Graph, RecordedGraph, Stream
from edgevision.errors import BackendError, EdgeVisionWarning

__all__ = ["Recorder"]

_CAPTURE = threading.Lock()
"""Graphs are recorded one at a time in a process: what another thread does with CUDA may end a recording."""


class Recorder:
    """Records graphs on one stream, until one cannot be.

    allowed:   whether graphs are wanted and none has failed yet.
    recording: whether what is put on the stream is being recorded.
    """

    def __init__(
        self,
        name: str,
        stream: Stream,
        *,
        wanted: bool,
        strict: bool,
        explain: Callable[[], str] | None = None,
        trust_host: bool = True,
    ) -> None:
        """name: of the network, for messages. strict: a graph that cannot be recorded is an error.

        explain: says why nothing can be recorded now, "" where it can. trust_host: what the runtime does on the processor,
        or copies from there, may be part of a graph; else such a graph is refused: the runtime may have let go of that
        memory when the graph is launched.
        """
        self.allowed = wanted
        self.recording = False
        self._name, self._stream, self._strict = name, stream, strict
        self._explain, self._trust_host = explain, trust_host

    def record(self, put: Callable[[], None]) -> Graph | None:
        """What `put` puts on the stream, not run. None where it cannot be recorded: a warning says why, once.

        Raises BackendError then where the options are strict.
        """
        graph: Graph | None = None
        with _CAPTURE:
            reason = self._explain() if self._explain else ""
            if not reason:
                graph, reason = self._try(put)
        if graph is None:
            self._give_up(reason)
        return graph

    def _try(self, put: Callable[[], None]) -> tuple[RecordedGraph | None, str]:
        """The graph, or None and why there is none."""
        reason = ""
        self.recording = True
        collecting = gc.isenabled()
        gc.disable()  # sessions that nobody holds would free their memory, which ends a recording of this thread
        try:
            self._stream.begin_capture()
            try:
                put()
            except (BackendError, RuntimeError) as error:
                reason = str(error)
            except BaseException:  # an interruption, say: the stream is of no use while it records
                with contextlib.suppress(RuntimeError):
                    self._stream.end_capture()
                raise
            graph = self._stream.end_capture()
            if not reason and not self._trust_host and graph.host_work:
                reason = f"{graph.host_work} of its steps are the processor's"
        except RuntimeError as error:
            return None, reason or str(error)
        finally:
            if collecting:
                gc.enable()
            self.recording = False
        return (None, reason) if reason else (graph, "")

    def _give_up(self, reason: str) -> None:
        if self._strict:
            raise BackendError(
                f"{self._name} cannot be launched as a CUDA graph: {reason}; pass cuda_graph=False"
            )
        self.allowed = False
        warnings.warn(f"{self._name} runs without a CUDA graph: {reason}", EdgeVisionWarning, stacklevel=5)
