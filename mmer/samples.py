"""Samples on disk: what a clip becomes on its way to the network, one file per clip.

Extraction writes a `Frames` file (pictures as JPEG, voice as PCM), cropping turns it into a `Sample`. Both live on
the same grid of steps: step k, from 0, stands at (k + 1) * step_s and has the newest frame that is not later, and the
voice window that ends there, so that a clip and a live stream are the same computation.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
"""Of every voice in this project, Hz, mono."""


@dataclass(frozen=True)
class Frames:
    """What extraction keeps of a clip."""

    jpegs: list[bytes]
    """One picture per step [T]; empty where the clip has none."""
    times: npt.NDArray[np.float32]
    """True presentation time of each picture, seconds [T]; no later than its step's."""
    voice: npt.NDArray[np.int16]
    """[N] at 16 kHz mono; empty where the clip has no sound."""
    steps: int
    """T, also where there are no pictures."""


@dataclass(frozen=True)
class Sample:
    """What the network sees of a clip. A modality that is absent is absent in `present`, whatever its array holds."""

    faces: npt.NDArray[np.uint8]
    """[T, S, S, 3] RGB."""
    scenes: npt.NDArray[np.uint8]
    """[T, C, C, 3] RGB."""
    voice: npt.NDArray[np.int16]
    """[N] at 16 kHz mono."""
    present: npt.NDArray[np.bool_]
    """[T, 3]: face, scene, voice."""


def step_count(duration_s: float, step_s: float) -> int:
    """Steps in a clip: those whose time has come when it ends, and at least one."""
    return max(1, int(duration_s / step_s + 1e-6))


def voice_windows(voice: npt.NDArray[np.int16], steps: int, step_s: float, window_s: float) -> npt.NDArray[np.float32]:
    """The voice window that ends at each step.

    Args:
        voice: int16 [N] at 16 kHz; where it is shorter than the steps last, silence follows.

    Returns:
        float32 [steps, W] in -1..1, W = window_s * 16,000; the first windows are padded with zeros on the left.
    """
    hop, width = round(step_s * SAMPLE_RATE), round(window_s * SAMPLE_RATE)
    line = np.zeros(width + steps * hop, np.float32)
    used = voice[: steps * hop]
    line[width : width + len(used)] = used.astype(np.float32) / 32768
    return np.stack([line[k * hop : k * hop + width] for k in range(1, steps + 1)])


def voice_present(windows: npt.NDArray[np.float32], silence_dbfs: float) -> npt.NDArray[np.bool_]:
    """The one rule for what counts as voice: a window whose level reaches `silence_dbfs`.

    The level decides, not the presence of a sound track: RAVDESS's video-only files carry a silent one.

    Args:
        windows: float32 [T, W] in -1..1.
        silence_dbfs: RMS in dB of full scale.

    Returns:
        bool [T].
    """
    power = np.mean(np.square(windows, dtype=np.float32), axis=-1)
    present: npt.NDArray[np.bool_] = power >= 10 ** (silence_dbfs / 10)
    return present


def save_frames(path: Path, frames: Frames) -> None:
    """Write a `Frames` file; it appears whole or not at all."""
    sizes = np.array([len(j) for j in frames.jpegs], np.int64)
    _save(
        path,
        jpegs=np.frombuffer(b"".join(frames.jpegs), np.uint8),
        sizes=sizes,
        times=frames.times,
        voice=frames.voice,
        steps=np.int64(frames.steps),
    )


def load_frames(path: Path) -> Frames:
    """Read what `save_frames` wrote."""
    with np.load(path, allow_pickle=False) as file:
        ends = np.cumsum(file["sizes"])
        data = file["jpegs"].tobytes()
        jpegs = [data[end - size : end] for end, size in zip(ends, file["sizes"], strict=True)]
        return Frames(jpegs, file["times"], file["voice"], int(file["steps"]))


def save_sample(path: Path, sample: Sample) -> None:
    """Write a `Sample` file; it appears whole or not at all."""
    _save(path, faces=sample.faces, scenes=sample.scenes, voice=sample.voice, present=sample.present)


def load_sample(path: Path) -> Sample:
    """Read what `save_sample` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return Sample(file["faces"], file["scenes"], file["voice"], file["present"])


def _save(path: Path, **arrays: npt.NDArray[np.generic] | np.generic) -> None:
    """Write arrays as npz with fixed time stamps, so that the same arrays give the same bytes.

    Arrays of nothing but zeros (the faces of a clip that is only heard) are deflated, to a thousandth; real ones are
    stored, since that reads faster.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, np.asanyarray(array), allow_pickle=False)
                method = zipfile.ZIP_STORED if np.any(array) else zipfile.ZIP_DEFLATED
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), method)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
