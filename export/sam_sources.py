"""Where a promptable model comes from: a file of weights, a folder of transformers, a name, or random weights."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from edgevision.errors import EdgeVisionError, InputError, MissingDependencyError, ModelFileError
from edgevision.export.checkpoint import load_checkpoint
from edgevision.export.random_weights import randomize
from edgevision.export.sam2_weights import HIERAS, is_sam2, sam2_config, sam2_from
from edgevision.export.sam_modules import (
    SamModules,
    modules_of_mobile_sam,
    modules_of_sam,
    modules_of_sam2,
)
from edgevision.export.sam_weights import (
    MOBILE_SAM,
    is_mobile_sam,
    is_segment_anything,
    mobile_sam_from,
    mobile_sam_modules,
    sam_from,
)
from edgevision.export.weights import find_weights
from edgevision.spec import Source
from edgevision.spec.files import file_sha256

__all__ = ["SAM_NAMES", "open_sam", "random_sam"]

# The published networks by name -> where transformers finds their weights; "" where only a file has them.
SAM_NAMES: dict[str, str] = {
    "sam_vit_b": "facebook/sam-vit-base",
    "sam_vit_l": "facebook/sam-vit-large",
    "sam_vit_h": "facebook/sam-vit-huge",
    "mobile_sam": "",
    **{f"sam2_hiera_{size}": f"facebook/sam2-hiera-{size.replace('_', '-')}" for size in HIERAS},
    **{f"sam2.1_hiera_{size}": f"facebook/sam2.1-hiera-{size.replace('_', '-')}" for size in HIERAS},
}

# Of transformers' SamVisionConfig, whose defaults are those of sam_vit_b.
_VITS: dict[str, dict[str, Any]] = {
    "sam_vit_b": {},
    "sam_vit_l": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "global_attn_indexes": [5, 11, 17, 23],
    },
    "sam_vit_h": {
        "hidden_size": 1280,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "global_attn_indexes": [7, 15, 23, 31],
    },
}

_MODEL_TYPES = {"sam": "SamModel", "sam2": "Sam2Model", "sam2_video": "Sam2Model"}
"""transformers' model types -> the class that segments single images."""

_ACCEPTED = "accepted are checkpoints of segment-anything, MobileSAM and SAM 2"


def open_sam(source: str | PathLike[str], *, trust: bool = False) -> SamModules:
    """The promptable model of a file, a folder, a name of SAM_NAMES or of transformers' hub.

    trust: see checkpoint.load_checkpoint. Raises InputError for an unknown name, ModelFileError when the weights are
    missing, cannot be downloaded or are of another family.
    """
    path = Path(source)
    if path.is_file():
        return _from_file(path, trust)
    name = str(source)
    if path.is_dir():
        return _from_transformers(name)
    if name == "mobile_sam":
        raise ModelFileError(
            "MobileSAM's weights are on no hub: download mobile_sam.pt from its repository "
            "(github.com/ChaoningZhang/MobileSAM) and pass its path"
        )
    if name in SAM_NAMES:
        return _from_transformers(SAM_NAMES[name])
    if name.count("/") != 1 or path.suffix in (".pt", ".pth"):
        raise InputError(
            f"there is no file or folder {name!r}; accepted are a checkpoint, a folder that transformers wrote, a name "
            f"on its hub, or one of {', '.join(SAM_NAMES)}"
        )
    return _from_transformers(name)


