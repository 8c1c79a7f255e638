# Two commands need nothing but python3 (with venv), a C++ compiler and make: `make demo` and `make test`.
# Each keeps its own environment under .venv/ and builds it again only when what it is made from changes.

PYTHON ?= python3
PIP_FLAGS := --quiet --disable-pip-version-check
export ORT_DISABLE_TELEMETRY ?= 1

# A machine that can build the native kernels must not fall back to the NumPy ones unnoticed. Building an extension
# takes a compiler and Python's headers, which Debian and Ubuntu keep in python3-dev.
CAN_BUILD := $(shell $(PYTHON) -c 'import os, shutil, sysconfig; print(int(bool(shutil.which(os.environ.get("CXX", "c++"))) and os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))))')
export EDGEVISION_REQUIRE_NATIVE ?= $(CAN_BUILD)

NATIVE := $(wildcard cpp_ext/CMakeLists.txt cpp_ext/include/ev/*.h cpp_ext/src/*/*)

.PHONY: help demo test test-aarch64 fuzz cuda lint format stub train-demo clean

help:
	@echo "make demo          detect parts on a synthetic conveyor: a table, a picture, a video"
	@echo "make test          every test, PyTorch comparisons included"
	@echo "make test-aarch64  the kernels' own C++ tests, cross-compiled and run under qemu"
	@echo "make fuzz          random inputs through every instruction set (FUZZ_RUNS, FUZZ_SEED; clang)"
	@echo "make cuda          the CUDA kernels for every architecture, and docs/gpu_kernels.md (nvcc; no GPU)"
	@echo "make lint          ruff, mypy, clang-format, clang-tidy"
	@echo "make format        let ruff and clang-format rewrite the sources"
	@echo "make stub          write edgevision/_native.pyi and _cuda.pyi again from the built extensions"
	@echo "make train-demo    train the demo's models again"
	@echo "make clean         remove environments and builds"

define new_venv
@echo "making $(1) (once; again only when pyproject.toml or the C++ sources change)"
@test "$(CAN_BUILD)" = 1 || echo "note: no C++ compiler or no Python.h (apt-get install g++ python3-dev): NumPy kernels"
@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
endef

.venv/demo/.done: pyproject.toml $(NATIVE)
	$(call new_venv,.venv/demo)
	@.venv/demo/bin/python -m pip install $(PIP_FLAGS) -e '.[cpu,video]'
	@touch $@

.venv/test/.done: pyproject.toml tests/requirements.txt tests/requirements-no-deps.txt $(NATIVE)
	$(call new_venv,.venv/test)
	@.venv/test/bin/python -m pip install $(PIP_FLAGS) -e '.[cpu,openvino,video]' -r tests/requirements.txt
	@# These would bring opencv-python beside opencv-python-headless: both own the folder cv2.
	@.venv/test/bin/python -m pip install $(PIP_FLAGS) --no-deps -r tests/requirements-no-deps.txt
	@touch $@

.venv/lint/.done: tests/requirements-lint.txt
	$(call new_venv,.venv/lint)
	@.venv/lint/bin/python -m pip install $(PIP_FLAGS) -r tests/requirements-lint.txt
	@touch $@

demo: .venv/demo/.done
	@.venv/demo/bin/edgevision demo

# Processes that share the tests: each may take 3 GB.
TEST_WORKERS ?= 2
test: .venv/test/.done
	@PATH="$(CURDIR)/.venv/test/bin:$$PATH" EDGEVISION_REQUIRE_ALL=1 .venv/test/bin/python -m pytest \
		-n $(TEST_WORKERS) --dist worksteal $(PYTEST_FLAGS)

# Needs no Python and no network, only Debian's or Ubuntu's packages.
AARCH64_TOOLS := cmake aarch64-linux-gnu-g++
test-aarch64:
	@for tool in $(AARCH64_TOOLS); do command -v $$tool > /dev/null || missing="$$missing $$tool"; done; \
	command -v qemu-aarch64 > /dev/null || command -v qemu-aarch64-static > /dev/null || missing="$$missing qemu-aarch64"; \
	test -z "$$missing" || { echo "missing:$$missing; apt-get install cmake g++-aarch64-linux-gnu qemu-user"; exit 1; }
	@cmake -S cpp_ext -B build/aarch64 -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake -DEDGEVISION_PYTHON=OFF \
		-DEDGEVISION_NATIVE_TESTS=ON -DEDGEVISION_WERROR=ON
	@cmake --build build/aarch64 --parallel
	@ctest --test-dir build/aarch64 --output-on-failure

FUZZ_RUNS ?= 20000
FUZZ_SEED ?= 1
fuzz:
	@$(PYTHON) cpp_ext/fuzz/record.py --runs $(FUZZ_RUNS) --seed $(FUZZ_SEED)

# nvcc alone: what it warns of and what spills fails. Takes minutes.
cuda:
	@PATH="$$PATH:$(CURDIR)/.venv/test/bin" $(PYTHON) cpp_ext/cuda/report.py --build build/cuda --page docs/gpu_kernels.md

CPP_SOURCES := $(wildcard cpp_ext/include/ev/*.h cpp_ext/src/*/*.h cpp_ext/src/*/*.cpp cpp_ext/tests/*.h cpp_ext/tests/*.cpp cpp_ext/fuzz/*.h cpp_ext/fuzz/*.cpp \
	cpp_ext/cuda/*.h cpp_ext/cuda/*.cpp cpp_ext/cuda/*/*.h cpp_ext/cuda/*/*.cpp cpp_ext/cuda/*/*.cu tests/ops/*.cpp)

lint: .venv/lint/.done
	@mkdir -p build
	.venv/lint/bin/ruff check .
	.venv/lint/bin/ruff format --check .
	.venv/lint/bin/mypy
	.venv/lint/bin/clang-format --dry-run --Werror $(CPP_SOURCES)
	@PATH="$(CURDIR)/.venv/lint/bin:$$PATH" cmake -S cpp_ext -B build/lint -DEDGEVISION_WERROR=ON \
		-DEDGEVISION_NATIVE_TESTS=ON -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
		-DPython_EXECUTABLE=$(CURDIR)/.venv/lint/bin/python > build/lint.log 2>&1 || { cat build/lint.log; exit 1; }
	@# A kernel's source is looked at once for each instruction set that it is compiled for, so several at a time.
	printf '%s\n' $(wildcard cpp_ext/src/kernels/*.cpp cpp_ext/src/runtime/*.cpp cpp_ext/tests/*.cpp cpp_ext/fuzz/*.cpp) | \
		xargs -n 1 -P "$$(nproc 2> /dev/null || echo 2)" \
		.venv/lint/bin/clang-tidy --quiet --extra-arg=-Wno-unknown-warning-option -p build/lint

format: .venv/lint/.done
	.venv/lint/bin/ruff check --fix .
	.venv/lint/bin/ruff format .
	.venv/lint/bin/clang-format -i $(CPP_SOURCES)

stub: .venv/test/.done
	.venv/test/bin/python tests/native_stub.py edgevision/_native.pyi
	@PATH="$(CURDIR)/.venv/test/bin:$$PATH" .venv/test/bin/python tests/cuda/cuda_stub.py edgevision/_cuda.pyi

train-demo: .venv/test/.done
	.venv/test/bin/python -m edgevision.export.train_conveyor --output output/conveyor

clean:
	rm -rf .venv build dist output edgevision-demo
