"""What is in a file, without decoding it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
import numpy.typing as npt

from mmer.runtime.config import Media
from mmer.runtime.media.complaints import failed
from mmer.runtime.media.errors import MediaError, too_long
from mmer.runtime.media.joined import first_recording
from mmer.runtime.media.process import Process
from mmer.runtime.media.sound import Sound
from mmer.runtime.media.source import guards, input_of, url
from mmer.runtime.media.stills import image_format, probe_image
from mmer.runtime.media.types import Probe
from mmer.runtime.tonemap import Transfer
from mmer.runtime.types import Note

_LISTEN_S, _TRACKS = 5.0, 16
"""How much of how many sound tracks is heard before one is chosen."""

_RESTARTS = ("mp3", "ogg", "aac", "mpegts", "mpeg")
"""Containers whose sound may go on at another rate, since files of them can be joined by `cat`."""

_LATEST_S = 60.0
"""Of a sound's beginning in them; what begins later is left to ffmpeg, which can say so in pieces."""

_INTERLACED = ("tt", "bb", "tb", "bt")

_TRANSFERS: dict[str, Transfer] = {"smpte2084": "pq", "arib-std-b67": "hlg"}
"""In ffmpeg's names."""

_TOLD = 1 << 20
"""Bytes that ffprobe may tell of a file: some hundreds are usual."""


def probe(path: Path, media: Media, *, start_s: float = 0.0, end_s: float | None = None) -> Probe:
    """What is in a file, without decoding it; of a part of it, if `start_s` and `end_s` say so.

    Raises:
        MediaError: it is no accepted media file, exceeds a limit of `media`, or ends before the part begins.
    """
    image = image_format(path)
    found = probe_image(path, media, image) if image else _probe_streams(path, media, start_s)
    return within(path, media, found, start_s, end_s)


def within(path: Path, media: Media, found: Probe, start_s: float, end_s: float | None) -> Probe:
    """What was found in a file, of the part from `start_s` to `end_s`.

    Raises:
        MediaError: there is nothing in it, it exceeds a limit of `media`, or ends before the part begins.
    """
    if not (found.has_picture or found.has_sound):
        reason = "; ".join(note.text for note in found.notes) or "holds neither picture nor sound"
        raise MediaError("no_stream", path, reason)
    if start_s or end_s is not None:
        found = _part(path, found, start_s, end_s)
    if found.duration_s > media.max_duration_s:
        raise too_long(path, media, f"{found.duration_s:.1f} s")
    _check_size(path, found.width, found.height, media.max_image_pixels if found.is_image else media.max_pixels)
    return found


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


def _probe_streams(path: Path, media: Media, start_s: float) -> Probe:
    """ffprobe's view. Called directly: ffmpeg-python's probe knows no limits and drops the warnings."""
    size = first_recording(path)
    shown = (
        "stream=codec_type,codec_name,codec_tag_string,width,height,sample_aspect_ratio,duration,start_time,sample_fmt,channels,"
        "color_transfer,field_order:stream_disposition=attached_pic,default"
    )
    words = [word for key, value in guards(media, size).items() for word in (f"-{key}", str(value))]
    entries = f"format=duration,format_name,start_time:{shown}:stream_side_data=rotation:stream_tags=rotate"
    command = ["ffprobe", "-hide_banner", "-v", "warning", "-of", "json", "-show_entries", entries, *words]
    answer = bytearray()

    def take(chunk: bytes) -> None:
        answer.extend(chunk)
        if len(answer) > _TOLD:
            raise MediaError("too_large", path, f"tells more than {_TOLD} bytes of itself")

    with Process(path, media) as process:
        complaints = process.run([*command, "-i", url(path, size)], take)
    told = json.loads(answer.decode(errors="replace"))

    streams, container = told.get("streams", []), told.get("format", {})
    picture = next(
        (s for s in streams if s.get("codec_type") == "video" and not s.get("disposition", {}).get("attached_pic")),
        None,
    )
    width, height = (0, 0) if picture is None else _shown_size(picture)
    if picture is not None and not width * height:
        raise failed(path, complaints)
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
    sound = Sound(path, media, heard, take)
    try:
        with Process(path, media) as process:
            source = input_of(path, media, heard, start_s, start_s + _LISTEN_S)
            output = sound.output(source, process.pipe(sound.take))
            process.run(ffmpeg.compile(output.global_args("-hide_banner", "-nostdin", "-v", "error")))
    except MediaError as error:
        if error.code == "no_ffmpeg":
            raise
        return -1.0
    return loudness


def _shown_size(stream: dict[str, Any]) -> tuple[int, int]:
    """Width and height of a picture stream as a player shows it."""
    width, height = int(stream.get("width", 0)), int(stream.get("height", 0))
    across, down = (int(n) for n in stream.get("sample_aspect_ratio", "1:1").split(":"))
    if across > 0 and down > 0:
        width = round(width * across / down)
    turns = [data["rotation"] for data in stream.get("side_data_list", []) if "rotation" in data]
    turn = turns[0] if turns else stream.get("tags", {}).get("rotate", 0)  # a tag may say anything
    return (height, width) if str(turn).strip() in ("90", "-90", "270", "-270") else (width, height)


def _check_size(path: Path, width: int, height: int, most: int) -> None:
    if width * height > most:
        reason = f"its picture is {width}x{height}; at most {most} pixels are taken: make it smaller"
        raise MediaError("too_large", path, reason)
