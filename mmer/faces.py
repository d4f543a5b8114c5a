"""Faces: found (MTCNN without torch), followed from frame to frame, and cropped.

The same code runs when data are prepared and when the model serves. The cascade is that of Zhang et al. 2016, "Joint
Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", and gives the boxes of facenet-pytorch's
`MTCNN(keep_all=True).detect` to the pixel; where a detail looks odd (pixels counted from 1, some widths with + 1 and
some without), it is kept from there on purpose, because the networks were trained with it.

A box is `x1 y1 x2 y2` in pixels of the frame it was found in, and may reach beyond the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mmer.config import Faces, Input

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]
Box = tuple[float, float, float, float]

WINDOW = 12
"""Side of the window that the P-Net judges, pixels of a level of the pyramid; the smallest face it can see."""
STRIDE = 2
"""Between two windows of the P-Net, pixels of a level."""
FACTOR = 0.709
"""From one level of the pyramid to the next: half the area."""
BATCH = 64
"""Crops judged at once: bounds the memory that a frame full of texture takes."""

FOLLOWED_SCALES = np.array([0.9, 1.0, 1.1], np.float32)
"""Of the last box, the sizes that the O-Net is shown where a face is followed. The mean of its answers is as near the
mean of detections in slightly moved pictures as one detection is; of one size alone it is not (docs/preparing.md)."""
FOLLOWED_REACH = 0.5
"""How far around the last box the picture is read where a face is followed, in sides of the box: further than the two
networks can move it."""

SAME_FACE_IOU = 0.3
"""A box that overlaps the last one by this much is the same face."""
SAME_FACE_STEP = 0.75
"""A face that moved too fast to overlap: the furthest its centre may have gone, in sides of the box. Faces of two
people side by side are at least one side apart."""
SAME_FACE_GROWTH = 2.0
"""And the most its side may have grown or shrunk meanwhile."""


class Detector:
    """The cascade of MTCNN's three networks in onnxruntime, one thread each. It keeps nothing between calls and can be
    pickled, so that threads may share it and worker processes may be sent it."""

    def __init__(self, folder: Path, faces: Faces) -> None:
        self.folder, self.faces = folder, faces
        self._pnet, self._rnet, self._onet = (_session(folder / f"{name}.onnx") for name in ("pnet", "rnet", "onet"))

    @classmethod
    def load(cls, folder: Path, faces: Faces) -> Detector:
        """Load `pnet.onnx`, `rnet.onnx` and `onet.onnx`, as `python -m stages.detector` writes them.

        Raises:
            FileNotFoundError: one of them is missing.
            ValueError: one of them is no ONNX graph.
        """
        return cls(folder, faces)

    def __reduce__(self) -> tuple[type[Detector], tuple[Path, Faces]]:
        return Detector, (self.folder, self.faces)

    def detect(self, rgb: Picture) -> tuple[Floats, Floats]:
        """Find all faces of at least `min_face` pixels.

        Args:
            rgb: uint8 [H, W, 3], any H and W; one smaller than `min_face` on a side has no faces.

        Returns:
            boxes float32 [n, 4], the largest first, and the O-Net's scores float32 [n].

        Raises:
            ValueError: `rgb` is no such array.
        """
        _check_picture(rgb)
        sums = _integral(rgb)
        boxes = self._propose(sums)
        boxes = self._refine(sums, boxes)
        boxes, scores = self._decide(sums, boxes)
        area = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64).prod(1)
        order = area.argsort()[::-1]
        return boxes[order], scores[order]

    def follow(self, rgb: Picture, last: Box) -> tuple[Box, float] | None:
        """Find a face again near where it was a moment ago, by the R- and the O-Net alone, in a quarter of the time.

        Args:
            rgb: uint8 [H, W, 3].
            last: its box in the picture before.

        Returns:
            Its box and the O-Net's score; None where one of the networks sees no face there, or what it
            sees is smaller than `min_face`.

        Raises:
            ValueError: `rgb` is no such array.
        """
        _check_picture(rgb)
        box = _square(np.array([last], np.float32))
        left, top, right, bottom = box[0].tolist()
        (height, width), reach = rgb.shape[:2], FOLLOWED_REACH * (right - left)
        x1, x2 = (int(min(max(x, 0), width)) for x in (left - reach, right + reach))
        y1, y2 = (int(min(max(y, 0), height)) for y in (top - reach, bottom + reach))
        if x1 >= x2 or y1 >= y2:
            return None
        sums, corner = _integral(rgb[y1:y2, x1:x2]), np.array([[x1, y1, x1, y1]], np.float32)
        box = self._refine(sums, box - corner)
        if not len(box):
            return None
        middle, half = (box[:, :2] + box[:, 2:]) / 2, (box[:, 2:] - box[:, :2]) / 2 * FOLLOWED_SCALES[:, None]
        boxes, offsets, scores = _judge(self._onet, 48, sums, np.concatenate([middle - half, middle + half], 1), -1)
        if not len(boxes) or scores.mean() <= self.faces.thresholds[2]:
            return None
        found = _shift(boxes, offsets, 1).mean(0)
        if (found[2:] - found[:2]).max() < self.faces.min_face:
            return None
        return _box(found + corner[0]), float(scores.mean())

    def _propose(self, sums: npt.NDArray[np.int32]) -> Floats:
        """First stage: the P-Net slides over the pyramid of shrunk pictures. Gives square boxes [n, 4]."""
        height, width = sums.shape[1] - 1, sums.shape[2] - 1
        scale = WINDOW / self.faces.min_face
        shortest = min(height, width) * scale
        found = [(np.empty((0, 4), np.float32), np.empty((0, 4), np.float32), np.empty(0, np.float32))]
        while shortest >= WINDOW:
            level = _mean_pool(sums, int(height * scale + 1), int(width * scale + 1))
            offsets, scores = self._pnet.run(["offsets", "scores"], {"images": level})
            y, x = np.nonzero(scores[0, 1] >= self.faces.thresholds[0])
            corner = STRIDE * np.stack([x, y], 1).astype(np.float32)
            boxes = np.concatenate([np.floor((corner + 1) / scale), np.floor((corner + WINDOW) / scale)], 1)
            kept = _suppress(boxes, scores[0, 1, y, x], 0.5)
            y, x = y[kept], x[kept]
            found.append((boxes[kept], offsets[0, :, y, x], scores[0, 1, y, x]))
            scale *= FACTOR
            shortest *= FACTOR
        boxes, offsets, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        kept = _suppress(boxes, scores, 0.7)
        return _square(_shift(boxes[kept], offsets[kept], 0))

    def _refine(self, sums: npt.NDArray[np.int32], boxes: Floats) -> Floats:
        """Second stage: the R-Net rejects most of the proposals and moves the others. Square boxes [n, 4]."""
        boxes, offsets, scores = _judge(self._rnet, 24, sums, boxes, self.faces.thresholds[1])
        kept = _suppress(boxes, scores, 0.7)
        return _square(_shift(boxes[kept], offsets[kept], 1))

    def _decide(self, sums: npt.NDArray[np.int32], boxes: Floats) -> tuple[Floats, Floats]:
        """Third stage: the O-Net. Gives the faces' boxes [n, 4] and scores [n]."""
        boxes, offsets, scores = _judge(self._onet, 48, sums, boxes, self.faces.thresholds[2])
        boxes = _shift(boxes, offsets, 1)
        kept = _suppress_nested(boxes, scores, 0.7)
        return boxes[kept], scores[kept]


