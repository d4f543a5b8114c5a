"""What a common file probably holds, by a glance at its header: enough to start ffmpeg on it at once.

A glance may be wrong, and hostile files see to it that it is. So what ffmpeg then says of its input decides (`Banner`),
before anything is handed out: where that is not just what was glanced, the file is probed first, as any other is.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mmer.runtime.media.complaints import failed
from mmer.runtime.media.errors import MediaError
from mmer.runtime.media.joined import boxes, first_recording
from mmer.runtime.media.kinds import EBML
from mmer.runtime.media.types import Probe

_HEAD = 1 << 14
"""Bytes of a Matroska, WebM or FLV file in which its tracks are told."""
_INDEX = 1 << 23
"""Of the index of an mp4: that of an hour has some hundred thousand."""
_BANNER = 1 << 16
"""Of what ffmpeg says of its input: some two thousand are usual."""

_FILMED = re.compile(rb"(?:avc1|avc3|hvc1|hev1|mp4v|vp09|av01)\x00{6}\x00\x01.{16}(..)(..)", re.DOTALL)
_LYING = re.compile(rb"tkhd\x00.{39}\x00{4}", re.DOTALL)
"""Of a track that is turned by a quarter: its matrix begins with 0."""
_SIZE, _CODEC = re.compile(rb"\xb0\x82(..)\xba\x82(..)", re.DOTALL), re.compile(rb"\x86.A_[A-Z]", re.DOTALL)
_SIDES = [re.compile(name + rb"\x00(.{8})", re.DOTALL) for name in (b"\x05width", b"\x06height")]
"""Of an FLV, as numbers of its script."""

_DURATION = re.compile(r"\[info\]   Duration: (?:(\d+):(\d\d):(\d\d\.\d\d)|N/A)(?:, .*)?")
_STREAM = re.compile(r"\[info\]   Stream #0:\d+(?:\[\w+\])?(?:\(\w+\))?: (Video|Audio): (.*)")
_PICTURE = re.compile(r", (\d+)x(\d+)(?: \[SAR 1:1 DAR \d+:\d+\])?(?:, |$)")
_SOUND = re.compile(r", \d+ Hz, (mono|stereo), \w+")
_TURNED = re.compile(r"\[info\]       displaymatrix: rotation of (-?\d+\.\d+) degrees")
_UNCOMMON = re.compile(
    r"o: none|attached pic|top |bottom |smpte2084|arib-std-b67|SAR (?!1:1 )|^\[info\] +rotate +:|Estimating dur"
)
"""What only ffprobe tells well enough."""


def glance(path: Path) -> Probe | None:
    """What a file probably holds, its length apart; None where it is none of the common ones, or joined of several."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = _held(content)
    return None if found is None or first_recording(path) else found


def _held(content: mmap.mmap) -> Probe | None:
    if content[4:8] == b"ftyp":
        index = next(
            (content[at : at + min(size, _INDEX)] for at, size, kind in boxes(content) if kind == b"moov"), b""
        )
        found = _one_each(_FILMED.findall(index), index.count(b"smhd"))
        return replace(found, width=found.height, height=found.width) if found and _LYING.search(index) else found
    if content[:4] == EBML:
        head = content[:_HEAD]
        return _one_each(_SIZE.findall(head), len(_CODEC.findall(head)))
    if content[:3] == b"FLV":
        told = [side.search(content[:_HEAD]) for side in _SIDES]
        numbers = [struct.unpack(">d", side[1])[0] for side in told if side]
        if len(numbers) < 2 or not all(1 <= number < 1 << 16 for number in numbers):  # a number may be none
            return None
        width, height = (int(number).to_bytes(2, "big") for number in numbers)
        return _one_each([(width, height)], content[4] >> 2 & 1)
    return _one_each([], int(content[:4] == b"fLaC" or (content[:4] == b"RIFF" and content[8:12] == b"WAVE")))


