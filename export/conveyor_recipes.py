"""How each of the demo's models is made, fed, judged and trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from edgevision.demo.scene import CLASS_NAMES, Frame
from edgevision.export.conveyor_batch import make_batch
from edgevision.export.conveyor_cache import load_crops, load_samples
from edgevision.export.conveyor_classifiers import (
    ConveyorResnet,
    ConveyorVit,
    classifier_loss,
    make_crop_batch,
)
from edgevision.export.conveyor_data import INPUT_HW
from edgevision.export.conveyor_eval import validate_detector
from edgevision.export.conveyor_instances import TRUNK, ConveyorInstances
from edgevision.export.conveyor_instances_loss import instances_loss
from edgevision.export.conveyor_loss import detector_loss
from edgevision.export.conveyor_promptable import PROMPT_TRUNK, ConveyorPromptable
from edgevision.export.conveyor_prompts import make_prompt_batch, promptable_loss
from edgevision.export.conveyor_trainer import Loss, Schedule
from edgevision.export.conveyor_unet import UNET_TRUNK, ConveyorUnet, make_unet_batch, unet_loss
from edgevision.export.conveyor_validation import (
    validate_classifier,
    validate_instances,
    validate_promptable,
    validate_unet,
)
from edgevision.export.conveyor_yolo import ConveyorYolo

__all__ = ["RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """make: a fresh network. trunk: its children that start from the trained detector and stay as they are. load: the
    training data in the cache's files. batch: some rows of them. loss: of a batch. validate: figures of the network on
    some frames. size: rows a step and process."""

    make: Callable[[], nn.Module]
    loss: Loss
    validate: Callable[[Any, Sequence[Frame]], dict[str, float]]
    schedule: Schedule
    trunk: tuple[str, ...] = ()
    load: Callable[[Sequence[Path]], Any] = load_samples
    batch: Callable[[Any, npt.NDArray[np.integer], np.random.Generator], Any] = make_batch
    size: int = 8


_CLASSES = len(CLASS_NAMES)
_CLASSIFIER = partial(
    Recipe,
    loss=classifier_loss,
    validate=validate_classifier,
    load=load_crops,
    batch=make_crop_batch,
    size=64,
)

RECIPES: dict[str, Recipe] = {
    "yolo": Recipe(
        partial(ConveyorYolo, _CLASSES), detector_loss, validate_detector, Schedule(40.0, bfloat16=False)
    ),
    "instances": Recipe(
        partial(ConveyorInstances, _CLASSES), instances_loss, validate_instances, Schedule(20.0), TRUNK
    ),
    "unet": Recipe(
        partial(ConveyorUnet, _CLASSES + 1), unet_loss, validate_unet, Schedule(12.0, rate=3e-3), UNET_TRUNK,
        batch=make_unet_batch, size=12,
    ),
    "resnet": _CLASSIFIER(partial(ConveyorResnet, _CLASSES), schedule=Schedule(6.0, rate=4e-3)),
    "vit": _CLASSIFIER(partial(ConveyorVit, _CLASSES), schedule=Schedule(10.0, rate=1e-3, decay=0.05)),
    "promptable": Recipe(
        partial(ConveyorPromptable, INPUT_HW), promptable_loss, validate_promptable,
        Schedule(30.0, rate=1.5e-3, warm_steps=60), PROMPT_TRUNK, batch=make_prompt_batch, size=6,
    ),
}  # fmt: skip
"""By the name of the model: `conveyor_NAME`. The detector comes first, the others start from it."""
