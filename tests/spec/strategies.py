"""Hypothesis strategies: arbitrary valid specs, and arbitrary JSON values."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from edgevision.geometry import CROP_MODES, PAD_PLACEMENTS, RESIZE_MODES
from edgevision.spec import (
    COLORS,
    DECODERS,
    DTYPES,
    FILTERS,
    LAYOUTS,
    Decoder,
    ImageInput,
    ModelSpec,
    Source,
    Thresholds,
)
from edgevision.spec.decoders import ParamInfo

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
SIDE = st.integers(1, 65536)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


@st.composite
def image_inputs(draw: st.DrawFn, name: str = "images") -> ImageInput:
    resize = draw(st.sampled_from(RESIZE_MODES))
    color = draw(st.sampled_from(COLORS))
    dtype = draw(st.sampled_from(DTYPES))
    multiple = draw(st.sampled_from([0, 1, 14, 32])) if resize == "letterbox" else 0
    height, width = draw(SIDE), draw(SIDE)
    if multiple:
        height, width = max(height // multiple, 1) * multiple, max(width // multiple, 1) * multiple
    width_of = 1 if color == "gray" else 3

    def triple(low: float, high: float) -> list[float]:
        return draw(st.lists(numbers(low, high), min_size=width_of, max_size=width_of)) * (3 // width_of)

    arithmetic: dict[str, Any] = {"scale": 1, "mean": [0, 0, 0], "std": [1, 1, 1]}
    if dtype != "uint8":
        sign = draw(st.sampled_from([-1.0, 1.0]))
        arithmetic = {
            "scale": draw(numbers(1e-6, 1e6)),
            "mean": triple(-1e6, 1e6),
            "std": [sign * x for x in triple(1e-6, 1e6)],
        }
    return ImageInput(
        name=name,
        size_hw=(height, width),
        multiple=multiple,
        batch=draw(st.none() | SIDE),
        resize=resize,
        filter=draw(st.sampled_from(FILTERS)),
        resize_size=draw(st.none() | SIDE) if resize in CROP_MODES else None,
        upscale=draw(st.booleans()) if resize in ("letterbox", "longest_side_pad") else True,
        pad_value=triple(0, 255),
        pad_placement=draw(st.sampled_from(PAD_PLACEMENTS)),
        color=color,
        layout=draw(st.sampled_from(LAYOUTS)),
        dtype=dtype,
        **arithmetic,
    )


def param_values(info: ParamInfo) -> st.SearchStrategy[Any]:
    low, high = info.low, info.high
    if isinstance(info.default, bool):
        return st.booleans()
    if isinstance(info.default, int):
        return st.integers(int(low), int(high))
    if isinstance(info.default, float):
        return numbers(low, high)
    if isinstance(info.default, str):
        return st.sampled_from(info.choices)
    return st.lists(st.integers(int(low), int(high)), min_size=1, max_size=16)


@st.composite
def specs(draw: st.DrawFn) -> ModelSpec:
    name = draw(st.sampled_from(sorted(DECODERS)))
    info = DECODERS[name]
    task = draw(st.sampled_from(info.tasks))
    params = {key: draw(param_values(one)) for key, one in info.params.items() if draw(st.booleans())}
    for owner, key in (("instances", "masks"), ("pose", "keypoints"), ("oriented", "rotated")):
        if key in info.params:
            params.pop(key, None)
            if task == owner:
                params[key] = True if key == "rotated" else draw(st.integers(1, 1024))
    if task == "instances" and draw(st.booleans()):
        params["keypoints"] = draw(st.integers(1, 1024))
    tensors = [one for one in info.tensors if not one.only_with or params.get(one.only_with)]
    outputs = [f"output{index}" for index in range(len(tensors))]
    count = draw(st.integers(1, 3))
    return ModelSpec(
        task=task,
        inputs=tuple(draw(image_inputs(f"input{index}")) for index in range(count)),
        decoder=Decoder(name=name, params=params, outputs=outputs if draw(st.booleans()) else ()),
        labels=draw(st.lists(TEXT, max_size=5)),
        thresholds=Thresholds(
            confidence=draw(numbers(0, 1)),
            iou=draw(numbers(0, 1)),
            max_detections=draw(st.integers(1, 100_000)),
            class_agnostic=draw(st.booleans()),
        ),
        source=Source(
            framework=draw(TEXT),
            model=draw(TEXT),
            weights_sha256=draw(st.sampled_from(["", "0f" * 32])),
            random_weights=draw(st.booleans()),
        ),
    )
