from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

from edgevision.errors import SpecError
from edgevision.spec import Decoder, ImageInput, ModelSpec, Source, Thresholds

# fields of ImageInput, the beginning of the message, what it must also say
BAD_INPUTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "empty name": ({"name": ""}, "name must be a string of 1-65536 characters", "''"),
    "name no string": ({"name": 3}, "name must be", "got 3"),
    "lone surrogate": ({"name": "a\ud800"}, "name must be valid Unicode", ""),
    "size of one": ({"size_hw": (640,)}, "size_hw must be two integers 1-65536 (height, width)", "(640,)"),
    "size no sequence": ({"size_hw": 640}, "size_hw must be two integers", "got 640"),
    "size of characters": ({"size_hw": "64"}, "size_hw must be two integers", "'64'"),
    "size zero": ({"size_hw": (0, 640)}, "size_hw[0] must be an integer 1-65536", "got 0"),
    "size too large": ({"size_hw": (1, 65537)}, "size_hw[1] must be an integer 1-65536", "65537"),
    "size float": ({"size_hw": (640.0, 640)}, "size_hw[0] must be an integer", "640.0"),
    "size bool": ({"size_hw": (True, 640)}, "size_hw[0] must be an integer", "True"),
    "size beyond any number": (
        {"size_hw": (10**5000, 1)},
        "size_hw[0] must be an integer",
        "too large to show",
    ),
    "multiple negative": ({"multiple": -1}, "multiple must be an integer 0-65536", "-1"),
    "multiple with stretch": ({"multiple": 32, "resize": "stretch"}, "multiple must be 0", "only letterbox"),
    "multiple does not divide": (
        {"multiple": 32, "size_hw": (640, 650)},
        "size_hw must be multiples of",
        "32",
    ),
    "batch zero": ({"batch": 0}, "batch must be an integer 1-65536", "got 0"),
    "resize unknown": (
        {"resize": "fit"},
        "resize must be one of letterbox, stretch, shortest_side_crop",
        "'fit'",
    ),
    "resize unhashable": ({"resize": []}, "resize must be one of", "[]"),
    "filter unknown": (
        {"filter": "cubic"},
        "filter must be one of linear, nearest, bilinear_antialias",
        "'cubic'",
    ),
    "resize_size with letterbox": (
        {"resize_size": 256},
        "resize_size must be null",
        "only shortest_side_crop",
    ),
    "upscale with stretch": (
        {"upscale": False, "resize": "stretch"},
        "upscale must be true",
        "longest_side_pad",
    ),
    "upscale a number": ({"upscale": 1}, "upscale must be true or false", "got 1"),
    "pad beyond a pixel": (
        {"pad_value": (0, 0, 256)},
        "pad_value[2] must be a finite number 0 to 255",
        "256",
    ),
    "pad of one": ({"pad_value": 114}, "pad_value must be three finite numbers 0 to 255", "114"),
    "pad placement unknown": (
        {"pad_placement": "top"},
        "pad_placement must be one of center, bottom_right",
        "'top'",
    ),
    "color unknown": ({"color": "RGB"}, "color must be one of rgb, bgr, gray", "'RGB'"),
    "scale zero": ({"scale": 0}, "scale must be a finite number 1e-06 to 1e+06", "got 0"),
    "scale not finite": ({"scale": math.inf}, "scale must be a finite number", "inf"),
    "scale no number": ({"scale": "1/255"}, "scale must be a finite number", "'1/255'"),
    "scale beyond float": ({"scale": 10**400}, "scale must be a finite number", ""),
    "mean not a number": ({"mean": (0, math.nan, 0)}, "mean[1] must be a finite number", "nan"),
    "mean bool": ({"mean": (0, 0, True)}, "mean[2] must be a finite number", "True"),
    "std zero": ({"std": (1, 0, 1)}, "std[1] must be of magnitude 1e-06 to 1e+06", "got 0"),
    "layout unknown": ({"layout": "NCHW"}, "layout must be one of nchw, nhwc", "'NCHW'"),
    "dtype unknown": ({"dtype": "int8"}, "dtype must be one of float32, float16, uint8", "'int8'"),
    "uint8 scaled": ({"dtype": "uint8"}, "dtype 'uint8' needs scale 1, mean 0 and std 1", "0.0039"),
    "gray of three means": ({"color": "gray", "mean": (0, 0, 1)}, "mean must be three equal numbers", "gray"),
}


