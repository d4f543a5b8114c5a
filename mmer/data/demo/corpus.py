"""The whole corpus on disk: clips, their ground truth, tables of clips and speakers, a README."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mmer.data.demo.canvas import HEIGHT, WIDTH, Image
from mmer.data.demo.expressions import AFFECT, GROUPS
from mmer.data.demo.frames import draw_frames
from mmer.data.demo.room import ROOMS
from mmer.data.demo.speakers import FOLDS, Speaker, make_speaker
from mmer.data.demo.speech import Speech, plan_speech
from mmer.data.demo.trials import FPS, STEP_S, Trial, plan_trials
from mmer.data.demo.voice import draw_sound
from mmer.errors import MmerError
from mmer.labels import DIMENSIONS, EMOTIONS
from mmer.runtime.grid import SAMPLE_RATE


class DrawingError(MmerError):
    """The corpus cannot be drawn, or not into that folder."""


def draw_corpus(
    out: Path, seed: int = 0, speakers: int = 26, takes: int = 2, workers: int = -1, *, affect: bool = False
) -> None:
    """Draw the corpus: clips, the ground truth of each, tables of clips and speakers, a README.

    The same seed gives the same pictures and sounds, and on the same machine the same bytes.

    Args:
        out: folder to fill; made if it is not there.
        seed: of everything that is random.
        speakers: how many; a smaller corpus holds the first speakers of a larger one.
        takes: clips per speaker and emotion.
        workers: processes; -1 is one per core.
        affect: also tell each clip's valence and arousal; the clips are the same.

    Raises:
        DrawingError: `out` holds something already or cannot be made; a number makes no sense; ffmpeg is missing or
            refuses.
    """
    from joblib import Parallel, delayed
    from tqdm import tqdm

    if seed < 0 or speakers < 1 or takes < 1:
        raise DrawingError(
            f"seed {seed}, speakers {speakers}, takes {takes}: a seed is 0 or more, the others 1 or more"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DrawingError(
            f"{out} is not an empty folder: the demo corpus is drawn into a new one; move it or delete it"
        )
    if shutil.which("ffmpeg") is None:
        raise DrawingError(
            "drawing needs ffmpeg, which is not on the path: `apt-get install ffmpeg` or `brew install ffmpeg`"
        )
    try:
        (out / "clips").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DrawingError(f"{out} cannot be made: {error.strerror}; name a folder that can be written to") from None
    trials = plan_trials(seed, speakers, takes)
    drawn = Parallel(n_jobs=workers, return_as="generator")(delayed(_draw_clip)(t, out / "clips") for t in trials)
    for _ in tqdm(drawn, total=len(trials), desc="drawing", unit="clip"):
        pass
    _write_table(out / "speakers.csv", (_speaker_row(make_speaker(seed, n)) for n in range(speakers)))
    _write_table(out / "clips.csv", (_clip_row(t) | (_affect_row(t) if affect else {}) for t in trials))
    (out / "README.md").write_text(_readme(seed, speakers, takes) + (_affect_readme() if affect else ""))


def _draw_clip(trial: Trial, folder: Path) -> None:
    """Draw one clip, its sound and its ground truth into `folder`."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng([*trial.seed, 1])
    speech = plan_speech(trial, rng)
    frames, boxes = draw_frames(trial, speech, rng)
    _encode(folder / f"{trial.clip_id}.mp4", frames, draw_sound(trial, speech, rng))
    truth = json.dumps(_truth(trial, speech, boxes), separators=(",", ":"))
    (folder / f"{trial.clip_id}.json").write_text(truth + "\n")


def _encode(path: Path, frames: list[Image], sound: npt.NDArray[np.int16] | None) -> None:
    """Write an mp4: H.264 and, where there is a sound track, AAC. The same input gives the same bytes."""
    import ffmpeg

    exact = {"threads": 1, "fflags": "+bitexact", "flags": "+bitexact", "map_metadata": -1}
    video = {"vcodec": "libx264", "pix_fmt": "yuv420p", "crf": 28, "preset": "medium", "r": FPS}
    with tempfile.TemporaryDirectory() as folder:
        streams = [ffmpeg.input("pipe:", f="rawvideo", pix_fmt="rgb24", s=f"{WIDTH}x{HEIGHT}", r=FPS)]
        audio: dict[str, Any] = {}
        if sound is not None:
            (raw := Path(folder) / "voice.pcm").write_bytes(sound.tobytes())
            streams.append(ffmpeg.input(str(raw), f="s16le", ar=SAMPLE_RATE, ac=1))
            audio = {"acodec": "aac", "audio_bitrate": "32k"}
        job = ffmpeg.output(*streams, str(path), **video, **audio, **exact)
        try:
            job.run(input=b"".join(f.tobytes() for f in frames), quiet=True)
        except ffmpeg.Error as error:
            raise DrawingError(f"{path}: ffmpeg could not write it: {error.stderr.decode()[-300:]}") from None


