"""Engines: ONNX files compiled for a GPU by TensorRT or TensorRT-RTX, with a sidecar that says for what."""

from edgevision.engines.build import EngineBuild, build_engine, build_engines
from edgevision.engines.builders import BUILDERS, Builder, BuilderStatus, available_builders
from edgevision.engines.options import BuildOptions
from edgevision.engines.profiles import ShapeRange, parse_profile

__all__ = [
    "BUILDERS",
    "BuildOptions",
    "Builder",
    "BuilderStatus",
    "EngineBuild",
    "ShapeRange",
    "available_builders",
    "build_engine",
    "build_engines",
    "parse_profile",
]