@pytest.mark.parametrize("case", BAD_INPUTS.values(), ids=BAD_INPUTS.keys())
def test_a_bad_image_input_is_refused_with_its_field_first(case: tuple[dict[str, Any], str, str]) -> None:
    fields, start, also = case
    with pytest.raises(SpecError) as caught:
        ImageInput(**fields)
    assert str(caught.value).startswith(start)
    assert also in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "fields",
    [
        {"size_hw": (1, 65536)},
        {"batch": None},
        {"multiple": 32, "size_hw": (64, 96)},
        {"resize": "shortest_side_crop", "resize_size": 256},
        {"resize": "longest_side_pad", "upscale": False},
        {"dtype": "uint8", "scale": 1},
        {"color": "gray", "mean": (0.5, 0.5, 0.5)},
        {"std": (-1, 1e-6, 1e6)},
        {"pad_value": (0, 123.675, 255)},
    ],
    ids=str,
)
def test_values_at_the_ends_of_their_ranges_are_taken(fields: dict[str, Any]) -> None:
    made = ImageInput(**fields)
    assert {name: getattr(made, name) for name in fields} == fields


def test_lists_become_tuples_and_integers_floats() -> None:
    fields: dict[str, Any] = {"size_hw": [480, np.int64(640)], "scale": 1, "mean": [0, np.float32(0.5), 1]}
    made = ImageInput(**fields)
    assert made.size_hw == (480, 640)
    assert [type(side) for side in made.size_hw] == [int, int]
    assert made.mean == (0.0, 0.5, 1.0)
    assert [type(x) for x in (made.scale, *made.mean)] == [float] * 4


BAD_PARTS: dict[str, tuple[type[Any], dict[str, Any], str]] = {
    "confidence above 1": (
        Thresholds,
        {"confidence": 1.01},
        "confidence must be a finite number 0 to 1, got 1.01",
    ),
    "iou a string": (Thresholds, {"iou": "0.5"}, "iou must be a finite number 0 to 1, got '0.5'"),
    "no detections": (Thresholds, {"max_detections": 0}, "max_detections must be an integer 1-100000, got 0"),
    "agnostic a number": (Thresholds, {"class_agnostic": 0}, "class_agnostic must be true or false, got 0"),
    "hash too short": (
        Source,
        {"weights_sha256": "ab"},
        "weights_sha256 must be 64 lower-case hexadecimal digits",
    ),
    "hash upper case": (Source, {"weights_sha256": "AB" * 32}, "weights_sha256 must be 64 lower-case"),
    "hash and a newline": (Source, {"weights_sha256": "ab" * 32 + "\n"}, "weights_sha256 must be 64"),
    "license none": (Source, {"license": None}, "license must be a string"),
    "random a string": (Source, {"random_weights": "no"}, "random_weights must be true or false, got 'no'"),
    "decoder unknown": (Decoder, {"name": "yolov9"}, "name must be one of yolo, yolo_end2end, yolov5"),
    "outputs a string": (
        Decoder,
        {"name": "yolo", "outputs": "output0"},
        "outputs must be a list of strings",
    ),
    "outputs twice": (Decoder, {"name": "detr", "outputs": ["a", "a"]}, "outputs must be different names"),
    "params a list": (Decoder, {"name": "yolo", "params": []}, "params must be an object"),
    "param unknown": (
        Decoder,
        {"name": "scores", "params": {"top": 1}},
        "params has an unknown key 'top'; decoder",
    ),
    "param not a key": (Decoder, {"name": "scores", "params": {1: 1}}, "params has an unknown key 1"),
    "param of the wrong type": (
        Decoder,
        {"name": "yolo", "params": {"masks": 1.0}},
        "params.masks must be an integer",
    ),
    "param bool for int": (
        Decoder,
        {"name": "yolo", "params": {"masks": True}},
        "params.masks must be an integer",
    ),
    "param int for bool": (
        Decoder,
        {"name": "yolo", "params": {"rotated": 1}},
        "params.rotated must be true or",
    ),
    "param not a choice": (
        Decoder,
        {"name": "scores", "params": {"activation": "relu"}},
        "params.activation must be",
    ),
    "strides empty": (
        Decoder,
        {"name": "yolox", "params": {"strides": []}},
        "params.strides must be 1-16 integers",
    ),
    "stride zero": (
        Decoder,
        {"name": "yolox", "params": {"strides": [8, 0]}},
        "params.strides[1] must be an integer",
    ),
    "no parameters at all": (
        Decoder,
        {"name": "label_map", "params": {"x": 1}},
        "params has an unknown key 'x'",
    ),
}


