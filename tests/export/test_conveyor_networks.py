"""The demo's networks: what they give, that they learn, that they start from the detector, and what is exported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (the export extra)")
pytest.importorskip("torchvision", reason="torchvision is not installed (the export extra)")
pytest.importorskip("onnx", reason="onnx is not installed (the export extra)")
pytest.importorskip("cv2", reason="OpenCV is not installed (the video extra)")

from edgevision.demo.scene import CLASS_NAMES, Scene  # noqa: E402
from edgevision.errors import ModelFileError  # noqa: E402
from edgevision.export import conveyor_training  # noqa: E402
from edgevision.export.conveyor_batch import make_batch  # noqa: E402
from edgevision.export.conveyor_cache import Crops, Samples  # noqa: E402
from edgevision.export.conveyor_classifiers import VitWithFeatures, attend  # noqa: E402
from edgevision.export.conveyor_data import CROP_HW, crop_samples, to_sample  # noqa: E402
from edgevision.export.conveyor_instances import KEYPOINTS, MASKS, TRUNK, ConveyorInstances  # noqa: E402
from edgevision.export.conveyor_network import spec_of  # noqa: E402
from edgevision.export.conveyor_promptable import ConveyorPromptable  # noqa: E402
from edgevision.export.conveyor_prompts import PROMPTS, make_prompt_batch  # noqa: E402
from edgevision.export.conveyor_recipes import RECIPES  # noqa: E402
from edgevision.export.conveyor_start import start_from_detector  # noqa: E402
from edgevision.export.conveyor_trainer import Schedule, Team, Trainer  # noqa: E402
from edgevision.export.conveyor_training import TrainOptions, read_trained, train_model  # noqa: E402
from edgevision.export.conveyor_unet import ConveyorUnet  # noqa: E402
from edgevision.export.conveyor_yolo import ConveyorYolo  # noqa: E402

CLASSES = len(CLASS_NAMES)
SMALL = (64, 128)  # input of the tiny trainings, pixels


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """One thread: layers this small leave more of them waiting for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Two pictures small enough to learn by heart."""
    made = [to_sample(Scene(seed, (360, 720)).frame(2.0), SMALL) for seed in (1, 2)]
    return Samples(
        np.stack([one.image for one in made]),
        tuple(one.boxes for one in made),
        tuple(one.keypoints for one in made),
        np.stack([one.owners for one in made]),
    )


@pytest.fixture(scope="module")
def crops() -> Crops:
    images, classes = crop_samples(Scene(1, (360, 720)).frame(2.0))
    return Crops(images, classes)


def test_instances_give_the_spec_rows_and_prototypes() -> None:
    torch.manual_seed(0)
    model, images = ConveyorInstances(CLASSES).eval(), torch.rand(2, 3, *SMALL)
    with torch.no_grad():
        rows, prototypes = model(images)
        raw = model.predict_all(images)
    anchors = sum((SMALL[0] // s) * (SMALL[1] // s) for s in (8, 16, 32))
    assert rows.shape == (2, 4 + CLASSES + MASKS + KEYPOINTS * 3, anchors)
    assert prototypes.shape == (2, MASKS, SMALL[0] // 2, SMALL[1] // 2)
    assert spec_of("instances").decoder.params == {"masks": MASKS, "keypoints": KEYPOINTS}
    assert torch.equal(rows[:, 4 + CLASSES : 4 + CLASSES + MASKS], raw.coefficients)
    landmarks = rows[:, -KEYPOINTS * 3 :].view(2, KEYPOINTS, 3, anchors)
    assert ((landmarks[:, :, 2] > 0) & (landmarks[:, :, 2] < 1)).all()
    # An offset is in strides from the anchor's point.
    x = raw.offsets[:, 0] * raw.anchors[2] + raw.anchors[0]
    torch.testing.assert_close(landmarks[:, 0, 0], x, rtol=0, atol=1e-4)


def test_instances_find_the_boxes_that_the_detector_finds() -> None:
    detector, model = ConveyorYolo(CLASSES), ConveyorInstances(CLASSES)
    start_from_detector(detector, TRUNK)
    start_from_detector(model, TRUNK)
    images = torch.from_numpy(np.random.default_rng(0).random((1, 3, *SMALL), np.float32))
    with torch.no_grad():
        rows, _ = model.eval()(images)
        assert torch.equal(rows[:, : 4 + CLASSES], detector.eval()(images))


def test_the_start_computes_what_the_shipped_file_computes() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (the cpu extra)")
    from edgevision.backends.registry import open_session
    from edgevision.demo.shipped import demo_model_path

    model = ConveyorYolo(CLASSES)
    start_from_detector(model, TRUNK)
    images = np.random.default_rng(1).random((1, 3, 256, 448), np.float32)
    session = open_session(demo_model_path(), backend="onnxruntime")
    try:
        wanted = session.run({"images": images})["output0"].copy()
    finally:
        session.close()
    with torch.no_grad():
        found = model.eval()(torch.from_numpy(images)).numpy()
    # float32 sums in another order; coordinates reach 448.
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)


def test_a_file_without_the_weights_is_refused() -> None:
    model = torch.nn.ModuleDict({"stem": ConveyorYolo(3).heads[0]})
    with pytest.raises(ModelFileError, match=r"stem.box.0.0.weight must be \(40, 48, 3, 3\), got nothing"):
        start_from_detector(model, ("stem",))


def test_the_unet_gives_logits_of_every_pixel() -> None:
    with torch.no_grad():
        assert ConveyorUnet(9).eval()(torch.rand(2, 3, *SMALL)).shape == (2, 9, *SMALL)


@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_classifiers_give_a_logit_a_class(name: str) -> None:
    with torch.no_grad():
        assert RECIPES[name].make().eval()(torch.rand(3, 3, *CROP_HW)).shape == (3, CLASSES)


def test_the_exported_transformer_gives_its_features_too() -> None:
    vit, images = RECIPES["vit"].make().eval(), torch.rand(2, 3, *CROP_HW)
    with torch.no_grad():
        logits, features = VitWithFeatures(vit).eval()(images)
        assert torch.equal(logits, vit(images))
        assert torch.equal(vit.head(features), logits)


def test_attention_is_that_of_torch() -> None:
    q, k, v = (torch.randn(2, 3, tokens, 8) for tokens in (5, 7, 7))
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(attend(q, k, v), wanted, rtol=1e-5, atol=1e-6)  # sums in another order


def test_a_point_is_near_what_lies_near_it() -> None:
    torch.manual_seed(0)
    decoder = ConveyorPromptable(SMALL).decoder
    places = decoder.grid_places((SMALL[0] // 8, SMALL[1] // 8), (0, 0))[0]
    point = decoder.places(torch.tensor([[36.0, 20.0]]))[0]
    assert int((places @ point).argmax()) == (20 // 8) * (SMALL[1] // 8) + 36 // 8


def prompt(model: ConveyorPromptable, points: list, labels: list, has_mask: float = 0.0) -> torch.Tensor:
    torch.manual_seed(1)
    embedding = torch.randn(1, 64, SMALL[0] // 8, SMALL[1] // 8)
    mask = torch.randn(1, 1, *model.decoder.mask_hw)
    given = torch.tensor([points], dtype=torch.float32), torch.tensor([labels], dtype=torch.float32)
    with torch.no_grad():
        masks, overlaps = model.decoder(embedding, *given, mask, torch.tensor([has_mask]))
    assert masks.shape == (1, 4, *model.decoder.mask_hw)
    assert overlaps.shape == (1, 4)
    return masks


def test_masks_depend_on_the_point_the_label_and_the_mask_but_not_on_where_padding_lies() -> None:
    torch.manual_seed(0)
    model = ConveyorPromptable(SMALL).eval()
    torch.nn.init.normal_(model.decoder.no_mask)  # zero before training
    asked = prompt(model, [[30, 20], [0, 0]], [1, -1])
    assert torch.equal(asked, prompt(model, [[30, 20], [50, 60]], [1, -1]))
    for other in (
        prompt(model, [[90, 20], [0, 0]], [1, -1]),
        prompt(model, [[30, 20], [0, 0]], [0, -1]),
        prompt(model, [[30, 20], [0, 0]], [1, -1], has_mask=1.0),
    ):
        assert (asked - other).abs().max() > 1e-3


def test_a_window_lies_where_its_corner_says() -> None:
    torch.manual_seed(0)
    model = ConveyorPromptable((64, 128)).eval()
    with torch.no_grad():
        whole = model.decoder.grid_places((8, 16), (0, 0)).view(8, 16, -1)
        part = model.decoder.grid_places((4, 8), (64, 32)).view(4, 8, -1)
        assert torch.equal(part, whole[4:, 8:])
        picture = torch.rand(1, 3, 32, 64)
        assert not torch.equal(model.encoder(picture, (64, 32)), model.encoder(picture, (0, 0)))


def test_prompts_lie_on_their_object_in_the_whole_picture(samples: Samples) -> None:
    sizes = set()
    for seed in range(8):
        batch = make_prompt_batch(samples, np.array([0, 1, 0]), np.random.default_rng(seed))
        height, width = batch.images.shape[2:]
        sizes.add((height, width))
        left, top = batch.corner.tolist()
        assert batch.masks.shape == (len(batch.images), PROMPTS, height, width)
        for mask, coords, labels in zip(
            batch.masks.flatten(0, 1), batch.coords.flatten(0, 1), batch.labels.flatten(0, 1), strict=True
        ):
            for (x, y), label in zip(coords.tolist(), labels.tolist(), strict=True):
                if label in (0, 1):
                    assert bool(mask[int(y) - top, int(x) - left]) == bool(label)
            assert mask.any() == bool((labels >= 0).any())
    assert sizes == {SMALL, (SMALL[0] // 2, SMALL[1] // 2)}


def learn(name: str, batch: object, folder: Path, model: object = None, steps: int = 25) -> list[float]:
    recipe = RECIPES[name]
    torch.manual_seed(0)
    schedule = Schedule(1.0, rate=2e-3, warm_steps=1, bfloat16=False)
    trainer = Trainer(model or recipe.make(), recipe.loss, schedule, Team(0, 1, folder), "cpu", recipe.trunk)
    if recipe.trunk:
        start_from_detector(trainer.model, recipe.trunk)
    return [trainer.train_step(batch, 0.0)["loss"] for _ in range(steps)]


@pytest.mark.parametrize(("name", "share"), [("instances", 0.6), ("unet", 0.9)])
def test_networks_of_whole_frames_learn(name: str, share: float, samples: Samples, tmp_path: Path) -> None:
    losses = learn(name, make_batch(samples, np.array([0, 1]), np.random.default_rng(0)), tmp_path)
    assert losses[-1] < share * losses[0]


@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_classifiers_learn(name: str, crops: Crops, tmp_path: Path) -> None:
    batch = RECIPES[name].batch(crops, np.arange(len(crops)), np.random.default_rng(0))
    losses = learn(name, batch, tmp_path)
    assert losses[-1] < 0.7 * losses[0]


def test_the_promptable_network_learns(samples: Samples, tmp_path: Path) -> None:
    batch = make_prompt_batch(samples, np.array([0, 1, 0]), np.random.default_rng(1))
    batch = batch._replace(again=torch.tensor([True]))  # both the first question and the refining one
    losses = learn("promptable", batch, tmp_path, ConveyorPromptable(SMALL), steps=40)
    assert losses[-1] < 0.7 * losses[0]


def test_a_training_writes_a_network_that_reads_back(
    crops: Crops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(conveyor_training, "_VALIDATION_FRAMES", 1)
    file = tmp_path / "chunk.npz"
    np.savez(file, crops=np.repeat(crops.images, 16, axis=0), classes=np.repeat(crops.classes, 16))
    path = train_model("resnet", [file], TrainOptions(tmp_path, epochs=1, device="cpu"))
    assert "validation top1" in capsys.readouterr().out
    trained = read_trained(path)
    assert trained.name == "resnet"
    assert trained.training["steps"] == len(crops) * 16 // RECIPES["resnet"].size
    assert not trained.module.training
    assert (tmp_path / "resnet.last.pt").is_file()


def test_other_files_are_no_networks_of_the_demo(tmp_path: Path) -> None:
    state = RECIPES["resnet"].make().state_dict()
    torch.save({"architecture": "vgg", "labels": list(CLASS_NAMES), "state_dict": state}, tmp_path / "a.pt")
    with pytest.raises(ModelFileError, match="is no network of the demo"):
        read_trained(tmp_path / "a.pt")
    torch.save(
        {"architecture": "conveyor_vit", "labels": list(CLASS_NAMES), "state_dict": state}, tmp_path / "b.pt"
    )
    with pytest.raises(ModelFileError, match="the weights are not those of conveyor_vit"):
        read_trained(tmp_path / "b.pt")


def test_the_promptable_network_can_be_halved() -> None:
    torch.manual_seed(0)
    model = ConveyorPromptable(SMALL).eval()
    asked = (
        torch.randn(1, 64, SMALL[0] // 8, SMALL[1] // 8), torch.tensor([[[30.0, 20.0]]]), torch.ones(1, 1),
        torch.zeros(1, 1, *model.decoder.mask_hw), torch.zeros(1),
    )  # fmt: skip
    with torch.no_grad():
        whole, _ = model.decoder(*asked)
        half, _ = model.half().decoder(*(part.half() for part in asked))
        assert model.encoder(torch.rand(1, 3, *SMALL).half()).dtype == torch.float16
    assert half.dtype == torch.float16
    # Float16 has 11 bits: a thousandth of each of a few dozen summands.
    torch.testing.assert_close(half.float(), whole, rtol=0, atol=0.02 * float(whole.abs().max()))
