"""Our own detector: its output layout, that it learns, and that its ONNX file says the same."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (the export extra)")

from edgevision.errors import ModelFileError  # noqa: E402
from edgevision.export.conveyor_loss import (  # noqa: E402
    Targets,
    assign,
    box_iou,
    complete_iou,
    conveyor_loss,
    distribution_loss,
    points_inside,
)
from edgevision.export.conveyor_yolo import (  # noqa: E402
    BINS,
    STRIDES,
    ConveyorYolo,
    anchor_points,
    checkpoint_of,
)
from edgevision.export.pipeline import ExportResult  # noqa: E402
from edgevision.export.yolo import export_yolo  # noqa: E402
from edgevision.spec import load_spec  # noqa: E402

CLASSES = 8


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """One thread: layers this small leave more of them waiting for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_model(seed: int = 0) -> ConveyorYolo:
    torch.manual_seed(seed)
    return ConveyorYolo(CLASSES)


def make_lively_model(seed: int = 0) -> ConveyorYolo:
    """A model whose outputs differ from place to place: fresh ones answer nearly the same everywhere."""
    model = make_model(seed)
    with torch.no_grad():
        for head in model.heads:
            head.box[-1].weight.normal_(0, 0.6)
            head.score[-1].weight.normal_(0, 0.6)
            head.score[-1].bias.zero_()
        model.train()(torch.rand(2, 3, 64, 96))  # gives the batch norms statistics of their own
    return model.eval()


def one_object(box: list[float], class_id: int = 3, *, ignored: bool = False) -> Targets:
    flags = torch.tensor([[not ignored]]), torch.tensor([[ignored]])
    return Targets(torch.tensor([[box]]), torch.tensor([[class_id]]), *flags)


