"""What a spec makes of real photographs, beside what each library's own preprocessing makes of them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
timm = pytest.importorskip("timm", reason="timm is not installed")
pytest.importorskip("transformers", "5", reason="transformers 5 is not installed")

from photographs import load_photographs  # noqa: E402
from tiny_transformers import KINDS, build  # noqa: E402

from edgevision import ImageInput, InputError  # noqa: E402
from edgevision.export.architecture import Architecture  # noqa: E402
from edgevision.export.from_timm import open_timm  # noqa: E402
from edgevision.export.from_torchvision import open_torchvision  # noqa: E402
from edgevision.export.preprocess import check_preprocess, pixel_gap, spec_tensor  # noqa: E402
from edgevision.export.transformers_checkpoint import preprocess_of_processor  # noqa: E402
from edgevision.export.transformers_image import image_of_processor  # noqa: E402

EXACT = 1e-3
"""Of 255: the float32 of normalising; the resized pixels are the same."""
ONE_PIXEL = 1 + EXACT
"""One step of a pixel, which two implementations of a resize round each in its own way."""


def gaps(image: ImageInput, preprocess, soft: bool = False) -> dict[str, float]:
    return {name: pixel_gap(image, preprocess, photo) for name, photo in load_photographs(soft).items()}


@pytest.mark.parametrize(
    ("name", "size", "mode", "filter"),
    [
        ("resnet18", None, "shortest_side_crop", "bilinear_antialias"),
        ("resnet18", 63, "shortest_side_crop", "bilinear_antialias"),
        ("efficientnet_b1", None, "shortest_side_crop", "bilinear_antialias"),
        ("efficientnet_b0", None, "shortest_side_crop", "bicubic_antialias"),
        ("vit_h_14", None, "shortest_side_crop", "bicubic_antialias"),
        ("swin_v2_t", None, "shortest_side_crop", "bicubic_antialias"),
    ],
)
def test_torchvision_presets(name: str, size: int | None, mode: str, filter: str) -> None:
    one = open_torchvision(name, (size, size) if size else None)
    assert (one.image.resize, one.image.filter) == (mode, filter)
    assert max(gaps(one.image, one.preprocess).values()) < EXACT


@pytest.mark.parametrize(
    ("name", "mode", "filter"),
    [
        ("test_resnet.r160_in1k", "shortest_side_crop", "bilinear_antialias"),
        ("resnet50.a1_in1k", "shortest_side_crop", "bicubic_antialias"),
        ("vit_base_patch16_clip_quickgelu_224.openai", "shortest_side_crop", "bicubic_antialias"),
        ("coat_lite_medium_384.in1k", "stretch", "bicubic_antialias"),
        ("dm_nfnet_f0.dm_in1k", "stretch_crop", "bicubic_antialias"),
        ("convnextv2_tiny.fcmae_ft_in22k_in1k_384", "stretch", "bicubic_antialias"),
    ],
)
def test_timm_configurations(name: str, mode: str, filter: str) -> None:
    one = open_timm(name)
    assert (one.image.resize, one.image.filter) == (mode, filter)
    check_against_pillow(one)


def check_against_pillow(one: Architecture) -> None:
    if one.image.resize == "shortest_side_crop":
        assert max(gaps(one.image, one.preprocess).values()) < EXACT
        return
    # From version 13 on Pillow takes the cheaper of a resize's two passes first, for a tall picture stretched to a
    # square the vertical one. Where a bicubic overshoots black or white, the order then tells (up to 10 of 255).
    found = gaps(one.image, one.preprocess)
    assert max(gap for name, gap in found.items() if not name.startswith(("tall", "small"))) < EXACT
    # Each pass rounds, so that the other order may differ by both roundings.
    assert max(gaps(one.image, one.preprocess, soft=True).values()) <= 1 + ONE_PIXEL


@pytest.mark.parametrize(
    ("changes", "mode"),
    [
        ({"crop_mode": "squash", "crop_pct": 0.9}, "stretch_crop"),
        ({"crop_mode": "border", "crop_pct": 1.0}, "letterbox"),
        ({"crop_mode": "center", "crop_pct": 0.87}, "shortest_side_crop"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_timms_crop_modes(changes: dict, mode: str) -> None:
    published = {**timm.get_pretrained_cfg("test_resnet").to_dict(), **changes}
    one = open_timm("test_resnet", published=published)
    assert one.image.resize == mode
    check_against_pillow(one)


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_image_processors(kind: str) -> None:
    processor = build(kind)[1]
    image, preprocess = image_of_processor(processor), preprocess_of_processor(processor)
    for name, photo in load_photographs().items():
        gap = np.abs(preprocess(photo) - spec_tensor(image, photo)) / image.scale
        gap *= np.array(image.std, np.float32)[:, None, None]
        assert gap.max() == pytest.approx(pixel_gap(image, preprocess, photo), abs=EXACT)
        # torch's bicubic on bytes lies 2 off Pillow's, and so off ours, in a few of a million elements.
        assert gap.max() <= (1 + ONE_PIXEL if image.filter == "bicubic_antialias" else ONE_PIXEL), name
        assert (gap > ONE_PIXEL).mean() < 1e-5, name


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"resample": 1}, "resizes with 'lanczos', which the runtime does not have"),
        ({"resample": 0}, "resizes with 'nearest'"),
        ({"do_resize": False}, "does not resize"),
        ({"size": {"shortest_edge": 32}, "do_center_crop": False}, "a tensor of its own size"),
        ({"size": {"shortest_edge": 32, "longest_edge": 50}}, "which no spec can express"),
        (
            {"size": {"height": 40, "width": 50}, "crop_size": {"height": 32, "width": 32}},
            "no spec can express",
        ),
    ],
    ids=["lanczos", "nearest", "no resize", "no crop", "longest edge", "crop of a stretch to no square"],
)
def test_settings_that_no_spec_has_are_refused_by_name(settings: dict, text: str) -> None:
    import transformers

    processor = transformers.CLIPImageProcessor(**settings)
    with pytest.raises(InputError, match=text):
        image_of_processor(processor)


@pytest.mark.parametrize(
    ("name", "size", "text"),
    [
        ("resnet18", (64, 96), "crops a square"),
        ("resnet19", None, "torchvision has no classifier 'resnet19'; near: resnet"),
    ],
)
def test_torchvision_refuses(name: str, size: tuple[int, int] | None, text: str) -> None:
    with pytest.raises(InputError, match=text):
        open_torchvision(name, size)


def test_timm_refuses_an_unknown_tag() -> None:
    with pytest.raises(InputError, match=r"timm publishes no weights 'resnet18.nope'.*resnet18.a1_in1k"):
        open_timm("resnet18.nope")


RIGHT = ImageInput(size_hw=(48, 48), resize="shortest_side_crop_floor", filter="bicubic_antialias")


@pytest.mark.parametrize(
    "changes",
    [
        {"resize": "shortest_side_crop"},  # the corner of the crop, half a pixel rounded otherwise
        {"resize": "stretch"},
        {"filter": "bilinear_antialias"},
        {"filter": "linear"},
        {"color": "bgr"},
        {"scale": 1 / 250},
        {"mean": (0.1, 0, 0)},
        {"size_hw": (48, 47), "resize": "stretch"},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_a_step_that_the_spec_does_not_say_is_noticed(changes: dict) -> None:
    wrong = ImageInput(
        **{**{name: getattr(RIGHT, name) for name in ("size_hw", "resize", "filter")}, **changes}
    )
    check_preprocess(RIGHT, lambda frame: spec_tensor(RIGHT, frame), "itself")
    with pytest.raises(InputError, match="the source does something to a picture that a spec cannot express"):
        check_preprocess(wrong, lambda frame: spec_tensor(RIGHT, frame), "the source")


def test_the_gap_is_told_in_pixels_whatever_the_normalisation() -> None:
    image = ImageInput(size_hw=(8, 8), resize="stretch", mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3))
    frame = np.full((8, 8, 3), 100, np.uint8)

    def brighter(frame: np.ndarray) -> np.ndarray:
        return spec_tensor(image, frame + np.array([3, 2, 1], np.uint8))  # BGR

    assert pixel_gap(image, brighter, frame) == pytest.approx(3, abs=1e-3)
