"""Segmentation networks: of segmentation-models-pytorch in each form their weights come in, and a module of the user's."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
smp = pytest.importorskip(
    "segmentation_models_pytorch", reason="segmentation-models-pytorch is not installed"
)
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
skimage_data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")

import edgevision as ev  # noqa: E402
from edgevision.cli.main import main  # noqa: E402
from edgevision.errors import EdgeVisionError, InputError, ModelFileError  # noqa: E402
from edgevision.export.network import Network  # noqa: E402
from edgevision.export.options import ExportOptions  # noqa: E402
from edgevision.export.random_convolutions import leaves_images, randomize_convolutions  # noqa: E402
from edgevision.export.unet import export_unet, read_unet  # noqa: E402
from edgevision.spec.files import file_sha256  # noqa: E402
from edgevision.tasks.preparation import ImagePreparation  # noqa: E402

# torch's exporter warns of its own internals, and every run of random weights is warned of on purpose.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::edgevision.errors.EdgeVisionWarning"),
]

SIZE_HW = (64, 96)
LABELS = ("background", "bolt", "nut")
# timm's networks for tests: a hundredth of a ResNet-18.
ENCODER = "tu-test_resnet"
SMALL = {"encoder_depth": 3, "decoder_channels": (16, 8, 8)}
PICTURES = ("astronaut", "coffee", "chelsea")


def picture(name: str) -> np.ndarray:
    return np.ascontiguousarray(getattr(skimage_data, name)()[..., ::-1])


def small_unet(classes: int = 3, **options: Any) -> Any:
    network = smp.Unet(ENCODER, encoder_weights=None, classes=classes, **SMALL, **options)
    channels = options.get("in_channels", 3)
    randomize_convolutions(network, leaves_images(1, SIZE_HW)[:, :channels])
    return network


def logits(network: Any, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return (network.parts[0].module if isinstance(network, Network) else network)(images)


def save_folder(folder: Path, network: Any) -> Path:
    network.save_pretrained(folder / "saved")
    return folder / "saved"


def save_weights(folder: Path, content: object) -> Path:
    torch.save(content, folder / "weights.pt")
    return folder / "weights.pt"


FORMS: list[tuple[str, Callable[[Path, Any], Path], dict[str, Any]]] = [
    ("a saved folder", save_folder, {}),
    (
        "a state_dict",
        lambda f, n: save_weights(f, n.state_dict()),
        {"architecture": "unet", "encoder": ENCODER, "build": SMALL},
    ),
    (
        "Lightning's",
        lambda f, n: save_weights(
            f, {"state_dict": {f"model.{k}": v for k, v in n.state_dict().items()} | {"mean": torch.zeros(3)}}
        ),
        {"architecture": "Unet", "encoder": ENCODER, "build": SMALL},
    ),
    ("pickled whole", save_weights, {}),
]


@pytest.mark.parametrize(("save", "arguments"), [row[1:] for row in FORMS], ids=[row[0] for row in FORMS])
def test_each_form_of_the_weights_is_the_same_network(
    tmp_path: Path, save: Callable[[Path, Any], Path], arguments: dict
) -> None:
    wanted = small_unet()
    path = save(tmp_path, wanted)
    if path.is_file() and not arguments and enum.Flag("Flag", "A").A.__reduce_ex__(2)[0] is getattr:
        # Python 3.11.0 to 3.11.3 pickle the network's enums as calls of getattr, which no checkpoint needs.
        with pytest.raises(ModelFileError, match=r"builtins\.getattr"):
            read_unet(path, labels=LABELS, size_hw=SIZE_HW)
        arguments = {"trust": True}
    network = read_unet(path, labels=LABELS, size_hw=SIZE_HW, **arguments)
    images = leaves_images(2, SIZE_HW, seed=5)
    assert torch.equal(logits(network, images), logits(wanted, images))
    spec = network.spec
    assert (spec.task, spec.decoder.name, spec.labels) == ("semantic", "class_logits", LABELS)
    assert spec.source.model == f"Unet {ENCODER}"
    weights = path / "model.safetensors" if path.is_dir() else path
    assert spec.source.weights_sha256 == file_sha256(weights)
    assert not spec.source.random_weights


def test_logits_are_exported_whatever_the_network_ends_with(tmp_path: Path) -> None:
    plain = small_unet()
    ending = small_unet(activation="sigmoid", aux_params={"classes": 4})
    images = leaves_images(1, SIZE_HW, seed=5)
    ending.load_state_dict(plain.state_dict(), strict=False)
    network = read_unet(save_folder(tmp_path, ending), labels=LABELS, size_hw=SIZE_HW)
    assert torch.equal(logits(network, images), logits(plain, images))
    assert any("classification head was left out" in note for note in network.notes)


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize(
    "parameters",
    [
        None,
        {
            "mean": [100.0, 110.0, 120.0],
            "std": [50.0, 60.0, 70.0],
            "input_space": "BGR",
            "input_range": [0, 255],
        },
    ],
    ids=["its encoder's", "BGR 0-255"],
)
def test_preprocessing_is_the_librarys_own(
    parameters: dict | None, resize: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if parameters is not None:
        monkeypatch.setattr(smp.encoders, "get_preprocessing_params", lambda _: parameters)
    options = {"encoder_depth": 3, "decoder_channels": (16, 8, 8)}
    network = read_unet(
        "Unet", encoder=ENCODER, build=options, random=True, classes=2, size_hw=(96, 160), resize=resize
    )
    image = network.spec.inputs[0]
    wanted = parameters or smp.encoders.get_preprocessing_params(ENCODER)
    assert image.mean == tuple(wanted["mean"])
    for name in PICTURES:
        made = np.zeros((1, 3, 96, 160), np.float32)
        ImagePreparation(image).write([picture(name)], lambda _, __: made, 1)  # noqa: B023
        gap = (
            np.abs(network.preprocess(picture(name)) - made)
            * np.reshape(image.std, (1, 3, 1, 1))
            / image.scale
        )
        # OpenCV rounds a resized pixel to a whole one by fixed-point arithmetic of its own.
        assert gap.max() <= 1.01, name


def test_without_the_hub_timms_normalization_is_taken_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(_: str) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(smp.encoders, "get_preprocessing_params", offline)
    build = {"encoder_depth": 3, "decoder_channels": (8, 8, 8)}
    network = read_unet("Unet", encoder="resnet18", build=build, random=True, classes=2, size_hw=SIZE_HW)
    assert network.spec.inputs[0].mean == (0.485, 0.456, 0.406)
    assert any("timm's was taken" in note for note in network.notes)
    with pytest.raises(
        InputError, match="cannot say how pictures for the encoder se_resnet50 are normalized"
    ):
        read_unet("Unet", encoder="se_resnet50", build=build, random=True, classes=2)


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [(("crack",), ("background", "crack")), (("road", "crack"), ("road", "crack"))],
    ids=["the class alone", "both"],
)
def test_one_logit_tells_two_classes_apart(tmp_path: Path, labels: tuple, wanted: tuple) -> None:
    network = read_unet(save_folder(tmp_path, small_unet(classes=1)), labels=labels, size_hw=SIZE_HW)
    assert network.spec.labels == wanted
    assert logits(network, leaves_images(1, SIZE_HW)).shape == (1, 1, *SIZE_HW)


def test_gray_pictures_are_taken_where_the_weights_are_for_them(tmp_path: Path) -> None:
    network = read_unet(save_folder(tmp_path, small_unet(in_channels=1)), labels=LABELS, size_hw=SIZE_HW)
    assert network.spec.inputs[0].color == "gray"
    assert network.parts[0].example[0].shape == (1, 1, *SIZE_HW)


@pytest.mark.slow
def test_a_file_of_any_batch_and_size_labels_pixels_as_pytorch_does(tmp_path: Path) -> None:
    source = save_folder(tmp_path, small_unet())
    frames = [picture("astronaut"), picture("astronaut")[:200], picture("coffee")]
    arguments = {"labels": LABELS, "size_hw": SIZE_HW, "resize": "letterbox", "dynamic_batch": True}
    done = export_unet(
        source, tmp_path / "any.onnx", options=ExportOptions(images=frames), dynamic_size=True, **arguments
    )
    network = read_unet(source, dynamic_size=True, **arguments)
    model = ev.load(done.path)
    assert model.session.inputs[0].shape == (None, 3, None, None)
    # 64x96 holds a square frame as 64x64, one of 200x512 as 37.5x96: 40 rows.
    shapes = [network.preprocess(frame).shape[2:] for frame in frames]
    assert shapes == [(64, 64), (40, 96), (64, 96)]
    results = [model(frame).labels for frame in frames]
    assert [found.shape for found in results] == [frame.shape[:2] for frame in frames]
    wanted = logits(network, torch.from_numpy(network.preprocess(frames[0])))[0].argmax(0).numpy()
    # The square frame is 8 times its map; beside the middle of a cell lie its own logits, but for borders.
    assert (results[0][4::8, 4::8] == wanted).mean() > 0.95
    assert len(np.unique(wanted)) > 1


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["UnetPlusPlus", "FPN", "DeepLabV3Plus"])
def test_other_architectures_export_at_both_precisions(tmp_path: Path, architecture: str) -> None:
    frames = ExportOptions(precisions=("fp32", "fp16"), images=[picture("coffee")])
    build = SMALL if architecture == "UnetPlusPlus" else {}
    done = export_unet(
        architecture,
        tmp_path / "b",
        options=frames,
        encoder=ENCODER,
        build=build,
        random=True,
        classes=3,
        size_hw=SIZE_HW,
    )
    assert done.spec.source.random_weights
    for row in done.parity:
        # float32: sums in another order. float16: 11 bits through some dozens of layers.
        assert row.tensors[0].relative < (1e-4 if row.form == "fp32" else 2e-2)


MODULE = """
import torch

