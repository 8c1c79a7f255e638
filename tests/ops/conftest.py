"""Both implementations of the kernels, as a test parameter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from implementations import IMPLEMENTATIONS, ISAS, implementation, use_everywhere


@pytest.fixture(params=IMPLEMENTATIONS)
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Makes a test run on every implementation of the kernels; its value is the name."""
    with implementation(request.param) as native:
        use_everywhere(monkeypatch, native)
        yield request.param


@pytest.fixture(scope="module", params=ISAS or ("native",))
def each_isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Makes a test of the native kernels run once with those of each instruction set; its value is the name."""
    with implementation(request.param):
        yield request.param
