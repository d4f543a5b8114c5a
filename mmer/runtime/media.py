"""Media files to pictures on the grid of steps and voice at 16 kHz, by ffmpeg, with limits.

A file is untrusted: it is opened as a local file and nothing else, only as one of the accepted containers (ffmpeg would
follow a playlist that calls itself .mp4), within limits of size, length, rate, time and memory. Images are read by
Pillow (`mmer.runtime.images`).
"""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import ffmpeg
import numpy as np
import numpy.typing as npt

from mmer.errors import MmerError
from mmer.runtime import images
from mmer.runtime.config import Media
from mmer.runtime.grid import SAMPLE_RATE, step_count
from mmer.runtime.tonemap import ToneMap, Transfer
from mmer.runtime.types import Note, OnPicture, OnVoice, Picture

Code = Literal[
    "empty", "not_media", "refused", "truncated", "no_stream", "too_long", "too_large", "timeout", "no_ffmpeg"
]

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,asf,mpeg,mpegts,flac,wav,mp3,ogg,aac,amr,aiff,caf,au"
"""What ffmpeg may open, in its own names."""

VIDEO = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".flv", ".wmv", ".mpg", ".mpeg", ".ts", ".3gp")
SOUND = (
    ".wav",
    ".mp3",
    ".m4a",
    ".aac",
    ".ogg",
    ".oga",
    ".opus",
    ".flac",
    ".amr",
    ".aif",
    ".aiff",
    ".caf",
    ".wma",
    ".au",
)
IMAGE = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif")
"""How the names of what is read usually end. What is in a file decides, not its name."""

ACCEPTED = "; ".join(
    f"{kind}: {' '.join(suffix[1:] for suffix in suffixes)}"
    for kind, suffixes in (("video", VIDEO), ("sound", SOUND), ("image", IMAGE))
)

LEAST_WHOLE = 0.9
"""Share of its promised duration that a file must yield; below it, it was cut."""
_STREAMS = 128
"""A film with all its languages has some fifty."""
_SCANS, _PARTS = 100, 50_000
"""Of an image: a progressive jpeg has ten or so scans, and each of a million empty ones would draw the whole picture; a
large png has some ten thousand chunks."""

_PNG = b"\x89PNG\r\n\x1a\n"

_EBML, _CLUSTER = b"\x1aE\xdf\xa3", b"\x1fC\xb6u"
"""With which a Matroska or WebM file begins, and each of its parts of some seconds."""

_LISTEN_S, _TRACKS = 5.0, 16
"""How much of how many sound tracks is heard before one is chosen."""

_BLOCK, _CANCELLED = 1600, 0.1
"""Of a voice in stereo: where in a tenth of a second the sum of the channels has less than a tenth of the louder one's
power, they cancel each other out (a plug half in, a mixer's switch), and the louder one is the voice."""

_RESTARTS = ("mp3", "ogg", "aac", "mpegts", "mpeg")
"""Containers whose sound may go on at another rate, since files of them can be joined by `cat`."""

_LATEST_S = 60.0
"""Of a sound's beginning in them; what begins later is left to ffmpeg, which can say so in pieces."""

_INTERLACED = ("tt", "bb", "tb", "bt")

_TRANSFERS: dict[str, Transfer] = {"smpte2084": "pq", "arib-std-b67": "hlg"}
"""In ffmpeg's names."""

_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_CHUNK = 1 << 20
_COMPLAINTS = 1 << 16
_TOLD = 1 << 20
"""Bytes that ffprobe may tell of a file: some hundreds are usual."""
_USUAL = re.compile(
    "Invalid data found|Invalid argument|Conversion failed|Could not open codec|Consider increasing|^Error |repeated"
)


class MediaError(MmerError, ValueError):
    """A file that cannot be used; says which, why, and of what kind the trouble is."""

    def __init__(self, code: Code, path: Path, reason: str) -> None:
        super().__init__(code, path, reason)
        self.code = code
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path.name}: {self.reason}"


