"""Both implementations of the kernels: NumPy's, and the native one compiled for each instruction set of this processor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import isfunction, signature
from pkgutil import iter_modules
from types import ModuleType

import pytest

from edgevision import ops
from edgevision.ops import (
    boxes,
    candidates,
    color,
    image,
    image_plan,
    instance_masks,
    masks,
    nms,
    queries,
    rle,
    scores,
)
from edgevision.ops._dispatch import native
from edgevision.ops.reference import boxes as reference_boxes
from edgevision.ops.reference import color as reference_color
from edgevision.ops.reference import image_plan as reference_plan
from edgevision.ops.reference import masks as reference_masks
from edgevision.ops.reference import masks_binary as reference_masks_binary
from edgevision.ops.reference import masks_rle as reference_masks_rle
from edgevision.ops.reference import nms as reference_nms
from edgevision.ops.reference import scores as reference_scores

ISAS: tuple[str, ...] = tuple(native.available_isas()) if native is not None else ()
IMPLEMENTATIONS = ("reference", *(ISAS or ("native",)))


REFERENCES = {
    boxes: reference_boxes,
    candidates: reference_boxes,
    queries: reference_boxes,
    nms: reference_nms,
    scores: reference_scores,
    masks: reference_masks,
    instance_masks: reference_masks_binary,
    rle: reference_masks_rle,
}


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


def use_everywhere(patch: pytest.MonkeyPatch, module: ModuleType | None) -> None:
    """Makes all of edgevision.ops use the native module, or with None the reference."""
    use_for_images(patch, module)
    patch.setattr(color, "_convert", (module or reference_color).convert_yuv)
    for face, reference in REFERENCES.items():
        patch.setattr(face, "_kernels", module or reference)


def functions_with_out() -> set[str]:
    """The functions of edgevision.ops that take `out`; image_plan's only look at one."""
    found = set()
    for module in iter_modules(ops.__path__):
        if not module.ispkg and not module.name.startswith("_") and module.name != "image_plan":
            names = vars(import_module(f"edgevision.ops.{module.name}"))
            functions = [names[name] for name in names["__all__"] if isfunction(names[name])]
            found |= {function.__name__ for function in functions if "out" in signature(function).parameters}
    return found
