"""The few kinds of error this package raises.

Every message says what was wrong, what was got, what is accepted and what to do. Each kind also derives from the
built-in error a caller would expect, so `except ValueError` and `except OSError` keep working.
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "EdgeVisionError",
    "EdgeVisionWarning",
    "EngineMismatchError",
    "InputError",
    "MissingDependencyError",
    "ModelFileError",
    "OutOfMemoryError",
    "RandomWeightsWarning",
    "SpecError",
]


class EdgeVisionError(Exception):
    """Base of every error that edgevision raises on purpose."""


class InputError(EdgeVisionError, ValueError):
    """An argument (image, array, threshold, option) has the wrong type, shape, range or name."""


class ModelFileError(EdgeVisionError, OSError):
    """A model file or bundle is missing, unreadable, truncated, or not of a kind that can be loaded."""


class SpecError(EdgeVisionError, ValueError):
    """A model's spec is absent, malformed, of another version, or contradicts the network's tensors."""


class BackendError(EdgeVisionError, RuntimeError):
    """A runtime refused the model or failed while running it."""


class OutOfMemoryError(BackendError, MemoryError):
    """A tensor takes more memory than there is, of the processor or of the GPU."""


class EngineMismatchError(BackendError):
    """An engine was built for another GPU, by another runtime, or with other options than are here.

    differences: a clause for each, as the message has them.
    """

    def __init__(self, path: str, differences: tuple[str, ...]) -> None:
        super().__init__(
            f"the engine {path} does not fit: {'; '.join(differences)}; build it anew from its bundle or .onnx file: "
            "ev.load(MODEL, 'cuda', build=True), or edgevision build MODEL"
        )
        self.differences = differences


class EdgeVisionWarning(UserWarning):
    """Something was done otherwise than asked: slower, or with other results. `strict=True` makes it an error."""


class RandomWeightsWarning(EdgeVisionWarning):
    """A model was loaded whose weights were never trained: it serves to measure time, its results mean nothing."""


class MissingDependencyError(EdgeVisionError, ImportError):
    """An optional library is not installed; the message names the extra that brings it, or what else does."""

    def __init__(self, module: str, extra: str, purpose: str, *, mend: str | None = None) -> None:
        """mend: the command that installs it, where that is not the extra; "": nothing installs it here."""
        command = f"pip install 'edgevision[{extra}]'" if mend is None else mend
        what_to_do = f"run: {command}" if command else "it is not made for this system"
        super().__init__(f"{purpose} needs {module}, which is not installed; {what_to_do}", name=module)
        self.extra = extra