class Net(torch.nn.Module):
    def __init__(self, classes, reply):
        super().__init__()
        self.reply = reply
        self.body = torch.nn.Conv2d(3, classes, 3, padding=1)

    def forward(self, x):
        y = self.body(x)
        return {"out": y, "aux": y} if self.reply == "dict" else (y, x) if self.reply == "tuple" else y

def make(classes=3, reply="tensor"):
    return Net(classes, reply)

def fail():
    raise RuntimeError("out of paper")

def nothing():
    return 3
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE, encoding="ascii")
    monkeypatch.chdir(tmp_path)
    return name


@pytest.mark.parametrize("reply", ["tensor", "tuple", "dict"])
def test_a_module_of_the_users_own_is_built_and_loaded(tmp_path: Path, own_module: str, reply: str) -> None:
    torch.manual_seed(0)
    body = torch.nn.Conv2d(3, 3, 3, padding=1)
    path = save_weights(tmp_path, {f"body.{name}": value for name, value in body.state_dict().items()})
    network = read_unet(
        path,
        module=f"{own_module}:make",
        build={"reply": reply},
        labels=LABELS,
        size_hw=SIZE_HW,
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.2, 0.2),
    )
    images = leaves_images(1, SIZE_HW)
    assert torch.equal(logits(network, images), logits(body, images))
    assert network.spec.inputs[0].mean == (0.5, 0.4, 0.3)
    assert network.spec.source.model == f"{own_module}:make"


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        ("", "must be package.module:factory"),
        (":none", "has no none"),
        (":fail", "cannot be called with {}: out of paper"),
        (":nothing", "must return a torch.nn.Module, got int"),
    ],
    ids=["no factory", "unknown factory", "a factory that fails", "no module"],
)
def test_a_factory_that_gives_no_module_is_told_apart(
    tmp_path: Path, own_module: str, factory: str, text: str
) -> None:
    path = save_weights(tmp_path, {"a": torch.zeros(1)})
    with pytest.raises(InputError, match=text):
        read_unet(path, module=own_module + factory, labels=LABELS)


