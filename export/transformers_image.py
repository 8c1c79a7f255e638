"""What an image processor of transformers does, in the words of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from edgevision.errors import InputError
from edgevision.export.preprocess import pillow_filter
from edgevision.spec import ImageInput

__all__ = ["image_of_processor"]

Triple: TypeAlias = tuple[float, float, float]

_SIDES = ("height", "width", "shortest_edge", "longest_edge")


def image_of_processor(processor: Any) -> ImageInput:
    """The input that a processor's settings describe. What it does beside them shows when both are compared.

    Raises InputError for settings that no spec can express.
    """
    name = type(processor).__name__
    if not getattr(processor, "do_resize", True):
        raise InputError(f"{name} does not resize (do_resize is false): a network of fixed size needs it")
    geometry = _geometry(processor, name)
    flip = bool(getattr(processor, "do_flip_channel_order", False))
    scale, mean, std = _arithmetic(processor)
    return ImageInput(
        **geometry,
        filter=_filter_of(processor, name),
        pad_value=(0.0, 0.0, 0.0),
        color="bgr" if flip else "rgb",
        scale=scale,
        mean=mean,
        std=std,
    )


def _geometry(processor: Any, name: str) -> dict[str, Any]:
    """size_hw, resize and resize_size."""
    size = _sizes(processor.size)
    crop = _sizes(processor.crop_size) if getattr(processor, "do_center_crop", False) else None
    short, height, width = size.get("shortest_edge"), size.get("height"), size.get("width")
    if crop is not None and (crop.get("height") is None or crop.get("width") is None):
        raise InputError(f"{name} crops to {crop}; a spec needs a height and a width")
    if short is not None and size.get("longest_edge") is None:
        crop_pct = getattr(processor, "crop_pct", None)
        if crop_pct is not None:
            return _crop_share(short, crop_pct)
        if crop is None:
            raise InputError(
                f"{name} resizes the shortest side to {short} and does not crop, so that every picture makes a tensor "
                f"of its own size; a spec has one size: set do_center_crop or size in preprocessor_config.json"
            )
        # Levit's processor resizes to 256 / 224 of what its settings name.
        resized = int(256 / 224 * short) if name.startswith("Levit") else short
        target = (crop["height"], crop["width"])
        return {"size_hw": target, "resize": "shortest_side_crop_floor", "resize_size": resized}
    if height is not None and width is not None:
        if crop is None or (crop["height"], crop["width"]) == (height, width):
            return {"size_hw": (height, width), "resize": "stretch"}
        if height == width:
            return {
                "size_hw": (crop["height"], crop["width"]),
                "resize": "stretch_crop",
                "resize_size": height,
            }
    raise InputError(f"{name} resizes to {size} and crops to {crop}, which no spec can express")


def _crop_share(short: int, crop_pct: float) -> dict[str, Any]:
    """As ConvNeXT's processor: a share of a larger picture is cropped out, from 384 pixels on it is warped."""
    if short < 384:
        target = {"size_hw": (short, short), "resize": "shortest_side_crop_floor"}
        return {**target, "resize_size": int(short / crop_pct)}
    return {"size_hw": (short, short), "resize": "stretch"}


def _arithmetic(processor: Any) -> tuple[float, Triple, Triple]:
    """scale, mean and std: a pixel becomes (p * scale - mean) / std."""
    rescales = getattr(processor, "do_rescale", True)
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if getattr(processor, "do_normalize", False):
        mean, std = _triple(processor.image_mean), _triple(processor.image_std)
    # EfficientNet's processor alone has these two: p * scale - 1, and a second division by the standard deviation.
    if rescales and getattr(processor, "rescale_offset", False):
        mean = _triple([one + 1.0 for one in mean])
    if getattr(processor, "include_top", False):
        std = _triple([one * other for one, other in zip(std, _triple(processor.image_std), strict=True)])
    return float(processor.rescale_factor) if rescales else 1.0, mean, std


def _sizes(value: Any) -> dict[str, int | None]:
    """A size as a dict, whichever of its forms the version of the library has."""
    if isinstance(value, int):
        return {"height": value, "width": value}
    if isinstance(value, Mapping):
        return {key: value.get(key) for key in _SIDES}
    return {key: getattr(value, key, None) for key in _SIDES}


def _filter_of(processor: Any, name: str) -> str:
    from PIL.Image import Resampling

    return pillow_filter(Resampling(int(processor.resample)).name.lower(), name)


def _triple(value: Any) -> Triple:
    one, two, three = [float(value)] * 3 if isinstance(value, (int, float)) else map(float, value)
    return one, two, three
