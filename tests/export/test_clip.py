"""CLIP and SigLIP: an embedder with its text network beside it, and classifiers of texts, at export and at run time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", "5", reason="transformers 5 is not installed")
pytest.importorskip("tokenizers", reason="tokenizers is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import tiny_clip  # noqa: E402
from photographs import load_photographs  # noqa: E402

import edgevision as ev  # noqa: E402
from edgevision.cli.main import main  # noqa: E402
from edgevision.errors import InputError, ModelFileError, SpecError  # noqa: E402
from edgevision.export.preprocess import spec_tensor  # noqa: E402
from edgevision.export.vit import export_vit, read_vit  # noqa: E402
from edgevision.spec import decoder_params  # noqa: E402
from edgevision.tasks.zero_shot import zero_shot_spec  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PROMPTS = [
    "cat",
    "two dogs!",
    "red part on a belt",
    "thing that nobody has seen before in any picture of any kind",
]
TEMPLATE = "a photo of a {}"
CLOSE = 1e-5
"""Of scores 0-1: float32 sums in another order, magnified by logits of up to 20."""


@pytest.fixture(scope="module", params=["clip", "siglip"])
def bundle(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Any, Path, Path]:
    """(kind, transformers' model, its folder, the bundle exported of it)."""
    root = tmp_path_factory.mktemp(request.param)
    model = tiny_clip.save(request.param, root / "checkpoint")
    export_vit(root / "checkpoint", root / "bundle", dynamic_batch=True)
    return request.param, model, root / "checkpoint", root / "bundle"


def expected_scores(kind: str, model: Any, folder: Path, pixels: np.ndarray, texts: list[str]) -> np.ndarray:
    """What transformers gives for the texts."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    # SigLIP was trained on texts of full length without a mask; CLIP looks at no token behind the end.
    padding = (
        {"padding": True} if kind == "clip" else {"padding": "max_length", "max_length": tiny_clip.LENGTH}
    )
    tokens = tokenizer(texts, return_tensors="pt", truncation=True, **padding)
    tokens.pop("token_type_ids", None)
    if kind == "siglip":
        tokens.pop("attention_mask")
    with torch.no_grad():
        logits = model(pixel_values=torch.from_numpy(pixels), **tokens).logits_per_image
    return (logits.softmax(1) if kind == "clip" else logits.sigmoid()).numpy()[0]


def scores_of(result: ev.Classification) -> np.ndarray:
    return result.confidence[np.argsort(result.class_id)]


def test_prompts_at_run_time_score_as_transformers_does(bundle: tuple[str, Any, Path, Path]) -> None:
    kind, model, folder, path = bundle
    clip = ev.load(path)
    assert clip.task == "embed"
    classify = clip.zero_shot(PROMPTS, templates=TEMPLATE)
    assert (classify.task, classify.labels) == ("classify", tuple(PROMPTS))
    texts = [TEMPLATE.format(prompt) for prompt in PROMPTS]
    found = []
    for photo in load_photographs().values():
        expected = expected_scores(kind, model, folder, spec_tensor(clip.spec.inputs[0], photo), texts)
        found.append(scores_of(classify(photo)))
        np.testing.assert_allclose(found[-1], expected, atol=CLOSE)
    assert np.ptp(found, axis=0).max() > 0.1, "every photograph alike would prove nothing"


def test_prompts_at_export_score_the_same(bundle: tuple[str, Any, Path, Path], tmp_path: Path) -> None:
    _, _, folder, path = bundle
    done = export_vit(folder, tmp_path / "a.onnx", prompts=PROMPTS, templates=(TEMPLATE,))
    alone, later = ev.load(done.path), ev.load(path).zero_shot(PROMPTS, templates=TEMPLATE)
    assert alone.labels == later.labels
    assert alone.spec.decoder.params == later.spec.decoder.params
    for photo in load_photographs().values():
        np.testing.assert_allclose(scores_of(alone(photo)), scores_of(later(photo)), atol=CLOSE)


def test_templates_are_averaged_by_direction(bundle: tuple[str, Any, Path, Path]) -> None:
    kind, _, folder, path = bundle
    templates = ("a photo of a {}", "{}", "a blurry picture of one {}")
    clip = ev.load(path)
    classify = clip.zero_shot(["cat", "dog"], templates=templates, labels=["CAT", "DOG"])
    assert classify.labels == ("CAT", "DOG")
    network = read_vit(folder, prompts=["cat", "dog"], templates=templates, labels=["CAT", "DOG"])
    assert network.spec.labels == ("CAT", "DOG")
    photo = load_photographs()["chelsea 300x451"]
    with torch.no_grad():
        logits = network.parts[0].module(torch.from_numpy(spec_tensor(clip.spec.inputs[0], photo)))
    expected = logits.softmax(1) if kind == "clip" else logits.sigmoid()
    np.testing.assert_allclose(scores_of(classify(photo)), expected[0].numpy(), atol=CLOSE)
    assert not np.allclose(
        scores_of(classify(photo)), scores_of(clip.zero_shot(["cat", "dog"])(photo)), atol=1e-3
    )


def test_the_embedder_gives_transformers_directions_and_its_scale(
    bundle: tuple[str, Any, Path, Path],
) -> None:
    kind, model, _, path = bundle
    clip = ev.load(path)
    params = decoder_params(clip.spec.decoder)
    assert params["normalize"] is True
    assert params["logit_scale"] == pytest.approx(float(np.exp(3)), rel=1e-6)
    assert params["logit_bias"] == (0.0 if kind == "clip" else -2.0)
    photo = load_photographs()["coffee 400x600"]
    with torch.no_grad():
        found = model.get_image_features(
            pixel_values=torch.from_numpy(spec_tensor(clip.spec.inputs[0], photo))
        )
    expected = torch.nn.functional.normalize(found.pooler_output, dim=-1)[0].numpy()
    np.testing.assert_allclose(clip(photo).vector, expected, atol=CLOSE)


def test_a_zero_shot_classifier_is_a_model_like_any(bundle: tuple[str, Any, Path, Path]) -> None:
    path = bundle[3]
    photos = list(load_photographs().values())[:3]
    with ev.load(path) as clip:
        classify = clip.zero_shot(PROMPTS)
    # It has a session of its own, and goes on without the model it came from.
    together = classify(photos)
    assert [len(result) for result in together] == [len(PROMPTS)] * 3
    np.testing.assert_allclose(scores_of(together[1]), scores_of(classify.clone()(photos[1])), atol=CLOSE)
    best = together[0].names[0]
    assert classify(photos[0], classes=[best]).names == [best]
    assert classify.timings.inference > 0


def test_many_prompts_are_encoded_in_batches(bundle: tuple[str, Any, Path, Path]) -> None:
    clip = ev.load(bundle[3])
    many = [f"thing number {index}" for index in range(70)]
    photo = load_photographs()["coffee 400x600"]
    with ev.load(bundle[3])._texts() as encode:
        together = encode(many)
        np.testing.assert_allclose(together[[0, 40, 69]], encode([many[0], many[40], many[69]]), atol=CLOSE)
    assert len(clip.zero_shot(many)(photo)) == 70


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"prompts": []}, r"prompts must be a list of one text or more, none of them empty, got \[\]"),
        ({"prompts": "a cat"}, "prompts must be a list of one text or more"),
        ({"prompts": ["a", " "]}, "none of them empty"),
        ({"prompts": ["a"], "templates": "a photo"}, r"each template must hold one \{\} for the prompt, got"),
        ({"prompts": ["a", "b"], "labels": ["x"]}, "labels must name the 2 prompts one by one, got 1"),
    ],
    ids=["none", "a text", "an empty one", "no place", "labels"],
)
def test_prompts_that_do_not_fit_are_refused_early_and_late(
    bundle: tuple[str, Any, Path, Path], arguments: dict, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        ev.load(bundle[3]).zero_shot(**arguments)
    if isinstance(arguments.get("templates"), str):
        arguments = {**arguments, "templates": (arguments["templates"],)}
    with pytest.raises(InputError, match=text):
        read_vit(bundle[2], **arguments)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (
            lambda folder: (folder / "tokenizer.json").unlink(),
            "holds no tokenizer.json, so that prompts cannot be read",
        ),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "is no tokenizer"),
        (lambda folder: (folder / "text.onnx").unlink(), "text.onnx, which is not in it"),
    ],
    ids=["no tokenizer", "a broken tokenizer", "no text network"],
)
def test_a_bundle_with_a_file_missing_embeds_but_reads_no_prompts(
    bundle: tuple[str, Any, Path, Path], tmp_path: Path, spoil, text: str
) -> None:
    shutil.copytree(bundle[3], tmp_path / "bundle")
    spoil(tmp_path / "bundle")
    clip = ev.load(tmp_path / "bundle")
    clip(np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(ModelFileError, match=text):
        clip.zero_shot(["a cat"])


def test_a_tokenizer_of_another_length_is_noticed(
    bundle: tuple[str, Any, Path, Path], tmp_path: Path
) -> None:
    shutil.copytree(bundle[3], tmp_path / "bundle")
    path = tmp_path / "bundle" / "tokenizer.json"
    document = json.loads(path.read_text())
    document["padding"]["strategy"] = {"Fixed": 24}
    path.write_text(json.dumps(document))
    with pytest.raises(SpecError, match=r"gives \(24,\) tokens a text and the text network takes 16"):
        ev.load(tmp_path / "bundle").zero_shot(["a cat"])


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (ev.ModelSpec(task="classify", decoder=ev.Decoder(name="scores")), "this one's task is 'classify'$"),
        (
            ev.ModelSpec(task="embed", decoder=ev.Decoder(name="embedding")),
            "and its decoder has no logit_scale$",
        ),
    ],
    ids=["a classifier", "an embedder of images alone"],
)
def test_a_model_without_texts_has_no_zero_shot_spec(spec: ev.ModelSpec, text: str) -> None:
    with pytest.raises(SpecError, match=f"only a model that embeds images and texts into one space .*{text}"):
        zero_shot_spec(spec, ["a cat"])


def test_the_tokenizers_library_is_named_when_it_is_missing(
    bundle: tuple[str, Any, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(ev.MissingDependencyError, match=r"pip install 'edgevision\[clip\]'"):
        ev.load(bundle[3]).zero_shot(["a cat"])


def test_the_commands_take_prompts(
    bundle: tuple[str, Any, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ev.write_image(tmp_path / "cat.png", load_photographs()["chelsea 300x451"])
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    target = tmp_path / "a.onnx"
    arguments = ["--labels", str(tmp_path / "names.txt"), "--template", TEMPLATE, "--output", str(target)]
    assert main(["export", "vit", str(bundle[2]), *arguments]) == 0
    assert main(["run", str(target), str(tmp_path / "cat.png"), "--json"]) == 0
    early = json.loads(capsys.readouterr().out.splitlines()[-1])
    run = ["run", str(bundle[3]), str(tmp_path / "cat.png"), "--json"]
    assert main([*run, "--prompts", "cat", "dog", "--template", TEMPLATE]) == 0
    late = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in early["classes"]] == [row["name"] for row in late["classes"]]
    assert early["classes"][0]["confidence"] == pytest.approx(late["classes"][0]["confidence"], abs=CLOSE)


def test_random_towers_of_a_model_type_need_no_tokenizer_and_say_so(
    bundle: tuple[str, Any, Path, Path], tmp_path: Path
) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copy(bundle[2] / name, tmp_path / name)
    network = read_vit(tmp_path, random=True)
    assert network.spec.source.random_weights
    assert [part.role for part in network.parts] == ["model", "text"]
    assert network.files == {}
    with torch.no_grad():
        texts = [
            network.parts[1].module(torch.from_numpy(feed["input_ids"]))
            for feed in network.parts[1].feeds([])
        ]
    assert torch.pdist(torch.cat(texts)).min() > 0.1
    with pytest.raises(ModelFileError, match="has no tokenizer, which prompts need"):
        read_vit(tmp_path, random=True, prompts=["a cat"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"task": "classify"},
            "classifies when it is given prompts; got the task 'classify' without prompts",
        ),
        ({"task": "embed", "prompts": ["a"]}, "got the task 'embed' with prompts"),
    ],
    ids=["no prompts", "prompts"],
)
def test_a_task_that_contradicts_the_prompts_is_refused(
    bundle: tuple[str, Any, Path, Path], arguments: dict, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        read_vit(bundle[2], **arguments)


def test_prompts_for_a_model_without_a_text_network_are_refused() -> None:
    with pytest.raises(
        InputError, match="prompts and templates are for CLIP and SigLIP; test_vit has no text network"
    ):
        read_vit("test_vit", random=True, prompts=["a cat"])
