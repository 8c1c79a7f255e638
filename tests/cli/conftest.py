from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevision.demo.showcase import demo_model_path

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("cv2", reason="OpenCV (extra video) is not installed")


@pytest.fixture(scope="session")
def model_path() -> Path:
    return demo_model_path()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three conveyor stills."""
    from edgevision import write_image
    from edgevision.demo.scene import Scene

    folder = tmp_path_factory.mktemp("pictures")
    for index in range(3):
        write_image(folder / f"still{index}.png", Scene(20 + index).frame(2.0).image)
    return folder


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of six conveyor frames."""
    from edgevision.demo.scene import Scene
    from edgevision.stream import VideoSink

    sink = VideoSink(tmp_path_factory.mktemp("clip") / "belt.mp4", 30.0)
    scene = Scene(30, (360, 640))
    for index in range(6):
        sink.write(np.ascontiguousarray(scene.render(index).image))
    sink.close()
    return sink.path
