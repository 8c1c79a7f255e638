"""Chooses, once at import, between the native kernels and their NumPy reference, and the native ones' instruction set.

EDGEVISION_REFERENCE=1 asks for the reference, EDGEVISION_ISA=avx2 for the kernels of that instruction set,
EDGEVISION_NUM_THREADS=2 for so many threads at most (see ops.threads).
"""

from __future__ import annotations

import os
from types import ModuleType

from edgevision.errors import InputError

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


def _apply_environment(module: ModuleType) -> None:
    isa = os.environ.get("EDGEVISION_ISA", "")
    if isa:
        try:
            module.select_isa(isa)
        except ValueError as error:
            raise InputError(f"EDGEVISION_ISA={isa}: {error}; unset it for the best") from None
    threads = os.environ.get("EDGEVISION_NUM_THREADS", "")
    if threads:
        try:
            module.set_num_threads(int(threads))
        except (ValueError, TypeError):
            raise InputError(
                f"EDGEVISION_NUM_THREADS must be a whole number from 1 to 64, got {threads!r}"
            ) from None


if native is not None:
    _apply_environment(native)
