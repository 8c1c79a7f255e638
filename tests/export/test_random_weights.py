from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
timm = pytest.importorskip("timm", reason="timm is not installed")

from edgevision.export.architecture import find_head  # noqa: E402
from edgevision.export.random_convolutions import leaves_images  # noqa: E402
from edgevision.export.random_weights import randomize  # noqa: E402

SIZE_HW = (64, 64)

# Networks whose libraries start layers at zero, at nothing, or with weights in odd places.
NETWORKS = {
    "batch norms of zero": lambda: timm.create_model("resnet18", zero_init_last=True),
    "a head of zeros": lambda: timm.create_model("deit_tiny_patch16_224", img_size=64),
    "layer scales of 1e-6": lambda: timm.create_model("convnext_atto", ls_init_value=1e-6),
    "attention's one weight of three": lambda: torchvision.models.VisionTransformer(64, 8, 12, 4, 64, 128),
    "gates": lambda: torchvision.models.mobilenet_v3_small(),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest):
    """(module, pictures it was not settled on, its logits for them)."""
    torch.manual_seed(5)
    module = NETWORKS[request.param]().eval()
    randomize(module, SIZE_HW, seed=1, head=find_head(module, 1000))
    pictures = (leaves_images(3, SIZE_HW, seed=77) - 0.5) / 0.25
    with torch.no_grad():
        return module, pictures, module(pictures)


def test_logits_spread_as_trained_ones_and_depend_on_the_picture(network) -> None:
    _, _, logits = network
    assert 0.5 < float(logits.std(1).mean()) < 8
    for one, other in ((0, 1), (1, 2)):
        assert float((logits[one] - logits[other]).std()) > 0.05


def test_roundings_stay_roundings(network) -> None:
    module, pictures, logits = network
    with torch.no_grad():
        exact = copy.deepcopy(module).double()(pictures.double())
        halved = copy.deepcopy(module)
        for parameter in halved.parameters():
            parameter.copy_(parameter.half().float())
        rough = halved(pictures)
    scale = exact.abs().max()
    # 12 to 50 layers of float32 sums; weights with 11 bits. Chaotic networks show 1e-3 and 1.
    assert float((logits - exact).abs().max() / scale) < 2e-5
    assert float((rough - exact).abs().max() / scale) < 2e-2


def test_no_parameter_is_left_at_one_value(network) -> None:
    module, _, _ = network
    flat = [name for name, one in module.named_parameters() if one.numel() > 1 and one.std() == 0]
    assert flat == []


def test_the_seed_alone_decides_and_the_programs_own_is_left_alone() -> None:
    def draw(seed: int) -> dict:
        torch.manual_seed(int(torch.randint(1000, ()).item()))
        return randomize(timm.create_model("test_resnet"), SIZE_HW, seed=seed, head=["fc"]).state_dict()

    torch.manual_seed(9)
    one, same, other = draw(3), draw(3), draw(4)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["fc.weight"], other["fc.weight"])
    module = timm.create_model("test_resnet")
    torch.manual_seed(11)
    randomize(module, SIZE_HW)
    drawn = torch.rand(1)
    torch.manual_seed(11)
    assert torch.equal(drawn, torch.rand(1))


def test_a_module_without_batch_norms_need_not_take_images() -> None:
    class Words(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(4, 8)

        def forward(self, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return self.table(words) * mask

    before = Words()
    after = randomize(Words(), (32, 32), seed=3)
    assert after.table.weight.shape == before.table.weight.shape
    assert torch.equal(randomize(Words(), (64, 64), seed=3).table.weight, after.table.weight)
