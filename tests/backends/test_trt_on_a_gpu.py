"""Engines on a real GPU: what the stand-ins cannot show. Skipped without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_networks as tiny

from edgevision.backends import open_session
from edgevision.backends.gpu import explain_no_gpu
from edgevision.engines import BUILDERS, BuildOptions, ShapeRange, build_engine
from edgevision.errors import BackendError

pytestmark = pytest.mark.gpu


@pytest.fixture(params=list(BUILDERS))
def builder(request: pytest.FixtureRequest) -> str:
    reason = explain_no_gpu()
    if reason:
        pytest.skip(f"no GPU: {reason}")
    module = BUILDERS[request.param].module
    pytest.importorskip(module, reason=f"{module} is not there")
    pytest.importorskip("edgevision._cuda", reason="edgevision._cuda is not built (EDGEVISION_CUDA=ON)")
    return request.param


def engine(folder: Path, builder: str, model: bytes, name: str, shapes: ShapeRange) -> Path:
    path = folder / "m.onnx"
    path.write_bytes(model)
    options = BuildOptions(profiles={name: shapes}, tf32=False)
    try:
        return build_engine(path, backend=builder, options=options).path
    except BackendError as error:
        pytest.skip(f"{builder} does not build here: {error}")


@pytest.mark.parametrize("memory", ["staged", "mapped"])
def test_outputs_are_those_of_numpy_at_every_shape(memory: str, builder: str, tmp_path: Path) -> None:
    shapes = ShapeRange((1, 3, 4, 4), (1, 3, 8, 8), (4, 3, 16, 16))
    path = engine(tmp_path, builder, tiny.conv_relu(), "x", shapes)
    session = open_session(path, memory=memory)
    rng = np.random.default_rng(3)
    for shape in [(1, 3, 8, 8), (4, 3, 16, 5), (1, 3, 8, 8)]:
        for _ in range(4):  # the second run is recorded, the third only launched
            x = rng.standard_normal(shape).astype(np.float32)
            session.input_buffer("x", shape)[:] = x
            # 1e-4: 27 products in the GPU's own order, in float32.
            np.testing.assert_allclose(session.run()["y"], tiny.conv_relu_numpy(x), rtol=0, atol=1e-4)
    assert session.device == "cuda:0"


def test_an_output_of_unforeseeable_shape_is_whole(builder: str, tmp_path: Path) -> None:
    shapes = ShapeRange((1, 4), (8, 4), (64, 4))
    session = open_session(engine(tmp_path, builder, tiny.nonzero(), "x", shapes))
    for count in (0, 1, 17, 256, 3):
        x = np.zeros((64, 4), np.float32)
        x.ravel()[:count] = 1
        assert np.array_equal(session.run({"x": x})["y"], np.array(np.nonzero(x)))
