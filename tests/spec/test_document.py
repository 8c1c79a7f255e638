"""docs/spec.md against the code: every field, default, decoder and parameter stands in it."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from edgevision.geometry import PAD_PLACEMENTS, RESIZE_MODES
from edgevision.spec import (
    COLORS,
    DECODERS,
    DTYPES,
    FILTERS,
    LAYOUTS,
    TASKS,
    Decoder,
    EngineKey,
    ImageInput,
    ModelSpec,
    Source,
    Thresholds,
    spec_from_json,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "spec.md"
SECTIONS = {"Top level": ModelSpec, "`inputs[i]`": ImageInput, "`decoder`": Decoder}
SECTIONS |= {"`thresholds`": Thresholds, "`source`": Source}


def section(title: str) -> str:
    text = DOCUMENT.read_text(encoding="ascii")
    return re.split(r"^#+ .*$", text.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> dict[str, list[str]]:
    """The table's cells by the name in its first column."""
    lines = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): [cell.strip() for cell in cells] for cells in lines}


@pytest.mark.parametrize("title", SECTIONS)
def test_every_field_is_listed_with_its_default(title: str) -> None:
    kind: Any = SECTIONS[title]
    table = rows(section(title))
    fields = {one.name: one for one in dataclasses.fields(kind)}
    assert set(table) - {"format", "version"} == set(fields)
    for name, one in fields.items():
        written = table[name][2]
        if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            assert written == "required"
        elif written.startswith("`"):
            default = one.default if one.default is not dataclasses.MISSING else {}
            assert json.loads(written.split("`")[1]) == json.loads(json.dumps(default))
        else:
            assert written in ("defaults", "one input of defaults")


@pytest.mark.parametrize("names", [TASKS, RESIZE_MODES, FILTERS, PAD_PLACEMENTS, COLORS, LAYOUTS, DTYPES])
def test_every_accepted_name_is_listed(names: tuple[str, ...]) -> None:
    text = section("Top level") + section("`inputs[i]`")
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_decoder_is_listed_with_its_tasks() -> None:
    listed = {
        name: cells[1].split(", ") for name, cells in rows(section("Decoders")).items() if name in DECODERS
    }
    assert listed == {name: list(info.tasks) for name, info in DECODERS.items()}


@pytest.mark.parametrize("decoder", DECODERS)
def test_every_parameter_is_listed_with_its_default(decoder: str) -> None:
    lines = section("Decoders").split("Parameters:")[1].splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| `")
    ]
    listed = {one[0].strip("`"): one for one in cells if decoder in one[1].split(", ")}
    assert set(listed) == set(DECODERS[decoder].params)
    for name, info in DECODERS[decoder].params.items():
        assert json.loads(listed[name][3].strip("`")) == json.loads(json.dumps(info.default))
        assert [choice for choice in info.choices if f"`{choice}`" not in listed[name][2]] == []


def test_every_field_of_an_engines_key_is_listed() -> None:
    key = rows(section("Engines"))["key"][2]
    assert set(re.findall(r"`(\w+)`", key)) == {one.name for one in dataclasses.fields(EngineKey)}


def test_the_smallest_spec_is_one() -> None:
    example = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(encoding="ascii"), re.DOTALL)
    assert len(example) == 1
    assert spec_from_json(example[0]) == ModelSpec(task="detect", decoder=Decoder(name="yolo"))
