"""What users read when a runtime complains."""

from __future__ import annotations

import pytest

from edgevision.backends.source import ModelSource, describe_failure

ORT_PLACE = (
    "[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/onnxruntime/core/graph/model.cc:256 onnxruntime::Model::Model("
    "onnx::ModelProto&&, const onnxruntime::PathString&, const onnxruntime::ModelOptions&) "
)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        pytest.param("plain words.", "plain words", id="plain"),
        pytest.param(ORT_PLACE + "Some reason: 99\n", "Some reason: 99", id="ONNX Runtime's place and code"),
        pytest.param(
            "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Add node. Name:'' Status "
            "Message: /a/b/element_wise_ops.h:583 void onnxruntime::Iterator::Append(ptrdiff_t, ptrdiff_t) 2 by 3\n",
            "Non-zero status code returned while running Add node. Name:'' Status Message: 2 by 3",
            id="place in the middle",
        ),
        pytest.param(
            "Exception from src/inference/src/cpp/core.cpp:105:\nCheck 'false' failed at src/x.cpp:151:\n"
            "FrontEnd API failed with OpConversionFailure:\nModel wasn't fully converted.\nSummary:\n-- First\n\n",
            "Model wasn't fully converted. -- First",
            id="OpenVINO's places",
        ),
        pytest.param("", "RuntimeError", id="no words"),
        pytest.param("long " * 200, ("long " * 60)[:297] + "...", id="long"),
        pytest.param(
            "Failed to allocate memory for requested buffer of size 4",
            "Failed to allocate memory for requested buffer of size 4; use a smaller input or batch, or a device with "
            "more memory",
            id="advice",
        ),
        pytest.param("x" * 400 + " protobuf", None, id="advice for a message that is cut"),
    ],
)
def test_failure_is_one_line_with_advice(raw: str, said: str | None) -> None:
    got = describe_failure(RuntimeError(raw))
    if said is None:
        assert got.endswith("...; the file is damaged or is no such model; export it or copy it again")
    else:
        assert got == said


def test_failure_names_action_runtime_and_model() -> None:
    error = ModelSource("nets/m.onnx").failure("load", "onnxruntime 1.20.0", ValueError("why"))
    assert str(error) == "onnxruntime 1.20.0 could not load nets/m.onnx: why"
