"""PyPI `fer` at work, inside an environment of its own: numpy and the package, nothing of mmer.

Answers each line, `{"clip": …, "seconds": …}`, with CPU ms a second of input: the clip is a file of pictures, uint8
[n, H, W, 3] RGB, of which five are a second; each is searched for faces, and the largest is what counts.
"""

import json
import os
import sys
import time
from importlib import metadata
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
import numpy as np


def main(kind: str, elsewhere: str) -> None:
    """Answer lines until there are no more.

    Args:
        kind: where faces come from: `cascade` (OpenCV's, the package's default) or `mtcnn` (facenet-pytorch's).
        elsewhere: the installed packages of another environment: facenet-pytorch, and torch, which it takes.
    """
    answers, sys.stdout = sys.stdout, sys.stderr  # TensorFlow may print
    sys.path.append(elsewhere)  # last: all else comes from here
    if kind == "mtcnn":
        import facenet_pytorch  # noqa: F401 (torch before TensorFlow: the other way around this process dies)
    import cv2
    import tensorflow
    from fer import fer as package

    cv2.setNumThreads(1)
    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    recognizer = package.FER(mtcnn=kind == "mtcnn")
    files = [Path(package.__file__).parent / "data" / "emotion_model_quantized.tflite"]
    if kind == "mtcnn":
        files += [Path(elsewhere) / "facenet_pytorch" / "data" / f"{name}.pt" for name in ("pnet", "rnet", "onet")]
    else:
        files += [Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"]
    about = {
        "version": metadata.version("fer"),
        "licence": metadata.metadata("fer")["License"],
        "bytes": sum(file.stat().st_size for file in files),
    }
    for line in sys.stdin:
        given = json.loads(line)
        pictures = [np.ascontiguousarray(rgb[..., ::-1]) for rgb in np.load(given["clip"])]
        count, found = round(5 * given["seconds"]), 0
        start = time.process_time()
        for k in range(count):
            found += bool(recognizer.detect_emotions(pictures[k % len(pictures)]))
        ms = 1000 * (time.process_time() - start) / given["seconds"]
        print(json.dumps({"ms": ms, "found": found / count, "about": about}), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
