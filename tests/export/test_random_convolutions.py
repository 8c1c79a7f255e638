"""Random weights: a signal keeps its scale through many layers, and roundings stay small."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from edgevision.export.random_convolutions import leaves_images, randomize_convolutions  # noqa: E402

LAYERS = 24


class Residual(torch.nn.Sequential):
    def __init__(self, width: int) -> None:
        super().__init__(
            torch.nn.Conv2d(width, width, 3, padding=1), torch.nn.BatchNorm2d(width), torch.nn.ReLU()
        )
        torch.nn.init.zeros_(self[1].weight)  # as trainers start their residual branches

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


def deep_network() -> torch.nn.Sequential:
    plain = [
        layer
        for _ in range(LAYERS)
        for layer in (
            torch.nn.Conv2d(16, 16, 3, padding=1, bias=False),
            torch.nn.BatchNorm2d(16),
            torch.nn.SiLU(),
        )
    ]
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3), *plain, *(Residual(16) for _ in range(4)), torch.nn.Conv2d(16, 5, 1)
    )


@torch.no_grad()
def test_outputs_keep_their_scale_and_depend_on_the_picture() -> None:
    network = deep_network()
    images = leaves_images(4, (48, 64))
    randomize_convolutions(network, images[:2], seed=3)
    assert not network.training
    found = network(images)
    assert 0.1 < found.std() < 10
    assert (found[0] - found[3]).abs().max() > 0.05 * found.std()
    assert all(layer[1].weight.abs().min() > 0.5 for layer in network if isinstance(layer, Residual))


@torch.no_grad()
def test_float16_agrees_after_many_layers() -> None:
    network = deep_network()
    images = leaves_images(2, (48, 64))
    randomize_convolutions(network, images, seed=3)
    wanted, found = network(images), copy.deepcopy(network).half()(images.half()).float()
    # 11 bits are 5e-4 an operation. Measured 5e-3; 1.3e-2 where batch norms also subtract the mean.
    assert (found - wanted).abs().max() / wanted.abs().max() < 1e-2


@torch.no_grad()
def test_the_seed_decides_and_the_callers_generator_is_left_alone() -> None:
    images = leaves_images(1, (32, 32))
    outputs = []
    for seed in (1, 1, 2):
        network = deep_network()
        torch.manual_seed(7)
        randomize_convolutions(network, images, seed)
        assert torch.initial_seed() == 7
        assert torch.equal(torch.rand(1), torch.rand(1, generator=torch.Generator().manual_seed(7)))
        outputs.append(network(images))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_layers_that_cannot_be_trained_stay_as_they_are() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.Conv2d(4, 1, 1))
    network[1].requires_grad_(False)
    before = network[1].weight.clone()
    randomize_convolutions(network, leaves_images(1, (8, 8)))
    assert torch.equal(network[1].weight, before)