def _session(path: Path) -> Any:
    """An onnxruntime session with one thread: clips and streams are what runs side by side."""
    import onnxruntime as ort

    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: write the detector's networks with `python -m stages.detector`")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Pictures of every size come: what is kept for each size would make a long-lived process grow and grow.
    options.enable_mem_pattern = options.enable_cpu_mem_arena = False
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base class of its own
        raise ValueError(
            f"{path} is no usable ONNX graph ({error}): write it with `python -m stages.detector`"
        ) from None


def _box(found: Floats) -> Box:
    x1, y1, x2, y2 = found.tolist()
    return x1, y1, x2, y2


def _check_picture(rgb: Picture) -> None:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise ValueError(f"a picture must be uint8 [H, W, 3] with H, W >= 1, not {rgb.dtype} {list(rgb.shape)}")


def _integral(rgb: Picture) -> npt.NDArray[np.int32]:
    """Sums over all rectangles from the corner, int32 [3, H + 1, W + 1]: the mean over any window is four look-ups. In
    a very large picture they wrap around; their differences are right all the same."""
    sums = np.empty((3, rgb.shape[0] + 1, rgb.shape[1] + 1), np.int32)
    for channel, out in zip(np.ascontiguousarray(rgb.transpose(2, 0, 1)), sums, strict=True):
        cv2.integral(channel, out)
    return sums


