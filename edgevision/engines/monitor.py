"""A build's progress as one number, and its cancellation, through the builder's progress monitor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

__all__ = ["BuildMonitor", "ProgressFn", "new_trt_monitor"]

ProgressFn: TypeAlias = Callable[[float, str], None]
"""Told a build's progress, 0-1 and never less than before, and what the builder does at present, in its words.

It is called from a thread of the build; what it raises ends the build and reaches the caller.
"""


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class BuildMonitor:
    """The phases of a build: a tree, each node of so many steps, a phase being one step of its parent.

    The methods are the builder's callbacks, and may come from any thread.
    """

    def __init__(self, progress: ProgressFn | None = None) -> None:
        self._progress = progress
        self._lock = threading.RLock()
        self._phases: dict[str, _Phase] = {}
        self._cancelled = False
        self._reached = 0.0
        self.error: BaseException | None = None
        """What the progress function raised; the build was cancelled for it."""

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        """End the build at its next step."""
        self._cancelled = True

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        with self._lock:
            self._phases[phase_name] = _Phase(parent_phase, max(1, num_steps))
            self._tell(phase_name)

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Whether to go on."""
        with self._lock:
            if phase_name in self._phases:
                self._phases[phase_name].done = step + 1
                self._tell(phase_name)
            return not self._cancelled

    def phase_finish(self, phase_name: str) -> None:
        with self._lock:
            phase = self._phases.pop(phase_name, None)
            if phase is not None and phase.parent is None and not self._cancelled:
                self._reach(1.0, phase_name)

    def _tell(self, phase_name: str) -> None:
        """The share that is done up to this phase: its own, as a part of the present step of its parent, and so on."""
        share, name = 0.0, phase_name
        for _ in range(len(self._phases)):
            phase = self._phases[name]
            share = min(1.0, (phase.done + share) / phase.steps)
            if phase.parent is None or phase.parent not in self._phases:
                break
            name = phase.parent
        self._reach(share, phase_name)

    def _reach(self, share: float, phase_name: str) -> None:
        self._reached = max(self._reached, share)
        if self._progress is None or self._cancelled:
            return
        try:
            self._progress(self._reached, phase_name)
        # The builder's own code lies between here and the caller: whatever it is, it is raised again there.
        except BaseException as error:
            self.error = error
            self.cancel()


def new_trt_monitor(trt: ModuleType, monitor: BuildMonitor) -> Any:
    """The builder's own monitor object, which passes everything on. It must outlive the build."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            monitor.phase_start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return monitor.step_complete(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            monitor.phase_finish(phase_name)

    return Monitor()
