"""Ultralytics' networks: every kind of head is exported with its spec, from each form that its weights come in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("ultralytics", reason="ultralytics is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
skimage_data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")

from tiny_yolos import write_tiny_yolo  # noqa: E402

import edgevision as ev  # noqa: E402
from edgevision.errors import InputError, ModelFileError  # noqa: E402
from edgevision.export.options import ExportOptions  # noqa: E402
from edgevision.export.pipeline import export_network  # noqa: E402
from edgevision.export.precision import half_part  # noqa: E402
from edgevision.export.ultralytics_library import import_ultralytics  # noqa: E402
from edgevision.export.ultralytics_models import build_model, build_random_model  # noqa: E402
from edgevision.export.yolo import read_yolo  # noqa: E402
from edgevision.spec.files import file_sha256  # noqa: E402
from edgevision.tasks.preparation import ImagePreparation  # noqa: E402

# torch's exporter and Ultralytics' library warn of their own internals.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)

SIZE_HW = (64, 96)
ANCHORS = 8 * 12 + 4 * 6 + 2 * 3
PICTURES = ("astronaut", "coffee", "chelsea", "rocket")
LABELS = ("bolt", "nut", "washer")


def picture(name: str) -> np.ndarray:
    return np.ascontiguousarray(getattr(skimage_data, name)()[..., ::-1])


def run(network: Any, images: torch.Tensor) -> list[torch.Tensor]:
    with torch.no_grad():
        found = network.parts[0].module(images)
    return [found] if isinstance(found, torch.Tensor) else list(found)


def pixels(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((1, 3, *SIZE_HW), np.float32))


HEADS = [
    # kind, task, decoder, its parameters, shapes of the outputs
    ("detect", "detect", "yolo", {}, [(1, 7, ANCHORS)]),
    ("segment", "instances", "yolo", {"masks": 4}, [(1, 11, ANCHORS), (1, 4, 16, 24)]),
    ("pose", "pose", "yolo", {"keypoints": 5, "keypoint_dims": 3}, [(1, 22, ANCHORS)]),
    ("obb", "oriented", "yolo", {"rotated": True}, [(1, 8, ANCHORS)]),
    ("v10", "detect", "yolo_end2end", {}, [(1, ANCHORS, 6)]),
    ("detect26", "detect", "yolo_end2end", {}, [(1, ANCHORS, 6)]),
    ("segment26", "instances", "yolo_end2end", {"masks": 4}, [(1, ANCHORS, 10), (1, 4, 16, 24)]),
    ("pose26", "pose", "yolo_end2end", {"keypoints": 5, "keypoint_dims": 3}, [(1, ANCHORS, 21)]),
    ("obb26", "oriented", "yolo_end2end", {"rotated": True}, [(1, ANCHORS, 7)]),
    ("classify", "classify", "scores", {"activation": "none"}, [(1, 3)]),
]


@pytest.mark.parametrize(
    ("kind", "task", "decoder", "params", "shapes"), HEADS, ids=[row[0] for row in HEADS]
)
def test_each_head_has_its_spec_and_outputs(
    tmp_path: Path, kind: str, task: str, decoder: str, params: dict, shapes: list
) -> None:
    network = read_yolo(write_tiny_yolo(tmp_path, kind), random=True, size_hw=SIZE_HW)
    spec, part = network.spec, network.parts[0]
    assert (spec.task, spec.decoder.name) == (task, decoder)
    assert {key: value for key, value in spec.decoder.params.items() if key != "nms_class_offset"} == params
    assert spec.source.random_weights
    assert spec.inputs[0].size_hw == SIZE_HW
    assert part.selected == (frozenset({"output0"}) if decoder == "yolo_end2end" else frozenset())
    outputs = run(network, pixels())
    assert [tuple(output.shape) for output in outputs] == shapes
    assert len(part.outputs) == len(shapes)
    assert not torch.equal(outputs[0], run(network, pixels(1))[0]), "the outputs depend on the picture"


@pytest.mark.parametrize("kind", ["v10", "detect26"])
def test_the_one_to_many_head_is_there_on_request(tmp_path: Path, kind: str) -> None:
    network = read_yolo(write_tiny_yolo(tmp_path, kind), random=True, size_hw=SIZE_HW, end2end=False)
    assert network.spec.decoder.name == "yolo"
    assert network.parts[0].selected == frozenset()
    assert run(network, pixels())[0].shape == (1, 7, ANCHORS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["segment26", "pose", "classify"])
def test_the_files_compute_what_pytorch_computes_at_both_precisions(tmp_path: Path, kind: str) -> None:
    network = read_yolo(write_tiny_yolo(tmp_path, kind), random=True, size_hw=SIZE_HW)
    frames = [picture("astronaut"), picture("coffee")]
    done = export_network(network, tmp_path / kind, ExportOptions(precisions=("fp32", "fp16"), images=frames))
    assert {row.form for row in done.parity} == {"fp32", "fp16"}
    for row in done.parity:
        # float32: sums in another order. float16 has 11 bits, of a network a dozen layers deep.
        limit = 1e-5 if row.form == "fp32" else 1e-2
        assert max(tensor.relative for tensor in row.tensors) < limit


@pytest.mark.slow
def test_a_dynamic_batch_gives_each_image_its_own_result(tmp_path: Path) -> None:
    network = read_yolo(write_tiny_yolo(tmp_path, "detect"), random=True, size_hw=SIZE_HW, dynamic_batch=True)
    frames = [picture(name) for name in PICTURES[:3]]
    model = ev.load(export_network(network, tmp_path / "any.onnx", ExportOptions(images=frames)).path)
    assert model.session.inputs[0].shape == (None, 3, *SIZE_HW)
    together = model(frames, confidence=0.01)
    for frame, found in zip(frames, together, strict=True):
        alone = model(frame, confidence=0.01)
        assert len(alone) > 0
        # One batch may be summed in another order than the other.
        np.testing.assert_allclose(found.xyxy, alone.xyxy, atol=1e-2)


@pytest.mark.parametrize(
    ("kind", "rows"),
    # Centres of boxes; then x of the first keypoint, behind the box and three classes.
    [("detect", [0, 1]), ("detect26", [0, 1]), ("obb", [0, 1]), ("pose", [7]), ("pose26", [7])],
    ids=["boxes", "boxes of 26", "rotated boxes", "keypoints", "keypoints of 26"],
)
def test_at_float16_coordinates_are_decoded_at_float32(tmp_path: Path, kind: str, rows: list[int]) -> None:
    network = read_yolo(write_tiny_yolo(tmp_path, kind), random=True, size_hw=(640, 640), end2end=False)
    with torch.no_grad():
        found = half_part(network.parts[0]).module(torch.zeros(1, 3, 640, 640))
    coordinates = (found if isinstance(found, torch.Tensor) else found[0])[0, rows]
    beyond = coordinates[coordinates > 512]
    # There float16 has whole and half pixels only.
    assert len(beyond) > 100
    assert ((beyond * 2).round() / 2 - beyond).abs().max() > 0.01


@pytest.mark.slow
def test_a_dynamic_size_follows_the_frame_and_finds_the_same(tmp_path: Path) -> None:
    arguments = {"random": True, "size_hw": (128, 192), "dynamic_size": True}
    network = read_yolo(write_tiny_yolo(tmp_path, "pose"), **arguments)
    frames = [picture("astronaut"), picture("coffee"), picture("astronaut")[:130]]
    shapes = [network.preprocess(frame).shape[2:] for frame in frames]
    assert shapes == [(128, 128), (128, 192), (64, 192)]
    model = ev.load(export_network(network, tmp_path / "any.onnx", ExportOptions(images=frames)).path)
    assert model.session.inputs[0].shape == (1, 3, None, None)
    for frame in frames:
        made: list[np.ndarray] = []

        def buffer(_: str, shape: tuple[int, ...], made: list[np.ndarray] = made) -> np.ndarray:
            made.append(np.zeros(shape, np.float32))
            return made[0]

        ImagePreparation(network.spec.inputs[0]).write([frame], buffer, 1)
        # OpenCV rounds a resized pixel to a whole one in its own way.
        assert np.abs(network.preprocess(frame) - made[0]).max() * 255 <= 1.01
        assert model(frame).image_hw == frame.shape[:2]


@pytest.mark.parametrize(
    ("kind", "text"),
    [("classify", "a classifier's frames are cropped"), ("detect26", "pass end2end=False")],
)
def test_a_dynamic_size_is_refused_where_it_cannot_be(tmp_path: Path, kind: str, text: str) -> None:
    with pytest.raises(InputError, match=text):
        read_yolo(write_tiny_yolo(tmp_path, kind), random=True, size_hw=SIZE_HW, dynamic_size=True)


@pytest.mark.parametrize("kind", ["detect", "classify"])
@pytest.mark.parametrize("size_hw", [(320, 320), (192, 320)], ids=["square", "wide"])
def test_preprocessing_is_the_librarys_own(tmp_path: Path, kind: str, size_hw: tuple[int, int]) -> None:
    network = read_yolo(write_tiny_yolo(tmp_path, kind), random=True, size_hw=size_hw)
    for name in PICTURES:
        frame = picture(name)
        made = np.zeros((1, 3, *size_hw), np.float32)
        ImagePreparation(network.spec.inputs[0]).write([frame], lambda _, __: made, 1)  # noqa: B023
        gap = np.abs(network.preprocess(frame) - made).max() * 255
        # OpenCV and Pillow round a resized pixel to a whole one in their own ways.
        assert gap <= 1.01, name


def test_a_trainers_checkpoint_brings_its_size_and_names(tmp_path: Path) -> None:
    module = build_random_model(write_tiny_yolo(tmp_path, "detect"), labels=LABELS)
    path = tmp_path / "best.pt"
    torch.save({"model": module, "ema": None, "train_args": {"imgsz": 96}, "epoch": -1}, path)
    network = read_yolo(path)
    assert network.spec.inputs[0].size_hw == (96, 96)
    assert network.spec.labels == LABELS
    assert network.spec.source.weights_sha256 == file_sha256(path)
    assert network.spec.source.model == "best"
    assert not network.spec.source.random_weights


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: weights,
        lambda weights: {"state_dict": weights, "optimizer": {"lr": 0.1}},
        lambda weights: {f"module.{name}": value for name, value in weights.items()},
        lambda weights: {"model": {f"model.{name}": value for name, value in weights.items()}},
    ],
    ids=["plain", "in a training loop's dict", "DataParallel", "of the library's wrapper"],
)
def test_a_state_dict_with_a_name_and_labels_is_the_network(tmp_path: Path, wrap: Any) -> None:
    name = write_tiny_yolo(tmp_path, "pose")
    weights = build_random_model(name, labels=LABELS, keypoints=(7, 2)).state_dict()
    torch.save(wrap(weights), tmp_path / "weights.pt")
    wanted = read_yolo(name, random=True, labels=LABELS, keypoints=(7, 2), size_hw=SIZE_HW)
    network = read_yolo(tmp_path / "weights.pt", model=name, labels=LABELS, keypoints=(7, 2), size_hw=SIZE_HW)
    assert torch.equal(run(network, pixels())[0], run(wanted, pixels())[0])
    assert network.spec.labels == LABELS
    assert network.spec.decoder.params["keypoints"] == 7
    assert not network.spec.source.random_weights


BAD = [
    # weights of, arguments, error, what it says
    ("detect", {}, InputError, "does not say which network it belongs to; pass Ultralytics' name"),
    ("detect", {"model": "KIND"}, InputError, "class names; pass them"),
    ("detect", {"model": "KIND", "labels": LABELS[:2]}, ModelFileError, "of 2 classes: it differs in"),
    (
        "classify",
        {"model": "detect", "labels": LABELS},
        ModelFileError,
        "it lacks model.5.cv2.0.0.conv.weight",
    ),
    ("detect", {"model": "yolo99z", "labels": LABELS}, InputError, "knows no network 'yolo99z'"),
]


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "text"),
    BAD,
    ids=["no name", "no labels", "other classes", "other family", "unknown name"],
)
def test_a_state_dict_that_cannot_be_read_says_what_to_do(
    tmp_path: Path, kind: str, arguments: dict, error: type[Exception], text: str
) -> None:
    name = write_tiny_yolo(tmp_path, kind)
    torch.save(build_model(name).state_dict(), tmp_path / "weights.pt")
    if arguments.get("model") == "KIND":
        arguments = {**arguments, "model": name}
    elif arguments.get("model") == "detect":
        arguments = {**arguments, "model": write_tiny_yolo(tmp_path, "detect")}
    with pytest.raises(error, match=text):
        read_yolo(tmp_path / "weights.pt", **arguments)


def test_random_weights_follow_their_seed(tmp_path: Path) -> None:
    name = write_tiny_yolo(tmp_path, "detect")
    first, same, other = (
        run(read_yolo(name, random=True, size_hw=SIZE_HW, seed=s), pixels()) for s in (1, 1, 2)
    )
    assert torch.equal(first[0], same[0])
    assert not torch.equal(first[0], other[0])


def test_a_size_off_the_stride_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"multiples of the network's stride 32, got \(100, 100\)"):
        read_yolo(write_tiny_yolo(tmp_path, "detect"), random=True, size_hw=(100, 100))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("yolo11n.pt", "is not here and cannot be downloaded"),
        ("nobody.pt", "Ultralytics publishes none of that name"),
    ],
    ids=["published", "unknown"],
)
def test_a_checkpoint_by_name_needs_a_network(
    tmp_path: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_ultralytics("this test")
    from ultralytics.utils import downloads

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(downloads, "safe_download", refuse)
    with pytest.raises(ModelFileError, match=text):
        read_yolo(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_importing_the_library_leaves_home_and_environment_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    program = (
        "import os\n"
        "from edgevision.export.ultralytics_library import import_ultralytics\n"
        "import_ultralytics('this test')\n"
        "import ultralytics.utils as utils\n"
        "changed = [name for name in os.environ if name.startswith('YOLO_')]\n"
        "assert not changed, changed\n"
        "assert not utils.ONLINE and not utils.AUTOINSTALL\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("YOLO_")}
    environment |= {"HOME": str(home), "TMPDIR": str(tmp_path), "XDG_CONFIG_HOME": str(home / ".config")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    # matplotlib keeps a font cache of its own; it is no business of this library's settings.
    assert [str(path) for path in home.rglob("*") if "ltralytics" in str(path)] == []
    assert [path for path in tmp_path.iterdir() if path.name.startswith("edgevision-")] == []
