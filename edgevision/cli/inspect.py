"""`edgevision inspect`: a model file's spec, tensors, metadata and hash."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgevision.errors import InputError, SpecError
from edgevision.spec import (
    find_model,
    is_bundle,
    load_spec,
    read_bundle,
    read_engine_header,
    read_onnx_header,
    read_onnx_io,
    spec_to_json,
)
from edgevision.spec.bundle import MANIFEST_NAME
from edgevision.spec.files import file_sha256
from edgevision.spec.plan_header import HEADER_BYTES, parse_plan_header

__all__ = ["add_parser"]

_SHOWN = 160
"""Characters of a metadata value shown without --json."""


def add_parser(commands: Any) -> None:
    """Add the command to an argparse subparsers object."""
    parser = commands.add_parser(
        "inspect",
        help="show a model's spec, tensors, metadata and hash",
        description="Show a model's spec, tensors, metadata and SHA-256. Needs no runtime.",
    )
    parser.add_argument("model", metavar="MODEL", help="a .onnx file, an engine or a bundle folder")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--verify", action="store_true", help="of a bundle: read every file and compare it with its SHA-256"
    )
    parser.set_defaults(handler=_inspect)


def _inspect(options: argparse.Namespace) -> int:
    facts = _facts(Path(options.model), options.verify)
    if options.json:
        print(json.dumps(facts, indent=2))
        return 0
    _print_bundle(facts)
    print(f"file      {facts['path']}  ({facts['bytes']:,} bytes)")
    print(f"sha256    {facts['sha256']}")
    if "ir_version" in facts:
        opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in facts["opsets"].items())
        print(
            f"onnx      IR {facts['ir_version']}, opset {opsets}, by {facts['producer'] or 'an unnamed producer'}"
        )
    if facts.get("plan"):
        plan = facts["plan"]
        state = "whole" if plan["whole"] else "cut off or damaged"
        print(f"plan      TensorRT-RTX {plan['version']}, {plan['bytes']:,} bytes, {state}")
    for name, value in facts.get("key", {}).items():
        print(f"key       {name} = {value}")
    if facts.get("onnx_sha256"):
        print(f"from      an ONNX file of SHA-256 {facts['onnx_sha256']}")
    for kind in ("inputs", "outputs"):
        for tensor in facts.get(kind, ()):
            print(f"{kind[:-1]:<9} {tensor['name']}  {tensor['dtype']} {tensor['shape']}")
    for key, value in facts.get("metadata", {}).items():
        if key != "edgevision.spec":
            text = str(value)
            print(f"metadata  {key} = {text[:_SHOWN]}{'...' if len(text) > _SHOWN else ''}")
    if facts["spec"] is None:
        print(f"spec      none: {facts['spec_error']}")
        return 1
    print("spec")
    print(json.dumps(facts["spec"], indent=2))
    return 0


def _print_bundle(facts: dict[str, Any]) -> None:
    for one in facts.get("bundle", ()):
        what = f"{one['role']} {one['form']}".strip()
        runs = f"  for {', '.join(one['runtimes'])}" if one["runtimes"] else ""
        print(f"bundle    {one['file']}  ({one['bytes']:,} bytes, {what}){runs}")
    if facts.get("verified"):
        print(f"verified  all {len(facts['bundle'])} files are as they were written")


def _bundle_facts(given: Path, verify: bool) -> dict[str, Any]:
    """What the manifest lists; with `verify`, ModelFileError for a file that is not as it was written."""
    if not is_bundle(given):
        if verify:
            raise InputError(f"--verify compares a bundle with its {MANIFEST_NAME}, and {given} has none")
        return {}
    bundle = read_bundle(given)
    if verify:
        bundle.verify()
    return {"bundle": [asdict(one) for one in bundle.files], "verified": verify}


def _facts(given: Path, verify: bool) -> dict[str, Any]:
    path, kind = find_model(given)
    facts: dict[str, Any] = {
        **_bundle_facts(given, verify),
        "path": str(path),
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
    }
    if kind == "onnx":
        header = read_onnx_header(path)
        facts |= {
            "ir_version": header.ir_version,
            "opsets": dict(header.opsets),
            "producer": f"{header.producer_name} {header.producer_version}".strip(),
            "metadata": dict(header.metadata),
        }
        inputs, outputs = read_onnx_io(path)
        facts["inputs"] = [_tensor(tensor) for tensor in inputs]
        facts["outputs"] = [_tensor(tensor) for tensor in outputs]
    else:
        facts |= _engine_facts(path)
    try:
        facts["spec"] = json.loads(spec_to_json(load_spec(path)))
    except SpecError as error:
        facts |= {"spec": None, "spec_error": str(error)}
    return facts


def _engine_facts(path: Path) -> dict[str, Any]:
    header = read_engine_header(path)
    with path.open("rb") as file:
        file.seek(header.plan_offset)
        plan = parse_plan_header(file.read(HEADER_BYTES))
    return {
        "plan": plan
        and {"version": plan.version, "bytes": plan.size, "whole": plan.size == header.plan_size},
        "key": asdict(header.key) if header.key else {},
        "onnx_sha256": header.onnx_sha256,
        "inputs": [_tensor(tensor) for tensor in header.inputs],
        "outputs": [_tensor(tensor) for tensor in header.outputs],
        "metadata": dict(header.metadata),
    }


def _tensor(tensor: Any) -> dict[str, Any]:
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape)}