@dataclass(frozen=True)
class Probe:
    """What a file says of itself."""

    duration_s: float
    """Of the longer of picture and sound; 0 where the file does not say (or only guesses)."""
    width: int
    """As shown, that is after rotation and with square pixels; 0 without a picture."""
    height: int
    has_picture: bool
    """Moving pictures or an image; cover art of a song is none."""
    has_sound: bool
    """A sound track, which may be silent."""
    is_image: bool
    """A still one; an animated one has a duration and is none."""
    image: images.Format | None = None
    """What Pillow reads; None is what ffmpeg reads."""
    track: int = 0
    """Of the sound, among the file's sound tracks."""
    channels: int = 0
    begins_s: float | None = None
    """When the sound begins, where it could go on at another rate."""
    transfer: Transfer | None = None
    """Of a high dynamic range."""
    interlaced: bool = False
    bytes: int | None = None
    """Of the first recording, where another one was joined to it."""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Decoded:
    """What decoding leaves, beside the pictures it handed out."""

    steps: int
    """T, over the longer of picture and sound."""
    voice: npt.NDArray[np.int16]
    """[N] at 16 kHz mono, from the same zero as the pictures."""
    picture_times: npt.NDArray[np.float32]
    """Presentation time of the picture used in each step, seconds [T]; NaN where there is none."""
    duration_s: float
    """Of the longer of picture and sound, as decoded; one step for an image."""
    is_image: bool = False
    notes: tuple[Note, ...] = ()
    """What the sender should know: of two joined recordings only the first was read, …"""


def probe(path: Path, media: Media, *, start_s: float = 0.0, end_s: float | None = None) -> Probe:
    """What is in a file, without decoding it; of a part of it, if `start_s` and `end_s` say so.

    Raises:
        MediaError: it is no accepted media file, exceeds a limit of `media`, or ends before the part begins.
    """
    image = _image_format(path)
    found = _probe_image(path, media, image) if image else _probe_streams(path, media, start_s)
    if not (found.has_picture or found.has_sound):
        reason = "; ".join(note.text for note in found.notes) or "holds neither picture nor sound"
        raise MediaError("no_stream", path, reason)
    if start_s or end_s is not None:
        found = _part(path, found, start_s, end_s)
    if found.duration_s > media.max_duration_s:
        raise _too_long(path, media, f"{found.duration_s:.1f} s")
    _check_size(path, found.width, found.height, media.max_image_pixels if found.is_image else media.max_pixels)
    return found


