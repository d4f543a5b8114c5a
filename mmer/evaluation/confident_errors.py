"""The mistakes that a model was surest of, and why it made them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmer.data import corpora
from mmer.data.clips import Clip
from mmer.data.samples import as_pass, load_clip
from mmer.evaluation.protocol import DRAWN
from mmer.labels import EMOTIONS, MODALITIES
from mmer.metrics import Probabilities
from mmer.reporting import Report, plain
from mmer.runtime.explain import explain
from mmer.training.inference import as_forward

if TYPE_CHECKING:
    from mmer.model.network import EmotionNet


def most_confident(clips: Sequence[Clip], probabilities: Probabilities, most: int) -> list[int]:
    """Places of the clips that were recognised wrongly, at most so many of each corpus, those with the most probable
    answer first.
    """
    wrong = np.flatnonzero(probabilities.argmax(-1) != np.array([c.target for c in clips]))
    wrong = wrong[np.argsort(-probabilities[wrong].max(-1), kind="stable")]
    found: list[int] = []
    for corpus in sorted({c.corpus for c in clips}):
        found += [i for i in wrong.tolist() if clips[i].corpus == corpus][:most]
    return found


def explain_confident_errors(
    network: EmotionNet, clips: Sequence[Clip], probabilities: Probabilities, processed: Path, most: int, out: Path
) -> list[Report]:
    """Draw why a network said what it wrongly said: `CORPUS-NUMBER.png` in `out`, for each of the surest mistakes.

    Only a drawn face is shown: for a person's there is an outline, so that the figures can go wherever reports go.

    Args:
        clips: [n], of the test split.
        probabilities: [n, 7], of everything together.
        most: of each corpus.

    Returns:
        For each: its figure, the corpus, clip_id, label, predicted, confidence, and what each modality `brought` to the
        answer, on average over the steps, in nats.
    """
    from mmer.plots.explanation import plot_explanation

    out.mkdir(parents=True, exist_ok=True)
    given, run, numbers = network.input, as_forward(network), Counter[str]()
    known = np.array([m in network.modalities for m in MODALITIES])
    told: list[Report] = []
    for place in most_confident(clips, probabilities, most):
        clip, own = clips[place], probabilities[place]
        sample = load_clip(clip, processed)
        sample = replace(sample, present=sample.present & known)
        said, sure = EMOTIONS[int(own.argmax())], float(own.max())
        found = explain(run, [as_pass(sample, given, network.state_size)], said)
        drawn = clip.corpus in corpora.names() and corpora.get(clip.corpus).drawing
        numbers[clip.corpus] += 1
        figure = f"{clip.corpus}-{numbers[clip.corpus]}.png"
        plot_explanation(
            found,
            out / figure,
            step_s=given.step_s,
            title=f"{clip.corpus} {clip.clip_id}: meant as {clip.label}, taken for {said}, {sure:.0%} sure",
            note=DRAWN.capitalize() if drawn else "",
            show_face=drawn,
        )
        told.append(
            {
                "figure": figure,
                **{"corpus": clip.corpus, "clip_id": clip.clip_id, "label": clip.label},
                **{"predicted": said, "confidence": sure},
                "brought": {name: float(values.mean()) for name, values in found.contributions.items()},
            }
        )
    return [plain(one) for one in told]
