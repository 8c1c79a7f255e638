"""Export a YOLO detector: an Ultralytics checkpoint (.pt), or the demo's own small YOLO.

The ONNX file carries its spec, so that edgevision runs it with no extra word, and is compared with PyTorch before
it is written.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from edgevision.errors import InputError, MissingDependencyError, ModelFileError
from edgevision.export.checkpoint import load_checkpoint
from edgevision.export.conveyor_yolo import ARCHITECTURE, conveyor_spec, module_from_checkpoint
from edgevision.export.onnx_graph import DEFAULT_OPSET, trace_module, write_model
from edgevision.export.parity import TensorParity, check_parity, compare_model, reference_frames
from edgevision.spec import ModelSpec, Source, spec_from_ultralytics, write_spec
from edgevision.spec.files import file_sha256

__all__ = ["YoloExport", "add_arguments", "export_yolo", "read_yolo"]


@dataclass(frozen=True, slots=True)
class YoloExport:
    """What was exported: the file, its spec, and how far each output lies from PyTorch's."""

    path: Path
    spec: ModelSpec
    parity: list[TensorParity]


def export_yolo(
    checkpoint: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    *,
    size_hw: tuple[int, int] | None = None,
    dynamic_batch: bool = False,
    end2end: bool = True,
    opset: int = DEFAULT_OPSET,
    trust: bool = False,
) -> YoloExport:
    """The ONNX file of a checkpoint, written atomically once it agrees with PyTorch.

    size_hw: the network's input; None takes the size it was trained at. Multiples of its stride.
    end2end: False takes the one-to-many head of models that have both (YOLOv10, YOLO26).
    trust: see checkpoint.load_checkpoint.
    Raises InputError, ModelFileError or ExportError.
    """
    checkpoint = Path(checkpoint)
    module, spec = read_yolo(
        checkpoint, size_hw=size_hw, end2end=end2end, dynamic_batch=dynamic_batch, trust=trust
    )
    image = replace(spec.inputs[0], batch=None if dynamic_batch else 1)
    spec = replace(spec, inputs=(image,))
    target = Path(output) if output is not None else checkpoint.with_suffix(".onnx")
    channels = 1 if image.color == "gray" else 3
    example = torch.zeros(1, channels, *image.size_hw)
    # The networks that give prototypes give two tensors; the rest give one.
    names = ["output0", "output1"] if spec.task == "instances" else ["output0"]
    model = trace_module(
        module, example, input_name=image.name, output_names=names, dynamic_batch=dynamic_batch, opset=opset
    )
    part = target.with_name(f".{target.stem}.part.onnx")
    try:
        write_model(model, part)
        frames = reference_frames(2, image.size_hw)[:, :channels]
        # A head that selects its boxes leaves the order of equal scores to its runtime.
        selected = ("output0",) if spec.decoder.name == "yolo_end2end" else ()
        parity = compare_model(module, part, frames, batch=2 if dynamic_batch else 1, selected=selected)
        check_parity(parity)
        write_spec(part, spec)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return YoloExport(target, spec, parity)


def read_yolo(
    path: Path,
    *,
    size_hw: tuple[int, int] | None = None,
    end2end: bool = True,
    dynamic_batch: bool = False,
    trust: bool = False,
) -> tuple[torch.nn.Module, ModelSpec]:
    """The module in a checkpoint, ready to trace, and the spec that goes with it."""
    content = load_checkpoint(path, trust=trust)
    if isinstance(content, dict) and content.get("architecture") == ARCHITECTURE:
        return _read_conveyor(content, path, size_hw)
    network = content.get("ema") or content.get("model") if isinstance(content, dict) else content
    if isinstance(network, torch.nn.Module) and type(network).__module__.startswith("ultralytics."):
        arguments = content.get("train_args") if isinstance(content, dict) else None
        return _read_ultralytics(network, arguments or {}, path, size_hw, end2end, dynamic_batch)
    held = ", ".join(sorted(map(str, content))[:8]) if isinstance(content, dict) else type(content).__name__
    raise ModelFileError(
        f"{path} is neither an Ultralytics checkpoint nor one of train_conveyor.py (it holds: {held}); "
        f"a bare state_dict does not say which network it belongs to"
    )


def _read_conveyor(
    content: dict[str, Any], path: Path, size_hw: tuple[int, int] | None
) -> tuple[torch.nn.Module, ModelSpec]:
    module = module_from_checkpoint(content)
    spec = conveyor_spec(content["labels"], size_hw)
    return module, replace(spec, source=replace(spec.source, weights_sha256=file_sha256(path)))


