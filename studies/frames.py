"""The pictures of a corpus's extracted clips, one after the other, as a camera would give them."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from mmer.data.samples import FramesReader
from mmer.runtime.types import Picture


def pictures(frames: FramesReader) -> Iterator[tuple[int, Picture, float]]:
    """Of each step that has a picture: its number, the picture (uint8 [H, W, 3] RGB) and its time, seconds."""
    for step, jpeg in enumerate(frames.jpegs()):
        if not jpeg:
            continue
        bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert bgr is not None  # it was written by us
        yield step, np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), float(frames.times[step])