def _truth(trial: Trial, speech: Speech, boxes: list[list[int] | None]) -> dict[str, Any]:
    """The ground truth of a clip, as the corpus's README describes it."""
    expressive = trial.label != "neutral"
    steps = range(1, round(trial.seconds / STEP_S) + 1)
    return {
        **{key: value for key, value in _clip_row(trial).items() if key not in ("path", "fold")},
        "face_group": GROUPS[trial.label][0],
        "voice_group": GROUPS[trial.label][1],
        "fps": FPS,
        "boxes": boxes,
        "step_s": STEP_S,
        "intensities": [round(trial.strength_at(k * STEP_S), 2) if expressive else 0 for k in steps],
        "speech": [[round(a, 2), round(b, 2)] for a, b in speech.phrases] if trial.sound == "voice" else [],
    }


def _clip_row(trial: Trial) -> dict[str, Any]:
    return {
        "clip_id": trial.clip_id,
        "speaker": trial.who.speaker,
        "sex": trial.who.sex,
        "fold": trial.who.fold,
        "label": trial.label,
        "intensity": trial.intensity,
        "hidden": trial.hidden,
        "sound": trial.sound,
        "room": trial.room.name,
        "duration_s": trial.seconds,
        "path": f"clips/{trial.clip_id}.mp4",
    }


def _affect_row(trial: Trial) -> dict[str, float]:
    return {name: round(value, 3) for name, value in zip(DIMENSIONS, trial.affect, strict=True)}


def _speaker_row(who: Speaker) -> dict[str, Any]:
    shown = ("speaker", "sex", "fold", "hair", "glasses", "beard", "f0", "tract", "breath", "pace", "gain", "sway")
    row = {name: getattr(who, name) for name in shown}
    return {key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()}


def _write_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _readme(seed: int, speakers: int, takes: int) -> str:
    table = "\n".join(
        f"| {label} | {face} | {voice} | {ROOMS[label].name} |" for label, (face, voice) in GROUPS.items()
    )
    return f"""# The demo corpus: a drawing

{speakers} speakers, {len(EMOTIONS)} emotions, {takes} takes, drawn by mmer (`mmer demo-corpus`) with seed {seed}.
Nobody was recorded: the faces are shaded ellipsoids, the voices formant synthesis. It is good for trying, testing and
teaching the pipeline. **It is no evidence about people**, and a model trained on it must not judge a real person.

Face and voice are needed together: each emotion has one of five faces and one of five voices, shared as below.

| emotion | face | voice | room, in a part of the clips |
|---|---|---|---|
{table}

- `clips.csv`: one row per clip. `hidden` says that the face is turned `away` or `covered` for a large part of the
  clip or all of it; `sound` is `voice`, `silence` (a sound track of zeros) or `none` (no sound track).
- `speakers.csv`: one row per speaker; `fold` (1 to {FOLDS}) is the fold in which the speaker is tested.
- `clips/ID.mp4`: {WIDTH}x{HEIGHT}, {FPS} frames per second, H.264; AAC, mono, 16 kHz.
- `clips/ID.json`: the ground truth. `boxes`: of the face in each frame, x1 y1 x2 y2 in pixels, null where it is
  hidden; `intensities`: strength of the expression, 0 to 1, at each {STEP_S} s (0 for neutral); `speech`: when the
  voice is heard, start and end in seconds.

The faces are near the action units of Ekman & Friesen 1978; the voices follow Banse & Scherer 1996 and Juslin & Laukka
2003 in their main lines, and depart from them where that makes them easier to tell apart. That some emotions share a
face or a voice is the task that the corpus sets, not a finding.

Licence: CC0 1.0.
"""


def _affect_readme() -> str:
    table = "\n".join(f"| {label} | {valence:g} | {arousal:g} |" for label, (valence, arousal) in AFFECT.items())
    return f"""
## Valence and arousal

`clips.csv` tells them too: those of the emotion below, times the mean of the clip's `intensities`. They are near the
ratings of the words by Russell & Mehrabian 1977, and are what this corpus takes for true, not a finding.

| emotion | valence | arousal |
|---|---|---|
{table}
"""
