"""Engines: a raw plan with a sidecar beside it, or a plan behind the header that Ultralytics puts in front.

A raw plan is what `trtexec` and C++ programs read, so edgevision writes nothing into it: what the runtime
must know lies in `<engine's name>.json` (for `yolo.engine`, `yolo.engine.json`).
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from edgevision.errors import ModelFileError, SpecError
from edgevision.spec import checks
from edgevision.spec.checks import fail
from edgevision.spec.files import atomic_writer, open_binary, read_small
from edgevision.spec.foreign import describe_foreign
from edgevision.spec.json_codec import spec_from_dict, spec_to_dict
from edgevision.spec.model_spec import ModelSpec
from edgevision.spec.strict_json import MAX_TEXT_BYTES, check_header, check_keys, dump_json, parse_json
from edgevision.spec.tensor_info import TensorInfo

__all__ = ["EngineHeader", "EngineKey", "engine_sidecar_path", "read_engine_header", "write_engine_sidecar"]

ENGINE_FORMAT = "edgevision.engine"
ENGINE_VERSION = 1
MAX_PREFIX_BYTES = 1 << 20
"""A longer header than this is none: the first bytes of a raw plan, read as a length, are far above."""

_DOCUMENT_KEYS = ("format", "version", "spec", "key", "onnx_sha256", "inputs", "outputs", "plan_size")
PART_ENGINE = (
    "has no spec: it is part of a model, or the ONNX file that it was built from had none; load the bundle that it "
    "belongs to, or give a spec: ev.load(path, spec='spec.json')"
)

Option: TypeAlias = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKey:
    """What an engine was built with and for; on another machine or runtime it is refused or slow.

    The compute capability alone does not tell a GPU: all Jetson Orins share 8.7. Raises SpecError for a value
    of the wrong type.
    """

    backend: str
    """"tensorrt" or "tensorrt_rtx"."""
    backend_version: str
    gpu_name: str = ""
    compute_capability: str = ""
    """"8.7", say; for an engine built ahead of time for several, "8.0 8.6 8.9"."""
    multiprocessors: int = 0
    """Of the GPU; 0: not built on one."""
    platform: str = ""
    """What it was built on: "linux-x86_64", "linux-aarch64", "windows-x86_64"; "": unknown."""
    precision: str = ""
    """"fp32", "fp16", "int8", ...: the ONNX file's."""
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)
    """Every build option that changes the plan."""

    def __post_init__(self) -> None:
        for name in ("backend", "backend_version"):
            checks.check_string(name, getattr(self, name), empty=False)
        for name in ("gpu_name", "compute_capability", "platform", "precision"):
            checks.check_string(name, getattr(self, name))
        checks.check_int("multiprocessors", self.multiprocessors, 0, 1 << 20)
        if not isinstance(self.options, Mapping):
            fail("options", "an object of plain values", self.options)
        for key, value in self.options.items():
            checks.check_string("options' keys", key, empty=False)
            _check_option(f"options.{key:.80}", value)
        checks.set_fields(self, options=dict(self.options))

    def differences(self, here: EngineKey) -> tuple[str, ...]:
        """Why the engine does not fit: one "field: built with X, here Y" for each field that differs; () if
        none."""
        pairs = [
            (one.name, getattr(self, one.name), getattr(here, one.name)) for one in dataclasses.fields(self)
        ]
        return tuple(
            f"{name}: built with {mine!r}, here {other!r}" for name, mine, other in pairs if mine != other
        )


@dataclass(frozen=True, slots=True)
class EngineHeader:
    """What is known of an engine file without a runtime.

    spec, key, onnx_sha256: from the sidecar; None, None and "" without one. An engine of a network that is only
        part of a model (a mask decoder) has no spec either: its bundle has.
    inputs, outputs: the network's tensors, from the sidecar; () without one.
    plan_offset, plan_size: where the plan lies in the file, bytes.
    metadata: the header that Ultralytics put in front, for `spec_from_ultralytics`; empty without one.
    """

    spec: ModelSpec | None
    key: EngineKey | None
    onnx_sha256: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    plan_offset: int
    plan_size: int
    metadata: Mapping[str, Any]