@pytest.mark.parametrize("input_hw", [(256, 448), (64, 96)], ids=["deployed", "small"])
def test_output_has_the_yolo_layout(input_hw: tuple[int, int]) -> None:
    height, width = input_hw
    with torch.no_grad():
        output = make_lively_model()(torch.rand(2, 3, height, width))
    cells = sum((height // s) * (width // s) for s in STRIDES)
    assert output.shape == (2, 4 + CLASSES, cells)
    assert output.dtype == torch.float32
    assert (output[:, 2:4] > 0).all()
    assert ((output[:, 4:] > 0) & (output[:, 4:] < 1)).all()


def test_forward_is_the_decoded_raw_prediction() -> None:
    model, images = make_lively_model(), torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        sides, logits, anchors = model.predict_raw(images)
        boxes, output = model.decode_boxes(sides, anchors), model(images)
    assert sides.shape == (1, 4, BINS, output.shape[2])
    # Sums of a few float32 numbers below 600 in another order.
    torch.testing.assert_close(output[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2, rtol=0, atol=1e-4)
    torch.testing.assert_close(output[:, 2:4], boxes[:, 2:] - boxes[:, :2], rtol=0, atol=1e-4)
    assert torch.equal(output[:, 4:], logits.sigmoid())


def test_sides_are_the_mean_bin_times_the_stride() -> None:
    model = make_model()
    anchors = anchor_points(1, 1, 16, torch.device("cpu"))
    assert anchors.T.tolist() == [[8.0, 8.0, 16.0]]
    logits = torch.full((1, 4, BINS, 1), -1e4)
    logits[0, 0, 0], logits[0, 1, 1], logits[0, 3, 7] = 0, 0, 0
    logits[0, 2, 2], logits[0, 2, 3] = 0, 0  # half way between two bins
    assert model.decode_boxes(logits, anchors)[0, :, 0].tolist() == [8.0, 8.0 - 16, 8 + 2.5 * 16, 8 + 7 * 16]


def test_anchors_run_row_by_row() -> None:
    assert anchor_points(2, 3, 8, torch.device("cpu"))[:2].T.tolist() == [
        [4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12],
    ]  # fmt: skip


def test_the_network_stays_small() -> None:
    model = make_model()
    parameters = sum(p.numel() for p in model.parameters())
    assert 600_000 <= parameters <= 900_000


def test_iou_by_hand() -> None:
    a, b = torch.tensor([0.0, 0.0, 10.0, 10.0]), torch.tensor([5.0, 0.0, 15.0, 10.0])
    assert box_iou(a, b).item() == pytest.approx(1 / 3, abs=1e-6)
    # Centres 5 apart in a hull of 15 x 10: 25 / 325; equal shapes cost nothing.
    assert complete_iou(a, b).item() == pytest.approx(1 / 3 - 25 / 325, abs=1e-6)
    assert complete_iou(a, a).item() == pytest.approx(1, abs=1e-6)


def test_complete_iou_penalises_another_shape() -> None:
    torchvision_ops = pytest.importorskip("torchvision.ops", reason="torchvision is not installed")
    rng = torch.Generator().manual_seed(0)
    low = torch.rand(2, 50, 2, generator=rng) * 50
    a, b = torch.cat((low, low + 1 + torch.rand(2, 50, 2, generator=rng) * 40), dim=2)
    # torchvision's loss is 1 - complete IoU; it adds its epsilons elsewhere.
    wanted = 1 - torchvision_ops.complete_box_iou_loss(a, b)
    torch.testing.assert_close(complete_iou(a, b), wanted, rtol=0, atol=1e-4)


def test_distribution_loss_is_least_at_the_aimed_side() -> None:
    sides = torch.tensor([[0.0, 2.25, 6.5, 3.0]])
    best = torch.full((1, 4, BINS), -30.0)
    for side, pairs in enumerate([{0: 1.0}, {2: 0.75, 3: 0.25}, {6: 0.5, 7: 0.5}, {3: 1.0}]):
        for index, share in pairs.items():
            best[0, side, index] = float(np.log(share))
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25) + np.log(0.5)) / 4
    assert distribution_loss(best, sides).item() == pytest.approx(entropy, abs=1e-5)
    assert distribution_loss(best.roll(1, dims=2), sides).item() > 1


def test_points_inside_grows_small_boxes_to_the_reach() -> None:
    points = torch.tensor([[4.0, 12.0], [4.0, 4.0]])  # (4, 4) and (12, 4)
    boxes = torch.tensor([[[0.0, 0.0, 8.0, 8.0], [5.0, 5.0, 6.0, 6.0]]])
    inside = points_inside(points, boxes, torch.tensor([2.0, 2.0]))
    assert inside[0].tolist() == [[True, False], [True, False]]
    assert not points_inside(points, boxes, torch.tensor([1.0, 1.0]))[0, 1].any()


def test_an_object_goes_to_the_anchors_that_fit_it_best() -> None:
    anchors = anchor_points(4, 4, 8, torch.device("cpu"))
    target = one_object([8.0, 8.0, 24.0, 24.0])
    boxes = torch.cat((anchors[:2].T - 4, anchors[:2].T + 4), dim=1)[None]
    boxes[0, 5] = torch.tensor([8.0, 8.0, 24.0, 24.0])  # the anchor at (12, 12) is right
    owner, aim, left_out = assign(boxes, torch.full((1, 16, CLASSES), 0.5), anchors, target)
    assert (owner[0] >= 0).nonzero()[:, 0].tolist() == [5, 6, 9, 10]  # the four anchors inside the object
    assert aim[0, 5].item() == pytest.approx(1.0, abs=1e-5)
    assert aim[0, [6, 9, 10]].max() < 0.01
    assert not left_out.any()


def test_an_anchor_wanted_by_two_goes_to_the_one_it_overlaps_more() -> None:
    anchors = anchor_points(1, 1, 8, torch.device("cpu"))
    targets = Targets(
        torch.tensor([[[0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 16.0, 16.0]]]), torch.tensor([[0, 1]]),
        torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 2, dtype=torch.bool),
    )  # fmt: skip
    scores = torch.zeros(1, 1, CLASSES)
    scores[..., 0] = 0.9
    owner, _, _ = assign(torch.tensor([[[0.0, 0.0, 15.0, 15.0]]]), scores, anchors, targets)
    assert owner.tolist() == [[1]]


