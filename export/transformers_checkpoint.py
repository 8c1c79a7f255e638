"""Checkpoints of transformers: a folder that `save_pretrained` wrote, a name on the hub, or a model type at random."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgevision.errors import InputError, MissingDependencyError, ModelFileError
from edgevision.export.preprocess import Preprocess
from edgevision.export.transformers_image import image_of_processor
from edgevision.spec import ImageInput, Source
from edgevision.spec.files import file_sha256

__all__ = [
    "Checkpoint",
    "import_transformers",
    "is_model_type",
    "is_transformers_folder",
    "load_network",
    "open_checkpoint",
    "preprocess_of_processor",
    "quietly",
]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A configuration of transformers and the image processor that goes with it; the weights are still to be loaded.

    origin: what to load from: a folder or a hub's name; None: there are no weights.
    image, preprocess: as the processor says.
    """

    name: str
    origin: str | None
    config: Any
    image: ImageInput
    preprocess: Preprocess
    source: Source


def is_model_type(name: str) -> bool:
    """Whether transformers has a model type of that name ("vit", "dinov2", "clip")."""
    return name in import_transformers().CONFIG_MAPPING


def is_transformers_folder(folder: Path) -> bool:
    """Whether a folder's config.json is one of transformers."""
    try:
        return "model_type" in json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return False


def open_checkpoint(
    source: str, *, random: bool = False, classes: int | None = None, size_hw: tuple[int, int] | None = None
) -> Checkpoint:
    """What a folder, a hub's name, or with `random` a model type's default configuration, says of its model.

    classes: with `random`, how many instead of the configuration's own.
    Raises ModelFileError when it is missing or cannot be downloaded, InputError when it takes no such size, or its
    processor does what no spec can express.
    """
    transformers = import_transformers()
    by_type = random and is_model_type(source)
    with quietly(), _explained(source):
        if by_type:
            config = transformers.AutoConfig.for_model(source)
            if classes is not None:
                config.num_labels = classes
            processor = _default_processor(config)
        else:
            config = transformers.AutoConfig.from_pretrained(source)
            if classes is not None:
                config.num_labels = classes
            processor = _processor(source, config, random)
    image = image_of_processor(processor)
    _check_size(config, image, size_hw)
    weights = _weights_file(Path(source)) if not random else None
    return Checkpoint(
        name=Path(source).name if Path(source).is_dir() else source,
        origin=None if by_type else source,
        config=config,
        image=image,
        preprocess=preprocess_of_processor(processor),
        source=Source(
            framework="transformers",
            framework_version=str(transformers.__version__),
            model=Path(source).name if Path(source).is_dir() else source,
            weights_sha256=file_sha256(weights) if weights else "",
            random_weights=random,
        ),
    )


def load_network(checkpoint: Checkpoint, kind: Any, *, random: bool = False) -> torch.nn.Module:
    """The network of an Auto class `kind` with the checkpoint's weights, all of them, or as its library starts it.

    Raises ModelFileError when the weights cannot be had, or are of another network.
    """
    # Eager attention is the arithmetic that every exporter and runtime can follow.
    with quietly(), _explained(checkpoint.name):
        try:
            if random:
                _name_architecture(checkpoint.config, kind)
                return kind.from_config(checkpoint.config, attn_implementation="eager").eval()
            network, info = kind.from_pretrained(
                checkpoint.origin,
                config=checkpoint.config,
                attn_implementation="eager",
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are told below
                dtype=torch.float32,
            )
        except ValueError as error:
            if "Unrecognized configuration class" not in str(error):
                raise
            raise ModelFileError(
                f"{checkpoint.name} is a {checkpoint.config.model_type} model, which is no image classifier or embedder"
            ) from None
    lost = sorted(info["missing_keys"]) + [str(one[0]) for one in info["mismatched_keys"]]
    if lost:
        raise ModelFileError(
            f"{checkpoint.name} holds no weights for {len(lost)} tensors of {type(network).__name__} "
            f"({', '.join(lost[:3])}); is its config.json that of another checkpoint?"
        )
    return network.eval()


def import_transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise MissingDependencyError("transformers", "export", "exporting a model of transformers") from None
    return transformers


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the library's notices: what matters of them becomes an error or a note."""
    logging = import_transformers().logging
    level = logging.get_verbosity()
    progress = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if progress:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _explained(source: str) -> Iterator[None]:
    """What transformers raises for a missing or unreachable checkpoint, as a ModelFileError that says what to do."""
    try:
        yield
    except (ModelFileError, InputError):
        raise
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        advice = (
            "is it a folder that save_pretrained wrote, with config.json, preprocessor_config.json and the weights?"
            if Path(source).is_dir()
            else "pass a folder that save_pretrained wrote, or a model type with --random"
        )
        raise ModelFileError(f"transformers cannot read {source}: {first}; {advice}") from None


def _default_processor(config: Any) -> Any:
    """The image processor that belongs to a model type, with its defaults, at the size the configuration names."""
    transformers = import_transformers()
    mapping = transformers.models.auto.image_processing_auto.IMAGE_PROCESSOR_MAPPING
    found = mapping[type(config)]
    if isinstance(found, Mapping):  # transformers 5: by backend
        found = found.get("torchvision") or found["pil"]
    elif isinstance(found, tuple):  # transformers 4: slow, fast
        found = found[1] or found[0]
    return found()


def _processor(source: str, config: Any, random: bool) -> Any:
    transformers = import_transformers()
    if random and Path(source).is_dir() and not (Path(source) / "preprocessor_config.json").is_file():
        return _default_processor(config)
    return transformers.AutoImageProcessor.from_pretrained(source)


def preprocess_of_processor(processor: Any) -> Preprocess:
    """What an image processor makes of a BGR frame."""
    from PIL import Image

    def preprocess(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        picture = Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1]))
        return np.asarray(processor(images=picture, return_tensors="np")["pixel_values"], np.float32)

    return preprocess


def _check_size(config: Any, image: ImageInput, size_hw: tuple[int, int] | None) -> None:
    if size_hw not in (None, image.size_hw):
        raise InputError(
            f"the image processor of this checkpoint makes {image.size_hw[0]}x{image.size_hw[1]}, got the size "
            f"{size_hw[0]}x{size_hw[1]}; change its preprocessor_config.json"
        )


def _name_architecture(config: Any, kind: Any) -> None:
    """Names the first of a model type's several classes (DeiT with its teacher or without), as from_config asks for."""
    if not config.architectures:
        found = kind._model_mapping.get(type(config), None)
        first = found[0] if isinstance(found, (list, tuple)) else found
        config.architectures = None if first is None else [first.__name__]


def _weights_file(folder: Path) -> Path | None:
    """The folder's one file of weights; None for a hub's name, and where they are in several."""
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return folder / name
    return None
