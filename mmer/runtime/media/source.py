"""A file as ffmpeg's input, with every guard before it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ffmpeg

from mmer.runtime.config import Media
from mmer.runtime.media.kinds import CONTAINERS
from mmer.runtime.media.types import Probe

_STREAMS = 128
"""A film with all its languages has some fifty."""


def input_of(path: Path, media: Media, probed: Probe, start_s: float, end_s: float | None) -> Any:
    """ffmpeg's input, with every guard before it. One thread: workers and requests are what runs side by side."""
    part = {"ss": f"{start_s:.6f}"} if start_s else {}
    part |= {"t": f"{end_s - start_s:.6f}"} if end_s is not None else {}
    name = os.fsencode(url(path, probed.bytes))  # bytes: a name may be no text, which ffmpeg-python cannot hash
    return ffmpeg.input(name, **guards(media, probed.bytes), **part, threads=1)


def guards(media: Media, size: int | None) -> dict[str, Any]:
    return {
        "protocol_whitelist": "file" if size is None else "file,subfile",
        "format_whitelist": CONTAINERS,
        "max_pixels": media.max_pixels,
        "max_streams": _STREAMS,
    }


def url(path: Path, size: int | None = None) -> str:
    """A name that ffmpeg takes for a local file or its beginning, whatever it looks like (`-x.mp4`, `concat:a|b`)."""
    file = f"file:{path.absolute()}"
    return file if size is None else f"subfile,,start,0,end,{size},,:{file}"
