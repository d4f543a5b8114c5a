"""mmer: emotion from a person's face, surroundings and voice, in real time.

Importing this package is cheap and never imports torch; the two names a user needs come in lazily::

    from mmer import Recognizer
    print(Recognizer.load("models").predict("clip.mp4").label)
"""

import os
from typing import TYPE_CHECKING, Any

# From 1.29 on, onnxruntime sends usage data to Microsoft unless this is set before it is first imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = ["Prediction", "Recognizer", "__version__"]

if TYPE_CHECKING:
    from mmer.runtime.recognizer import Recognizer
    from mmer.runtime.results import Prediction


def __getattr__(name: str) -> Any:
    if name == "Recognizer":
        from mmer.runtime.recognizer import Recognizer

        return Recognizer
    if name == "Prediction":
        from mmer.runtime.results import Prediction

        return Prediction
    raise AttributeError(f"module 'mmer' has no attribute {name!r}")
