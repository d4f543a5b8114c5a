"""Augmentation of one clip: the same change over all its steps, as a camera, a room or a person would make it.

Works on arrays before batching and draws all chance from the generator it is given, so that a training that was cut
and goes on sees what it would have seen.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from mmer.data.samples import Sample
from mmer.runtime.grid import SAMPLE_RATE

LAG_S = 0.08
"""By how much sound may lead or follow the pictures: what people do not notice (ITU-R BT.1359: about 45 to 125 ms)."""
PAIRED_STEPS = 4
"""Enough to learn how a face and a voice are weighed; each costs a pass through the face network."""


def augment(sample: Sample, strength: float, rng: np.random.Generator) -> Sample:
    """A varied copy: mirrored or not, moved, turned, lit and coloured otherwise, blurred, occluded; voice faster (and
    higher), louder, in a room, with noise, and where both are there a little before or after the pictures.

    Args:
        strength: 0 (nothing) to 1.
    """
    if strength == 0:
        return sample
    mirror = bool(rng.random() < 0.5)
    light = 1 + strength * rng.uniform(-0.4, 0.4), strength * rng.uniform(-40, 40)
    tint = 1 + strength * rng.uniform(-0.15, 0.15, 3)
    faces, scenes, voice = sample.faces, sample.scenes, sample.voice
    if sample.present[:, 0].any():
        faces = _picture(faces, mirror, light, tint, strength, rng)
        if rng.random() < 0.5 * strength:
            faces = _blur(faces, rng)
        if rng.random() < 0.5 * strength:
            faces = _cover(faces, rng)
    if sample.present[:, 1].any():
        scenes = _picture(scenes, mirror, light, tint, strength, rng)
    if sample.present[:, 2].any():
        voice = _sound(voice, strength, rng)
        if sample.present[:, :2].any():
            voice = _shift(voice, round(strength * rng.uniform(-LAG_S, LAG_S) * SAMPLE_RATE))
    return replace(sample, faces=faces, scenes=scenes, voice=voice)


def pair(voice: Sample, face: Sample, rng: np.random.Generator) -> Sample:
    """An artificial clip: the voice of one, and in up to `PAIRED_STEPS` steps in a row the first face of another."""
    steps = len(voice.present)
    shown = int(rng.integers(1, min(PAIRED_STEPS, steps) + 1))
    begin = int(rng.integers(steps - shown + 1))
    faces, present = voice.faces.copy(), voice.present.copy()
    faces[begin : begin + shown] = face.faces[0]
    present[begin : begin + shown, 0] = True
    return replace(voice, faces=faces, present=present)


def beside(voice: Sample, film: Sample) -> Sample:
    """An artificial clip: the voice of one recording beside the faces of another, both from their first steps on."""
    shown = min(len(voice.present), len(film.present))
    faces, present = voice.faces.copy(), voice.present.copy()
    faces[:shown], present[:shown, 0] = film.faces[:shown], film.present[:shown, 0]
    return replace(voice, faces=faces, present=present)


def hide(present: npt.NDArray[np.bool_], rate: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Modality dropout: each modality is taken away with that chance, but never all that the clip has.

    Args:
        present: bool [T, 3].
    """
    shown = np.flatnonzero(present.any(0))
    lost = shown[rng.random(len(shown)) < rate]
    if len(lost) == len(shown) and len(shown):
        lost = np.delete(lost, rng.integers(len(lost)))
    out = present.copy()
    out[:, lost] = False
    return out


def _picture(
    x: npt.NDArray[np.uint8],
    mirror: bool,
    light: tuple[float, float],
    tint: npt.NDArray[np.float64],
    strength: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """uint8 [T, H, H, 3]: one affine map, one gain and one colour for the clip."""
    side = x.shape[1]
    matrix = cv2.getRotationMatrix2D(
        (side / 2, side / 2), strength * rng.uniform(-15, 15), 1 + strength * rng.uniform(-0.15, 0.15)
    )
    matrix[:, 2] += strength * rng.uniform(-0.08, 0.08, 2) * side
    if mirror:
        matrix = matrix @ np.array([[-1, 0, side - 1], [0, 1, 0], [0, 0, 1]])
    tables = [np.clip((np.arange(256) - 128) * light[0] * c + 128 + light[1], 0, 255) for c in tint]
    table = np.stack(tables, -1).astype(np.uint8)[None]
    moved = [cv2.warpAffine(frame, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE) for frame in x]
    return np.stack([cv2.LUT(frame, table) for frame in moved])


def _cover(x: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A grey rectangle over up to a third of each side of the picture, for the whole clip (Zhong et al. 2020)."""
    side = x.shape[1]
    height, width = rng.integers(side // 8, side // 3, 2)
    top, left = rng.integers(0, side - height), rng.integers(0, side - width)
    out = x.copy()
    out[:, top : top + height, left : left + width] = rng.integers(0, 256)
    return out


def _blur(x: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Out of focus, or from a small picture made large: Gaussian, sigma 0.3 to 1.6 pixels, for the whole clip."""
    sigma = rng.uniform(0.3, 1.6)
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in x])