def _one_each(sizes: list[tuple[bytes, bytes]], sounds: int) -> Probe | None:
    """A probe of at most one picture and one sound (of two channels, which is the most that is taken apart); None of
    more, or of neither.
    """
    if len(sizes) > 1 or sounds > 1 or not (sizes or sounds):
        return None
    width, height = (int.from_bytes(side, "big") for side in sizes[0]) if sizes else (0, 0)
    return Probe(0.0, width, height, bool(sizes), bool(sounds), False, channels=2 * sounds)


class UnlikeError(Exception):
    """A file is not what it was at a glance."""


class Banner:
    """Listens to what ffmpeg says of its input (`-v level+info`) before it begins to decode.

    Args:
        glanced: what its command rests on.
        within: what of that is wanted, and whether it is within the limits; raises a MediaError where it is not.
        accept: called with that, once it is sure.
    """

    def __init__(self, glanced: Probe, within: Callable[[Probe], Probe], accept: Callable[[Probe], None]) -> None:
        self._glanced, self._within, self._accept = glanced, within, accept
        self._found: Probe | None = None
        self._said = b""

    def take(self, chunk: bytes) -> None:
        """More of what is said.

        Raises:
            UnlikeError: it is not what was glanced, or to be refused, which is for the probe to say.
        """
        if self._found is not None:
            return
        self._said += chunk
        text, mapping, _ = self._said.decode(errors="replace").partition("\n[info] Stream mapping:\n")
        if mapping:
            try:
                self._found = self._within(_confirmed(self._glanced, text.split("\n")))
            except MediaError:
                raise UnlikeError from None
            self._accept(self._found)
        elif len(self._said) > _BANNER:
            raise UnlikeError

    def confirmed(self) -> Probe:
        """What was glanced, and the length.

        Raises:
            UnlikeError: nothing is confirmed.
        """
        if self._found is None:
            raise UnlikeError
        return self._found

    def guard(self, sink: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """A sink of what is decoded, into which nothing goes before all is confirmed."""

        def take(chunk: bytes) -> None:
            self.confirmed()
            sink(chunk)

        return take

    def failed(self, path: Path, said: str) -> Exception:
        """Of an ffmpeg that failed."""
        errors = (line for line in said.splitlines() if "[error] " in line or "[fatal] " in line)
        told = "\n".join(re.sub(r"\[(error|fatal)\] ", "", line, count=1) for line in errors)
        return failed(path, told) if self._found else UnlikeError()


def _confirmed(glanced: Probe, banner: list[str]) -> Probe:
    """What was glanced, with its length, by the lines that ffmpeg says of its input.

    Raises:
        UnlikeError: they say anything else, or more.
    """
    durations = [found.groups() for line in banner if (found := _DURATION.fullmatch(line))]
    streams = [found.groups() for line in banner if (found := _STREAM.fullmatch(line))]
    pictures = [_PICTURE.search(told) for kind, told in streams if kind == "Video"]
    sounds = [_SOUND.search(told) for kind, told in streams if kind == "Audio"]
    if len(durations) != 1 or len(pictures) > 1 or len(sounds) > 1 or any(_UNCOMMON.search(line) for line in banner):
        raise UnlikeError
    width, height = (int(side) for found in pictures if found for side in found.groups()) if any(pictures) else (0, 0)
    if any(abs(float(found[1])) in (90, 270) for line in banner if (found := _TURNED.fullmatch(line))):
        width, height = height, width
    channels = sum(1 if found[1] == "mono" else 2 for found in sounds if found)
    hours, minutes, seconds = (float(part or 0) for part in durations[0])
    said = Probe(0.0, width, height, any(pictures), any(sounds), False, channels=glanced.channels)
    if said != glanced or None in (*pictures, *sounds):
        raise UnlikeError
    return replace(said, channels=channels, duration_s=3600 * hours + 60 * minutes + seconds)
