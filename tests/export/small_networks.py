"""Small networks and their specs, for tests of the exporter's steps."""

from __future__ import annotations

import torch

from edgevision.export.network import Network, Part
from edgevision.spec import Decoder, ImageInput, ModelSpec

SIZE_HW = (32, 48)


class SmallClassifier(torch.nn.Module):
    """Two convolutions, attention over the pixels, LayerNorm and a head: what every family is made of."""

    def __init__(self, classes: int = 6) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.second = torch.nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.layer_norm = torch.nn.LayerNorm(16)
        self.query = torch.nn.Linear(16, 16)
        self.head = torch.nn.Linear(16, classes)
        torch.nn.init.uniform_(self.norm.running_var, 0.5, 2.0)
        torch.nn.init.normal_(self.norm.running_mean, 0, 0.3)
        torch.nn.init.normal_(self.head.weight, 0, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = torch.relu(self.second(torch.relu(self.norm(self.first(images)))))
        tokens = self.layer_norm(features.flatten(2).transpose(1, 2))
        weights = (self.query(tokens) @ tokens.transpose(1, 2) / 4).softmax(-1)
        return self.head((tokens + weights @ tokens).mean(1))


def classifier(batch: int | None = 1, classes: int = 6) -> Network:
    """A classifier, its spec and its one part."""
    spec = ModelSpec(
        task="classify",
        inputs=(ImageInput(size_hw=SIZE_HW, resize="stretch", batch=batch),),
        decoder=Decoder(name="scores", params={"activation": "softmax"}),
        labels=tuple(f"class{i}" for i in range(classes)),
    )
    part = Part(
        module=SmallClassifier(classes).eval(),
        example=(torch.zeros(1, 3, *SIZE_HW),),
        inputs=("images",),
        outputs=("logits",),
    )
    return Network(spec=spec, parts=(part,))
