"""The part under a point: a small vision transformer, and the decoder that Segment Anything (Kirillov et al. 2023)
describes, smaller.

An encoder makes an embedding of the picture once; the decoder makes masks from it and from prompts, as often as asked.
Prompts are points, corners of boxes and an earlier mask. They meet the embedding in a transformer that attends both
ways; tokens of its output become filters over the upsampled embedding, one a mask, and the masks' expected overlaps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from edgevision.export.conveyor_classifiers import EncoderBlock, attend
from edgevision.export.conveyor_yolo import ConvBlock, PartialStage

__all__ = ["PROMPT_TRUNK", "STRIDE", "ConveyorPromptable", "PromptDecoder", "PromptImageEncoder"]

PROMPT_TRUNK = ("encoder.stem", "encoder.stage3", "encoder.stage4")
"""What it has in common with the detector, by name below `encoder`."""
STRIDE = 8  # input pixels a cell of the embedding
WIDTH = 64  # channels of the embedding
CANDIDATES = 4  # masks: one for clear prompts, three for doubtful ones
FREQUENCY = 1.5  # of the positions' waves, standard deviation in cycles over half the longer side: parts are that small
FOCUS = 1.5  # of attention between points and picture before training


class PromptImageEncoder(nn.Module):
    """The embedding, float32 (B, WIDTH, H / 8, W / 8), of pictures, float32 (B, 3, H, W) RGB 0-1.

    The detector's first stages make the tokens, 16 pixels apart, of a plain transformer; finer maps join what it says.
    """

    def __init__(self, input_hw: tuple[int, int], width: int = 96, depth: int = 3, heads: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBlock(3, 16, 3, 2), ConvBlock(16, 32, 3, 2), PartialStage(32, 32, 1))
        self.stage3 = nn.Sequential(ConvBlock(32, 64, 3, 2), PartialStage(64, 64, 1))
        self.stage4 = nn.Sequential(ConvBlock(64, 96, 3, 2), PartialStage(96, 96, 2))
        self.patches = nn.Conv2d(96, width, 1)
        self.places = nn.Parameter(torch.empty(1, width, input_hw[0] // 16, input_hw[1] // 16))
        nn.init.trunc_normal_(self.places, std=0.02)
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads, 2) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.coarse = nn.Sequential(nn.Conv2d(width, WIDTH, 1), nn.Upsample(scale_factor=2, mode="nearest"))
        self.middle = nn.Conv2d(64, WIDTH, 1)
        # Four cells of the stem's map to one: detail that masks need and tokens do not have.
        self.fine = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(128, WIDTH, 1))
        self.join = nn.Sequential(ConvBlock(WIDTH, WIDTH), nn.Conv2d(WIDTH, WIDTH, 3, padding=1))

    def forward(self, images: Tensor, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """corner: x, y of a smaller picture's place in the whole one, input pixels, multiples of 16 (in training)."""
        fine = self.stem(images)
        middle = self.stage3(fine)
        patches = self.patches(self.stage4(middle))
        height, width = patches.shape[2:]
        left, top = corner[0] // 16, corner[1] // 16
        tokens = patches + self.places[:, :, top : top + height, left : left + width]
        tokens = self.norm(self.blocks(tokens.flatten(2).transpose(1, 2)))
        coarse = self.coarse(tokens.transpose(1, 2).unflatten(2, (height, width)))
        return self.join(coarse + self.middle(middle) + self.fine(fine))