def _sound(x: npt.NDArray[np.int16], strength: float, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """int16 [N]: played faster or slower, which also moves the pitch and the formants as another throat would; another
    gain; sometimes in a room, and with noise at 5 to 40 dB below the voice. It starts where it did and is cut or ends
    early.
    """
    speed = 1 + strength * rng.uniform(-0.2, 0.2)
    gain = 10 ** (strength * rng.uniform(-12, 12) / 20)
    y = np.interp(np.arange(len(x)) * speed, np.arange(len(x)), x, right=0.0).astype(np.float32) * gain
    if len(x) and rng.random() < 0.3 * strength:
        y = _in_a_room(y, rng)
    if len(x) and rng.random() < 0.7 * strength:
        level = np.sqrt(np.mean(np.square(y))) * 10 ** (-rng.uniform(5, 40) / 20)
        y += level * noise(len(y), rng)
    return _pcm(y)


def _in_a_room(y: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """The sound with the echoes of a room: noise that has died away by 60 dB after 0.1 to 0.5 s, 6 to 20 dB below the
    direct sound.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    lasts = round(rng.uniform(0.1, 0.5) * SAMPLE_RATE)
    echoes = rng.standard_normal(lasts, np.float32) * 10 ** np.linspace(0, -3, lasts, dtype=np.float32)
    echoes *= 10 ** (-rng.uniform(6, 20) / 20) / np.sqrt(np.square(echoes).sum())
    echoes[0] = 1.0
    size = next_fast_len(len(y) + lasts - 1, real=True)
    heard: npt.NDArray[np.float32] = irfft(rfft(y, size) * rfft(echoes, size), size)[: len(y)]
    return heard


def noise(length: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Noise of a room, float32 [N] of RMS 1: its power falls with the frequency, by anything from not at all (white) to
    its square (brown, as ventilation).
    """
    from scipy.fft import irfft, next_fast_len

    if not length:
        return np.zeros(0, np.float32)
    size = next_fast_len(length, real=True)
    bins = size // 2 + 1
    spectrum = (rng.standard_normal(2 * bins, np.float32)).view(np.complex64)
    spectrum *= np.maximum(np.arange(bins, dtype=np.float32), size / 300) ** np.float32(-rng.uniform(0, 1))
    y = irfft(spectrum, size)[:length]
    return _of_level_1(y)


def outlier(sample: Sample, rng: np.random.Generator) -> Sample:
    """What shows and tells nothing, as long as the sample and present where it is: for faces a blotched or plain
    surface, for a voice the noise of a room or a hum. Learnt with no emotion as its target (outlier exposure, Hendrycks
    et al. 2019, arXiv:1812.04606), so that what is no face and no voice is not answered with confidence.
    """
    steps, side = sample.faces.shape[:2]
    coarse = rng.integers(0, 256, (k := int(rng.integers(1, 9)), k, 3)).astype(np.float32)
    surface = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC) + rng.normal(0, rng.uniform(0, 20))
    faces = np.broadcast_to(np.clip(surface, 0, 255).astype(np.uint8), (steps, side, side, 3))
    level = 32768 * 10 ** (rng.uniform(-60, -25) / 20)
    heard = (hum if rng.random() < 0.3 else noise)(len(sample.voice), rng)
    return replace(sample, faces=faces, voice=_pcm(level * heard))


def hum(length: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """What the mains and what turns sound like, float32 [N] of RMS 1: a steady tone of 40 to 130 Hz with up to eight
    overtones.
    """
    if not length:
        return np.zeros(0, np.float32)
    order = np.arange(1, rng.integers(2, 10))
    turns = np.arange(length)[:, None] * (rng.uniform(40, 130) * order / SAMPLE_RATE) + rng.random(len(order))
    y = np.cos(2 * np.pi * turns) @ (rng.random(len(order)) / order ** rng.uniform(0, 1.5))
    return _of_level_1(y)


def _of_level_1(y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    scaled: npt.NDArray[np.float32] = (y / max(float(np.sqrt(np.mean(np.square(y)))), 1e-9)).astype(np.float32)
    return scaled


def _shift(x: npt.NDArray[np.int16], by: int) -> npt.NDArray[np.int16]:
    """int16 [N], later (earlier, where negative) by so many samples; what is left over is silence."""
    out = np.zeros_like(x)
    if by >= 0:
        out[by:] = x[: len(x) - by]
    else:
        out[:by] = x[-by:]
    return out


def _pcm(y: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    clipped: npt.NDArray[np.int16] = np.clip(y, -32768, 32767).astype(np.int16)
    return clipped