def _edges(length: int | Indices, parts: int) -> tuple[Indices, Indices]:
    """Where each of `parts` windows over `length` pixels begins and ends, as torch's adaptive average has it: windows
    may share a pixel, which `cv2.INTER_AREA` does not let them."""
    k = np.arange(parts)
    return k * length // parts, -(-(k + 1) * length // parts)


def _mean_pool(sums: npt.NDArray[np.int32], height: int, width: int) -> Floats:
    """The whole picture, adaptively averaged to float32 [1, 3, height, width] in -1..1.

    Args:
        sums: the picture's integral, int32 [3, H + 1, W + 1].
    """
    top, bottom = _edges(sums.shape[1] - 1, height)
    left, right = _edges(sums.shape[2] - 1, width)
    rows = sums.take(bottom, 1) - sums.take(top, 1)
    return _average(rows.take(right, 2) - rows.take(left, 2), (bottom - top)[:, None], right - left)[None]


def _average(total: npt.NDArray[np.int32], high: Indices, wide: Indices) -> Floats:
    """From sums over windows to means in -1..1, dividing by each side in turn as torch does: a difference in the last
    bit is enough for another box to win a tie."""
    mean: Floats = total.astype(np.float32)
    mean /= high.astype(np.float32)
    mean /= wide.astype(np.float32)
    mean -= 127.5
    mean *= 0.0078125
    return mean


def _judge(
    network: Any, side: int, sums: npt.NDArray[np.int32], boxes: Floats, threshold: float
) -> tuple[Floats, Floats, Floats]:
    """Cut the boxes out, shrink them to `side` and ask the network.

    Returns:
        The boxes that score above the threshold [n, 4], the offsets of their sides [n, 4] and their scores [n].
    """
    height, width = sums.shape[1] - 1, sums.shape[2] - 1
    pixels = boxes.astype(np.intp)  # towards zero
    left, top = np.maximum(pixels[:, :2], 1).T - 1
    right, bottom = np.minimum(pixels[:, 2:], (width, height)).T
    inside = (right > left) & (bottom > top)
    boxes, edges = boxes[inside], np.stack([left, top, right, bottom], 1)[inside]
    offsets, scores = np.empty((len(boxes), 4), np.float32), np.empty(len(boxes), np.float32)
    for start in range(0, len(boxes), BATCH):
        part = slice(start, start + BATCH)
        moved, probabilities = network.run(["offsets", "scores"], {"images": _cut(sums, edges[part], side)})
        offsets[part], scores[part] = moved, probabilities[:, 1]
    passed = scores > threshold
    return boxes[passed], offsets[passed], scores[passed]


