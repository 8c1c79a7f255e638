"""The number of threads and the instruction set, by call and by environment."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from implementations import ISAS

import edgevision as ev
from edgevision.ops._dispatch import native

needs_native = pytest.mark.skipif(native is None, reason="the native extension is not built")


def in_new_process(program: str, **environment: str) -> str:
    """What a Python program prints, or the last line of its error."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("threads", [1, 3, 64, np.int64(2)])
def test_the_number_of_threads_is_what_was_set(threads: int) -> None:
    before = ev.get_num_threads()
    try:
        ev.set_num_threads(threads)
        assert ev.get_num_threads() == (1 if native is None else threads)
    finally:
        ev.set_num_threads(before)


@pytest.mark.parametrize("threads", [0, -1, 65, 2.0, "2", None, True, 2**70], ids=str)
def test_other_numbers_are_refused(threads: object) -> None:
    before = ev.get_num_threads()
    with pytest.raises(ev.InputError, match="threads must be a whole number from 1 to 64, got"):
        ev.set_num_threads(threads)
    assert ev.get_num_threads() == before


@needs_native
def test_the_environment_sets_both() -> None:
    program = "import edgevision as ev; from edgevision import _native; print(ev.get_num_threads(), _native.current_isa())"
    assert in_new_process(program, EDGEVISION_NUM_THREADS="7", EDGEVISION_ISA=ISAS[0]) == f"7 {ISAS[0]}"
    assert in_new_process(program, EDGEVISION_NUM_THREADS="", EDGEVISION_ISA="").split()[1] == ISAS[-1]


@needs_native
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        pytest.param("EDGEVISION_ISA", "avx1024", f"available: {' '.join(ISAS)}; unset it", id="isa"),
        pytest.param(
            "EDGEVISION_NUM_THREADS", "many", "whole number from 1 to 64, got 'many'", id="no-number"
        ),
        pytest.param("EDGEVISION_NUM_THREADS", "0", "whole number from 1 to 64, got '0'", id="none"),
    ],
)
def test_an_unknown_setting_is_an_error_and_no_fallback(name: str, value: str, said: str) -> None:
    found = in_new_process("import edgevision.ops.image", **{name: value})
    assert found.startswith("edgevision.errors.InputError: ")
    assert said in found


@needs_native
def test_the_native_module_refuses_them_too() -> None:
    with pytest.raises(ValueError, match="no kernels for instruction set 'neon2' here; available:"):
        native.select_isa("neon2")
    assert native.current_isa() in ISAS
    with pytest.raises(ValueError, match="threads must be from 1 to 64"):
        native.set_num_threads(65)