@pytest.mark.parametrize("case", BAD_PARTS.values(), ids=BAD_PARTS.keys())
def test_a_bad_part_is_refused_with_its_field_first(case: tuple[type[Any], dict[str, Any], str]) -> None:
    kind, fields, start = case
    with pytest.raises(SpecError) as caught:
        kind(**fields)
    assert str(caught.value).startswith(start)


BAD_SPECS: dict[str, tuple[dict[str, Any], str]] = {
    "task unknown": ({"task": "detection"}, "task must be one of classify, detect, instances"),
    "no inputs": ({"inputs": ()}, "inputs must be 1-16 image inputs"),
    "inputs no list": ({"inputs": ImageInput()}, "inputs must be 1-16 image inputs"),
    "input of another type": ({"inputs": [{}]}, "inputs[0] must be a ImageInput"),
    "inputs of one name": ({"inputs": [ImageInput(), ImageInput()]}, "inputs must be of different names"),
    "decoder a string": ({"decoder": "yolo"}, "decoder must be a Decoder"),
    "label a number": ({"labels": ["cat", 1]}, "labels[1] must be a string"),
    "labels a string": ({"labels": "cat"}, "labels must be a list of strings"),
    "thresholds a dict": ({"thresholds": {"iou": 0.5}}, "thresholds must be a Thresholds"),
    "decoder of another task": (
        {"decoder": Decoder(name="scores")},
        "decoder.name 'scores' serves classify, not",
    ),
    "a task nothing serves yet": (
        {"task": "flow"},
        "decoder.name 'yolo' serves detect, instances, pose, oriented",
    ),
}


@pytest.mark.parametrize("case", BAD_SPECS.values(), ids=BAD_SPECS.keys())
def test_a_bad_spec_is_refused_with_its_field_first(case: tuple[dict[str, Any], str]) -> None:
    fields, start = case
    with pytest.raises(SpecError) as caught:
        ModelSpec(**{"task": "detect", "decoder": Decoder(name="yolo"), **fields})
    assert str(caught.value).startswith(start)


def test_a_label_may_occur_twice() -> None:
    assert ModelSpec(task="detect", decoder=Decoder(name="yolo"), labels=["a", "a"]).labels == ("a", "a")


def test_equal_specs_hash_equal_and_survive_copying() -> None:
    def make() -> ModelSpec:
        return ModelSpec(
            task="pose", decoder=Decoder(name="yolo", params={"keypoints": 17}), labels=("person",)
        )

    assert make() == make()
    assert hash(make()) == hash(make())
    assert pickle.loads(pickle.dumps(make())) == make() == copy.deepcopy(make())


def test_decoder_params_are_copied() -> None:
    params = {"masks": 32}
    decoder = Decoder(name="yolo", params=params)
    params["masks"] = 7
    assert decoder.params == {"masks": 32}


def test_replace_changes_fields_and_those_of_nested_objects() -> None:
    spec = ModelSpec(task="detect", decoder=Decoder(name="yolo"), thresholds=Thresholds(confidence=0.4))
    changed = spec.replace(labels=["cat"], thresholds={"iou": 0.5}, source=Source(license="MIT"))
    assert changed.labels == ("cat",)
    assert changed.thresholds == Thresholds(confidence=0.4, iou=0.5)
    assert changed.source.license == "MIT"
    assert spec.labels == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"label": ()},
            "unknown field 'label'; a spec has task, inputs, decoder, labels, thresholds, source",
        ),
        (
            {"thresholds": {"nms": 1}},
            "unknown field thresholds.nms; accepted: confidence, iou, max_detections",
        ),
        ({"thresholds": {"iou": 2}}, "thresholds.iou must be a finite number 0 to 1, got 2"),
    ],
    ids=["field", "nested field", "nested value"],
)
def test_replace_refuses_what_a_spec_cannot_hold(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        ModelSpec(task="detect", decoder=Decoder(name="yolo")).replace(**changes)
    assert str(caught.value).startswith(message)
