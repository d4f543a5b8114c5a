"""The demo corpus: short talking-head clips that this program draws, and the reader of them.

Nobody is recorded: faces are shaded ellipsoids, voices are formant synthesis. The corpus is for trying, testing and
teaching the pipeline on one small download; it is no evidence about people.

It is made to need fusion. Each emotion has one of five faces and one of five voices (`GROUPS`): fear and surprise
share a face, as do sad and disgust; angry and disgust share a voice, as do happy and surprise. The pair always tells
the emotion, either half alone five of seven at best. The room behind the speaker is a weak cue. In one clip of
fourteen the face is hidden for a large part or all of it, in another one there is no voice.

What each voice does follows, in its direction, the literature on vocal expression: Banse & Scherer 1996 (J. Pers. Soc.
Psychol. 70), Scherer 2003 (Speech Communication 40), Juslin & Laukka 2003 (Psychol. Bull. 129). The faces follow
the action units of Ekman & Friesen's FACS. Where two emotions share a face or a voice, that is the task, not a finding.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from mmer.clips import Clip
from mmer.corpora import Corpus
from mmer.labels import EMOTIONS
from mmer.samples import SAMPLE_RATE

Array = npt.NDArray[Any]
Image = npt.NDArray[np.uint8]
Colour = tuple[float, float, float]
Sound = Literal["voice", "silence", "none"]

WIDTH, HEIGHT, FPS = 320, 240, 10
STEP_S = 0.2
"""Grid of the ground truth's intensity."""
FOLDS = 5
SCALE = 2
"""Pictures are drawn this much larger and then averaged down, against jagged edges."""
STRENGTH = {"low": 0.74, "normal": 0.87, "high": 1.0}
SCENE_CUE = 0.35
"""Chance that the room is the emotion's own; otherwise any of the seven is drawn."""


# ---------------------------------------------------------------------------------------------- faces and voices


@dataclass(frozen=True)
class Expression:
    """What a face does, against rest. Lengths are shares of half the head's height."""

    corner: float = 0.0
    """Mouth corners up (AU 12) or, below 0, down (AU 15)."""
    stretch: float = 0.0
    """Mouth wider or narrower, as a share of its width."""
    drop: float = 0.0
    """Jaw dropped (AU 26)."""
    press: float = 0.0
    """Lips pressed thin (AU 24)."""
    brow_in: float = 0.0
    """Inner brows up (AU 1) or down (AU 4)."""
    brow_out: float = 0.0
    """Outer brows up (AU 2)."""
    frown: float = 0.0
    """Brows drawn together, folds between them (AU 4)."""
    lids: float = 0.0
    """Eyes opened wider (AU 5) or narrowed (AU 7), as a share."""
    cheeks: float = 0.0
    """Cheeks raised (AU 6)."""
    wrinkle: float = 0.0
    """Nose wrinkled, folds beside it (AU 9)."""
    forehead: float = 0.0
    """Folds across the forehead."""


FACES = {
    "rest": Expression(),
    "smile": Expression(corner=1.0, stretch=0.28, drop=0.05, brow_out=0.04, lids=-0.25, cheeks=1.0),
    "frown": Expression(corner=-0.3, stretch=-0.05, press=1.0, brow_in=-0.13, brow_out=0.08, frown=1.0, lids=-0.3),
    "sorrow": Expression(corner=-1.0, stretch=-0.05, brow_in=0.16, brow_out=-0.1, lids=-0.42, wrinkle=1.0),
    "wide": Expression(stretch=-0.28, drop=0.24, brow_in=0.2, brow_out=0.2, lids=0.7, forehead=1.0),
}


@dataclass(frozen=True)
class Voicing:
    """How a voice sounds, against the speaker's own pitch and pace."""

    level: float = -23.0
    """RMS of the speech, dB of full scale."""
    pitch: float = 0.0
    """Mean, semitones."""
    glide: float = 0.6
    """Up and down within each syllable, semitones."""
    fall: float = 1.0
    """From the first syllable of a phrase to its last, semitones."""
    pace: float = 4.0
    """Syllables per second."""
    phrase: float = 6.0
    """Syllables between two pauses."""
    pause: float = 0.16
    """Length of a pause, seconds."""
    breath: float = 0.06
    """Noise beside the pulses."""
    bright: float = 1800.0
    """Where the source's spectrum starts to fall, Hz."""
    rough: float = 0.03
    """Difference of one glottal pulse from the next."""
    tremor: float = 0.0
    """Depth of a 7 Hz tremor of loudness (and slightly of pitch)."""
    attack: float = 0.05
    """Rise of a syllable, seconds."""


EVEN = Voicing()
VOICES = {
    "even": EVEN,
    "lively": Voicing(-18, 5, glide=7, fall=-3, pace=3.6, breath=0.05, bright=3000, attack=0.04),
    "harsh": Voicing(-12, 2, glide=-3, fall=4, pace=5.6, breath=0.1, bright=7000, rough=0.45, attack=0.012),
    "soft": Voicing(-34, -3, glide=-0.8, fall=3, pace=2.1, phrase=3, pause=0.3, breath=0.55, bright=450, attack=0.14),
    "trembling": Voicing(
        -26, 8, glide=0.3, fall=-1, pace=6.2, phrase=4, pause=0.1, breath=0.2, bright=1300, tremor=0.9
    ),
}

#: The face and the voice of each emotion. No two emotions have both in common.
GROUPS = {
    "neutral": ("rest", "even"),
    "happy": ("smile", "lively"),
    "sad": ("sorrow", "soft"),
    "angry": ("frown", "harsh"),
    "fear": ("wide", "trembling"),
    "disgust": ("sorrow", "harsh"),
    "surprise": ("wide", "lively"),
}

#: The room of each emotion, and the tint of its wall.
ROOMS: dict[str, tuple[str, Colour]] = {
    "neutral": ("shelf", (188, 182, 172)),
    "happy": ("garden", (196, 208, 150)),
    "sad": ("rain", (138, 152, 176)),
    "angry": ("poster", (192, 128, 112)),
    "fear": ("night", (66, 72, 104)),
    "disgust": ("tiles", (150, 186, 168)),
    "surprise": ("party", (216, 180, 196)),
}

Kind = TypeVar("Kind", Expression, Voicing)


def _mix(rest: Kind, full: Kind, share: float) -> Kind:
    """Between two expressions or two voicings."""
    pairs = ((getattr(rest, f.name), getattr(full, f.name)) for f in fields(rest))
    return type(rest)(*(a + share * (b - a) for a, b in pairs))


# --------------------------------------------------------------------------------------------------- the speakers


