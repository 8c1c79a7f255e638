"""TensorRT's messages, without what only its developers read, and what to do about those of its runtime."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["clean_reason", "describe_runtime_failure"]

_MAX_REASON = 300

# Words of a message in lower case -> what to do; the first row of which one occurs is given.
_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("driver version is insufficient", "cudaerror 35", "with error: 35"),
        "the driver is missing or older than this TensorRT's CUDA: nvidia-smi shows both; upgrade the driver, or install "
        "the TensorRT of the driver's CUDA (tensorrt-cu12, tensorrt-rtx-cu12)",
    ),
    (
        ("out of memory", "outofmemory", "memoryallocation", "bad_alloc", "requested size was"),
        "the GPU's memory is full: end other programs on it (nvidia-smi; on Jetson tegrastats), use a smaller batch, or "
        "build with less --workspace",
    ),
    (
        ("blobsize", "header.size", "end of stream", "cursor <"),
        "the plan is cut off; copy or build it again",
    ),
    (
        (
            "magictag",
            "serialization version",
            "not compatible with this version",
            "version tag",
            "expecting library version",
        ),
        "it was built by another version, or is no plan; build it again here",
    ),
    (
        ("compute capability", "different device", "no kernel image"),
        "it was built for another GPU; build it again here",
    ),
    (
        ("host code", "engine_host_code_allowed", "lean runtime"),
        "the plan holds code of its own; where you trust it: allow_host_code=True",
    ),
    (
        ("illegal memory access", "cudaerror 700"),
        "CUDA cannot be used any more in this process; start it again",
    ),
    (
        ("plugin",),
        "it needs a plugin that is not registered; export the module with standard ONNX operators",
    ),
)

# What TensorRT says around its reason -> what is kept of it, in order.
_NOISE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), kept)
    for pattern, kept in (
        # Further lines, such as the CUDA error that every failure without a GPU trails behind it.
        (r"\n\[checkMacros\.cpp.*", ""),
        (r"^Invalid Node - [^\n]*\n", ""),
        # Places in its source.
        (r"\[[\w.]+\.cpp::\w+::\d+\] |\[\w+\.cpp:\d+: \w+\] ", ""),
        (r" ?\bIn \w+ at /_src/\S*?:\d+", ""),
        (r"\bI[A-Z]\w+::\w+: |Error Code \d+: ", ""),
        (r"In node -1 with name:\s+and operator:\s+\(\w+\): \w+: ", ""),
        # The C++ condition that does not hold, before or around the words.
        (r'^[^"]* && "([^"]*)"$', r"\1"),
        (r"^(?:Failed to import initializer: )?Assertion failed: .*?: ", ""),
        (r"^(?:API Usage Error|Internal Error|Myelin|Serialization|Cuda Runtime) \(\s*(.*)\)\.?$", r"\1"),
        (r"^\((cudaError [^()]*)\)$", r"\1"),
        (r"^false$", "not supported"),
        # Its own switches, which no user of ours can reach.
        (r" Please set k[A-Z0-9_]+ .*", ""),
    )
)


def clean_reason(text: str) -> str:
    """TensorRT's words on one line, without the places and conditions in its own source."""
    text = text.strip()
    for pattern, kept in _NOISE:
        text = pattern.sub(kept, text)
    line = " ".join(text.split()).rstrip(".! ")
    return line[: _MAX_REASON - 3] + "..." if len(line) > _MAX_REASON else line


def describe_runtime_failure(errors: Iterable[str], otherwise: str) -> str:
    """What the runtime says, its first words, on one line, and what to do.

    otherwise: what is said where it says nothing.
    """
    said = list(errors)
    # The first words say the cause; what comes after may be the CUDA error that trails behind any failure.
    advice = next((advice for text in (*said, otherwise) if (advice := _advise(text))), "")
    reason = (clean_reason(said[0]) if said else "") or otherwise
    return f"{reason}; {advice}" if advice else reason


def _advise(text: str) -> str:
    low = text.lower()
    return next((advice for words, advice in _ADVICE if any(word in low for word in words)), "")
