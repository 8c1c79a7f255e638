from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevision.errors import SpecError
from edgevision.spec import Decoder, ImageInput, ModelSpec, Source, spec_from_json, spec_to_json
from edgevision.spec.strict_json import MAX_TEXT_BYTES

from .strategies import JSON, specs

MINIMAL = '{"format":"edgevision.spec","version":1,"task":"detect","decoder":{"name":"yolo"}}'

# The text of version 1, byte for byte: a change here is a change of the format.
GOLDEN = (
    '{"decoder":{"name":"yolox","outputs":["out"],"params":{"decoded":true,"strides":[8,16,32]}},'
    '"format":"edgevision.spec","inputs":[{"batch":null,"color":"bgr","dtype":"float16","filter":"linear",'
    '"layout":"nhwc","mean":[0.0,0.5,-1.25],"multiple":32,"name":"x","pad_placement":"bottom_right",'
    '"pad_value":[0.0,0.0,255.0],"resize":"letterbox","resize_size":null,"scale":0.00392156862745098,'
    '"size_hw":[320,416],"std":[1.0,1.0,1.0],"upscale":false}],"labels":["a","\\u00e9"],'
    '"source":{"description":"","framework":"","framework_version":"","license":"MIT","model":"",'
    '"random_weights":true,"weights_sha256":""},"task":"detect",'
    '"thresholds":{"class_agnostic":false,"confidence":0.25,"iou":0.7,"max_detections":300},"version":1}'
)
GOLDEN_SPEC = ModelSpec(
    task="detect",
    inputs=(
        ImageInput(
            name="x",
            size_hw=(320, 416),
            multiple=32,
            batch=None,
            color="bgr",
            dtype="float16",
            layout="nhwc",
            mean=(0, 0.5, -1.25),
            pad_placement="bottom_right",
            pad_value=(0, 0, 255),
            upscale=False,
        ),
    ),
    decoder=Decoder(name="yolox", outputs=("out",), params={"decoded": True, "strides": (8, 16, 32)}),
    labels=("a", "\xe9"),
    source=Source(license="MIT", random_weights=True),
)


def test_version_1_is_written_and_read_byte_for_byte() -> None:
    assert spec_to_json(GOLDEN_SPEC) == GOLDEN
    assert spec_from_json(GOLDEN) == GOLDEN_SPEC
    assert spec_from_json(GOLDEN.encode()) == GOLDEN_SPEC


def test_omitted_keys_take_their_defaults() -> None:
    assert spec_from_json(MINIMAL) == ModelSpec(task="detect", decoder=Decoder(name="yolo"))


@settings(deadline=None, max_examples=50)
@given(specs())
def test_every_spec_comes_back_equal_and_writes_the_same_text(spec: ModelSpec) -> None:
    text = spec_to_json(spec)
    back = spec_from_json(text)
    assert back == spec
    assert spec_to_json(back) == text
    assert spec_from_json(spec_to_json(spec, indent=2)) == spec
    assert text.isascii()


def test_equal_specs_write_equal_text_however_they_were_given() -> None:
    one = ModelSpec(
        task="pose", decoder=Decoder(name="yolo", params={"keypoints": 5, "nms_class_offset": 7680})
    )
    two = ModelSpec(
        task="pose", decoder=Decoder(name="yolo", params={"nms_class_offset": 7680.0, "keypoints": 5})
    )
    assert spec_to_json(one) == spec_to_json(two)


def changed(**changes: Any) -> str:
    """The minimal document with top-level keys set; a key set to ... is removed."""
    document = {**json.loads(MINIMAL), **changes}
    return json.dumps({key: value for key, value in document.items() if value is not ...})


