"""Exported promptable models beside the predictors of the libraries they come from, on photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
photos = pytest.importorskip("skimage.data", reason="scikit-image is not installed")

from tiny_sams import save_sam2, segment_anything_sam  # noqa: E402

import edgevision as ev  # noqa: E402
from edgevision.export.options import ExportOptions  # noqa: E402
from edgevision.export.sam import export_sam  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

WIDE = np.ascontiguousarray(photos.coffee()[:, :, ::-1])  # 400 x 600
TALL = np.ascontiguousarray(photos.astronaut()[:, 60:341, ::-1])  # 512 x 281: rounds on both axes
PHOTOS = pytest.mark.parametrize("photo", [WIDE, TALL], ids=["wide", "tall"])

# In shares of the image's width and height.
PROMPTS: dict[str, dict[str, Any]] = {
    "point": {"points": [[0.4, 0.4]]},
    "corner pixel": {"points": [[0.0, 0.0]]},
    "points of both kinds": {"points": [[0.4, 0.4], [0.8, 0.7], [0.1, 0.9]], "labels": [1, 0, 1]},
    "box": {"box": [0.2, 0.2, 0.7, 0.8]},
    "whole image": {"box": [0.0, 0.0, 1.0, 1.0]},
    "box and point": {"box": [0.2, 0.2, 0.7, 0.8], "points": [[0.3, 0.5]], "labels": [0]},
}
ALL_PROMPTS = pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
BOTH = pytest.mark.parametrize("multimask", [True, False], ids=["candidates", "single"])


def in_pixels(prompt: dict[str, Any], photo: np.ndarray) -> dict[str, Any]:
    height, width = photo.shape[:2]
    scaled = dict(prompt)
    if "points" in prompt:
        scaled["points"] = np.array(prompt["points"]) * (width, height)
        scaled.setdefault("labels", [1] * len(prompt["points"]))
    if "box" in prompt:
        scaled["box"] = np.array(prompt["box"]) * (width, height, width, height)
    return scaled


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


def check(result: ev.PromptMasks, masks: Any, iou: Any) -> None:
    assert len(result) == len(masks)
    assert min(overlap(one, other) for one, other in zip(result.masks, masks, strict=True)) >= 0.999
    np.testing.assert_allclose(result.iou, iou, rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """SamPredictor, and the bundle exported from the same weights."""
    library = pytest.importorskip("segment_anything", reason="segment_anything is not installed")
    folder = tmp_path_factory.mktemp("sam")
    network = segment_anything_sam()
    torch.save(network.state_dict(), folder / "sam.pth")
    done = export_sam(folder / "sam.pth", folder / "bundle", options=ExportOptions(images=[WIDE, TALL]))
    return library.SamPredictor(network), done.path


@pytest.fixture(scope="module")
def model(sam: tuple[Any, Path]) -> Any:
    with ev.load(sam[1]) as opened:
        yield opened


@PHOTOS
@ALL_PROMPTS
@BOTH
def test_sam_predictors_masks(
    sam: tuple[Any, Path], model: Any, photo: np.ndarray, prompt: dict[str, Any], multimask: bool
) -> None:
    predictor, asked = sam[0], in_pixels(prompt, photo)
    predictor.set_image(photo, image_format="BGR")
    model.set_image(photo)
    labels = np.array(asked["labels"]) if "points" in asked else None
    wanted = predictor.predict(asked.get("points"), labels, asked.get("box"), multimask_output=multimask)
    result = model.predict(**asked, multimask=multimask)
    check(result, *wanted[:2])
    # What earlier answers are refined with: float32 in another order, of logits up to 15.
    np.testing.assert_allclose(result.low_res_logits, wanted[2], rtol=0, atol=2e-4)


@PHOTOS
def test_sam_predictors_refinement(sam: tuple[Any, Path], model: Any, photo: np.ndarray) -> None:
    predictor, asked = sam[0], in_pixels(PROMPTS["point"], photo)
    predictor.set_image(photo, image_format="BGR")
    model.set_image(photo)
    points, labels = asked["points"], np.array(asked["labels"])
    wanted = predictor.predict(points, labels, multimask_output=True)
    result = model.predict(**asked)
    for _ in range(3):
        best = int(np.argmax(wanted[1]))
        assert int(np.argmax(result.iou)) == best
        wanted = predictor.predict(
            points, labels, mask_input=wanted[2][best : best + 1], multimask_output=True
        )
        result = model.predict(**asked, mask=result.best().low_res_logits)
        check(result, *wanted[:2])


def test_boxes_together_are_as_one_by_one(model: Any) -> None:
    model.set_image(WIDE)
    boxes = [[10, 10, 200, 300], [300, 50, 580, 390], [0, 0, 600, 400]]
    for box, answer in zip(boxes, model.predict_boxes(boxes), strict=True):
        alone = model.predict(box=box, multimask=False)
        check(answer, alone.masks, alone.iou)


def test_another_runtime_gives_the_same(sam: tuple[Any, Path], model: Any) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    model.set_image(WIDE)
    with ev.load(sam[1], backend="openvino") as other:
        other.set_image(WIDE)
        for prompt in PROMPTS.values():
            asked = in_pixels(prompt, WIDE)
            wanted = model.predict(**asked)
            check(other.predict(**asked), wanted.masks, wanted.iou)


@pytest.fixture(scope="module")
def sam2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Path]:
    """The transformers model, its processor, and the bundle exported from their folder."""
    from transformers import Sam2ImageProcessor, Sam2Processor

    folder = tmp_path_factory.mktemp("sam2")
    network = save_sam2(folder / "sam2")
    done = export_sam(folder / "sam2", folder / "bundle", options=ExportOptions(images=[WIDE, TALL]))
    return network, Sam2Processor(Sam2ImageProcessor.from_pretrained(folder / "sam2")), done.path


@pytest.fixture(scope="module")
def model2(sam2: tuple[Any, Any, Path]) -> Any:
    with ev.load(sam2[2]) as opened:
        yield opened


@PHOTOS
@ALL_PROMPTS
@BOTH
def test_transformers_sam2_masks(
    sam2: tuple[Any, Any, Path], model2: Any, photo: np.ndarray, prompt: dict[str, Any], multimask: bool
) -> None:
    network, processor, _ = sam2
    asked = in_pixels(prompt, photo)
    prompts: dict[str, Any] = {}
    if "points" in asked:
        prompts |= {"input_points": [[asked["points"].tolist()]], "input_labels": [[list(asked["labels"])]]}
    if "box" in asked:
        prompts["input_boxes"] = [[asked["box"].tolist()]]
    rgb = np.ascontiguousarray(photo[:, :, ::-1])
    inputs = processor(images=rgb, return_tensors="pt", **prompts)
    with torch.no_grad():
        wanted = network(**inputs, multimask_output=multimask)
    masks = processor.post_process_masks(wanted.pred_masks, inputs["original_sizes"])[0][0].numpy()
    model2.set_image(photo)
    check(model2.predict(**asked, multimask=multimask), masks, wanted.iou_scores[0, 0].numpy())
