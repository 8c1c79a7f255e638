"""Writes trt_api.json: the names that TensorRT's real Python bindings have, for the stand-ins to be held to.

    python tests/engines/list_trt_api.py 10.3.0 10.16.1.11 11.4.0.106

The bindings are on the public index, the libraries behind them are not. Their entry points are put in place by a library
that gives nothing, which is enough to import the bindings and ask what they have. Needs a C compiler and Linux on x86-64,
and takes TensorRT-RTX, whose libraries are there, as it is installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from trt_bindings import unpack_bindings

TARGET = Path(__file__).with_name("trt_api.json")
CLASSES = (
    "Builder", "BuilderFlag", "DataType", "DynamicShapesKernelSpecializationStrategy", "EngineInvalidityDiagnostics",
    "HardwareCompatibilityLevel", "IBuilderConfig", "ICudaEngine", "IExecutionContext", "ILayer", "ILogger",
    "INetworkDefinition", "IOptimizationProfile", "IOutputAllocator", "IProgressMonitor", "IRuntimeCache", "IRuntimeConfig",
    "ITensor", "ITimingCache", "MemoryPoolType", "NetworkDefinitionCreationFlag", "OnnxParser", "ParserError", "Runtime",
    "TensorFormat", "TensorIOMode", "TensorLocation",
)  # fmt: skip
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
ENTRIES = """
void* createInferBuilder_INTERNAL(void) { return 0; }
void* createInferRefitter_INTERNAL(void) { return 0; }
void* createInferRuntime_INTERNAL(void) { return 0; }
void* createNvOnnxParserRefitter_INTERNAL(void) { return 0; }
void* createNvOnnxParser_INTERNAL(void) { return 0; }
void* getBuilderPluginRegistry(void) { return 0; }
void* getPluginRegistry(void) { return 0; }
int getNvOnnxParserVersion(void) { return 0; }
int initLibNvInferPlugins(void) { return 1; }
"""
ASK = """
import importlib, json, sys, types
module, folder, *classes = sys.argv[1:]
sys.path.insert(0, folder)
sys.modules["tensorrt_libs"] = types.ModuleType("tensorrt_libs")
trt = importlib.import_module(module)
made = {name: sorted(one for one in dir(getattr(trt, name)) if one[0] != "_") for name in classes if hasattr(trt, name)}
print(json.dumps({"version": trt.__version__, "classes": made}))
"""


def list_version(version: str) -> tuple[str, dict[str, list[str]]]:
    """Its full number, and class -> what it has, of the wheel for this Python."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        unpack_bindings(version, place)
        (place / "entries.c").write_text(ENTRIES)
        for library in LIBRARIES:
            name = f"lib{library}.so.{version.split('.')[0]}"
            command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", name, "entries.c"]
            subprocess.run(command, cwd=place, check=True)
        return ask("tensorrt_bindings", folder)


def ask(module: str, folder: str) -> tuple[str, dict[str, list[str]]]:
    """The same of a module that can be imported with this folder in front."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, module, folder, *CLASSES],
        env={"LD_LIBRARY_PATH": folder},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = json.loads(done.stdout)
    return found["version"], found["classes"]


def main() -> None:
    listed = dict(list_version(version) for version in sys.argv[1:])
    if find_spec("tensorrt_rtx") is not None:
        version, classes = ask("tensorrt_rtx", "")
        listed[f"rtx {version}"] = classes
    lines = [
        f"  {json.dumps(version)}: {{\n"
        + ",\n".join(f"    {json.dumps(name)}: {json.dumps(has)}" for name, has in sorted(classes.items()))
        + "\n  }"
        for version, classes in listed.items()
    ]
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(
        f"{TARGET}: {', '.join(f'{version}: {len(classes)} classes' for version, classes in listed.items())}"
    )


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
