"""A prepared corpus of a few tiny clips whose colour and tone tell the emotion: enough to train on in seconds."""

from pathlib import Path

import numpy as np

from mmer.config import Params
from mmer.data.clips import Clip, write_manifest
from mmer.data.samples import Sample, save_sample
from mmer.labels import EMOTIONS

SMALL_NETWORK: dict[str, object] = {
    "model.face.width": 0.125,
    "model.face.embedding": 16,
    "model.scene": {"channels": 4, "embedding": 8},
    "model.voice": {"channels": 4, "embedding": 16},
    "model.temporal.hidden": 16,
    "input.face_size": 32,
    "input.scene_size": 32,
}
"""Keys of params.yaml for a network that trains in seconds."""


def tiny_corpus(folder: Path, params: Params, speakers: int = 6, steps: int = 4, seed: int = 0) -> list[Clip]:
    """Write samples below `folder`, and `clips.parquet`; speakers 0 and 1 are tested, 2 validates, the others train."""
    rng = np.random.default_rng(seed)
    side, scene, hop = params.input.face_size, params.input.scene_size, round(params.input.step_s * 16_000)
    clips = []
    for speaker in range(speakers):
        for k, emotion in enumerate(EMOTIONS):
            shade = rng.integers(0, 60, (steps, side, side, 3)) + np.array([25 * k, 180 - 25 * k, 90])
            tone = np.sin(np.arange(steps * hop) * 2 * np.pi * (200 + 300 * k) / 16_000) * 8000
            sample = Sample(
                faces=shade.astype(np.uint8),
                scenes=rng.integers(0, 256, (steps, scene, scene, 3), np.uint8),
                voice=(tone + rng.normal(0, 300, steps * hop)).astype(np.int16),
                present=np.ones((steps, 3), bool),
            )
            clip = Clip(
                clip_id=f"s{speaker}-{emotion}",
                corpus="demo",
                speaker=f"s{speaker}",
                sex=("female", "male")[speaker % 2],
                label=emotion,
                split="test" if speaker < 2 else "val" if speaker == 2 else "train",
                fold=speaker + 1,
                path=f"s{speaker}-{emotion}.mp4",
                sha256=f"{speaker:032x}{k:032x}",
                duration_s=steps * params.input.step_s,
                has_face=True,
                has_scene=True,
                has_voice=True,
                steps=steps,
                face_rate=1.0,
                voice_rate=1.0,
            )
            save_sample(folder / clip.sample, sample)
            clips.append(clip)
    write_manifest(folder / "clips.parquet", clips)
    return clips
