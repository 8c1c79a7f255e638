"""How well a trained conveyor detector does on held-out scenes, through the deployment's own preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torchvision.ops import batched_nms

from edgevision.demo.metrics import (
    BoxDetections,
    BoxTruth,
    MaskDetections,
    MaskTruth,
    MeanAveragePrecision,
    mean_average_precision,
)
from edgevision.demo.scene import CLASS_NAMES, Frame
from edgevision.export.conveyor_batch import to_input
from edgevision.export.conveyor_data import letterbox

CONFIDENCE, NMS_IOU, MAX_DETECTIONS = 0.001, 0.7, 300

# Input float32 (1, 3, H, W) to output float32 (1, 4 + classes, A), as `ConveyorYolo.forward`.
Predictor = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
# A picture, uint8 (H, W, 3) BGR, to what is found in it.
Detector = Callable[[npt.NDArray[np.uint8]], BoxDetections]


def torch_predictor(model: nn.Module) -> Predictor:
    """`model` as a function of the input array; it is put into evaluation mode."""
    model.eval()
    device = next(model.parameters()).device

    @torch.inference_mode()
    def predict(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(model(torch.from_numpy(images).to(device)).float().cpu().numpy())

    return predict


def detect(predict: Predictor, image: npt.NDArray[np.uint8], confidence: float = CONFIDENCE) -> BoxDetections:
    """Detections in image pixels, best first, from uint8 (H, W, 3) BGR of any size."""
    boxed, scale, (left, top) = letterbox(image)
    output = torch.from_numpy(predict(to_input(boxed[None]))[0])
    scores, classes = output[4:].max(dim=0)
    keep = scores > confidence
    centre, size = output[:2, keep].T, output[2:4, keep].T
    boxes = torch.cat((centre - size / 2, centre + size / 2), dim=1)
    scores, classes = scores[keep], classes[keep]
    kept = batched_nms(boxes, scores, classes, NMS_IOU)[:MAX_DETECTIONS]
    shift = np.array([left, top, left, top], np.float32)
    found = (boxes[kept].numpy() - shift) / np.float32(scale)
    height, width = image.shape[:2]
    found = np.clip(found, 0, np.array([width, height, width, height], np.float32))
    return BoxDetections(found, scores[kept].numpy(), classes[kept].numpy())


def find_all(detector: Detector, frames: Iterable[Frame]) -> tuple[list[BoxDetections], list[BoxTruth]]:
    """What the detector says of each frame and what the frame shows, in step."""
    found, truths = [], []
    for frame in frames:
        found.append(detector(frame.image))
        truths.append(BoxTruth(frame.truth.boxes, frame.truth.class_id, frame.truth.ignored))
    return found, truths


def evaluate(predict: Predictor, frames: Iterable[Frame]) -> MeanAveragePrecision:
    """The network's average precision on the frames."""
    return mean_average_precision(*find_all(partial(detect, predict), frames), len(CLASS_NAMES))


def validate_detector(model: nn.Module, frames: Iterable[Frame]) -> dict[str, float]:
    """The network's average precisions on the frames, for the log."""
    result = evaluate(torch_predictor(model), frames)
    return {"map50_95": result.map50_95, "map50": result.map50}


def summarise(
    found: list[BoxDetections] | list[MaskDetections], truths: list[BoxTruth] | list[MaskTruth]
) -> dict[str, Any]:
    """Average precision of detections as the report gives it: rounded, classes by name."""
    result = mean_average_precision(found, truths, len(CLASS_NAMES))
    return {
        "frames": len(truths),
        "objects": result.objects,
        "map50_95": round(result.map50_95, 4),
        "map50": round(result.map50, 4),
        "map75": round(result.map75, 4),
        "ap50_95": {name: round(ap, 4) for name, ap in zip(CLASS_NAMES, result.per_class, strict=True)},
    }