def _read_ultralytics(
    network: torch.nn.Module,
    arguments: dict[str, Any],
    path: Path,
    size_hw: tuple[int, int] | None,
    end2end: bool,
    dynamic_batch: bool,
) -> tuple[torch.nn.Module, ModelSpec]:
    try:
        import ultralytics
    except ImportError:
        raise MissingDependencyError("ultralytics", "export", f"exporting {path.name}") from None
    network = network.float().eval()
    for parameter in network.parameters():
        parameter.requires_grad = False
    head = list(network.model)[-1]
    if hasattr(head, "one2one_cv2"):
        # A model with both heads uses whichever this says; fuse() then drops the other.
        head.end2end = end2end
    else:
        end2end = False
    metadata = _ultralytics_metadata(network, head, arguments, size_hw, end2end)
    if hasattr(network, "fuse"):
        network = network.fuse(verbose=False)
    # Without `export` the head returns raw feature maps; without `dynamic` it keeps the first batch's size.
    head.export, head.format, head.dynamic = True, "onnx", dynamic_batch
    spec = spec_from_ultralytics(metadata)
    source = Source(
        framework="ultralytics",
        framework_version=str(ultralytics.__version__),
        model=path.stem,
        weights_sha256=file_sha256(path),
        license="AGPL-3.0 (Ultralytics)",
    )
    return network, replace(spec, source=source)


def _ultralytics_metadata(
    network: torch.nn.Module,
    head: torch.nn.Module,
    arguments: dict[str, Any],
    size_hw: tuple[int, int] | None,
    end2end: bool,
) -> dict[str, str]:
    """What Ultralytics' own exporter would write of this network, so that one reader serves both."""
    stride = int(max(float(step) for step in getattr(network, "stride", torch.tensor([32.0]))))
    task = _ultralytics_task(network)
    if size_hw is None:
        trained = arguments.get("imgsz", 224 if task == "classify" else 640)
        size_hw = (trained, trained) if isinstance(trained, int) else (int(trained[0]), int(trained[1]))
    if task != "classify" and any(side % stride for side in size_hw):
        raise InputError(f"size_hw must be multiples of the network's stride {stride}, got {size_hw}")
    metadata = {
        "description": f"Ultralytics {type(network).__name__}",
        "task": task,
        "stride": str(stride),
        "batch": "1",
        "imgsz": str(list(size_hw)),
        "names": str(dict(network.names)),
        "channels": str(int(getattr(network, "yaml", {}).get("channels", 3))),
        "end2end": str(end2end),
        "args": str({"batch": 1, "half": False, "dynamic": False, "nms": False}),
    }
    if task == "pose":
        metadata["kpt_shape"] = str(list(head.kpt_shape))
    return metadata


def _ultralytics_task(network: torch.nn.Module) -> str:
    tasks = {
        "DetectionModel": "detect",
        "SegmentationModel": "segment",
        "PoseModel": "pose",
        "OBBModel": "obb",
        "ClassificationModel": "classify",
    }
    task = tasks.get(type(network).__name__)
    if task is None:
        raise ModelFileError(f"{type(network).__name__} cannot be exported; accepted: {', '.join(tasks)}")
    return task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this family's arguments to an argparse parser."""
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", type=Path, help="an Ultralytics .pt file, or the demo's"
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="default: the checkpoint's name with .onnx"
    )
    parser.add_argument(
        "--size",
        type=_size,
        metavar="HxW",
        help="the network's input, e.g. 640 or 384x640 (default: as trained)",
    )
    parser.add_argument("--dynamic-batch", action="store_true", help="let a run take any number of images")
    parser.add_argument("--one-to-many", action="store_true", help="YOLOv10, YOLO26: the head that needs NMS")
    parser.add_argument(
        "--opset", type=int, default=DEFAULT_OPSET, metavar="N", help=f"default: {DEFAULT_OPSET}"
    )
    parser.add_argument(
        "--trust-checkpoint", action="store_true", help="unpickle whatever the file holds: it can run code"
    )
    parser.set_defaults(handler=_main)


def _size(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    try:
        sides = [int(part) for part in parts]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or any(side < 1 for side in sides):
        raise argparse.ArgumentTypeError(f"must be a side or HxW in pixels, got {text!r}")
    return sides[0], sides[-1]


def _main(options: argparse.Namespace) -> int:
    done = export_yolo(
        options.checkpoint,
        options.output,
        size_hw=options.size,
        dynamic_batch=options.dynamic_batch,
        end2end=not options.one_to_many,
        opset=options.opset,
        trust=options.trust_checkpoint,
    )
    for row in done.parity:
        print(f"parity   {row}")
    print(f"wrote    {done.path}  ({done.path.stat().st_size:,} bytes, task {done.spec.task})")
    return 0