def decode(
    path: Path,
    media: Media,
    step_s: float,
    on_picture: OnPicture,
    *,
    on_voice: OnVoice | None = None,
    voice_path: Path | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    probed: Probe | None = None,
) -> Decoded:
    """Decode a file onto the grid of steps, in bounded memory (the voice apart, unless `on_voice` takes it: 32 kB a
    second).

    Step k, from 0, stands at (k + 1) * step_s and takes the newest picture that is not later. Steps after the end of
    the last picture, or before the first, have none; where all pictures are over before they meet a step, the first one
    goes to the step next to it. Time zero is the container's start, for picture and sound alike.

    Args:
        path: video, sound, or an image, which is a clip of one step without voice; an animated one lasts as it says.
        media: limits; `frame_side` bounds the long side of the pictures, whose shape stays.
        step_s: seconds between two steps.
        on_picture: called with (step, presentation time in seconds, uint8 [H, W, 3] RGB) for each step that has a
            picture, in order, while decoding goes on. The time it takes does not count against `media.timeout_s`.
        on_voice: called with the voice, piece by piece, int16 [n] at 16 kHz, while decoding goes on; it is then not
            gathered.
        voice_path: where the voice lies in a file of its own; the sound of `path` is then left out.
        start_s: where the part that is wanted begins in the file (in both files); it becomes time zero. ffmpeg jumps to
            the last whole picture before it, so what lies earlier costs nothing.
        end_s: where the part ends; None is the end of the file.
        probed: what `probe` found in this part of `path` under these limits, where it was asked before.

    Raises:
        MediaError: the file cannot be used; pictures already handed out are void.
    """
    shown = probed or probe(path, media, start_s=start_s, end_s=end_s)
    if shown.image is not None:
        return _decode_image(path, media, shown, step_s, on_picture, start_s, end_s)
    heard_from = voice_path or path
    heard = shown if voice_path is None else probe(voice_path, media, start_s=start_s, end_s=end_s)
    if voice_path is not None and not heard.has_sound:
        raise MediaError("no_stream", voice_path, "holds no sound")

    grid = _Grid(path, media, step_s, shown, on_picture)
    sound = _Sound(heard_from, media, heard if not start_s else replace(heard, begins_s=None), on_voice)
    with _Process(path, media) as process:
        outputs = []
        source = _input(path, media, shown, start_s, end_s)
        if shown.has_picture:
            outputs.append(grid.output(source, process.pipe(grid.take_times), process.pipe(grid.take_pictures)))
        if heard.has_sound:
            source = source if voice_path is None else _input(voice_path, media, heard, start_s, end_s)
            outputs.append(sound.output(source, process.pipe(sound.take)))
            if heard.channels > 1:
                outputs.append(sound.output(source, process.pipe(sound.take_sides), channels=2))
        options = ("-hide_banner", "-nostdin", "-v", "error", "-filter_complex_threads", "1")
        process.run(ffmpeg.compile(ffmpeg.merge_outputs(*outputs).global_args(*options)))
    seen_s, heard_s = grid.close(), sound.close()

    if shown.has_picture and not seen_s:
        raise MediaError("truncated", path, "promises a picture, but none can be decoded")
    if voice_path is None:
        _check_whole(path, shown, max(seen_s, heard_s))
    else:
        _check_whole(path, shown, seen_s)
        _check_whole(heard_from, heard, heard_s)
    duration_s = max(seen_s, heard_s)
    if not duration_s:
        raise MediaError("truncated", path, "promises sound, but none can be decoded")
    steps = step_count(duration_s, step_s)
    times = np.full(steps, np.nan, np.float32)
    for step, second in grid.placed.items():
        times[step] = second
    voice = np.concatenate(sound.pieces) if sound.pieces else np.empty(0, np.int16)
    return Decoded(steps, voice, times, duration_s, notes=shown.notes)


class _Grid:
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
                raise _too_long(self._path, self._media, "more")
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


