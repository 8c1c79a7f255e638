"""Runtimes behind one Session protocol: one file a runtime, each imported only when it is used."""

from edgevision.backends.base import Session, TensorInfo
from edgevision.backends.options import OnnxRuntimeOptions, OpenVinoOptions, SessionOptions, TensorRtOptions
from edgevision.backends.registry import BackendStatus, available_backends, open_session

__all__ = [
    "BackendStatus",
    "OnnxRuntimeOptions",
    "OpenVinoOptions",
    "Session",
    "SessionOptions",
    "TensorInfo",
    "TensorRtOptions",
    "available_backends",
    "open_session",
]
