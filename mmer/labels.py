"""The seven emotions and the three modalities, in the one order that every array, file and chart of this project uses,
and each corpus's own codes, and people's words, mapped onto them.
"""

import difflib
from typing import Literal

from mmer.errors import MmerError

EMOTIONS = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")

#: RAVDESS, third field of the file name. Calm (02) counts as neutral: it was recorded as a second, milder baseline.
RAVDESS = {
    "01": "neutral",
    "02": "neutral",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}

#: CREMA-D, third field of the file name. The corpus has no surprise.
CREMA_D = {"NEU": "neutral", "HAP": "happy", "SAD": "sad", "ANG": "angry", "FEA": "fear", "DIS": "disgust"}

#: CREMA-D, the columns of its vote table.
CREMA_D_VOTES = {"N": "neutral", "H": "happy", "S": "sad", "A": "angry", "F": "fear", "D": "disgust"}

#: EmoDB, sixth character of the file name: the first letter of the German word. L, Langeweile, is boredom: left out.
EMODB = {"N": "neutral", "F": "happy", "T": "sad", "W": "angry", "A": "fear", "E": "disgust"}

#: TESS, the end of the file name; ps is pleasant surprise.
TESS = {
    "neutral": "neutral",
    "happy": "happy",
    "sad": "sad",
    "angry": "angry",
    "fear": "fear",
    "disgust": "disgust",
    "ps": "surprise",
}

#: SAVEE, the letters before the sentence's number.
SAVEE = {"n": "neutral", "h": "happy", "sa": "sad", "a": "angry", "f": "fear", "d": "disgust", "su": "surprise"}

#: eNTERFACE'05, in the middle of the file name. The corpus has no neutral.
ENTERFACE = {"ha": "happy", "sa": "sad", "an": "angry", "fe": "fear", "di": "disgust", "su": "surprise"}

#: The words for the seven emotions: in folder names, in tables, in people's own lists. Calm is neutral, as above.
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