def random_sam(name: str, seed: int = 0) -> SamModules:
    """The published network of this name (a key of SAM_NAMES), its weights random by `seed`.

    Raises InputError for another name.
    """
    if name not in SAM_NAMES:
        raise InputError(
            f"with random weights, the source must be one of {', '.join(SAM_NAMES)}, got {name!r}"
        )
    transformers = _import_transformers()
    source = Source(
        framework="transformers",
        framework_version=str(transformers.__version__),
        model=name,
        random_weights=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "mobile_sam":
            parts = mobile_sam_modules(**MOBILE_SAM)
            _randomize(parts, seed)
            return modules_of_mobile_sam(*parts, transformers.SamImageProcessor(), source)
        if name in _VITS:
            model = transformers.SamModel(transformers.SamConfig(vision_config=_VITS[name]))
        else:
            model = transformers.Sam2Model(sam2_config(HIERAS[name.partition("_hiera_")[2]]))
    _randomize((model.vision_encoder, model.prompt_encoder, model.mask_decoder), seed)
    model.shared_image_embedding.load_state_dict(model.prompt_encoder.shared_embedding.state_dict())
    if name in _VITS:
        return modules_of_sam(model.eval(), transformers.SamImageProcessor(), source)
    return modules_of_sam2(model.eval(), transformers.Sam2ImageProcessor(), source)


def _randomize(modules: Iterable[torch.nn.Module], seed: int) -> None:
    for module in modules:
        # Only batch norms look at pictures, and those of MobileSAM at pictures of any size.
        randomize(module, (256, 256), seed=seed)


def _from_file(path: Path, trust: bool) -> SamModules:
    transformers = _import_transformers()
    state = find_weights(load_checkpoint(path, trust=trust), path)
    source = Source(model=path.stem, weights_sha256=file_sha256(path))
    try:
        if is_segment_anything(state):
            model = sam_from(state, path)
            processor = _processor(transformers.SamImageProcessorPil, model.prompt_encoder)
            return modules_of_sam(model, processor, replace(source, framework="segment-anything"))
        if is_mobile_sam(state):
            parts = mobile_sam_from(state, path)
            processor = _processor(transformers.SamImageProcessorPil, parts[1])
            return modules_of_mobile_sam(*parts, processor, replace(source, framework="mobile-sam"))
        if is_sam2(state):
            model = sam2_from(state, path)
            processor = transformers.Sam2ImageProcessor()
            return modules_of_sam2(model, processor, replace(source, framework="sam2"))
    except KeyError as error:
        raise ModelFileError(f"{path} lacks the weights {error}; {_ACCEPTED}") from None
    first = ", ".join(list(state)[:3])
    raise ModelFileError(f"{path} holds the weights of another network ({first}, ...); {_ACCEPTED}")


def _from_transformers(name: str) -> SamModules:
    """The model in a folder, or of a name on the hub."""
    transformers = _import_transformers()
    with _explained(name):
        kind = str(transformers.AutoConfig.from_pretrained(name).model_type)
        if kind not in _MODEL_TYPES:
            raise ModelFileError(
                f"{name} is a model of type {kind!r}; accepted are {', '.join(sorted(_MODEL_TYPES))}"
            )
        model, info = getattr(transformers, _MODEL_TYPES[kind]).from_pretrained(
            name, output_loading_info=True, dtype=torch.float32
        )
        processor = transformers.AutoImageProcessor.from_pretrained(name)
    lost = sorted(map(str, info["missing_keys"])) + [str(one[0]) for one in info["mismatched_keys"]]
    if lost:
        raise ModelFileError(
            f"{name} holds no weights for {len(lost)} tensors of {type(model).__name__} ({', '.join(lost[:3])}); "
            f"is its config.json that of another checkpoint?"
        )
    weights = Path(name) / "model.safetensors"
    source = Source(
        framework="transformers",
        framework_version=str(transformers.__version__),
        model=Path(name).name if Path(name).is_dir() else name,
        weights_sha256=file_sha256(weights) if weights.is_file() else "",
    )
    build = modules_of_sam if kind == "sam" else modules_of_sam2
    return build(model.eval(), processor, source)


def _processor(kind: Any, prompt_encoder: Any) -> Any:
    """segment-anything's preprocessing, which transformers' processor repeats, at the network's own size."""
    side = int(prompt_encoder.input_image_size)
    return kind(size={"longest_edge": side}, pad_size={"height": side, "width": side})


def _import_transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise MissingDependencyError("transformers", "export", "exporting a promptable model") from None
    return transformers


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Without the library's notices, and with what it raises as a ModelFileError that says what to do."""
    logging = _import_transformers().logging
    level, shows_progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except EdgeVisionError:
        raise
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        advice = (
            "is it a folder that save_pretrained wrote, with config.json, preprocessor_config.json and the weights?"
            if Path(name).is_dir()
            else "pass a folder or a file of weights, or --random"
        )
        raise ModelFileError(f"transformers cannot read {name}: {first}; {advice}") from None
    finally:
        logging.set_verbosity(level)
        if shows_progress:
            logging.enable_progress_bar()
