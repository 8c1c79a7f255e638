"""The sweep over image sizes: every line computes what the others do, whatever the size; slower sizes are found."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for library in ("cv2", "torch", "torchvision", "PIL", "pycocotools", "skimage", "sklearn"):
    pytest.importorskip(library, reason=f"{library} is not installed")

sweep = importlib.import_module("sweep")
sweep_line = importlib.import_module("sweep_line")
Size = sweep_line.Size
check = importlib.import_module("harness").check
photograph = importlib.import_module("inputs").photograph

SIZES = [
    # height, width
    pytest.param(64, 64, id="smallest"),
    pytest.param(67, 65, id="odd"),
    pytest.param(144, 256, id="16:9"),
    pytest.param(24, 300, id="strip"),
]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("line", sweep.LINES, ids=[line.name for line in sweep.LINES])
def test_every_line_is_checked_at_every_size(line: Any, height: int, width: int) -> None:
    case = line.make(height, width)
    assert set(check(case)) == {other.name for other in case.others}
    assert case.moved_bytes > 0


def test_sizes_reach_from_64_to_8k_and_none_is_twice_there() -> None:
    sizes = sweep_line.SIZES
    assert ("square", 64, 64) in sizes
    assert ("16:9", 4320, 7680) in sizes
    assert len({size[1:] for size in sizes}) == len(sizes)
    assert all(width % 8 or height % 8 for shape, height, width in sizes if shape == "odd")
    assert 10 < len(sweep_line.FEW_SIZES) < len(sizes)
    assert {size.shape for size in sweep_line.FEW_SIZES} == {"square", "16:9", "odd", "strip"}


def test_no_two_lines_share_a_name_and_a_section_is_its_lines() -> None:
    names = [line.name for line in sweep.LINES]
    assert len(set(names)) == len(names)
    assert not set(names) & set(sweep.SECTIONS)
    assert sweep.chosen(None) == list(sweep.LINES)
    assert sweep.chosen(["masks", "twice"]) == [
        *(line for line in sweep.LINES if line.name == "twice"),
        *sweep.SECTIONS["masks"],
    ]


def test_a_line_goes_to_its_largest_size_smallest_first() -> None:
    sizes = [Size("16:9", 72, 128), Size("square", 64, 64), Size("square", 4096, 4096)]
    line = sweep_line.Line(
        "line", "", lambda height, width: None, lambda *size: 4 * size[0] * size[1], sizes, 40_000
    )
    assert line.kept_sizes() == [sizes[1], sizes[0]]


def test_a_line_has_a_point_a_size() -> None:
    line = next(line for line in sweep.LINES if line.name == "twice")
    entry = sweep.run_line(line, [Size("square", 64, 64), Size("16:9", 72, 128)], 0.0, 10.0, rounds=2)
    assert (entry["name"], entry["what"], entry["copies"]) == ("twice", line.what, False)
    assert [(point["shape"], point["height"], point["width"]) for point in entry["points"]] == [
        ("square", 64, 64),
        ("16:9", 72, 128),
    ]
    first = entry["points"][0]
    # Twice the sides: the result has more pixels than the image.
    assert first["pixels"] == 128 * 128
    assert first["peer"] == "cv2"
    assert first["ratio"] == pytest.approx(first["peer_us"] / first["ours_us"])
    assert first["n"] >= 2


MEASURED = [
    # copies, the ratios that are measured, the one that counts
    pytest.param(False, [0.99, 1.01], 1.01, id="again"),
    pytest.param(False, [0.9, 0.9, 0.8], 0.8, id="twice-again"),
    pytest.param(False, [1.0], 1.0, id="as-fast"),
    pytest.param(True, [0.985], 0.985, id="a-tie"),
    pytest.param(True, [0.97, 0.98], 0.98, id="a-tie-again"),
]


@pytest.mark.parametrize(("copies", "ratios", "counts"), MEASURED)
def test_a_point_that_seems_slower_is_measured_again_for_longer(
    copies: bool, ratios: list[float], counts: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, left = [], list(ratios)

    def run_row(row: Any, seconds: float, copy_gb_s: float, rounds: int) -> dict[str, Any]:
        asked.append((seconds, rounds))
        return {"ours": {"p50_us": 10.0, "n": rounds}, "ratio": left.pop(0), "fastest": "cv2"}

    monkeypatch.setattr(sweep, "run_row", run_row)
    line = sweep_line.Line("line", "", lambda height, width: None, copies=copies)
    entry = sweep.run_line(line, [Size("square", 64, 64)], 1.0, 10.0, rounds=2)
    assert not left
    assert [point["ratio"] for point in entry["points"]] == [counts]
    assert asked == [(1.0, 2), (3.0, 6), (6.0, 12)][: len(ratios)]


def test_a_run_that_was_cut_off_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = tmp_path / "sweep.json"
    done: list[str] = []

    def run_line(line: Any, sizes: Any, *options: Any, **others: Any) -> dict[str, Any]:
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(line.name)
        return {"name": line.name, "sizes": len(sizes)}

    monkeypatch.setattr(sweep, "run_line", run_line)
    monkeypatch.setattr(sweep, "measure_bandwidth", lambda: {"copy": 10.0})
    monkeypatch.setattr(sweep, "set_threads", lambda count: None)
    monkeypatch.setattr(sweep, "describe_machine", lambda: {"processor": "CPU 1"})
    monkeypatch.setattr(
        sys, "argv", ["sweep.py", "--only", "same_rgb", "twice", "--keep", "--largest", "0.1"]
    )
    options = sweep.parse_arguments()
    with pytest.raises(KeyboardInterrupt):
        sweep.measure(options, figures)
    assert [line["name"] for line in json.loads(figures.read_text(encoding="ascii"))["lines"]] == ["same_rgb"]
    done.clear()
    assert [line["name"] for line in sweep.measure(options, figures)["lines"]] == ["same_rgb", "twice"]
    assert done == ["twice"]
    monkeypatch.setattr(sweep, "describe_machine", lambda: {"processor": "CPU 2"})
    with pytest.raises(SystemExit, match="another machine"):
        sweep.measure(options, figures)


def test_figures_of_a_named_instruction_set_have_files_of_their_own() -> None:
    assert sweep.figures_of(None).name == "sweep.json"
    assert sweep.figures_of("avx2").name == "sweep_avx2.json"
    assert sweep.chart_of(sweep.figures_of("avx2")).parts[-2:] == ("docs", "ops_sweep_avx2.svg")


def test_photographs_have_the_size_asked_for_and_are_no_flat_color() -> None:
    for height, width in ((1, 1), (65, 67), (1080, 1920)):
        image = photograph(height, width)
        assert image.shape == (height, width, 3)
        assert not image.flags.writeable
    assert np.std(photograph(1080, 1920)) > 30
