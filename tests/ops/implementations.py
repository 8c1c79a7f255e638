"""Both implementations of the kernels: NumPy's, and the native one compiled for each instruction set of this processor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from edgevision.ops import image, image_plan
from edgevision.ops._dispatch import native
from edgevision.ops.reference import image_plan as reference_plan

ISAS: tuple[str, ...] = tuple(native.available_isas()) if native is not None else ()
IMPLEMENTATIONS = ("reference", *(ISAS or ("native",)))


@contextmanager
def implementation(name: str) -> Iterator[ModuleType | None]:
    """The native module with the kernels of instruction set `name` ("native": the best), None for "reference"."""
    if name == "reference":
        yield None
        return
    if native is None:
        pytest.skip("the native extension is not built")
    before = native.current_isa()
    native.select_isa(ISAS[-1] if name == "native" else name)
    try:
        yield native
    finally:
        native.select_isa(before)


def use_for_images(patch: pytest.MonkeyPatch, module: ModuleType | None) -> None:
    """Makes image_to_tensor and yuv_to_tensor use the native module, or with None the reference."""
    patch.setattr(image_plan, "_Plan", (module or reference_plan).ImagePlan)
    patch.setattr(image, "_last", (None, None, "", lambda image, out: False))
