"""Builds the fuzz targets, runs each, and adds what ran to RECORD.json: `make fuzz` calls this.

Three builds take turns: under libFuzzer, with the address and undefined-behaviour sanitizers, which see every read
outside an array; under libFuzzer, optimised, which is many times faster and sees wrong results and writes; and the very
code of a release on inputs of a seeded generator, which nothing guides, faster still.

RECORD.json sums by build the inputs that kernels have passed as they are: a run names its target's kernels by a hash of
their sources, and once those have changed only the number of its inputs stays.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

FUZZ = Path(__file__).resolve().parent
RECORD = FUZZ / "RECORD.json"
TARGETS = tuple(path.stem for path in sorted(FUZZ.glob("fuzz_*.cpp")))
BUILDS = {
    "sanitized": (
        "-DEDGEVISION_FUZZ=ON",
        "-DEDGEVISION_SANITIZE=address,undefined",
        "-DEDGEVISION_OPTIMIZE=-O1",
    ),
    "optimised": ("-DEDGEVISION_FUZZ=ON", "-DEDGEVISION_OPTIMIZE=-O3"),
    "seeded": ("-DEDGEVISION_NATIVE_TESTS=ON", "-DEDGEVISION_OPTIMIZE=-O3"),
}
KERNELS = FUZZ.parent / "src" / "kernels"
# Whose sources' change makes a target's runs those of other kernels: patterns of names in src/kernels.
FAMILIES = {
    "fuzz_boxes": ("boxes*",),
    "fuzz_color": ("image*", "antialias*", "byte_picker*", "color*"),
    "fuzz_image": ("image*", "antialias*", "byte_picker*"),
    "fuzz_labels": ("masks.cpp", "masks_nearest*"),
    "fuzz_masks": ("masks_binary*", "masks_columns*", "masks_instances*"),
    "fuzz_nms": ("nms*",),
    "fuzz_rle": ("masks_rle*",),
    "fuzz_scores": ("scores*", "top_k*"),
}


def build(folder: Path, options: tuple[str, ...], compiler: str) -> None:
    """Build every target; raises CalledProcessError if that fails."""
    for command in (
        ["cmake", "-S", str(FUZZ.parent), "-B", str(folder), f"-DCMAKE_CXX_COMPILER={compiler}",
         "-DEDGEVISION_PYTHON=OFF", *options],
        ["cmake", "--build", str(folder), "--parallel", str(os.cpu_count()), "--target", *TARGETS],
    ):  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def run_target(folder: Path, target: str, runs: int, seed: int) -> tuple[int, bool, str]:
    """How many inputs a target ran, whether it survived them all, and what it said."""
    if folder.name == "seeded":
        command = [str(folder / "fuzz" / target), str(runs), str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return runs if done.returncode == 0 else 0, done.returncode == 0, done.stderr
    corpus = folder / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [str(folder / "fuzz" / target), f"-runs={runs}", f"-seed={seed}", "-max_len=64", "-print_final_stats=1",
         f"-artifact_prefix={folder}/{target}-", str(corpus)],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    return int(executed.group(1)) if executed else 0, done.returncode == 0, done.stderr


def describe(compiler: str) -> dict[str, str]:
    """The compiler, the processor's architecture, and the commit whose kernels ran."""
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=FUZZ
    )
    return {
        "compiler": version.splitlines()[0],
        "machine": platform.machine(),
        "commit": commit.stdout.strip() or "unknown",
    }


@cache
def hash_of_kernels(target: str) -> str:
    """The start of the SHA-256 of a target's kernels: their sources and the headers of this repository they include."""
    found: set[Path] = set()
    new = {path for pattern in FAMILIES[target] for path in KERNELS.glob(pattern)}
    while new:
        found |= new
        names = {
            name for path in new for name in re.findall(r'^#include "(.+)"', path.read_text(), re.MULTILINE)
        }
        places = {folder / name for name in names for folder in (KERNELS, FUZZ.parent / "include")}
        new = {path for path in places if path.exists()} - found
    digest = hashlib.sha256()
    for path in sorted(found):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def count_passed(runs: list[dict[str, Any]], build: str) -> int:
    return sum(run["executions"] for run in runs if run["outcome"] == "passed" and run["build"] == build)


def add_to_record(entry: dict[str, Any]) -> int:
    """Append one run and return how many inputs the present kernels have passed in all."""
    record = json.loads(RECORD.read_text())
    runs = [run for run in record["runs"] if run["kernels"] == hash_of_kernels(run["target"])]
    changed = [run for run in record["runs"] if run not in runs]
    earlier = record["inputs_of_earlier_kernels"] + sum(count_passed(changed, build) for build in BUILDS)
    runs.append(entry | {"kernels": hash_of_kernels(entry["target"])})
    passed = {build: count_passed(runs, build) for build in BUILDS}
    head = {"inputs": passed, "inputs_of_earlier_kernels": earlier}
    fields = "".join(f'  "{name}": {json.dumps(value)},\n' for name, value in head.items())
    lines = ",\n".join(f"    {json.dumps(run)}" for run in runs)
    RECORD.write_text(f'{{\n{fields}  "runs": [\n{lines}\n  ]\n}}\n')
    return sum(passed.values())


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the fuzz targets and record what ran.")
    parser.add_argument("--runs", type=int, default=20000, help="inputs a target and build")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=TARGETS, help="default: all")
    parser.add_argument("--build", action="append", choices=tuple(BUILDS), help="default: all")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"))
    arguments = parser.parse_args()
    clang, cxx = os.environ.get("FUZZ_CXX", "clang++"), os.environ.get("CXX", "c++")
    missing = [tool for tool in ("cmake", clang, cxx) if shutil.which(tool) is None]
    if missing:
        print(f"missing: {' '.join(missing)}; apt-get install cmake clang g++", file=sys.stderr)
        return 1
    failed = False
    for name in arguments.build or BUILDS:
        compiler = cxx if name == "seeded" else clang
        about = describe(compiler)
        folder = arguments.folder.resolve() / name
        build(folder, BUILDS[name], compiler)
        for target in arguments.target or TARGETS:
            executed, passed, said = run_target(folder, target, arguments.runs, arguments.seed)
            entry = {
                "target": target, "build": name, "executions": executed, "seed": arguments.seed,
                "date": datetime.date.today().isoformat(), **about, "outcome": "passed" if passed else "failed",
            }  # fmt: skip
            total = add_to_record(entry)
            print(f"{target} ({name}): {executed} inputs, {entry['outcome']}; {total} in all", flush=True)
            if not passed:
                failed = True
                print(said[-4000:], file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
