"""Vision transformers: classifiers and embedders of the three libraries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("torchvision", reason="torchvision is not installed")
timm = pytest.importorskip("timm", reason="timm is not installed")
transformers = pytest.importorskip("transformers", "5", reason="transformers 5 is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import tiny_transformers  # noqa: E402

import edgevision as ev  # noqa: E402
from edgevision.cli.main import main  # noqa: E402
from edgevision.errors import InputError  # noqa: E402
from edgevision.export.from_timm import open_timm  # noqa: E402
from edgevision.export.network import Network  # noqa: E402
from edgevision.export.random_weights import randomize  # noqa: E402
from edgevision.export.vit import export_vit, read_vit  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

FRAME = np.random.default_rng(0).integers(0, 256, (150, 210, 3), np.uint8)


def outputs_of(network: Network) -> tuple[torch.Tensor, torch.Tensor]:
    """(pixels, what the traced module gives for them) of FRAME."""
    pixels = torch.from_numpy(network.preprocess(FRAME))
    with torch.no_grad():
        return pixels, network.parts[0].module(pixels)


@pytest.mark.parametrize("kind", ["vit", "deit", "swin"])
def test_a_fine_tuned_head_keeps_its_id2label(tmp_path: Path, kind: str) -> None:
    model = tiny_transformers.save(kind, tmp_path / "model")
    network = read_vit(tmp_path / "model")
    assert (network.spec.task, network.spec.labels) == ("classify", ("ant", "bee", "cat"))
    pixels, found = outputs_of(network)
    with torch.no_grad():
        expected = model(pixel_values=pixels).logits
    # Eager attention in place of the fused one.
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_dinov2_embeds_by_its_pooled_token_at_the_size_of_its_processor(tmp_path: Path) -> None:
    model = tiny_transformers.save("dinov2", tmp_path / "model")
    network = read_vit(tmp_path / "model")
    assert network.spec.task == "embed"
    assert network.spec.inputs[0].size_hw == (32, 32)
    pixels, found = outputs_of(network)
    with torch.no_grad():
        expected = model(pixel_values=pixels).pooler_output
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    kept = [value.shape for name, value in network.parts[0].module.named_parameters() if "position" in name]
    assert kept == [(1, 4 * 4 + 1, 32)], "positions are interpolated once, not in the graph"


def test_timm_embeds_what_its_head_is_given() -> None:
    network = read_vit("test_vit", task="embed", random=True)
    module = randomize(open_timm("test_vit").build(None), (160, 160), seed=0)
    pixels, found = outputs_of(network)
    with torch.no_grad():
        expected = module.forward_head(module.forward_features(pixels), pre_logits=True)
    assert torch.equal(found, expected)


def test_timms_dinov2_has_no_head_and_embeds() -> None:
    spec = open_timm("vit_small_patch14_dinov2", (28, 28))
    assert spec.classes == 0
    network = read_vit("vit_small_patch14_dinov2", size_hw=(28, 28), random=True)
    assert network.spec.task == "embed"
    assert outputs_of(network)[1].shape == (1, 384)
    with pytest.raises(InputError, match="has no classifier; export it to embed"):
        read_vit("vit_small_patch14_dinov2", size_hw=(28, 28), random=True, task="classify")


def test_a_users_weights_of_another_size_and_number_of_classes(tmp_path: Path) -> None:
    module = randomize(open_timm("test_vit", (64, 64)).build(3), (64, 64), seed=2)
    torch.save(module.state_dict(), tmp_path / "mine.pt")
    network = read_vit(tmp_path / "mine.pt", model="test_vit", size_hw=(64, 64), labels=list("abc"))
    pixels, found = outputs_of(network)
    with torch.no_grad():
        assert torch.equal(found, module(pixels))
    assert "Preprocessing is that of timm's own weights of test_vit." in network.notes


@pytest.mark.slow
def test_an_embedder_is_exported_and_embeds(tmp_path: Path) -> None:
    tiny_transformers.save("dinov2", tmp_path / "model")
    done = export_vit(tmp_path / "model", tmp_path / "out", dynamic_batch=True)
    network = read_vit(tmp_path / "model")
    model = ev.load(done.path)
    one, other, same = model([FRAME, FRAME[:, ::-1], FRAME])
    # Another order of float32 sums, and the processor's own resize, which rounds pixels otherwise.
    np.testing.assert_allclose(one.vector, outputs_of(network)[1][0], atol=0.02)
    assert one.similarity(same) == pytest.approx(1, abs=1e-6)
    assert one.similarity(other) < 0.999


@pytest.mark.slow
def test_the_command_exports_a_classifier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_transformers.save("vit", tmp_path / "model")
    target = tmp_path / "vit.onnx"
    assert main(["export", "vit", str(tmp_path / "model"), "--output", str(target)]) == 0
    assert f"wrote    {target}" in capsys.readouterr().out
    assert ev.load(target)(FRAME).top(1).names[0] in ("ant", "bee", "cat")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"task": "segment"}, "task must be 'classify' or 'embed', got 'segment'"),
        ({"task": "embed"}, "whose pooled features its weights do not hold"),
        ({"size_hw": (64, 64)}, "makes 32x32, got the size 64x64"),
        ({"labels": ("a", "b")}, "the labels given names 2 classes and the network has 3"),
        ({"labels": "abc"}, "labels must be class names, 'default' or None, got the text 'abc'"),
        ({"library": "keras"}, "library must be one of torchvision, timm, transformers"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_bad_input_is_refused(tmp_path: Path, arguments: dict, text: str) -> None:
    tiny_transformers.save("vit", tmp_path / "model")
    with pytest.raises(InputError, match=text):
        read_vit(tmp_path / "model", **arguments)


def test_a_network_that_does_not_take_its_processors_size_is_refused(tmp_path: Path) -> None:
    tiny_transformers.save("vit", tmp_path / "model")
    processor = transformers.ViTImageProcessor(size={"height": 40, "width": 40})
    processor.save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match="does not take pictures of 40x40"):
        read_vit(tmp_path / "model")
