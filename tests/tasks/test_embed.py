from __future__ import annotations

import numpy as np
import pytest

from edgevision import Decoder, ImageInput, InputError, ModelSpec, SpecError
from edgevision.tasks.embed import EmbedTask, normalize_rows
from edgevision.tasks.options import RunOptions, override_options
from edgevision.tasks.registry import open_task

FRAMES = [np.full((6, 8, 3), 10, np.uint8), np.full((9, 5, 3), 200, np.uint8)]


def task_of(normalize: bool = False, outputs: tuple[str, ...] = ()) -> EmbedTask:
    spec = ModelSpec(
        task="embed",
        inputs=(ImageInput(size_hw=(4, 4), resize="stretch"),),
        decoder=Decoder(name="embedding", params={"normalize": normalize}, outputs=outputs),
    )
    task = open_task(spec, ["tokens", "pooled"])
    assert isinstance(task, EmbedTask)
    return task


def run(task: EmbedTask, outputs: dict[str, np.ndarray]) -> list:
    tensor = np.zeros((3, 3, 4, 4), np.float32)
    placements = task.preparation.write(FRAMES, lambda name, shape: tensor, 3)
    return task.finish(outputs, placements, RunOptions())


def test_each_image_gets_its_row_and_its_size() -> None:
    pooled = np.arange(12, dtype=np.float32).reshape(3, 4)
    results = run(task_of(outputs=("pooled",)), {"pooled": pooled, "tokens": np.zeros((3, 2, 4), np.float32)})
    assert [result.vector.tolist() for result in results] == pooled[:2].tolist(), (
        "the batch's last row is unused"
    )
    assert [result.image_hw for result in results] == [(6, 8), (9, 5)]


def test_results_do_not_share_the_networks_memory() -> None:
    tokens = np.ones((3, 4), np.float32)
    results = run(task_of(), {"tokens": tokens})
    tokens[:] = 7
    assert results[0].vector.tolist() == [1, 1, 1, 1]
    assert results[0].vector.base is None


def test_normalize_gives_vectors_of_length_one() -> None:
    tokens = np.array([[3, 4], [0, 0], [1, 1]], np.float32)
    results = run(task_of(normalize=True), {"tokens": tokens})
    assert results[0].vector.tolist() == [np.float32(0.6), np.float32(0.8)]
    assert results[1].vector.tolist() == [0, 0], "no direction stays none"
    assert run(task_of(), {"tokens": tokens})[0].vector.tolist() == [3, 4]


def test_half_outputs_become_float32_before_they_are_squared() -> None:
    tokens = np.full((3, 4), 6e4, np.float16)  # whose square overflows float16
    vector = run(task_of(normalize=True), {"tokens": tokens})[0].vector
    assert vector.dtype == np.float32
    assert vector.tolist() == [0.5] * 4


def test_normalize_rows_of_huge_and_tiny_values() -> None:
    rows = np.array([[3e30, 4e30], [3e-30, 4e-30]], np.float32)
    np.testing.assert_allclose(normalize_rows(rows), [[0.6, 0.8]] * 2, rtol=1e-6)  # one rounding to float32


def test_a_map_of_tokens_is_no_embedding() -> None:
    with pytest.raises(SpecError, match=r"reads a tensor \(B, D\), and 'tokens' is \(3, 2, 4\)"):
        run(task_of(), {"tokens": np.zeros((3, 2, 4), np.float32)})


def test_an_embedder_has_no_thresholds() -> None:
    with pytest.raises(InputError, match="task 'embed' has no option 'confidence'; accepted: none"):
        override_options(
            RunOptions(), {"confidence": 0.5}, accepted=task_of().options, task="embed", labels=()
        )