@dataclass(frozen=True)
class Speaker:
    """A drawn person: what stays the same in all their clips. Colours are RGB, lengths shares of the head."""

    speaker: str
    sex: Literal["female", "male"]
    fold: int
    hair: str
    glasses: bool
    beard: str
    skin: Colour
    hair_colour: Colour
    eye_colour: Colour
    clothes: Colour
    wall: Colour
    half_width: float
    """Of the head, pixels."""
    half_height: float
    jaw: float
    eye_gap: float
    eye_size: float
    eye_height: float
    brow: float
    nose: float
    nose_width: float
    mouth: float
    lips: float
    light: Colour
    """Direction towards the lamp: right, down, towards the viewer."""
    warmth: float
    sway: float
    """How far the head moves, pixels."""
    f0: float
    """Mean pitch, Hz."""
    tract: float
    """Scale of the formants: above 1 for a shorter vocal tract."""
    breath: float
    pace: float
    gain: float
    """Loudness against others, dB."""


SKINS = ((246, 214, 192), (234, 192, 162), (222, 172, 138), (198, 144, 108), (164, 112, 80), (126, 84, 60))
HAIRS = ((38, 30, 28), (72, 48, 34), (112, 72, 42), (168, 122, 70), (206, 172, 118), (150, 70, 40), (150, 148, 146))
EYES = ((84, 56, 36), (64, 92, 120), (74, 104, 70), (52, 40, 32))
CLOTHES = ((62, 84, 120), (140, 60, 64), (70, 110, 90), (90, 84, 96), (196, 160, 84), (210, 204, 196), (112, 80, 130))
WALLS = ((206, 196, 180), (176, 188, 196), (190, 180, 196), (184, 196, 180), (204, 184, 170))
STYLES = {"female": ("long", "bun", "fringe", "curly", "short"), "male": ("short", "side", "shaved", "curly", "fringe")}
BEARDS = ("none", "full", "none", "stubble", "moustache")


