"""Export a vision transformer: ViT and DeiT to classify, DINOv2 and CLIP to embed, CLIP to classify by your words."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from edgevision.errors import InputError
from edgevision.export.classifier_arguments import (
    add_source_arguments,
    default_output,
    reading_from_arguments,
)
from edgevision.export.classifiers import network_of, read_image_model, transformers_origin
from edgevision.export.clip import is_dual_encoder, read_clip
from edgevision.export.labels import read_labels
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
from edgevision.export.transformers_checkpoint import open_checkpoint

__all__ = ["add_arguments", "export_vit", "read_vit"]


def read_vit(
    source: str | PathLike[str],
    *,
    model: str | None = None,
    library: str | None = None,
    labels: Labels = None,
    classes: int | None = None,
    size_hw: tuple[int, int] | None = None,
    task: str | None = None,
    prompts: Sequence[str] | None = None,
    templates: Sequence[str] = ("{}",),
    dynamic_batch: bool = False,
    random: bool = False,
    seed: int = 0,
    trust: bool = False,
) -> Network:
    """The Network of a vision transformer of torchvision, timm or transformers.

    source: a name ("vit_b_16", "vit_small_patch14_dinov2.lvd142m", "google/vit-base-patch16-224"), a file of weights
        whose architecture `model` names, or a folder that transformers or timm wrote.
    task: "classify" or "embed" (what the head is given); None: what the weights are for.
    prompts: CLIP and SigLIP: texts to classify by, encoded now; `labels` name their classes, or stand for them. None
        (and no labels): an embedder whose bundle holds the text network, for prompts at run time.
    templates: CLIP and SigLIP: each with one {} for a prompt, e.g. "a photo of a {}"; several are averaged.
    dynamic_batch: a run takes any number of images. The other arguments are those of request.Request.
    Raises InputError, ModelFileError or MissingDependencyError, each saying what to do.
    """
    if task not in (None, "classify", "embed"):
        raise InputError(f"task must be 'classify' or 'embed', got {task!r}")
    request = Request(
        model=model,
        library=library,
        labels=labels,
        classes=classes,
        size_hw=size_hw,
        embed=None if task is None else task == "embed",
        random=random,
        seed=seed,
        trust=trust,
    )
    origin = transformers_origin(source, request)
    if origin is not None:
        checkpoint = open_checkpoint(origin, random=random, classes=classes, size_hw=size_hw)
        if is_dual_encoder(checkpoint.config):
            if task is not None and (task == "classify") != bool(prompts or labels):
                raise InputError(
                    f"{checkpoint.name} embeds images, and classifies when it is given prompts; got the task {task!r} "
                    f"with{'' if prompts or labels else 'out'} prompts or labels"
                )
            return read_clip(
                checkpoint, request, prompts=prompts, templates=templates, dynamic_batch=dynamic_batch
            )
    if prompts is not None or tuple(templates) != ("{}",):
        raise InputError(f"prompts and templates are for CLIP and SigLIP; {source} has no text network")
    found = read_image_model(source, request)
    return network_of(found, dynamic_batch=dynamic_batch)


def export_vit(
    source: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    *,
    options: ExportOptions | None = None,
    progress: Progress = quiet,
    **reading: Any,
) -> ExportResult:
    """The files of a vision transformer, written once they agree with PyTorch.

    output: a bundle's folder, or NAME.onnx; None: a folder here, named after the source. reading: arguments of
    `read_vit`. Raises as that and pipeline.export_network do.
    """
    network = read_vit(source, **reading)
    return export_network(network, output or default_output(source), options, progress)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this family's arguments to an argparse parser."""
    add_source_arguments(parser)
    parser.add_argument(
        "--task",
        choices=("classify", "embed"),
        help="classes, or what the head is given (default: as trained)",
    )
    texts = parser.add_argument_group("CLIP and SigLIP")
    given = texts.add_mutually_exclusive_group()
    given.add_argument("--prompts", nargs="+", metavar="TEXT", help="classify by similarity to these texts")
    given.add_argument("--prompts-file", type=Path, metavar="FILE", help="the same, one a line")
    texts.add_argument(
        "--template",
        action="append",
        metavar="TEXT",
        help='with {} for a prompt or label, e.g. "a photo of a {}"; several are averaged',
    )
    add_export_arguments(parser)
    parser.set_defaults(handler=_main)


def _main(arguments: argparse.Namespace) -> int:
    return export_from_arguments(
        export_vit,
        arguments,
        task=arguments.task,
        prompts=read_labels(arguments.prompts_file) if arguments.prompts_file else arguments.prompts,
        templates=arguments.template or ("{}",),
        **reading_from_arguments(arguments),
    )
