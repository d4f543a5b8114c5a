"""The voice: glottal pulses and breath, shaped by formants (source and filter, Fant 1960; Klatt 1980)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mmer.data.demo.canvas import Array
from mmer.data.demo.speakers import Speaker
from mmer.data.demo.speech import Speech
from mmer.data.demo.trials import Trial
from mmer.runtime.grid import SAMPLE_RATE

#: First three formants of each of `VOWELS`, Hz: a and e are the means of men in Peterson & Barney 1952 (J. Acoust. Soc.
#: Am. 24, 175-184, table II), i, o and u are near them (at most 8% off).
FORMANTS = np.array(
    [[730, 1090, 2440], [530, 1840, 2480], [290, 2250, 2950], [570, 860, 2410], [310, 880, 2260]], float
)
HIGH_FORMANTS = np.array([[3400.0], [4500.0]])
"""The fourth and fifth, the same for all vowels."""
BANDWIDTHS = np.array([[80], [90], [120], [180], [250]])
"""Of the five formants, Hz."""
BLOCK = SAMPLE_RATE // 100
"""Formants move every 10 ms."""
OPEN_QUOTIENT = 0.6
"""Share of a period in which the glottis is open."""
NOISE_DBFS = -66
"""Of the room itself."""


def draw_sound(trial: Trial, speech: Speech, rng: np.random.Generator) -> npt.NDArray[np.int16] | None:
    """The clip's sound, int16 [N] at 16 kHz; zeros for digital silence, None for no sound track."""
    if trial.sound == "none":
        return None
    samples = round(trial.seconds * SAMPLE_RATE)
    if trial.sound == "silence":
        return np.zeros(samples, np.int16)
    return (32767 * synthesise(trial.who, speech, samples, rng)).astype(np.int16)


def synthesise(who: Speaker, speech: Speech, samples: int, rng: np.random.Generator) -> Array:
    """Speech as the speaker would say it: float [samples] in -1..1 at 16 kHz, at the level of its voicing."""
    from scipy.signal import butter, sosfilt

    f0, loud, hiss = _prosody(who, speech, samples, rng)
    flow, is_open = _pulses(speech, f0, rng)
    noise = rng.normal(0, 1, samples)
    breath = min(0.9, speech.voicing.breath + who.breath)
    voiced = _resonate(who, speech, loud * ((1 - breath) * flow + breath * noise * (0.6 + 0.4 * is_open)))

    sound = voiced / np.sqrt(np.mean(voiced[loud > 0.1] ** 2))
    sound += sosfilt(butter(2, 3500, "highpass", fs=SAMPLE_RATE, output="sos"), noise) * hiss
    sound *= 10 ** ((speech.voicing.level + who.gain) / 20)
    sound += 10 ** (NOISE_DBFS / 20) * rng.normal(0, 1, samples)
    limited: Array = np.tanh(sound)
    return limited


def _prosody(who: Speaker, speech: Speech, samples: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Pitch in Hz, loudness of the syllables and of the consonants that hiss before them, 0..1: each [samples]."""
    voicing = speech.voicing
    time = np.arange(samples) / SAMPLE_RATE
    pitch, loud, hiss = np.zeros(samples), np.zeros(samples), np.zeros(samples)
    for start, end, place in zip(speech.starts, speech.ends, speech.places, strict=True):
        here = slice(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE))
        t = time[here] - start
        x = t / (end - start)
        loud[here] = np.minimum(1, t / voicing.attack) * np.minimum(1, (end - start - t) / 0.05) * (1 - 0.4 * x)
        pitch[here] = voicing.glide * np.sin(np.pi * x) - voicing.fall * (place - 0.5)
        if rng.random() < 0.5:  # a consonant like s or t opens the syllable
            hiss[here] = np.clip(1 - t / 0.06, 0, None) * rng.uniform(0.1, 0.3)
    loud = np.clip(loud, 0, None)
    shake = np.sin(2 * np.pi * 7 * time + rng.uniform(0, 6.3))
    loud *= 1 + voicing.tremor * (0.5 * shake - 0.5)
    drift = np.interp(time, np.linspace(0, time[-1], 40), rng.normal(0, 0.25, 40))
    f0 = who.f0 * 2 ** ((voicing.pitch + pitch + drift + 0.8 * voicing.tremor * shake) / 12)
    return f0, loud, hiss


def _pulses(speech: Speech, f0: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Derivative of the flow through the glottis, of RMS 1, and whether it is open: each [samples].

    The flow is t² - t³ while the glottis is open, as in KLGLOTT88 (Klatt & Klatt 1990).
    """
    from scipy.signal import lfilter

    voicing = speech.voicing
    cycles = np.cumsum(f0 / SAMPLE_RATE)
    t = np.clip(np.mod(cycles, 1) / OPEN_QUOTIENT, 0, 1)
    unlike = 1 + voicing.rough * rng.uniform(-1.6, 1, int(cycles[-1]) + 1)
    flow = np.where(t < 1, 2 * t - 3 * t**2, 0) * unlike[cycles.astype(int)]
    decay = np.exp(-2 * np.pi * voicing.bright / SAMPLE_RATE)
    flow = lfilter([1 - decay], [1, -decay], flow)
    return flow / np.sqrt(np.mean(flow**2)), t < 1


def _resonate(who: Speaker, speech: Speech, source: Array) -> Array:
    """The source [samples] through the five formants in a row, which move from vowel to vowel."""
    from scipy.signal import sosfilt

    centres = (speech.starts + speech.ends) / 2
    blocks = np.arange(0, len(source), BLOCK) / SAMPLE_RATE
    moving = np.stack([np.interp(blocks, centres, FORMANTS[speech.vowels, f]) for f in range(3)])
    track = who.tract * np.vstack([moving, np.tile(HIGH_FORMANTS, len(blocks))])
    radius = np.exp(-np.pi * BANDWIDTHS / SAMPLE_RATE)
    a1, a2 = -2 * radius * np.cos(2 * np.pi * track / SAMPLE_RATE), np.broadcast_to(radius**2, track.shape)
    state, voiced = np.zeros((5, 2)), np.empty(len(source))
    for k in range(len(blocks)):
        sections = np.zeros((5, 6))
        sections[:, 0], sections[:, 3] = 1 + a1[:, k] + a2[:, k], 1
        sections[:, 4], sections[:, 5] = a1[:, k], a2[:, k]
        piece = slice(k * BLOCK, (k + 1) * BLOCK)
        voiced[piece], state = sosfilt(sections, source[piece], zi=state)
    return voiced
