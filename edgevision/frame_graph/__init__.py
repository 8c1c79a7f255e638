"""A whole frame on the GPU: upload, preprocessing, network, decoding and download as one recorded graph."""

from __future__ import annotations

from edgevision.frame_graph.given import check_frame, check_images
from edgevision.frame_graph.graph import FrameGraph, Pending, device_session
from edgevision.frame_graph.image_encoder import ImageEncoder
from edgevision.frame_graph.slot import NoFixedOutputsError

__all__ = [
    "FrameGraph",
    "ImageEncoder",
    "NoFixedOutputsError",
    "Pending",
    "check_frame",
    "check_images",
    "device_session",
]
