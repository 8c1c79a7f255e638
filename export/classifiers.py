"""What resnet.py and vit.py share: a classifier or embedder found by name, in a file or in a folder, and its Network."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path

import torch

from edgevision.errors import InputError, ModelFileError
from edgevision.export.architecture import Architecture, ImageModel, find_head, remove_head
from edgevision.export.from_timm import is_timm_name, open_timm, read_timm_config
from edgevision.export.from_torchvision import find_release, is_torchvision_name, open_torchvision
from edgevision.export.from_transformers import read_transformers
from edgevision.export.labels import choose_labels
from edgevision.export.network import Network, Part
from edgevision.export.preprocess import check_preprocess
from edgevision.export.random_weights import randomize
from edgevision.export.request import FILE_SUFFIXES, Request
from edgevision.export.state_dict import build_from_state, read_state_dict
from edgevision.export.transformers_checkpoint import is_model_type, is_transformers_folder, open_checkpoint
from edgevision.spec import Decoder, ModelSpec, Source
from edgevision.spec.bundle import is_bundle
from edgevision.spec.files import check_exists, file_sha256

__all__ = ["find_library", "network_of", "read_image_model", "transformers_origin"]

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def read_image_model(source: str | PathLike[str], request: Request) -> ImageModel:
    """The classifier or embedder that `source` means, its preprocessing compared with its library's own.

    source: a folder of transformers or timm; a file of weights (.pt, .pth, .safetensors); else a name: of torchvision
        ("resnet50"), timm ("resnet50.a1_in1k"), a hub ("google/vit-base-patch16-224"), or with `random` a model type
        of transformers ("vit").
    Raises InputError, ModelFileError or MissingDependencyError, each saying what to do.
    """
    path = Path(source)
    # A bundle that an export of the same name left here is not meant.
    if path.is_dir() and not (is_bundle(path) and path.name == str(source)):
        found = _read_folder(path, request)
    elif path.is_file() or path.suffix in FILE_SUFFIXES:
        if request.random:
            raise InputError(f"{path} is a file of weights; for random ones give the name of an architecture")
        found = _read_file(path, request)
    else:
        found = _read_name(str(source), request)
    check_preprocess(found.image, found.preprocess, f"the preprocessing of {found.source.model}")
    _check_module(found)
    return found


def network_of(model: ImageModel, *, dynamic_batch: bool = False) -> Network:
    """What the exporter needs to know of a model. dynamic_batch: a run takes any number of images."""
    image = replace(model.image, batch=None if dynamic_batch else 1)
    if model.embeds:
        task, output, decoder = "embed", "image_embeds", Decoder(name="embedding")
    else:
        task, output = "classify", "logits"
        decoder = Decoder(name="scores", params={"activation": model.activation})
    spec = ModelSpec(task=task, inputs=(image,), decoder=decoder, labels=model.labels, source=model.source)
    part = Part(
        module=model.module.eval(),
        example=(torch.zeros(1, 3, *image.size_hw),),
        inputs=(image.name,),
        outputs=(output,),
    )
    return Network(spec=spec, parts=(part,), preprocess=model.preprocess, notes=model.notes)


def transformers_origin(source: str | PathLike[str], request: Request) -> str | None:
    """What to open of transformers where `source` means a checkpoint of its; None: it is of another library."""
    path = Path(source)
    if path.is_dir() and not (is_bundle(path) and path.name == str(source)):
        return str(path) if is_transformers_folder(path) else None
    if path.is_file() or path.suffix in FILE_SUFFIXES:
        return None
    library = request.library or find_library(str(source), random=request.random)
    return str(source) if library == "transformers" else None


def find_library(name: str, *, random: bool = False) -> str:
    """The library that a name is of: a hub's has a slash, torchvision's names go before timm's.

    Raises InputError when none knows it.
    """
    if name.startswith(("timm/", "hf-hub:timm/")):
        return "timm"
    if "/" in name:
        return "transformers"
    if is_torchvision_name(name):
        return "torchvision"
    if is_timm_name(name):
        return "timm"
    if is_model_type(name):
        if random:
            return "transformers"
        raise InputError(
            f"{name!r} is a model type of transformers, which has no weights of its own; pass a folder or a name on the "
            f"hub, or --random"
        )
    raise InputError(
        f"{name!r} is no file or folder, and neither torchvision, timm nor transformers knows it; accepted: a file of "
        f"weights with --model, a folder that save_pretrained wrote, or a name such as resnet50, "
        f"vit_small_patch16_224.augreg_in1k or google/vit-base-patch16-224"
    )


def _check_module(model: ImageModel) -> None:
    """Raises InputError unless the module takes a picture of the preprocessing's size and gives one row for it."""
    height, width = model.image.size_hw
    try:
        with torch.no_grad():
            found = model.module(torch.zeros(1, 3, height, width))
    except (RuntimeError, ValueError, AssertionError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{model.source.model} does not take pictures of {height}x{width}: {first}"
        ) from None
    if found.ndim != 2 or (model.labels and found.shape[1] != len(model.labels)):
        wanted = f"(1, {len(model.labels)})" if model.labels else "(1, N)"
        raise InputError(f"{model.source.model} gives {tuple(found.shape)} for a picture instead of {wanted}")


