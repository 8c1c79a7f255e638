"""The frames that every form of a network is judged on, and what PyTorch makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.export.errors import ExportError
from edgevision.export.network import Feeds, Network, Part
from edgevision.geometry import Placement
from edgevision.imageio import IMAGE_SUFFIXES, read_image
from edgevision.spec import ModelSpec
from edgevision.tasks.preparation import ImagePreparation

__all__ = [
    "GOLDEN_COUNT",
    "Frame",
    "PartReference",
    "default_frames",
    "first_runs",
    "prepare_frame",
    "read_frames",
    "run_module",
    "run_network",
]

GOLDEN_COUNT = 4
"""Frames in a bundle: enough for different sizes and contents, few enough to run on a device in a moment."""

# Size and seed of the rendered frames: landscape, portrait, square and small, so that every branch of a resize is taken.
_RENDERED = (((720, 1280), 11), ((640, 480), 12), ((512, 512), 13), ((240, 320), 14))


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture and what to call it in reports. source: the array itself, or the file that it is read from each time.

    Hundreds of photographs to calibrate on would not fit in memory at once.
    """

    name: str
    source: NDArray[np.uint8] | Path

    @property
    def image(self) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) BGR."""
        return read_image(self.source) if isinstance(self.source, Path) else self.source


@dataclass(frozen=True, slots=True, eq=False)
class PartReference:
    """What a part was fed, and what PyTorch gave for it: one entry a run.

    names: of the frame (or, for a part with runs of its own, of the run) that each belongs to.
    placements: where each frame lies in the input of "model"; empty for other parts.
    """

    part: Part
    names: tuple[str, ...]
    feeds: tuple[Feeds, ...]
    outputs: tuple[dict[str, NDArray[Any]], ...]
    placements: tuple[list[Placement], ...] = ()


def first_runs(reference: PartReference, count: int) -> PartReference:
    """The reference with its first runs alone."""
    return replace(
        reference,
        names=reference.names[:count],
        feeds=reference.feeds[:count],
        outputs=reference.outputs[:count],
        placements=reference.placements[:count],
    )


def default_frames(count: int = GOLDEN_COUNT) -> list[Frame]:
    """Frames rendered here and now, always the same: the demo's conveyor in several sizes and shapes.

    Pictures, not noise: white noise averages out in the first layers and hides differences in the later ones.
    Needs OpenCV (extra `video`).
    """
    from edgevision.demo.scene import Scene

    frames = []
    for index in range(count):
        size_hw, seed = _RENDERED[index % len(_RENDERED)]
        seed += len(_RENDERED) * (index // len(_RENDERED))
        image = Scene(seed, size_hw).frame(float(index)).image
        frames.append(Frame(f"conveyor_{size_hw[1]}x{size_hw[0]}_{seed}", np.ascontiguousarray(image)))
    return frames


def read_frames(source: str | PathLike[str] | Iterable[Any], limit: int | None = None) -> list[Frame]:
    """The frames of a folder, or of a list of pictures: arrays uint8 (H, W, 3) BGR, or paths.

    limit: at most so many, evenly spread over the folder.
    Raises InputError for a folder without pictures, or something that is none.
    """
    if isinstance(source, (str, PathLike)):
        folder = Path(source)
        if not folder.is_dir():
            raise InputError(f"images must be a folder of pictures, got {folder}, which is no folder")
        items: list[Any] = sorted(
            path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
        )
        if not items:
            raise InputError(f"{folder} holds no pictures; accepted: {', '.join(IMAGE_SUFFIXES)}")
    else:
        items = list(source)
    if limit is not None and len(items) > limit:
        items = [items[i] for i in np.linspace(0, len(items) - 1, limit).round().astype(int)]
    return [_as_frame(item, index) for index, item in enumerate(items)]


def _as_frame(item: Any, index: int) -> Frame:
    if isinstance(item, Frame):
        return item
    if isinstance(item, (str, PathLike)):
        return Frame(Path(item).name, Path(item))
    if isinstance(item, np.ndarray) and item.dtype == np.uint8 and item.ndim == 3 and item.shape[2] == 3:
        return Frame(f"image_{index}", np.ascontiguousarray(item))
    got = f"{item.dtype} {item.shape}" if isinstance(item, np.ndarray) else type(item).__name__
    raise InputError(f"images[{index}] must be a uint8 (H, W, 3) BGR array or a path, got {got}")


def prepare_frame(spec: ModelSpec, image: NDArray[np.uint8]) -> tuple[Feeds, list[Placement]]:
    """The inputs of one frame, through the preprocessing that the runtime itself uses, and where the image lies.

    Always float32: what a form's inputs are beside that is a cast. A fixed batch is filled with the same image.
    """
    feeds: Feeds = {}
    placements: list[Placement] = []
    for item in spec.inputs:
        rows = item.batch or 1

        def buffer(name: str, shape: tuple[int, ...], dtype: str = item.dtype) -> NDArray[Any]:
            return feeds.setdefault(name, np.zeros(shape, dtype))

        placements = ImagePreparation(item).write([image] * rows, buffer, rows)
    return feeds, placements[:1]


def run_network(network: Network, frames: Sequence[Frame]) -> list[PartReference]:
    """What PyTorch computes of each part, "model" first."""
    names = tuple(frame.name for frame in frames)
    prepared = [prepare_frame(network.spec, frame.image) for frame in frames]
    feeds = tuple(one for one, _ in prepared)
    first = network.parts[0]
    outputs = tuple(run_module(first, one) for one in feeds)
    references = [PartReference(first, names, feeds, outputs, tuple(placed for _, placed in prepared))]
    for part in network.parts[1:]:
        references.append(_run_part(part, references[0]))
    return references


def _run_part(part: Part, model: PartReference) -> PartReference:
    if part.feeds is None:
        raise InputError(f"part {part.role!r} does not say what it is fed with: only 'model' takes frames")
    feeds = tuple(part.feeds(model.outputs))
    if not feeds:
        raise InputError(f"part {part.role!r} is fed with nothing; its `feeds` must give at least one run")
    own = len(feeds) != len(model.names)
    names = tuple(f"run {index}" for index in range(len(feeds))) if own else model.names
    return PartReference(part, names, feeds, tuple(run_module(part, one) for one in feeds))


def run_module(
    part: Part, feeds: Mapping[str, NDArray[Any]], module: torch.nn.Module | None = None
) -> dict[str, NDArray[Any]]:
    """The outputs of a part's module (or of another one in its place) by name."""
    inputs = [torch.from_numpy(np.ascontiguousarray(feeds[name])) for name in part.inputs]
    with torch.no_grad():
        tensors = _tensors((module or part.module).eval()(*inputs))
    if len(tensors) < len(part.outputs):
        raise ExportError(
            f"part {part.role!r} returns {len(tensors)} tensors and names {len(part.outputs)} outputs: "
            f"{', '.join(part.outputs)}"
        )
    # A copy: a module may hand out a buffer of its own, or a view of its input.
    return {name: tensor.numpy().copy() for name, tensor in zip(part.outputs, tensors, strict=False)}


def _tensors(value: object) -> list[torch.Tensor]:
    """The tensors in a module's output, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [tensor for item in value.values() for tensor in _tensors(item)]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in _tensors(item)]
    raise ExportError(
        f"the network returns {type(value).__name__}; a tensor or a tuple of tensors can be exported"
    )
