"""Media files to pictures on the grid of steps and voice at 16 kHz, by ffmpeg, with limits.

A file is untrusted: it is opened as a local file and nothing else, only as one of the accepted containers (ffmpeg would
follow a playlist that calls itself .mp4), within limits of size, length, rate, time and memory. Images take a path of
their own.
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
from typing import TYPE_CHECKING, Any, Literal

import ffmpeg
import numpy as np
import numpy.typing as npt

from mmer.errors import MmerError
from mmer.runtime.config import Media
from mmer.runtime.grid import SAMPLE_RATE, step_count
from mmer.runtime.types import OnPicture, OnVoice, Picture

if TYPE_CHECKING:
    from PIL import Image


Code = Literal[
    "empty", "not_media", "refused", "truncated", "no_stream", "too_long", "too_large", "timeout", "no_ffmpeg"
]

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,flac,wav,mp3,ogg,mpeg,mpegts"
"""What ffmpeg may open, in its own names."""
LEAST_WHOLE = 0.9
"""Share of its promised duration that a file must yield; below it, it was cut."""
_STREAMS = 128
"""A film with all its languages has some fifty."""
_SCANS, _PARTS = 100, 50_000
"""Of an image: a progressive jpeg has ten or so scans, and each of a million empty ones would draw the whole picture; a
large png has some ten thousand chunks."""
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
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


def probe(path: Path, media: Media, *, start_s: float = 0.0, end_s: float | None = None) -> Probe:
    """What is in a file, without decoding it; of a part of it, if `start_s` and `end_s` say so.

    Raises:
        MediaError: it is no accepted media file, exceeds a limit of `media`, or ends before the part begins.
    """
    found = _probe_image(path, media) if _is_image(path) else _probe_streams(path, media)
    if not (found.has_picture or found.has_sound):
        raise MediaError("no_stream", path, "holds neither picture nor sound")
    if start_s or end_s is not None:
        found = _part(path, found, start_s, end_s)
    if found.duration_s > media.max_duration_s:
        raise _too_long(path, media, f"{found.duration_s:.1f} s")
    _check_size(path, media, found.width, found.height)
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
) -> Decoded:
    """Decode a file onto the grid of steps, in bounded memory (the voice apart, unless `on_voice` takes it: 32 kB a
    second).

    Step k, from 0, stands at (k + 1) * step_s and takes the newest picture that is not later. Steps after the end of
    the last picture, or before the first, have none; where all pictures are over before they meet a step, the first one
    goes to the step next to it. Time zero is the container's start, for picture and sound alike.

    Args:
        path: video, sound, or an image (jpeg, png), which is a clip of one step without voice.
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

    Raises:
        MediaError: the file cannot be used; pictures already handed out are void.
    """
    shown = probe(path, media, start_s=start_s, end_s=end_s)
    if shown.is_image:
        on_picture(0, 0.0, _read_image(path, media.frame_side))
        return Decoded(1, np.empty(0, np.int16), np.zeros(1, np.float32), step_s)
    heard_from = voice_path or path
    heard = shown if voice_path is None else probe(voice_path, media, start_s=start_s, end_s=end_s)
    if voice_path is not None and not heard.has_sound:
        raise MediaError("no_stream", voice_path, "holds no sound")

    grid = _Grid(path, media, step_s, _shrunk(shown.width, shown.height, media.frame_side), on_picture)
    sound = _Sound(heard_from, media, on_voice)
    with _Process(path, media) as process:
        outputs = []
        source = _input(path, media, start_s, end_s)
        if shown.has_picture:
            outputs.append(grid.output(source, process.pipe(grid.take_times), process.pipe(grid.take_pictures)))
        if heard.has_sound:
            source = source if voice_path is None else _input(voice_path, media, start_s, end_s)
            outputs.append(sound.output(source, process.pipe(sound.take)))
        options = ("-hide_banner", "-nostdin", "-v", "error", "-filter_complex_threads", "1")
        process.run(ffmpeg.compile(ffmpeg.merge_outputs(*outputs).global_args(*options)))
    seen_s, heard_s = grid.close(), sound.samples / SAMPLE_RATE

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
    return Decoded(steps, voice, times, duration_s)


class _Grid:
    """Receives every picture's time and the pictures that ffmpeg's fps filter chose, and gives each its step.

    The filter passes, for each grid point n, the newest picture that is not later than n steps, which is our rule, but
    hides when that picture was due; so the times come beside it, one line a picture, and last of all the end.
    """

    def __init__(
        self, path: Path, media: Media, step_s: float, shape: tuple[int, int, int], on_picture: OnPicture
    ) -> None:
        self.placed: dict[int, float] = {}
        self._path, self._media, self._step_s, self._shape, self._on_picture = path, media, step_s, shape, on_picture
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
        chosen = (
            source["V:0"]  # not cover art
            .filter("settb", "1/1000000")
            .filter("tpad", stop=1, stop_mode="clone")  # one more, at the end, so that a step just there is met
            .filter("metadata", "add", key="mmer", value="1")
            .filter("metadata", "print", key="mmer", file=times, direct=1)
            .filter("fps", fps=f"1/{self._step_s!r}", round="up", start_time=0)
            .filter("scale", width, height, flags="area+accurate_rnd+full_chroma_int")  # without, 2 of 255 too dark
        )
        return chosen.output(pictures, format="rawvideo", pix_fmt="rgb24", fps_mode="passthrough")

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
        size = int(np.prod(self._shape))
        while len(self._bytes) >= size:
            picture = np.frombuffer(self._bytes[:size], np.uint8).reshape(self._shape)
            del self._bytes[:size]
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

    def __init__(self, path: Path, media: Media, on_voice: OnVoice | None) -> None:
        self.samples = 0
        self.pieces: list[npt.NDArray[np.int16]] = []
        self._path, self._media, self._hand_on = path, media, on_voice or self.pieces.append
        self._odd = b""

    def output(self, source: Any, voice: str) -> Any:
        """ffmpeg's branch from the source to the pipe; gaps and a late start become silence."""
        aligned = source["a:0"].filter("aresample", SAMPLE_RATE, **{"async": 1, "first_pts": 0})
        return aligned.output(voice, format="s16le", ac=1, ar=SAMPLE_RATE)

    def take(self, chunk: bytes) -> None:
        chunk = self._odd + chunk
        whole = len(chunk) // 2 * 2
        self._odd = chunk[whole:]
        piece = np.frombuffer(chunk[:whole], "<i2").astype(np.int16, copy=False)
        self.samples += len(piece)
        if self.samples > SAMPLE_RATE * (self._media.max_duration_s + 1):
            raise _too_long(self._path, self._media, "more")
        self._hand_on(piece)