def engine_sidecar_path(engine_path: str | os.PathLike[str]) -> Path:
    """Where the sidecar of an engine lies: its path with ".json" added."""
    path = Path(engine_path)
    return path.with_name(path.name + ".json")


def read_engine_header(path: str | os.PathLike[str]) -> EngineHeader:
    """What the engine's sidecar, or the header in front of its plan, says.

    Raises ModelFileError when the file is missing, empty or of another kind, or is not the plan that the
    sidecar was written for; SpecError when the sidecar is malformed.
    """
    path = Path(path)
    with open_binary(path) as (file, size):
        metadata, offset = _read_prefix(file, size)
        if not metadata:
            _refuse_foreign(file, path)
    plan_size = size - offset
    if plan_size == 0:
        raise ModelFileError(f"{path} ends after its header: the plan is missing; copy or build it again")
    sidecar = engine_sidecar_path(path)
    if not sidecar.exists():
        return EngineHeader(None, None, "", (), (), offset, plan_size, metadata)
    one = _read_document(parse_json(read_small(sidecar, MAX_TEXT_BYTES), str(sidecar)), str(sidecar))
    if one.plan_size != plan_size:
        raise ModelFileError(
            f"{path} has a plan of {plan_size} bytes, its sidecar {sidecar.name} was written for one of "
            f"{one.plan_size}; "
            "the engine was truncated or built again by another tool: build it again with edgevision, or "
            "delete "
            "the sidecar and give a spec: ev.load(path, spec='spec.json')"
        )
    return dataclasses.replace(one, plan_offset=offset, metadata=metadata)


def write_engine_sidecar(
    engine_path: str | os.PathLike[str],
    spec: ModelSpec | None,
    key: EngineKey,
    *,
    onnx_sha256: str = "",
    inputs: Sequence[TensorInfo] = (),
    outputs: Sequence[TensorInfo] = (),
) -> Path:
    """Writes the sidecar of an engine that is in place already, in one step; returns its path.

    spec: None for a network that is only part of a model.
    inputs, outputs: the network's tensors, which the plan tells only on a GPU that it fits; (): unknown.
    onnx_sha256: of the ONNX file it was built from, 64 lower-case hexadecimal digits; empty: unknown.
    Raises ModelFileError when the engine is not there or the sidecar cannot be written, SpecError for a bad
    hash.
    """
    path = Path(engine_path)
    with open_binary(path) as (file, size):
        _, offset = _read_prefix(file, size)
    text = engine_sidecar_text(
        spec, key, size - offset, onnx_sha256=onnx_sha256, inputs=inputs, outputs=outputs
    )
    sidecar = engine_sidecar_path(path)
    with atomic_writer(sidecar) as out:
        out.write(text)
    return sidecar


def engine_sidecar_text(
    spec: ModelSpec | None,
    key: EngineKey,
    plan_size: int,
    *,
    onnx_sha256: str = "",
    inputs: Sequence[TensorInfo] = (),
    outputs: Sequence[TensorInfo] = (),
) -> bytes:
    """The bytes of a sidecar, for a plan of so many bytes; the other arguments are `write_engine_sidecar`'s."""
    document = {
        "format": ENGINE_FORMAT,
        "version": ENGINE_VERSION,
        "spec": None if spec is None else spec_to_dict(spec),
        "key": dataclasses.asdict(key),
        "onnx_sha256": _check_hash(onnx_sha256),
        "inputs": [dataclasses.asdict(one) for one in inputs],
        "outputs": [dataclasses.asdict(one) for one in outputs],
        "plan_size": plan_size,
    }
    return dump_json(document, "the engine's sidecar", indent=2).encode() + b"\n"