def _cut(sums: npt.NDArray[np.int32], edges: Indices, side: int) -> Floats:
    """Parts of the picture, each adaptively averaged, all at once: float32 [n, 3, side, side] in -1..1.

    Args:
        sums: the picture's integral, int32 [3, H + 1, W + 1].
        edges: left, top, right, bottom of each part, whole pixels inside the picture [n, 4].
    """
    left, top, right, bottom = edges.T[:, :, None]
    x0, x1 = _edges(right - left, side)
    y0, y1 = _edges(bottom - top, side)
    table, row = sums.reshape(3, -1), sums.shape[2]

    def corner(y: Indices, x: Indices) -> npt.NDArray[np.int32]:
        at = ((top + y) * row)[:, :, None] + (left + x)[:, None, :]
        found: npt.NDArray[np.int32] = table.take(at, axis=1)
        return found

    total = corner(y1, x1) - corner(y0, x1) - corner(y1, x0) + corner(y0, x0)
    return _average(total, (y1 - y0)[:, :, None], (x1 - x0)[:, None, :]).transpose(1, 0, 2, 3)


def _shift(boxes: Floats, offsets: Floats, extra: int) -> Floats:
    """Move each side by its offset, a share of the box's size (+ 1 in the later stages)."""
    size = boxes[:, 2:] - boxes[:, :2] + extra
    return boxes + offsets * np.tile(size, 2)


def _square(boxes: Floats) -> Floats:
    """The same centre, and the longer side for both."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(1, keepdims=True)
    corner = boxes[:, :2] + size * 0.5 - side * 0.5
    return np.concatenate([corner, corner + side], 1)


def _suppress(boxes: Floats, scores: Floats, threshold: float) -> Indices:
    """Indices of the boxes that overlap no better one by more than `threshold` (intersection over union)."""
    return _best(boxes, np.argsort(-scores, kind="stable"), threshold)


def _suppress_nested(boxes: Floats, scores: Floats, threshold: float) -> Indices:
    """The same for the last stage, where the intersection counts against the smaller box: a face within a face goes."""
    return _best(boxes, np.argsort(scores)[::-1], threshold, nested=True)


def _best(boxes: Floats, order: Indices, threshold: float, nested: bool = False) -> Indices:
    extra = 1 if nested else 0
    area = (boxes[:, 2:] - boxes[:, :2] + extra).prod(1)
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        low, high = np.maximum(boxes[order, :2], boxes[best, :2]), np.minimum(boxes[order, 2:], boxes[best, 2:])
        shared = np.maximum(high - low + extra, 0).prod(1)
        whole = np.minimum(area[order], area[best]) if nested else area[order] + area[best] - shared
        order = order[shared / whole <= threshold]
    return np.array(kept, np.intp)


@dataclass(frozen=True)
class View:
    """The face in one frame."""

    face: Picture | None
    """uint8 [S, S, 3] RGB; None where there is no face."""
    box: Box | None
    """The face's box, pixels of the frame; of an earlier frame where `held`."""
    score: float
    """The detector's, of that box; 0 where there is none."""
    held: bool
    """The face was not found in this frame: the crop is what is now where it last was."""