class _Sound:
    """Receives the voice, and gathers it or hands it on."""

    def __init__(self, path: Path, media: Media, heard: Probe, on_voice: OnVoice | None) -> None:
        self.samples = 0
        self.pieces: list[npt.NDArray[np.int16]] = []
        self._path, self._media, self._heard, self._hand_on = path, media, heard, on_voice or self.pieces.append
        self._mono, self._sides = bytearray(), bytearray()
        if heard.begins_s:
            self._hand(np.zeros(round(min(heard.begins_s, media.max_duration_s) * SAMPLE_RATE), np.int16))

    def output(self, source: Any, voice: str, channels: int = 1) -> Any:
        """ffmpeg's branch from the source to a pipe; gaps and a late start become silence.

        A graph of its own: where the sound goes on at another rate, ffmpeg begins its graph anew. A new beginning must
        not be preceded by silence again, so for those files the silence is laid down here.
        """
        late = "" if self._heard.begins_s is not None else ":first_pts=0"
        aligned = f"aresample={SAMPLE_RATE}:async=1{late}"
        track = source[f"a:{self._heard.track}"]
        return track.output(voice, format="s16le", ac=channels, ar=SAMPLE_RATE, af=aligned)

    def take(self, chunk: bytes) -> None:
        """The mean of all channels, 16 bits."""
        self._mono += chunk
        if self._heard.channels > 1:
            self._compare()
        else:
            whole = len(self._mono) // 2 * 2
            self._hand(np.frombuffer(self._mono[:whole], "<i2"))
            del self._mono[:whole]

    def take_sides(self, chunk: bytes) -> None:
        """Left and right, in turns."""
        self._sides += chunk
        self._compare()

    def close(self) -> float:
        """Hand on what is left; returns the end of the sound in seconds."""
        self._compare(ended=True)
        return self.samples / SAMPLE_RATE

    def _compare(self, ended: bool = False) -> None:
        """Hand on what has come of both: in each block the mean, or the louder side where the mean is cancelled."""
        count = min(len(self._mono) // 2, len(self._sides) // 4)
        if not ended:
            count = count // _BLOCK * _BLOCK
        if not count:
            return
        mono = np.frombuffer(self._mono[: 2 * count], "<i2").astype(np.int16)
        sides = np.frombuffer(self._sides[: 4 * count], "<i2").reshape(count, 2)
        del self._mono[: 2 * count], self._sides[: 4 * count]
        starts = np.arange(0, count, _BLOCK)
        power = np.add.reduceat(np.square(sides, dtype=np.float32), starts)
        mean = np.add.reduceat(np.square(mono, dtype=np.float32), starts)
        for block in np.flatnonzero(mean < _CANCELLED * power.max(1)):
            part = slice(starts[block], starts[block] + _BLOCK)
            mono[part] = sides[part, power[block].argmax()]
        self._hand(mono)

    def _hand(self, piece: npt.NDArray[np.int16]) -> None:
        self.samples += len(piece)
        if self.samples > SAMPLE_RATE * (self._media.max_duration_s + 1):
            raise _too_long(self._path, self._media, "more")
        self._hand_on(piece.astype(np.int16, copy=False))


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
            raise _damaged_image(self._path, "the decoder gave up")
        if "wrong" in self.shape:
            raise _unreadable_image(self._path, self.shape)
        if self._bytes[: images.HEAD.size] == images.HEAD.pack(-1.0, 0, 0):
            said = bytes(self._bytes[images.HEAD.size :]).decode(errors="replace").replace(str(self._path), "")
            raise _damaged_image(self._path, said)

    def _see(self, at: float, picture: Picture) -> None:
        if not self.shape["animated"]:
            self.still = picture
            return
        self._count += 1
        if self._count > self._media.max_fps * (at + 1) + 1:
            raise MediaError("too_large", self._path, f"has more than {self._media.max_fps:g} pictures a second")
        now, ended = min(at, self._stop) - self._start, at >= self._stop or not picture.size
        if now > self._media.max_duration_s:
            raise _too_long(self._path, self._media, "more")
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


class _Process:
    """A program's run that writes to several pipes, read as they fill; it ends with the context, whatever happens."""

    def __init__(self, path: Path, media: Media) -> None:
        self._path, self._media = path, media
        self._sinks: dict[int, Callable[[bytes], None]] = {}
        self._ends: list[int] = []
        self._complaints = bytearray()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for end in (*self._sinks, *self._ends):
            os.close(end)

    def pipe(self, sink: Callable[[bytes], None]) -> str:
        """A new pipe into `sink`, as ffmpeg names it."""
        return f"pipe:{self._open(sink)}"

    def run(
        self,
        command: list[str],
        stdout: Callable[[bytes], None] | None = None,
        failed: Callable[[Path, str], MediaError] | None = None,
    ) -> str:
        """Run to the end; returns the last of what it complained of, of which `failed` makes an error where it fails.

        Raises:
            MediaError: ffmpeg is missing, failed, or went over a limit.
        """
        complaints = self._open(self._complain)
        # BentoML tells a worker to stop, and all its children with it: a file that is being decoded is still answered.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if stdout is None else self._open(stdout),
                stderr=complaints,
                pass_fds=self._ends,
            )
        except FileNotFoundError:
            raise _no_ffmpeg(self._path) from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._limit(self._process.pid)
        while self._ends:
            os.close(self._ends.pop())
        deadline = time.monotonic() + self._media.timeout_s
        with selectors.DefaultSelector() as selector:
            for end, sink in self._sinks.items():
                selector.register(end, selectors.EVENT_READ, sink)
            while selector.get_map():
                for key, _ in selector.select(deadline - time.monotonic()):
                    chunk = os.read(key.fd, _CHUNK)
                    if not chunk:
                        selector.unregister(key.fd)
                        continue
                    started = time.monotonic()
                    key.data(chunk)
                    deadline += time.monotonic() - started
                if time.monotonic() > deadline:
                    raise _timeout(self._path, self._media)
        try:
            code = self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise _timeout(self._path, self._media) from None
        told = self._complaints.decode(errors="replace")
        if code == -signal.SIGXCPU:
            raise _timeout(self._path, self._media)
        if code:
            raise (failed or _failed)(self._path, told)
        return told

    def _open(self, sink: Callable[[bytes], None]) -> int:
        read, write = os.pipe()
        self._sinks[read] = sink
        self._ends.append(write)
        return write

    def _limit(self, pid: int) -> None:
        """What the process may use, even if this one dies; only Linux can say so once it runs."""
        if sys.platform != "linux":
            return
        import resource

        memory = self._media.max_memory_mb << 20
        seconds = math.ceil(2 * self._media.timeout_s)  # it goes on while pictures are looked at, which is not counted
        limits = (
            (resource.RLIMIT_AS, (memory, memory)),
            (resource.RLIMIT_CPU, (seconds, seconds + 1)),
            (resource.RLIMIT_FSIZE, (0, 0)),  # it has pipes to write to, and no business with files
            (resource.RLIMIT_CORE, (0, 0)),
        )
        with contextlib.suppress(ProcessLookupError):  # over already
            for kind, limit in limits:
                resource.prlimit(pid, kind, limit)

    def _complain(self, chunk: bytes) -> None:
        self._complaints += chunk
        del self._complaints[:-_COMPLAINTS]  # the end says why; a broken file can complain without end