class _Process:
    """One run of ffmpeg that writes to several pipes, read as they fill; it ends with the context, whatever happens."""

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

    def run(self, command: list[str], stdout: Callable[[bytes], None] | None = None) -> str:
        """Run to the end; returns the last of what it complained of.

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
            raise _failed(self._path, told)
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


def _input(path: Path, media: Media, start_s: float, end_s: float | None) -> Any:
    """ffmpeg's input, with every guard before it. One thread: workers and requests are what runs side by side."""
    part = {"ss": f"{start_s:.6f}"} if start_s else {}
    part |= {"t": f"{end_s - start_s:.6f}"} if end_s is not None else {}
    return ffmpeg.input(_url(path), **_guards(media), **part, threads=1)


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


def _guards(media: Media) -> dict[str, Any]:
    return {
        "protocol_whitelist": "file",
        "format_whitelist": CONTAINERS,
        "max_pixels": media.max_pixels,
        "max_streams": _STREAMS,
    }


def _url(path: Path) -> str:
    """A name that ffmpeg takes for a local file, whatever it looks like (`-x.mp4`, `concat:a|b`)."""
    return f"file:{path.absolute()}"


def _probe_streams(path: Path, media: Media) -> Probe:
    """ffprobe's view. Called directly: ffmpeg-python's probe knows no limits and drops the warnings."""
    shown = "stream=codec_type,width,height,sample_aspect_ratio,duration:stream_disposition=attached_pic"
    guards = [word for key, value in _guards(media).items() for word in (f"-{key}", str(value))]
    entries = f"format=duration:{shown}:stream_side_data=rotation:stream_tags=rotate"
    command = ["ffprobe", "-hide_banner", "-v", "warning", "-of", "json", "-show_entries", entries, *guards]
    answer = bytearray()

    def take(chunk: bytes) -> None:
        answer.extend(chunk)
        if len(answer) > _TOLD:
            raise MediaError("too_large", path, f"tells more than {_TOLD} bytes of itself")

    with _Process(path, media) as process:
        complaints = process.run([*command, "-i", _url(path)], take)
    told = json.loads(answer.decode(errors="replace"))

    streams = told.get("streams", [])
    sound = next((s for s in streams if s.get("codec_type") == "audio"), None)
    picture = next(
        (s for s in streams if s.get("codec_type") == "video" and not s.get("disposition", {}).get("attached_pic")),
        None,
    )
    width, height = (0, 0) if picture is None else _shown_size(picture)
    if picture is not None and not width * height:
        raise _failed(path, complaints)
    used = [s for s in (picture, sound) if s is not None]
    if used and all("duration" in s for s in used):
        duration_s = max(float(s["duration"]) for s in used)
    else:
        duration_s = float(told.get("format", {}).get("duration", 0))
    if "Estimating duration from bitrate" in complaints:
        duration_s = 0.0
    return Probe(duration_s, width, height, picture is not None, sound is not None, False)


def _shown_size(stream: dict[str, Any]) -> tuple[int, int]:
    """Width and height of a picture stream as a player shows it."""
    width, height = int(stream.get("width", 0)), int(stream.get("height", 0))
    across, down = (int(n) for n in stream.get("sample_aspect_ratio", "1:1").split(":"))
    if across > 0 and down > 0:
        width = round(width * across / down)
    turns = [data["rotation"] for data in stream.get("side_data_list", []) if "rotation" in data]
    turn = turns[0] if turns else stream.get("tags", {}).get("rotate", 0)  # a tag may say anything
    return (height, width) if str(turn).strip() in ("90", "-90", "270", "-270") else (width, height)


