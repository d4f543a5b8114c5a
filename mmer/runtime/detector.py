"""Faces found in a picture: MTCNN without torch.

The same code runs when data are prepared and when the model serves. The cascade is that of Zhang et al. 2016, "Joint
Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", and gives the boxes of facenet-pytorch's
`MTCNN(keep_all=True).detect` to the pixel; where a detail looks odd (pixels counted from 1, some widths with + 1 and
some without), it is kept from there on purpose, because the networks were trained with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmer.runtime.boxes import as_box, longer, rotate, shift, square, steadied, suppress, suppress_nested
from mmer.runtime.config import Faces
from mmer.runtime.means import cut, integral, mean_pool, normalised
from mmer.runtime.resize import read
from mmer.runtime.types import Box, Floats, Picture, check_picture

WINDOW = 12
"""Side of the window that the P-Net judges, pixels of a level of the pyramid; the smallest face it can see."""
LANDMARKS = "landmarks"
"""The O-Net's output that says where eyes, nose and mouth are."""
STRIDE = 2
"""Between two windows of the P-Net, pixels of a level."""
FACTOR = 0.709
"""From one level of the pyramid to the next: half the area."""
BATCH = 64
"""Crops judged at once: bounds the memory that a frame full of texture takes."""

TREMBLE = 0.06
"""Of its side: where the edges of a followed box move by less, it goes with them only in part. So much does the O-Net's
answer tremble (docs/preparing.md)."""


class Face(NamedTuple):
    """One face."""

    box: Box
    score: float
    """The O-Net's."""
    landmarks: Floats
    """float32 [5, 2]: x and y of both eyes (the left one of the picture first), the nose and both corners of the mouth,
    in pixels; [0, 2] where `faces.align` is not set."""


class Detections(NamedTuple):
    """All faces of a picture, the largest first."""

    boxes: Floats
    """float32 [n, 4]."""
    scores: Floats
    """The O-Net's, float32 [n]."""
    landmarks: Floats
    """float32 [n, 5, 2], or [n, 0, 2]: see `Face`."""

    def face(self, k: int) -> Face:
        """One of them."""
        return Face(as_box(self.boxes[k]), float(self.scores[k]), self.landmarks[k])