def _open(name: str, library: str, request: Request) -> Architecture:
    opener = open_torchvision if library == "torchvision" else open_timm
    return opener(name, request.size_hw)


def _read_name(name: str, request: Request) -> ImageModel:
    library = request.library or find_library(name, random=request.random)
    if library == "transformers":
        return _read_transformers(name, request)
    architecture = _open(name, library, request)
    if request.random:
        return _read_random(architecture, request)
    module = _download(architecture)
    return _describe(architecture, module, architecture.classes, architecture.labels, request)


def _read_transformers(source: str, request: Request) -> ImageModel:
    checkpoint = open_checkpoint(
        source, random=request.random, classes=request.classes, size_hw=request.size_hw
    )
    return read_transformers(
        checkpoint, labels=request.names, embed=request.embed, random=request.random, seed=request.seed
    )


def _read_random(architecture: Architecture, request: Request) -> ImageModel:
    embeds = architecture.classes == 0 if request.embed is None else request.embed
    count = architecture.classes if request.classes is None else request.classes
    module = architecture.build(request.classes)
    head = [] if embeds else find_head(module, count)
    randomize(module, architecture.image.size_hw, seed=request.seed, head=head)
    if request.classes is not None and request.labels is None:
        request = replace(request, labels=())  # the published names are of other classes
    found = _describe(architecture, module, count, architecture.labels, request)
    return replace(found, source=replace(found.source, random_weights=True))


def _read_file(path: Path, request: Request) -> ImageModel:
    check_exists(path)
    if request.model is None and request.library in (None, "torchvision"):
        release = find_release(path)
        if release is not None:
            architecture = open_torchvision(release[0], request.size_hw, release[1])
            return _read_weights(architecture, path, architecture.labels, request)
    if request.model is None:
        raise InputError(
            f"{path.name} does not say which network its weights are of; pass model= (--model resnet50), and "
            f"library= (--library timm) where torchvision has one of that name too"
        )
    library = request.library or find_library(request.model)
    if library == "transformers":
        raise InputError(
            "weights of transformers come as the folder that save_pretrained wrote, with config.json and "
            "preprocessor_config.json; pass that folder"
        )
    return _read_weights(_open(request.model, library, request), path, (), request)


def _read_folder(folder: Path, request: Request) -> ImageModel:
    if is_transformers_folder(folder):
        return _read_transformers(str(folder), request)
    config = folder / "config.json"
    if not config.is_file():
        held = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "nothing"
        raise ModelFileError(
            f"{folder} is no checkpoint: it holds no config.json but {held}; accepted: a folder that transformers' "
            f"save_pretrained or timm wrote, or a file of weights with --model"
        )
    name, published = read_timm_config(config)
    architecture = open_timm(name, request.size_hw, published)
    if request.random:
        return _read_random(architecture, request)
    weights = next((folder / one for one in _WEIGHTS if (folder / one).is_file()), None)
    if weights is None:
        raise ModelFileError(f"{folder} holds no weights; accepted: {', '.join(_WEIGHTS)}")
    return _read_weights(architecture, weights, architecture.labels, request)


def _read_weights(
    architecture: Architecture, path: Path, known: tuple[str, ...], request: Request
) -> ImageModel:
    """The model of a file of weights. known: class names that are sure to be theirs, beside those in the file."""
    state = read_state_dict(path, trust=request.trust)
    module, classes = build_from_state(architecture, state)
    found = _describe(architecture, module, classes, known or state.labels, request, path.name)
    notes = (f"Preprocessing is that of {architecture.library}'s own weights of {architecture.name}.",)
    return replace(found, notes=notes, source=replace(found.source, weights_sha256=file_sha256(path)))


def _describe(
    architecture: Architecture,
    module: torch.nn.Module,
    classes: int,
    known: tuple[str, ...],
    request: Request,
    where: str = "",
) -> ImageModel:
    """The model of a module of `architecture` with so many classes. known: their names, as `where` has them."""
    embeds = classes == 0 if request.embed is None else request.embed
    names: tuple[str, ...] = ()
    if embeds:
        module = remove_head(module, classes) if classes else module
    elif classes == 0:
        raise InputError(f"{architecture.name} has no classifier; export it to embed")
    else:
        published = f"{architecture.library}'s {architecture.name}"
        by_default = request.labels == "default"
        names = choose_labels(
            request.names,
            architecture.labels if by_default else known,
            classes,
            published if by_default else where or published,
        )
    return ImageModel(
        module=module.eval(),
        embeds=embeds,
        image=architecture.image,
        preprocess=architecture.preprocess,
        labels=names,
        source=Source(
            framework=architecture.library,
            framework_version=architecture.version,
            model=architecture.name,
            license=architecture.license,
        ),
    )


def _download(architecture: Architecture) -> torch.nn.Module:
    try:
        return architecture.download()
    except InputError:
        raise
    except Exception as error:  # each library, and each of their ways to the network, has errors of its own
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelFileError(
            f"the weights of {architecture.library}'s {architecture.name} cannot be had: {first}; pass a file of "
            f"weights with --model {architecture.name}, or --random"
        ) from error
