"""How well people are told apart: drawn ones who share a picture, and real ones by how they look and how lips move.

    python -m studies.people                          # drawn scenes
    python -m studies.people --clips FOLDER           # and real clips of one person each, named PERSON-....mp4
    python -m studies.people --strip docs/people.png  # nothing but a film strip of two who cross, with their ids

Drawn: IDF1 and switches of ids (trackeval) in scenes of tests/crowds.py, by several pairs of drawn speakers. Real: how
unlike (`mmer.runtime.appearance`) two pictures of one person from different clips are, and of two people; and how much
the mouth moves from step to step where a voice is loud, and where it is nearly or wholly silent.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from mmer.runtime import media
from mmer.runtime.appearance import lips, look, portrait
from mmer.runtime.people import FAMILIAR, STRANGER, People
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.tracker import Tracker
from mmer.runtime.types import Picture
from mmer.runtime.voice import hear
from tests.crowds import SCENES, judge, scene

PAIRS = ((0, 1), (2, 3), (4, 6), (5, 1), (8, 7), (10, 12))
"""Drawn speakers: women and men, women alone, men alone."""
EVERY = 5
"""Steps between two pictures whose looks are compared."""
LOUD, SOFT = 0.25, 0.05
"""Shares of a clip's loud level (its 90th percentile) above which a step is loud, and below which it is silent."""

TRIALS = 5000
"""Drawn by chance, with a seed, for each share that is told."""

COLOURS = {1: (91, 79, 196), 2: (150, 49, 47)}
"""Of people in the strip, as on the page."""

Values = npt.NDArray[np.float64]


def drawn(recognizer: Recognizer) -> str:
    """The table of the drawn scenes."""
    lines = [f"| scene ({len(PAIRS)} pairs) | IDF1, worst | switches | ids (2 each) |", "|---|---:|---:|---:|"]
    for name in tqdm(SCENES, unit="scene"):
        found, ids = [], 0
        for pair in PAIRS:
            shown, people = scene(name, pair), People(recognizer.detector, recognizer.info.faces, recognizer.info.input)
            crowds = [people.track(rgb, t) for rgb, t in zip(shown.pictures, shown.times, strict=True)]
            told = [{one.id: one.view.box for one in crowd.people if one.view.box} for crowd in crowds]
            found.append(judge(shown.boxes, told))
            ids += len({id for boxes in told for id in boxes})
        worst, switches = min(one["idf1"] for one in found), sum(one["switches"] for one in found)
        lines.append(f"| {name} | {worst:.2f} | {switches:.0f} | {ids} |")
    return "\n".join(lines)


def real(recognizer: Recognizer, clips: list[Path]) -> str:
    """What looks and lips tell, in words."""
    looks, whose, clip_of = [], [], []
    moved: dict[str, list[float]] = {"loud": [], "silent": []}
    info = recognizer.info
    for number, path in enumerate(tqdm(clips, unit="clip")):
        tracker, smalls = Tracker(recognizer.detector, info.faces, info.input), dict[int, Picture]()

        def see(
            step: int, at: float, rgb: Picture, tracker: Tracker = tracker, smalls: dict[int, Picture] = smalls
        ) -> None:
            view = tracker.track(rgb, at)
            if view.box is None or view.coasted:
                return
            smalls[step] = portrait(rgb, view.box, view.roll)
            if step % EVERY == 0:
                looks.append(look(rgb, view.box, smalls[step]).ravel())
                whose.append(path.name.split("-")[0])  # noqa: B023
                clip_of.append(number)  # noqa: B023

        decoded = media.decode(path, info.media, info.input.step_s, see)
        windows, active = hear(decoded.voice, decoded.steps, info.input, info.media.silence_dbfs)
        level = np.sqrt(np.square(windows[:, -round(info.input.step_s * 16_000) :]).mean(1))
        usual = np.quantile(level, 0.9)
        for step in range(1, decoded.steps):
            if step in smalls and step - 1 in smalls:
                kind = "loud" if level[step] > LOUD * usual else "silent" if level[step] < SOFT * usual else None
                kind = kind if active[step] or kind is None else "silent"
                if kind is not None:
                    moved[kind].append(lips(smalls[step - 1], smalls[step]))
    return f"{told_by_looks(np.array(looks), np.array(whose), np.array(clip_of))}\n\n{told_by_lips(moved)}"


