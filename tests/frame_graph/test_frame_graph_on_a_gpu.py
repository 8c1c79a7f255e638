"""Frames over a real GPU: what the stand-ins cannot show. Skipped without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparing import frames
from frame_networks import FAMILIES, SIDE, family
from test_demo_models import stills
from tiny_promptable import write_promptable

from edgevision import Detections, Model, OrientedDetections, PromptableModel, PromptMasks, Segmentation
from edgevision.backends import Session, open_session
from edgevision.backends.gpu import explain_no_gpu
from edgevision.demo.shipped import DEMO_MODELS, demo_model_path
from edgevision.engines import BUILDERS, BuildOptions, ShapeRange, build_engine
from edgevision.errors import BackendError
from edgevision.spec import load_spec

pytestmark = pytest.mark.gpu


@pytest.fixture(params=["onnxruntime", *BUILDERS])
def open_network(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Opens a session of a network on the GPU by a runtime; skips without either."""
    reason = explain_no_gpu()
    if reason:
        pytest.skip(f"no GPU: {reason}")
    pytest.importorskip("edgevision._cuda", reason="edgevision._cuda is not built (EDGEVISION_CUDA=ON)")
    runtime = request.param

    def open_one(network: bytes, profiles: dict[str, ShapeRange], **options: Any) -> Session:
        path = tmp_path / "m.onnx"
        path.write_bytes(network)
        if runtime == "onnxruntime":
            ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
            if "CUDAExecutionProvider" not in ort.get_available_providers():
                pytest.skip("this onnxruntime has no CUDA provider")
        else:
            module = BUILDERS[runtime].module
            pytest.importorskip(module, reason=f"{module} is not there")
            build = BuildOptions(profiles=profiles, tf32=False)
            try:
                path = build_engine(path, backend=runtime, options=build).path
            except BackendError as error:
                pytest.skip(f"{runtime} does not build here: {error}")
        return open_session(path, device="cuda", backend=runtime, **options)

    return open_one


@pytest.fixture
def open_model(open_network: Any) -> Any:
    def open_one(spec: Any, network: bytes, **options: Any) -> Model:
        shapes = ShapeRange(*((count, 3, SIDE, SIDE) for count in (1, 1, 4)))
        return Model(spec, open_network(network, {"images": shapes}, **options))

    return open_one


@pytest.fixture
def open_promptable(open_network: Any, tmp_path: Path) -> Any:
    folder = tmp_path / "tiny"
    folder.mkdir()
    write_promptable(folder)
    profiles = {
        "point_coords": ShapeRange(*((1, count, 2) for count in (1, 2, 8))),
        "point_labels": ShapeRange(*((1, count) for count in (1, 2, 8))),
    }

    def open_one(**options: Any) -> PromptableModel:
        encoder = open_network((folder / "model.onnx").read_bytes(), {}, **options)
        decoder = open_network((folder / "decoder.onnx").read_bytes(), profiles, **options)
        return PromptableModel(load_spec(folder / "model.onnx"), encoder, decoder)

    return open_one


def assert_close(got: Any, expected: Any) -> None:
    """Both decode the same network's outputs; a GPU's exp, sin and cos may differ in the last bits, and so may borders."""
    assert type(got) is type(expected)
    if isinstance(got, (Detections, OrientedDetections)):
        np.testing.assert_array_equal(got.class_id, expected.class_id)
        np.testing.assert_allclose(got.confidence, expected.confidence, rtol=0, atol=1e-5)
        boxes = "xyxy" if isinstance(got, Detections) else "xywhr"
        np.testing.assert_allclose(getattr(got, boxes), getattr(expected, boxes), rtol=0, atol=1e-2)
    elif isinstance(got, Segmentation):
        assert (got.labels != expected.labels).mean() < 1e-3
    elif isinstance(got, PromptMasks):
        np.testing.assert_allclose(got.iou, expected.iou, rtol=0, atol=1e-5)
        np.testing.assert_allclose(got.low_res_logits, expected.low_res_logits, rtol=0, atol=1e-4)
        assert (got.masks != expected.masks).mean() < 1e-3


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gives_the_processors_results(open_model: Any, name: str) -> None:
    spec, network = family(name)
    on_gpu, on_processor = open_model(spec, network), open_model(spec, network, slots=0)
    for frame in frames(6):
        assert_close(on_gpu(frame), on_processor(frame))
    given = frames(7)
    ahead = [on_gpu.submit(frame) for frame in given]
    for frame, submission in zip(given, ahead, strict=True):
        assert_close(submission.result(), on_processor(frame))
    for got, expected in zip(on_gpu(given[:4]), on_processor(given[:4]), strict=True):
        assert_close(got, expected)


@pytest.mark.parametrize("name", [name for name in DEMO_MODELS if name != "promptable"])
def test_shipped_models_give_the_processors_results(open_network: Any, name: str) -> None:
    path = demo_model_path(name)
    spec, network = load_spec(path), path.read_bytes()
    profiles = {}
    if spec.inputs[0].batch is None:
        profiles = {spec.inputs[0].name: ShapeRange(*((1, 3, *spec.inputs[0].size_hw),) * 3)}
    on_gpu = Model(spec, open_network(network, profiles))
    on_processor = Model(spec, open_network(network, profiles, slots=0))
    for still in stills(3):
        expected = on_processor(still)
        for _ in range(3):
            assert_close(on_gpu(still), expected)


def test_frames_of_pytorch_are_read_where_they_lie(open_model: Any) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    model, reference = open_model(*family("yolo")), open_model(*family("yolo"), slots=0)
    for frame in frames(6):
        tensor = torch.from_numpy(frame).to("cuda", non_blocking=True)
        assert_close(model(tensor), reference(frame))
        assert_close(model(tensor[10:, 5:]), reference(frame[10:, 5:]))
    ahead = model.submit(tensor)
    boxes = torch.from_dlpack(ahead.on_device()["boxes"]).cpu().numpy()
    result = ahead.result()
    np.testing.assert_array_equal(boxes[0, : len(result)], result.xyxy)


def test_prompts_are_answered_as_on_the_processor(open_promptable: Any) -> None:
    model, reference = open_promptable(), open_promptable(slots=0)
    calls: list[dict[str, Any]] = [
        {"points": [[20, 30]]},
        {"points": [[20, 30], [25, 31]], "labels": [1, 0]},
        {"box": [10, 10, 40, 44], "multimask": False},
    ]
    for image in frames(6):
        for one in (model, reference):
            one.set_image(image)
        expected = [reference.predict(**call) for call in calls]
        for _ in range(3):  # recorded from the second at a shape on
            for call, answer in zip(calls, expected, strict=True):
                assert_close(model.predict(**call), answer)
        for _ in range(3):
            assert_close(model.predict(**calls[0]), expected[0])
        twin = model.clone()
        assert_close(twin.predict(**calls[1]), expected[1])
        twin.close()
    name = "image_embeddings"
    assert model.decoder.input_address(name) == model.encoder.output_address(name)
