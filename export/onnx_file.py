"""Export an ONNX file that is there already: its int8 forms, with a report, from the file and its spec alone.

The file computes in float32 and carries its spec, or has it beside it (see docs/spec.md). It stands where PyTorch
stands in other exports: every form is compared with what it computes.
"""

from __future__ import annotations

import argparse
from os import PathLike
from pathlib import Path

import onnx
import torch

from edgevision.backends.registry import open_session
from edgevision.errors import InputError, ModelFileError
from edgevision.export.network import Network, Part
from edgevision.export.options import (
    ExportOptions,
    Progress,
    add_output_arguments,
    options_from_arguments,
    print_result,
    quiet,
    show_progress,
)
from edgevision.export.pipeline import ExportResult, export_network
from edgevision.spec import ModelSpec, resolve_model
from edgevision.tasks.tensors import check_tensors

__all__ = ["add_arguments", "export_onnx", "read_onnx"]


def export_onnx(
    path: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    options: ExportOptions | None = None,
    progress: Progress = quiet,
    *,
    spec: ModelSpec | str | PathLike[str] | None = None,
) -> ExportResult:
    """The bundle (or the one .onnx file, see pipeline.export_network) of an ONNX file, in fp32, int8 or both.

    output: None writes a bundle beside the file, in a folder of its name.
    spec: in place of the file's own. Raises as read_onnx and export_network do.
    """
    options = options or ExportOptions(precisions=("fp32", "int8"))
    target = Path(path).with_suffix("") if output is None else Path(output)
    return export_network(read_onnx(path, spec=spec), target, options, progress)


def read_onnx(path: str | PathLike[str], *, spec: ModelSpec | str | PathLike[str] | None = None) -> Network:
    """The network in an ONNX file.

    Raises ModelFileError for a file that is none, SpecError without a spec, InputError for one that does not take
    float32.
    """
    file = resolve_model(path, spec=spec)
    if file.kind != "onnx":
        raise ModelFileError(f"{file.path} is an engine; export the .onnx file that it was built from")
    if file.form != "fp32" or any(one.dtype != "float32" for one in file.spec.inputs):
        raise InputError(
            f"{file.path} computes in {file.form or 'unknown numbers'}; int8 is made of a float32 file"
        )
    try:
        graph = onnx.load(file.path)
    except Exception as error:  # protobuf's and onnx's own kinds
        raise ModelFileError(f"{file.path} cannot be read: {error}") from error
    module = _OnnxModule(file.path)
    check_tensors(file.spec, module.inputs)
    item = file.spec.inputs[0]
    channels = 1 if item.color == "gray" else 3
    sides = (channels, *item.size_hw) if item.layout == "nchw" else (*item.size_hw, channels)
    part = Part(
        module=module,
        example=(torch.zeros(1, *sides),),
        inputs=tuple(one.name for one in module.inputs),
        outputs=module.outputs,
        # A graph that selects its boxes leaves the order of equal scores to its runtime.
        selected=frozenset(module.outputs[:1]) if file.spec.decoder.name == "yolo_end2end" else frozenset(),
        graph=graph,
        precisions=("fp32", "int8"),
    )
    note = f"{file.path.name} itself, in ONNX Runtime, stands where reports say PyTorch."
    return Network(spec=file.spec, parts=(part,), notes=(note,))


class _OnnxModule(torch.nn.Module):
    """An ONNX file as a module: what stands in for the PyTorch network that it came from."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._session = open_session(path, backend="onnxruntime")
        self.inputs = self._session.inputs
        self.outputs = tuple(one.name for one in self._session.outputs)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        feeds = {one.name: tensor.numpy() for one, tensor in zip(self.inputs, inputs, strict=True)}
        # The session's own arrays are written again by its next run.
        return tuple(torch.from_numpy(value.copy()) for value in self._session.run(feeds).values())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this family's arguments to an argparse parser."""
    parser.add_argument("model", metavar="FILE", type=Path, help="a .onnx file, or a bundle folder")
    parser.add_argument(
        "--spec", metavar="FILE", type=Path, help="JSON spec of a model that does not carry one"
    )
    add_output_arguments(parser, ["fp32", "int8"], ["fp32", "int8"])
    parser.set_defaults(handler=_main)


def _main(arguments: argparse.Namespace) -> int:
    options = options_from_arguments(arguments)
    result = export_onnx(arguments.model, arguments.output, options, show_progress, spec=arguments.spec)
    print_result(result)
    return 0