def told_by_looks(looks: Values, whose: npt.NDArray[np.str_], clip_of: npt.NDArray[np.int_]) -> str:
    """How often two pictures are taken for one person's."""
    apart = np.sqrt(np.mean(np.square(looks[:, None] - looks[None]), -1))
    same = (whose[:, None] == whose[None]) & (clip_of[:, None] != clip_of[None])
    mine, others = apart[same], apart[whose[:, None] != whose[None]]
    rng, wrong = np.random.default_rng(0), 0
    for k in rng.integers(len(looks), size=TRIALS):
        own, other = rng.choice(np.flatnonzero(same[k])), rng.choice(np.flatnonzero(whose != whose[k]))
        wrong += apart[k, own] > apart[k, other]
    lines = [
        f"Looks: {len(looks)} pictures of {len(set(whose))} people in {len(set(clip_of))} clips. Of two people the "
        f"wrong one is more alike in {wrong / TRIALS:.1%}.",
        "",
        "| as unlike as this is the same | one person in two clips is not known again | two people are taken for one |",
        "|---|---:|---:|",
    ]
    lines += [
        f"| {most} | {np.mean(mine > most):.1%} | {np.mean(others <= most):.1%} |" for most in (FAMILIAR, STRANGER)
    ]
    return "\n".join(lines)


def told_by_lips(moved: dict[str, list[float]]) -> str:
    """How well the motion of lips tells speaking from silence."""
    loud, silent = np.array(moved["loud"]), np.array(moved["silent"])
    medians = f"medians {np.median(loud):.2f} and {np.median(silent):.2f}"
    lines = [f"Lips: {len(loud)} loud and {len(silent)} silent steps, {medians}."]
    rng = np.random.default_rng(0)
    for steps in (1, 5):
        a, b = (rng.choice(x, (TRIALS, steps)).mean(1) for x in (loud, silent))
        lines.append(f"The mean of {steps} loud ones is above that of {steps} silent ones in {np.mean(a > b):.0%}.")
    return " ".join(lines)


def strip(recognizer: Recognizer, path: Path, name: str = "they cross", count: int = 6) -> None:
    """Write pictures of a drawn scene, side by side, with the boxes and the ids that were found."""
    shown, people = scene(name), People(recognizer.detector, recognizer.info.faces, recognizer.info.input)
    pictures = []
    for rgb, t in zip(shown.pictures, shown.times, strict=True):
        picture = rgb.copy()
        for one in people.track(rgb, t).people:
            left, top, right, bottom = (round(v) for v in one.view.box or ())
            cv2.rectangle(picture, (left, top), (right, bottom), COLOURS[one.id], 4)
            cv2.rectangle(picture, (left - 2, top - 44), (left + 38, top), COLOURS[one.id], -1)
            cv2.putText(picture, str(one.id), (left + 6, top - 10), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255,) * 3, 3)
        cv2.putText(picture, f"{t:.1f} s", (12, picture.shape[0] - 16), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255,) * 3, 2)
        pictures.append(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    some = [pictures[k] for k in np.linspace(0, len(pictures) - 1, count).round().astype(int)]
    rows = [np.hstack(some[k : k + 3]) for k in range(0, count, 3)]
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("release"), help="folder (default: %(default)s)")
    parser.add_argument("--clips", type=Path, help="folder of clips of one person each, named PERSON-....mp4")
    parser.add_argument("--strip", type=Path, help="the film strip, a picture")
    args = parser.parse_args()
    recognizer = Recognizer.load(args.model)
    if args.strip:
        return strip(recognizer, args.strip)
    print(drawn(recognizer))
    if args.clips:
        print(f"\n{real(recognizer, sorted(args.clips.glob('*.mp4')))}")


if __name__ == "__main__":
    main()