class Tracker:
    """Follows one person's face through a clip or a stream, using nothing of the future: one for each.

    It begins with the largest face, stays with it as long as it is found, keeps its last box for at most
    `faces.max_gap_s`, and then begins anew.

    The whole picture is searched at most `faces.detect_every_s` after the last time, and at once in each frame in which
    the face is not seen near its last box; in the frames between, it is only followed (`Detector.follow`). What decides
    is the frames and their times alone, so that a clip and a live stream of the same frames give the same views. Where
    `detect_every_s` is 0, the boxes are those of `Detector.detect`.
    """

    def __init__(self, detector: Detector, faces: Faces, input: Input) -> None:
        self.detector, self.faces, self.input = detector, faces, input
        self._box: Box | None = None
        self._score = 0.0
        self._seen = self._searched = self._now = -np.inf
        self._frame: tuple[int, ...] | None = None

    def look(self, rgb: Picture, t: float) -> View:
        """See the next frame.

        Args:
            rgb: uint8 [H, W, 3]; the box is forgotten where H or W change, since it means something else there.
            t: the frame's time, seconds; one that is not later than the last counts as the same moment.

        Raises:
            ValueError: `rgb` is no such array.
        """
        _check_picture(rgb)
        self._now = max(t, self._now)
        if rgb.shape != self._frame or self._now - self._seen > self.faces.max_gap_s + 1e-6:
            self._box, self._score, self._frame = None, 0.0, rgb.shape
        found = self._follow(rgb) or self._search(rgb)
        if found is not None:
            (self._box, self._score), self._seen = found, self._now
        face = None if self._box is None else crop(rgb, self._box, self.input.face_size, self.faces.margin)
        held = self._box is not None and found is None
        return View(face, self._box, self._score, held)

    def _follow(self, rgb: Picture) -> tuple[Box, float] | None:
        """The face near its last box, without a search; None where it is not there, or a search is due."""
        if self._box is None or self._now - self._searched > self.faces.detect_every_s - 1e-6:
            return None
        return self.detector.follow(rgb, self._box)

    def _search(self, rgb: Picture) -> tuple[Box, float] | None:
        """The face among all that are in the picture."""
        boxes, scores = self.detector.detect(rgb)
        self._searched = self._now
        chosen = self._choose(boxes)
        if chosen is None:
            return None
        found = _box(boxes[chosen]), float(scores[chosen])
        # A search's box and a followed one differ a little: without this a still face would twitch at every search.
        return (self.detector.follow(rgb, found[0]) if self.faces.detect_every_s else None) or found

    def _choose(self, boxes: Floats) -> int | None:
        """Which of the boxes (the largest first) is the face that is followed; None where it is not among them."""
        if not len(boxes) or self._box is None:
            return 0 if len(boxes) else None
        last = np.array(self._box, np.float32)
        size, last_size = boxes[:, 2:] - boxes[:, :2], last[2:] - last[:2]
        low, high = np.maximum(boxes[:, :2], last[:2]), np.minimum(boxes[:, 2:], last[2:])
        shared = np.maximum(high - low, 0).prod(1)
        overlap = shared / (size.prod(1) + last_size.prod() - shared)
        if overlap.max() >= SAME_FACE_IOU:
            return int(overlap.argmax())
        side, last_side = size.max(1), last_size.max()
        way = np.hypot(*((boxes[:, :2] + boxes[:, 2:] - last[:2] - last[2:]) / 2).T)
        step = way / np.minimum(side, last_side)
        growth = np.maximum(side, last_side) / np.minimum(side, last_side)
        step[growth > SAME_FACE_GROWTH] = np.inf
        return int(step.argmin()) if step.min() <= SAME_FACE_STEP else None


def crop(rgb: Picture, box: Box, size: int, margin: float) -> Picture:
    """The square around a box, uint8 [size, size, 3].

    Args:
        rgb: uint8 [H, W, 3].
        box: x1 y1 x2 y2 in pixels; it may reach beyond the picture, whose edge is then repeated outwards.
        size: side of the crop, pixels.
        margin: added on each side, as a share of the box's longer side, which becomes the square's.
    """
    x1, y1, x2, y2 = box
    side = max(1, round(max(x2 - x1, y2 - y1) * (1 + 2 * margin)))
    left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
    if 0 <= left <= rgb.shape[1] - side and 0 <= top <= rgb.shape[0] - side:  # nothing to repeat, so nothing to copy
        return shrink(rgb[top : top + side, left : left + side], size)
    columns = np.clip(np.arange(left, left + side), 0, rgb.shape[1] - 1)
    rows = np.clip(np.arange(top, top + side), 0, rgb.shape[0] - 1)
    return shrink(rgb[rows][:, columns], size)


def shrink(rgb: Picture, size: int) -> Picture:
    """The whole picture as uint8 [size, size, 3], its aspect not kept; each pixel is the mean of what it covers."""
    smaller = min(rgb.shape[:2]) >= size
    made: Picture = cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return made
