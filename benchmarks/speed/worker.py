"""A process with the code of one tree: plays clips into streams as it is told, line by line, and tells what it took.

It is run by its path with that tree as PYTHONPATH, so it imports nothing of `benchmarks`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np

from mmer.runtime.recognizer import Recognizer
from mmer.runtime.results import pool

HOP = 3200
"""Samples of a step."""


def main(model: str) -> None:
    """Answer each line, `{"clip": …, "seconds": …}`, with CPU ms by part and the clip's own answers."""
    cv2.setNumThreads(1)
    recognizer, spent = Recognizer.load(model), Counter[str]()

    def timed(part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(work)
        def run(*given: Any) -> Any:
            start = time.process_time()
            found = work(*given)
            spent[part] += time.process_time() - start
            return found

        return run

    detector: Any = recognizer.detector
    detector.detect, detector.follow = timed("search", detector.detect), timed("follow", detector.follow)
    recognizer.forward = timed("network", recognizer.forward)
    for line in sys.stdin:
        given = json.loads(line)
        clip = np.load(given["clip"])
        spent.clear()
        start = time.process_time()
        told = play(recognizer, clip, given["seconds"])
        spent["whole"] = time.process_time() - start
        steps = told.pop("played")
        print(json.dumps(told | {"ms": {part: 1000 * s / (0.2 * steps) for part, s in spent.items()}}), flush=True)


def play(recognizer: Recognizer, clip: Any, seconds: float) -> dict[str, Any]:
    """Stream a clip over and over for that long, once at least; its label's probabilities, and the face's alone."""
    steps, pictures = int(clip["steps"]), dict(zip(clip["at"].tolist(), clip["pictures"], strict=True))
    times, voice = dict(zip(clip["at"].tolist(), clip["times"].tolist(), strict=True)), clip["voice"]
    loops, stream = max(1, round(seconds / (0.2 * steps))), recognizer.stream()
    logits, alone, heard, seen = [], [], [], []
    for k in range(steps * loops):
        place = k % steps
        if place in pictures:
            stream.push_frame(pictures[place], min(times[place] + 0.2 * (k - place), stream.next_time))
        stream.push_voice(voice[place * HOP : (place + 1) * HOP], 0.2 * k)
        begun = stream.begin()
        found = recognizer.forward(begun.arrays)
        step, row = stream.end(begun, found), begun.moments[0].row
        if k < steps:
            logits.append(found["logits"][row, 0])
            alone.append(found["alone"][row, 0, 0])
            heard.append(any(step.present.values()))
            seen.append(step.present["face"])
    return {
        "played": steps * loops,
        "both": pool(np.array(logits), np.array(heard)).tolist(),
        "face": pool(np.array(alone), np.array(seen)).tolist(),
        "seen": float(np.mean(seen)),
    }


if __name__ == "__main__":
    main(str(Path(sys.argv[1])))
