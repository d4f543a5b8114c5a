"""The seven emotions and the three modalities, in the one order that every array, file and chart of this project uses,
and each corpus's own codes mapped onto them.
"""

from typing import Literal

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

ModalityName = Literal["face", "scene", "voice"]

#: In the order of the columns of a sample's `present`.
MODALITIES: tuple[ModalityName, ...] = ("face", "scene", "voice")