def _input(path: Path, media: Media, probed: Probe, start_s: float, end_s: float | None) -> Any:
    """ffmpeg's input, with every guard before it. One thread: workers and requests are what runs side by side."""
    part = {"ss": f"{start_s:.6f}"} if start_s else {}
    part |= {"t": f"{end_s - start_s:.6f}"} if end_s is not None else {}
    name = os.fsencode(_url(path, probed.bytes))  # bytes: a name may be no text, which ffmpeg-python cannot hash
    return ffmpeg.input(name, **_guards(media, probed.bytes), **part, threads=1)


def _part(path: Path, whole: Probe, start_s: float, end_s: float | None) -> Probe:
    """A file's probe, with the duration that a part of it promises."""
    if whole.is_image:
        raise MediaError("no_stream", path, "is an image: it has no part from one second to another")
    if whole.duration_s and start_s >= whole.duration_s:
        raise MediaError(
            "truncated", path, f"ends at {whole.duration_s:.1f} s, before its part at {start_s:.1f} s begins"
        )
    end_s = min(end_s or math.inf, whole.duration_s or math.inf)
    return replace(whole, duration_s=end_s - start_s if math.isfinite(end_s) else 0.0)


def _guards(media: Media, size: int | None) -> dict[str, Any]:
    return {
        "protocol_whitelist": "file" if size is None else "file,subfile",
        "format_whitelist": CONTAINERS,
        "max_pixels": media.max_pixels,
        "max_streams": _STREAMS,
    }


def _url(path: Path, size: int | None = None) -> str:
    """A name that ffmpeg takes for a local file or its beginning, whatever it looks like (`-x.mp4`, `concat:a|b`)."""
    file = f"file:{path.absolute()}"
    return file if size is None else f"subfile,,start,0,end,{size},,:{file}"


