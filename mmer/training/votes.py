"""A teacher that looks at no picture: of clips that people voted on like this one, how many were meant as each emotion.

FER2013's labels are a search engine's words, and ten people agree with 13% of its "fear". A label says which of these
clips it is, votes say what there is to be seen; the one is what is asked for, the other is what a network can learn
without learning clips by heart (privileged information, Lopez-Paz et al. 2016, arXiv:1511.03643).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmer.data.clips import Clip, targets
from mmer.errors import MmerError
from mmer.labels import EMOTIONS
from mmer.runtime.types import Floats

VOTES = "votes"
"""What `train.taught_by` says for it."""


class VotesError(MmerError):
    """Nobody voted."""


def meant_by_votes(clips: Sequence[Clip], classes: Sequence[str] = EMOTIONS) -> dict[str, Floats]:
    """By `Clip.sample`, for those that people judged: float32 [C], by logistic regression on the votes of all of them.

    Raises:
        VotesError: fewer than two emotions were meant by clips that people voted on.
    """
    from sklearn.linear_model import LogisticRegression

    having = [clip for clip in clips if clip.judged is not None]
    meant = targets(having, classes) if having else np.zeros(0, np.int64)
    if len(set(meant.tolist())) < 2:
        raise VotesError(f"train.taught_by: votes, and of {len(clips)} training clips people voted on {len(having)}")
    votes = np.array([clip.judged for clip in having], np.float64)
    # A single voice says more than its share, and so does it that there is none against.
    seen = np.concatenate([votes, np.sqrt(votes), votes >= 0.999], axis=1)
    head = LogisticRegression(max_iter=2000).fit(seen, meant)
    answers = np.zeros((len(having), len(classes)), np.float32)
    answers[:, head.classes_] = head.predict_proba(seen)
    return {clip.sample: answer for clip, answer in zip(having, answers, strict=True)}