class Attention(nn.Module):
    """Multi-head attention of queries to keys and values, all (B, tokens, width).

    It begins with queries and keys that agree, so that a point looks at its own surroundings from the first step on:
    to find that out by itself takes the larger part of a training.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.merge = (nn.Linear(width, width) for _ in range(4))
        nn.init.orthogonal_(self.q.weight, FOCUS)
        self.k.weight.data.copy_(self.q.weight)
        nn.init.zeros_(self.q.bias)
        nn.init.zeros_(self.k.bias)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.q(q), self.k(k), self.v(v))
        )
        return self.merge(attend(q, k, v).transpose(1, 2).flatten(2))


class TwoWayBlock(nn.Module):
    """Prompt tokens attend to themselves, then to the picture; a perceptron; the picture attends to them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.own = Attention(width, heads)
        self.to_picture, self.to_tokens = Attention(width, heads), Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))

    def forward(
        self, tokens: Tensor, picture: Tensor, prompts: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        # Prompts and places are added again at every step: what was asked, and where, must not fade.
        q = tokens + prompts
        tokens = self.norms[0](tokens + self.own(q, q, tokens))
        tokens = self.norms[1](tokens + self.to_picture(tokens + prompts, picture + places, picture))
        tokens = self.norms[2](tokens + self.mlp(tokens))
        picture = self.norms[3](picture + self.to_tokens(picture + places, tokens + prompts, tokens))
        return tokens, picture


class FourierPlaces(nn.Module):
    """Positions in the picture as sines and cosines of random projections (Tancik et al. 2020), (..., WIDTH)."""

    def __init__(self, input_hw: tuple[int, int]) -> None:
        super().__init__()
        self.input_hw = input_hw
        self.register_buffer("projection", torch.randn(2, WIDTH // 2) * FREQUENCY * 2 * math.pi)

    def forward(self, points: Tensor) -> Tensor:
        """points: (..., 2) x, y in input pixels, continuous: pixel i spans [i, i + 1]."""
        # The grid's centres stay float32 where the rest is halved.
        angles = (points / max(self.input_hw) * 2 - 1).to(self.projection.dtype) @ self.projection
        return torch.cat((angles.sin(), angles.cos()), dim=-1)


class PromptDecoder(nn.Module):
    """Masks from an embedding and prompts; inputs and outputs as docs/spec.md has them of promptable networks."""

    def __init__(self, input_hw: tuple[int, int], heads: int = 4, depth: int = 2) -> None:
        super().__init__()
        self.mask_hw = (input_hw[0] // 2, input_hw[1] // 2)
        self.places = FourierPlaces(input_hw)
        self.kinds = nn.Embedding(5, WIDTH)  # padding, not of it, of it, top left, bottom right: label + 1
        self.answers = nn.Embedding(1 + CANDIDATES, WIDTH)  # expected overlaps, then one a mask
        nn.init.normal_(self.kinds.weight, std=0.3)
        nn.init.normal_(self.answers.weight, std=0.3)
        self.no_mask = nn.Parameter(torch.zeros(WIDTH, 1, 1))
        self.shrink_mask = nn.Sequential(
            nn.Conv2d(1, 8, 2, 2), nn.ReLU(), nn.Conv2d(8, 16, 2, 2), nn.ReLU(), nn.Conv2d(16, WIDTH, 1)
        )
        self.blocks = nn.ModuleList(TwoWayBlock(WIDTH, heads) for _ in range(depth))
        self.last, self.last_norm = Attention(WIDTH, heads), nn.LayerNorm(WIDTH)
        self.grow = nn.Sequential(
            nn.ConvTranspose2d(WIDTH, 32, 2, 2), nn.ReLU(), nn.ConvTranspose2d(32, 16, 2, 2), nn.ReLU()
        )
        self.filters = nn.ModuleList(_perceptron(16) for _ in range(CANDIDATES))
        self.overlaps = _perceptron(CANDIDATES)

    def forward(
        self, image_embeddings: Tensor, point_coords: Tensor, point_labels: Tensor,
        mask_input: Tensor, has_mask_input: Tensor, corner: tuple[int, int] = (0, 0),
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Logits (P, CANDIDATES, H / 2, W / 2) and expected overlaps (P, CANDIDATES) of P prompts of N points.

        image_embeddings: (1 or P, WIDTH, H / 8, W / 8). point_coords: (P, N, 2), x, y in input pixels; an index names
        a pixel's centre. point_labels: (P, N): 1 of the object, 0 not of it, 2 and 3 corners of a box, -1 padding.
        mask_input: (P, 1, H / 2, W / 2) logits. has_mask_input: (1,) or (P,), 0 or 1. corner: as the encoder's; points
        are of the whole picture.
        """
        labels = point_labels.to(torch.int64)
        real = (labels >= 0)[..., None].to(point_coords.dtype)
        points = self.places(point_coords + 0.5) * real + self.kinds(labels + 1)
        answers = self.answers.weight[None].expand(points.shape[0], -1, -1)
        prompts = torch.cat((answers, points), dim=1)
        given = has_mask_input.view(-1, 1, 1, 1)
        dense = self.shrink_mask(mask_input) * given + self.no_mask * (1 - given)
        picture = (image_embeddings + dense).flatten(2).transpose(1, 2)
        grid_hw = image_embeddings.shape[2:]
        places = self.grid_places(grid_hw, corner)
        tokens = prompts
        for block in self.blocks:
            tokens, picture = block(tokens, picture, prompts, places)
        tokens = self.last_norm(tokens + self.last(tokens + prompts, picture + places, picture))
        grown = self.grow(picture.transpose(1, 2).unflatten(2, grid_hw))
        filters = torch.stack([mlp(tokens[:, 1 + i]) for i, mlp in enumerate(self.filters)], dim=1)
        masks = (filters @ grown.flatten(2)).unflatten(2, grown.shape[2:])
        return masks, self.overlaps(tokens[:, 0])

    def grid_places(self, grid_hw: tuple[int, int], corner: tuple[int, int]) -> Tensor:
        """Positions of the embedding's cells, (1, h * w, WIDTH), row by row."""
        device = self.no_mask.device
        y, x = torch.meshgrid(
            torch.arange(grid_hw[0], device=device), torch.arange(grid_hw[1], device=device), indexing="ij"
        )
        centres = (torch.stack((x.flatten(), y.flatten()), dim=1).float() + 0.5) * STRIDE
        return self.places(centres + centres.new_tensor(corner))[None]


class ConveyorPromptable(nn.Module):
    """Encoder and decoder together, as they are trained."""

    def __init__(self, input_hw: tuple[int, int]) -> None:
        super().__init__()
        self.encoder = PromptImageEncoder(input_hw)
        self.decoder = PromptDecoder(input_hw)


def _perceptron(outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, outputs)
    )
