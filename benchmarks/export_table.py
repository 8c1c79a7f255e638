"""One table of every family in every form: PyTorch, ONNX in fp32, fp16 and int8, and engines of each.

    python benchmarks/export_table.py [--only NAME ...] [--again] [--list] [--work FOLDER] [--no-engines]

Each network is exported with random weights (what the networks give without a download) through the library's own
families, judged beside PyTorch as every export is, and built into TensorRT-RTX engines for one GPU and for four. Its
row is kept in export_table.json as soon as it is done, so that an interrupted run goes on where it stopped; --again
makes rows anew. docs/export_table.md is written from that file. Nothing in either is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgevision.bench import processor_name
from edgevision.engines import build_engine
from edgevision.errors import EdgeVisionError
from edgevision.export.forms import FORMS
from edgevision.export.network import Network
from edgevision.export.options import ExportOptions, show_progress
from edgevision.export.pipeline import export_network
from edgevision.export.resnet import read_resnet
from edgevision.export.sam import read_sam
from edgevision.export.unet import read_unet
from edgevision.export.vit import read_vit
from edgevision.export.yolo import read_yolo

sys.path.insert(0, str(Path(__file__).parent))

from export_table_text import table_markdown

HERE = Path(__file__).parent
TABLE = HERE / "export_table.json"
PAGE = HERE.parent / "docs" / "export_table.md"

TARGETS = {"sm86": ("sm86",), "sm80+86+89+120": ("sm80", "sm86", "sm89", "sm120")}


@dataclass(frozen=True)
class Row:
    """A network of the table. precisions: those that it is exported in."""

    family: str
    name: str
    read: Callable[[], Network]
    precisions: tuple[str, ...] = ("fp32", "fp16", "int8")


def _row(family: str, reader: Callable[..., Network], source: str, name: str = "", **reading: Any) -> Row:
    return Row(family, name or source, partial(reader, source, random=True, **reading))


ROWS = (
    _row("resnet", read_resnet, "resnet18", library="torchvision"),
    _row("resnet", read_resnet, "resnet50", library="torchvision"),
    _row("resnet", read_resnet, "mobilenet_v3_large", library="torchvision"),
    _row("resnet", read_resnet, "efficientnet_b0", library="torchvision"),
    _row("vit", read_vit, "vit_b_16", library="torchvision"),
    _row("vit", read_vit, "vit_small_patch14_dinov2", library="timm", task="embed", size_hw=(224, 224)),
    *(
        _row("yolo", read_yolo, name)
        for name in (
            *("yolo11n", "yolo11n-seg", "yolo11n-pose", "yolo11n-obb", "yolo11n-cls"),
            *("yolo26n", "yolov10n", "yolov8n", "yolov5nu", "yolox-nano"),
        )
    ),
    _row("unet", read_unet, "Unet", "unet-resnet18-512", encoder="resnet18", classes=21, size_hw=(512, 512)),
    _row("sam", read_sam, "mobile_sam"),
    _row("sam", read_sam, "sam2.1_hiera_tiny"),
    _row("sam", read_sam, "sam_vit_b"),
)


def measure(row: Row, folder: Path, engines: bool) -> dict[str, Any]:
    """The row's content: the export's own report, the size of the module, and the engines of each form."""
    start = time.perf_counter()
    network = row.read()
    modules = {part.role: sum(p.numel() for p in part.module.parameters()) for part in network.parts}
    done = export_network(network, folder, ExportOptions(precisions=row.precisions), show_progress)
    report = {key: value for key, value in done.report.items() if key != "pictures"}
    exported_s = time.perf_counter() - start
    built = [
        _build(folder, one, label, targets) for one in report["forms"] for label, targets in TARGETS.items()
    ]
    return {
        "family": row.family,
        "name": row.name,
        "inputs": [[one.batch, list(one.size_hw)] for one in network.spec.inputs],
        "parameters": modules,
        "report": report,
        "engines": [one for one in built if one is not None] if engines else [],
        "seconds": round(exported_s, 1),
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def _build(folder: Path, form: dict[str, Any], label: str, targets: tuple[str, ...]) -> dict[str, Any] | None:
    """The engine of one file for these targets, or why there is none; None for forms that are not for TensorRT."""
    if "tensorrt_rtx" not in FORMS[form["form"]].runtimes:
        return None
    entry = {"file": form["file"], "role": form["role"], "form": form["form"], "targets": label}
    path = folder.parent / "engine" / f"{form['file']}.{label}.engine"
    path.parent.mkdir(exist_ok=True)
    try:
        engine = build_engine(folder / form["file"], path, backend="tensorrt-rtx", targets=targets)
    except EdgeVisionError as error:
        return {**entry, "error": str(error)}
    finally:
        shutil.rmtree(path.parent, ignore_errors=True)
    return {
        **entry,
        "seconds": round(engine.seconds, 2),
        "bytes": engine.bytes,
        "precision": engine.key.precision,
        "backend": f"{engine.key.backend} {engine.key.backend_version}",
        "warnings": list(engine.warnings),
    }


def read_table() -> dict[str, Any]:
    """The rows that are there, by name."""
    if not TABLE.is_file():
        return {}
    rows: dict[str, Any] = json.loads(TABLE.read_text(encoding="ascii"))["rows"]
    return rows


def write_table(rows: dict[str, Any]) -> None:
    """Both files, from the rows, in the order of ROWS."""
    ordered = {row.name: rows[row.name] for row in ROWS if row.name in rows}
    part = TABLE.with_suffix(".part")
    part.write_text(json.dumps({"rows": ordered}, indent=1) + "\n", encoding="ascii")
    part.replace(TABLE)
    PAGE.write_text(table_markdown(list(ordered.values()), tuple(TARGETS)), encoding="ascii")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [row.name for row in ROWS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="these rows alone")
    parser.add_argument("--again", action="store_true", help="make rows anew that are there already")
    parser.add_argument("--list", action="store_true", help="name the rows and which of them are there")
    parser.add_argument(
        "--work", type=Path, help="where bundles are written meanwhile (default: a temporary folder)"
    )
    parser.add_argument("--no-engines", action="store_true", help="leave the engines out")
    return parser.parse_args()


def main() -> int:
    """0 when every row asked for is there; rows that failed are said on stderr and left out."""
    options = parse_arguments()
    rows = read_table()
    if options.list:
        for row in ROWS:
            print(f"{'done' if row.name in rows else '-':5} {row.family:7} {row.name}")
        return 0
    wanted = [row for row in ROWS if row.name in (options.only or [one.name for one in ROWS])]
    failed = 0
    for row in wanted:
        if row.name in rows and not options.again:
            continue
        if options.work is not None:
            options.work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="export_table.", dir=options.work) as work:
            try:
                rows[row.name] = measure(row, Path(work) / "bundle", not options.no_engines)
            except EdgeVisionError as error:
                print(f"{row.name}: {error}", file=sys.stderr)
                failed += 1
                continue
        write_table(rows)
        print(f"{row.name}: done in {rows[row.name]['seconds']:.0f} s of exporting", file=sys.stderr)
    write_table(rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
