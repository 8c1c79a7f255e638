"""`edgevision build`: an ONNX file or a bundle to TensorRT or TensorRT-RTX engines."""

from __future__ import annotations

import argparse
import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edgevision.cli.progress import ShareProgress
from edgevision.engines import BUILDERS, BuildOptions, EngineBuild, build_engine, build_engines, parse_profile
from edgevision.engines.monitor import ProgressFn
from edgevision.engines.options import HARDWARE
from edgevision.engines.source import bundle_roles
from edgevision.errors import InputError

__all__ = ["add_parser"]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def add_parser(commands: Any) -> None:
    """Add the command to an argparse subparsers object."""
    parser = commands.add_parser(
        "build",
        help="build TensorRT or TensorRT-RTX engines from a .onnx file or a bundle",
        description="Build engines from a .onnx file, or from every part of a bundle, each with a sidecar that says what "
        "it was built with and for. TensorRT builds for the GPU that it runs on; TensorRT-RTX (extra `tensorrt-rtx`) "
        "builds ahead of time, without a GPU, for the targets named.",
    )
    parser.add_argument("model", metavar="MODEL", help="a .onnx file or a bundle folder")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the engine's file, where one is built (default: beside the ONNX file, named after it)",
    )
    parser.add_argument("--backend", help=f"{' or '.join(BUILDERS)} (default: the first installed)")
    parser.add_argument(
        "--target",
        default="",
        metavar="SM,...",
        help="GPUs that TensorRT-RTX builds for, in one engine, e.g. sm86,sm89 (default: this machine's GPU; without "
        "one, all from sm80 on)",
    )
    parser.add_argument(
        "--form",
        default="",
        metavar="FORM,...",
        help="of a bundle: fp32, fp16, int8 (default: fp16 where the bundle has it)",
    )
    parser.add_argument(
        "--part", metavar="PART", help="of a bundle: model, decoder, ... (default: every part)"
    )
    _add_options(parser)
    parser.add_argument("--json", action="store_true", help="print what was built as JSON")
    parser.set_defaults(handler=_build)


def _add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("options of the builders")
    group.add_argument(
        "--profile",
        action="append",
        default=[],
        metavar="INPUT=LEAST:BEST:GREATEST",
        help="shapes of an input that may differ, e.g. images=1x3x640x640:4x3x640x640:8x3x640x640 (default: batch 1 to "
        "8, best 1; the spec's size)",
    )
    group.add_argument(
        "--workspace", type=_size, metavar="BYTES", help="scratch memory on the GPU, e.g. 512M or 2G"
    )
    group.add_argument("--no-tf32", action="store_true", help="compute float32 products in full precision")
    group.add_argument(
        "--version-compatible",
        action="store_true",
        help="the engine runs in later versions of the runtime too",
    )
    group.add_argument(
        "--optimization-level",
        type=int,
        metavar="0-5",
        help="TensorRT: how long to search for fast kernels (default: 3)",
    )
    group.add_argument(
        "--hardware-compatible", choices=HARDWARE, help="TensorRT: the engine runs on other GPUs too, slower"
    )
    group.add_argument(
        "--timing-cache",
        metavar="FILE",
        help="TensorRT: measurements kept for the next build (default: in the user's cache folder; '': none)",
    )


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise argparse.ArgumentTypeError(f"must be bytes, or a number with K, M or G, got {text!r}")
    return int(match[1]) * _UNITS[match[2].upper()]


def _build(options: argparse.Namespace) -> int:
    forms = [one.strip() for one in options.form.split(",") if one.strip()] or [None]
    parts = bundle_roles(options.model) if options.part is None else (options.part,)
    if options.output is not None and len(forms) * len(parts) > 1:
        raise InputError(
            f"--output names one engine, and {len(forms) * len(parts)} are to be built ({', '.join(parts)}); name one "
            "with --form and --part, or leave out --output"
        )
    built: list[EngineBuild] = []
    for form in forms:
        with ExitStack() as stack:
            done = _build_form(options, form, None if len(parts) > 1 else parts[0], stack)
        built += done
        if not options.json:
            for one in done:
                _print(one)
    if options.json:
        print(json.dumps([_facts(one) for one in built], indent=2))
    return 0


def _build_form(
    options: argparse.Namespace, form: str | None, part: str | None, stack: ExitStack
) -> tuple[EngineBuild, ...]:
    """The engines of one form: of one part, or of every part for None."""

    def progress_of(role: str) -> ProgressFn:
        line = ShareProgress(f"building {role} {form or ''}".strip())
        stack.callback(line.close)
        return line.update

    common: dict[str, Any] = {
        "backend": options.backend,
        "targets": options.target,
        "form": form,
        "options": _build_options(options),
    }
    if part is None:
        return build_engines(options.model, progress=progress_of, **common)
    return (build_engine(options.model, options.output, part=part, progress=progress_of(part), **common),)


def _build_options(options: argparse.Namespace) -> BuildOptions:
    return BuildOptions(
        profiles=dict(parse_profile(text) for text in options.profile),
        workspace=options.workspace,
        optimization_level=options.optimization_level,
        tf32=False if options.no_tf32 else None,
        version_compatible=options.version_compatible,
        hardware_compatible=options.hardware_compatible,
        timing_cache=options.timing_cache,
    )


def _print(built: EngineBuild) -> None:
    key = built.key
    print(f"engine   {built.path}  ({built.bytes:,} bytes, {built.seconds:.1f} s)")
    print(f"from     {built.onnx}  {key.precision}")
    print(
        f"for      {key.gpu_name or 'compute capability'} {key.compute_capability}, {key.backend} {key.backend_version}"
    )
    for kind, tensors in (("input", built.inputs), ("output", built.outputs)):
        for tensor in tensors:
            shape = "x".join("?" if side is None else str(side) for side in tensor.shape)
            shapes = f"  {built.ranges[tensor.name]}" if tensor.name in built.ranges else ""
            print(f"{kind:<8} {tensor.name}  {tensor.dtype} {shape}{shapes}")
    for warning in built.warnings:
        print(f"warning  {warning}")


def _facts(built: EngineBuild) -> dict[str, Any]:
    return {
        "path": str(built.path),
        "sidecar": str(built.sidecar),
        "onnx": str(built.onnx),
        "bytes": built.bytes,
        "seconds": round(built.seconds, 3),
        "warnings": list(built.warnings),
        **json.loads(built.sidecar.read_text()),
    }
