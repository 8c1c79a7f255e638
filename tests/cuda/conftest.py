"""The CUDA module that a test runs with: emulated on the processor, and on a device where there is one."""

from __future__ import annotations

from types import ModuleType

import pytest
from cuda_modules import emulated_or_skip


@pytest.fixture(scope="session")
def emulated_cuda() -> ModuleType:
    """edgevision._cuda compiled as C++: everything but the GPU itself."""
    return emulated_or_skip()


@pytest.fixture(params=["emulated", pytest.param("device", marks=pytest.mark.gpu)])
def cuda(request: pytest.FixtureRequest) -> ModuleType:
    """The emulated module, then the one of the installation on its GPU."""
    if request.param == "emulated":
        return request.getfixturevalue("emulated_cuda")
    module = pytest.importorskip(
        "edgevision._cuda", reason="edgevision._cuda is not built (EDGEVISION_CUDA=ON)"
    )
    if module.device_count() == 0:
        pytest.skip(f"no CUDA device: {module.why_no_device()}")
    return module