YOLO = {"name": "yolo"}
BAD_TEXT: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "the spec is not valid JSON: Expecting value at line 1, column 1"),
    "not JSON": ("{'a': 1}", "the spec is not valid JSON: Expecting property name"),
    "cut off": (MINIMAL[:-1], "the spec is not valid JSON: Expecting ',' delimiter at line 1, column"),
    "two documents": (MINIMAL + MINIMAL, "the spec is not valid JSON: Extra data"),
    "not UTF-8": (b'{"a":"\xff"}', "the spec is not UTF-8 text: invalid start byte at byte 6"),
    "a list": ("[]", "the spec must be a JSON object, got []"),
    "NaN": ('{"a": NaN}', "the spec is not acceptable JSON: NaN is not a number that JSON has"),
    "Infinity": ('{"a": -Infinity}', "the spec is not acceptable JSON: -Infinity is not a number"),
    "duplicate key": ('{"a": 1, "a": 1}', "the spec is not acceptable JSON: duplicate key 'a'"),
    "nested duplicate": ('{"d": {"n": 1, "n": 1}}', "the spec is not acceptable JSON: duplicate key 'n'"),
    "nested lists": ('{"a":' + "[" * 200_000, "the spec is nested too deep"),
    "nested objects": ('{"a":' * 200_000, "the spec is nested too deep"),
    "endless integer": ('{"a": ' + "9" * 5000 + "}", "the spec is not acceptable JSON: the integer 9999"),
    "huge text": (" " * (MAX_TEXT_BYTES + 1), "the spec is 4194305 bytes, at most 4194304 are read"),
    "another format": (changed(format="onnx"), "the spec is not of the format 'edgevision.spec'"),
    "no format": (
        changed(format=...),
        "the spec is not of the format 'edgevision.spec': its key `format` must be",
    ),
    "newer version": (
        changed(version=2, what_version_2_brings=1),
        "the spec was written by a newer edgevision (version 2 of edgevision.spec, this one reads 1); "
        "upgrade: pip",
    ),
    "version 0": (changed(version=0), "the spec: version must be a positive integer, got 0"),
    "version true": (changed(version=True), "the spec: version must be a positive integer, got True"),
    "version text": (changed(version="1"), "the spec: version must be a positive integer, got '1'"),
    "no version": (changed(version=...), "the spec: version must be a positive integer, got no such key"),
    "unknown key": (
        changed(colour=1),
        "unknown key 'colour'; accepted in the document: format, version, task",
    ),
    "no task": (changed(task=...), "required key task is missing"),
    "no decoder": (changed(decoder=...), "required key decoder is missing"),
    "decoder without a name": (
        changed(decoder={}),
        "required key decoder.name is missing; decoder needs name",
    ),
    "decoder a string": (changed(decoder="yolo"), "decoder must be an object, got 'yolo'"),
    "unknown parameter": (
        changed(decoder={"name": "yolo", "params": {"nms": 1}}),
        "decoder.params has an unknown key 'nms'; decoder yolo accepts masks, keypoints",
    ),
    "parameter out of range": (
        changed(decoder={"name": "yolo", "params": {"masks": -1}}),
        "decoder.params.masks must be an integer 0-1024, got -1",
    ),
    "inputs an object": (changed(inputs={}), "inputs must be a list of objects, got {}"),
    "inputs empty": (changed(inputs=[]), "inputs must be 1-16 image inputs, got []"),
    "input a number": (changed(inputs=[1]), "inputs[0] must be an object, got 1"),
    "input key": (changed(inputs=[{"size": 1}]), "unknown key 'inputs[0].size'; accepted in inputs[0]: name"),
    "second input": (
        changed(inputs=[{}, {"size_hw": [1]}]),
        "inputs[1].size_hw must be two integers 1-65536",
    ),
    "null where no null": (changed(inputs=[{"name": None}]), "inputs[0].name must be a string"),
    "threshold": (
        changed(thresholds={"iou": "0.7"}),
        "thresholds.iou must be a finite number 0 to 1, got '0.7'",
    ),
    "bool for a number": (changed(thresholds={"iou": True}), "thresholds.iou must be a finite number"),
    "source": (changed(source={"url": ""}), "unknown key 'source.url'; accepted in source: framework"),
    "label": (changed(labels=["a", None]), "labels[1] must be a string"),
    "lone surrogate": (changed(labels=["\ud800"]), "labels[0] must be valid Unicode"),
}


@pytest.mark.parametrize("case", BAD_TEXT.values(), ids=BAD_TEXT.keys())
def test_bad_text_is_refused_naming_the_place(case: tuple[str | bytes, str]) -> None:
    text, message = case
    with pytest.raises(SpecError) as caught:
        spec_from_json(text)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value)) < 400


def test_a_spec_too_large_to_be_read_is_not_written() -> None:
    spec = ModelSpec(task="detect", decoder=Decoder(name="yolo"), labels=("x" * 60_000,) * 80)
    with pytest.raises(SpecError, match=r"^the spec would be 48\d{5} bytes, at most 4194304 are read"):
        spec_to_json(spec)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_spec_errors(data: bytes) -> None:
    with pytest.raises(SpecError):
        spec_from_json(data)


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_an_arbitrary_value_in_any_place_raises_nothing_but_spec_errors(data: st.DataObject) -> None:
    document = json.loads(GOLDEN)
    parent, key = document, data.draw(st.sampled_from(sorted(document)))
    while isinstance(parent[key], dict | list) and parent[key] and data.draw(st.booleans()):
        parent = parent[key]
        key = data.draw(
            st.sampled_from(sorted(parent) if isinstance(parent, dict) else list(range(len(parent))))
        )
    parent[key] = data.draw(JSON)
    text = json.dumps(document)
    with contextlib.suppress(SpecError):
        spec = spec_from_json(text)
        assert spec_from_json(spec_to_json(spec)) == spec
