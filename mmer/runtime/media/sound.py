"""The voice at 16 kHz, from ffmpeg."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmer.runtime.config import Media
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.media.errors import too_long
from mmer.runtime.media.types import Probe
from mmer.runtime.types import OnVoice

_BLOCK, _CANCELLED = 1600, 0.1
"""Of a voice in stereo: where in a tenth of a second the sum of the channels has less than a tenth of the louder one's
power, they cancel each other out (a plug half in, a mixer's switch), and the louder one is the voice."""


class Sound:
    """Receives the voice, and gathers it or hands it on."""

    def __init__(self, path: Path, media: Media, heard: Probe, on_voice: OnVoice | None) -> None:
        self.channels = heard.channels
        """Of the track; of one, both sides are the same, and are left alone."""
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
        if self.channels > 1:
            self._compare()
        else:
            whole = len(self._mono) // 2 * 2
            self._hand(np.frombuffer(self._mono[:whole], "<i2"))
            del self._mono[:whole]

    def take_sides(self, chunk: bytes) -> None:
        """Left and right, in turns."""
        if self.channels > 1:
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
            raise too_long(self._path, self._media, "more")
        self._hand_on(piece.astype(np.int16, copy=False))
