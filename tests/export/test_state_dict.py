from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("torchvision", reason="torchvision is not installed")
pytest.importorskip("timm", reason="timm is not installed")
safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")

from edgevision.errors import ModelFileError  # noqa: E402
from edgevision.export.from_timm import open_timm  # noqa: E402
from edgevision.export.from_torchvision import open_torchvision  # noqa: E402
from edgevision.export.random_weights import randomize  # noqa: E402
from edgevision.export.state_dict import build_from_state, read_state_dict  # noqa: E402

IMAGE = torch.linspace(-2, 2, 3 * 64 * 64).reshape(1, 3, 64, 64)


@pytest.fixture(scope="module")
def trained():
    """A ResNet-18 of 5 classes, and what it gives for IMAGE."""
    module = randomize(open_torchvision("resnet18").build(5), (64, 64), seed=3)
    with torch.no_grad():
        return module, module(IMAGE)


def prefixed(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {prefix + name: value for name, value in state.items()}


class RunsCode:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


WRAPPINGS = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 7, "optimizer": {"lr": 1e-3}},
    "model": lambda state: {"model": state, "args": {}},
    "data parallel": lambda state: prefixed(state, "module."),
    "lightning": lambda state: {"state_dict": prefixed(state, "model."), "hyper_parameters": {}},
    "compiled and parallel": lambda state: prefixed(state, "_orig_mod.module."),
    "averaged": lambda state: {"n_averaged": torch.tensor(3), **prefixed(state, "module.")},
    "average beside the raw": lambda state: {
        "state_dict": {name: torch.zeros_like(value) for name, value in state.items()},
        "state_dict_ema": state,
    },
    "before 0.4.1": lambda state: {
        name: value for name, value in state.items() if not name.endswith("num_batches_tracked")
    },
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_weights_are_found_however_they_are_wrapped(trained, tmp_path: Path, wrapping: str) -> None:
    torch.save(WRAPPINGS[wrapping](trained[0].state_dict()), tmp_path / "a.pth")
    module, classes = build_from_state(open_torchvision("resnet18"), read_state_dict(tmp_path / "a.pth"))
    assert classes == 5
    with torch.no_grad():
        assert torch.equal(module(IMAGE), trained[1])


def test_safetensors_are_read(trained, tmp_path: Path) -> None:
    safetensors.save_file(trained[0].state_dict(), tmp_path / "a.safetensors")
    module, _ = build_from_state(open_torchvision("resnet18"), read_state_dict(tmp_path / "a.safetensors"))
    with torch.no_grad():
        assert torch.equal(module(IMAGE), trained[1])


def test_a_whole_pickled_module_is_read_without_running_it(trained, tmp_path: Path) -> None:
    torch.save(trained[0], tmp_path / "a.pt")
    module, _ = build_from_state(open_torchvision("resnet18"), read_state_dict(tmp_path / "a.pt"))
    with torch.no_grad():
        assert torch.equal(module(IMAGE), trained[1])


def test_labels_beside_the_weights_are_found(trained, tmp_path: Path) -> None:
    torch.save({"state_dict": trained[0].state_dict(), "classes": list("abcde")}, tmp_path / "a.pt")
    assert read_state_dict(tmp_path / "a.pt").labels == tuple("abcde")


@pytest.mark.parametrize(
    ("name", "classes"),
    [("squeezenet1_1", 4), ("mobilenet_v3_small", 4), ("googlenet", 4)],
)
def test_the_number_of_classes_is_read_from_the_head(tmp_path: Path, name: str, classes: int) -> None:
    architecture = open_torchvision(name)
    torch.save(architecture.build(classes).state_dict(), tmp_path / "a.pt")
    module, found = build_from_state(architecture, read_state_dict(tmp_path / "a.pt"))
    assert found == classes
    with torch.no_grad():
        assert module(torch.zeros(1, 3, 224, 224)).shape == (1, classes)


@pytest.mark.parametrize(
    ("opener", "builder", "text"),
    [
        (
            partial(open_torchvision, "resnet18"),
            lambda: open_torchvision("resnet34").build(7),
            r"does not fit torchvision's resnet18: it has no place for layer1.2.conv1.*those of resnet34: pass --model",
        ),
        (
            partial(open_torchvision, "resnet50"),
            lambda: open_torchvision("resnet18").build(7),
            r"lacks layer1.0.conv3.weight.*it differs in .*pass --model resnet18",
        ),
        (
            partial(open_torchvision, "resnet18"),
            lambda: open_timm("test_vit").build(None),
            r"lacks conv1.weight.*no place for cls_token.*check --model, --library and --size",
        ),
        (
            partial(open_timm, "vit_small_patch16_224"),
            lambda: open_timm("vit_tiny_patch16_224").build(3),
            r"differs in cls_token is \(1, 1, 192\) and should be \(1, 1, 384\).*pass --model vit_tiny_patch16_224",
        ),
    ],
    ids=["deeper", "shallower", "another family", "timm"],
)
def test_weights_of_another_architecture_are_refused_with_their_own_name(
    tmp_path: Path, opener, builder, text: str
) -> None:
    torch.save(builder().state_dict(), tmp_path / "a.pt")
    with pytest.raises(ModelFileError, match=text):
        build_from_state(opener(), read_state_dict(tmp_path / "a.pt"))


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("image_encoder.pos_embed", "mask_decoder.iou_token.weight"), "edgevision export sam"),
        (("model.0.conv.weight", "model.1.conv.weight"), "edgevision export yolo"),
        (("encoder.conv1.weight", "segmentation_head.0.weight"), "edgevision export unet"),
        (("visual.transformer.resblocks.0.ln_1.weight",), "OpenAI and open_clip"),
        (
            ("vision_model.embeddings.class_embedding", "text_model.embeddings.x"),
            "the folder that holds config.json",
        ),
        (("vit.embeddings.cls_token", "vit.encoder.layer.0.x"), "the folder that holds config.json"),
    ],
    ids=["sam", "yolo", "unet", "open_clip", "clip", "transformers"],
)
def test_weights_of_another_family_are_sent_there(tmp_path: Path, names: tuple[str, ...], text: str) -> None:
    torch.save({name: torch.zeros(2, 2) for name in names}, tmp_path / "a.pt")
    with pytest.raises(ModelFileError, match=text):
        build_from_state(open_torchvision("resnet18"), read_state_dict(tmp_path / "a.pt"))


def test_a_pickle_with_code_is_refused(tmp_path: Path) -> None:
    victim = tmp_path / "made by the checkpoint"
    torch.save({"state_dict": RunsCode(victim)}, tmp_path / "a.pt")
    with pytest.raises(ModelFileError, match="--trust-checkpoint"):
        read_state_dict(tmp_path / "a.pt")
    assert not victim.exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"epoch": 3, "lr": 0.1}, "holds no state_dict, .*; it holds epoch, lr"),
        ([1, 2], "it holds a list"),
        (torch.zeros(3), "it holds a Tensor"),
    ],
    ids=["no weights", "list", "tensor"],
)
def test_a_file_without_weights_says_what_it_holds(tmp_path: Path, content: Any, text: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ModelFileError, match=text):
        read_state_dict(tmp_path / "a.pt")


def test_damaged_and_missing_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00notjson!")
    with pytest.raises(ModelFileError, match="is no safetensors file"):
        read_state_dict(tmp_path / "a.safetensors")
    with pytest.raises(ModelFileError, match=r"b\.safetensors does not exist; in .* there is a\.safetensors"):
        read_state_dict(tmp_path / "b.safetensors")
