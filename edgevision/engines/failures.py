"""Why a builder refused a network: the node, what is wrong with it, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from edgevision.backends.trt_words import clean_reason

__all__ = ["advise", "describe_build_failure", "describe_parse_failure"]

_MAX_NODES = 3
"""Nodes named in one message; one cause often fails many."""

_INT8_FORM = (
    "use the TensorRT form of int8 (signed, symmetric activations; biases left alone), model.int8-trt.onnx"
)
_OUTSIDE = (
    "keep it out of the graph: export the raw boxes and scores, which edgevision decodes after the network"
)

# (operators, words of the reason in lower case, what to do): the first row that fits is given. () fits any operator;
# all words must occur.
_ADVICE: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (
        ("NonZero",),
        (),
        "it finds data-dependent sizes; export what lies before it (for SAM: the decoder's low-resolution masks, not "
        "the ONNX wrapper of segment-anything)",
    ),
    (("NonMaxSuppression", "RoiAlign", "EfficientNMS_TRT", "BatchedNMS_TRT"), (), _OUTSIDE),
    (("DeformConv",), (), "no engine has it; choose a network without deformable convolutions"),
    (("DequantizeLinear",), ("int32",), f"the biases are quantised; {_INT8_FORM}"),
    (
        ("QuantizeLinear", "DequantizeLinear"),
        ("zero point",),
        f"the quantisation is not symmetric; {_INT8_FORM}",
    ),
    ((), ("no runners that implement it", "nms"), _OUTSIDE),
    ((), ("antialias",), "resize the image before the network; edgevision's preprocessing antialiases"),
    ((), ("k exceeds the maximum",), "take at most 3840 candidates in the graph"),
    (
        (),
        ("shape tensor",),
        "sizes are computed with floating-point numbers; compute them with integers, or export at a fixed size and "
        "resize outside the graph",
    ),
    (
        (),
        ("same input types",),
        "an engine converts nothing by itself; halve the module before the trace, not the ONNX file",
    ),
    (
        (),
        ("plugin not found",),
        "the builder has no such operator; export the module with standard ONNX operators",
    ),
    (
        ("SequenceConstruct", "SequenceAt", "SequenceInsert", "SplitToSequence", "ConcatFromSequence"),
        (),
        "engines have no lists of tensors; export the module so that it returns plain tensors",
    ),
    (
        (),
        ("failed to import initializer",),
        "keep the network's weight files beside it, under the names it was exported with",
    ),
    ((), ("failed to parse the onnx model",), "the file is damaged; copy or export it again"),
    (
        (),
        ("convertdtype",),
        "the graph has tensors of a type that engines do not have; export it without them",
    ),
    ((), ("turing", "not supported"), "leave sm75 out of the targets, or build the fp16 form"),
    ((), ("workspace memory",), "allow more scratch memory: --workspace"),
    ((), ("out of memory",), "use a smaller batch or image in the profile, or less --workspace"),
    ((), ("could not find any implementation",), "allow more scratch memory: --workspace"),
    (
        (),
        ("cudaerror 35",),
        "this needs a GPU and its driver (nvidia-smi shows them); build on the device",
    ),
    ((), ("optimization profile",), "give the shapes of the inputs: --profile INPUT=LEAST:BEST:GREATEST"),
)


def advise(operator: str, reason: str) -> str:
    """What to do about it; "" where nothing better is known than the reason."""
    low = reason.lower()
    for operators, words, advice in _ADVICE:
        if (not operators or operator in operators) and all(word in low for word in words):
            return advice
    return ""


def describe_parse_failure(parser: Any, log_errors: Iterable[str]) -> str:
    """What the parser refuses: each node's name and operator, the reason, what to do."""
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    if not errors:
        return _join(clean_reason(text) for text in log_errors) or "the parser gave no reason"
    parts = []
    for error in errors[:_MAX_NODES]:
        said = error.desc() + "".join(f"\n{text}" for text in log_errors if "Failed to open file" in text)
        operator = error.node_operator()
        where = f"node {_node_name(error)!r} ({operator}): " if operator else ""
        advice = advise(operator, said)
        parts.append(where + (clean_reason(error.desc()) or "refused") + (f"; {advice}" if advice else ""))
    more = len(errors) - len(parts)
    return " | ".join(parts) + (f" | and {more} more nodes" if more else "")


def describe_build_failure(network: Any, log_errors: Iterable[str]) -> str:
    """What the builder refuses of a parsed network: the reason, the node where it names one, what to do."""
    errors = list(log_errors)
    if not errors:
        return "the builder gave no reason"
    # The last words are often a consequence; the first say the cause.
    reason = errors[0]
    advice = advise("", "\n".join(errors))
    node = _find_node(network, reason)
    return clean_reason(reason) + (f" ({node})" if node else "") + (f"; {advice}" if advice else "")


def _node_name(error: Any) -> str:
    name = error.node_name()
    return str(name) if name else f"number {error.node()}"


def _find_node(network: Any, reason: str) -> str:
    """The ONNX node of the layer whose name occurs in the reason, the longest such name."""
    names = {network.get_layer(index).name: index for index in range(network.num_layers)}
    found = max((name for name in names if name and name in reason), key=len, default=None)
    if found is None:
        return ""
    layer = network.get_layer(names[found])
    origin = re.search(r"\[ONNX Layer: ([^\]]+)\]", getattr(layer, "metadata", "") or "")
    return f"node {(origin[1] if origin else found)!r}"


def _join(parts: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(part for part in parts if part))
