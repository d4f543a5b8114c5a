"""Draw web/samples/: the clips that the page offers to whoever has none at hand.

They are of the demo corpus's kind, of speakers whom the shipped model reads as they are meant, as
tests/web/test_samples.py asks it: what it makes of other drawings is no measure of it, since it learnt from people.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from mmer.data.demo.canvas import HEIGHT, WIDTH
from mmer.data.demo.expressions import Expression
from mmer.data.demo.frames import draw_frames
from mmer.data.demo.room import ROOMS
from mmer.data.demo.speakers import make_speaker
from mmer.data.demo.speech import plan_speech
from mmer.data.demo.trials import FPS, Trial
from mmer.data.demo.voice import draw_sound
from mmer.runtime.grid import SAMPLE_RATE
from scripts.imports import ROOT

SHOUT = Expression(corner=-0.6, stretch=0.1, drop=0.14, brow_in=-0.22, brow_out=0.12, frown=1.5, lids=0.3, wrinkle=1.0)
"""An anger that bares its teeth: AU 4, 5, 9 and 26. The corpus's own, of pressed lips, the model takes for neutral."""
#: By name: number of the speaker, the room, and what follows what for how many seconds.
SAMPLES = {
    "happy": (4, "happy", [("happy", 3.0)]),
    "surprise": (21, "surprise", [("surprise", 3.0)]),
    "angry": (17, "angry", [("angry", 3.0)]),
    "changing": (10, "neutral", [("neutral", 3.0), ("happy", 3.0), ("surprise", 3.0)]),
}


def draw_sample(path: Path, number: int, room: str, parts: list[tuple[str, float]]) -> None:
    """One clip: MP4, H.264 and AAC."""
    frames, sounds = [], []
    for k, (label, seconds) in enumerate(parts):
        who = make_speaker(0, number)
        trial = Trial(path.stem, who, label, "high", "none", "voice", ROOMS[room], seconds, (0, number))
        speech = plan_speech(trial, np.random.default_rng([number, k]))
        pictures, _ = draw_frames(trial, speech, np.random.default_rng(number), SHOUT if label == "angry" else None)
        frames += pictures
        sound = draw_sound(trial, speech, np.random.default_rng(number))
        assert sound is not None, "each speaks"
        sounds.append(sound)
    with tempfile.NamedTemporaryFile(suffix=".pcm") as voice:
        voice.write(np.concatenate(sounds).tobytes())
        voice.flush()
        pictures_in = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-"]
        sound_in = ["-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1", "-i", voice.name]
        video = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "26", "-threads", "1"]
        exact = ["-fflags", "+bitexact", "-flags", "+bitexact", "-map_metadata", "-1", "-movflags", "+faststart"]
        command = ["ffmpeg", "-v", "error", "-y", *pictures_in, *sound_in, *video, "-c:a", "aac", "-b:a", "32k"]
        subprocess.run([*command, *exact, path], input=b"".join(f.tobytes() for f in frames), check=True)


def main() -> None:
    """Draw them all."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name, (number, room, parts) in SAMPLES.items():
        draw_sample(ROOT / "web" / "samples" / f"{name}.mp4", number, room, parts)


if __name__ == "__main__":
    main()