def _probe_streams(path: Path, media: Media, start_s: float) -> Probe:
    """ffprobe's view. Called directly: ffmpeg-python's probe knows no limits and drops the warnings."""
    size = _first_recording(path)
    shown = (
        "stream=codec_type,codec_name,codec_tag_string,width,height,sample_aspect_ratio,duration,start_time,sample_fmt,channels,"
        "color_transfer,field_order:stream_disposition=attached_pic,default"
    )
    guards = [word for key, value in _guards(media, size).items() for word in (f"-{key}", str(value))]
    entries = f"format=duration,format_name,start_time:{shown}:stream_side_data=rotation:stream_tags=rotate"
    command = ["ffprobe", "-hide_banner", "-v", "warning", "-of", "json", "-show_entries", entries, *guards]
    answer = bytearray()

    def take(chunk: bytes) -> None:
        answer.extend(chunk)
        if len(answer) > _TOLD:
            raise MediaError("too_large", path, f"tells more than {_TOLD} bytes of itself")

    with _Process(path, media) as process:
        complaints = process.run([*command, "-i", _url(path, size)], take)
    told = json.loads(answer.decode(errors="replace"))

    streams, container = told.get("streams", []), told.get("format", {})
    picture = next(
        (s for s in streams if s.get("codec_type") == "video" and not s.get("disposition", {}).get("attached_pic")),
        None,
    )
    width, height = (0, 0) if picture is None else _shown_size(picture)
    if picture is not None and not width * height:
        raise _failed(path, complaints)
    sounds = [s for s in streams if s.get("codec_type") == "audio"]
    track = _sound_track(path, media, sounds, size, start_s)
    sound = None if track is None else sounds[track]
    used = [s for s in (picture, sound) if s is not None]
    if used and all("duration" in s for s in used):
        duration_s = max(float(s["duration"]) for s in used)
    else:
        duration_s = float(container.get("duration", 0))
    if "Estimating duration from bitrate" in complaints:
        duration_s = 0.0
    begins_s = None
    if sound is not None and container.get("format_name") in _RESTARTS:
        late_s = max(0.0, float(sound.get("start_time", 0)) - float(container.get("start_time", 0)))
        begins_s = late_s if late_s < _LATEST_S else None
    notes = []
    if size is not None:
        notes.append(Note("truncated", "holds several recordings joined one behind the other, of which only the first "
                          "was read: send each as a file of its own"))  # fmt: skip
    if sounds and sound is None:
        names = ", ".join(sorted({str(s.get("codec_tag_string", "unknown")) for s in sounds}))
        notes.append(Note("unknown_sound", f"has sound of a kind that this ffmpeg cannot decode ({names}): send it as "
                          "AAC, mp3 or wav"))  # fmt: skip
    return Probe(
        duration_s,
        width,
        height,
        has_picture=picture is not None,
        has_sound=sound is not None,
        is_image=False,
        track=track or 0,
        channels=0 if sound is None else int(sound.get("channels", 0)),
        begins_s=begins_s,
        transfer=_TRANSFERS.get((picture or {}).get("color_transfer", "")),
        interlaced=(picture or {}).get("field_order") in _INTERLACED,
        bytes=size,
        notes=tuple(notes),
    )


def _sound_track(
    path: Path, media: Media, sounds: list[dict[str, Any]], size: int | None, start_s: float
) -> int | None:
    """Which sound is the voice: the default track, else the loudest of the first few seconds; none that ffmpeg has no
    decoder for.
    """
    known = [n for n, sound in enumerate(sounds) if sound.get("codec_name", "unknown") not in ("unknown", "none")]
    opened = [n for n in known if sounds[n].get("sample_fmt", "unknown") != "unknown"] or known
    default = [n for n in opened if sounds[n].get("disposition", {}).get("default")]
    candidates = (default or opened)[:_TRACKS]
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    levels = [_level(path, media, Probe(0, 0, 0, False, True, False, track=n, bytes=size), start_s) for n in candidates]
    return candidates[int(np.argmax(levels))]