def test_ignored_objects_and_padding_are_neither_aims_nor_mistakes() -> None:
    model, images = make_lively_model().eval(), torch.rand(1, 3, 64, 96)
    box = [16.0, 16.0, 48.0, 48.0]
    nothing = Targets(
        torch.zeros(1, 1, 4), torch.zeros(1, 1, dtype=torch.long), *(torch.zeros(1, 1, dtype=torch.bool),) * 2
    )
    with torch.no_grad():
        empty, parts = conveyor_loss(model, images, nothing)
        ignored, _ = conveyor_loss(model, images, one_object(box, ignored=True))
    assert parts["box"] == parts["side"] == 0
    assert 0 < ignored < empty  # anchors inside the ignored object no longer count as false alarms


def test_the_loss_falls_to_a_fraction_on_one_batch() -> None:
    torch.manual_seed(1)
    model = make_model(1).train()
    images = torch.full((2, 3, 64, 96), 0.3)
    images[0, :, 10:50, 20:60] = torch.tensor([0.9, 0.2, 0.1])[:, None, None]
    images[1, :, 20:52, 40:80] = torch.tensor([0.1, 0.3, 0.9])[:, None, None]
    targets = Targets(
        torch.tensor([[[20.0, 10.0, 60.0, 50.0]], [[40.0, 20.0, 80.0, 52.0]]]), torch.tensor([[2], [5]]),
        torch.ones(2, 1, dtype=torch.bool), torch.zeros(2, 1, dtype=torch.bool),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    losses = []
    for _ in range(40):
        loss, _ = conveyor_loss(model, images, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]


def test_a_state_dict_restores_the_model_exactly() -> None:
    first, second, images = make_lively_model(0), make_model(1).eval(), torch.rand(1, 3, 64, 96)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        assert torch.equal(first(images), second(images))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (the export extra)")
    path = tmp_path_factory.mktemp("conveyor") / "conveyor_yolo.pt"
    torch.save(checkpoint_of(make_lively_model(), [f"part {i}" for i in range(CLASSES)]), path)
    return export_yolo(path, path.with_suffix(".onnx"), size_hw=(64, 96), dynamic_batch=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised inside torch's exporter
def test_onnx_says_what_torch_says(exported: ExportResult) -> None:
    # float32 sums in another order: coordinates reach 200 px, whose unit in the last place is 1.5e-5.
    assert exported.parity[0].tensors[0].max_abs < 5e-4


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_onnx_file_carries_its_spec(exported: ExportResult) -> None:
    spec = load_spec(exported.path)
    assert spec == exported.spec
    assert (spec.task, spec.decoder.name, spec.inputs[0].size_hw) == ("detect", "yolo", (64, 96))
    assert spec.labels == tuple(f"part {i}" for i in range(CLASSES))
    assert len(spec.source.weights_sha256) == 64


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    checkpoint = checkpoint_of(make_model(), ["a"] * CLASSES)
    checkpoint["state_dict"].popitem()
    torch.save(checkpoint, tmp_path / "a.pt")
    with pytest.raises(ModelFileError, match="the weights are not those of conveyor_yolo"):
        export_yolo(tmp_path / "a.pt")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_onnx_file_is_small_dynamic_in_its_batch_and_tells_nothing_of_its_maker(
    exported: ExportResult,
) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (the export extra)")
    path = exported.path
    graph = onnx.load(path).graph
    assert path.stat().st_size < 3_900_000
    assert [i.name for i in graph.input] == ["images"]
    assert [o.name for o in graph.output] == ["output0"]
    shape = [d.dim_param or d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["batch", 3, 64, 96]
    assert graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert not any(node.metadata_props or node.doc_string for node in graph.node)
    content = path.read_bytes()
    assert b".py" not in content
    assert str(Path(__file__).parents[2]).encode() not in content