def engine_document_spec(document: dict[str, Any], what: str) -> ModelSpec:
    """The spec in a parsed sidecar. Raises SpecError when it is malformed, or has none."""
    spec = _read_document(document, what).spec
    if spec is None:
        raise SpecError(f"{what}: the engine {PART_ENGINE}")
    return spec


def _read_document(document: dict[str, Any], what: str) -> EngineHeader:
    check_header(document, what, ENGINE_FORMAT, ENGINE_VERSION)
    try:
        check_keys("", document, _DOCUMENT_KEYS)
        if not isinstance(document["spec"], dict | None):
            fail("spec", "an object or null", document["spec"])
        names = [one.name for one in dataclasses.fields(EngineKey) if one.name != "platform"]
        fields = check_keys("key", document["key"], names, ["platform"])  # which earlier sidecars have not
        try:
            key = EngineKey(**fields)
        except SpecError as error:
            raise SpecError(f"key.{error}") from error
        return EngineHeader(
            None if document["spec"] is None else spec_from_dict(document["spec"], "spec"),
            key,
            _check_hash(document["onnx_sha256"]),
            _read_tensors("inputs", document["inputs"]),
            _read_tensors("outputs", document["outputs"]),
            0,
            checks.check_int("plan_size", document["plan_size"], 1, 1 << 48),
            {},
        )
    except SpecError as error:
        raise SpecError(f"{what}: {error}") from error


def _read_tensors(path: str, value: object) -> tuple[TensorInfo, ...]:
    tensors = []
    for index, item in enumerate(checks.check_tuple(path, value, "a list of tensors")):
        where = f"{path}[{index}]"
        fields = check_keys(where, item, ["name", "shape", "dtype"])
        name = checks.check_string(f"{where}.name", fields["name"], empty=False)
        dims = checks.check_tuple(f"{where}.shape", fields["shape"], "a list of integers and nulls")
        shape = tuple(
            None if dim is None else checks.check_int(f"{where}.shape[{at}]", dim, 0, 1 << 48)
            for at, dim in enumerate(dims)
        )
        dtype = checks.check_string(f"{where}.dtype", fields["dtype"], empty=False)
        tensors.append(TensorInfo(name, shape, dtype))
    return tuple(tensors)


def _read_prefix(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """Ultralytics' header and the offset behind it: int32 length, so many bytes of JSON, the plan.

    A raw plan has none, so it is believed only when the length is plausible and the JSON parses.
    """
    head = file.read(5)
    length = int.from_bytes(head[:4], "little", signed=True)
    if not 0 < length <= min(MAX_PREFIX_BYTES, size - 4) or head[4:] != b"{":
        return {}, 0
    file.seek(4)
    try:
        return parse_json(file.read(length), "the engine's header"), 4 + length
    except SpecError:
        return {}, 0


def _refuse_foreign(file: BinaryIO, path: Path) -> None:
    file.seek(0)
    head = file.read(4096)
    # Plans begin with "ftrt", "ptrt" or "vtrt" (TensorRT-RTX); nothing documents that, so other bytes may be
    # a plan.
    if head[1:4] == b"trt" or head[4:5] == b"{":
        return
    foreign = (
        "it is an ONNX model; give it the suffix .onnx" if _is_onnx(head) else describe_foreign(head, path)
    )
    if foreign is not None:
        raise ModelFileError(f"{path} is not an engine: {foreign}")


def _is_onnx(head: bytes) -> bool:
    """Whether the bytes begin as every ONNX writer begins: ir_version (field 1), then a string or the
    graph."""
    return (
        len(head) > 2 and head[0] == 0x08 and 0 < head[1] < 0x40 and head[2] in (0x12, 0x1A, 0x22, 0x32, 0x3A)
    )


def _check_option(path: str, value: object) -> None:
    if isinstance(value, str):
        checks.check_string(path, value)
    elif not isinstance(value, bool):
        checks.check_number(path, value, -1e18, 1e18)


def _check_hash(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch("([0-9a-f]{64})?", value):
        fail("onnx_sha256", "64 lower-case hexadecimal digits or empty", value)
    return value
