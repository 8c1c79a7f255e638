from __future__ import annotations

from typing import Any

import pytest

from edgevision.errors import SpecError
from edgevision.spec import DECODERS, TASKS, Decoder, ModelSpec, decoder_params, extra_channels


@pytest.mark.parametrize("name", DECODERS)
def test_the_defaults_of_a_decoder_pass_its_own_checks(name: str) -> None:
    defaults = decoder_params(Decoder(name=name))
    assert defaults == {key: info.default for key, info in DECODERS[name].params.items()}
    assert Decoder(name=name, params=defaults).params == defaults


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_serves_known_tasks_and_documents_everything(name: str) -> None:
    info = DECODERS[name]
    assert info.tasks
    assert set(info.tasks) <= set(TASKS)
    assert info.doc
    assert all(tensor.role and tensor.shape for tensor in info.tensors)
    assert all(param.doc for param in info.params.values())
    assert all(tensor.only_with in {"", *info.params} for tensor in info.tensors)


def test_given_params_come_before_the_defaults() -> None:
    params = decoder_params(Decoder(name="yolox", params={"decoded": True, "strides": [8, 16]}))
    assert params == {"decoded": True, "strides": (8, 16), "nms_class_offset": 0.0}


@pytest.mark.parametrize(
    ("decoder", "params", "expected"),
    [
        ("yolo", {}, 0),  # keypoint_dims alone adds nothing
        ("yolo", {"masks": 32}, 32),
        ("yolo", {"keypoints": 17}, 51),
        ("yolo_end2end", {"keypoints": 5, "keypoint_dims": 2}, 10),
        ("yolo", {"rotated": True}, 1),
        ("yolo", {"masks": 32, "num_extra": 3}, 35),
        ("yolo", {"masks": 8, "keypoints": 2}, 14),
        ("yolo_end2end", {"masks": 8, "mask_crop": "prototype"}, 8),
        ("yolov5", {}, 0),  # has none of them
    ],
)
def test_extra_channels_adds_up_the_extras(decoder: str, params: dict[str, Any], expected: int) -> None:
    assert extra_channels(decoder_params(Decoder(name=decoder, params=params))) == expected


@pytest.mark.parametrize(
    ("task", "decoder", "params", "message"),
    [
        ("instances", "yolo", {}, "decoder.params.masks must be set for task 'instances', got 0"),
        ("detect", "yolo", {"masks": 32}, "decoder.params.masks must be left at 0 for task 'detect', got 32"),
        ("pose", "yolo_end2end", {}, "decoder.params.keypoints must be set for task 'pose', got 0"),
        (
            "pose",
            "yolo",
            {"keypoints": 17, "masks": 32},
            "decoder.params.masks must be left at 0 for task 'pose'",
        ),
        ("detect", "yolo", {"keypoints": 17}, "decoder.params.keypoints must be left at 0 for task 'detect'"),
        (
            "instances",
            "yolo",
            {"keypoints": 17},
            "decoder.params.masks must be set for task 'instances', got 0",
        ),
        ("oriented", "yolo", {"rotated": False}, "decoder.params.rotated must be set for task 'oriented'"),
        (
            "detect",
            "yolo",
            {"rotated": True},
            "decoder.params.rotated must be left at False for task 'detect'",
        ),
        (
            "classify",
            "yolo",
            {},
            "decoder.name 'yolo' serves detect, instances, pose, oriented, not task 'classify'",
        ),
        (
            "depth",
            "scores",
            {},
            "decoder.name 'scores' serves classify, not task 'depth'; no decoder of this",
        ),
    ],
)
def test_task_decoder_and_params_must_fit(
    task: str, decoder: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        ModelSpec(task=task, decoder=Decoder(name=decoder, params=params))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("decoder", ["yolo", "yolo_end2end"])
@pytest.mark.parametrize("crop", ["image", "prototype"])
def test_instances_may_have_keypoints(decoder: str, crop: str) -> None:
    params = {"masks": 32, "keypoints": 5, "keypoint_dims": 2, "mask_crop": crop}
    spec = ModelSpec(task="instances", decoder=Decoder(name=decoder, params=params))
    assert spec.decoder.params == params


@pytest.mark.parametrize(
    ("task", "decoder", "params", "count"),
    [
        ("detect", "yolo", {}, 1),
        ("instances", "yolo", {"masks": 32}, 2),
        ("instances", "yolo_end2end", {"masks": 32}, 2),
        ("pose", "yolo", {"keypoints": 17}, 1),
        ("detect", "detr", {}, 2),
        ("semantic", "label_map", {}, 1),
    ],
)
def test_outputs_are_all_named_or_none(task: str, decoder: str, params: dict[str, Any], count: int) -> None:
    names = tuple(f"output{index}" for index in range(3))
    for given in range(4):
        one = Decoder(name=decoder, params=params, outputs=names[:given])
        if given in (0, count):
            assert ModelSpec(task=task, decoder=one).decoder.outputs == names[:given]
        else:
            with pytest.raises(SpecError, match=rf"^decoder.outputs must be {count} tensor names? or empty"):
                ModelSpec(task=task, decoder=one)
