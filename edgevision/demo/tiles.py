"""The contact sheet's pictures: what each of the demo's models says of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevision.demo.clicks import middle_point
from edgevision.demo.crops import crop_part
from edgevision.demo.scene import CLASS_NAMES, Frame, Scene
from edgevision.demo.sheet import BACKGROUND, INK, MUTED, TILE_HW, Tile, fit_picture, write_text
from edgevision.demo.shipped import demo_model_path
from edgevision.imageio import import_cv2
from edgevision.loading import load
from edgevision.model import Model
from edgevision.overlay import class_color, draw
from edgevision.results import Detections, Embedding
from edgevision.spec import Decoder

__all__ = ["make_tiles"]

Picture = npt.NDArray[np.uint8]

_RIGHT, _WRONG = (110, 200, 90), (80, 80, 230)  # BGR: green, red
_CROP_PX = 142
_QUERIES, _NEIGHBOURS = 3, 5
_GALLERY_SEED, _GALLERY_FRAMES = 300, 8  # scenes of neither training nor evaluation
_CLICKS = 8


def make_tiles(frame: Frame, **load_options: Any) -> list[Tile]:
    """A tile a task, of one frame of at least a part. load_options: passed to `edgevision.load`."""
    with load(demo_model_path("yolo"), **load_options) as model:
        boxes: Detections = model(frame.image)
    tiles = [
        _frame_tile("detect", f"{len(boxes)} boxes, conveyor_yolo", frame, boxes),
    ]
    with load(demo_model_path("instances"), **load_options) as model:
        title, caption = "instances + keypoints", "one network, conveyor_instances"
        tiles.append(_frame_tile(title, caption, frame, model(frame.image)))
    with load(demo_model_path("unet"), **load_options) as model:
        tiles.append(_semantic_tile(frame, model))
    with (
        load(demo_model_path("resnet"), **load_options) as resnet,
        load(demo_model_path("vit"), **load_options) as vit,
        load_embedder(**load_options) as embedder,
        load(demo_model_path("promptable"), **load_options) as promptable,
    ):
        tiles.append(_classify_tile(frame, boxes, {"ResNet": resnet, "ViT": vit}))
        tiles.append(_promptable_tile(frame, promptable))
        tiles.append(_embed_tile(frame, embedder))
    return tiles


def load_embedder(**load_options: Any) -> Model:
    """The vision transformer as an embedder: its file gives the features that it classifies by as a second output."""
    path = demo_model_path("vit")
    with load(path, **load_options) as classifier:
        spec = classifier.spec
    decoder = Decoder(name="embedding", outputs=("features",), params={"normalize": True})
    model: Model = load(path, spec=replace(spec, task="embed", decoder=decoder), **load_options)
    return model


def _frame_tile(title: str, caption: str, frame: Frame, result: Any) -> Tile:
    return Tile(title, caption, fit_picture(draw(frame.image, result), TILE_HW))


def _semantic_tile(frame: Frame, model: Model) -> Tile:
    """The label map, in the colours that the parts have in the other tiles."""
    cv2 = import_cv2("the contact sheet")
    labels = model(frame.image).labels
    picture = frame.image.copy()
    for class_id in range(len(CLASS_NAMES)):
        mask, color = labels == class_id + 1, class_color(class_id)  # 0 is the background
        picture[mask] = (picture[mask] * 0.35 + np.array(color) * 0.65).astype(np.uint8)
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, color, 2, cv2.LINE_AA)
    return Tile("semantic", "a class for every pixel, conveyor_unet", fit_picture(picture, TILE_HW))


def _classify_tile(frame: Frame, boxes: Detections, models: dict[str, Model]) -> Tile:
    """The most certain boxes, cut out, and what each classifier calls them."""
    canvas = _empty_tile()
    columns, rows = 5, 2
    cell_h, cell_w = TILE_HW[0] // rows, TILE_HW[1] // columns
    for index in range(min(len(boxes), columns * rows)):
        top, left = (index // columns) * cell_h, (index % columns) * cell_w + (cell_w - _CROP_PX) // 2
        crop = crop_part(frame.image, boxes.xyxy[index])
        _place(canvas, fit_picture(crop, (_CROP_PX, _CROP_PX)), (left, top + 8))
        for line, (kind, model) in enumerate(models.items()):
            said = model(crop)
            text = f"{kind}: {said.names[0]} {said.confidence[0]:.0%}"
            color = class_color(int(said.class_id[0]))
            write_text(canvas, text, (left, top + _CROP_PX + 32 + 24 * line), 0.46, color)
    return Tile("classify", "the detector's boxes cut out, conveyor_resnet and conveyor_vit", canvas)


def _promptable_tile(frame: Frame, model: Any) -> Tile:
    """Clicks into parts, and the mask that each click alone gives."""
    cv2 = import_cv2("the contact sheet")
    truth = frame.truth.counted()
    model.set_image(frame.image)
    picture = (frame.image * 0.55).astype(np.uint8)
    chosen = np.argsort([-np.count_nonzero(mask) for mask in truth.masks], kind="stable")[:_CLICKS]
    points = [middle_point(truth.masks[row]) for row in chosen]
    for index, point in enumerate(points):
        mask = model.predict(points=point[None], multimask=False).masks[0]
        color = class_color(index)
        tinted = frame.image[mask] * 0.62 + np.array(color) * 0.38
        picture[mask] = tinted.astype(np.uint8)
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, color, 2, cv2.LINE_AA)
    for point in points:
        at = (int(point[0]), int(point[1]))
        cv2.circle(picture, at, 11, (20, 20, 20), -1, cv2.LINE_AA)
        cv2.circle(picture, at, 8, INK, -1, cv2.LINE_AA)
    caption = f"{len(points)} clicks (white), a mask each, conveyor_promptable"
    return Tile("promptable", caption, fit_picture(picture, TILE_HW))


def _embed_tile(frame: Frame, model: Model) -> Tile:
    """Parts of the frame, and the parts of other scenes whose embeddings lie nearest."""
    canvas = _empty_tile()
    gallery, classes, vectors = _gallery(model)
    queries = _different_parts(frame, _QUERIES)
    cell_h, side = TILE_HW[0] // _QUERIES, TILE_HW[0] // _QUERIES - 40
    first = 16 + side + 50
    step = (TILE_HW[1] - 16 - side - first) // (_NEIGHBOURS - 1)
    for line, row in enumerate(queries):
        top = line * cell_h + 10
        crop = crop_part(frame.image, frame.truth.boxes[row])
        embedding: Embedding = model(crop)
        alike = embedding.similarities(vectors)
        _place(canvas, fit_picture(crop, (side, side)), (16, top))
        write_text(canvas, "query", (16, top + side + 18), 0.46, MUTED)
        for rank, found in enumerate(np.argsort(-alike, kind="stable")[:_NEIGHBOURS]):
            left = first + rank * step
            _place(canvas, fit_picture(gallery[found], (side, side)), (left, top))
            same = classes[found] == frame.truth.class_id[row]
            text = f"{CLASS_NAMES[classes[found]]} {alike[found]:.2f}"
            write_text(canvas, text, (left, top + side + 18), 0.46, _RIGHT if same else _WRONG)
    caption = f"nearest of {len(gallery)} parts of other scenes by cosine, conveyor_vit's features"
    return Tile("embed", caption, canvas)


def _gallery(model: Model) -> tuple[list[Picture], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    crops: list[Picture] = []
    classes: list[int] = []
    for index in range(_GALLERY_FRAMES):
        frame = Scene(_GALLERY_SEED + index).frame(5.0)
        truth = frame.truth.counted()
        crops += [crop_part(frame.image, box) for box in truth.boxes]
        classes += truth.class_id.tolist()
    vectors = np.stack([embedding.vector for embedding in (model(crop) for crop in crops)])
    return crops, np.array(classes, np.int64), vectors


def _different_parts(frame: Frame, count: int) -> list[int]:
    """Rows of well visible parts, of as many classes as there are."""
    order = np.argsort(-frame.truth.visible, kind="stable").tolist()
    first = {int(frame.truth.class_id[row]): row for row in reversed(order)}
    chosen: Sequence[int] = sorted(first.values(), key=order.index)
    return list(chosen[:count])


def _empty_tile() -> Picture:
    canvas: Picture = np.empty((*TILE_HW, 3), np.uint8)
    canvas[:] = BACKGROUND
    return canvas


def _place(canvas: Picture, picture: Picture, corner_xy: tuple[int, int]) -> None:
    left, top = corner_xy
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
