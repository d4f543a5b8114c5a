"""The seven emotions, the three modalities and the two dimensions of affect, in the one order that every array, file
and chart uses; common words for emotions, mapped onto them.
"""

from __future__ import annotations

import difflib
from typing import Literal

from mmer.errors import MmerError

EMOTIONS = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")

#: The words for the seven emotions: in folder names, in tables, in people's own lists. Calm is neutral.
WORDS = {
    "neutral": ("neutral", "neutrality", "calm"),
    "happy": ("happy", "happiness", "joy", "joyful"),
    "sad": ("sad", "sadness"),
    "angry": ("angry", "anger"),
    "fear": ("fear", "fearful", "afraid", "scared"),
    "disgust": ("disgust", "disgusted"),
    "surprise": ("surprise", "surprised", "pleasant surprise"),
}
EMOTION_OF = {word: emotion for emotion, words in WORDS.items() for word in words}


class LabelError(MmerError, ValueError):
    """A word names none of the seven emotions; the message names the nearest that does."""


def emotion_of(word: str) -> str:
    """The emotion that a word names, in any case: "Anger" is angry, "happiness" is happy.

    Raises:
        LabelError: none of the seven; with a suggestion.
    """
    known = " ".join(word.casefold().replace("_", " ").replace("-", " ").split())
    if known not in EMOTION_OF:
        near = difflib.get_close_matches(known, EMOTION_OF, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(EMOTIONS)} and their common synonyms"
        raise LabelError(f"{word!r} is none of the seven emotions; {hint}")
    return EMOTION_OF[known]


ModalityName = Literal["face", "scene", "voice"]

#: In the order of the columns of a sample's `present`.
MODALITIES: tuple[ModalityName, ...] = ("face", "scene", "voice")

Dimension = Literal["valence", "arousal"]

#: From -1 to 1: unpleasant to pleasant, calm to excited (Russell 1980, "A circumplex model of affect").
DIMENSIONS: tuple[Dimension, ...] = ("valence", "arousal")