def _is_image(path: Path) -> bool:
    """Whether the first bytes are a jpeg's or png's.

    Raises:
        MediaError: there is no such file, or nothing in it.
    """
    try:
        if not path.is_file():
            raise MediaError("not_media", path, "is no file" if path.exists() else "does not exist")
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise MediaError("not_media", path, f"cannot be read: {error.strerror}") from None
    if not head:
        raise MediaError("empty", path, "is empty")
    return head.startswith((_JPEG, _PNG))


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


def _probe_image(path: Path, media: Media) -> Probe:
    """Size from the header alone: a small file can claim a picture that fills the memory."""
    from PIL import Image

    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if is_laborious(content):
                raise MediaError("too_large", path, "is made of too many parts")
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            width, height = image.size
            _check_size(path, media, width, height)
            if _orientation(image) >= 5:  # lies on its side
                width, height = height, width
    except MediaError:
        raise
    except Image.DecompressionBombError as error:
        raise MediaError("too_large", path, str(error)) from None
    except Exception as error:  # Pillow raises whatever a broken file leads to
        reason = str(error).replace(str(path), path.name)
        raise MediaError("not_media", path, f"starts as an image, but cannot be read: {reason}") from None
    return Probe(0.0, width, height, True, False, True)


def _read_image(path: Path, frame_side: int) -> Picture:
    """An image, upright and shrunk: uint8 [H, W, 3] RGB."""
    from PIL import Image

    try:
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            image.thumbnail((frame_side, frame_side))
            image.load()  # else what looks for EXIF would, and damage be taken for a lack of it
            turns = Image.Transpose
            as_exif_says = (
                turns.FLIP_LEFT_RIGHT, turns.ROTATE_180, turns.FLIP_TOP_BOTTOM,
                turns.TRANSPOSE, turns.ROTATE_270, turns.TRANSVERSE, turns.ROTATE_90,
            )  # fmt: skip
            orientation = _orientation(image)
            upright = image if orientation == 1 else image.transpose(as_exif_says[orientation - 2])
            return np.array(upright.convert("RGB"))
    except Exception as error:  # see above
        raise MediaError("truncated", path, f"breaks off or is damaged: {error}") from None


def _orientation(image: Image.Image) -> int:
    """How the camera was held, as EXIF counts it: 1 (upright) to 8."""
    try:
        said = image.getexif().get(0x0112)
    except Exception:  # the picture may be good all the same
        return 1
    return said if isinstance(said, int) and 1 <= said <= 8 else 1


def _shrunk(width: int, height: int, frame_side: int) -> tuple[int, int, int]:
    """Shape [H, W, 3] of a picture whose long side is at most `frame_side`."""
    scale = min(1.0, frame_side / max(width, height, 1))
    return max(1, round(height * scale)), max(1, round(width * scale)), 3


def _check_size(path: Path, media: Media, width: int, height: int) -> None:
    if width * height > media.max_pixels:
        reason = f"its picture is {width}x{height}; at most {media.max_pixels} pixels are taken"
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
        ("not on whitelist", "refused", "is of a kind that is not accepted (common video and sound files, jpeg, png)"),
        ("moov atom not found", *_without_index(path)),
        ("matches no streams", "no_stream", "lacks a stream"),
        ("Picture size", "too_large", "has too large a picture"),
        ("exceeds max_streams", "too_large", "has too many streams"),
        ("Cannot allocate memory", "too_large", "needs too much memory"),
    )
    for sign, code, meaning in signs:
        if said := [line for line in lines if sign in line]:
            return MediaError(code, path, f"{meaning}; ffmpeg: {said[-1]}")
    telling = [line for line in lines if not _USUAL.search(line)]
    return MediaError("not_media", path, f"cannot be decoded; ffmpeg: {(telling or lines or ['no reason'])[-1]}")


def _without_index(path: Path) -> tuple[Code, str]:
    """Whether what ffmpeg took for an mp4 (by its name) is one that was cut, or none at all."""
    with path.open("rb") as file:
        if file.read(8)[4:] == b"ftyp":
            return "truncated", "breaks off: its index is missing"
    return "not_media", "is no video, sound or image"


def _too_long(path: Path, media: Media, length: str) -> MediaError:
    return MediaError("too_long", path, f"lasts {length}; at most {media.max_duration_s:g} s are taken")


def _timeout(path: Path, media: Media) -> MediaError:
    return MediaError("timeout", path, f"took longer than {media.timeout_s:g} s to decode")


def _no_ffmpeg(path: Path) -> MediaError:
    reason = "needs ffmpeg, which is not on the path: install it (`apt-get install ffmpeg`, `brew install ffmpeg`)"
    return MediaError("no_ffmpeg", path, reason)
