"""Pictures on the grid of steps, from ffmpeg."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from mmer.runtime.config import Media
from mmer.runtime.grid import step_count
from mmer.runtime.media.errors import MediaError, too_long
from mmer.runtime.media.types import Probe
from mmer.runtime.tonemap import ToneMap
from mmer.runtime.types import OnPicture, Picture


class Grid:
    """Receives every picture's time and the pictures that ffmpeg's fps filter chose, and gives each its step.

    The filter passes, for each grid point n, the newest picture that is not later than n steps, which is our rule, but
    hides when that picture was due; so the times come beside it, one line a picture, and last of all the end.
    """

    def __init__(self, path: Path, media: Media, step_s: float, shown: Probe, on_picture: OnPicture) -> None:
        self.placed: dict[int, float] = {}
        self._path, self._media, self._step_s, self._on_picture = path, media, step_s, on_picture
        self._shape = _shrunk(shown.width, shown.height, media.frame_side)
        self._interlaced = shown.interlaced
        self._tone_map = ToneMap(shown.transfer) if shown.transfer else None
        self._times: list[int] = []
        self._decoded = 0
        self._line = b""
        self._bytes = bytearray()
        self._waiting: deque[tuple[int, Picture]] = deque()
        self._count = 0
        self._last: Picture | None = None

    def output(self, source: Any, times: str, pictures: str) -> Any:
        """ffmpeg's branch from the source to the two pipes."""
        height, width, _ = self._shape
        whole = source["V:0"]  # not cover art
        if self._interlaced:  # its halves show two moments
            whole = whole.filter("yadif", deint="interlaced")
        chosen = (
            whole.filter("settb", "1/1000000")
            .filter("tpad", stop=1, stop_mode="clone")  # one more, at the end, so that a step just there is met
            .filter("metadata", "add", key="mmer", value="1")
            .filter("metadata", "print", key="mmer", file=times, direct=1)
            .filter("fps", fps=f"1/{self._step_s!r}", round="up", start_time=0)
            .filter("scale", width, height, flags="area+accurate_rnd+full_chroma_int")  # without, 2 of 255 too dark
        )
        depth = "rgb48le" if self._tone_map else "rgb24"
        return chosen.output(pictures, format="rawvideo", pix_fmt=depth, fps_mode="passthrough")

    def take_times(self, chunk: bytes) -> None:
        """Lines such as `frame:3 pts:100000 pts_time:0.1`, in microseconds by our time base."""
        *lines, self._line = (self._line + chunk).split(b"\n")
        for line in lines:
            if found := re.search(rb"\bpts:(-?\d+)", line):
                self._decoded += 1
                self._times.append(max(int(found[1]), self._times[-1] if self._times else 0))  # a clock may jump back
        if self._times and self._decoded > self._media.max_fps * (self._times[-1] / 1e6 + 1):
            reason = f"has more than {self._media.max_fps:g} pictures a second"
            raise MediaError("too_large", self._path, reason)
        self._place()

    def take_pictures(self, chunk: bytes) -> None:
        """Raw RGB, picture after picture, from grid point 0."""
        self._bytes += chunk
        size = int(np.prod(self._shape)) * (2 if self._tone_map else 1)
        while len(self._bytes) >= size:
            pixels = self._bytes[:size]
            del self._bytes[:size]
            if self._tone_map:
                picture = self._tone_map(np.frombuffer(pixels, "<u2").reshape(self._shape))
            else:
                picture = np.frombuffer(pixels, np.uint8).reshape(self._shape)
            if self._count * self._step_s > self._media.max_duration_s + 1:
                raise too_long(self._path, self._media, "more")
            self._waiting.append((self._count, picture))
            self._count += 1
        self._place()

    def close(self) -> float:
        """Place what is left; returns the end of the last picture in seconds, 0 where there is none."""
        if not self._times:
            return 0.0
        end = self._times.pop()  # tpad's copy; the filter lets it stand a while, we do not
        self._waiting = deque(waiting for waiting in self._waiting if self._point(waiting[0]) <= end)
        self._place(ended=True)
        if not self.placed and self._last is not None and self._times:
            self._hand_out(step_count(end / 1e6, self._step_s) - 1, self._times[0], self._last)
        return end / 1e6

    def _place(self, ended: bool = False) -> None:
        """Hand out the pictures whose time is sure, because a later one is known."""
        while self._waiting and (ended or (self._times and self._times[-1] > self._point(self._waiting[0][0]))):
            point, self._last = self._waiting.popleft()
            known = bisect_right(self._times, self._point(point))
            if point and known:
                del self._times[: known - 1]  # no later point looks back further: an hour would be 108,000
                self._hand_out(point - 1, self._times[0], self._last)

    def _hand_out(self, step: int, microseconds: int, picture: Picture) -> None:
        self.placed[step] = microseconds / 1e6
        self._on_picture(step, microseconds / 1e6, picture)

    def _point(self, number: int) -> int:
        return round(number * self._step_s * 1e6)


def _shrunk(width: int, height: int, frame_side: int) -> tuple[int, int, int]:
    """Shape [H, W, 3] of a picture whose long side is at most `frame_side`."""
    scale = min(1.0, frame_side / max(width, height, 1))
    return max(1, round(height * scale)), max(1, round(width * scale)), 3
