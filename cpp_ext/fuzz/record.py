"""Builds the fuzz targets, runs each under libFuzzer, and adds what ran to RECORD.json: `make fuzz` calls this.

Two builds take turns: one under the address and undefined-behaviour sanitizers, which sees every read outside an array,
and one optimised as in a release, which is many times faster and sees wrong results and writes.

RECORD.json lists the runs of the kernels that it names by the hash of their sources, and sums them by build; once the
kernels have changed, a new run begins a new list, and of the old one only the number of inputs stays.
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
from pathlib import Path
from typing import Any

FUZZ = Path(__file__).resolve().parent
RECORD = FUZZ / "RECORD.json"
TARGETS = tuple(path.stem for path in sorted(FUZZ.glob("fuzz_*.cpp")))
BUILDS = {
    "sanitized": ("-DEDGEVISION_SANITIZE=address,undefined", "-DEDGEVISION_OPTIMIZE=-O1"),
    "optimised": ("-DEDGEVISION_OPTIMIZE=-O3",),
}


def build(folder: Path, options: tuple[str, ...], compiler: str) -> None:
    """Build every target; raises CalledProcessError if that fails."""
    for command in (
        ["cmake", "-S", str(FUZZ.parent), "-B", str(folder), f"-DCMAKE_CXX_COMPILER={compiler}",
         "-DEDGEVISION_PYTHON=OFF", "-DEDGEVISION_FUZZ=ON", *options],
        ["cmake", "--build", str(folder), "--parallel", str(os.cpu_count())],
    ):  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def run_target(folder: Path, target: str, runs: int, seed: int) -> tuple[int, bool, str]:
    """How many inputs a target ran, whether it survived them all, and what it said."""
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


def hash_of_kernels() -> str:
    """The start of the SHA-256 of all sources of the kernels, in the order of their paths."""
    digest = hashlib.sha256()
    for path in sorted([*FUZZ.parent.glob("src/kernels/*"), *FUZZ.parent.glob("include/ev/*")]):
        digest.update(path.relative_to(FUZZ.parent).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def count_passed(runs: list[dict[str, Any]], build: str) -> int:
    return sum(run["executions"] for run in runs if run["outcome"] == "passed" and run["build"] == build)


def add_to_record(entry: dict[str, Any]) -> int:
    """Append one run and return how many inputs the present kernels have passed in all."""
    record = json.loads(RECORD.read_text())
    kernels, runs, earlier = hash_of_kernels(), record["runs"], record["inputs_of_earlier_kernels"]
    if record["kernels"] != kernels:
        earlier, runs = earlier + sum(count_passed(runs, build) for build in BUILDS), []
    runs.append(entry)
    passed = {build: count_passed(runs, build) for build in BUILDS}
    head = {"kernels": kernels, "inputs": passed, "inputs_of_earlier_kernels": earlier}
    fields = "".join(f'  "{name}": {json.dumps(value)},\n' for name, value in head.items())
    lines = ",\n".join(f"    {json.dumps(run)}" for run in runs)
    RECORD.write_text(f'{{\n{fields}  "runs": [\n{lines}\n  ]\n}}\n')
    return sum(passed.values())


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the fuzz targets and record what ran.")
    parser.add_argument("--runs", type=int, default=20000, help="inputs a target and build")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=TARGETS, help="default: all")
    parser.add_argument("--build", action="append", choices=tuple(BUILDS), help="default: both")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"))
    arguments = parser.parse_args()
    compiler = os.environ.get("FUZZ_CXX", "clang++")
    missing = [tool for tool in ("cmake", compiler) if shutil.which(tool) is None]
    if missing:
        print(f"missing: {' '.join(missing)}; apt-get install cmake clang", file=sys.stderr)
        return 1
    about = describe(compiler)
    failed = False
    for name in arguments.build or BUILDS:
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