class Detector:
    """The cascade of MTCNN's three networks in onnxruntime, one thread each. It keeps nothing between calls and can be
    pickled, so that threads may share it and worker processes may be sent it."""

    def __init__(self, folder: Path, faces: Faces) -> None:
        self.folder, self.faces = folder, faces
        self._pnet, self._rnet, self._onet = (_session(folder / f"{name}.onnx") for name in ("pnet", "rnet", "onet"))
        if faces.align and LANDMARKS not in {port.name for port in self._onet.get_outputs()}:
            raise ValueError(
                f"{folder / 'onet.onnx'} gives no landmarks, by which faces are aligned (faces.align): write it with "
                "`python -m stages.detector`"
            )

    @classmethod
    def load(cls, folder: Path, faces: Faces) -> Detector:
        """Load `pnet.onnx`, `rnet.onnx` and `onet.onnx`, as `python -m stages.detector` writes them.

        Raises:
            FileNotFoundError: one of them is missing.
            ValueError: one of them is no ONNX graph, or gives no landmarks where `faces.align` is set.
        """
        return cls(folder, faces)

    def __reduce__(self) -> tuple[type[Detector], tuple[Path, Faces]]:
        return Detector, (self.folder, self.faces)

    def detect(self, rgb: Picture) -> Detections:
        """Find all faces of at least `min_face` pixels.

        Args:
            rgb: uint8 [H, W, 3], any H and W; one smaller than `min_face` on a side has no faces.

        Raises:
            ValueError: `rgb` is no such array.
        """
        check_picture(rgb)
        sums = integral(rgb)
        boxes = self._propose(sums)
        boxes = self._refine(sums, boxes)
        boxes, scores, landmarks = self._decide(sums, boxes)
        area = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64).prod(1)
        order = area.argsort()[::-1]
        return Detections(boxes[order], scores[order], landmarks[order])

    def follow(self, rgb: Picture, last: Box, roll: float = 0.0) -> Face | None:
        """Find a face again near where it was a moment ago, by the R- and the O-Net alone, in a tenth of the time.

        Args:
            rgb: uint8 [H, W, 3].
            last: its box in the picture before.
            roll: its roll there, degrees. The networks, which know upright faces, are shown the picture turned back by
                it; what is returned is of the picture as it is.

        Returns:
            None where one of the networks sees no face there, or what it sees is smaller than `min_face`.

        Raises:
            ValueError: `rgb` is no such array.
        """
        check_picture(rgb)
        near = self._ask(self._rnet, 24, rgb, last, roll)
        if near is None or near.score <= self.faces.thresholds[1]:
            return None
        found = self._ask(self._onet, 48, rgb, near.box, roll, self.faces.align)
        if found is None or found.score <= self.faces.thresholds[2]:
            return None
        found = found._replace(box=steadied(last, found.box, TREMBLE))
        return found if longer(found.box) >= self.faces.min_face else None

    def _ask(
        self, network: Any, size: int, rgb: Picture, box: Box, roll: float, landmarks: bool = False
    ) -> Face | None:
        """What a network sees in the square about a box; None where its middle lies outside the picture. The square is
        laid on whole pixels, so that a hair's breadth makes no difference, and what is answered counts from there.
        """
        middle, side = np.round([box[0] + box[2], box[1] + box[3]]) / 2, float(round(longer(box)))
        if not (0 <= middle[0] <= rgb.shape[1] and 0 <= middle[1] <= rgb.shape[0]):
            return None
        image = read(rgb, middle[0] - 1, middle[1] - 1, side + 1, size, roll)  # pixels counted from 1
        wanted = ["offsets", "scores", *([LANDMARKS] if landmarks else [])]
        offsets, scores, *shares = network.run(wanted, {"images": normalised(image)})
        # All about the middle of the square, which is upright there; then turned as it lies in the picture.
        corners = np.array([[-side], [side]]) / 2 + offsets.reshape(2, 2) * (side + 1)
        at, reach = middle + rotate(corners.mean(0), roll), (corners[1] - corners[0]) / 2
        points = np.empty((0, 2), np.float32)
        for placed in shares:  # of the square's sides: first all x, then all y
            turned = rotate(placed.reshape(2, 5).T * (side + 1) - side / 2 - 1, roll)
            points = (middle + turned).astype(np.float32)
        return Face(as_box(np.concatenate([at - reach, at + reach])), float(scores[0, 1]), points)

    def _propose(self, sums: npt.NDArray[np.int32]) -> Floats:
        """First stage: the P-Net slides over the pyramid of shrunk pictures. Gives square boxes [n, 4]."""
        height, width = sums.shape[1] - 1, sums.shape[2] - 1
        scale = WINDOW / self.faces.min_face
        shortest = min(height, width) * scale
        found = [(np.empty((0, 4), np.float32), np.empty((0, 4), np.float32), np.empty(0, np.float32))]
        while shortest >= WINDOW:
            level = mean_pool(sums, int(height * scale + 1), int(width * scale + 1))
            offsets, scores = self._pnet.run(["offsets", "scores"], {"images": level})
            y, x = np.nonzero(scores[0, 1] >= self.faces.thresholds[0])
            corner = STRIDE * np.stack([x, y], 1).astype(np.float32)
            boxes = np.concatenate([np.floor((corner + 1) / scale), np.floor((corner + WINDOW) / scale)], 1)
            kept = suppress(boxes, scores[0, 1, y, x], 0.5)
            y, x = y[kept], x[kept]
            found.append((boxes[kept], offsets[0, :, y, x], scores[0, 1, y, x]))
            scale *= FACTOR
            shortest *= FACTOR
        boxes, offsets, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        kept = suppress(boxes, scores, 0.7)
        return square(shift(boxes[kept], offsets[kept], 0))

    def _refine(self, sums: npt.NDArray[np.int32], boxes: Floats) -> Floats:
        """Second stage: the R-Net rejects most of the proposals and moves the others. Square boxes [n, 4]."""
        boxes, offsets, scores, _ = _judge(self._rnet, 24, sums, boxes, self.faces.thresholds[1])
        kept = suppress(boxes, scores, 0.7)
        return square(shift(boxes[kept], offsets[kept], 1))

    def _decide(self, sums: npt.NDArray[np.int32], boxes: Floats) -> Detections:
        """Third stage: the O-Net."""
        boxes, offsets, scores, landmarks = _judge(
            self._onet, 48, sums, boxes, self.faces.thresholds[2], self.faces.align
        )
        boxes = shift(boxes, offsets, 1)
        kept = suppress_nested(boxes, scores, 0.7)
        return Detections(boxes[kept], scores[kept], landmarks[kept])


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


def _judge(
    network: Any, side: int, sums: npt.NDArray[np.int32], boxes: Floats, threshold: float, landmarks: bool = False
) -> tuple[Floats, Floats, Floats, Floats]:
    """Cut the boxes out, shrink them to `side` and ask the network.

    Returns:
        The boxes that score above the threshold [n, 4], the offsets of their sides [n, 4], their scores [n] and,
        where they are wanted, their landmarks [n, 5, 2] (else [n, 0, 2]).
    """
    height, width = sums.shape[1] - 1, sums.shape[2] - 1
    pixels = boxes.astype(np.intp)  # towards zero
    left, top = np.maximum(pixels[:, :2], 1).T - 1
    right, bottom = np.minimum(pixels[:, 2:], (width, height)).T
    inside = (right > left) & (bottom > top)
    boxes, edges = boxes[inside], np.stack([left, top, right, bottom], 1)[inside]
    offsets, scores = np.empty((len(boxes), 4), np.float32), np.empty(len(boxes), np.float32)
    points = np.empty((len(boxes), 5 if landmarks else 0, 2), np.float32)
    wanted = ["offsets", "scores", *([LANDMARKS] if landmarks else [])]
    for start in range(0, len(boxes), BATCH):
        part = slice(start, start + BATCH)
        moved, probabilities, *placed = network.run(wanted, {"images": cut(sums, edges[part], side)})
        offsets[part], scores[part] = moved, probabilities[:, 1]
        for shares in placed:  # of the box's sides: first all x, then all y
            corner, sides = boxes[part, None, :2], boxes[part, None, 2:] - boxes[part, None, :2] + 1
            points[part] = corner - 1 + sides * shares.reshape(-1, 2, 5).transpose(0, 2, 1)
    passed = scores > threshold
    return boxes[passed], offsets[passed], scores[passed], points[passed]
