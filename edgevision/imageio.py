"""Pictures from and to files, through OpenCV (extra `video`)."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError, MissingDependencyError
from edgevision.spec.files import atomic_writer

__all__ = ["IMAGE_SUFFIXES", "import_cv2", "read_image", "write_image"]

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


def import_cv2(purpose: str) -> Any:
    """The module cv2. Raises MissingDependencyError that names the extra; `purpose` begins its sentence."""
    try:
        import cv2
    except ImportError as error:
        if error.name not in (None, "cv2"):
            raise
        if error.name is None:  # installed, but one of its shared libraries (libGL) is not
            raise InputError(
                f"{purpose} needs OpenCV, which is installed but does not load ({error}); "
                f"on a machine without a display: pip uninstall opencv-python && pip install 'edgevision[video]'"
            ) from error
        raise MissingDependencyError("OpenCV", "video", purpose) from None
    return cv2


def read_image(path: str | PathLike[str]) -> NDArray[np.uint8]:
    """The picture in a file: uint8 (H, W, 3) BGR, turned as its EXIF orientation says.

    Raises FileNotFoundError when there is no such file, InputError when it is not a picture OpenCV reads.
    """
    cv2 = import_cv2("read_image()")
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise InputError(
            f"{os.fspath(path)} is not a picture that can be read ({data.size} bytes); "
            f"accepted: {', '.join(IMAGE_SUFFIXES)}"
        )
    return np.asarray(image, dtype=np.uint8)


def write_image(path: str | PathLike[str], image: NDArray[np.uint8]) -> Path:
    """The path written. image: uint8 (H, W, 3) BGR or (H, W) grey; the suffix chooses the format.

    Atomic: the file is whole or not there. Raises InputError for a suffix that is not a picture's.
    """
    cv2 = import_cv2("write_image()")
    target = Path(path)
    if target.suffix.lower() not in IMAGE_SUFFIXES:
        raise InputError(
            f"cannot tell the picture format of {target.name!r}; accepted suffixes: {', '.join(IMAGE_SUFFIXES)}"
        )
    done, data = cv2.imencode(target.suffix.lower(), image)
    if not done:
        raise InputError(f"OpenCV could not encode {image.dtype} {image.shape} as {target.suffix}")
    with atomic_writer(target) as file:
        file.write(data.tobytes())
    return target
