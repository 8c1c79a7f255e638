"""Read checkpoints without running the code that a pickle can carry."""

from __future__ import annotations

import importlib
import secrets
import zipfile
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from edgevision.errors import EdgeVisionError, MissingDependencyError, ModelFileError
from edgevision.export.ultralytics_library import import_ultralytics
from edgevision.spec.foreign import describe_foreign

__all__ = ["load_checkpoint"]

# Classes that a checkpoint may name beside plain data: layers of the libraries people train with. Their instances
# are rebuilt from their attributes. Their constructors are never called: some evaluate text that they are given.
_LAYER_PACKAGES = (
    "torch.nn.modules.",
    "torchvision.models.",
    "torchvision.ops.",
    "timm.layers.",
    "timm.models.",
    "segmentation_models_pytorch.",
    "ultralytics.nn.",
)
_PLAIN_CLASSES = {
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "timm.layers.format.Format",
    "timm.models._features.FeatureInfo",
    "types.SimpleNamespace",
    "ultralytics.utils.IterableSimpleNamespace",
}


def load_checkpoint(path: str | PathLike[str], *, trust: bool = False) -> Any:
    """What the file holds: a state_dict, a dict of them, or a pickled module.

    Plain data is read with torch's weights-only reader. Where the file also names classes, they are admitted when
    they are layers of torch.nn or of a library that models come from (torchvision, timm, Ultralytics,
    segmentation-models-pytorch); anything else is refused, because unpickling it could run code. A .safetensors file
    is a state_dict and can hold no code.
    trust: unpickle whatever it holds. Only for files from people you would run a program from.
    Raises ModelFileError for a missing, foreign or refused file, MissingDependencyError when it needs a library.
    """
    source = Path(path)
    if not source.is_file():
        raise ModelFileError(f"there is no checkpoint {source}")
    if source.suffix == ".safetensors":
        return _load_safetensors(source)
    if trust:
        return torch.load(source, map_location="cpu", weights_only=False)
    try:
        with torch.serialization.safe_globals(_admitted_classes(source)):
            return torch.load(source, map_location="cpu", weights_only=True)
    except EdgeVisionError:
        raise
    except Exception as error:  # damaged bytes make the unpickler raise nearly anything
        kind = _foreign_kind(source)
        if kind:
            raise ModelFileError(f"{source} is no PyTorch checkpoint: {kind}") from None
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelFileError(
            f"{source} cannot be read as a PyTorch checkpoint without running code in it: {first}; "
            f"if you trust where it comes from, say so with trust=True (--trust-checkpoint)"
        ) from None


def _foreign_kind(path: Path) -> str | None:
    """What a file that is neither a zip archive nor a pickle looks like; None for those two, and for the unknown."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head[:2] == b"PK" or head[:1] == b"\x80":
        return None
    return describe_foreign(head, path)


def _load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise MissingDependencyError("safetensors", "export", f"reading {path.name}") from None
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelFileError(f"{path} is no safetensors file: {error}") from None


def _admitted_classes(path: Path) -> list[Any]:
    """What torch's reader is to take for the classes that the checkpoint names, all of them layers or plain data."""
    if not zipfile.is_zipfile(path):
        return []  # torch's old format; its weights-only reader takes plain data only
    names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    refused = [name for name in names if not _is_admitted_name(name)]
    if refused:
        raise ModelFileError(
            f"{path} names code that a checkpoint has no need of, so it is not opened: {', '.join(sorted(refused))}; "
            f"if you trust where it comes from, say so with trust=True (--trust-checkpoint)"
        )
    admitted: list[Any] = []
    for name in names:
        found = _import_class(name, path)
        if name in _PLAIN_CLASSES:
            admitted.append((found, name))
        else:
            # The reader hands the state to instances of known classes only; this name no file can have guessed.
            admitted += [(_shell_of(found, name, path), name), (found, f"admitted.{secrets.token_hex(16)}")]
    return admitted


def _shell_of(layer: type, name: str, path: Path) -> type:
    """What stands for a layer's class in a checkpoint: it makes empty instances of it, and refuses to be called."""

    class Shell(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            raise ModelFileError(
                f"{path} calls {name}, which a checkpoint has no need of, so it is not opened; if you trust where it "
                f"comes from, say so with trust=True (--trust-checkpoint)"
            )

    return Shell(layer.__name__, (), {"__new__": lambda cls, *args: layer.__new__(layer)})


def _is_admitted_name(name: str) -> bool:
    return name in _PLAIN_CLASSES or name.startswith(_LAYER_PACKAGES)


def _import_class(name: str, path: Path) -> type:
    module_name, _, class_name = name.rpartition(".")
    if module_name.startswith("ultralytics."):
        import_ultralytics(f"reading {path.name}")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except ImportError as error:
        package = module_name.split(".")[0]
        if error.name == package:
            raise MissingDependencyError(package, "export", f"reading {path.name}") from None
        raise ModelFileError(f"{path} needs {name}, which the installed {package} does not have") from None
    except AttributeError:
        package = module_name.split(".")[0]
        raise ModelFileError(f"{path} needs {name}, which the installed {package} does not have") from None
    # A function admitted by its package's name alone could be called with arguments from the file.
    if not isinstance(found, type) or not (name in _PLAIN_CLASSES or issubclass(found, torch.nn.Module)):
        raise ModelFileError(f"{path} names {name}, which is no layer; it is not opened")
    return found
