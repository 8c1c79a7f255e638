"""State dicts are found in what training loops save, and fit a network exactly or not at all."""

from __future__ import annotations

import re
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from edgevision.errors import ModelFileError  # noqa: E402
from edgevision.export.weights import find_weights, load_weights  # noqa: E402


def network(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))


WEIGHTS = {"0.weight": torch.zeros(2), "0.bias": torch.ones(2)}


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {"state_dict": WEIGHTS, "epoch": 4},
        {"model": WEIGHTS, "optimizer": {"state": {}, "param_groups": []}},
        {"model": {"x": torch.zeros(1)}, "ema": WEIGHTS},
        {"model": None, "ema": None, "model_state_dict": WEIGHTS},
    ],
    ids=["itself", "Lightning", "beside an optimizer", "the average goes first", "beside empty places"],
)
def test_weights_are_found(content: object) -> None:
    assert find_weights(content, "a.pt") == WEIGHTS


def test_a_modules_own_weights_are_found() -> None:
    assert list(find_weights(network(), "a.pt")) == list(network().state_dict())


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"epoch": 3, "loss": 0.5}, "it holds epoch, loss"),
        ({}, "it holds an empty dict"),
        ([1, 2], "it holds a list"),
        ({"state_dict": {"a": 1.0}}, "it holds state_dict"),
    ],
    ids=["numbers", "nothing", "a list", "a dict of numbers"],
)
def test_a_file_without_weights_says_what_it_holds(content: object, text: str) -> None:
    with pytest.raises(ModelFileError, match=text):
        find_weights(content, "a.pt")


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "_orig_mod.module."])
def test_weights_load_under_the_prefixes_of_wrappers(prefix: str) -> None:
    source, target = network(1), network(2)
    load_weights(target, {prefix + k: v for k, v in source.state_dict().items()}, "a.pt", "the network")
    for one, other in zip(source.state_dict().values(), target.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_what_a_wrapper_holds_beside_the_network_is_left_out() -> None:
    source, target = network(1), network(2)
    weights = {f"model.{k}": v for k, v in source.state_dict().items()}
    load_weights(
        target, {**weights, "mean": torch.zeros(3), "loss.weight": torch.ones(2)}, "a.ckpt", "the network"
    )
    assert torch.equal(target[0].weight, source[0].weight)


def test_the_count_of_batches_may_be_missing() -> None:
    weights = {k: v for k, v in network(1).state_dict().items() if not k.endswith("num_batches_tracked")}
    target = network(2)
    load_weights(target, weights, "a.pt", "the network")
    assert torch.equal(target[0].weight, weights["0.weight"])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda w: w.pop("1.running_var"), "a.pt does not fit the network: it lacks 1.running_var"),
        (lambda w: w.update({"2.weight": torch.zeros(1)}), "it has no place for 2.weight"),
        (
            lambda w: w.update({"0.weight": torch.zeros(8, 3, 1, 1)}),
            "it differs in 0.weight is (8, 3, 1, 1) and should be (4, 3, 1, 1)",
        ),
        (
            lambda w: [w.update({f"{i}.bias": torch.zeros(1)}) for i in range(2, 9)],
            "no place for 2.bias, 3.bias, 4.bias, 5.bias and 3 more",
        ),
    ],
    ids=["lacking", "unknown", "another shape", "many"],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(change: Any, text: str) -> None:
    target = network(2)
    before = target[0].weight.clone()
    weights = dict(network(1).state_dict())
    change(weights)
    with pytest.raises(ModelFileError, match=re.escape(text)):
        load_weights(target, weights, "a.pt", "the network")
    assert torch.equal(target[0].weight, before)
