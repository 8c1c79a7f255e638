from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from edgevision.export.onnx_graph import ExportError, trace_module, write_model  # noqa: E402
from edgevision.export.parity import check_parity, compare_model, reference_frames  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.second = torch.nn.Conv2d(4, 2, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = torch.relu(self.first(images))
        return self.second(features), features.mean((2, 3))


def test_the_graph_has_the_names_asked_for_and_computes_the_same(tmp_path: Path) -> None:
    model = trace_module(
        Small(),
        torch.zeros(1, 3, 16, 20),
        input_name="images",
        output_names=["map", "mean"],
        dynamic_batch=True,
    )
    assert [value.name for value in model.graph.input] == ["images"]
    assert [value.name for value in model.graph.output] == ["map", "mean"]
    path = write_model(model, tmp_path / "small.onnx")
    for batch in (1, 2, 3):
        rows = compare_model(Small(), path, reference_frames(6, (16, 20)), batch=batch)
        check_parity(rows)
        assert rows[0].shape == (batch, 2, 16, 20)
        assert rows[0].max_abs < 1e-5


def test_the_file_names_no_local_path(tmp_path: Path) -> None:
    data = trace_module(Small(), torch.zeros(1, 3, 16, 20), output_names=["map", "mean"]).SerializeToString()
    assert b"/" + b"test_onnx_graph" not in data
    assert str(Path(__file__).parent).encode() not in data


def test_another_network_fails_the_comparison_and_the_worst_tensor_is_named(tmp_path: Path) -> None:
    path = write_model(
        trace_module(Small(), torch.zeros(1, 3, 16, 20), output_names=["map", "mean"]),
        tmp_path / "small.onnx",
    )
    other = Small()
    with torch.no_grad():
        other.second.weight *= 1.01
    with pytest.raises(ExportError, match=r"does not compute what PyTorch computes.*map 1x2x16x20"):
        check_parity(compare_model(other, path, reference_frames(2, (16, 20))))


def test_a_network_that_cannot_be_traced_says_why() -> None:
    class Branches(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images if images.sum() > 0 else -images

    with pytest.raises(ExportError, match="the network cannot be traced"):
        trace_module(Branches(), torch.zeros(1, 3, 4, 4))


def test_reference_frames_look_like_pictures() -> None:
    frames = reference_frames(2, (32, 48))
    assert frames.shape == (2, 3, 32, 48)
    assert frames.dtype == np.float32
    assert 0.0 <= frames.min() < 0.2
    assert 0.8 < frames.max() <= 1.0
    # Neighbours resemble each other, as in pictures and unlike in noise.
    assert np.abs(np.diff(frames, axis=3)).mean() < 0.5 * frames.std()
