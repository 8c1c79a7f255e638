"""Masks of many objects, each kept in its own window of the image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.ops.rle import decode_rle, encode_rle, rle_from_bytes, rle_to_bytes
from edgevision.results.common import freeze_arrays, resolve_selection
from edgevision.results.polygons import mask_to_polygons

__all__ = ["Masks"]


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """One mask an object, stored as the pixels of a window around it.

    Three hundred objects in a full-HD frame are 600 MB as whole images, and a few MB this way.

    image_hw: (H, W) of the image, pixels.
    windows:  int32 (N, 4), x1, y1, x2, y2 in pixels of the image: columns x1 to x2 - 1, rows y1 to y2 - 1.
              A window may be empty, and need not be tight.
    offsets:  int64 (N + 1,), ascending from 0: mask i is data[offsets[i]:offsets[i + 1]], row by row.
    data:     uint8, 0 or 1: the windows' pixels one after another.
    Raises InputError when these do not fit each other.
    """

    image_hw: tuple[int, int]
    windows: NDArray[np.int32]
    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]

    def __post_init__(self) -> None:
        count = len(self.windows)
        for name, dtype, shape in (
            ("windows", np.int32, (count, 4)),
            ("offsets", np.int64, (count + 1,)),
            ("data", np.uint8, (self.data.size,)),
        ):
            value = getattr(self, name)
            if value.dtype != dtype or value.shape != shape:
                raise InputError(f"{name} must be {dtype.__name__} {shape}, got {value.dtype} {value.shape}")
        height, width = self.image_hw
        left, top, right, bottom = self.windows.T.astype(np.int64)
        inside = (left >= 0) & (top >= 0) & (left <= right) & (top <= bottom)
        inside &= (right <= width) & (bottom <= height)
        if not inside.all():
            bad = int(np.argmin(inside))
            raise InputError(
                f"windows must lie inside the image of {height}x{width}, got {self.windows[bad].tolist()} "
                f"(x1, y1, x2, y2) for mask {bad}"
            )
        ends = np.concatenate(([0], np.cumsum((right - left) * (bottom - top))))
        if not np.array_equal(self.offsets, ends) or len(self.data) != ends[-1]:
            raise InputError(
                f"offsets must be the running sum of the windows' areas and data {ends[-1]} long, "
                f"got {self.offsets.tolist()[:8]} and {len(self.data)}"
            )
        if self.data.size and self.data.max() > 1:
            raise InputError(f"data must be 0 or 1, got {self.data.max()}")
        freeze_arrays(self)

    @classmethod
    def empty(cls, image_hw: tuple[int, int]) -> Masks:
        """No masks, in an image of `image_hw`."""
        return cls(image_hw, np.zeros((0, 4), np.int32), np.zeros(1, np.int64), np.zeros(0, np.uint8))

    @classmethod
    def from_dense(cls, masks: NDArray[Any]) -> Masks:
        """The same masks in tight windows, from (N, H, W): bool, or integers that are 0 outside.

        Raises InputError for another dtype or number of dimensions.
        """
        if masks.ndim != 3 or masks.dtype.kind not in "biu":
            raise InputError(f"masks must be bool or integers (N, H, W), got {masks.dtype} {masks.shape}")
        whole = masks if masks.dtype == np.bool_ else masks != 0
        return cls._crop((whole.shape[1], whole.shape[2]), whole)

    @classmethod
    def from_rle(cls, runs: Sequence[Mapping[str, Any]], image_hw: tuple[int, int]) -> Masks:
        """The masks of COCO run lengths: dicts {"size": [H, W], "counts": text or list of ints}.

        image_hw: (H, W) that every one of them must have. Raises InputError where one does not, or is malformed.
        """

        def decode(index: int, item: Mapping[str, Any]) -> NDArray[np.bool_]:
            if not isinstance(item, Mapping) or not {"size", "counts"} <= item.keys():
                raise InputError(f"mask {index} must be a dict with size and counts, got {item!r:.80}")
            if list(item["size"]) != list(image_hw):
                raise InputError(f"mask {index} is of an image of {item['size']}, not of {list(image_hw)}")
            counts = item["counts"]
            return decode_rle(
                rle_from_bytes(counts) if isinstance(counts, (str, bytes)) else counts, image_hw
            )

        return cls._crop(image_hw, (decode(index, item) for index, item in enumerate(runs)))

    @classmethod
    def _crop(cls, image_hw: tuple[int, int], whole: Iterable[NDArray[np.bool_]]) -> Masks:
        windows: list[tuple[int, int, int, int]] = []
        crops: list[NDArray[np.bool_]] = []
        for mask in whole:
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            left, top, right, bottom = 0, 0, 0, 0
            if rows.size:
                left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
            windows.append((left, top, right, bottom))
            crops.append(mask[top:bottom, left:right].ravel())
        return cls._join(image_hw, np.array(windows, np.int32).reshape(-1, 4), crops)

    @classmethod
    def _join(
        cls, image_hw: tuple[int, int], windows: NDArray[np.int32], crops: list[NDArray[np.bool_]]
    ) -> Masks:
        offsets = np.zeros(len(crops) + 1, np.int64)
        np.cumsum([crop.size for crop in crops], out=offsets[1:])
        data = np.concatenate([crop.reshape(-1) for crop in crops]) if crops else np.zeros(0, np.bool_)
        return cls(image_hw, windows, offsets, data.view(np.uint8))

    def crop(self, index: int) -> NDArray[np.bool_]:
        """Mask `index` inside its window: bool (h, w), a read-only view of `data`."""
        left, top, right, bottom = self.windows[index].tolist()
        start = int(self.offsets[:-1][index])
        size = (bottom - top) * (right - left)
        return self.data[start : start + size].view(np.bool_).reshape(bottom - top, right - left)

    def dense(self) -> NDArray[np.bool_]:
        """All masks over the whole image: bool (N, H, W), a new array."""
        out = np.zeros((len(self), *self.image_hw), np.bool_)
        for index, mask in enumerate(out):
            self._paste(mask, index)
        return out

    def _paste(self, mask: NDArray[np.bool_], index: int) -> None:
        left, top, right, bottom = self.windows[index].tolist()
        mask[top:bottom, left:right] = self.crop(index)

    @property
    def area(self) -> NDArray[np.int64]:
        """Pixels of each mask: int64 (N,)."""
        return np.array([np.count_nonzero(self.crop(index)) for index in range(len(self))], np.int64)

    def rle(self, index: int) -> dict[str, Any]:
        """Mask `index` as COCO's JSON files hold it: {"size": [H, W], "counts": compressed run lengths as text}."""
        counts = encode_rle(self.crop(index), self.windows[index], self.image_hw)
        return {"size": list(self.image_hw), "counts": rle_to_bytes(counts).decode("ascii")}

    def to_rle(self) -> list[dict[str, Any]]:
        """Every mask as `rle` gives it."""
        return [self.rle(index) for index in range(len(self))]

    def polygons(self, index: int) -> list[NDArray[np.float32]]:
        """The outlines of mask `index`: float32 (P, 2) x, y in image pixels each; see `mask_to_polygons`.

        Needs the extra `video`.
        """
        return mask_to_polygons(self.crop(index), self.windows[index])

    def __len__(self) -> int:
        return len(self.windows)

    def __iter__(self) -> Iterator[NDArray[np.bool_]]:
        """Each mask over the whole image: bool (H, W)."""
        for index in range(len(self)):
            yield self[index]

    def __getitem__(self, key: Any) -> Any:
        """One mask over the whole image, bool (H, W), for an int; else the `Masks` that `key` selects.

        key: an int, a bool array (N,), indices, or a slice.
        """
        chosen = resolve_selection(key, len(self), "masks")
        if isinstance(key, (int, np.integer)):
            mask = np.zeros(self.image_hw, np.bool_)
            self._paste(mask, int(chosen[0]))
            return mask
        return self._join(self.image_hw, self.windows[chosen], [self.crop(index) for index in chosen])