BAD: list[tuple[str, dict[str, Any], type[EdgeVisionError], str]] = [
    ("no labels", {"labels": None}, InputError, "class names for its 3 classes"),
    ("too few labels", {"labels": LABELS[:2]}, InputError, "has 3 classes and got 2 labels"),
    ("no architecture", {"architecture": None}, InputError, "none of a classic U-Net; say what it is of"),
    (
        "unknown architecture",
        {"architecture": "WNet"},
        InputError,
        "'WNet'; segmentation-models-pytorch has Unet, ",
    ),
    ("unknown encoder", {"encoder": "resnet19"}, InputError, "Wrong encoder name `resnet19`"),
    (
        "another encoder",
        {"encoder": "resnet18"},
        ModelFileError,
        "does not fit Unet resnet18: it lacks encoder.conv1",
    ),
    ("unknown option", {"build": {"colour": 1}}, InputError, "cannot be built with"),
    ("off the stride", {"size_hw": (60, 96)}, InputError, r"multiples of 8 for this network, got \(60, 96\)"),
    ("stretched, dynamic", {"dynamic_size": True}, InputError, "a dynamic size needs resize='letterbox'"),
    ("unknown resize", {"resize": "crop"}, InputError, "one of stretch, letterbox, got 'crop'"),
    ("a mean of two", {"mean": (0.5, 0.5)}, InputError, "three finite numbers"),
    ("a zero std", {"std": (0, 1, 1)}, InputError, "three finite numbers"),
]