def _level(path: Path, media: Media, heard: Probe, start_s: float) -> float:
    """How loud the first few seconds of a sound track are; -1 where they cannot be decoded."""
    loudness = 0.0

    def take(piece: npt.NDArray[np.int16]) -> None:
        nonlocal loudness
        loudness += float(np.square(piece, dtype=np.float32).sum())

    media = media.model_copy(update={"timeout_s": media.timeout_s / _TRACKS})
    sound = _Sound(path, media, heard, take)
    try:
        with _Process(path, media) as process:
            source = _input(path, media, heard, start_s, start_s + _LISTEN_S)
            output = sound.output(source, process.pipe(sound.take))
            process.run(ffmpeg.compile(output.global_args("-hide_banner", "-nostdin", "-v", "error")))
    except MediaError as error:
        if error.code == "no_ffmpeg":
            raise
        return -1.0
    return loudness


def _first_recording(path: Path) -> int | None:
    """How many bytes the first of several recordings has that were joined by `cat`; None where there is only one.

    ffmpeg would read the first and stop, or mix up their times, and say nothing.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:4] == _EBML:
            at = content.find(_EBML, 4)
            while at > 0:
                if re.search(rb"\x42\x82.(webm|matroska)", content[at : at + 64], re.DOTALL):
                    return at
                at = content.find(_EBML, at + 4)
        elif content[4:8] == b"ftyp":
            return _second_film(content)
        elif content[:4] == b"RIFF" and content[8:12] == b"WAVE":
            at = 8 + int.from_bytes(content[4:8], "little")
            at += at % 2
            if content[at : at + 4] == b"RIFF" and content[at + 8 : at + 12] == b"WAVE":
                return at
    return None


def _second_film(content: mmap.mmap) -> int | None:
    """Where in an mp4 another one begins: at a second `ftyp`, behind an index."""
    at, kinds = 0, set()
    for _ in range(_PARTS):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if kind == b"ftyp" and b"moov" in kinds:
            return at
        kinds.add(kind)
        if length == 1:
            length = int.from_bytes(content[at + 8 : at + 16], "big")
        if length < 8 or at + length >= len(content):
            return None
        at += length
    return None


def _shown_size(stream: dict[str, Any]) -> tuple[int, int]:
    """Width and height of a picture stream as a player shows it."""
    width, height = int(stream.get("width", 0)), int(stream.get("height", 0))
    across, down = (int(n) for n in stream.get("sample_aspect_ratio", "1:1").split(":"))
    if across > 0 and down > 0:
        width = round(width * across / down)
    turns = [data["rotation"] for data in stream.get("side_data_list", []) if "rotation" in data]
    turn = turns[0] if turns else stream.get("tags", {}).get("rotate", 0)  # a tag may say anything
    return (height, width) if str(turn).strip() in ("90", "-90", "270", "-270") else (width, height)


def _image_format(path: Path) -> images.Format | None:
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


def _probe_image(path: Path, media: Media, name: images.Format) -> Probe:
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
            raise _unreadable_image(path, {"reason": str(error)}) from None
    else:
        told = _run_images(path, media, name, _Frames(path, media, 1.0, lambda *_: None, 0.0, None)).shape
        width, height, moves = told["width"], told["height"], told["animated"]
    return Probe(0.0, width, height, True, False, not moves, image=name)


def _decode_image(
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
            raise _damaged_image(path, str(error)) from None
        on_picture(0, 0.0, picture)
        return Decoded(1, nothing, np.zeros(1, np.float32), step_s, is_image=True)
    frames = _Frames(path, media, step_s, on_picture, start_s, end_s)
    _run_images(path, media, shown.image, frames, side=media.frame_side, seconds=start_s + media.max_duration_s)
    if shown.is_image:
        if frames.still is None:
            raise _damaged_image(path, "no picture")
        on_picture(0, 0.0, frames.still)
        return Decoded(1, nothing, np.zeros(1, np.float32), step_s, is_image=True)
    if not frames.end or not frames.placed:
        raise MediaError("truncated", path, "ends before a picture of it, or of its part, is due")
    steps = step_count(frames.end, step_s)
    times = np.array([frames.placed.get(step, np.nan) for step in range(steps)], np.float32)
    return Decoded(steps, nothing, times, frames.end)


def _run_images(path: Path, media: Media, name: images.Format, frames: _Frames, **limits: float) -> _Frames:
    """Run the images' program; `limits` are none where only the shape is wanted."""
    given = json.dumps({"pixels": media.max_image_pixels, "rate": media.max_fps, **limits})
    # -P: what lies beside the program (types.py) is not what Python's own modules mean by that name.
    command = [sys.executable, "-P", images.__file__, str(path.absolute()), name, given]
    with _Process(path, media) as process:
        process.run(command, frames.take, _failed_image)
    frames.close()
    return frames


