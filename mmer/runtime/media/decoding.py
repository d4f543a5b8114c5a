"""A file's pictures on the grid of steps, and its voice."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ffmpeg
import numpy as np

from mmer.runtime.config import Media
from mmer.runtime.grid import step_count
from mmer.runtime.media.errors import MediaError
from mmer.runtime.media.glance import Banner, UnlikeError, glance
from mmer.runtime.media.pictures import Grid
from mmer.runtime.media.probing import probe, within
from mmer.runtime.media.process import Process
from mmer.runtime.media.sound import Sound
from mmer.runtime.media.source import input_of
from mmer.runtime.media.stills import decode_image, image_format
from mmer.runtime.media.types import Decoded, Probe
from mmer.runtime.types import OnPicture, OnVoice

LEAST_WHOLE = 0.9
"""Share of its promised duration that a file must yield; below it, it was cut."""


def decode(
    path: Path,
    media: Media,
    step_s: float,
    on_picture: OnPicture,
    *,
    on_voice: OnVoice | None = None,
    on_probed: Callable[[Probe], None] = lambda _: None,
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
        on_probed: called with what `path` holds, before anything else.
        voice_path: where the voice lies in a file of its own; the sound of `path` is then left out.
        start_s: where the part that is wanted begins in the file (in both files); it becomes time zero. ffmpeg jumps to
            the last whole picture before it, so what lies earlier costs nothing.
        end_s: where the part ends; None is the end of the file.
        probed: what `probe` found in this part of `path` under these limits, where it was asked before. Without it, one
            ffmpeg is started for a common file, and a probe comes first for any other.

    Raises:
        MediaError: the file cannot be used; pictures already handed out are void.
    """
    heard_from = voice_path or path

    def run(shown: Probe, heard: Probe, at_once: bool = False) -> Decoded:
        grid = Grid(path, media, step_s, shown, on_picture)
        sound = Sound(heard_from, media, heard if not start_s else replace(heard, begins_s=None), on_voice)

        def accept(found: Probe) -> None:
            sound.channels = found.channels
            on_probed(found)

        wanted = functools.partial(within, path, media, start_s=start_s, end_s=end_s)
        banner = Banner(shown, wanted, accept) if at_once else None
        with Process(path, media) as process:
            pipe = process.pipe if banner is None else lambda sink: process.pipe(banner.guard(sink))
            outputs = []
            source = input_of(path, media, shown, start_s, end_s)
            if shown.has_picture:
                outputs.append(grid.output(source, pipe(grid.take_times), pipe(grid.take_pictures)))
            if heard.has_sound:
                source = source if voice_path is None else input_of(voice_path, media, heard, start_s, end_s)
                outputs.append(sound.output(source, pipe(sound.take)))
                if sound.channels > 1:
                    outputs.append(sound.output(source, pipe(sound.take_sides), channels=2))
            say = "error" if banner is None else "level+info"
            options = ("-hide_banner", "-nostdin", "-nostats", "-v", say, "-filter_complex_threads", "1")
            command = ffmpeg.compile(ffmpeg.merge_outputs(*outputs).global_args(*options))
            if banner is None:
                process.run(command)
            else:
                process.run(command, failed=banner.failed, listen=banner.take)
        promised = shown if banner is None else banner.confirmed()
        seen_s, heard_s = grid.close(), sound.close()

        if shown.has_picture and not seen_s:
            raise MediaError("truncated", path, "promises a picture, but none can be decoded")
        if banner is not None and _lacks(promised, max(seen_s, heard_s)):
            shown = heard = probe(path, media, start_s=start_s, end_s=end_s)  # which knows the length more exactly
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

    if probed is None and voice_path is None and image_format(path) is None and (glanced := glance(path)):
        with contextlib.suppress(UnlikeError):
            return run(glanced, glanced, at_once=True)
    shown = probed or probe(path, media, start_s=start_s, end_s=end_s)
    on_probed(shown)
    if shown.image is not None:
        return decode_image(path, media, shown, step_s, on_picture, start_s, end_s)
    heard = shown if voice_path is None else probe(heard_from, media, start_s=start_s, end_s=end_s)
    if not heard.has_sound and voice_path is not None:
        raise MediaError("no_stream", voice_path, "holds no sound")
    return run(shown, heard)


def _lacks(promised: Probe, got_s: float) -> bool:
    """A tenth of a second is forgiven: very short files round their durations up."""
    return got_s < LEAST_WHOLE * promised.duration_s - 0.1


def _check_whole(path: Path, promised: Probe, got_s: float) -> None:
    if _lacks(promised, got_s):
        reason = f"breaks off: {got_s:.1f} s of its {promised.duration_s:.1f} s can be decoded"
        raise MediaError("truncated", path, reason)
