"""Images, still and animated, by Pillow: ordinary ones in this process, all others in one with limits."""

from __future__ import annotations

import json
import math
import mmap
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mmer.runtime import images
from mmer.runtime.config import Media
from mmer.runtime.grid import step_count
from mmer.runtime.media.errors import MediaError, too_long
from mmer.runtime.media.laborious import is_laborious
from mmer.runtime.media.process import Process
from mmer.runtime.media.types import Decoded, Probe
from mmer.runtime.types import OnPicture, Picture


def image_format(path: Path) -> images.Format | None:
    """Which image the first bytes are of, or None.

    Raises:
        MediaError: there is no such file, or nothing in it.
    """
    try:
        if not path.is_file():
            raise MediaError("not_media", path, "is no file" if path.exists() else "does not exist")
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise MediaError("not_media", path, f"cannot be read: {error.strerror}") from None
    if not head:
        raise MediaError("empty", path, "is empty: the recording or the copy failed")
    return images.format_of(head)


def probe_image(path: Path, media: Media, name: images.Format) -> Probe:
    """Size from the header alone: a small file can claim a picture that fills the memory."""
    if name in ("JPEG", "PNG"):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if is_laborious(content):
                raise MediaError("too_large", path, "is made of too many parts")
        try:
            width, height, moves = images.shape(str(path), name)
        except images.Bomb as error:
            raise MediaError("too_large", path, str(error)) from None
        except Exception as error:  # Pillow raises whatever a broken file leads to
            raise _unreadable(path, {"reason": str(error)}) from None
    else:
        told = _run_images(path, media, name, _Frames(path, media, 1.0, lambda *_: None, 0.0, None)).shape
        width, height, moves = told["width"], told["height"], told["animated"]
    return Probe(0.0, width, height, True, False, not moves, image=name)


def decode_image(
    path: Path,
    media: Media,
    shown: Probe,
    step_s: float,
    on_picture: OnPicture,
    start_s: float,
    end_s: float | None,
) -> Decoded:
    """An image: in this process an ordinary jpeg or png, else by the images' program."""
    assert shown.image is not None
    nothing = np.empty(0, np.int16)
    if shown.is_image and shown.image in ("JPEG", "PNG") and shown.width * shown.height <= media.max_pixels:
        try:
            picture = np.array(images.still(str(path), shown.image, media.frame_side))
        except Exception as error:  # see above
            raise _damaged(path, str(error)) from None
        on_picture(0, 0.0, picture)
        return Decoded(1, nothing, np.zeros(1, np.float32), step_s, is_image=True)
    frames = _Frames(path, media, step_s, on_picture, start_s, end_s)
    _run_images(path, media, shown.image, frames, side=media.frame_side, seconds=start_s + media.max_duration_s)
    if shown.is_image:
        if frames.still is None:
            raise _damaged(path, "no picture")
        on_picture(0, 0.0, frames.still)
        return Decoded(1, nothing, np.zeros(1, np.float32), step_s, is_image=True)
    if not frames.end or not frames.placed:
        raise MediaError("truncated", path, "ends before a picture of it, or of its part, is due")
    steps = step_count(frames.end, step_s)
    times = np.array([frames.placed.get(step, np.nan) for step in range(steps)], np.float32)
    return Decoded(steps, nothing, times, frames.end)


