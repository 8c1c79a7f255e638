"""Reading promptable networks: conversions beside the libraries' own modules, specs, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from tiny_sams import SIZE, mobile_sam_state, sam2_state, save_sam2, segment_anything_sam  # noqa: E402

from edgevision.cli.main import main  # noqa: E402
from edgevision.errors import InputError, ModelFileError  # noqa: E402
from edgevision.export import sam2_weights, sam_sources, sam_weights  # noqa: E402
from edgevision.export.golden import prepare_frame  # noqa: E402
from edgevision.export.network import Network  # noqa: E402
from edgevision.export.sam import export_sam, read_sam  # noqa: E402
from edgevision.export.sam_decoder import PromptDecoder  # noqa: E402
from edgevision.export.sam_sources import SAM_NAMES, random_sam  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

LOW = SIZE // 4
POINTS = [[30.0, 40.0], [90.0, 100.0]]
CORNERS = [[20.0, 30.0], [100.0, 90.0]]
PADDING = [0.0, 0.0]
# Sums in another order: 1e-6 of values up to 20.
CLOSE = {"rtol": 0, "atol": 1e-4}


def blob() -> Any:
    y, x = torch.meshgrid(torch.arange(LOW), torch.arange(LOW), indexing="ij")
    return (6 - torch.hypot(y - 12.0, x - 15.0))[None, None]


def ask(decoder: Any, embeddings: Any, coords: Any, labels: Any, mask: Any = None) -> tuple[Any, Any]:
    given = torch.zeros(1, 1, LOW, LOW) if mask is None else mask
    with torch.no_grad():
        return decoder(
            *embeddings,
            torch.tensor([coords]),
            torch.tensor([labels]),
            given,
            torch.tensor([float(mask is not None)]),
        )


def decoder_of(network: Network) -> Any:
    return network.parts[1].module


def encode(network: Network, image: Any) -> tuple[Any, ...]:
    with torch.no_grad():
        found = network.parts[0].module(image)
    return found if isinstance(found, tuple) else (found,)


@pytest.fixture(scope="module")
def original() -> Any:
    pytest.importorskip("segment_anything", reason="segment_anything is not installed")
    return segment_anything_sam()


@pytest.fixture(scope="module")
def sam(original: Any, tmp_path_factory: pytest.TempPathFactory) -> Network:
    path = tmp_path_factory.mktemp("sam") / "sam_vit_tiny.pth"
    torch.save(original.state_dict(), path)
    return read_sam(path)


@pytest.fixture(scope="module")
def sam2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Network]:
    folder = tmp_path_factory.mktemp("sam2") / "sam2-tiny"
    return save_sam2(folder), read_sam(folder)


def test_a_segment_anything_encoder_gives_the_same_embeddings(original: Any, sam: Network) -> None:
    image = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = original.image_encoder(image)
    torch.testing.assert_close(encode(sam, image)[0], wanted, **CLOSE)


@pytest.mark.parametrize(
    ("points", "labels", "box", "mask"),
    [
        (POINTS[:1], [1.0], None, False),
        (POINTS, [1.0, 0.0], None, False),
        (None, None, CORNERS, False),
        (POINTS, [0.0, 1.0], CORNERS, False),
        (POINTS[:1], [1.0], None, True),
    ],
    ids=["point", "two points", "box", "points and box", "point and mask"],
)
def test_a_segment_anything_decoder_gives_all_its_masks(
    original: Any, sam: Network, points: Any, labels: Any, box: Any, mask: bool
) -> None:
    embeddings = torch.randn(1, 32, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        sparse, dense = original.prompt_encoder(
            None if points is None else (torch.tensor([points]), torch.tensor([labels])),
            None if box is None else torch.tensor(box).reshape(1, 4),
            blob() if mask else None,
        )
        positions = original.prompt_encoder.get_dense_pe()
        wanted = [original.mask_decoder(embeddings, positions, sparse, dense, many) for many in (False, True)]
    coords = [*(points or []), *(box or []), *([] if box else [PADDING])]
    kinds = [*(labels or []), *([2.0, 3.0] if box else [-1.0])]
    masks, iou = ask(decoder_of(sam), (embeddings,), coords, kinds, blob() if mask else None)
    torch.testing.assert_close(masks, torch.cat([one for one, _ in wanted], 1), **CLOSE)
    torch.testing.assert_close(iou, torch.cat([one for _, one in wanted], 1), **CLOSE)


@pytest.mark.parametrize("many", [False, True], ids=["single", "candidates"])
def test_a_sam2_gives_what_transformers_gives(sam2: tuple[Any, Network], many: bool) -> None:
    model, network = sam2
    image = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    decides = model.mask_decoder.dynamic_multimask_via_stability
    model.mask_decoder.dynamic_multimask_via_stability = False  # the runtime's to decide
    try:
        with torch.no_grad():
            wanted = model(
                pixel_values=image,
                input_points=torch.tensor([[POINTS]]),
                input_labels=torch.tensor([[[1, 0]]]),
                input_boxes=torch.tensor(CORNERS).reshape(1, 1, 4),
                input_masks=blob(),
                multimask_output=many,
            )
    finally:
        model.mask_decoder.dynamic_multimask_via_stability = decides
    embeddings = encode(network, image)
    masks, iou = ask(
        decoder_of(network), embeddings, [*POINTS, *CORNERS, PADDING], [1.0, 0.0, 2.0, 3.0, -1.0], blob()
    )
    kept = slice(1, None) if many else slice(0, 1)
    torch.testing.assert_close(masks[:, kept], wanted.pred_masks[0], **CLOSE)
    torch.testing.assert_close(iou[:, kept], wanted.iou_scores[0], **CLOSE)


def test_several_prompts_are_answered_as_each_alone(sam2: tuple[Any, Network]) -> None:
    network = sam2[1]
    embeddings = encode(network, torch.zeros(1, 3, SIZE, SIZE))
    coords, labels = [[*POINTS, PADDING], [*CORNERS, PADDING]], [[1.0, 0.0, -1.0], [2.0, 3.0, -1.0]]
    mask = torch.cat([torch.zeros(1, 1, LOW, LOW), blob()])
    with torch.no_grad():
        masks, iou = decoder_of(network)(
            *embeddings, torch.tensor(coords), torch.tensor(labels), mask, torch.tensor([0.0, 1.0])
        )
    for index in range(2):
        given = mask[index : index + 1] if index else None
        alone = ask(decoder_of(network), embeddings, coords[index], labels[index], given)
        torch.testing.assert_close(masks[index : index + 1], alone[0], **CLOSE)
        torch.testing.assert_close(iou[index : index + 1], alone[1], **CLOSE)


def test_a_folder_of_transformers_sam_is_as_its_checkpoint(
    original: Any, sam: Network, tmp_path: Path
) -> None:
    from transformers import SamImageProcessor

    sam_weights.sam_from(original.state_dict(), "sam.pth").save_pretrained(tmp_path)
    side = {"height": SIZE, "width": SIZE}
    SamImageProcessor(size={"longest_edge": SIZE}, pad_size=side).save_pretrained(tmp_path)
    network = read_sam(tmp_path)
    assert network.spec.source.framework == "transformers"
    assert network.spec.source.weights_sha256
    assert (network.spec.inputs, network.spec.decoder) == (sam.spec.inputs, sam.spec.decoder)
    for part, other in zip(network.parts, sam.parts, strict=True):
        wanted = other.module.state_dict()
        assert all(torch.equal(value, wanted[name]) for name, value in part.module.state_dict().items())
        assert (part.inputs, part.outputs) == (other.inputs, other.outputs)


def test_the_prompt_encoder_alone_tells_the_images_positions(original: Any) -> None:
    model = sam_weights.sam_from(original.state_dict(), "sam.pth")
    positions = PromptDecoder(model.prompt_encoder, model.mask_decoder).image_positions
    torch.testing.assert_close(positions, original.prompt_encoder.get_dense_pe(), **CLOSE)
    assert not torch.allclose(positions, positions.transpose(2, 3), atol=0.1)


def test_padding_may_lie_anywhere(sam: Network) -> None:
    embeddings = torch.randn(1, 32, 8, 8, generator=torch.Generator().manual_seed(2))
    wanted = ask(decoder_of(sam), (embeddings,), [POINTS[0], PADDING], [1.0, -1.0])[0]
    found = ask(decoder_of(sam), (embeddings,), [POINTS[0], [float("nan"), 9.0]], [1.0, -1.0])[0]
    assert torch.equal(found, wanted)


def test_the_half_decoder_keeps_positions_apart(sam: Network) -> None:
    decoder: PromptDecoder = decoder_of(sam)
    half = decoder.half_copy()
    assert half.layers.iou_token.weight.dtype == torch.float16
    assert half.frequencies.dtype == torch.float32
    embeddings = torch.randn(1, 32, 8, 8, generator=torch.Generator().manual_seed(2))
    wanted = ask(decoder, (embeddings,), [POINTS[0], PADDING], [1.0, -1.0], blob())
    found = ask(half, (embeddings,), [POINTS[0], PADDING], [1.0, -1.0], blob())
    for want, have in zip(wanted, found, strict=True):
        assert have.dtype == torch.float32
        assert (want - have).abs().max() < 0.01 * want.abs().max()  # 11 bits, tens of layers
    assert decoder.layers.iou_token.weight.dtype == torch.float32, "the original stays as it is"


def test_mobile_sams_weights_find_their_places(tmp_path: Path) -> None:
    parts, state = mobile_sam_state()
    torch.save(state, tmp_path / "mobile_sam.pt")
    network = read_sam(tmp_path / "mobile_sam.pt")
    assert network.spec.source.framework == "mobile-sam"
    image = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(4))
    embeddings = encode(network, image)
    with torch.no_grad():
        assert torch.equal(embeddings[0], parts[0](image))
    assert embeddings[0].shape == (1, 32, 16, 16), "the last stage does not halve"
    wanted = PromptDecoder(*parts[1:]).state_dict()
    for name, value in decoder_of(network).state_dict().items():
        assert torch.equal(value, wanted[name]), name


def test_sam2s_own_weights_find_their_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = sam2_weights.Hiera(16, 1, (1, 1, 2, 1), (3,), (4, 2, 4, 2))
    monkeypatch.setattr(sam2_weights, "HIERAS", {"mini": small})
    model, state = sam2_state(small)
    torch.save({"model": state}, tmp_path / "sam2_hiera_mini.pt")
    modules = sam_sources.open_sam(tmp_path / "sam2_hiera_mini.pt")
    assert modules.source.framework == "sam2"
    for prefix, module in (
        ("prompt_encoder.", modules.prompt_encoder),
        ("mask_decoder.", modules.mask_decoder),
    ):
        for name, value in module.state_dict().items():
            assert torch.equal(value, model.state_dict()[prefix + name]), name
    vision = modules.encoder.vision_encoder.state_dict()
    assert all(torch.equal(value, model.vision_encoder.state_dict()[name]) for name, value in vision.items())
    assert torch.equal(modules.encoder.no_memory.flatten(), model.no_memory_embedding.flatten())


def test_segment_anythings_spec_and_preprocessing(original: Any, sam: Network) -> None:
    from segment_anything.utils.transforms import ResizeLongestSide

    spec = sam.spec
    assert (spec.task, spec.decoder.name, spec.decoder.params) == ("promptable", "sam", {"via_canvas": True})
    assert spec.source.framework == "segment-anything"
    assert [part.role for part in sam.parts] == ["model", "decoder"]
    assert sam.parts[1].precisions == ("fp32", "fp16")
    frame = picture()
    resized = ResizeLongestSide(SIZE).apply_image(frame[:, :, ::-1])
    wanted = original.preprocess(torch.from_numpy(resized.copy()).permute(2, 0, 1)[None]).numpy()
    ours = prepare_frame(spec, frame)[0]["images"]
    # Pillow's own pixels; a float32 division apart. The padding is exactly 0, as SAM pads after normalising.
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-6)
    assert not ours[:, :, resized.shape[0] :].any()
    assert sam.preprocess is not None
    np.testing.assert_allclose(sam.preprocess(frame), wanted, rtol=0, atol=1e-6)


def test_sam2s_spec_and_preprocessing(sam2: tuple[Any, Network]) -> None:
    network = sam2[1]
    assert network.spec.decoder.params == {
        "pad_boxes": True,
        "stability_delta": 0.05,
        "stability_threshold": 0.98,
    }
    assert network.parts[0].outputs == ("image_embeddings", "high_res_features_0", "high_res_features_1")
    given = encode(network, torch.zeros(1, 3, SIZE, SIZE))
    assert [one.shape for one in network.parts[1].example[:3]] == [one.shape for one in given]
    assert network.spec.inputs[0].resize == "stretch"
    frame = picture()
    assert network.preprocess is not None
    gap = np.abs(prepare_frame(network.spec, frame)[0]["images"] - network.preprocess(frame))
    level = 1 / np.array(network.spec.inputs[0].std).reshape(3, 1, 1)
    assert (
        gap <= 1.01 * level
    ).all()  # torch's antialiased resize rounds to another whole pixel here and there


def picture() -> np.ndarray:
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    return np.ascontiguousarray(data.astronaut()[40:340, :, ::-1])


def test_random_weights_follow_the_seed_and_say_so() -> None:
    one, same, other = (random_sam("sam2_hiera_tiny", seed) for seed in (1, 1, 2))
    assert one.source.random_weights
    weight = one.mask_decoder.mask_tokens.weight
    assert torch.equal(weight, same.mask_decoder.mask_tokens.weight)
    assert not torch.equal(weight, other.mask_decoder.mask_tokens.weight)
    assert torch.equal(one.image_positions, same.image_positions)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            {"fc.weight": torch.zeros(2, 2)},
            "of another network .*fc.weight.*accepted are checkpoints of segment",
        ),
        ({"epoch": 3}, "holds no state_dict"),
        ("cut", "lacks mask_decoder.iou_token.weight|another network"),
        ("layer", "does not fit segment-anything's Sam: it lacks vision_encoder.neck.conv2.weight"),
        ("window", "lacks the weights 'image_encoder.neck.0.weight'"),
        ("heads", "no relative positions, which tell how many heads"),
    ],
    ids=["another network", "no weights", "half", "a layer", "a size", "no positions"],
)
def test_weights_of_something_else_are_refused(
    original: Any, tmp_path: Path, content: Any, text: str
) -> None:
    state = dict(original.state_dict())
    if content == "cut":
        state = {key: value for key, value in state.items() if key.startswith("image_encoder.")}
    elif content == "layer":
        del state["image_encoder.neck.2.weight"]
    elif content == "window":
        del state["image_encoder.neck.0.weight"]
    elif content == "heads":
        state = {key: value for key, value in state.items() if "rel_pos" not in key}
    path = tmp_path / "weights.pth"
    torch.save(content if isinstance(content, dict) else state, path)
    with pytest.raises(ModelFileError, match=text):
        read_sam(path)


def test_a_sam2_of_another_size_is_refused() -> None:
    state = {
        "image_encoder.trunk.patch_embed.proj.weight": torch.zeros(24, 3, 7, 7),
        "image_encoder.trunk.blocks.0.norm1.weight": torch.zeros(24),
        "sam_mask_decoder.iou_token.weight": torch.zeros(1, 256),
    }
    assert sam2_weights.is_sam2(state)
    with pytest.raises(ModelFileError, match="24 channels and 1 blocks, as no published SAM 2"):
        sam2_weights.sam2_from(state, "a.pt")


@pytest.mark.parametrize(
    ("source", "random", "text"),
    [
        (
            "sam_vit_x",
            False,
            "no file or folder 'sam_vit_x'; accepted are a checkpoint.*sam_vit_b, sam_vit_l",
        ),
        ("missing.pth", False, "no file or folder 'missing.pth'"),
        ("weights/missing.pth", False, "no file or folder 'weights/missing.pth'"),
        ("mobile_sam", False, "MobileSAM's weights are on no hub: download mobile_sam.pt"),
        ("facebook/sam-vit-base", True, "with random weights, the source must be one of sam_vit_b"),
    ],
    ids=["name", "file", "file in a folder", "mobile_sam", "random"],
)
def test_a_source_that_cannot_be_had_says_what_is_accepted(source: str, random: bool, text: str) -> None:
    with pytest.raises((InputError, ModelFileError), match=text):
        read_sam(source, random=random)


def test_without_a_network_a_name_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fail(name: str, **_: Any) -> None:
        asked.append(name)
        raise OSError("We couldn't connect to 'https://huggingface.co'")

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", fail)
    with pytest.raises(
        ModelFileError, match=r"cannot read facebook/sam2\.1-hiera-base-plus: We couldn't connect.*file"
    ):
        read_sam("sam2.1_hiera_base_plus")
    assert asked == [SAM_NAMES["sam2.1_hiera_base_plus"]]


def test_a_folder_of_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(ModelFileError, match="is a model of type 'vit'; accepted are sam, sam2, sam2_video"):
        read_sam(tmp_path)
    with pytest.raises(ModelFileError, match="is it a folder that save_pretrained wrote"):
        read_sam(tmp_path / "..")


def test_an_image_processor_of_another_size_is_refused(tmp_path: Path) -> None:
    from transformers import Sam2ImageProcessor

    save_sam2(tmp_path)
    Sam2ImageProcessor(size={"height": 96, "width": 96}).save_pretrained(tmp_path)
    with pytest.raises(ModelFileError, match="processor makes 96x96 and the network takes 128x128"):
        read_sam(tmp_path)


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("weights/sam_vit_b_01ec64.pth", "sam_vit_b_01ec64"),
        ("sam2.1_hiera_tiny", "sam2.1_hiera_tiny"),
        ("facebook/sam2.1-hiera-small", "sam2.1-hiera-small"),
    ],
)
def test_a_bundle_is_named_after_its_source(
    source: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr("edgevision.export.sam.read_sam", lambda _: None)
    monkeypatch.setattr("edgevision.export.sam.export_network", lambda _, output, *__: asked.append(output))
    export_sam(source)
    assert asked == [Path(folder)]


def test_the_command_line_encodes_one_image_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "sam", "sam_vit_b", "--random", "--dynamic-batch"]) == 1
    assert "encodes one image at a time" in capsys.readouterr().err
