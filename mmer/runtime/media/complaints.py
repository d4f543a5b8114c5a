"""What ffmpeg complained of, as an error for who sent the file."""

from __future__ import annotations

import re
from pathlib import Path

from mmer.runtime.media.errors import Code, MediaError
from mmer.runtime.media.kinds import ACCEPTED, EBML
from mmer.runtime.media.source import url

_CLUSTER = b"\x1fC\xb6u"
"""With which each part of a Matroska or WebM file begins, of some seconds."""

_HEAD = 1 << 20
"""Bytes of a file in which one is looked for."""

_USUAL = re.compile(
    "Invalid data found|Invalid argument|Conversion failed|Could not open codec|Consider increasing|^Error |repeated"
)


def failed(path: Path, complaints: str) -> MediaError:
    """What ffmpeg said, as an error: its last line that tells more than the usual ones."""
    lines = [re.sub(r"^(\[[^\]]* @ 0x[0-9a-f]+\] )+", "", line.strip()) for line in complaints.splitlines()]
    lines = [line.replace(url(path), path.name) for line in lines if line]
    signs: tuple[tuple[str, Code, str], ...] = (
        ("not on whitelist", "refused", f"is of a kind that is not accepted; accepted are {ACCEPTED}"),
        ("moov atom not found", *_without_index(path)),
        ("matches no streams", "no_stream", "lacks a stream"),
        ("Picture size", "too_large", "has too large a picture"),
        ("exceeds max_streams", "too_large", "has too many streams"),
        ("Cannot allocate memory", "too_large", "needs too much memory"),
    )
    for sign, code, meaning in signs:
        if said := [line for line in lines if sign in line]:
            return MediaError(code, path, f"{meaning}; ffmpeg: {said[-1]}")
    if _lacks_header(path):
        reason = "begins in the middle of a recording: join all pieces of it in their order, the first one first"
        return MediaError("truncated", path, reason)
    telling = ([line for line in lines if not _USUAL.search(line)] or lines or ["no reason"])[-1]
    reason = f"cannot be decoded; ffmpeg: {telling}; accepted are {ACCEPTED}"
    return MediaError("not_media", path, reason)


def _without_index(path: Path) -> tuple[Code, str]:
    """Whether what ffmpeg took for an mp4 (by its name) is one that was cut, or none at all."""
    with path.open("rb") as file:
        if file.read(8)[4:] in (b"ftyp", b"moof", b"styp"):
            return "truncated", "breaks off: its index is missing"
    return "not_media", f"is no video, sound or image; accepted are {ACCEPTED}"


def _lacks_header(path: Path) -> bool:
    """Whether a file is a later piece of a WebM, as a browser's MediaRecorder hands them out."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return head[:4] != EBML and _CLUSTER in head