class _Frames:
    """Receives what the images' program writes, and gives each step its picture."""

    def __init__(
        self, path: Path, media: Media, step_s: float, on_picture: OnPicture, start_s: float, end_s: float | None
    ) -> None:
        self.placed: dict[int, float] = {}
        self.shape: dict[str, Any] = {}
        self.end: float | None = None
        """Of the last picture, seconds; None before it is known."""
        self.still: Picture | None = None
        self._path, self._media, self._step_s, self._on_picture = path, media, step_s, on_picture
        self._start, self._stop = start_s, math.inf if end_s is None else end_s
        self._bytes = bytearray()
        self._count = 0
        self._last: tuple[float, Picture] | None = None

    def take(self, chunk: bytes) -> None:
        """A line of JSON, then pictures."""
        self._bytes += chunk
        if not self.shape:
            line, newline, rest = self._bytes.partition(b"\n")
            if not newline:
                return
            self.shape, self._bytes = json.loads(line), rest
        while len(self._bytes) >= images.HEAD.size:
            at, width, height = images.HEAD.unpack_from(self._bytes)
            if at < 0:  # what is wrong follows
                return
            if len(self._bytes) < images.HEAD.size + 3 * width * height:
                return
            pixels = self._bytes[images.HEAD.size : images.HEAD.size + 3 * width * height]
            del self._bytes[: images.HEAD.size + 3 * width * height]
            self._see(at, np.frombuffer(pixels, np.uint8).reshape(height, width, 3))

    def close(self) -> None:
        """See that all has come.

        Raises:
            MediaError: the image is broken.
        """
        if not self.shape:
            raise _damaged(self._path, "the decoder gave up")
        if "wrong" in self.shape:
            raise _unreadable(self._path, self.shape)
        if self._bytes[: images.HEAD.size] == images.HEAD.pack(-1.0, 0, 0):
            said = bytes(self._bytes[images.HEAD.size :]).decode(errors="replace").replace(str(self._path), "")
            raise _damaged(self._path, said)

    def _see(self, at: float, picture: Picture) -> None:
        if not self.shape["animated"]:
            self.still = picture
            return
        self._count += 1
        if self._count > self._media.max_fps * (at + 1) + 1:
            raise MediaError("too_large", self._path, f"has more than {self._media.max_fps:g} pictures a second")
        now, ended = min(at, self._stop) - self._start, at >= self._stop or not picture.size
        if now > self._media.max_duration_s:
            raise too_long(self._path, self._media, "more")
        while self._last is not None:
            step = len(self.placed)
            due = (step + 1) * self._step_s
            if due > now + 1e-6 or (due > now - 1e-6 and not ended):
                break
            self._place(step)
        if picture.size:
            self._last = max(0.0, now), picture
        elif self._last is not None and now > 0 and not self.placed:
            self._place(0)
        if ended:
            self.end = max(0.0, now)

    def _place(self, step: int) -> None:
        assert self._last is not None
        self.placed[step] = self._last[0]
        self._on_picture(step, *self._last)


def _run_images(path: Path, media: Media, name: images.Format, frames: _Frames, **limits: float) -> _Frames:
    """Run the images' program; `limits` are none where only the shape is wanted."""
    given = json.dumps({"pixels": media.max_image_pixels, "rate": media.max_fps, **limits})
    # -P: what lies beside the program (types.py) is not what Python's own modules mean by that name.
    command = [sys.executable, "-P", images.__file__, str(path.absolute()), name, given]
    with Process(path, media) as process:
        process.run(command, frames.take, _failed)
    frames.close()
    return frames


def _failed(path: Path, complaints: str) -> MediaError:
    """Of the images' program that did not end by itself."""
    if "MemoryError" in complaints:
        return MediaError("too_large", path, "needs too much memory: make the image smaller")
    return _damaged(path, (complaints.strip().splitlines() or ["the decoder gave up"])[-1])


def _unreadable(path: Path, told: dict[str, Any]) -> MediaError:
    if told.get("wrong") == "no reader":
        reason = (
            "is a HEIC picture, which needs pi-heif here (`pip install pi-heif`): or export it as JPEG (iPhone: "
            "Settings, Camera, Formats, Most Compatible)"
        )
        return MediaError("not_media", path, reason)
    reason = str(told["reason"]).replace(str(path.absolute()), path.name).replace(str(path), path.name)
    return MediaError("not_media", path, f"starts as an image, but cannot be read: {reason}")


def _damaged(path: Path, reason: str) -> MediaError:
    return MediaError("truncated", path, f"breaks off or is damaged: {reason}")
