"""Images of so many parts that reading them would take minutes, whatever their size says."""

from __future__ import annotations

import mmap
import re

_SCANS, _PARTS = 100, 50_000
"""Of an image: a progressive jpeg has ten or so scans, and each of a million empty ones would draw the whole picture; a
large png has some ten thousand chunks."""

_PNG = b"\x89PNG\r\n\x1a\n"

_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")


def is_laborious(image: bytes | mmap.mmap) -> bool:
    """Whether a jpeg or png is made of so many parts that reading it would take minutes, whatever its size says.

    Nothing can end Pillow or OpenCV once they are at it, so this is asked before.
    """
    return _is_laborious_png(image) if image[:8] == _PNG else _is_laborious_jpeg(image)


def _is_laborious_png(image: bytes | mmap.mmap) -> bool:
    at, chunks = len(_PNG), 0
    while at < len(image) and chunks <= _PARTS:
        at += 12 + int.from_bytes(image[at : at + 4], "big")
        chunks += 1
    return chunks > _PARTS


def _is_laborious_jpeg(image: bytes | mmap.mmap) -> bool:
    at, parts, scans = 2, 0, 0
    while parts <= _PARTS and scans <= _SCANS and (marker := _JPEG_MARKER.search(image, at)):
        parts += 1 if scans else 1 + marker.start() - at  # what lies between segments Pillow reads byte by byte
        kind, at = image[marker.start() + 1], marker.end()
        if kind == 0xD9 and scans:  # the end; a telephone may put a film behind it
            break
        at += int.from_bytes(image[at : at + 2], "big")
        scans += kind == 0xDA
    return parts > _PARTS or scans > _SCANS
