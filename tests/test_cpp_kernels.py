"""The kernels' own C++ tests, built without Python: under sanitizers, and for another processor under its emulator."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "cpp_ext"
TOOLCHAIN = SOURCE / "cmake" / "aarch64.cmake"
EMULATORS = ("qemu-aarch64", "qemu-aarch64-static")

needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "c++")) is None, reason="a C++ compiler is not installed"
)
# Worded so that no environment variable makes these packages a must: the suite needs python3, g++ and make alone.
needs_aarch64 = pytest.mark.skipif(
    shutil.which("aarch64-linux-gnu-g++") is None or not any(map(shutil.which, EMULATORS)),
    reason="needs g++-aarch64-linux-gnu and qemu-user",
)

# All that kernels call: copies, fills and pure functions of numbers. What allocates, throws, locks or prints is not here.
ALLOWED_CALLS = (
    r"mem(cpy|move|set|cmp)|(exp|log|sin|cos|sincos|sqrt|floor|ceil|rint|nextafter)f?|__stack_chk_fail"
)
# What sanitizers and unwinders add.
ALLOWED_BY_TOOLS = r"__(asan|ubsan|tsan)_\w+|_Unwind_Resume|__gxx_personality_v0|_GLOBAL_OFFSET_TABLE_"


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
    return done.stdout


def build(folder: Path, *options: str, targets: Iterable[str] = ("all",)) -> None:
    run(
        "cmake", "-S", str(SOURCE), "-B", str(folder), "-DEDGEVISION_PYTHON=OFF", "-DEDGEVISION_NATIVE_TESTS=ON",
        "-DEDGEVISION_WERROR=ON", *options,
    )  # fmt: skip
    run("cmake", "--build", str(folder), "--parallel", "2", "--target", *targets)


def run_tests(folder: Path, only: str = ".") -> str:
    return run("ctest", "--test-dir", str(folder), "--output-on-failure", "-R", only)


def symbols(folder: Path) -> list[str]:
    """A line for every symbol that the kernels' object files define or need."""
    objects = [str(path) for path in folder.rglob("*.o") if "ev_kernels_" in str(path)]
    assert objects
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    return run("nm", "-C", *objects).splitlines()


def assert_nothing_is_shared_between_instruction_sets(folder: Path) -> None:
    """No function of two compilations has one name: the linker would keep one, perhaps with unknown instructions."""
    weak = [line for line in symbols(folder) if re.search(r" [Wu] ", line)]
    names = {
        path.name.removeprefix("ev_kernels_").removesuffix(".dir")
        for path in folder.rglob("ev_kernels_*.dir")
    }
    assert [line for line in weak if not re.search(rf"\bev::({'|'.join(names)})::", line)] == []


def assert_kernels_only_compute(folder: Path) -> None:
    """Kernels call one another and a few pure functions: they cannot allocate, throw, lock or print."""
    needed = {line.split(" U ")[1] for line in symbols(folder) if " U " in line}
    outside = {
        name for name in needed if not re.search(r"(^|\s)ev::", name)
    }  # after a template's result type
    assert outside  # else the lines were misread
    assert {
        name for name in outside if not re.fullmatch(f"{ALLOWED_CALLS}|{ALLOWED_BY_TOOLS}", name)
    } == set()


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sanitized")
    build(folder, "-DEDGEVISION_SANITIZE=address,undefined", "-DEDGEVISION_OPTIMIZE=-O1")
    return folder


@pytest.mark.slow
@needs_cmake
@needs_compiler
def test_the_kernels_pass_their_own_tests_under_sanitizers(sanitized: Path) -> None:
    assert_nothing_is_shared_between_instruction_sets(sanitized)
    assert_kernels_only_compute(sanitized)
    assert "100% tests passed" in run_tests(sanitized)


@pytest.mark.slow
@needs_cmake
@needs_compiler
def test_threads_do_not_race(tmp_path: Path) -> None:
    build(
        tmp_path,
        "-DEDGEVISION_SANITIZE=thread",
        "-DEDGEVISION_OPTIMIZE=-O1",
        targets=("test_pool", "test_threads"),
    )
    said = run_tests(tmp_path, "^test_(pool|threads)$")
    assert "100% tests passed" in said
    assert "out of 2\n" in said


@pytest.mark.slow
@needs_cmake
@needs_compiler
@needs_aarch64
def test_the_kernels_pass_their_own_tests_on_aarch64_and_give_the_same_bits(
    tmp_path: Path, sanitized: Path
) -> None:
    build(tmp_path, f"-DCMAKE_TOOLCHAIN_FILE={TOOLCHAIN}", "-DEDGEVISION_OPTIMIZE=-O2")
    assert (tmp_path / "CMakeFiles" / "ev_kernels_neon.dir").is_dir()
    assert "100% tests passed" in run_tests(tmp_path)
    emulator = next(path for path in map(shutil.which, EMULATORS) if path)
    targets = [path.stem for path in sorted((SOURCE / "fuzz").glob("fuzz_*.cpp"))]
    for target in targets:
        here = run(str(sanitized / "fuzz" / target), "500", "2")
        there = run(emulator, "-L", "/usr/aarch64-linux-gnu", str(tmp_path / "fuzz" / target), "500", "2")
        assert (target, there) == (target, here)  # the last word is what all results hash to
