"""A file that cannot be used: which, why, and of what kind the trouble is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mmer.errors import MmerError
from mmer.runtime.config import Media

Code = Literal[
    "empty", "not_media", "refused", "truncated", "no_stream", "too_long", "too_large", "timeout", "no_ffmpeg"
]


class MediaError(MmerError, ValueError):
    """A file that cannot be used; says which, why, and of what kind the trouble is."""

    def __init__(self, code: Code, path: Path, reason: str) -> None:
        super().__init__(code, path, reason)
        self.code = code
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path.name}: {self.reason}"


def too_long(path: Path, media: Media, length: str) -> MediaError:
    most = f"{media.max_duration_s:g}"
    cut = f"ffmpeg -ss 0 -t {most} -i in.mp4 -c copy part.mp4"
    reason = f"lasts {length}; at most {most} s are taken: ask for a part of it (start, end), or cut it (`{cut}`)"
    return MediaError("too_long", path, reason)
