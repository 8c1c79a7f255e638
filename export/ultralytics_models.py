"""Networks of Ultralytics' library by name: built without weights, or its published checkpoints downloaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgevision.errors import InputError, ModelFileError
from edgevision.export.random_convolutions import leaves_images, randomize_convolutions
from edgevision.export.ultralytics_library import import_ultralytics

__all__ = ["MODEL_CLASSES", "build_model", "build_random_model", "download_checkpoint"]

MODEL_CLASSES = {
    "detect": "DetectionModel",
    "segment": "SegmentationModel",
    "pose": "PoseModel",
    "obb": "OBBModel",
    "classify": "ClassificationModel",
}
"""Ultralytics' word for a task -> its class of networks, of those that can be exported."""

_NAMES = "yolov5n, yolov8n, yolov9t, yolov10n, yolo11n, yolo12n, yolo26n and their other sizes; -seg, -pose, -obb, -cls"
_RANDOM_PICTURE_HW = (256, 256)
"""Of the picture that sets the scales of a random network: eight cells a side at the deepest level."""


def build_model(
    name: str,
    *,
    classes: int | None = None,
    channels: int = 3,
    keypoints: tuple[int, int] | None = None,
) -> nn.Module:
    """The network that Ultralytics calls `name`, as it is before training.

    name:      "yolo11n-seg", with or without .yaml or .pt, or the path of a .yaml of the user's own.
    classes:   None takes what the name's definition says, 80 for most.
    keypoints: (number, 2 or 3 values each), for -pose; None takes the definition's 17 of 3.
    Raises InputError for a name it does not know, MissingDependencyError without the library.
    """
    import_ultralytics(f"building {name}")
    from ultralytics.nn import tasks

    definition = re.sub(r"\.(yaml|yml|pt)$", "", name)
    definition = re.sub(r"^(yolov[35].*)u$", r"\1", definition) + ".yaml"  # yolov5nu is its checkpoint's name
    try:
        content = tasks.yaml_model_load(definition)
        task = tasks.guess_model_task(content)
        if task not in MODEL_CLASSES:
            raise InputError(f"{name} is for task {task}; accepted tasks: {', '.join(MODEL_CLASSES)}")
        options: dict[str, Any] = {"ch": channels, "nc": classes, "verbose": False}
        if task == "pose" and keypoints is not None:
            options["data_kpt_shape"] = keypoints
        return getattr(tasks, MODEL_CLASSES[task])(definition, **options)
    except FileNotFoundError:
        raise InputError(
            f"Ultralytics knows no network {name!r}; it has {_NAMES}, or takes the path of a .yaml file"
        ) from None


def build_random_model(
    name: str, *, labels: Sequence[str] | None = None, keypoints: tuple[int, int] | None = None, seed: int = 0
) -> nn.Module:
    """`build_model` with random weights under which it finds a few objects in a picture.

    labels: the names of its classes; None takes the definition's number of them.
    """
    model: Any = build_model(name, classes=None if labels is None else len(labels), keypoints=keypoints)
    randomize_convolutions(model, leaves_images(2, _RANDOM_PICTURE_HW), seed)
    head = list(model.model)[-1]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for branch in ("cv3", "one2one_cv3"):
            for level in getattr(head, branch, ()):
                # With logits of variance 2 around -6, two of 10,000 scores exceed 0.25: a crowded picture's share.
                nn.init.normal_(level[-1].bias, -6.0, 1.0)
        if getattr(head, "reg_max", 0) == 1:
            for branch in ("cv2", "one2one_cv2"):
                for level in getattr(head, branch, ()):
                    # Without a distribution the sides are what the convolution says, and may not be negative.
                    nn.init.normal_(level[-1].bias, 4.0, 0.5)
    if labels is not None:
        model.names = dict(enumerate(labels))
    return model


def download_checkpoint(path: Path) -> Path:
    """`path`, downloaded by Ultralytics' library where it names one of its published checkpoints.

    Raises ModelFileError when there is no network, or no such checkpoint.
    """
    import_ultralytics(f"downloading {path.name}")
    from ultralytics.utils import downloads

    if path.name not in downloads.GITHUB_ASSETS_NAMES:
        raise ModelFileError(f"there is no checkpoint {path}, and Ultralytics publishes none of that name")
    try:
        downloads.attempt_download_asset(path)
    except OSError as error:
        raise ModelFileError(
            f"{path} is not here and cannot be downloaded ({str(error).strip()}); copy it here from a machine that has "
            f"a network, or pass --random for a network without training"
        ) from None
    if not path.is_file():
        raise ModelFileError(f"{path} is not here, and Ultralytics' library did not download it")
    return path
