"""Which of a bundle's forms runs: by the device, and by what is installed."""

from __future__ import annotations

from collections.abc import Sequence

from edgevision.errors import InputError, ModelFileError
from edgevision.spec.bundle import Bundle, BundleFile

__all__ = ["FORM_ORDER", "choose_file"]

FORM_ORDER = {
    # A form that is in a bundle kept its limits beside PyTorch when it was exported, so the fastest goes first. On a
    # processor half precision computes in float32 between casts, so it stands last.
    "cpu": ("int8", "fp32", "int8-trt", "fp16"),
    "cuda": ("fp16", "int8-trt", "fp32", "int8"),
}
"""Kind of device -> the forms in the order in which they are preferred there."""


def choose_file(
    bundle: Bundle, *, form: str | None = None, runtimes: Sequence[str] = (), device: str = "cpu"
) -> tuple[BundleFile, str]:
    """The file to run of a bundle's "model", and the runtime to run it with.

    form:     of the bundle's; "int8" also means "int8-trt" where that alone fits the runtimes. None: the first of
        FORM_ORDER that a runtime runs.
    runtimes: those that may be used, best first; empty: any, the float form first.
    device:   "cpu" or "cuda".
    Raises InputError for a form that the bundle does not have, ModelFileError when no runtime runs it.
    """
    files = bundle.networks("model")
    if not files:
        raise ModelFileError(f"the bundle {bundle.folder} has no network 'model'; export it again")
    order = _wanted(bundle, form) if form is not None else FORM_ORDER[device] if runtimes else ("fp32",)
    # Forms that this version does not know come after those it does.
    order = (*order, *(one for one in bundle.forms() if form is None and one not in order))
    for name in order:
        for runtime in runtimes or ("",):
            for file in files:
                if file.form == name and (not runtime or runtime in file.runtimes):
                    return file, runtime
    needed = sorted({runtime for one in files if one.form in order for runtime in one.runtimes})
    raise ModelFileError(
        f"{f'form {form!r}' if form else 'every form'} of the bundle {bundle.folder} is for {', '.join(needed)}, "
        f"here is {', '.join(runtimes)}; install one of those, or take another form: {', '.join(bundle.forms())}"
    )


def _wanted(bundle: Bundle, form: str) -> tuple[str, ...]:
    forms = bundle.forms()
    found = tuple(one for one in (form, f"{form}-trt") if one in forms)
    if not found:
        raise InputError(f"the bundle {bundle.folder} has no form {form!r}; its forms: {', '.join(forms)}")
    return found
