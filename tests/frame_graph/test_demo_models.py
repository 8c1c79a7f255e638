"""The models that the package ships, each on its whole way over the GPU: the processor's results, on the conveyor."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from comparing import assert_same
from gpu_bench import Bench

from edgevision import Model, PromptableModel
from edgevision.demo.scene import random_still
from edgevision.demo.shipped import DEMO_MODELS, demo_model_path
from edgevision.spec import load_spec

PROMPTS: list[dict[str, Any]] = [
    {"points": [[640, 360]]},
    {"points": [[640, 360], [700, 300]], "labels": [1, 0]},
    {"box": [600, 300, 700, 420], "multimask": False},
]


def stills(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [random_still(rng, (720, 1280)).image for _ in range(count)]


@pytest.mark.parametrize("name", [name for name in DEMO_MODELS if name != "promptable"])
def test_frames_give_the_processors_results(bench: Bench, name: str) -> None:
    path = demo_model_path(name)
    spec, network = load_spec(path), path.read_bytes()
    on_gpu = Model(spec, bench.session(network))
    on_processor = Model(spec, bench.session(network, slots=0))
    bench.opened += [on_gpu, on_processor]
    for still in stills(2):
        expected = on_processor(still)
        for _ in range(3):  # as it comes, recorded, and launched again
            assert_same(on_gpu(still), expected)
    assert bench.cuda.counts["launch"] >= 4


@pytest.mark.parametrize("name", ["instances", "promptable"])
def test_what_nobody_holds_gives_its_memory_back_at_once(bench: Bench, name: str) -> None:
    path = demo_model_path(name)
    gc.collect()
    before = dict(bench.cuda.regions)
    gc.disable()
    try:
        if name == "promptable":
            files = [(path / one).read_bytes() for one in ("model.onnx", "decoder.onnx")]
            prompted = PromptableModel(load_spec(path / "model.onnx"), *map(bench.session, files))
            prompted.set_image(stills(1)[0])
            for prompt in PROMPTS * 2:
                prompted.predict(**prompt)
            twin = prompted.clone()
            twin.predict(**PROMPTS[0])
            assert bench.cuda.regions != before
            del prompted, twin
        else:
            model = Model(load_spec(path), bench.session(path.read_bytes()))
            ahead = [model.submit(still) for still in stills(3)]
            for submission in ahead:
                submission.result()
            assert bench.cuda.regions != before
            del model, ahead, submission
        assert bench.cuda.regions == before
    finally:
        gc.enable()


def test_prompts_are_answered_as_on_the_processor(bench: Bench) -> None:
    folder = demo_model_path("promptable")
    encoder, decoder = ((folder / name).read_bytes() for name in ("model.onnx", "decoder.onnx"))
    on_gpu, on_processor = (
        PromptableModel(
            load_spec(folder / "model.onnx"),
            bench.session(encoder, **options),
            bench.session(decoder, **options),
        )
        for options in ({}, {"slots": 0})
    )
    bench.opened += [on_gpu, on_processor]
    for still in stills(2):
        on_gpu.set_image(still)
        on_processor.set_image(still)
        for _ in range(2):
            for prompt in PROMPTS:
                assert_same(on_gpu.predict(**prompt), on_processor.predict(**prompt))
