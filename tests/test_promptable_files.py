"""load() of a promptable network, from the files of a folder, on real runtimes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_promptable import CANVAS, RADII, write_promptable

import edgevision as ev
from edgevision import InputError, Model, ModelFileError, PromptableModel, SpecError
from edgevision.backends.registry import open_session
from edgevision.spec import load_spec

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

IMAGE = np.zeros((CANVAS, CANVAS, 3), np.uint8)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_folder_opens_as_a_promptable_model(tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    with ev.load(write_promptable(tmp_path), backend=backend, threads=1) as model:
        assert isinstance(model, PromptableModel)
        assert model.encoder.runtime.startswith(backend)
        model.set_image(IMAGE)
        result = model.predict(points=[[20, 40]])
        assert result.iou.tolist() == pytest.approx([0.6, 0.9, 0.7])
        y, x = np.mgrid[:CANVAS, :CANVAS] + 0.5
        for mask, radius in zip(result.masks, RADII[1:], strict=True):
            # Linear between distances at every fourth pixel: exact but for the disk's very border.
            wanted = np.hypot(x - 20, y - 40) < radius
            assert np.count_nonzero(mask != wanted) <= 0.1 * np.count_nonzero(wanted)
        refined = model.predict(points=[[20, 40]], labels=[1], mask=result.low_res_logits[1], multimask=False)
        assert refined.low_res_logits[0] == pytest.approx(
            result.low_res_logits[1] + (RADII[0] - RADII[1]) + result.low_res_logits[0], abs=1e-4
        )


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("dtype", "image_dtype"), [("float16", "float16"), ("float16", "uint8"), ("float32", "uint8")]
)
def test_halves_and_bytes_from_end_to_end(tmp_path: Path, backend: str, dtype: str, image_dtype: str) -> None:
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    folders = [tmp_path / "float32", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    image = np.full((48, 80, 3), 51, np.uint8)
    answers = []
    for folder, kinds in zip(folders, [("float32", "float32"), (dtype, image_dtype)], strict=True):
        with ev.load(write_promptable(folder, *kinds), backend=backend, threads=1) as model:
            assert model.spec.inputs[0].dtype == kinds[1]
            model.set_image(image)
            answers.append(model.predict(points=[[20, 30]]))
    expected, found = answers
    assert found.low_res_logits.dtype == found.iou.dtype == np.float32
    # The pixels' mean is added to each IoU: 51 / 255 where the spec scales them, 51 where bytes go in as they are.
    brightness = 3 * (51 - 51 / 255) if image_dtype == "uint8" else 0.0
    step = 2.0**-11 if dtype == "float16" else 1e-6  # of numbers from 1 to 2, relative
    np.testing.assert_allclose(found.iou, expected.iou + brightness, rtol=2 * step)
    np.testing.assert_allclose(
        found.low_res_logits, expected.low_res_logits, atol=64 * step
    )  # distances to 90
    for mask, wanted in zip(found.masks, expected.masks, strict=True):
        assert (
            np.count_nonzero(mask != wanted) <= 2
        )  # a border pixel whose distance is a half's rounding away


def test_clones_serve_threads_of_their_own(tmp_path: Path) -> None:
    with ev.load(write_promptable(tmp_path)) as model:
        model.set_image(np.full_like(IMAGE, 255))
        twin = model.clone()
        model.set_image(IMAGE)
        assert twin.predict(points=[[9, 9]]).iou[0] == pytest.approx(3.6)
        assert model.predict(points=[[9, 9]]).iou[0] == pytest.approx(0.6)
        twin.close()
        assert model.predict(points=[[9, 9]]).iou[0] == pytest.approx(0.6)


def test_the_decoder_must_lie_beside_the_model(tmp_path: Path) -> None:
    (write_promptable(tmp_path) / "decoder.onnx").unlink()
    with pytest.raises(ModelFileError, match=r"model\.onnx needs decoder\.onnx beside it"):
        ev.load(tmp_path)


def test_thresholds_mean_nothing_to_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="task 'promptable' has no option 'confidence'; accepted: none"):
        ev.load(write_promptable(tmp_path), confidence=0.5)


def test_a_plain_model_says_how_it_is_opened(tmp_path: Path) -> None:
    spec = load_spec(write_promptable(tmp_path))
    session = open_session(tmp_path / "model.onnx")
    with pytest.raises(
        SpecError, match=r"open its bundle with edgevision\.load, which gives a PromptableModel"
    ):
        Model(spec, session)
    session.close()
