"""Chooses, once at import, between the native kernels and their NumPy reference."""

from __future__ import annotations

import os
from types import ModuleType

__all__ = ["native", "native_error"]

native: ModuleType | None
native_error: str | None
"""Why `native` is None: None when the extension is loaded, else one sentence for `edgevision doctor`."""

if os.environ.get("EDGEVISION_REFERENCE", "") not in ("", "0"):
    native, native_error = None, "EDGEVISION_REFERENCE is set, so the NumPy reference kernels are used"
else:
    try:
        from edgevision import _native

        native, native_error = _native, None
    except ImportError as error:
        native, native_error = None, f"the native extension could not be imported ({error})"
