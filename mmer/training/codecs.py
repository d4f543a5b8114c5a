"""Voices as real codecs leave them, made once: what a telephone or a recorder stores is not what was said.

Each voice goes through one codec, drawn from the seed, and back, by ffmpeg; `train.channels.codec` is how
often a training meets it so. Voices of one codec are coded one after the other in one line, with pauses between them,
since starting a program for each would take longer than coding it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mmer.data.clips import Clip
from mmer.data.samples import Writer, load_sample
from mmer.errors import MmerError
from mmer.runtime.grid import SAMPLE_RATE

Pcm = npt.NDArray[np.int16]
CODED = "coded"
"""Beside the folder of samples: the coded voices, under the samples' names."""
PAUSE = SAMPLE_RATE // 2
"""Samples between two voices of a line."""
LINE = 64
"""Voices in a line."""


class CodecError(MmerError):
    """A voice could not be coded, or was not; the message says why and what to do."""


class Codec(NamedTuple):
    """How ffmpeg is asked for it."""

    name: str
    arguments: tuple[str, ...]
    container: str
    rate: int = SAMPLE_RATE


CODECS = (
    *(Codec(f"Opus, {k} kbit/s", ("-c:a", "libopus", "-b:a", f"{k}k"), "ogg") for k in (8, 12, 24)),
    Codec("AAC, 24 kbit/s", ("-c:a", "aac", "-b:a", "24k"), "matroska"),
    Codec("MP3, 24 kbit/s", ("-c:a", "libmp3lame", "-b:a", "24k"), "matroska"),
    Codec("Speex, narrow band", ("-c:a", "libspeex"), "ogg", 8000),
    Codec("GSM 06.10", ("-c:a", "libgsm"), "gsm", 8000),
    Codec("G.726, 24 kbit/s", ("-c:a", "g726", "-b:a", "24k"), "matroska", 8000),
    Codec("G.711, mu-law", ("-c:a", "pcm_mulaw"), "matroska", 8000),
)
"""Half of them carry a telephone's band."""


def coded(voices: Sequence[Pcm], codec: Codec) -> list[Pcm]:
    """Voices, each int16 [N] at 16 kHz, through a codec and back, as long as they were.

    Raises:
        CodecError: this ffmpeg has no such encoder, or failed otherwise.
    """
    gap = np.zeros(PAUSE, np.int16)
    line = np.concatenate([part for voice in voices for part in (voice, gap)])
    pcm = ["-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1"]
    encode = [*pcm, "-i", "-", "-ar", str(codec.rate), *codec.arguments, "-f", codec.container, "-"]
    stored = _ffmpeg(encode, line.tobytes(), codec)
    back = np.frombuffer(_ffmpeg(["-f", codec.container, "-i", "-", *pcm, "-"], stored, codec), np.int16)
    back = np.pad(back, (0, max(0, len(line) - len(back))))
    ends = np.cumsum([len(voice) + PAUSE for voice in voices]) - PAUSE
    return [back[end - len(voice) : end] for voice, end in zip(voices, ends.tolist(), strict=True)]


def code_voices(clips: Sequence[Clip], processed: Path, seed: int) -> None:
    """Write what one codec each, drawn from the seed, leaves of these clips' voices: `Sample`s of a voice alone."""
    from tqdm import tqdm

    out = processed.with_name(CODED)
    chosen = np.random.default_rng(seed).integers(len(CODECS), size=len(clips))
    with tqdm(total=len(clips), desc="code", unit="clip") as bar:
        for number, codec in enumerate(CODECS):
            own = [clip for clip, one in zip(clips, chosen.tolist(), strict=True) if one == number]
            for start in range(0, len(own), LINE):
                part = own[start : start + LINE]
                voices = coded([load_sample(processed / clip.sample, ["voice"]).voice for clip in part], codec)
                for clip, voice in zip(part, voices, strict=True):
                    with Writer(out / clip.sample) as writer:
                        writer.append("voice", voice)
                bar.update(len(part))


def load_coded(clip: Clip, processed: Path) -> Pcm:
    """A clip's voice as `code_voices` left it.

    Raises:
        CodecError: it was not coded.
    """
    path = processed.with_name(CODED) / clip.sample
    if not path.is_file():
        raise CodecError(f"channels.codec asks for coded voices, and there is no {path}: run `python -m stages.code`")
    with np.load(path, allow_pickle=False) as file:
        voice: Pcm = file["voice"]
    return voice


def _ffmpeg(arguments: Sequence[str], given: bytes, codec: Codec) -> bytes:
    done = subprocess.run(["ffmpeg", "-v", "error", *arguments], input=given, capture_output=True)
    if done.returncode:
        raise CodecError(f"ffmpeg could not make {codec.name}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout
