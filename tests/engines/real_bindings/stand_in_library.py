"""A libnvinfer that computes nothing: what the Python bindings call is passed on to functions that Python gives it.

Its classes are made from the interface that TensorRT's own headers declare, method by method, so that they fit the version.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

__all__ = ["CALLBACKS", "build_library"]

# What is passed on, as C: name -> (result, parameters). `id` is the object's, from the function that made it.
CALLBACKS: dict[str, tuple[str, str]] = {
    "new_runtime": ("int", "void"),
    "deserialize": ("int", "const void* plan, std::size_t size"),
    "allow_host_code": ("void", "bool allowed"),
    "num_profiles": ("int", "int id"),
    "num_tensors": ("int", "int id"),
    "tensor_name": ("const char*", "int id, int index"),
    "tensor_mode": ("int", "int id, const char* name"),
    "tensor_dtype": ("int", "int id, const char* name"),
    "tensor_format": ("int", "int id, const char* name"),
    "tensor_location": ("int", "int id, const char* name"),
    "engine_shape": ("void", "int id, const char* name, Dims* shape"),
    "profile_shape": ("void", "int id, const char* name, int profile, int which, Dims* shape"),
    "new_context": ("int", "int id"),
    "set_profile": ("bool", "int id, int profile, std::uintptr_t stream"),
    "set_input_shape": ("bool", "int id, const char* name, const Dims* shape"),
    "set_address": ("bool", "int id, const char* name, std::uintptr_t address"),
    "set_allocator": ("bool", "int id, const char* name, void* allocator"),
    "context_shape": ("void", "int id, const char* name, Dims* shape"),
    "enqueue": ("bool", "int id, std::uintptr_t stream"),
}

# Methods of each class that the bindings may call; any other ends the process.
_METHODS: dict[str, dict[str, str]] = {
    "VRuntime": {
        "getPImpl": "return self;",
        "getLogger": "return logger;",
        "deserializeCudaEngine(void const*": "return new_engine(callbacks.deserialize(blob, size));",
        "setEngineHostCodeAllowed": "host_code = allowed; callbacks.allow_host_code(allowed);",
        "getEngineHostCodeAllowed": "return host_code;",
    },
    "VCudaEngine": {
        "getPImpl": "return self;",
        "getNbOptimizationProfiles": "return callbacks.num_profiles(id);",
        "getNbIOTensors": "return callbacks.num_tensors(id);",
        "getIOTensorName": "return callbacks.tensor_name(id, index);",
        "getTensorIOMode": "return static_cast<TensorIOMode>(callbacks.tensor_mode(id, tensorName));",
        "getTensorDataType": "return static_cast<DataType>(callbacks.tensor_dtype(id, tensorName));",
        "getTensorFormat": "return static_cast<TensorFormat>(callbacks.tensor_format(id, tensorName));",
        "getTensorLocation": "return static_cast<TensorLocation>(callbacks.tensor_location(id, tensorName));",
        "getTensorShape": "Dims d{}; callbacks.engine_shape(id, tensorName, &d); return d;",
        "getProfileShape": "Dims d{}; callbacks.profile_shape(id, tensorName, profileIndex, int(select), &d); return d;",
        "createExecutionContext": "return new_context(callbacks.new_context(id), self);",
    },
    "VExecutionContext": {
        "getPImpl": "return self;",
        "getEngine": "return *engine;",
        "setOptimizationProfileAsync": "return callbacks.set_profile(id, profileIndex, std::uintptr_t(stream));",
        "setInputShape": "return callbacks.set_input_shape(id, tensorName, &dims);",
        "setTensorAddress": "return callbacks.set_address(id, tensorName, std::uintptr_t(data));",
        "setOutputAllocator": "return callbacks.set_allocator(id, tensorName, outputAllocator);",
        "getTensorShape": "Dims d{}; callbacks.context_shape(id, tensorName, &d); return d;",
        "enqueueV3": "return callbacks.enqueue(id, std::uintptr_t(stream));",
    },
}
_API = {"VRuntime": "IRuntime", "VCudaEngine": "ICudaEngine", "VExecutionContext": "IExecutionContext"}
_FIELDS = {
    "VRuntime": "ILogger* logger = nullptr; bool host_code = false;",
    "VCudaEngine": "int id = 0;",
    "VExecutionContext": "int id = 0; ICudaEngine* engine = nullptr;",
}

_HEAD = """
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include "NvInferRuntime.h"
#include "NvInferImpl.h"
using namespace nvinfer1;
struct Callbacks {{
{callbacks}
}};
static Callbacks callbacks;
static ILogger* last_logger;
static ICudaEngine* new_engine(int id);
static IExecutionContext* new_context(int id, ICudaEngine* engine);
[[noreturn]] static void end(const char* call) {{
    std::fprintf(stderr, "the package should not call %s\\n", call);
    std::abort();
}}
"""
_TAIL = """
static ICudaEngine* new_engine(int id) {
    if (id == 0) return nullptr;
    auto* made = new MyICudaEngine;
    made->v.id = id;
    return made;
}
static IExecutionContext* new_context(int id, ICudaEngine* engine) {
    if (id == 0) return nullptr;
    auto* made = new MyIExecutionContext;
    made->v.id = id;
    made->v.engine = engine;
    return made;
}
extern "C" {
void stand_in_use(const Callbacks* given) { callbacks = *given; }
int stand_in_alive() { return alive; }
void stand_in_log(int severity, const char* text) {
    if (last_logger != nullptr) last_logger->log(static_cast<ILogger::Severity>(severity), text);
}
std::uintptr_t stand_in_reallocate(void* allocator, const char* name, std::uintptr_t memory, std::uint64_t size,
                                   std::uint64_t alignment, std::uintptr_t stream) {
    return std::uintptr_t(static_cast<IOutputAllocator*>(allocator)->reallocateOutputAsync(
        name, reinterpret_cast<void*>(memory), size, alignment, reinterpret_cast<cudaStream_t>(stream)));
}
void stand_in_notify(void* allocator, const char* name, const Dims* shape) {
    static_cast<IOutputAllocator*>(allocator)->notifyShape(name, *shape);
}
void* createInferRuntime_INTERNAL(void* logger, int) noexcept {
    last_logger = static_cast<ILogger*>(logger);
    if (callbacks.new_runtime() == 0) return nullptr;
    auto* made = new MyIRuntime;
    made->v.logger = last_logger;
    return static_cast<IRuntime*>(made);
}
void* createInferBuilder_INTERNAL(void*, int) noexcept { return nullptr; }
void* createInferRefitter_INTERNAL(void*, void*, int) noexcept { return nullptr; }
nvinfer1::IPluginRegistry* getPluginRegistry() noexcept { return nullptr; }
nvinfer1::IPluginRegistry* getBuilderPluginRegistry(EngineCapability) noexcept { return nullptr; }
}
"""
_OTHERS = """
extern "C" {
void* createNvOnnxParserRefitter_INTERNAL(void*, void*, int) { return nullptr; }
void* createNvOnnxParser_INTERNAL(void*, void*, int) { return nullptr; }
int getNvOnnxParserVersion() { return 0; }
bool initLibNvInferPlugins(void*, const char*) { return true; }
}
"""
_CUDA = """
#pragma once
#include <cstddef>
typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;
"""
_METHOD = re.compile(
    r"(?:TRT_NODISCARD\s+)?virtual\s+([^;]*?)\s*\(((?:[^()]|\([^()]*\))*)\)\s*(const)?\s*noexcept\s*=\s*0\s*;",
    re.S,
)


def build_library(include: Path, folder: Path, major: int) -> None:
    """Writes libnvinfer.so.<major> and the two beside it to the folder. include: the headers of that version."""
    for name, text in (
        ("cuda_runtime_api.h", _CUDA),
        ("library.cpp", _source(include)),
        ("others.cpp", _OTHERS),
    ):
        (folder / name).write_text(text)
    for library, source in (
        ("nvinfer", "library.cpp"),
        ("nvinfer_plugin", "others.cpp"),
        ("nvonnxparser", "others.cpp"),
    ):
        name = f"lib{library}.so.{major}"
        command = [
            "g++",
            "-std=c++17",
            "-O1",
            "-w",
            "-shared",
            "-fPIC",
            f"-Wl,-soname,{name}",
            "-I",
            str(folder),
        ]
        command += ["-I", str(include), "-o", str(folder / name), str(folder / source)]
        subprocess.run(command, check=True)


def _source(include: Path) -> str:
    header = re.sub(r"//.*", "", (include / "NvInferImpl.h").read_text())
    lines = [f"    {result} (*{name})({given});" for name, (result, given) in CALLBACKS.items()]
    parts = [_HEAD.format(callbacks="\n".join(lines)), "static int alive;\n"]
    for kind, api in _API.items():
        found = re.search(rf"class {kind} : public VRoot\s*\{{(.*?)\n\}};", header, re.S)
        if found is None:
            raise SystemExit(f"{include / 'NvInferImpl.h'} declares no class {kind}")
        methods = "\n".join(_override(kind, *parts) for parts in _METHOD.findall(found[1]))
        parts.append(
            f"struct My{kind} : apiv::{kind} {{\n{api}* self = nullptr; {_FIELDS[kind]}\n"
            f"My{kind}() {{ ++alive; }}\n~My{kind}() override {{ --alive; }}\n{methods}\n}};\n"
            f"struct My{api} : {api} {{ My{kind} v; My{api}() {{ v.self = this; mImpl = &v; }} }};\n"
        )
    return "".join([*parts, _TAIL])


def _override(kind: str, head: str, given: str, const: str) -> str:
    """The C++ of one method. head: its result and name."""
    head, given = " ".join(head.split()), " ".join(given.split())
    name = head.split()[-1].lstrip("*&")
    bodies = _METHODS[kind]
    # The first parameter tells those of one name apart.
    body = bodies.get(f"{name}({given.partition(' blob')[0]}") or bodies.get(name)
    body = body or f'end("{_API[kind]}::{name}");'
    return f"{head}({given}) {const} noexcept override {{ {body} }}"
