"""Specs from the metadata of Ultralytics exports, recorded from exports of random weights with the versions
named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevision.errors import SpecError
from edgevision.spec import (
    ImageInput,
    ModelSpec,
    TensorInfo,
    Thresholds,
    decoder_params,
    extra_channels,
    is_ultralytics,
    load_spec,
    read_onnx_header,
    read_onnx_io,
    spec_from_ultralytics,
)

COMMON = {
    "author": "Ultralytics",
    "license": "AGPL-3.0 License (https://ultralytics.com/license)",
    "docs": "https://docs.ultralytics.com",
    "stride": "32",
    "batch": "1",
    "imgsz": "[320, 320]",
    "names": str({index: str(index) for index in range(80)}),
}


def args(**changes: object) -> str:
    return str({"batch": 1, "dynamic": False, "simplify": False, "opset": None, "nms": None, **changes})


def recorded(version: str, model: str, task: str = "detect", **changes: str) -> dict[str, str]:
    """The metadata of an export as that version writes it; `changes` are set, one set to "" is removed."""
    metadata = {**COMMON, "version": version, "description": f"Ultralytics {model} model ", "task": task}
    number = tuple(int(part) for part in version.split("."))
    if number >= (8, 4):
        metadata |= {"args": args(), "channels": "3"}
    if number >= (8, 4, 20):
        metadata |= {"end2end": "False"}
    return {key: value for key, value in {**metadata, **changes}.items() if value}


def tensors(*shapes: tuple[int | None, ...], dtype: str = "float32") -> tuple[TensorInfo, ...]:
    return tuple(TensorInfo(f"output{index}", shape, dtype) for index, shape in enumerate(shapes))


NMS = {"nms_class_offset": 7680.0}
CLS = {"imgsz": "[224, 224]", "stride": "1"}

# metadata, the graph's outputs, the task, the decoder and what differs from its defaults
DECODERS: dict[str, tuple[dict[str, str], tuple[TensorInfo, ...], str, str, dict[str, Any]]] = {
    "11": (recorded("8.4.190", "YOLO11n"), tensors((1, 84, 2100)), "detect", "yolo", NMS),
    "v8 of 8.2": (recorded("8.2.100", "YOLOv8n"), tensors((1, 84, 2100)), "detect", "yolo", NMS),
    "11 dynamic": (recorded("8.4.190", "YOLO11n"), tensors((None, None, None)), "detect", "yolo", NMS),
    "11 with nms": (
        recorded("8.4.190", "YOLO11n", args=args(nms=True)),
        tensors((1, 300, 6)),
        "detect",
        "yolo_end2end",
        {},
    ),
    "11 with nms, 100 rows": (
        recorded("8.4.190", "YOLO11n", args=args(nms=True)),
        tensors((1, 100, 6)),
        "detect",
        "yolo_end2end",
        {},
    ),
    "26": (
        recorded("8.4.100", "YOLO26n", end2end="True"),
        tensors((1, 300, 6)),
        "detect",
        "yolo_end2end",
        {},
    ),
    "26 one to many": (recorded("8.4.190", "YOLO26n"), tensors((1, 84, 2100)), "detect", "yolo", NMS),
    # 8.2 and 8.3.50 write neither args nor end2end: the shape tells, or the name.
    "v10 of 8.3": (recorded("8.3.50", "YOLOv10n"), tensors((1, 300, 6)), "detect", "yolo_end2end", {}),
    "v10 of 8.3, graph unknown": (recorded("8.3.50", "YOLOv10n"), (), "detect", "yolo_end2end", {}),
    "11 of 8.3, graph unknown": (recorded("8.3.50", "YOLO11n"), (), "detect", "yolo", NMS),
    "the shape wins": (recorded("8.4.190", "YOLO11n"), tensors((1, 300, 6)), "detect", "yolo_end2end", {}),
    "the shape wins again": (
        recorded("8.4.190", "YOLO26n", end2end="True"),
        tensors((1, 84, 2100)),
        "detect",
        "yolo",
        NMS,
    ),
    "segment": (
        recorded("8.4.190", "YOLO11n-seg", "segment"),
        tensors((1, 116, 2100), (1, 32, 80, 80)),
        "instances",
        "yolo",
        {"masks": 32, **NMS},
    ),
    "segment of 16": (
        recorded("8.4.190", "YOLO11n-seg", "segment"),
        tensors((1, 100, 2100), (1, 16, 80, 80)),
        "instances",
        "yolo",
        {"masks": 16, **NMS},
    ),
    "segment, graph unknown": (
        recorded("8.4.190", "YOLO11n-seg", "segment", args=args(nms=True)),
        (),
        "instances",
        "yolo_end2end",
        {"masks": 32},
    ),
    "segment end to end": (
        recorded("8.4.190", "YOLO26n-seg", "segment", end2end="True"),
        tensors((1, 300, 38), (1, 32, 80, 80)),
        "instances",
        "yolo_end2end",
        {"masks": 32},
    ),
    "pose": (
        recorded("8.4.190", "YOLO11n-pose", "pose", kpt_shape="[17, 3]"),
        tensors((1, 135, 2100)),
        "pose",
        "yolo",
        {"keypoints": 17, "keypoint_dims": 3, **NMS},
    ),
    "pose of 2 values": (
        recorded("8.4.190", "YOLO11n-pose", "pose", kpt_shape="(4, 2)"),
        tensors((1, 92, 2100)),
        "pose",
        "yolo",
        {"keypoints": 4, "keypoint_dims": 2, **NMS},
    ),
    "pose end to end": (
        recorded("8.4.190", "YOLO26n-pose", "pose", kpt_shape="[17, 3]", end2end="True"),
        tensors((1, 300, 57)),
        "pose",
        "yolo_end2end",
        {"keypoints": 17, "keypoint_dims": 3},
    ),
    "obb": (
        recorded("8.4.190", "YOLO11n-obb", "obb"),
        tensors((1, 85, 2100)),
        "oriented",
        "yolo",
        {"rotated": True, **NMS},
    ),
    "obb end to end": (
        recorded("8.4.190", "YOLO26n-obb", "obb", end2end="True"),
        tensors((1, 300, 7)),
        "oriented",
        "yolo_end2end",
        {"rotated": True},
    ),
    "classify": (
        recorded("8.4.190", "YOLO11n-cls", "classify", **CLS),
        tensors((1, 1000)),
        "classify",
        "scores",
        {},
    ),
    "semantic": (
        recorded("8.4.190", "YOLO26n-sem", "semantic"),
        tensors((1, 320, 320), dtype="uint8"),
        "semantic",
        "label_map",
        {},
    ),
    # RT-DETR: rows of 4 + classes up to 8.4.46, of 6 from 8.4.47; known by its name before the key `head`.
    "rtdetr of 8.4.0": (recorded("8.4.0", "rtdetr-l"), tensors((None, None, None)), "detect", "rtdetr", {}),
    "rtdetr of 8.4.0, simplified": (
        recorded("8.4.0", "rtdetr-l"),
        tensors((1, 300, 84)),
        "detect",
        "rtdetr",
        {},
    ),
    "rtdetr of 8.4.46, graph unknown": (recorded("8.4.46", "rtdetr-l"), (), "detect", "rtdetr", {}),
    "rtdetr of 8.4.47, graph unknown": (
        recorded("8.4.47", "rtdetr-l"),
        (),
        "detect",
        "rtdetr",
        {"selected": True},
    ),
    "rtdetr of 8.4.190": (
        recorded("8.4.190", "mine", head="RTDETRDecoder"),
        tensors((None, None, 6)),
        "detect",
        "rtdetr",
        {"selected": True},
    ),
    "rtdetr of two classes, old": (
        recorded("8.4.0", "rtdetr-l", names="['a', 'b']"),
        tensors((1, 300, 6)),
        "detect",
        "rtdetr",
        {},
    ),
    "rtdetr of two classes, new": (
        recorded("8.4.190", "rtdetr-l", names="['a', 'b']"),
        tensors((1, 300, 6)),
        "detect",
        "rtdetr",
        {"selected": True},
    ),
}


@pytest.mark.parametrize("case", DECODERS.values(), ids=DECODERS.keys())
def test_task_decoder_and_params_follow_from_metadata_and_graph(
    case: tuple[dict[str, str], tuple[TensorInfo, ...], str, str, dict[str, Any]],
) -> None:
    metadata, outputs, task, decoder, params = case
    spec = spec_from_ultralytics(metadata, outputs=outputs)
    assert (spec.task, spec.decoder.name) == (task, decoder)
    defaults = decoder_params(type(spec.decoder)(name=decoder))
    assert decoder_params(spec.decoder) == {**defaults, **params}
    assert spec.thresholds == Thresholds(confidence=0.25, iou=0.7, max_detections=300)


IMAGE = (1, 3, 320, 320)
FREE = (None, 3, None, None)

# metadata, the graph's input, what differs from ImageInput's defaults
INPUTS: dict[str, tuple[dict[str, str], tuple[int | None, ...] | None, dict[str, Any]]] = {
    "square": (recorded("8.4.190", "YOLO11n"), IMAGE, {"size_hw": (320, 320)}),
    "not square, batch of 2": (
        recorded("8.4.190", "YOLO11n", imgsz="[320, 416]", batch="2"),
        (2, 3, 320, 416),
        {"size_hw": (320, 416), "batch": 2},
    ),
    "graph unknown": (
        recorded("8.4.190", "YOLO11n", imgsz="[320, 416]", batch="2"),
        None,
        {"size_hw": (320, 416), "batch": 2},
    ),
    "imgsz a number": (recorded("8.2.100", "YOLOv8n", imgsz="320"), None, {"size_hw": (320, 320)}),
    "dynamic": (
        recorded("8.4.190", "YOLO11n", args=args(dynamic=True)),
        FREE,
        {"size_hw": (320, 320), "batch": None, "multiple": 32},
    ),
    "dynamic, graph unknown": (
        recorded("8.4.190", "YOLO11n", args=args(dynamic=True)),
        None,
        {"size_hw": (320, 320), "batch": None, "multiple": 32},
    ),
    "dynamic of 8.2, which does not say": (
        recorded("8.2.100", "YOLOv8n"),
        FREE,
        {"size_hw": (320, 320), "batch": None, "multiple": 32},
    ),
    "dynamic of stride 64": (
        recorded("8.4.190", "YOLO26n-p6", stride="64"),
        FREE,
        {"size_hw": (320, 320), "batch": None, "multiple": 64},
    ),
    "only the batch is free": (
        recorded("8.2.100", "YOLOv8n"),
        (None, *IMAGE[1:]),
        {"size_hw": (320, 320), "batch": None},
    ),
    "gray": (
        recorded("8.4.190", "YOLO11n", channels="1"),
        (1, 1, 320, 320),
        {"size_hw": (320, 320), "color": "gray"},
    ),
    "classify square": (
        recorded("8.4.190", "YOLO11n-cls", "classify", **CLS),
        (1, 3, 224, 224),
        {"size_hw": (224, 224), "resize": "shortest_side_crop", "filter": "bilinear_antialias"},
    ),
    "classify not square": (
        recorded("8.4.190", "YOLO11n-cls", "classify", stride="1", imgsz="[224, 256]"),
        (1, 3, 224, 256),
        {"size_hw": (224, 256), "resize": "stretch", "filter": "bilinear_antialias"},
    ),
    "classify dynamic": (
        recorded("8.4.0", "YOLOv8n-cls", "classify", args=args(dynamic=True), **CLS),
        FREE,
        {
            "size_hw": (224, 224),
            "batch": None,
            "resize": "shortest_side_crop",
            "filter": "bilinear_antialias",
        },
    ),
    "rtdetr": (recorded("8.4.190", "rtdetr-l"), IMAGE, {"size_hw": (320, 320), "resize": "stretch"}),
    "rtdetr dynamic": (
        recorded("8.4.190", "rtdetr-l", args=args(dynamic=True)),
        FREE,
        {"size_hw": (320, 320), "batch": None, "resize": "stretch"},
    ),
}


@pytest.mark.parametrize("case", INPUTS.values(), ids=INPUTS.keys())
def test_preprocessing_is_that_of_ultralytics_own_predictor(
    case: tuple[dict[str, str], tuple[int | None, ...] | None, dict[str, Any]],
) -> None:
    metadata, shape, fields = case
    inputs = () if shape is None else (TensorInfo("images", shape, "float32"),)
    spec = spec_from_ultralytics(metadata, inputs=inputs)
    assert spec.inputs == (ImageInput(**fields),)


def test_name_and_type_of_the_input_come_from_the_graph_not_from_half() -> None:
    # An export with half=True on a CPU says so in args and has float32 tensors all the same.
    metadata = recorded("8.4.190", "YOLO11n", args=args(quantize=16, half=True))
    assert spec_from_ultralytics(metadata).inputs[0].dtype == "float32"
    given = spec_from_ultralytics(metadata, inputs=[TensorInfo("x", IMAGE, "float16")]).inputs[0]
    assert (given.name, given.dtype) == ("x", "float16")


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        ("{0: 'person', 1: 'bi\\'cycle'}", ("person", "bi'cycle")),
        ("{'0': 'a', '1': 'b'}", ("a", "b")),
        ("['a', 'b']", ("a", "b")),
        ("{1: 'b', 3: 'd'}", ("0", "b", "2", "d")),
        ("{0: 7}", ("7",)),
    ],
    ids=["dict", "keys as JSON has them", "list", "sparse", "a number for a name"],
)
def test_names_become_labels_by_class_id(names: str, labels: tuple[str, ...]) -> None:
    assert spec_from_ultralytics(recorded("8.4.190", "YOLO11n", names=names)).labels == labels


def test_the_source_is_told() -> None:
    source = spec_from_ultralytics(recorded("8.4.190", "YOLO11n")).source
    assert (source.framework, source.framework_version, source.model) == ("ultralytics", "8.4.190", "YOLO11n")
    assert source.license.startswith("AGPL-3.0")
    assert source.description == "Ultralytics YOLO11n model"


GOOD = recorded("8.4.190", "YOLO11n")
BAD: dict[str, tuple[dict[str, Any], tuple[TensorInfo, ...], str]] = {
    "no names": (
        {"names": ""},
        (),
        "the Ultralytics metadata lacks the key 'names', it has ['args', 'author'",
    ),
    "task": (
        {"task": "track"},
        (),
        "the Ultralytics task must be one of detect, segment, pose, obb, classify",
    ),
    "names no literal": ({"names": "dict(a=1)"}, (), "the Ultralytics names must be a Python literal"),
    "names a call": ({"names": "__import__('os')"}, (), "the Ultralytics names must be a Python literal"),
    "names a number": (
        {"names": "3"},
        (),
        "the Ultralytics names must be a list or a dict of class names, got 3",
    ),
    "names empty": (
        {"names": "{}"},
        (),
        "the Ultralytics names must be a list or a dict of class names, got {}",
    ),
    "class id far away": (
        {"names": "{99999999: 'a'}"},
        (),
        "the Ultralytics names must have class ids 0-65535",
    ),
    "class id negative": (
        {"names": "{-1: 'a'}"},
        (),
        "the Ultralytics names must have class ids 0-65535, got -1",
    ),
    "class id a word": (
        {"names": "{'a': 'a'}"},
        (),
        "the Ultralytics names must have class ids 0-65535, got 'a'",
    ),
    "class id true": (
        {"names": "{True: 'a'}"},
        (),
        "the Ultralytics names must have class ids 0-65535, got True",
    ),
    "imgsz of three": ({"imgsz": "[3, 320, 320]"}, (), "the Ultralytics imgsz must be [height, width]"),
    "imgsz of words": ({"imgsz": "['a', 'b']"}, (), "size_hw[0] must be an integer 1-65536, got 'a'"),
    "batch": ({"batch": "'1'"}, (), "the Ultralytics batch must be an integer, got '1'"),
    "channels": ({"channels": "4"}, (), "the Ultralytics channels must be 1 or 3, got 4"),
    "args": ({"args": "[]"}, (), "the Ultralytics args must be a dict, got []"),
    "args bomb": ({"args": "[" * 100_000}, (), "the Ultralytics args must be a Python literal"),
    "pose without its shape": ({"task": "pose"}, (), "the Ultralytics kpt_shape must be [keypoints, 2 or 3]"),
    "pose of words": (
        {"task": "pose", "kpt_shape": "'ab'"},
        (),
        "the Ultralytics kpt_shape must be [keypoints",
    ),
    "pose of 4 values": (
        {"task": "pose", "kpt_shape": "[17, 4]"},
        (),
        "params.keypoint_dims must be an integer 2-3",
    ),
    "output of another width": (
        {},
        tensors((1, 99, 2100)),
        "the metadata explains an output of shape (B, 84, anchors) or (B, rows, 6), the graph has "
        "TensorInfo(name=",
    ),
    "output of another rank": ({}, tensors((1, 84)), "the metadata explains an output of shape"),
    "rtdetr of another width": (
        {"head": "RTDETRDecoder"},
        tensors((1, 300, 85)),
        "the rows of an RT-DETR of 80 classes are 84 or 6 wide, got 85",
    ),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_metadata_that_makes_no_spec_is_refused(
    case: tuple[dict[str, Any], tuple[TensorInfo, ...], str],
) -> None:
    changes, outputs, message = case
    metadata = {key: value for key, value in {**GOOD, **changes}.items() if value}
    with pytest.raises(SpecError) as caught:
        spec_from_ultralytics(metadata, outputs=outputs)
    assert str(caught.value).startswith(message)


def test_an_input_of_another_rank_is_refused() -> None:
    with pytest.raises(
        SpecError, match=r"the input of an Ultralytics model has 4 dimensions, got TensorInfo\("
    ):
        spec_from_ultralytics(GOOD, inputs=[TensorInfo("images", (1, 3), "float32")])


def test_metadata_of_ultralytics_is_told_from_others() -> None:
    assert is_ultralytics(GOOD)
    assert not is_ultralytics({})
    assert not is_ultralytics({"stride": "32", "names": "{}"})  # the original YOLOv5's


# One export each: model file, options, what the spec must say.
EXPORTS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "detect": ("yolo11n.yaml", "", "yolo", {}),
    "detect dynamic": ("yolov8n.yaml", "dynamic=True", "yolo", {"multiple": 32, "batch": None}),
    "detect nms": ("yolo11n.yaml", "nms=True", "yolo_end2end", {}),
    "v10 end to end": ("yolov10n.yaml", "nms=False", "yolo_end2end", {}),
    "segment": ("yolo11n-seg.yaml", "", "yolo", {}),
    "pose": ("yolo11n-pose.yaml", "", "yolo", {}),
    "obb": ("yolo11n-obb.yaml", "", "yolo", {}),
    "classify": ("yolo11n-cls.yaml", "", "scores", {"resize": "shortest_side_crop"}),
    "rtdetr": ("rtdetr-l.yaml", "", "rtdetr", {"resize": "stretch"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", EXPORTS.values(), ids=EXPORTS.keys())
def test_a_real_export_has_a_spec_that_fits_its_tensors(
    case: tuple[str, str, str, dict[str, Any]], tmp_path: Path
) -> None:
    pytest.importorskip("ultralytics")
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    name, options, decoder, fields = case
    kind = "RTDETR" if name.startswith("rtdetr") else "YOLO"
    # In its own process: it changes global settings, writes beside the working folder, and warns.
    code = (
        "import torch, ultralytics; torch.set_num_threads(1); "
        f"ultralytics.{kind}({name!r}).export(format='onnx', imgsz=64, simplify=False, {options})"
    )
    environment = {"YOLO_AUTOINSTALL": "0", "YOLO_OFFLINE": "1", "YOLO_CONFIG_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    path = tmp_path / name.replace(".yaml", ".onnx")
    assert is_ultralytics(read_onnx_header(path).metadata)
    spec = load_spec(path)
    assert isinstance(spec, ModelSpec)
    assert spec.decoder.name == decoder
    image = spec.inputs[0]
    assert {key: getattr(image, key) for key in fields} == fields
    inputs, _ = read_onnx_io(path)
    assert [(one.name, one.dtype) for one in inputs] == [(image.name, image.dtype)]
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    shape = (image.batch or 1, 3, *image.size_hw)
    outputs = session.run(None, {image.name: np.full(shape, 0.5, np.float32)})
    check_rows(spec, [output.shape for output in outputs])


def check_rows(spec: ModelSpec, shapes: list[tuple[int, ...]]) -> None:
    """Asserts that the outputs have the shapes that the decoder's table gives."""
    params, classes = decoder_params(spec.decoder), len(spec.labels)
    extra = extra_channels(params)
    if spec.decoder.name == "yolo":
        assert shapes[0][1] == 4 + classes + extra
    elif spec.decoder.name == "yolo_end2end":
        assert shapes[0][2] == 6 + extra
    elif spec.decoder.name == "rtdetr":
        assert shapes[0][2] == (6 if params["selected"] else 4 + classes)
    else:
        assert shapes[0][1] == classes
    if params.get("masks"):
        assert shapes[1][1] == params["masks"]
