"""Registers, shared memory and spills of every CUDA kernel: python cpp_ext/cuda/report.py [--json FILE] [--page FILE].

Compiles the kernels with nvcc, for every architecture that CMake chooses or those of --architectures, and reads what
ptxas says. Fails when a kernel spills, or when a warning is not allowed to pass. Needs no GPU and shows nothing about
speed.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent.parent

ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(sm_\w+)'")
SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:, used \d+ barriers)?(.*)")
SHARED = re.compile(r"(\d+) bytes smem")

HEADER = """# What the compiler makes of the CUDA kernels

Written by `make cuda` (`cpp_ext/cuda/report.py`), which fails when a kernel spills registers. It needs nvcc and no GPU,
and says nothing about speed. Each kernel: its registers a thread, from the least to the most of the architectures, its
shared memory a block, its stack frame a thread (of trigonometry for large arguments) and the bytes it spills.

"""


def compile_kernels(folder: Path, architectures: str, jobs: int) -> str:
    """All that the build prints, everything compiled anew."""
    options = [f"-DCMAKE_CUDA_ARCHITECTURES={architectures}"] if architectures else []
    if shutil.which("ninja"):
        options += ["-G", "Ninja"]
    else:
        jobs = 1  # make lets the lines of several compilers mix
    # CMake says which compiler it found only when it looks for one: afresh.
    (folder / "CMakeCache.txt").unlink(missing_ok=True)
    shutil.rmtree(folder / "CMakeFiles", ignore_errors=True)
    configured = run(
        "cmake", "-S", str(SOURCE), "-B", str(folder), "-DEDGEVISION_CUDA=ON", "-DEDGEVISION_PYTHON=OFF",
        "-DEDGEVISION_WERROR=ON", *options,
    )  # fmt: skip
    built = run(
        "cmake", "--build", str(folder), "--clean-first", "--target", "ev_cuda", "--parallel", str(jobs)
    )
    return configured + built


def run(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-8000:]}")
    return done.stdout


def read_kernels(said: str) -> list[dict[str, Any]]:
    """A row a kernel and architecture, from what ptxas printed with -v; entries come one after another, whole."""
    rows: list[dict[str, Any]] = []
    for line in said.splitlines():
        if entry := ENTRY.search(line):
            rows.append({"kernel": entry[1], "architecture": entry[2]})
        elif (spills := SPILLS.search(line)) and rows and "spilled" not in rows[-1]:
            rows[-1]["stack"] = int(spills[1])
            rows[-1]["spilled"] = int(spills[2]) + int(spills[3])
        elif (used := USED.search(line)) and rows:
            shared = SHARED.search(used[2])
            rows[-1]["registers"] = int(used[1])
            rows[-1]["shared"] = int(shared[1]) if shared else 0
    incomplete = [row for row in rows if not {"spilled", "registers"} <= row.keys()]
    if not rows or incomplete:
        sys.exit(
            f"cannot read what ptxas says of {incomplete or 'any kernel'}: it may have another format now"
        )
    names = demangle([row["kernel"] for row in rows])
    for row, name in zip(rows, names, strict=True):
        row["kernel"] = short_name(name)
    return sorted(rows, key=lambda row: (row["kernel"], int(re.sub(r"\D", "", row["architecture"]))))


def demangle(names: list[str]) -> list[str]:
    done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def short_name(name: str) -> str:
    """The body's name: void ev::cuda::run_body<ev::cuda::(anonymous namespace)::Fill<float> >(...) -> Fill<float>."""
    name = re.sub(r"ev::cuda::|ev::|\(anonymous namespace\)::", "", name)
    body = re.match(r"void run_body<(.*?) ?>\(", name)
    plain = body[1] if body else name
    return plain.replace(" >", ">").replace("unsigned char", "uint8").replace("unsigned short", "half")


def toolkit(said: str) -> str:
    # Newer versions of CMake add the host's compiler, which changes nothing here.
    found = re.search(r"CUDA compiler identification is (\S+ \S+)", said)
    return found[1] if found else "unknown"


def write_page(rows: list[dict[str, Any]], compiler: str) -> str:
    architectures = list(dict.fromkeys(row["architecture"] for row in sorted(rows, key=architecture_number)))
    lines = [
        HEADER + f"nvcc {compiler}; {', '.join(architectures)}.\n",
        "| kernel | registers | shared memory | stack | spilled |",
        "|---|---|---|---|---|",
    ]
    for kernel in dict.fromkeys(row["kernel"] for row in rows):
        own = [row for row in rows if row["kernel"] == kernel]
        columns = (spread(own, name) for name in ("registers", "shared", "stack", "spilled"))
        lines.append(f"| `{kernel}` | {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def architecture_number(row: dict[str, Any]) -> int:
    return int(re.sub(r"\D", "", row["architecture"]))


def spread(rows: list[dict[str, Any]], name: str) -> str:
    least, most = min(row[name] for row in rows), max(row[name] for row in rows)
    return str(least) if least == most else f"{least}-{most}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", default="", help="as CMAKE_CUDA_ARCHITECTURES takes them")
    parser.add_argument("--build", type=Path, help="folder to build in and to keep")
    parser.add_argument("--log", type=Path, help="read what such a build printed instead of building")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where to write every row")
    parser.add_argument("--page", type=Path, help="where to write the table")
    arguments = parser.parse_args()
    if arguments.log:
        said = arguments.log.read_text()
    elif arguments.build:
        said = compile_kernels(arguments.build, arguments.architectures, arguments.jobs)
    else:
        with tempfile.TemporaryDirectory() as folder:
            said = compile_kernels(Path(folder), arguments.architectures, arguments.jobs)
    rows = read_kernels(said)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    if arguments.page:
        arguments.page.write_text(write_page(rows, toolkit(said)))
    spilling = [row for row in rows if row["spilled"] > 0]
    kernels, architectures = ({row[key] for row in rows} for key in ("kernel", "architecture"))
    print(f"{len(kernels)} kernels, {len(architectures)} architectures, {len(spilling)} spill")
    if spilling:
        sys.exit(
            "\n".join(f"{row['kernel']} on {row['architecture']}: {row['spilled']} bytes" for row in spilling)
        )


if __name__ == "__main__":
    main()
