"""The forms in which a network is exported: numbers, files, and the runtimes each is for."""

from __future__ import annotations

from dataclasses import dataclass

from edgevision.errors import InputError
from edgevision.export.network import PRECISIONS

__all__ = ["FORMS", "Form", "file_name", "forms_of"]


@dataclass(frozen=True, slots=True)
class Form:
    """precision: one of PRECISIONS. suffix: of the file, before `.onnx`. runtimes: the backends that run it."""

    precision: str
    suffix: str
    runtimes: tuple[str, ...]


FORMS: dict[str, Form] = {
    "fp32": Form("fp32", "", ("onnxruntime", "openvino", "tensorrt", "tensorrt_rtx")),
    "fp16": Form("fp16", ".fp16", ("onnxruntime", "openvino", "tensorrt", "tensorrt_rtx")),
    # Two forms of int8: ONNX Runtime computes quickly with unsigned activations only, TensorRT parses none of those,
    # nor quantised biases.
    "int8": Form("int8", ".int8", ("onnxruntime", "openvino")),
    "int8-trt": Form("int8", ".int8-trt", ("tensorrt", "tensorrt_rtx", "openvino", "onnxruntime")),
}


def forms_of(precisions: tuple[str, ...]) -> tuple[str, ...]:
    """The forms that these precisions ask for, in the order of FORMS. Raises InputError for an unknown one."""
    unknown = [one for one in precisions if one not in PRECISIONS]
    if unknown or not precisions:
        raise InputError(
            f"precisions must be one or more of {', '.join(PRECISIONS)}, got {', '.join(map(repr, unknown)) or 'none'}"
        )
    return tuple(name for name, form in FORMS.items() if form.precision in precisions)


def file_name(role: str, form: str) -> str:
    """The name of a part's file in a bundle."""
    return f"{role}{FORMS[form].suffix}.onnx"
