from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_promptable import write_promptable

import edgevision as ev
from edgevision.cli.main import main


@pytest.fixture(scope="module")
def promptable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_promptable(tmp_path_factory.mktemp("promptable"))


def test_a_prompt_is_asked_of_every_picture(
    promptable: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--point",
        "30,40",
        "--point",
        "5,5,0",
        "--box",
        "10,10,200.5,90",
        "--save",
        str(tmp_path / "out"),
    ]
    assert main(["run", str(promptable), str(pictures), *arguments, "--json"]) == 0
    said = capsys.readouterr()
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [len(row["masks"]) for row in rows] == [3, 3, 3]
    assert all(row["timings_ms"]["inference"] > 0 for row in rows)
    assert "PromptableModel" in said.err
    image = ev.read_image(pictures / "still1.png")
    with ev.load(promptable) as model:
        model.set_image(image)
        wanted = model.predict(points=[[30, 40], [5, 5]], labels=[1, 0], box=[10, 10, 200.5, 90])
    assert rows[1]["masks"] == wanted.to_dict()["masks"]
    assert (ev.read_image(tmp_path / "out" / "still1.png") != image).any()


def test_single_asks_for_one_mask(
    promptable: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["run", str(promptable), str(pictures / "still0.png"), "--point", "9,9,1", "--single", "--json"])
        == 0
    )
    assert len(json.loads(capsys.readouterr().out)["masks"]) == 1


def test_a_promptable_model_needs_a_prompt(
    promptable: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(promptable), str(pictures)]) == 1
    assert "needs a prompt: --point X,Y or --box" in capsys.readouterr().err


def test_other_models_take_no_prompt(
    model_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(model_path), str(pictures), "--box", "1,2,3,4"]) == 1
    assert "task 'detect' takes no prompt; leave out --point" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--point", "3"], "must be X,Y or X,Y,0 or X,Y,1 in pixels, got '3'"),
        (["--point", "3,4,2"], "got '3,4,2'"),
        (["--point", "a,4"], "must be X,Y in pixels, got 'a,4'"),
        (["--box", "1,2,3"], "must be X1,Y1,X2,Y2 in pixels, got '1,2,3'"),
        (["--box", "1,2,3,x"], "got '1,2,3,x'"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_a_prompt_that_is_none_says_what_is_accepted(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["run", "model.onnx", "picture.png", *arguments])
    assert stopped.value.code == 2
    assert text in capsys.readouterr().err
