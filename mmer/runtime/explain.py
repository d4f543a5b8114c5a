"""Why a clip was recognised as it was: what each modality brought, and which parts of the face were looked at.

Both by taking away and asking again (Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks"),
so any network that can make a pass can be explained, the packaged graph as well as the one in training.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mmer.labels import EMOTIONS, MODALITIES, ModalityName
from mmer.runtime.types import Arrays, Floats

GRID = 8
"""Places of the patch along a side of the crop."""
PATCH = 0.25
"""Side of the patch, as a share of the crop's."""


@dataclass(frozen=True)
class Explanation:
    """What spoke for one emotion in one clip."""

    emotion: str
    probabilities: Floats
    """[T, 7] at each step."""
    contributions: dict[ModalityName, Floats]
    """[T], for each modality that the clip has: the log-probability of the emotion at each step, less what it is where
    this modality is taken away from the whole clip. Above 0 it spoke for the emotion. In nats."""
    step: int | None
    """The step at which the face brought most; None where there is no face."""
    face: npt.NDArray[np.uint8] | None
    """[S, S, 3] RGB, of that step."""
    saliency: Floats | None
    """[GRID, GRID]: by how many nats a grey patch at that place of the face lowers what the face says of the emotion.
    """


def explain(forward: Any, passes: Sequence[Arrays], emotion: str) -> Explanation:
    """Explain a clip.

    Args:
        forward: makes a forward pass.
        passes: those of the clip, in their order, B = 1; the first has the state to begin with.
        emotion: whose probability is explained.
    """
    index = EMOTIONS.index(emotion)
    present = np.concatenate([one["present"][0] for one in passes])
    whole = _log_probabilities(forward, passes, None)
    contributions = {
        name: whole[:, index] - _log_probabilities(forward, passes, m)[:, index]
        for m, name in enumerate(MODALITIES)
        if present[:, m].any()
    }
    if "face" not in contributions:
        return Explanation(emotion, np.exp(whole), contributions, None, None, None)
    step = int(np.where(present[:, 0] > 0, contributions["face"], -np.inf).argmax())
    face, saliency = _saliency(forward, passes, step, index)
    return Explanation(emotion, np.exp(whole), contributions, step, face, saliency)


def _log_probabilities(forward: Any, passes: Sequence[Arrays], without: int | None) -> Floats:
    """Log-probabilities [T, 7] of a clip, with one modality taken away."""
    state, found = passes[0]["state"], []
    for one in passes:
        present = one["present"].copy()
        if without is not None:
            present[..., without] = 0
        out = forward({**one, "present": present, "state": state})
        state = out["state_out"]
        found.append(_log_softmax(out["logits"][0]))
    return np.concatenate(found)


def _saliency(forward: Any, passes: Sequence[Arrays], step: int, index: int) -> tuple[npt.NDArray[np.uint8], Floats]:
    """See `Explanation.face` and `saliency`."""
    state, first = passes[0]["state"], 0
    for one in passes:
        count = one["present"].shape[1]
        if step < first + count:
            break
        state, first = forward({**one, "state": state})["state_out"], first + count
    before, here = slice(0, step - first), slice(step - first, step - first + 1)
    if step > first:
        state = forward({**{k: v[:, before] for k, v in one.items() if k != "state"}, "state": state})["state_out"]
    single = {k: v[:, here] for k, v in one.items() if k != "state"}
    copies = {k: np.repeat(v, GRID * GRID + 1, axis=0) for k, v in single.items()} | {
        "state": np.repeat(state, GRID * GRID + 1, axis=0)
    }
    side = single["faces"].shape[2]
    size = max(1, round(PATCH * side))
    corners = np.round(np.linspace(0, side - size, GRID)).astype(int)
    grey = single["faces"].mean(axis=(0, 1, 2, 3)).astype(np.uint8)
    for k, (top, left) in enumerate(itertools.product(corners, corners)):
        copies["faces"][k, 0, top : top + size, left : left + size] = grey
    said = forward(copies)["alone"][:, 0, MODALITIES.index("face"), index]
    saliency: Floats = (said[-1] - said[:-1]).reshape(GRID, GRID)
    return single["faces"][0, 0], saliency


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
