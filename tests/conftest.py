"""What many tests share."""

from __future__ import annotations

import os

import pytest

# Before any test imports it: ONNX Runtime reports its use to its makers and writes into the home folder otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def pytest_configure(config):
    # Most networks in the tests are untrained; tests of the warning itself ask for it.
    config.addinivalue_line("filterwarnings", "ignore:the weights of .* are random")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """With EDGEVISION_REQUIRE_ALL=1 a test that skips for a missing library fails instead."""
    report = yield
    if (
        report.skipped
        and os.environ.get("EDGEVISION_REQUIRE_ALL", "") not in ("", "0")
        and not hasattr(report, "wasxfail")
        and "not installed" in str(report.longrepr)
    ):
        report.outcome = "failed"
    return report
