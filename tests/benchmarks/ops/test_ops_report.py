"""What the kernels' benchmarks print and write, from figures written by hand."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from case import Case, Contender, Row
from cold import Eviction
from report import row_lines, table_head, write_json
from tolerance import apart

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
for library in ("cv2", "torch", "torchvision", "PIL", "supervision", "pycocotools", "skimage", "sklearn"):
    pytest.importorskip(library, reason=f"{library} is not installed")


def test_the_table_has_ours_then_the_others_with_their_marks(found: dict[str, Any]) -> None:
    head, second = (table_head(run).splitlines() for run in found["runs"])
    lines = row_lines(found["runs"][0]["cases"][0])
    assert head[1] == "avx2, 1 thread; memory in GB/s: copy 20.0, write 10.0, read 15.0"
    assert second[1].startswith("avx2, 2 threads;")
    assert [line.split() for line in lines] == [
        [
            *("letterbox", "90.0", "100.0", "150.0", "100", "4.00", "30.00", "/", "4"),
            *("200.0", "2.50", "50.0", "25%"),
        ],
        [".", "edgevision", "110.0", "120.0", "170.0", "50"],
        ["*", "quick", "1.0", "600.0", "1200", "31", "5.00"],
        [">", "slow", "1.0", "3600", "7200", "31", "30.00"],
        ["~", "odd", "1.0", "240.0", "480.0", "31", "2.00"],
    ]
    # Each figure stands under its name.
    assert lines[0].index("100.0") + len("100.0") == head[2].index("p50 us") + len("p50 us")


def test_json_keeps_six_digits_and_every_name(found: dict[str, Any], tmp_path: Path) -> None:
    found["runs"][0]["cases"][0]["limit_us"] = 1234.56789
    write_json(tmp_path / "figures.json", found)
    read = json.loads((tmp_path / "figures.json").read_text(encoding="ascii"))
    assert read["runs"][0]["cases"][0]["limit_us"] == 1234.57
    found["runs"][0]["cases"][0]["limit_us"] = 1234.57
    assert read == found


def test_the_page_has_every_figure_in_its_place(found: dict[str, Any]) -> None:
    from page import page_markdown

    lines = page_markdown(found, "chart.svg").splitlines()
    assert "![How many times faster than the fastest peer](chart.svg)" in lines
    machine = next(line for line in lines if line.startswith("CPU 1"))
    assert "Kernels: native, for baseline, avx2." in machine
    start = "| `letterbox` | 1080p -> 640x640 |"
    goal = "30.00 of 4 (slow)"
    assert f"{start} 0.1 | 0.15 | quick | 0.4 | **4.00** | {goal} | 0.2 | 2.50 | 0.0500 | 25% |" in lines
    # The second run says what two threads gave: 100 us became 62.5.
    goal = "48.00 of 4 (slow)"
    assert (
        f"{start} 0.0625 | 0.15 | quick | 0.4 | **6.40** | {goal} | 0.125 | 4.00 | 0.0500 | 40% | 1.60 |"
        in lines
    )
    # What all took in turn stands in the table of contenders.
    assert "| `letterbox` | **edgevision** | 0.12 | 0.17 | 50 |  |  |  |  |" in lines
    assert "|  | odd (a variant) | 0.24 | 0.48 | 31 | 2.00 | 0.25 | 0.5 | the same pixels |" in lines
    assert any("Ahead of a cold call 64 MiB were read and written." in line for line in lines)
    tables = [line for line in lines if line.startswith("|---")]
    assert len(tables) == 4
    assert "## avx2, 1 thread" in lines
    assert next(line for line in lines if "p50 of avx2, 1 thread over it |" in line)
    assert not any(line.startswith("## Every size") for line in lines)


def test_a_row_without_cold_times_has_no_share_of_the_limit(found: dict[str, Any]) -> None:
    from page import page_markdown

    case = found["runs"][0]["cases"][0]
    case["cold"] = case["share_of_limit"] = None
    printed = row_lines(case)[0].split()
    assert printed[-4:] == ["30.00", "/", "4", "50.0"]
    assert any("30.00 of 4 (slow) |  |  | 0.0500 |  |" in line for line in page_markdown(found).splitlines())


def test_every_row_of_a_table_has_as_many_cells_as_its_head(found: dict[str, Any]) -> None:
    from page import page_markdown

    cells = 0
    for line in page_markdown(found).splitlines():
        cells = line.count("|") if line.startswith("|") and cells == 0 else cells if line else 0
        assert not line.startswith("|") or line.count("|") == cells


def test_the_page_lists_sizes_at_which_ours_is_slower(
    found: dict[str, Any], sweep_found: dict[str, Any]
) -> None:
    from page import page_markdown

    text = page_markdown(found, None, {"sweep.svg": sweep_found})
    lines = text.splitlines()
    assert lines.index("### avx2") < lines.index("![Nanoseconds a pixel from 64x64 to 8K](sweep.svg)")
    assert "2 kinds of work, 4 points; ratios from 0.50, half of them above 0.99. Ours is slower at:" in lines
    assert [line for line in lines if line.startswith("- ") and " us" in line] == [
        "- copy 128x64: 20.0 us, cv2 10.0 us (0.50)",
        "- work 64x64: 10.1 us, cv2 10.0 us (0.99)",
    ]
    del sweep_found["lines"][0]["points"][1], sweep_found["lines"][1]
    text = page_markdown(found, None, {"sweep.svg": sweep_found, "other.svg": sweep_found})
    assert text.count("Ours is nowhere slower.") == 2
    assert text.count("## Every size\n") == 1


@pytest.fixture
def sweep_found() -> dict[str, Any]:
    def point(width: int, ours_us: float) -> dict[str, Any]:
        size = {"shape": "square", "height": 64, "width": width, "pixels": 64 * width}
        return {**size, "ours_us": ours_us, "peer_us": 10.0, "peer": "cv2", "ratio": 10.0 / ours_us, "n": 11}

    # By one in a hundred a copy is no slower, other work is.
    copy = {"name": "copy", "what": "a copy; cv2", "copies": True}
    copy["points"] = [point(64, 10.1), point(128, 20.0), point(256, 5.0)]
    work = {"name": "work", "what": "work; cv2", "copies": False, "points": [point(64, 10.1)]}
    return {"isa": "avx2", "lines": [copy, work]}


def test_charts_are_the_same_bytes_each_time(
    found: dict[str, Any], sweep_found: dict[str, Any], tmp_path: Path
) -> None:
    from chart import draw_ratios, draw_sweep

    for name in ("first", "second"):
        draw_ratios(found["runs"][0]["cases"], tmp_path / f"{name}.svg")
        draw_sweep(sweep_found["lines"], tmp_path / f"{name}-sweep.svg")
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
    assert (tmp_path / "first-sweep.svg").read_bytes() == (tmp_path / "second-sweep.svg").read_bytes()
    text = (tmp_path / "first.svg").read_text(encoding="utf-8")
    assert "letterbox" in text
    assert "4.0" in text
    assert "a copy; cv2" in (tmp_path / "first-sweep.svg").read_text(encoding="utf-8")


def test_one_command_draws_everything_again(
    found: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import run_all

    figures, page, chart = (tmp_path / name for name in ("figures.json", "page.md", "chart.svg"))
    write_json(figures, found)
    options = ["--redraw", "--json", figures, "--page", page, "--chart", chart]
    monkeypatch.setattr(sys, "argv", ["run_all.py", *map(str, options)])
    run_all.main()
    assert "(chart.svg)" in page.read_text(encoding="ascii")
    assert chart.read_text(encoding="utf-8").startswith("<?xml")
    assert json.loads(figures.read_text(encoding="ascii")) == found


def test_there_is_a_run_for_each_instruction_set_and_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import command

    events: list[Any] = []
    monkeypatch.setattr(command, "measure_bandwidth", lambda threads: {"copy": 10.0 * threads})
    monkeypatch.setattr(command, "make_eviction", lambda threads: Eviction(lambda: None, threads << 20))
    monkeypatch.setattr(command, "set_threads", events.append)
    monkeypatch.setattr(command, "select_isa", lambda name: events.append(name) or str(name))
    peer = Contender("peer", lambda: 0, apart(0.0, ""))
    rows = [Row(name, "", None, lambda small: Case(lambda: 0, (peer,), 1)) for name in ("one", "two")]
    options = argparse.Namespace(only=["two"], seconds=0.0, threads=[1, 2], isa=["baseline", "avx2"])
    made = command.measure({"family": rows}, options, show=events.append)
    assert [event for event in events if event in ("baseline", "avx2", 1, 2)] == [
        *("baseline", 1, "baseline", 2, "avx2", 1, "avx2", 2)
    ]
    assert [(run["isa"], run["threads"]) for run in made["runs"]] == [
        *(("baseline", 1), ("baseline", 2), ("avx2", 1), ("avx2", 2))
    ]
    assert made["runs"][1]["bandwidth_gb_s"] == {"copy": 20.0}
    assert made["runs"][1]["evicted_bytes"] == 2 << 20
    assert [(case["family"], case["name"]) for case in made["runs"][3]["cases"]] == [("family", "two")]


def test_a_run_of_some_rows_writes_what_is_named_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import command
    import run_all

    monkeypatch.setattr(command, "measure_bandwidth", lambda threads: {"copy": 10.0})
    monkeypatch.setattr(command, "make_eviction", lambda threads: Eviction(lambda: None, 1 << 20))
    monkeypatch.setattr(command, "set_threads", lambda count: None)
    figures = tmp_path / "some.json"
    options = ["--family", "scores", "--only", "softmax_1000", "end2end", "--seconds", "0", "--json", figures]
    monkeypatch.setattr(sys, "argv", ["run_all.py", *map(str, options)])
    run_all.main()
    read = json.loads(figures.read_text(encoding="ascii"))
    assert [case["name"] for case in read["runs"][0]["cases"]] == ["softmax_1000"]
    assert read["runs"][0]["threads"] == 1
    assert read["machine"]["processor"]
    assert list(tmp_path.iterdir()) == [figures]
    assert "softmax_1000" in capsys.readouterr().out
