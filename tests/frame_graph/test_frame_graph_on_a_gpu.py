"""Frames over a real GPU: what the stand-ins cannot show. Skipped without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparing import frames
from frame_networks import FAMILIES, SIDE, family

from edgevision import Detections, Model, OrientedDetections, Segmentation
from edgevision.backends import open_session
from edgevision.backends.gpu import explain_no_gpu
from edgevision.engines import BUILDERS, BuildOptions, ShapeRange, build_engine
from edgevision.errors import BackendError

pytestmark = pytest.mark.gpu


@pytest.fixture(params=["onnxruntime", *BUILDERS])
def open_model(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Opens a network on the GPU by a runtime; skips without either."""
    reason = explain_no_gpu()
    if reason:
        pytest.skip(f"no GPU: {reason}")
    pytest.importorskip("edgevision._cuda", reason="edgevision._cuda is not built (EDGEVISION_CUDA=ON)")
    runtime = request.param

    def open_one(spec: Any, network: bytes, **options: Any) -> Model:
        path = tmp_path / "m.onnx"
        path.write_bytes(network)
        if runtime == "onnxruntime":
            ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
            if "CUDAExecutionProvider" not in ort.get_available_providers():
                pytest.skip("this onnxruntime has no CUDA provider")
        else:
            module = BUILDERS[runtime].module
            pytest.importorskip(module, reason=f"{module} is not there")
            shapes = ShapeRange(*((count, 3, SIDE, SIDE) for count in (1, 1, 4)))
            build = BuildOptions(profiles={"images": shapes}, tf32=False)
            try:
                path = build_engine(path, backend=runtime, options=build).path
            except BackendError as error:
                pytest.skip(f"{runtime} does not build here: {error}")
        return Model(spec, open_session(path, device="cuda", backend=runtime, **options))

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
