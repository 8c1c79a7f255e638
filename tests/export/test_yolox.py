"""YOLOX: Megvii's checkpoints load by their own names, and compute what the paper's formulas say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from torch import Tensor  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import edgevision as ev  # noqa: E402
from edgevision.errors import InputError, ModelFileError  # noqa: E402
from edgevision.export.yolo import export_yolo, read_yolo  # noqa: E402
from edgevision.export.yolox import Focus, SPPBottleneck, Yolox  # noqa: E402
from edgevision.export.yolox_reader import YOLOX_NAMES, random_yolox, yolox_of_weights  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

LABELS = ("bolt", "nut", "washer")
Weights = dict[str, Tensor]


class Formula:
    """The detector written down a second time, as functions of a state_dict, from the paper's figures."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        if f"{name}.dconv.conv.weight" in self.weights:
            return self.conv(f"{name}.pconv", self.conv(f"{name}.dconv", x, stride))
        kernel = self.weights[f"{name}.conv.weight"]
        x = F.conv2d(
            x, kernel, stride=stride, padding=kernel.shape[2] // 2, groups=x.shape[1] // kernel.shape[1]
        )
        mean, var, scale, shift = (
            self.weights[f"{name}.bn.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        x = (x - mean) / torch.sqrt(var + 1e-3) * scale + shift
        return x / (1 + torch.exp(-x))

    def csp(self, name: str, x: Tensor, shortcut: bool) -> Tensor:
        one, other = self.conv(f"{name}.conv1", x), self.conv(f"{name}.conv2", x)
        depth = 0
        while f"{name}.m.{depth}.conv1.conv.weight" in self.weights:
            inner = self.conv(f"{name}.m.{depth}.conv2", self.conv(f"{name}.m.{depth}.conv1", one))
            one = one + inner if shortcut else inner
            depth += 1
        return self.conv(f"{name}.conv3", torch.cat((one, other), 1))

    def spp(self, name: str, x: Tensor) -> Tensor:
        x = self.conv(f"{name}.conv1", x)
        pools = [x]
        for size in (5, 9, 13):
            padded = F.pad(x, [size // 2] * 4, value=float("-inf"))
            pools.append(padded.unfold(2, size, 1).unfold(3, size, 1).amax((4, 5)))
        return self.conv(f"{name}.conv2", torch.cat(pools, 1))

    def __call__(self, x: Tensor) -> Tensor:
        b, n = "backbone.backbone", "backbone"
        # pixel_unshuffle groups by channel, the checkpoints by corner: top left, bottom left, top right, bottom right.
        corners = F.pixel_unshuffle(x, 2).unflatten(1, (3, 2, 2)).permute(0, 3, 2, 1, 4, 5).flatten(1, 3)
        x = self.conv(f"{b}.stem.conv", corners)
        levels = []
        for stage in ("dark2", "dark3", "dark4", "dark5"):
            x = self.conv(f"{b}.{stage}.0", x, 2)
            if stage == "dark5":
                x = self.spp(f"{b}.{stage}.1", x)
            x = self.csp(f"{b}.{stage}.{2 if stage == 'dark5' else 1}", x, stage != "dark5")
            levels.append(x)
        _, c3, c4, c5 = levels
        top = self.conv(f"{n}.lateral_conv0", c5)
        up = self.csp(
            f"{n}.C3_p4", torch.cat((top.repeat_interleave(2, 2).repeat_interleave(2, 3), c4), 1), False
        )
        middle = self.conv(f"{n}.reduce_conv1", up)
        p3 = self.csp(
            f"{n}.C3_p3", torch.cat((middle.repeat_interleave(2, 2).repeat_interleave(2, 3), c3), 1), False
        )
        p4 = self.csp(f"{n}.C3_n3", torch.cat((self.conv(f"{n}.bu_conv2", p3, 2), middle), 1), False)
        p5 = self.csp(f"{n}.C3_n4", torch.cat((self.conv(f"{n}.bu_conv1", p4, 2), top), 1), False)
        return torch.cat([self.head(i, level) for i, level in enumerate((p3, p4, p5))], 1)

    def head(self, i: int, level: Tensor) -> Tensor:
        def predict(kind: str, x: Tensor) -> Tensor:
            name = f"head.{kind}_preds.{i}"
            return F.conv2d(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

        x = self.conv(f"head.stems.{i}", level)
        score, box = x, x
        for k in range(2):
            score = self.conv(f"head.cls_convs.{i}.{k}", score)
            box = self.conv(f"head.reg_convs.{i}.{k}", box)
        parts = predict("reg", box), predict("obj", box).sigmoid(), predict("cls", score).sigmoid()
        return torch.cat(parts, 1).flatten(2).transpose(1, 2)


def megvii_checkpoint(folder: Path, name: str = "yolox-nano") -> tuple[Path, Weights]:
    weights = random_yolox(name, LABELS, seed=1).state_dict()
    path = folder / "yolox.pth"
    torch.save({"start_epoch": 300, "model": weights, "optimizer": {"state": {}}}, path)
    return path, weights


@pytest.mark.parametrize(
    ("name", "millions"),
    # Parameters at 80 classes, from the paper's and the repository's tables.
    [
        ("yolox-nano", 0.91),
        ("yolox-tiny", 5.06),
        ("yolox-s", 8.97),
        ("yolox-m", 25.33),
        ("yolox-l", 54.21),
        ("yolox-x", 99.07),
    ],
)
def test_each_size_has_the_published_number_of_parameters(
    name: str, millions: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Counting needs no memory for weights, and no values in them.
    monkeypatch.setattr("edgevision.export.yolox_reader.randomize_convolutions", lambda *_: None)
    with torch.device("meta"):
        network = random_yolox(name, [str(i) for i in range(80)])
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == millions


@pytest.mark.parametrize("name", ["yolox-nano", "yolox-tiny"])
def test_a_checkpoint_loads_and_computes_the_formula(tmp_path: Path, name: str) -> None:
    path, weights = megvii_checkpoint(tmp_path, name)
    network = read_yolo(path, labels=LABELS, size_hw=(64, 96))
    assert network.spec.source.description == name
    images = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (2, 3, 64, 96)).astype(np.float32))
    with torch.no_grad():
        found, wanted = network.parts[0].module(images), Formula(weights)(images)
    assert found.shape == (2, 126, 8)
    # The same sums in another order; what the network says of sizes reaches 1.
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("width", "depth", "depthwise"), [(8, 2, False), (16, 1, True)], ids=["two blocks", "depthwise"]
)
def test_width_depth_and_classes_follow_from_the_weights(width: int, depth: int, depthwise: bool) -> None:
    weights = Yolox(5, width, depth, depthwise).state_dict()
    network, _ = yolox_of_weights({f"module.{name}": value for name, value in weights.items()}, "a.pth")
    assert list(network.state_dict()) == list(weights)
    assert network.head.cls_preds[0].out_channels == 5


def test_focus_takes_the_corners_column_by_column() -> None:
    focus = Focus(1, 4)
    with torch.no_grad():
        focus.conv.conv.weight.zero_()
        for i in range(4):
            focus.conv.conv.weight[i, i, 1, 1] = 1  # hands each corner through
    focus.conv.act = torch.nn.Identity()
    with torch.no_grad():
        found = focus.eval()(torch.tensor([[[[1.0, 3.0], [2.0, 4.0]]]]))
    np.testing.assert_allclose(found.flatten().numpy(), np.array([1, 2, 3, 4]) / np.sqrt(1.001), rtol=1e-6)


def test_pooling_sees_2_4_and_6_cells_far() -> None:
    block = SPPBottleneck(2).eval()
    block.conv1 = torch.nn.Identity()
    block.conv2 = torch.nn.Identity()
    x = torch.zeros(1, 1, 15, 15)
    x[0, 0, 7, 7] = 1
    reach = [int(level.sum()) for level in block(x)[0]]
    assert reach == [1, 25, 81, 169]


@pytest.mark.slow
def test_the_exported_file_decodes_the_grid(tmp_path: Path) -> None:
    path, weights = megvii_checkpoint(tmp_path)
    done = export_yolo(path, tmp_path / "x.onnx", labels=LABELS, size_hw=(96, 64), dynamic_size=True)
    frame = np.random.default_rng(3).integers(0, 256, (40, 64, 3), np.uint8)
    found = ev.load(done.path)(frame, confidence=0.0001, iou=1.0, max_detections=1000)
    # BGR, 0-255; of 96 rows the 64 that the frame's 40 need, with 114 below.
    image = np.full((64, 64, 3), 114, np.uint8)
    image[:40] = frame
    with torch.no_grad():
        rows = Formula(weights)(torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32)))[
            0
        ].numpy()
    cells = [
        (x, y, stride) for stride in (8, 16, 32) for y in range(64 // stride) for x in range(64 // stride)
    ]
    grid = np.array(cells)
    centres, sizes = (rows[:, :2] + grid[:, :2]) * grid[:, 2:], np.exp(rows[:, 2:4]) * grid[:, 2:]
    boxes = np.clip(np.hstack((centres - sizes / 2, centres + sizes / 2)), 0, [64, 40, 64, 40])
    scores = rows[:, 4] * rows[:, 5:].max(1)
    assert len(found) > 10
    used = set()
    for box, score in zip(found.xyxy, found.confidence, strict=True):
        # In pixels, a score's thousandth counting as much as one.
        gaps = np.maximum(np.abs(boxes - box).max(1), 1000 * np.abs(scores - score))
        assert gaps.min() < 1e-2
        used.add(int(gaps.argmin()))
    assert len(used) == len(found)


@pytest.mark.parametrize(
    ("change", "labels", "error", "text"),
    [
        (None, None, InputError, "class names for its 3 classes; pass them"),
        (None, LABELS[:2], InputError, "tells 3 classes apart, got 2 labels"),
        (lambda w: w.pop("head.cls_preds.0.weight"), LABELS, ModelFileError, "without its head"),
        (lambda w: w.pop("head.stems.1.bn.bias"), LABELS, ModelFileError, "it lacks head.stems.1.bn.bias"),
        (
            lambda w: w.update({"head.extra": torch.zeros(1)}),
            LABELS,
            ModelFileError,
            "it has no place for head.extra",
        ),
    ],
    ids=["no labels", "too few labels", "no head", "a tensor lost", "a tensor too many"],
)
def test_what_is_wrong_with_a_checkpoint_is_said(
    tmp_path: Path,
    change: Callable[[Weights], object] | None,
    labels: tuple[str, ...] | None,
    error: type[Exception],
    text: str,
) -> None:
    _, weights = megvii_checkpoint(tmp_path)
    if change is not None:
        change(weights)
    torch.save({"model": weights}, tmp_path / "a.pth")
    with pytest.raises(error, match=text):
        read_yolo(tmp_path / "a.pth", labels=labels)


def test_the_default_size_is_the_published_one_and_others_keep_the_stride() -> None:
    sizes = [
        read_yolo(name, random=True, labels=LABELS).spec.inputs[0].size_hw
        for name in ("yolox_tiny", "yolox-s")
    ]
    assert sizes == [(416, 416), (640, 640)]
    with pytest.raises(InputError, match="multiples of the network's stride 32"):
        read_yolo(YOLOX_NAMES[0], random=True, labels=LABELS, size_hw=(100, 96))
