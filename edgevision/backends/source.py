"""Where a network comes from, and what a runtime's complaint about it means."""

from __future__ import annotations

import importlib
import os
import re
from dataclasses import dataclass, field, replace
from os import PathLike
from types import ModuleType

from edgevision.errors import BackendError, InputError, MissingDependencyError, ModelFileError

__all__ = ["ModelSource", "describe_failure", "import_runtime", "read_source"]

_MAX_MESSAGE = 300
"""Characters of a runtime's message that are passed on: some quote whole type signatures."""

# Words in a runtime's message (lower case) -> what to do. The first row that matches is given.
_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("external data", "externally stored", "deserialize tensor", "could not open", "no such file"),
        "keep the network's weight files beside it, under the names it was exported with",
    ),
    (
        ("opset", "ir version"),
        "export it with an older opset, or upgrade the runtime",
    ),
    (
        (
            "not a registered function",
            "no op registered",
            "no conversion rule",
            "does not support the following",
            "could not find an implementation",
        ),
        "export it with operators the runtime has, or use another backend",
    ),
    (
        ("allocate", "bad_alloc", "out of memory", "not enough memory"),
        "use a smaller input or batch, or a device with more memory",
    ),
    (
        ("protobuf", "no graph was found", "be parsed", "unable to read the model"),
        "the file is damaged or is no such model; export it or copy it again",
    ),
)

# "[ONNXRuntimeError] : 1 : FAIL : ", and the "file.cc:87 return_type function(arguments) " that ONNX Runtime puts
# before many messages: of use to its developers only.
_ORT_CODE = re.compile(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_ORT_PLACE = re.compile(r"/\S+\.(?:cc|h|cpp):\d+ [^\n]*?\) (?:const )?(?=\S)")
# Lines of an OpenVINO message that only say where in its source it was raised.
_OPENVINO_PLACES = ("Exception from ", "Check '", "FrontEnd API failed", "Summary:")


@dataclass(frozen=True)
class ModelSource:
    """A network's file, or its bytes, and how to call it in messages."""

    name: str
    path: str | None = None
    data: bytes | None = field(default=None, repr=False)

    def without_data(self) -> ModelSource:
        """The same without the bytes, to keep for messages once the network is loaded."""
        return replace(self, data=None)

    def failure(self, action: str, runtime: str, error: BaseException) -> BackendError:
        """The BackendError that says on one line what the runtime said, of which network, and what to do."""
        return BackendError(f"{runtime} could not {action} {self.name}: {describe_failure(error)}")


def read_source(model: str | PathLike[str] | bytes) -> ModelSource:
    """Where the network is; raises InputError for another type, ModelFileError for a path that is no readable file."""
    if isinstance(model, bytes):
        if not model:
            raise ModelFileError("the model's bytes are empty; pass the whole content of a model file")
        return ModelSource(f"the model of {len(model)} bytes", data=model)
    if not isinstance(model, (str, PathLike)):
        raise InputError(f"model must be a path or bytes, got {type(model).__name__}")
    path = os.fspath(model)
    if not os.path.exists(path):
        raise ModelFileError(f"no such model file: {path}")
    if not os.path.isfile(path):
        raise ModelFileError(f"not a model file: {path} is a folder; pass the model file in it")
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise ModelFileError(f"cannot read the model file {path}: {error.strerror or error}") from error
    if empty:
        raise ModelFileError(f"the model file is empty: {path}; export it or copy it again")
    return ModelSource(path, path=path)


def describe_failure(error: BaseException) -> str:
    """What a runtime's error says, on one line without the runtime's own source places, and what to do about it."""
    text = str(error)
    advice = next((advice for words, advice in _ADVICE if any(word in text.lower() for word in words)), None)
    said = _one_line(text) or type(error).__name__
    return f"{said}; {advice}" if advice else said


def import_runtime(module: str, extra: str) -> ModuleType:
    """The library; raises MissingDependencyError when it is not installed, BackendError when it cannot be loaded."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise BackendError(f"{module} is installed but needs {error.name}, which is not") from error
        raise MissingDependencyError(module, extra, f"the {module} backend") from error
    except (ImportError, OSError) as error:
        # OSError: a shared library of it is missing or built for another system.
        raise BackendError(
            f"{module} is installed but cannot be loaded: {_one_line(str(error))}; reinstall it: "
            f"pip install --force-reinstall 'edgevision[{extra}]'"
        ) from error


def _one_line(text: str) -> str:
    text = _ORT_PLACE.sub("", _ORT_CODE.sub("", text))
    lines = [line.strip() for line in text.splitlines()]
    said = " ".join(line for line in lines if line and not line.startswith(_OPENVINO_PLACES))
    return said[: _MAX_MESSAGE - 3] + "..." if len(said) > _MAX_MESSAGE else said.rstrip(". ")
