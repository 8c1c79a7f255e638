"""Typed results: frozen structures of arrays in original-image pixels.

Field names follow supervision's (`xyxy`, `confidence`, `class_id`, `mask`, `tracker_id`), so that code written for
either reads the same; `to_supervision` converts.
"""

from __future__ import annotations

from typing import TypeAlias

from edgevision.results.classification import Classification
from edgevision.results.detections import Detection, Detections
from edgevision.results.embedding import Embedding
from edgevision.results.masks import Masks
from edgevision.results.oriented import OrientedDetection, OrientedDetections
from edgevision.results.prompt_masks import PromptMask, PromptMasks
from edgevision.results.segmentation import Region, Segmentation

__all__ = [
    "Classification",
    "Detection",
    "Detections",
    "Embedding",
    "Masks",
    "OrientedDetection",
    "OrientedDetections",
    "PromptMask",
    "PromptMasks",
    "Region",
    "Result",
    "Segmentation",
]

Result: TypeAlias = Classification | Detections | Embedding | OrientedDetections | PromptMasks | Segmentation