def make_speaker(seed: int, number: int) -> Speaker:
    """The speaker of that number, from 0; the same whatever the size of the corpus.

    Women and men alternate and are dealt to the folds one after the other, the men from the fourth fold on, so that
    each fold has speakers of both and the folds' sizes stay even.
    """
    rng = np.random.default_rng([seed, number])
    sex: Literal["female", "male"] = "female" if number % 2 == 0 else "male"
    female, rank = sex == "female", number // 2
    lamp = np.array([rng.choice([-1, 1]) * rng.uniform(0.15, 0.6), rng.uniform(-0.6, -0.25), 0.75])
    lamp /= np.linalg.norm(lamp)

    def near(colour: Colour, spread: float) -> Colour:
        r, g, b = np.clip(np.asarray(colour) + rng.uniform(-spread, spread, 3), 0, 255)
        return float(r), float(g), float(b)

    return Speaker(
        speaker=f"s{number + 1:02d}",
        sex=sex,
        fold=(rank + (0 if female else 3)) % FOLDS + 1,
        hair=STYLES[sex][(rank + rank // 5) % 5],
        glasses=bool(rng.random() < 0.3),
        beard="none" if female else BEARDS[(rank + rank // 3) % 5],
        skin=near(SKINS[rng.integers(len(SKINS))], 6),
        hair_colour=near(HAIRS[rng.integers(len(HAIRS))], 10),
        eye_colour=EYES[rng.integers(len(EYES))],
        clothes=near(CLOTHES[rng.integers(len(CLOTHES))], 20),
        wall=near(WALLS[rng.integers(len(WALLS))], 14),
        half_width=rng.uniform(44, 50) if female else rng.uniform(47, 53),
        half_height=rng.uniform(59, 65) if female else rng.uniform(62, 68),
        jaw=rng.uniform(0.2, 0.34) if female else rng.uniform(0.1, 0.24),
        eye_gap=rng.uniform(0.385, 0.43),
        eye_size=rng.uniform(0.175, 0.205) if female else rng.uniform(0.16, 0.19),
        eye_height=rng.uniform(-0.1, -0.03),
        brow=rng.uniform(0.03, 0.042) if female else rng.uniform(0.042, 0.06),
        nose=rng.uniform(0.25, 0.33),
        nose_width=rng.uniform(0.11, 0.16),
        mouth=rng.uniform(0.28, 0.35),
        lips=rng.uniform(0.062, 0.085) if female else rng.uniform(0.048, 0.07),
        light=(float(lamp[0]), float(lamp[1]), float(lamp[2])),
        warmth=rng.uniform(-0.05, 0.07),
        sway=rng.uniform(1.5, 5.0),
        f0=rng.uniform(175, 225) if female else rng.uniform(95, 135),
        tract=rng.uniform(1.1, 1.2) if female else rng.uniform(0.92, 1.03),
        breath=rng.uniform(0, 0.06),
        pace=rng.uniform(0.93, 1.08),
        gain=rng.uniform(-1.5, 1.5),
    )


# ----------------------------------------------------------------------------------------------------- the clips


@dataclass(frozen=True)
class Scene:
    """One clip before it is drawn."""

    clip_id: str
    who: Speaker
    label: str
    intensity: Literal["low", "normal", "high"]
    hidden: Literal["none", "away", "covered"]
    sound: Sound
    room: str
    seconds: float
    seed: tuple[int, ...]

    @property
    def strength(self) -> float:
        return STRENGTH[self.intensity]


def plan_clips(seed: int, speakers: int, takes: int) -> list[Scene]:
    """What will be drawn: every speaker shows every emotion `takes` times.

    Each speaker hides the face in one clip and says nothing in another; which emotions these are goes round, so that
    no emotion is harder than another by chance.
    """
    scenes = []
    for number in range(speakers):
        who = make_speaker(seed, number)
        kind = (number + number // 2) % 2
        hidden_take, silent_take = np.random.default_rng([seed, number, 1]).integers(takes, size=2)
        for e, label in enumerate(EMOTIONS):
            levels = np.random.default_rng([seed, number, 2, e]).permutation(list(STRENGTH))
            for take in range(takes):
                source = (seed, number, 3, e, take)
                rng = np.random.default_rng(source)
                hides = e == number % 7 and take == hidden_take
                silent = e == (number + 3) % 7 and take == silent_take
                own = rng.random() < SCENE_CUE
                scenes.append(
                    Scene(
                        clip_id=f"{who.speaker}-{label}-{take + 1}",
                        who=who,
                        label=label,
                        intensity="normal" if label == "neutral" else levels[take % 3].item(),
                        hidden=("away", "covered")[kind] if hides else "none",
                        sound=("silence", "none")[kind] if silent else "voice",
                        room=ROOMS[label if own else EMOTIONS[rng.integers(7)]][0],
                        seconds=round(STEP_S * int(rng.integers(10, 16)), 1),
                        seed=source,
                    )
                )
    return scenes


def draw_corpus(out: Path, seed: int = 0, speakers: int = 26, takes: int = 2, workers: int = -1) -> None:
    """Draw the corpus: clips, the ground truth of each, tables of clips and speakers, a README.

    The same seed gives the same pictures and sounds, and on the same machine the same bytes.

    Args:
        out: folder to fill; made if it is not there.
        seed: of everything that is random.
        speakers: how many; a smaller corpus holds the first speakers of a larger one.
        takes: clips per speaker and emotion.
        workers: processes; -1 is one per core.

    Raises:
        FileExistsError: `out` holds something already.
        RuntimeError: ffmpeg is missing or refuses.
    """
    from joblib import Parallel, delayed
    from tqdm import tqdm

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(
            f"{out} is not an empty folder: the demo corpus is drawn into a new one; move it or delete it"
        )
    scenes = plan_clips(seed, speakers, takes)
    (out / "clips").mkdir(parents=True, exist_ok=True)
    drawn = Parallel(n_jobs=workers, return_as="generator")(delayed(_draw_clip)(s, out / "clips") for s in scenes)
    for _ in tqdm(drawn, total=len(scenes), desc="drawing", unit="clip"):
        pass
    _write_table(out / "speakers.csv", (_speaker_row(make_speaker(seed, n)) for n in range(speakers)))
    _write_table(out / "clips.csv", (_clip_row(s) for s in scenes))
    (out / "README.md").write_text(_readme(seed, speakers, takes))


def _draw_clip(scene: Scene, folder: Path) -> None:
    """Draw one clip, its sound and its ground truth into `folder`."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng([*scene.seed, 1])
    speech = _speak(scene, rng)
    pictures, boxes = _perform(scene, speech, rng)
    _encode(folder / f"{scene.clip_id}.mp4", pictures, _soundtrack(scene, speech, rng))
    steps = round(scene.seconds / STEP_S)
    expressive = scene.label != "neutral"
    truth = {
        **{key: value for key, value in _clip_row(scene).items() if key not in ("path", "fold")},
        "face_group": GROUPS[scene.label][0],
        "voice_group": GROUPS[scene.label][1],
        "fps": FPS,
        "boxes": boxes,
        "step_s": STEP_S,
        "intensities": [
            round(scene.strength * _envelope(scene, (k + 1) * STEP_S), 2) if expressive else 0 for k in range(steps)
        ],
        "speech": [[round(a, 2), round(b, 2)] for a, b in speech.intervals] if scene.sound == "voice" else [],
    }
    (folder / f"{scene.clip_id}.json").write_text(json.dumps(truth, separators=(",", ":")) + "\n")


def _envelope(scene: Scene, t: float) -> float:
    """How far an expression has come at that time: onset, apex, offset (Ekman & Friesen), 0..1."""
    onset, offset = 0.45, scene.seconds - 0.35
    return float(np.interp(t, [0, onset, offset, scene.seconds], [0.3, 1, 1, 0.5]))


# ------------------------------------------------------------------------------------------------------ the voice

#: First three formants of a man's a, e, i, o, u, Hz, after Peterson & Barney 1952, and how far each opens the mouth.
VOWELS = np.array([[730, 1090, 2440], [530, 1840, 2480], [290, 2250, 2950], [570, 860, 2410], [310, 880, 2260]], float)
OPENNESS = np.array([1.0, 0.75, 0.45, 0.8, 0.4])
BLOCK = SAMPLE_RATE // 100
"""Formants move every 10 ms."""


@dataclass(frozen=True)
class Speech:
    """What is said, before it sounds; the mouth and the voice both follow it."""

    starts: Array
    """Of the syllables, seconds [n]."""
    ends: Array
    vowels: Array
    """Index of each syllable's vowel [n]."""
    places: Array
    """Where each stands in its phrase, 0 (first) to 1 (last) [n]."""
    intervals: list[tuple[float, float]]
    """Phrases, start and end in seconds."""
    voicing: Voicing

    def mouth(self, t: float) -> float:
        """How far the mouth is open for speaking at that time, 0..1."""
        inside = np.flatnonzero((self.starts <= t) & (t < self.ends))
        if not len(inside):
            return 0.0
        k = inside[0]
        x = (t - self.starts[k]) / (self.ends[k] - self.starts[k])
        return float(OPENNESS[self.vowels[k]] * np.sin(np.pi * x) ** 0.7)


def _speak(scene: Scene, rng: np.random.Generator) -> Speech:
    """Lay syllables and pauses out over the clip."""
    voicing = _mix(EVEN, VOICES[GROUPS[scene.label][1]], scene.strength)
    syllables: list[tuple[float, float, float]] = []
    intervals = []
    t, last = rng.uniform(0.12, 0.25), scene.seconds - 0.15
    while t < last - 0.25:
        count = max(2, round(voicing.phrase * rng.uniform(0.8, 1.2)))
        lengths = rng.uniform(0.85, 1.15, count) / (voicing.pace * scene.who.pace)
        times = t + np.concatenate([[0], np.cumsum(lengths)])
        times = times[times <= last] if times[1] <= last else np.array([t, last])
        said = len(times) - 1
        syllables += [(times[k], times[k + 1], k / max(1, said - 1)) for k in range(said)]
        intervals.append((float(t), float(times[-1])))
        t = times[-1] + voicing.pause * rng.uniform(0.8, 1.2)
    starts, ends, places = np.array(syllables).T
    return Speech(starts, ends, rng.integers(len(VOWELS), size=len(starts)), places, intervals, voicing)


def _soundtrack(scene: Scene, speech: Speech, rng: np.random.Generator) -> npt.NDArray[np.int16] | None:
    """The clip's sound, int16 [N] at 16 kHz; zeros for digital silence, None for no sound track."""
    if scene.sound == "none":
        return None
    samples = round(scene.seconds * SAMPLE_RATE)
    if scene.sound == "silence":
        return np.zeros(samples, np.int16)
    return (32767 * _synthesise(scene.who, speech, samples, rng)).astype(np.int16)


def _synthesise(who: Speaker, speech: Speech, samples: int, rng: np.random.Generator) -> Array:
    """Source and filter (Fant 1960; Klatt 1980): glottal pulses and breath through five moving formants.

    Returns:
        float [samples] in -1..1.
    """
    from scipy.signal import butter, lfilter, sosfilt

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

    cycles = np.cumsum(f0 / SAMPLE_RATE)
    pulse = np.clip(np.mod(cycles, 1) / 0.6, 0, 1)  # open for 60% of a period: KLGLOTT88, Klatt & Klatt 1990
    unlike = 1 + voicing.rough * rng.uniform(-1.6, 1, int(cycles[-1]) + 1)
    flow = np.where(pulse < 1, 2 * pulse - 3 * pulse**2, 0) * unlike[cycles.astype(int)]
    decay = np.exp(-2 * np.pi * voicing.bright / SAMPLE_RATE)
    flow = lfilter([1 - decay], [1, -decay], flow)
    flow /= np.sqrt(np.mean(flow**2))
    breath = min(0.9, voicing.breath + who.breath)
    noise = rng.normal(0, 1, samples)
    source = loud * ((1 - breath) * flow + breath * noise * (0.6 + 0.4 * (pulse < 1)))

    centres = (speech.starts + speech.ends) / 2
    blocks = np.arange(0, samples, BLOCK) / SAMPLE_RATE
    track = np.stack([np.interp(blocks, centres, VOWELS[speech.vowels, f]) for f in range(3)])
    track = who.tract * np.vstack([track, np.tile([[3400.0], [4500.0]], len(blocks))])
    width = np.array([[80], [90], [120], [180], [250]])
    radius = np.exp(-np.pi * width / SAMPLE_RATE)
    a1, a2 = -2 * radius * np.cos(2 * np.pi * track / SAMPLE_RATE), np.broadcast_to(radius**2, track.shape)
    state, voiced = np.zeros((5, 2)), np.empty(samples)
    for k in range(len(blocks)):
        sections = np.zeros((5, 6))
        sections[:, 0], sections[:, 3] = 1 + a1[:, k] + a2[:, k], 1
        sections[:, 4], sections[:, 5] = a1[:, k], a2[:, k]
        piece = slice(k * BLOCK, (k + 1) * BLOCK)
        voiced[piece], state = sosfilt(sections, source[piece], zi=state)

    sound = voiced / np.sqrt(np.mean(voiced[loud > 0.1] ** 2))
    sound += sosfilt(butter(2, 3500, "highpass", fs=SAMPLE_RATE, output="sos"), noise) * hiss
    sound *= 10 ** ((voicing.level + who.gain) / 20)
    sound += 10 ** (-66 / 20) * rng.normal(0, 1, samples)  # the room's own noise
    limited: Array = np.tanh(sound)
    return limited


# ---------------------------------------------------------------------------------------------------- the picture


@dataclass(frozen=True)
class Pose:
    """Where the head is: centre in pixels, angles in radians, and how far the jaw has dropped (0..1)."""

    x: float
    y: float
    roll: float
    yaw: float
    pitch: float
    drop: float


class Head:
    """The geometry of one head in one frame: an ellipsoid that narrows towards the chin.

    Points on it are (u, v) as seen from the front, -1..1 from ear to ear and from crown to chin. Pixels are those of
    the enlarged canvas.
    """

    def __init__(self, who: Speaker, pose: Pose) -> None:
        self.who, self.pose = who, pose
        self.centre = np.array([pose.x, pose.y]) * SCALE
        self.a, self.b = who.half_width * SCALE, who.half_height * SCALE
        c, s = np.cos(pose.roll), np.sin(pose.roll)
        self.roll = np.array([[c, -s], [s, c]])
        self.sin_yaw, self.cos_yaw = np.sin(pose.yaw), np.cos(pose.yaw)
        self.sin_pitch, self.cos_pitch = np.sin(pose.pitch), np.cos(pose.pitch)

    def place(self, uv: Array, lift: float = 0.0) -> tuple[Array, float]:
        """Pixels [n, 2] of points [n, 2], and how much their middle faces the viewer (1 fully, below 0 not)."""
        u, v = np.asarray(uv, float).T
        w = np.sqrt(np.maximum(0, 1 - u**2 - v**2)) + lift
        x, z = u * self.cos_yaw + w * self.sin_yaw, w * self.cos_yaw - u * self.sin_yaw
        y, z = v * self.cos_pitch - z * self.sin_pitch, v * self.sin_pitch + z * self.cos_pitch
        flat = np.stack([x * self.a * self._narrow(y), y * self.b * self._stretch(y)], -1)
        return flat @ self.roll.T + self.centre, float(z.mean())

    def cast(self, xs: Array, ys: Array) -> tuple[Array, ...]:
        """What lies under pixels: screen normal x, y, z and head coordinates u, v, w, all of the pixels' shape."""
        dx, dy = xs - self.centre[0], ys - self.centre[1]
        c, s = self.roll[0, 0], self.roll[1, 0]
        y = (c * dy - s * dx) / self.b
        y = y / self._stretch(y)
        x = (c * dx + s * dy) / (self.a * self._narrow(y))
        z = np.sqrt(np.maximum(0, 1 - x**2 - y**2))
        v, w = y * self.cos_pitch + z * self.sin_pitch, z * self.cos_pitch - y * self.sin_pitch
        return x, y, z, x * self.cos_yaw - w * self.sin_yaw, v, x * self.sin_yaw + w * self.cos_yaw

    def _narrow(self, y: Array) -> Array:
        share: Array = 1 - self.who.jaw * np.square(np.clip(y, 0, 1))
        return share

    def _stretch(self, y: Array) -> Array:
        return 1 + 0.07 * self.pose.drop * np.clip(y, 0, 1)

    def box(self) -> list[int]:
        """The face from forehead to chin, x1 y1 x2 y2 in pixels of the clip, inside the picture."""
        edge = np.linspace(0, 2 * np.pi, 16)
        uv = np.stack([0.88 * np.cos(edge), 0.1 + 0.88 * np.sin(edge)], -1)
        points = self.place(uv)[0] / SCALE
        low, high = points.min(0), points.max(0)
        limits = np.clip([*low, *high], 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
        return [round(float(p)) for p in limits]


def _perform(scene: Scene, speech: Speech, rng: np.random.Generator) -> tuple[list[Image], list[list[int] | None]]:
    """All frames of a clip, uint8 [240, 320, 3] RGB, and the box of the face in each, None where it is hidden."""
    who, frames = scene.who, round(scene.seconds * FPS)
    style = [f.name for f in fields(Expression)]
    own = Expression(*(getattr(FACES[GROUPS[scene.label][0]], n) * rng.uniform(0.88, 1.12) for n in style))
    place, phase = rng.uniform([148, 122], [172, 130]), rng.uniform(0, 6.3, 8)
    blink, gaze = rng.integers(2, 20), rng.normal(0, 0.12, 2)
    turn = rng.choice([-1, 1]) * rng.uniform(1.9, 2.3)
    curtain = _hiding(scene, rng)
    room = _room(scene, rng)
    pictures: list[Image] = []
    boxes: list[list[int] | None] = []
    for k in range(frames):
        t = k / FPS
        wave = np.sin(phase + 2 * np.pi * t * np.array([0.35, 0.5, 0.3, 0.4, 0.45, 0.6, 0.25, 0.7]))
        talk, hide = speech.mouth(t), curtain[k]
        face = _mix(Expression(), own, scene.strength * _envelope(scene, t))
        pose = Pose(
            x=place[0] + who.sway * wave[0],
            y=place[1] + who.sway * 0.5 * wave[1] + 1.5 * talk,
            roll=0.015 * who.sway * wave[2],
            yaw=0.035 * who.sway * wave[3] + (hide * turn if scene.hidden == "away" else 0),
            pitch=0.012 * who.sway * wave[4] - 0.03 * talk,
            drop=min(1.0, talk + 3.5 * face.drop),
        )
        head = Head(who, pose)
        canvas = room.copy()
        _body(canvas, head)
        _hair_behind(canvas, head)
        _skin(canvas, head, face)
        _eyes(canvas, head, face, closed=k % 22 in (blink, blink + 1), gaze=gaze + 0.08 * wave[5:7])
        _brows(canvas, head, face)
        _folds(canvas, head, face)
        _mouth(canvas, head, face, talk)
        _extras(canvas, head)
        if scene.hidden == "covered":
            _book(canvas, head, hide)
        pictures.append(cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))
        boxes.append(head.box() if hide < 0.35 else None)
    return pictures, boxes


def _hiding(scene: Scene, rng: np.random.Generator) -> Array:
    """How far the face is hidden in each frame, 0..1: for the whole clip or for two thirds of it and more."""
    frames = round(scene.seconds * FPS)
    if scene.hidden == "none":
        return np.zeros(frames)
    if rng.random() < 0.5:
        return np.ones(frames)
    free = int(frames * rng.uniform(0.2, 0.33))
    course = np.interp(np.arange(frames), [free - 3, free + 1], [0, 1])
    return course if rng.random() < 0.5 else course[::-1]


def _fill(canvas: Image, points: Array, colour: Iterable[float]) -> None:
    """A filled polygon with smooth edges; points [n, 2] in canvas pixels."""
    cv2.fillPoly(canvas, [np.round(points * 16).astype(np.int32)], tuple(colour), cv2.LINE_AA, shift=4)


def _line(canvas: Image, points: Array, colour: Iterable[float], thickness: int, closed: bool = False) -> None:
    path = [np.round(points * 16).astype(np.int32)]
    cv2.polylines(canvas, path, closed, tuple(colour), thickness, cv2.LINE_AA, shift=4)


def _disc(canvas: Image, centre: Array, radii: tuple[float, float], colour: Iterable[float], angle: float = 0) -> None:
    t = np.linspace(0, 2 * np.pi, 28)
    c, s = np.cos(angle), np.sin(angle)
    ring = np.stack([radii[0] * np.cos(t), radii[1] * np.sin(t)], -1) @ np.array([[c, s], [-s, c]])
    _fill(canvas, np.asarray(centre) + ring, colour)


def _blend(a: Iterable[float], b: Iterable[float], share: float) -> tuple[float, ...]:
    return tuple(float(x + share * (y - x)) for x, y in zip(a, b, strict=True))


def _dim(colour: Iterable[float], factor: float) -> tuple[float, ...]:
    return tuple(min(255.0, c * factor) for c in colour)


def _bump(u: Array, v: Array, at: tuple[float, float], size: tuple[float, float]) -> Array:
    """A smooth hill of height 1 on the head."""
    hill: Array = np.square(np.maximum(0, 1 - ((u - at[0]) / size[0]) ** 2 - ((v - at[1]) / size[1]) ** 2))
    return hill


def _body(canvas: Image, head: Head) -> None:
    """Shoulders and neck."""
    who, x = head.who, head.centre[0] * 0.5 + WIDTH * SCALE / 4
    neck, floor = head.centre[1] + 0.7 * head.b, HEIGHT * SCALE
    top = head.centre[1] + 1.28 * head.b
    broad = (2.0 if who.sex == "female" else 2.35) * head.a
    t = np.linspace(-1, 1, 24)
    slope = top + 46 * np.abs(t) ** 2.6 + 150 * np.clip(np.abs(t) - 0.86, 0, None)
    shape = np.vstack([np.stack([x + broad * t, slope], -1), [[x + broad, floor + 9], [x - broad, floor + 9]]])
    _fill(canvas, shape, who.clothes)
    _fill(canvas, shape[12:] + np.array([14, 10]), _dim(who.clothes, 0.88))
    thick = 0.5 * head.a
    throat = np.array([[-thick, neck], [thick, neck], [1.15 * thick, top + 8], [0, top + 44], [-1.15 * thick, top + 8]])
    throat[:, 0] += head.centre[0] * 0.7 + x * 0.3
    _fill(canvas, throat, _blend(_dim(who.skin, 0.72), (120, 52, 36), 0.15))


def _hair_behind(canvas: Image, head: Head) -> None:
    """What of the hair stands out behind the head."""
    who, (x, y), a, b = head.who, head.centre, head.a, head.b
    dark = _dim(who.hair_colour, 0.72)
    if who.hair == "long":
        t = np.linspace(np.pi, 2 * np.pi, 20)
        top = np.stack([x + 1.16 * a * np.cos(t), y - 0.1 * b + 1.0 * b * np.sin(t)], -1)
        ends = np.array([[1.3, 1.15], [0.4, 1.3], [-0.4, 1.3], [-1.3, 1.15]]) * [a, b] + head.centre
        _fill(canvas, np.vstack([top, ends]), dark)
        for k in np.linspace(-1.12, 1.12, 15):
            lock = np.array([[x + a * k, y], [x + 1.05 * a * k, y + 0.6 * b], [x + 1.1 * a * k, y + 1.2 * b]])
            _line(canvas, lock, _dim(who.hair_colour, 0.82), 4)
    elif who.hair == "curly":
        for angle in np.linspace(-0.35, np.pi + 0.35, 15):
            curl = np.array([x - 1.02 * a * np.cos(angle), y - 0.06 * b - 0.94 * b * np.sin(angle)])
            _disc(canvas, curl, (0.26 * a, 0.26 * a), dark)
    elif who.hair != "shaved":
        _disc(canvas, head.centre - [0, 0.14 * b], (1.06 * a, 0.95 * b), dark, head.pose.roll)
        if who.hair == "bun":
            _disc(canvas, head.place(np.array([[0, -1.0]]))[0][0] - [0, 0.06 * b], (0.4 * a, 0.33 * a), dark)
    if who.hair not in ("long", "curly"):
        for side in (-1.0, 1.0):
            ear, facing = head.place(np.array([[side, 0.04]]))
            if facing > -0.6:
                _disc(canvas, ear[0], (0.12 * a, 0.19 * b), _dim(who.skin, 0.82), head.pose.roll)


def _skin(canvas: Image, head: Head, face: Expression) -> None:
    """The head itself, shaded pixel by pixel: skin, nose, cheeks, beard, and hair where it grows."""
    who = head.who
    (x, y), a, b = head.centre, head.a + 6, head.b * 1.08 + 6
    left, right = max(0, int(x - a)), min(canvas.shape[1], int(x + a))
    top, bottom = max(0, int(y - b)), min(canvas.shape[0], int(y + b))
    xs, ys = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
    nx, ny, nz, u, v, w = head.cast(xs, ys)
    front, side = w > 0, np.abs(u)
    height = (
        0.26 * _bump(u, v, (0, who.nose - 0.2), (0.13, 0.44))
        + 0.3 * _bump(u, v, (0, who.nose), (who.nose_width + 0.08, 0.15))
        + 0.1 * _bump(side, v, (who.nose_width, who.nose + 0.03), (0.1, 0.1))
        - 0.2 * _bump(side, v, (who.eye_gap, who.eye_height - 0.02), (0.3, 0.2))
        + (0.1 + 0.16 * face.cheeks) * _bump(side, v, (0.5, 0.26 - 0.06 * face.cheeks), (0.34, 0.28))
        + 0.14 * _bump(u, v, (0, 0.88), (0.3, 0.2))
        + 0.08 * _bump(u, v, (0, 0.56), (0.42, 0.2))
    ) * front
    slope_y, slope_x = np.gradient(height * (0.5 * head.a))
    px, py = nx - 0.9 * slope_x, ny - 0.9 * slope_y
    light = (px * who.light[0] + py * who.light[1] + nz * who.light[2]) / np.sqrt(px**2 + py**2 + nz**2 + 1e-6)
    shade = 0.56 + 0.5 * np.clip(light, 0, 1)
    shade *= 1 - front * (
        0.3 * _bump(u, v, (-0.12 * who.light[0], who.nose + 0.13), (who.nose_width + 0.1, 0.08))
        + 0.16 * _bump(side, v, (who.eye_gap, who.eye_height - 0.12), (0.28, 0.16))
        + 0.14 * _bump(u, v, (0, 0.77), (0.24, 0.07))
    )
    tint = np.array([1 + who.warmth, 1.0, 1 - who.warmth])
    colour = shade[..., None] * (np.array(who.skin) * tint)
    blush = (0.1 + 0.1 * face.cheeks) * _bump(side, v, (0.52, 0.26), (0.36, 0.26)) * front
    colour += blush[..., None] * np.array([38.0, -22.0, -16.0])
    colour += (26 * np.clip(light, 0, 1) ** 14)[..., None]

    strands = 1 + 0.1 * np.sin(46 * u + 9 * v * np.sign(u)) + 0.05 * np.sin(97 * u)
    grown = ((0.5 + 0.62 * np.clip(light, 0, 1)) * strands)[..., None] * np.array(who.hair_colour)
    mask = _hair_mask(who, u, v, w)
    if who.beard in ("full", "stubble"):
        around = np.clip((v - 0.34 - 0.5 * (1 - side) ** 2 + 0.1) * 9, 0, 1) * np.clip((w + 0.1) * 8, 0, 1)
        around = np.maximum(around, _bump(u, v, (0, 0.44), (0.5, 0.14)) ** 0.5 * front)
        mask = np.maximum(mask, around * (0.85 if who.beard == "full" else 0.28))
    colour += mask[..., None] * (grown - colour)

    edge = np.clip((1 - np.sqrt(nx**2 + ny**2)) * head.a / 1.6 + 0.5, 0, 1)[..., None]
    under = canvas[top:bottom, left:right]
    canvas[top:bottom, left:right] = np.clip(under + edge * (colour - under), 0, 255).astype(np.uint8)
    for lateral in (-1.0, 1.0):
        nostril, facing = head.place(np.array([[0.55 * lateral * who.nose_width, who.nose + 0.085]]), 0.1)
        if facing > 0.3:
            _disc(canvas, nostril[0], (0.05 * head.a, 0.022 * head.b), _dim(who.skin, 0.42), head.pose.roll)


def _hair_mask(who: Speaker, u: Array, v: Array, w: Array) -> Array:
    """Where hair grows on the head, 0..1."""
    side = np.abs(u)
    line = {
        "long": -0.74 + 0.62 * side**2.5,
        "bun": -0.7 + 0.2 * side**2,
        "fringe": -0.5 + 0.1 * side + 0.03 * np.sin(22 * u),
        "curly": -0.62 + 0.28 * side**2 + 0.035 * np.sin(30 * u),
        "short": -0.66 + 0.16 * side**2,
        "side": -0.6 + 0.2 * u + 0.12 * side**2,
        "shaved": -0.6 + 0.1 * side**2,
    }[who.hair]
    reach = 1.2 if who.hair == "long" else 0.62
    back = np.clip((0.12 - w) * 7, 0, 1) * np.clip((reach - v) * 7, 0, 1)
    if who.hair not in ("long", "curly"):  # sideburns end at the ear
        back = back * np.clip((0.04 - v + 2.5 * np.clip(-w, 0, 1)) * 9, 0, 1)
    mask: Array = np.maximum(np.clip((line - v) * 16, 0, 1), back)
    return mask if who.hair != "shaved" else np.multiply(mask, 0.35)


def _eyes(canvas: Image, head: Head, face: Expression, closed: bool, gaze: Array) -> None:
    """Lids, white, iris and glint of both eyes."""
    who = head.who
    t = np.linspace(-1, 1, 13)
    opened = 0.0 if closed else 0.085 * (who.eye_size / 0.18) * (1 + face.lids)
    lower = 0.5 - 0.22 * face.cheeks
    lid = _dim(who.skin, 0.32)
    for side in (-1.0, 1.0):
        u = side * (who.eye_gap + who.eye_size * t)
        tilt = who.eye_height - 0.02 * t
        arch = np.sqrt(np.clip(1 - t**2, 0, 1))
        above, facing = head.place(np.stack([u, tilt - opened * arch], -1))
        if facing < 0.25:
            continue
        below = head.place(np.stack([u, tilt + lower * opened * arch], -1))[0]
        crease = head.place(np.stack([u, tilt - (opened + 0.045) * arch - 0.01], -1))[0]
        _line(canvas, crease, _dim(who.skin, 0.66), 2)
        if not closed:
            almond = np.vstack([above, below[::-1]])
            low, high = np.floor(almond.min(0)).astype(int) - 2, np.ceil(almond.max(0)).astype(int) + 3
            low = np.maximum(low, 0)
            patch = canvas[low[1] : high[1], low[0] : high[0]]
            inner = np.full_like(patch, 238)
            looks = np.array([[side * who.eye_gap, who.eye_height - 0.01]]) + np.array([0.25, 0.12]) * gaze
            centre = head.place(looks)[0][0]
            radius = 0.1 * head.b * (who.eye_size / 0.18) * 0.78
            _disc(inner, centre - low, (radius, radius), _dim(who.eye_colour, 0.7))
            _disc(inner, centre - low, (0.8 * radius, 0.8 * radius), _dim(who.eye_colour, 1.15))
            _disc(inner, centre - low, (0.45 * radius, 0.45 * radius), (16, 14, 14))
            _disc(inner, centre - low + np.array([2.2 * np.sign(who.light[0]), -2.6]), (1.9, 1.9), (250, 250, 250))
            mask = np.zeros(patch.shape[:2], np.uint8)
            _fill(mask, almond - low, (255,))
            share = mask[..., None] / np.float32(255)
            patch[:] = (patch + share * (inner.astype(np.float32) - patch)).astype(np.uint8)
        _line(canvas, above, lid, 5 if who.sex == "female" else 4)
        _line(canvas, below, _dim(who.skin, 0.58), 2)


def _brows(canvas: Image, head: Head, face: Expression) -> None:
    who = head.who
    t = np.linspace(0, 1, 12)
    colour = _blend(_dim(who.hair_colour, 0.62), (30, 24, 22), 0.25)
    for side in (-1.0, 1.0):
        u = who.eye_gap + (2 * t - 1) * 1.22 * who.eye_size - 0.05 * face.frown * (1 - t)
        arc = 0.05 * np.sin(np.pi * np.clip(t * 0.9 + 0.1, 0, 1))
        v = who.eye_height - 0.185 - arc - face.brow_in * (1 - t) ** 1.3 - face.brow_out * t
        half = who.brow * (1 - 0.65 * t) * np.clip(4 * t + 0.55, 0, 1)
        upper, facing = head.place(np.stack([side * u, v - half], -1))
        if facing > 0.2:
            lower = head.place(np.stack([side * u, v + half], -1))[0]
            _fill(canvas, np.vstack([upper, lower[::-1]]), colour)


def _folds(canvas: Image, head: Head, face: Expression) -> None:
    """Folds of the skin that come with an expression."""
    who = head.who

    def fold(points: list[tuple[float, float]], depth: float) -> None:
        if depth < 0.1:
            return
        along, pixels = np.linspace(0, 1, 9), np.array(points)
        t = np.linspace(0, 1, len(points))
        path, facing = head.place(np.stack([np.interp(along, t, pixels[:, i]) for i in range(2)], -1))
        if facing > 0.25:
            _line(canvas, path, _dim(who.skin, 0.86 - 0.3 * min(1.0, depth)), 3)

    brow = who.eye_height - 0.2
    for side in (-1.0, 1.0):
        nose, out = side * (who.nose_width + 0.05), side * (who.mouth + 0.13)
        beside_mouth = [(nose, who.nose), (0.6 * nose + 0.4 * out, who.nose + 0.12), (out, 0.5)]
        fold(beside_mouth, max(0.8 * face.cheeks, face.wrinkle))
        fold([(0.055 * side, brow - 0.03), (0.06 * side, brow + 0.1)], face.frown)
        fold([(0.05 * side, 0.02), (0.14 * side, 0.07)], face.wrinkle)
        fold([(0.05 * side, 0.08), (0.15 * side, 0.13)], face.wrinkle)
    if who.hair != "fringe":
        for k in (0.12, 0.2):
            fold([(-0.3, brow - k - 0.12), (0, brow - k - 0.15), (0.3, brow - k - 0.12)], face.forehead)


def _mouth(canvas: Image, head: Head, face: Expression, talk: float) -> None:
    """Lips, and between them the dark, teeth and tongue."""
    who = head.who
    t = np.linspace(-1, 1, 21)
    u = who.mouth * (1 + face.stretch - 0.12 * talk) * t
    gap = max(0.0, face.drop + 0.15 * talk)
    line = 0.56 + 0.05 * face.corner - (0.16 * face.corner) * t**2 - 0.03 * face.wrinkle
    round_ = np.clip(1 - t**2, 0, 1) ** 0.5
    thin = 1 - 0.55 * face.press
    bow = 1 - 0.3 * np.exp(-((t / 0.2) ** 2))
    inner_top, inner_low = line - 0.3 * gap * round_, line + gap * round_
    outer_top = inner_top - 1.0 * who.lips * thin * round_ * bow
    outer_low = inner_low + 1.25 * who.lips * thin * round_

    def at(v: Array, share: float = 1.0) -> Array:
        return head.place(np.stack([share * u, v], -1), 0.04)[0]

    if head.place(np.stack([u, line], -1))[1] < 0.25:
        return
    red = _blend(who.skin, (176, 58, 66), 0.5 if who.sex == "female" else 0.34)
    _fill(canvas, np.vstack([at(outer_top), at(inner_top)[::-1]]), _dim(red, 0.74))
    _fill(canvas, np.vstack([at(inner_low), at(outer_low)[::-1]]), _dim(red, 0.92))
    shine = inner_low + 0.55 * who.lips * thin * round_
    _line(canvas, at(shine, 0.5)[4:-4], _blend(red, (255, 235, 225), 0.35), 3)
    if gap > 0.02:
        _fill(canvas, np.vstack([at(inner_top), at(inner_low)[::-1]]), (52, 18, 22))
        teeth = np.minimum(inner_top + 0.075, inner_top + 0.55 * (inner_low - inner_top))
        _fill(canvas, np.vstack([at(inner_top, 0.86), at(teeth, 0.86)[::-1]]), (232, 226, 216))
        if gap > 0.1:
            tongue = inner_low - 0.3 * gap * round_
            _fill(canvas, np.vstack([at(tongue, 0.7), at(inner_low, 0.7)[::-1]]), (150, 62, 66))
    else:
        _line(canvas, at(line), _dim(red, 0.4), 3)
    for side in (0, -1):
        _disc(canvas, at(line)[side], (2.4, 2.4), _dim(red, 0.5))


def _extras(canvas: Image, head: Head) -> None:
    """Moustache and glasses."""
    who = head.who
    if who.beard == "moustache":
        t = np.linspace(-1, 1, 15)
        top = np.stack([0.3 * t, 0.4 + 0.07 * t**2], -1)
        low = np.stack([0.32 * t, 0.47 + 0.08 * t**2], -1)
        upper, facing = head.place(top, 0.05)
        if facing > 0.25:
            _fill(canvas, np.vstack([upper, head.place(low, 0.05)[0][::-1]]), _dim(who.hair_colour, 0.85))
    if who.glasses:
        t = np.linspace(0, 2 * np.pi, 32)
        for side in (-1.0, 1.0):
            rim = np.stack([side * who.eye_gap + 0.29 * np.cos(t), who.eye_height + 0.025 + 0.2 * np.sin(t)], -1)
            path, facing = head.place(rim, 0.08)
            if facing > 0.2:
                _line(canvas, path, (44, 38, 42), 4, closed=True)
        arch = np.array([[-0.12, who.eye_height], [0, who.eye_height - 0.03], [0.12, who.eye_height]])
        bridge, facing = head.place(arch, 0.1)
        if facing > 0.2:
            _line(canvas, bridge, (44, 38, 42), 4)


def _book(canvas: Image, head: Head, raised: float) -> None:
    """An open book that is held before the face."""
    x, y = head.centre[0], head.centre[1] + (0.08 + 3.2 * (1 - raised)) * head.b
    wide, high = 1.25 * head.a, 0.98 * head.b
    columns, rows = (x - wide, x, x + wide), (y - high, y - high + 8, y - high)
    upper = np.stack([columns, rows], -1)
    lower = upper + np.array([0, 2 * high])
    _fill(canvas, np.vstack([upper, lower[::-1]]), (96, 62, 104))
    _fill(canvas, np.vstack([upper[:2], lower[1::-1]]), (112, 74, 120))
    _line(canvas, np.stack([upper[1], lower[1]]), (70, 44, 78), 5)
    for side in (-1, 1):
        thumb = np.array([x + side * (wide - 10), y + 0.45 * high])
        _disc(canvas, thumb, (24, 11), _dim(head.who.skin, 0.8), 0.3 * side)


# ------------------------------------------------------------------------------------------------------- the room


def _room(scene: Scene, rng: np.random.Generator) -> Image:
    """The background, uint8 [480, 640, 3], out of focus."""
    tint = next(colour for name, colour in ROOMS.values() if name == scene.room)
    wall = np.array(_blend(scene.who.wall, tint, 0.6 if scene.room != "night" else 0.85))
    ys, xs = np.mgrid[0 : HEIGHT * SCALE, 0 : WIDTH * SCALE].astype(np.float32)
    glow = 1.08 - 0.34 * np.hypot((xs / 640) - 0.5 - 0.4 * scene.who.light[0], (ys / 480) - 0.2)
    canvas: Image = np.clip(glow[..., None] * wall, 0, 255).astype(np.uint8)
    mirrored = bool(rng.random() < 0.5)
    shift = rng.uniform(-14, 14)

    def polygon(points: list[tuple[float, float]], colour: Iterable[float]) -> None:
        _fill(canvas, np.array(points) + np.array([shift, 0]), colour)

    def rect(x: float, y: float, w: float, h: float, colour: Iterable[float]) -> None:
        polygon([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], colour)

    def dot(x: float, y: float, r: float, colour: Iterable[float]) -> None:
        _disc(canvas, np.array([x + shift, y]), (r, r), colour)

    if scene.room == "shelf":
        for y in (150, 300):
            rect(14, y, 160, 9, (104, 78, 56))
            for k in range(8):
                tall = rng.uniform(58, 96)
                rect(20 + 18 * k, y - tall, 15, tall, _dim(CLOTHES[rng.integers(len(CLOTHES))], rng.uniform(0.7, 1.1)))
    elif scene.room == "garden":
        rect(18, 40, 170, 230, (240, 240, 232))
        rect(28, 50, 150, 210, (168, 212, 240))
        for _ in range(14):
            dot(rng.uniform(40, 166), rng.uniform(180, 250), rng.uniform(12, 24), (70, rng.uniform(130, 180), 70))
        dot(140, 90, 22, (255, 236, 150))
    elif scene.room == "rain":
        rect(18, 40, 170, 230, (104, 112, 126))
        rect(28, 50, 150, 210, (124, 140, 164))
        for _ in range(36):
            rect(rng.uniform(32, 172), rng.uniform(54, 230), 3, 22, (176, 190, 208))
    elif scene.room == "poster":
        rect(24, 60, 140, 190, (60, 30, 32))
        rect(32, 68, 124, 174, (206, 64, 48))
        polygon([(50, 220), (98, 96), (140, 220)], (250, 204, 90))
    elif scene.room == "night":
        rect(22, 36, 160, 220, (28, 32, 54))
        dot(130, 90, 26, (226, 226, 200))
        for _ in range(12):
            dot(rng.uniform(34, 170), rng.uniform(50, 240), 2.5, (220, 220, 230))
    elif scene.room == "tiles":
        for y in range(0, 480, 60):
            rect(-20, y, 680, 3, (214, 226, 216))
        for x in range(-20, 680, 60):
            rect(x, 0, 3, 480, (214, 226, 216))
        rect(30, 210, 90, 70, (236, 236, 228))
    else:
        for k in range(14):
            x = 52 * k - 30
            polygon([(x, 26), (x + 40, 26), (x + 20, 70)], _dim(CLOTHES[k % 5], 1.4))
        for x, y, colour in ((60, 160, (230, 84, 90)), (118, 120, (90, 150, 220)), (150, 210, (240, 190, 70))):
            _disc(canvas, np.array([x + shift, y]), (28, 35), colour)
    if mirrored:
        canvas = np.ascontiguousarray(canvas[:, ::-1])
    blurred: Image = cv2.GaussianBlur(canvas, (0, 0), 3.2)
    return blurred


# ------------------------------------------------------------------------------------------------- files and tables


def _encode(path: Path, pictures: list[Image], sound: npt.NDArray[np.int16] | None) -> None:
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
            job.run(input=b"".join(p.tobytes() for p in pictures), quiet=True)
        except FileNotFoundError:
            raise RuntimeError("ffmpeg is not on the path: the demo corpus needs it to write its clips") from None
        except ffmpeg.Error as error:
            raise RuntimeError(f"{path.name}: ffmpeg could not write it: {error.stderr.decode()[-300:]}") from None


def _clip_row(scene: Scene) -> dict[str, Any]:
    return {
        "clip_id": scene.clip_id,
        "speaker": scene.who.speaker,
        "sex": scene.who.sex,
        "fold": scene.who.fold,
        "label": scene.label,
        "intensity": scene.intensity,
        "hidden": scene.hidden,
        "sound": scene.sound,
        "room": scene.room,
        "duration_s": scene.seconds,
        "path": f"clips/{scene.clip_id}.mp4",
    }


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
    table = "\n".join(f"| {label} | {face} | {voice} | {ROOMS[label][0]} |" for label, (face, voice) in GROUPS.items())
    return f"""# The demo corpus: a drawing

{speakers} speakers, {len(EMOTIONS)} emotions, {takes} takes, drawn by `mmer/corpora/demo.py` with seed {seed}.
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

The voices follow, in their direction, Banse & Scherer 1996, Scherer 2003 and Juslin & Laukka 2003. That some emotions
share a face or a voice is the task that the corpus sets, not a finding.

Licence: CC0 1.0.
"""


def _list_clips(raw: Path) -> list[Clip]:
    """Clips of `clips.csv` whose file is there."""
    table = raw / "clips.csv"
    if not table.is_file():
        return []
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (raw / row["path"]).is_file()]
    return [
        Clip.model_validate(
            {key: row[key] for key in ("clip_id", "speaker", "sex", "label", "intensity", "hidden", "path")}
            | {
                "corpus": "demo",
                "fold": int(row["fold"]),
                "has_face": True,
                "has_scene": True,
                "has_voice": row["sound"] == "voice",
            }
        )
        for row in rows
    ]


CORPUS = Corpus(
    name="demo",
    title="Demo corpus (drawn)",
    licence="CC0 1.0",
    citation="Drawn by this project; no people in it.",
    homepage="docs/data.md",
    list_clips=_list_clips,
    expected={"clips": 364, "speakers": 26},
    drawing=True,
)
