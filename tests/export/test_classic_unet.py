"""The U-Net of 2015: users' weights load by their names, and compute what the paper's figure shows."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from torch import Tensor  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from edgevision.errors import InputError, ModelFileError  # noqa: E402
from edgevision.export.classic_unet import ClassicUnet, classic_unet_of_weights  # noqa: E402
from edgevision.export.random_convolutions import leaves_images, randomize_convolutions  # noqa: E402
from edgevision.export.unet_reader import read_unet  # noqa: E402

Weights = dict[str, Tensor]
SIZE_HW = (32, 48)
LABELS = ("background", "cell", "border")

VARIANTS = {
    "transposed": {"widths": (4, 8, 16), "bilinear": False, "bias": False},
    "bilinear": {"widths": (4, 8, 16, 32), "bilinear": True, "bias": True},
    "uneven": {"widths": (6, 10, 18), "bilinear": False, "bias": True},
}


def make_unet(variant: str, channels: int = 3, classes: int = 3) -> ClassicUnet:
    network = ClassicUnet(channels, classes, **VARIANTS[variant])
    randomize_convolutions(network, leaves_images(1, SIZE_HW)[:, :channels])
    return network


def formula(weights: Weights, images: Tensor) -> Tensor:
    """The network written down a second time, as functions of its state_dict."""

    def double(name: str, x: Tensor) -> Tensor:
        for conv, norm in ((0, 1), (3, 4)):
            x = F.conv2d(x, weights[f"{name}.{conv}.weight"], weights.get(f"{name}.{conv}.bias"), padding=1)
            stats = [
                weights[f"{name}.{norm}.{one}"] for one in ("running_mean", "running_var", "weight", "bias")
            ]
            x = F.batch_norm(x, *stats).clamp(min=0)
        return x

    maps = [double("inc.double_conv", images)]
    level = 1
    while f"down{level}.maxpool_conv.1.double_conv.0.weight" in weights:
        smaller = maps[-1].unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
        maps.append(double(f"down{level}.maxpool_conv.1.double_conv", smaller))
        level += 1
    x = maps.pop()
    for step in range(1, level):
        if f"up{step}.up.weight" in weights:
            x = F.conv_transpose2d(x, weights[f"up{step}.up.weight"], weights[f"up{step}.up.bias"], stride=2)
        else:
            height, width = 2 * x.shape[2], 2 * x.shape[3]
            x = F.interpolate(x, (height, width), mode="bilinear", align_corners=True)
        x = double(f"up{step}.conv.double_conv", torch.cat((maps.pop(), x), 1))
    return F.conv2d(x, weights["outc.conv.weight"], weights["outc.conv.bias"])


@pytest.mark.parametrize(
    ("channels", "classes", "bilinear", "bias", "parameters"),
    # Counts that users of the most used version report (torchsummary), of 64 to 1024 channels.
    [
        (3, 1, False, False, 31_037_633),
        (3, 2, False, False, 31_037_698),
        (3, 1, True, False, 17_262_977),
        (3, 1, True, True, 17_267_393),
    ],
)
def test_the_paper_sized_network_has_the_known_number_of_parameters(
    channels: int, classes: int, bilinear: bool, bias: bool, parameters: int
) -> None:
    with torch.device("meta"):
        network = ClassicUnet(channels, classes, bilinear=bilinear, bias=bias)
    assert sum(one.numel() for one in network.parameters()) == parameters


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("prefix", ["", "module.", "net.model."])
def test_weights_load_and_compute_the_formula(tmp_path: Path, variant: str, prefix: str) -> None:
    weights = make_unet(variant).state_dict()
    # Beside its tensors, the most used version saves the values of the masks it was trained on.
    content = {**{prefix + name: value for name, value in weights.items()}, "mask_values": [0, 127, 255]}
    torch.save(content, tmp_path / "unet.pth")
    network = read_unet(tmp_path / "unet.pth", labels=LABELS, size_hw=SIZE_HW)
    images = leaves_images(2, SIZE_HW, seed=3)
    with torch.no_grad():
        found, wanted = network.parts[0].module(images), formula(weights, images)
    assert found.shape == (2, 3, *SIZE_HW)
    # The same sums; a library may take another order of them for another size of batch.
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert network.spec.inputs[0].color == "rgb"
    assert network.spec.labels == LABELS


def test_gray_and_one_logit_follow_from_the_tensors(tmp_path: Path) -> None:
    torch.save(make_unet("transposed", 1, 1).state_dict(), tmp_path / "unet.pth")
    network = read_unet(tmp_path / "unet.pth", labels=["cell"], size_hw=SIZE_HW)
    assert network.spec.inputs[0].color == "gray"
    assert network.spec.labels == ("background", "cell")


def test_sides_are_halved_without_rest(tmp_path: Path) -> None:
    torch.save(make_unet("bilinear").state_dict(), tmp_path / "unet.pth")
    with pytest.raises(InputError, match=r"multiples of 8 for this network, got \(36, 48\)"):
        read_unet(tmp_path / "unet.pth", labels=LABELS, size_hw=(36, 48))


@pytest.mark.parametrize(
    ("lost", "text"),
    [
        ("outc.conv.weight", "no outc.conv.weight"),
        ("up2.conv.double_conv.1.running_var", "it lacks up2.conv.double_conv.1.running_var"),
        ("down2.maxpool_conv.1.double_conv.3.weight", "does not fit"),
    ],
    ids=["no head", "a tensor lost", "a level lost"],
)
def test_weights_that_are_not_whole_are_refused(lost: str, text: str) -> None:
    weights = make_unet("transposed").state_dict()
    del weights[lost]
    with pytest.raises(ModelFileError, match=text):
        classic_unet_of_weights(weights, "unet.pth")