@pytest.mark.parametrize(("change", "error", "text"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_wrong_is_said(tmp_path: Path, change: dict, error: type[EdgeVisionError], text: str) -> None:
    path = save_weights(tmp_path, small_unet().state_dict())
    arguments = {"architecture": "Unet", "encoder": ENCODER, "build": SMALL, "labels": LABELS}
    with pytest.raises(error, match=text):
        read_unet(path, **{"size_hw": SIZE_HW, **arguments, **change})


def test_random_weights_need_a_number_of_classes_and_follow_their_seed() -> None:
    arguments = {"encoder": ENCODER, "build": SMALL, "random": True, "size_hw": SIZE_HW}
    with pytest.raises(InputError, match="pass labels"):
        read_unet("Unet", **arguments)
    images = leaves_images(1, SIZE_HW)
    one, same, other = (
        logits(read_unet("Unet", labels=LABELS, seed=s, **arguments), images) for s in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("config", "files", "text"),
    [
        ("{", ("model.safetensors",), "is not JSON"),
        ("{}", ("model.safetensors",), "names no _model_class"),
        (json.dumps({"_model_class": "Unet"}), (), "holds no weights; expected one of model.safetensors"),
        (None, (), "config.json does not exist"),
    ],
    ids=["broken", "of something else", "no weights", "no config"],
)
def test_a_folder_that_is_no_saved_network_says_why(
    tmp_path: Path, config: str | None, files: tuple, text: str
) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    for name in files:
        (folder / name).write_bytes(b"x")
    if config is not None:
        (folder / "config.json").write_text(config, encoding="ascii")
    with pytest.raises(ModelFileError, match=text):
        read_unet(folder, labels=LABELS)


def test_a_name_on_the_hub_needs_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(ModelFileError, match=r"nobody/unet .* cannot be downloaded \(no route to host\)"):
        read_unet("nobody/unet", labels=LABELS)


def test_a_pickled_module_of_another_library_is_refused(tmp_path: Path) -> None:
    path = save_weights(tmp_path, torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1)))
    with pytest.raises(ModelFileError, match="holds a Sequential, no network of segmentation-models-pytorch"):
        read_unet(path, labels=LABELS)


@pytest.mark.slow
def test_the_command_exports_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = save_folder(tmp_path, small_unet())
    (tmp_path / "names.txt").write_text("\n".join(LABELS), encoding="ascii")
    command = ["export", "unet", str(source), "--labels", str(tmp_path / "names.txt"), "--size", "64x96"]
    assert main(command) == 0
    assert "wrote    saved_bundle" in capsys.readouterr().out
    assert ev.load("saved_bundle").labels == LABELS
