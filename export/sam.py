"""Export Segment Anything: SAM, MobileSAM or SAM 2, its image encoder and its decoder of prompts."""

from __future__ import annotations

import argparse
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from edgevision.errors import InputError
from edgevision.export.network import Network, Part
from edgevision.export.options import (
    ExportOptions,
    Progress,
    add_export_arguments,
    export_from_arguments,
    quiet,
)
from edgevision.export.pipeline import ExportResult, export_network
from edgevision.export.sam_decoder import PromptDecoder, decoder_part
from edgevision.export.sam_encoder import encoder_outputs
from edgevision.export.sam_modules import SamModules
from edgevision.export.sam_sources import SAM_NAMES, open_sam, random_sam
from edgevision.spec import Decoder, ModelSpec

__all__ = ["add_arguments", "export_sam", "read_sam"]


def read_sam(
    source: str | PathLike[str], *, random: bool = False, seed: int = 0, trust: bool = False
) -> Network:
    """The Network of a promptable model: the encoder as "model", the prompts' side as "decoder".

    source: a file of weights of segment-anything, MobileSAM or SAM 2's own repository (.pth, .pt), a folder that
        transformers wrote (SamModel, Sam2Model), one of SAM_NAMES, or a name on transformers' hub.
    random: the network of that name with random weights, which follow `seed`.
    trust: see checkpoint.load_checkpoint.
    Raises InputError, ModelFileError or MissingDependencyError, each saying what to do.
    """
    modules = random_sam(str(source), seed) if random else open_sam(source, trust=trust)
    return _network_of(modules)


def export_sam(
    source: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    *,
    options: ExportOptions | None = None,
    progress: Progress = quiet,
    **reading: Any,
) -> ExportResult:
    """The bundle of a promptable model, written once its networks agree with PyTorch.

    output: the bundle's folder; None: one here, named after the source. reading: arguments of `read_sam`. Raises as
    that and pipeline.export_network do.
    """
    return export_network(read_sam(source, **reading), output or _default_output(source), options, progress)


def _default_output(source: str | PathLike[str]) -> Path:
    path = Path(source)
    # Not the stem of any name: sam2.1_hiera_tiny has no suffix.
    return Path(path.stem if path.suffix in (".pt", ".pth") else path.name)


def _network_of(modules: SamModules) -> Network:
    height, width = modules.image.size_hw
    image = torch.zeros(1, 3, height, width)
    encoder = modules.encoder.eval()
    for parameter in encoder.parameters():
        parameter.requires_grad = False
    decoder = PromptDecoder(modules.prompt_encoder, modules.mask_decoder, modules.image_positions).eval()
    prompts = decoder_part(decoder)
    model = Part(
        module=encoder,
        example=(image,),
        inputs=(modules.image.name,),
        outputs=encoder_outputs(encoder),
        half=modules.half_encoder,
    )
    spec = ModelSpec(
        task="promptable",
        inputs=(modules.image,),
        decoder=Decoder(name="sam", outputs=prompts.outputs, params=modules.params),
        source=modules.source,
    )
    return Network(spec=spec, parts=(model, prompts), preprocess=modules.preprocess)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this family's arguments to an argparse parser."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a file of weights (sam_vit_b_01ec64.pth, mobile_sam.pt, sam2.1_hiera_tiny.pt), a folder that "
        f"transformers wrote, a name on its hub, or one of {', '.join(SAM_NAMES)}",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="with --random (default: 0)")
    add_export_arguments(parser, size=False)
    parser.set_defaults(handler=_main)


def _main(arguments: argparse.Namespace) -> int:
    if arguments.dynamic_batch:
        raise InputError("a promptable model encodes one image at a time; leave out --dynamic-batch")
    return export_from_arguments(
        export_sam,
        arguments,
        random=arguments.random,
        seed=arguments.seed,
        trust=arguments.trust_checkpoint,
    )
