"""What each further person in the picture costs, on one core (docs/measurements/budgets.md).

Drawn people sit side by side in one room, from one to `faces.max_people` of them, and one speaks: pictures of one
size, one voice, five steps a second through `Stream`, as in the service. The crowds take turns in one process with one
thread, and times are of the processor. Beside them: one person with a limit of 1, a wall of small faces, some of which
are lost and searched for again and again, and nobody, in front of a camera that stands and of one that moves.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy starts its threads

import cv2
import numpy as np

from mmer.data.demo.crowd import Actor, Place, draw_crowd
from mmer.data.demo.room import ROOMS, draw_room
from mmer.data.demo.speakers import make_speaker
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.types import Picture

MOST_MS = 25.0
"""CPU ms a second that a further person may cost."""
PICTURES = 10
"""Of each crowd, shown forwards and backwards."""
NOISE = 3.0
"""Grey levels: standard deviation of a camera's noise."""


def crowd(people: int) -> list[Picture]:
    """So many people side by side; the first one speaks."""

    def actor(number: int) -> Actor:
        place = Place(640 * (number + 0.5) / people, 150, 0.75)
        mouth = (lambda t: abs(float(np.sin(8 * t)))) if number == 0 else lambda _: 0.0
        return Actor(make_speaker(0, number), "neutral", lambda _: place, mouth)

    actors = [actor(number) for number in range(people)]
    room = draw_room(ROOMS["neutral"], actors[0].who, np.random.default_rng(0))
    return [rgb for rgb, _ in draw_crowd(actors, room, [0.2 * k for k in range(PICTURES)])]


def nobody(moves: int) -> list[Picture]:
    """An empty room with a camera's noise, and by how many pixels the camera moves from picture to picture."""
    random = np.random.default_rng(0)
    room = draw_room(ROOMS["neutral"], make_speaker(0, 0), random)
    seen = [np.roll(room, moves * k, axis=1) + random.normal(0, NOISE, room.shape) for k in range(PICTURES)]
    return [np.clip(rgb, 0, 255).astype(np.uint8) for rgb in seen]


def wall(of: Picture) -> list[Picture]:
    """As many faces as find room in a picture, each about as small as is looked for."""
    head = cv2.resize(of[60:260, 240:400], (48, 60), interpolation=cv2.INTER_AREA)
    return [np.tile(head, (6, 13, 1))] * PICTURES


def stream(recognizer: Recognizer, pictures: list[Picture], seconds: float) -> tuple[float, float]:
    """CPU ms a second, and how many people were told of at a step."""
    step_s = recognizer.info.input.step_s
    hop, rng, session = round(step_s * SAMPLE_RATE), np.random.default_rng(0), recognizer.stream()
    seen, start, steps = 0, time.process_time(), round(seconds / step_s)
    for k in range(steps):
        turn, place = divmod(k, PICTURES)
        session.push_frame(pictures[-1 - place if turn % 2 else place], (k + 0.5) * step_s)
        session.push_voice(rng.normal(0, 0.1, hop).astype(np.float32), k * step_s)
        seen += len(session.step().people)
    return 1000 * (time.process_time() - start) / seconds, seen / steps


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("release"), help="folder (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=5, help="of each crowd (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=12, help="that each is looked at for (default: %(default)s)")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    recognizer = Recognizer.load(args.model)
    crowds = [crowd(people + 1) for people in range(recognizer.info.faces.max_people)]
    rivals = {
        "1, with a limit of 1": (recognizer.following(1), crowds[0]),
        **{str(people): (recognizer, pictures) for people, pictures in enumerate(crowds, 1)},
        "a wall of 78, with a limit of 1": (recognizer.following(1), wall(crowds[0][0])),
        "a wall of 78": (recognizer, wall(crowds[0][0])),
        "nobody, the camera stands": (recognizer, nobody(0)),
        "nobody, the camera moves": (recognizer, nobody(16)),
    }
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    told: dict[str, float] = {}
    for turn in range(args.turns + 1):  # the first allocates
        for name, (one, pictures) in rivals.items():
            ms, told[name] = stream(one, pictures, args.seconds)
            if turn:
                taken[name].append(ms)
    height, width = crowds[0][0].shape[:2]
    print(f"Pictures of {width}x{height}, {args.seconds:g} s of each crowd, {args.turns} turns, medians.\n")
    print("| people in the picture | told of at a step | CPU ms a second | for the one more |\n|---|---:|---:|---:|")
    for name, ms in taken.items():
        one_less = taken.get(str(int(name) - 1)) if name.isdigit() else None
        more = None if one_less is None else float(np.median(np.subtract(ms, one_less)))
        verdict = "" if more is None else f"{more:.1f}, {'within' if more <= MOST_MS else '**above**'} {MOST_MS:g}"
        print(f"| {name} | {told[name]:.1f} | {np.median(ms):.1f} | {verdict} |")


if __name__ == "__main__":
    main()
