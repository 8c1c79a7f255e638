"""The stand-ins for TensorRT have no name that its real bindings lack."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from fake_rtx import FakeTensorRtRtx
from fake_tensorrt import FakeTensorRT
from trt_api import HeldToApi, names_of

STAND_INS = {
    "10.3": lambda: FakeTensorRT("10.3.0"),
    "10.16": lambda: FakeTensorRT("10.16.1.11"),
    "11.4": lambda: FakeTensorRT("11.4.0.106"),
    "RTX 1.7": lambda: FakeTensorRtRtx("1.7.1.116"),
}


@pytest.fixture(params=STAND_INS.values(), ids=STAND_INS.keys())
def trt(request: pytest.FixtureRequest) -> Any:
    return request.param()


def test_modules_have_the_classes_of_the_real_ones(trt: Any) -> None:
    mine = {name for name in vars(trt) if name[0].isupper()}
    assert mine <= names_of(trt.listed_as, "module") | {"Dims"}


def test_enumerations_have_members_of_the_real_ones(trt: Any) -> None:
    checked = 0
    for name, kind in vars(trt).items():
        if name[0].isupper() and hasattr(kind, "__members__"):
            assert set(kind.__members__) <= names_of(trt.listed_as, name), name
            checked += 1
    assert checked >= 8


def test_methods_are_those_of_the_real_classes(trt: Any) -> None:
    seen = set()
    pending = [HeldToApi]
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        known = names_of(trt.listed_as, kind.api)
        if not known or ("rtx" in kind.__module__) != trt.listed_as.startswith("rtx"):
            continue
        seen.add(kind.api)
        methods = {name for name, value in vars(kind).items() if inspect.isfunction(value) and name[0] != "_"}
        assert methods <= known, kind
    assert len(seen) >= (4 if trt.listed_as.startswith("rtx") else 8)


def test_the_package_sees_no_other_name() -> None:
    class Context(HeldToApi):
        api = "IExecutionContext"

        def __init__(self) -> None:
            self.trt = SimpleNamespace(listed_as="11.4.0.106")
            self.engine, self.shapes = "engine", {}

        def is_stream_capturable(self, handle: int) -> bool:
            return True

    context = Context()
    assert context.shapes == {}
    package = {"__name__": "edgevision.backends.tensorrt", "context": context}
    assert eval("context.engine", package) == "engine"
    assert eval("hasattr(context, 'is_stream_capturable')", package) is False
    with pytest.raises(AttributeError, match=r"the real IExecutionContext of 11\.4\.0\.106 has no 'shapes'"):
        eval("context.shapes", package)
