"""A file's pictures on the grid of steps, and its voice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ffmpeg
import numpy as np

from mmer.runtime.config import Media
from mmer.runtime.grid import step_count
from mmer.runtime.media.errors import MediaError
from mmer.runtime.media.pictures import Grid
from mmer.runtime.media.probing import probe
from mmer.runtime.media.process import Process
from mmer.runtime.media.sound import Sound
from mmer.runtime.media.source import input_of
from mmer.runtime.media.stills import decode_image
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
        return decode_image(path, media, shown, step_s, on_picture, start_s, end_s)
    heard_from = voice_path or path
    heard = shown if voice_path is None else probe(voice_path, media, start_s=start_s, end_s=end_s)
    if voice_path is not None and not heard.has_sound:
        raise MediaError("no_stream", voice_path, "holds no sound")

    grid = Grid(path, media, step_s, shown, on_picture)
    sound = Sound(heard_from, media, heard if not start_s else replace(heard, begins_s=None), on_voice)
    with Process(path, media) as process:
        outputs = []
        source = input_of(path, media, shown, start_s, end_s)
        if shown.has_picture:
            outputs.append(grid.output(source, process.pipe(grid.take_times), process.pipe(grid.take_pictures)))
        if heard.has_sound:
            source = source if voice_path is None else input_of(voice_path, media, heard, start_s, end_s)
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


def _check_whole(path: Path, promised: Probe, got_s: float) -> None:
    """A tenth of a second is forgiven: very short files round their durations up."""
    if got_s < LEAST_WHOLE * promised.duration_s - 0.1:
        reason = f"breaks off: {got_s:.1f} s of its {promised.duration_s:.1f} s can be decoded"
        raise MediaError("truncated", path, reason)
