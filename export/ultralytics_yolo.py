"""A network of Ultralytics' library, set to be deployed, with the spec of its own predictor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgevision.errors import InputError, ModelFileError
from edgevision.export.dynamic_size import size_axes
from edgevision.export.network import Network, Part
from edgevision.export.ultralytics_half import half_module
from edgevision.export.ultralytics_library import import_ultralytics
from edgevision.export.ultralytics_models import MODEL_CLASSES
from edgevision.spec import ModelSpec, Source, spec_from_ultralytics

__all__ = ["network_of_ultralytics"]

_TASKS = {name: task for task, name in MODEL_CLASSES.items()}


def network_of_ultralytics(
    module: Any,
    *,
    source: Source,
    arguments: Mapping[str, Any] | None = None,
    size_hw: tuple[int, int] | None = None,
    end2end: bool = True,
    dynamic_batch: bool = False,
    dynamic_size: bool = False,
) -> Network:
    """A network of Ultralytics' library, set to be traced, and its spec.

    module:    one of Ultralytics' classes of networks. It is changed: fused, its head set to what is deployed.
    source:    where its weights come from; the library's name, version and licence are added.
    arguments: those it was trained with; imgsz of them is the size unless size_hw is given.
    end2end:   False takes the one-to-many head of networks that have both (YOLOv10, YOLO26).
    dynamic_size: the input may be smaller, where a letterboxed frame leaves rows or columns unused.
    Raises InputError for a size that does not suit, ModelFileError for a network of another task.
    """
    task = _TASKS.get(type(module).__name__)
    if task is None:
        raise ModelFileError(f"a {type(module).__name__} cannot be exported; accepted: {', '.join(_TASKS)}")
    module = module.float().eval().requires_grad_(False)
    head = list(module.model)[-1]
    if hasattr(head, "one2one_cv2"):
        # A network with both heads uses whichever this says; fuse() then drops the other.
        head.end2end = end2end
    else:
        end2end = False
    size_hw = size_hw or _trained_size(arguments or {}, task)
    spec = spec_from_ultralytics(_metadata(module, head, task, size_hw, end2end))
    image = replace(spec.inputs[0], batch=None if dynamic_batch else 1)
    if dynamic_size:
        image = replace(image, multiple=_multiple(module, task, end2end))
    source = replace(
        source,
        framework="ultralytics",
        framework_version=str(import_ultralytics("exporting").__version__),
        license="AGPL-3.0 (Ultralytics)",
    )
    spec = replace(spec, inputs=(image,), source=source)
    if task == "segment":
        spec = spec.replace(decoder={"params": {**spec.decoder.params, "masks": int(head.nm)}})
    module = module.fuse(verbose=False)
    # Without `export` the head returns raw feature maps; without `dynamic` it keeps the first batch's size.
    head.export, head.format, head.dynamic = True, "onnx", dynamic_batch or dynamic_size
    channels = 1 if image.color == "gray" else 3
    part = Part(
        module=module,
        example=(torch.zeros(1, channels, *size_hw),),
        inputs=(image.name,),
        # The networks that give prototypes give two tensors; the rest give one.
        outputs=("output0", "output1") if task == "segment" else ("output0",),
        dynamic=size_axes(image),
        # A head that selects its boxes leaves the order of equal scores to its runtime.
        selected=frozenset({"output0"}) if end2end else frozenset(),
        half=lambda: half_module(module),
    )
    return Network(spec=spec, parts=(part,), preprocess=_preprocessing(spec))


def _trained_size(arguments: Mapping[str, Any], task: str) -> tuple[int, int]:
    trained = arguments.get("imgsz", 224 if task == "classify" else 640)
    return (trained, trained) if isinstance(trained, int) else (int(trained[0]), int(trained[1]))


def _stride(module: Any) -> int:
    return int(max(float(step) for step in getattr(module, "stride", torch.tensor([32.0]))))


def _multiple(module: Any, task: str, end2end: bool) -> int:
    """What the sides of an input of dynamic size are multiples of."""
    if task == "classify":
        raise InputError(
            "a classifier's frames are cropped to its size; leave out dynamic_size (--dynamic-size)"
        )
    if end2end:
        raise InputError(
            "a head that selects 300 boxes needs an input that always has as many; with a dynamic size, pass "
            "end2end=False (--one-to-many)"
        )
    return _stride(module)


def _metadata(module: Any, head: Any, task: str, size_hw: tuple[int, int], end2end: bool) -> dict[str, str]:
    """What Ultralytics' own exporter would write of this network, so that one reader serves both."""
    stride = _stride(module)
    if task != "classify" and any(side % stride for side in size_hw):
        raise InputError(f"size_hw must be multiples of the network's stride {stride}, got {size_hw}")
    metadata = {
        "description": f"Ultralytics {type(module).__name__}",
        "task": task,
        "stride": str(stride),
        "batch": "1",
        "imgsz": str(list(size_hw)),
        "names": str(dict(module.names)),
        "channels": str(int(getattr(module, "yaml", {}).get("channels", 3))),
        "end2end": str(end2end),
        "args": str({"batch": 1, "half": False, "dynamic": False, "nms": False}),
    }
    if task == "pose":
        metadata["kpt_shape"] = str(list(head.kpt_shape))
    return metadata


def _preprocessing(spec: ModelSpec) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None:
    """What Ultralytics' own predictor does to a colour frame, through the installed library."""
    from ultralytics.data.augment import LetterBox, classify_transforms

    image = spec.inputs[0]
    if image.color == "gray":
        return None
    if spec.task == "classify":
        from PIL import Image

        height, width = image.size_hw
        transform = classify_transforms(height if height == width else (height, width))
        return lambda frame: transform(Image.fromarray(frame[..., ::-1]))[None].numpy()
    # Its `auto` pads to the next multiple of the stride only.
    letterbox = LetterBox(image.size_hw, auto=image.multiple > 0, stride=image.multiple or 32)

    def preprocess(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        placed = letterbox(image=frame)
        return np.ascontiguousarray(placed[..., ::-1].transpose(2, 0, 1)[None], np.float32) / 255

    return preprocess
