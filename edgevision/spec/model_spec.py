"""The dataclasses that describe a model's pre- and postprocessing: the only description there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Decoder", "ImageInput", "ModelSpec", "Source", "Thresholds"]

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """How one image becomes one input tensor.

    A pixel p (0-255, in the order of `color`) becomes (p * scale - mean) / std. `pad_value` is in pixel units and
    goes through the same arithmetic.
    """

    name: str = "images"
    size_hw: tuple[int, int] = (640, 640)
    """(H, W) of the tensor; the largest one where `multiple` is not 0."""
    multiple: int = 0
    """0: the size is fixed. n > 0: the tensor may be smaller, its sides multiples of n (letterbox only)."""
    batch: int | None = 1
    """Images per run; None: any number."""
    resize: str = "letterbox"
    """One of geometry.RESIZE_MODES."""
    filter: str = "linear"
    """"linear", "nearest" (OpenCV's), "bilinear_antialias" or "bicubic_antialias" (Pillow's)."""
    resize_size: int | None = None
    """Shortest side before the crop, pixels (shortest_side_crop only); None: the crop's own size."""
    upscale: bool = True
    pad_value: Triple = (114.0, 114.0, 114.0)
    pad_placement: str = "center"
    color: str = "rgb"
    """"rgb", "bgr" or "gray": the order of the tensor's channels."""
    scale: float = 1.0 / 255.0
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    layout: str = "nchw"
    """"nchw" or "nhwc"."""
    dtype: str = "float32"
    """"float32", "float16" or "uint8" (uint8 only with scale 1, mean 0, std 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """How output tensors become results: a decoder's name, the tensors it reads and its parameters."""

    name: str
    outputs: tuple[str, ...] = ()
    """Names of the output tensors in the order the decoder reads them; empty: the network's own order."""
    params: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    """Checked against the decoder's table in spec/decoders.py; every missing one has its default there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Defaults that `load` and each call may override."""

    confidence: float = 0.25
    """Keep scores strictly greater, 0-1."""
    iou: float = 0.7
    """Suppress a box whose overlap with a better one is strictly greater, 0-1."""
    max_detections: int = 300
    class_agnostic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the model comes from: told by `inspect`, never used to compute."""

    framework: str = ""
    framework_version: str = ""
    model: str = ""
    weights_sha256: str = ""
    license: str = ""
    description: str = ""
    random_weights: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Everything the runtime needs to know of a model beside its graph."""

    task: str
    """One of spec.TASKS."""
    inputs: tuple[ImageInput, ...] = (ImageInput(),)
    decoder: Decoder
    labels: tuple[str, ...] = ()
    """Class names by class id; empty: unknown."""
    thresholds: Thresholds = Thresholds()
    source: Source = Source()
