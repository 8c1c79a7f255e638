"""Classifiers by name, from files and from folders, to bundles that run."""

from __future__ import annotations

import json
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
timm = pytest.importorskip("timm", reason="timm is not installed")
pytest.importorskip("transformers", "5", reason="transformers 5 is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import tiny_transformers  # noqa: E402

import edgevision as ev  # noqa: E402
from edgevision.cli.main import main  # noqa: E402
from edgevision.errors import InputError, ModelFileError  # noqa: E402
from edgevision.export.classifier_arguments import default_output  # noqa: E402
from edgevision.export.from_timm import open_timm  # noqa: E402
from edgevision.export.from_torchvision import open_torchvision  # noqa: E402
from edgevision.export.random_weights import randomize  # noqa: E402
from edgevision.export.resnet import export_resnet, read_resnet  # noqa: E402
from edgevision.spec.bundle import write_manifest  # noqa: E402
from edgevision.spec.files import file_sha256  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

FRAME = np.random.default_rng(0).integers(0, 256, (150, 210, 3), np.uint8)


def checkpoint(path: Path, count: int = 3, **beside: Any) -> torch.nn.Module:
    """A ResNet-18 in `path`, its class names beside the weights when given."""
    module = randomize(open_torchvision("resnet18").build(count), (64, 64), seed=1)
    torch.save({"state_dict": module.state_dict(), **beside} if beside else module.state_dict(), path)
    return module


def scores_of(module: torch.nn.Module, tensor: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return module(torch.from_numpy(tensor)).softmax(1).numpy()[0]


@pytest.mark.slow
def test_a_users_weights_become_a_bundle_that_gives_what_pytorch_gives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "mine.pth", tmp_path / "out"
    module = randomize(open_timm("test_resnet").build(3), (64, 64), seed=1, head=["fc"])
    torch.save(module.state_dict(), source)
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\n")
    arguments = ["--model", "test_resnet", "--labels", str(tmp_path / "names.txt"), "--size", "64"]
    assert main(["export", "resnet", str(source), *arguments, "--output", str(target)]) == 0
    assert "parity   model.onnx" in capsys.readouterr().out
    model = ev.load(target)
    network = read_resnet(source, model="test_resnet", labels=("ant", "bee", "cat"), size_hw=(64, 64))
    assert model.spec == network.spec
    assert model.labels == ("ant", "bee", "cat")
    assert (model.spec.source.framework, model.spec.source.random_weights) == ("timm", False)
    assert model.spec.source.weights_sha256 == file_sha256(source)
    result = model(FRAME)
    expected = scores_of(module, network.preprocess(FRAME))
    # float32 sums in another order; the pictures are the same to the last bit.
    np.testing.assert_allclose(result.confidence, expected[result.class_id], atol=1e-5)
    assert expected.std() > 0.05, "scores that are all alike would prove nothing"


def test_labels_in_the_checkpoint_are_taken_unless_others_are_given(tmp_path: Path) -> None:
    checkpoint(tmp_path / "mine.pth", classes=["ant", "bee", "cat"])

    def labels(**arguments: Any) -> tuple[str, ...]:
        return read_resnet(tmp_path / "mine.pth", model="resnet18", size_hw=(64, 64), **arguments).spec.labels

    assert labels() == ("ant", "bee", "cat")
    assert labels(labels=("x", "y", "z")) == ("x", "y", "z")
    assert labels(labels=()) == ()


@pytest.mark.slow
def test_an_architecture_at_random_says_so_and_some_class_stands_out(tmp_path: Path) -> None:
    done = export_resnet("test_efficientnet", tmp_path / "out", random=True, classes=7)
    assert done.spec.source.random_weights
    assert done.spec.labels == ()
    scores = ev.load(done.path)(FRAME).confidence
    assert len(scores) == 7
    assert scores.max() > 0.25


@pytest.mark.parametrize(
    ("name", "first"), [("mobilenet_v3_small", "tench"), ("test_resnet.r160_in1k", "tench, Tinca tinca")]
)
def test_an_architecture_has_the_class_names_of_its_published_weights(name: str, first: str) -> None:
    spec = read_resnet(name, random=True).spec
    assert (len(spec.labels), spec.labels[0]) == (1000, first)


def test_a_seed_repeats_and_another_does_not() -> None:
    def first(seed: int) -> torch.Tensor:
        return next(read_resnet("test_resnet", random=True, seed=seed).parts[0].module.parameters())

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


@pytest.mark.slow
def test_a_dynamic_batch_takes_any_number(tmp_path: Path) -> None:
    done = export_resnet("test_resnet", tmp_path / "a.onnx", random=True, dynamic_batch=True)
    model = ev.load(done.path)
    one, *others = model([FRAME, FRAME[:, ::-1], FRAME])
    np.testing.assert_array_equal(one.class_id, others[1].class_id)
    assert not np.array_equal(one.confidence, others[0].confidence)


@pytest.mark.parametrize("kind", ["resnet", "convnext at 384", "mobilevit", "levit"])
def test_a_folder_of_transformers_is_read(tmp_path: Path, kind: str) -> None:
    model = tiny_transformers.save(kind, tmp_path / "model")
    network = read_resnet(tmp_path / "model")
    assert network.spec.labels == ("ant", "bee", "cat")
    assert network.spec.source.framework == "transformers"
    pixels = torch.from_numpy(network.preprocess(FRAME))
    with torch.no_grad():
        expected = model(pixel_values=pixels).logits
        found = network.parts[0].module(pixels)
    # The same weights; eager attention in place of the fused one.
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert expected.std() > 0.01


def test_a_folder_that_timm_wrote_is_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = timm.create_model("test_resnet", num_classes=3).eval()
    names = ["ant", "bee", "cat"]
    timm.models.save_for_hf(module, tmp_path / "model", model_config={"label_names": names})
    network = read_resnet(tmp_path / "model")
    assert network.spec.labels == tuple(names)
    pixels = torch.from_numpy(network.preprocess(FRAME))
    with torch.no_grad():
        assert torch.equal(network.parts[0].module(pixels), module(pixels))


def test_a_file_that_torchvision_publishes_is_known_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    digest = published.url.rpartition("-")[2].removesuffix(".pth")
    checkpoint(tmp_path / f"resnet18-{digest}.pth", count=1000)
    with pytest.raises(InputError, match="does not say which network"):
        read_resnet(tmp_path / f"resnet18-{digest}.pth")  # the name alone is not enough
    monkeypatch.setattr("edgevision.export.from_torchvision.file_sha256", lambda path: digest + "0" * 56)
    network = read_resnet(tmp_path / f"resnet18-{digest}.pth")
    assert network.spec.labels == tuple(published.meta["categories"])
    assert network.spec.source.model == "resnet18"


def test_the_default_output_is_named_after_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_output("test_resnet") == Path("test_resnet")
    assert default_output("resnet50.a1_in1k") == Path("resnet50_a1_in1k")
    assert default_output("microsoft/resnet-50") == Path("resnet-50")
    assert default_output("weights/mine.v2.pth") == Path("mine.v2")
    (tmp_path / "test_resnet").mkdir()
    assert default_output("test_resnet") == Path("test_resnet_bundle"), "what is no bundle is not replaced"
    write_manifest(tmp_path / "test_resnet", [])
    assert default_output("test_resnet") == Path("test_resnet")
    assert read_resnet("test_resnet", random=True).spec.source.framework == "timm", "the name, not the bundle"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["mine.pth"], "pass model= (--model resnet50)"),
        (["mine.pth", "--model", "resnet18"], "names none of its 3 classes; pass labels= (--labels FILE"),
        (["mine.pth", "--model", "resnet18", "--default-labels"], "names 1000 classes and the network has 3"),
        (["mine.pth", "--model", "resnet34", "--no-labels"], "pass --model resnet18"),
        (["mine.pth", "--model", "resnet18", "--no-labels", "--random"], "for random ones give the name"),
        (["mine.pth", "--model", "vit", "--no-labels"], "is a model type of transformers"),
        (["nowhere.pth", "--model", "resnet18"], "nowhere.pth does not exist"),
        (["resnet19"], "neither torchvision, timm nor transformers knows it"),
        (["resnet19", "--library", "timm"], "timm has no architecture 'resnet19'; near: resnet"),
        (["resnet18", "--classes", "3"], "classes is for random weights"),
        (["resnet18", "--random", "--size", "64x96"], "crops a square"),
        (["vit_b_16", "--random", "--size", "60"], "vit_b_16"),
    ],
    ids=[
        "no architecture", "no labels", "other labels", "wrong architecture", "random weights of a file",
        "a model type", "no file", "no such name", "no such name in timm", "classes", "not square", "a size of no patches",
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint(tmp_path / "mine.pth")
    assert main(["export", "resnet", *arguments, "--output", "out"]) == 1
    said = capsys.readouterr().err
    assert text in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.pth"]


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ("resnet18", "torchvision.models._api.load_state_dict_from_url"),
        ("test_resnet.r160_in1k", "timm.models._builder.load_state_dict_from_hf"),
    ],
)
def test_without_a_network_the_way_out_is_told(
    monkeypatch: pytest.MonkeyPatch, source: str, where: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(where, fail)
    text = (
        r"cannot be had: .*Name or service not known.*; pass a file of weights with --model .*, or --random"
    )
    with pytest.raises(ModelFileError, match=text):
        read_resnet(source)


def test_a_hub_without_a_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("We couldn't connect to the hub\nmore lines")

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", fail)
    with pytest.raises(
        ModelFileError, match="cannot read microsoft/resnet-50: We couldn't connect to the hub; pass a"
    ):
        read_resnet("microsoft/resnet-50")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "no file named model.safetensors"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "preprocessor_config.json"),
        (lambda folder: change(folder, hidden_sizes=[8, 32]), "holds no weights for"),
        (
            lambda folder: change(folder, architectures=["BertModel"], model_type="bert"),
            "no image classifier",
        ),
        (lambda folder: change(folder, model_type="nothing"), "model type `nothing`"),
    ],
    ids=["no weights", "no processor", "another width", "no classifier", "unknown type"],
)
def test_a_folder_that_does_not_fit_together_is_refused(tmp_path: Path, spoil, text: str) -> None:
    tiny_transformers.save("resnet", tmp_path / "model")
    spoil(tmp_path / "model")
    with pytest.raises(ModelFileError, match=text):
        read_resnet(tmp_path / "model")


def change(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **fields}))
