"""An interview, analysed: what is said how, utterance by utterance, and what changes between its parts.

    python examples/interview.py interview.mp4 [--neutral at-rest.mp4] [--parts 4]

Needs nothing but mmer; no service. Emotions are what a face and a voice show, not what somebody feels.
"""

import argparse
from collections import Counter
from pathlib import Path

from mmer import Recognizer
from mmer.errors import MmerError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--neutral", type=Path, help="some seconds of the same person at rest")
    parser.add_argument("--parts", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--model", type=Path, help="default: that of mmer")
    given = parser.parse_args()
    recognizer = Recognizer.load(given.model)
    try:
        calibration = recognizer.calibrate(given.neutral) if given.neutral else None
        interview = recognizer.predict(given.clip, calibration=calibration)
    except MmerError as error:
        raise SystemExit(f"{error}") from None

    print(f"{given.clip.name}: {interview.label or 'nothing to go by'}{', calibrated' if calibration else ''}\n")
    print(" from    to  shown       sure  face seen  level  face alone  voice alone")
    for spoken in interview.utterances:
        alone = dict.fromkeys(("face", "voice"), "–")
        for name, said in spoken.unimodal.items():
            if said is not None:
                alone[name] = interview.model.labels[int(said.argmax())]
        print(
            f"{spoken.start:5.1f} {spoken.end:5.1f}  {spoken.label or '–':10} {spoken.confidence:5.0%}"
            f" {spoken.seen:10.0%} {spoken.voice_dbfs:5.0f}  {alone['face']:10}  {alone['voice']}"
        )

    steps = interview.steps
    print("\nShare of the time, part by part:")
    for part in range(given.parts):
        own = steps[len(steps) * part // given.parts : len(steps) * (part + 1) // given.parts]
        shown = Counter(step.label for step in own if step.label)
        if own:
            shares = ", ".join(f"{label} {count / len(own):.0%}" for label, count in shown.most_common(3))
            print(f"{own[0].t:6.1f} s – {own[-1].t:.1f} s: {shares or 'nothing to go by'}")


if __name__ == "__main__":
    main()