def _failed_image(path: Path, complaints: str) -> MediaError:
    """Of the images' program that did not end by itself."""
    if "MemoryError" in complaints:
        return MediaError("too_large", path, "needs too much memory: make the image smaller")
    return _damaged_image(path, (complaints.strip().splitlines() or ["the decoder gave up"])[-1])


def _unreadable_image(path: Path, told: dict[str, Any]) -> MediaError:
    if told.get("wrong") == "no reader":
        reason = (
            "is a HEIC picture, which needs pi-heif here (`pip install pi-heif`): or export it as JPEG (iPhone: "
            "Settings, Camera, Formats, Most Compatible)"
        )
        return MediaError("not_media", path, reason)
    reason = str(told["reason"]).replace(str(path.absolute()), path.name).replace(str(path), path.name)
    return MediaError("not_media", path, f"starts as an image, but cannot be read: {reason}")


def _damaged_image(path: Path, reason: str) -> MediaError:
    return MediaError("truncated", path, f"breaks off or is damaged: {reason}")


def _shrunk(width: int, height: int, frame_side: int) -> tuple[int, int, int]:
    """Shape [H, W, 3] of a picture whose long side is at most `frame_side`."""
    scale = min(1.0, frame_side / max(width, height, 1))
    return max(1, round(height * scale)), max(1, round(width * scale)), 3


def _check_size(path: Path, width: int, height: int, most: int) -> None:
    if width * height > most:
        reason = f"its picture is {width}x{height}; at most {most} pixels are taken: make it smaller"
        raise MediaError("too_large", path, reason)


def _check_whole(path: Path, promised: Probe, got_s: float) -> None:
    """A tenth of a second is forgiven: very short files round their durations up."""
    if got_s < LEAST_WHOLE * promised.duration_s - 0.1:
        reason = f"breaks off: {got_s:.1f} s of its {promised.duration_s:.1f} s can be decoded"
        raise MediaError("truncated", path, reason)


def _failed(path: Path, complaints: str) -> MediaError:
    """What ffmpeg said, as an error: its last line that tells more than the usual ones."""
    lines = [re.sub(r"^(\[[^\]]* @ 0x[0-9a-f]+\] )+", "", line.strip()) for line in complaints.splitlines()]
    lines = [line.replace(_url(path), path.name) for line in lines if line]
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
        head = file.read(_CHUNK)
    return head[:4] != _EBML and _CLUSTER in head


def _too_long(path: Path, media: Media, length: str) -> MediaError:
    most = f"{media.max_duration_s:g}"
    cut = f"ffmpeg -ss 0 -t {most} -i in.mp4 -c copy part.mp4"
    reason = f"lasts {length}; at most {most} s are taken: ask for a part of it (start, end), or cut it (`{cut}`)"
    return MediaError("too_long", path, reason)


def _timeout(path: Path, media: Media) -> MediaError:
    return MediaError("timeout", path, f"took longer than {media.timeout_s:g} s to decode")


def _no_ffmpeg(path: Path) -> MediaError:
    reason = "needs ffmpeg, which is not on the path: install it (`apt-get install ffmpeg`, `brew install ffmpeg`)"
    return MediaError("no_ffmpeg", path, reason)
