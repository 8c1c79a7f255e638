"""Export a classifier: ResNet and every other of torchvision, timm and transformers, or your own weights of one."""

from __future__ import annotations

import argparse
from os import PathLike
from typing import Any

from edgevision.export.classifier_arguments import (
    add_source_arguments,
    default_output,
    reading_from_arguments,
)
from edgevision.export.classifiers import network_of, read_image_model
from edgevision.export.network import Network
from edgevision.export.options import (
    ExportOptions,
    Progress,
    add_export_arguments,
    export_from_arguments,
    quiet,
)
from edgevision.export.pipeline import ExportResult, export_network
from edgevision.export.request import Labels, Request

__all__ = ["add_arguments", "export_resnet", "read_resnet"]


def read_resnet(
    source: str | PathLike[str],
    *,
    model: str | None = None,
    library: str | None = None,
    labels: Labels = None,
    classes: int | None = None,
    size_hw: tuple[int, int] | None = None,
    dynamic_batch: bool = False,
    random: bool = False,
    seed: int = 0,
    trust: bool = False,
) -> Network:
    """The Network of a classifier: ResNet 18-152, EfficientNet, MobileNetV3, ConvNeXt, RegNet or any other.

    source: a name ("resnet50", "resnet50.a1_in1k", "microsoft/resnet-50"), a file of weights whose architecture
        `model` names, or a folder that transformers or timm wrote.
    dynamic_batch: a run takes any number of images. The other arguments are those of request.Request.
    Raises InputError, ModelFileError or MissingDependencyError, each saying what to do.
    """
    request = Request(
        model=model,
        library=library,
        labels=labels,
        classes=classes,
        size_hw=size_hw,
        embed=False,
        random=random,
        seed=seed,
        trust=trust,
    )
    found = read_image_model(source, request)
    return network_of(found, dynamic_batch=dynamic_batch)


def export_resnet(
    source: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    *,
    options: ExportOptions | None = None,
    progress: Progress = quiet,
    **reading: Any,
) -> ExportResult:
    """The files of a classifier, written once they agree with PyTorch.

    output: a bundle's folder, or NAME.onnx; None: a folder here, named after the source. reading: arguments of
    `read_resnet`. Raises as that and pipeline.export_network do.
    """
    network = read_resnet(source, **reading)
    return export_network(network, output or default_output(source), options, progress)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this family's arguments to an argparse parser."""
    add_source_arguments(parser)
    add_export_arguments(parser)
    parser.set_defaults(handler=_main)


def _main(arguments: argparse.Namespace) -> int:
    return export_from_arguments(
        export_resnet,
        arguments,
        **reading_from_arguments(arguments),
    )
