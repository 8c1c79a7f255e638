"""Which of a bundle's forms is chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevision.errors import InputError, ModelFileError
from edgevision.spec.bundle import Bundle, BundleFile
from edgevision.spec.forms import choose_file

CPU, TRT = ("onnxruntime", "openvino"), ("tensorrt", "tensorrt_rtx")
RUNTIMES = {"fp32": CPU + TRT, "fp16": CPU + TRT, "int8": CPU, "int8-trt": (*TRT, *CPU)}


def bundle(*forms: str, **runtimes: tuple[str, ...]) -> Bundle:
    files = [
        BundleFile(
            file=f"model.{form}.onnx",
            role="model",
            form=form,
            runtimes=runtimes.get(form, RUNTIMES.get(form, CPU)),
            sha256="0" * 64,
            bytes=1,
        )
        for form in forms
    ]
    return Bundle(Path("b"), tuple(files))


ALL = bundle("fp32", "fp16", "int8", "int8-trt")


@pytest.mark.parametrize(
    ("chosen_from", "arguments", "form", "runtime"),
    [
        (ALL, {}, "fp32", ""),
        (ALL, {"runtimes": ["onnxruntime"]}, "int8", "onnxruntime"),
        (ALL, {"runtimes": ["openvino", "onnxruntime"]}, "int8", "openvino"),
        (ALL, {"runtimes": ["tensorrt"], "device": "cuda"}, "fp16", "tensorrt"),
        (bundle("fp32", "fp16"), {"runtimes": ["onnxruntime"]}, "fp32", "onnxruntime"),
        (bundle("fp16"), {"runtimes": ["onnxruntime"]}, "fp16", "onnxruntime"),
        (bundle("fp16"), {}, "fp16", ""),
        (bundle("int8-trt", "fp16"), {"runtimes": ["openvino"]}, "int8-trt", "openvino"),
        (ALL, {"runtimes": ["onnxruntime"], "form": "fp16"}, "fp16", "onnxruntime"),
        (ALL, {"runtimes": ["tensorrt"], "form": "int8", "device": "cuda"}, "int8-trt", "tensorrt"),
        (ALL, {"runtimes": ["onnxruntime"], "form": "int8"}, "int8", "onnxruntime"),
        (ALL, {"form": "int8-trt"}, "int8-trt", ""),
        # int8 does not agree with PyTorch on OpenVINO: another runtime that is installed runs it.
        (bundle("fp32", "int8", int8=("onnxruntime",)), {"runtimes": ["openvino"]}, "fp32", "openvino"),
        (bundle("fp32", "int8", int8=("onnxruntime",)), {"runtimes": CPU[::-1]}, "int8", "onnxruntime"),
        # A form of a later version.
        (bundle("fp4"), {"runtimes": ["onnxruntime"]}, "fp4", "onnxruntime"),
    ],
)  # fmt: skip
def test_the_best_form_that_runs_is_chosen(
    chosen_from: Bundle, arguments: dict, form: str, runtime: str
) -> None:
    file, chosen = choose_file(chosen_from, **arguments)
    assert (file.form, chosen) == (form, runtime)


def test_a_form_that_is_not_there_or_not_run_is_said() -> None:
    with pytest.raises(InputError, match="has no form 'int8'; its forms: fp32, fp16"):
        choose_file(bundle("fp32", "fp16"), form="int8")
    with pytest.raises(
        ModelFileError, match="form 'int8' of the bundle b is for onnxruntime, openvino, here is"
    ):
        choose_file(bundle("fp32", "int8"), form="int8", runtimes=["tensorrt"])
    with pytest.raises(
        ModelFileError, match="every form of the bundle b is for tensorrt, here is onnxruntime"
    ):
        choose_file(bundle("fp16", fp16=("tensorrt",)), runtimes=["onnxruntime"])
    with pytest.raises(ModelFileError, match="has no network 'model'"):
        choose_file(bundle())
