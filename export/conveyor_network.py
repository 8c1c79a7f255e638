"""A trained network of the demo as the exporter takes it: modules to trace, and the spec that goes with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgevision.demo.scene import CLASS_NAMES
from edgevision.export.conveyor_classifiers import ConveyorVit, VitWithFeatures
from edgevision.export.conveyor_data import CROP_HW, INPUT_HW
from edgevision.export.conveyor_instances import KEYPOINTS, MASKS
from edgevision.export.conveyor_promptable import ConveyorPromptable
from edgevision.export.conveyor_training import Trained, read_trained
from edgevision.export.conveyor_yolo import conveyor_spec
from edgevision.export.network import Axis, Feeds, Network, Part
from edgevision.spec import Decoder, ImageInput, ModelSpec, Source
from edgevision.spec.files import file_sha256

__all__ = ["network_of", "read_conveyor", "spec_of"]

_FRAME = ImageInput(name="images", size_hw=INPUT_HW, batch=None)
_CROP = ImageInput(name="images", size_hw=CROP_HW, batch=None, filter="bilinear_antialias")
_OUTPUTS = {
    "instances": ("output0", "output1"),
    "unet": ("logits",),
    "resnet": ("logits",),
    "vit": ("logits", "features"),
}
_PROMPTS = (
    ([[90.0, 60.0]], [1.0]),
    ([[220.0, 120.0], [300.0, 40.0]], [1.0, 0.0]),
    ([[60.0, 40.0], [120.0, 110.0]], [2.0, 3.0]),
)
"""Points and labels, in input pixels, that the decoder is compared with PyTorch on."""


def spec_of(name: str) -> ModelSpec:
    """What the network of a recipe takes and gives; its source is filled in on export."""
    if name in ("yolo", "instances"):
        spec = replace(conveyor_spec(CLASS_NAMES), inputs=(_FRAME,))
        params = {"masks": MASKS, "keypoints": KEYPOINTS} if name == "instances" else {}
        task = "instances" if name == "instances" else "detect"
        return replace(spec, task=task, decoder=Decoder(name="yolo", params=params))
    if name == "unet":
        labels = ("background", *CLASS_NAMES)
        return ModelSpec(
            task="semantic", inputs=(_FRAME,), decoder=Decoder(name="class_logits"), labels=labels
        )
    if name == "promptable":
        return ModelSpec(
            task="promptable",
            inputs=(replace(_FRAME, batch=1),),
            decoder=Decoder(name="sam", params={"single_first": False}),
        )
    scores = Decoder(name="scores", params={"activation": "softmax"})
    return ModelSpec(task="classify", inputs=(_CROP,), decoder=scores, labels=CLASS_NAMES)


def read_conveyor(path: Path) -> Network:
    """The network in a file that train_conveyor.py wrote. Raises ModelFileError for any other."""
    return network_of(read_trained(path), file_sha256(path))


def network_of(trained: Trained, weights_sha256: str = "") -> Network:
    """The network, ready to export."""
    source = Source(
        framework="torch",
        framework_version=torch.__version__.split("+")[0],
        model=f"conveyor_{trained.name}",
        weights_sha256=weights_sha256,
        license="Apache-2.0",
        description="Parts on the synthetic conveyor of edgevision.demo",
    )
    spec = replace(spec_of(trained.name), source=source)
    image = spec.inputs[0]
    example = (torch.zeros(1, 3, *image.size_hw),)
    if isinstance(trained.module, ConveyorPromptable):
        return Network(spec=spec, parts=_promptable_parts(trained.module, example))
    module = VitWithFeatures(trained.module) if isinstance(trained.module, ConveyorVit) else trained.module
    outputs = _OUTPUTS.get(trained.name, ("output0",))
    return Network(
        spec=spec,
        parts=(Part(module=module.eval(), example=example, inputs=(image.name,), outputs=outputs),),
    )


def _promptable_parts(model: ConveyorPromptable, example: tuple[torch.Tensor, ...]) -> tuple[Part, ...]:
    decoder = model.decoder
    with torch.no_grad():
        embedding = model.encoder(example[0])
    no_mask = torch.zeros(1, 1, *decoder.mask_hw)

    def feeds(outputs: Sequence[Mapping[str, NDArray[Any]]]) -> list[Feeds]:
        runs = []
        for index, given in enumerate(outputs):
            points, labels = _PROMPTS[index % len(_PROMPTS)]
            earlier = np.random.default_rng(index).normal(0, 4, no_mask.shape).astype(np.float32)
            runs.append(
                {
                    "image_embeddings": given["image_embeddings"],
                    "point_coords": np.array([points], np.float32),
                    "point_labels": np.array([labels], np.float32),
                    "mask_input": earlier,
                    "has_mask_input": np.array([index % 2], np.float32),
                }
            )
        return runs

    points = Axis("points", low=1, high=64)
    return (
        Part(module=model.encoder, example=example, inputs=("images",), outputs=("image_embeddings",)),
        Part(
            role="decoder",
            module=decoder,
            example=(embedding, torch.zeros(1, 2, 2), torch.ones(1, 2), no_mask, torch.zeros(1)),
            inputs=("image_embeddings", "point_coords", "point_labels", "mask_input", "has_mask_input"),
            outputs=("low_res_masks", "iou_predictions"),
            dynamic={"point_coords": {1: points}, "point_labels": {1: points}},
            feeds=feeds,
            # In 8 bits the waves of a position are noise: the mean overlap fell by 21 points, with the encoder alone by 0.1.
            precisions=("fp32", "fp16"),
        ),
    )
