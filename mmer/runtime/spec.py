"""The contract of the graph, stated once: its inputs and outputs by name, dtype and shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mmer.labels import DIMENSIONS, EMOTIONS, MODALITIES, ModalityName
from mmer.runtime.config import Input
from mmer.runtime.grid import SAMPLE_RATE

INPUT_OF: dict[ModalityName, str] = {"face": "faces", "scene": "scenes", "voice": "voice"}
"""The input that shows each modality; a graph that was not trained on one may lack its input."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output."""

    name: str
    dtype: type[np.uint8] | type[np.float32]
    shape: tuple[int | str, ...]
    """A letter is a free size: B clips, T steps, K numbers of state (fixed in any one graph)."""
    meaning: str

    def sizes(self, **free: int) -> tuple[int, ...]:
        """The shape with a number for each free size."""
        return tuple(free[size] if isinstance(size, str) else size for size in self.shape)

    def __str__(self) -> str:
        """`faces uint8 [B, T, 64, 64, 3]`."""
        return f"{self.name} {np.dtype(self.dtype)} [{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class GraphSpec:
    """What goes into the graph of a model, and what comes out. Normalisation is inside."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @classmethod
    def of(cls, given: Input, *, affect: bool = False) -> GraphSpec:
        """The contract for these sizes.

        Args:
            affect: of a model that says valence and arousal too.
        """
        face, scene, window = given.face_size, given.scene_size, round(given.voice_window_s * SAMPLE_RATE)
        said, modalities, two = len(EMOTIONS), len(MODALITIES), len(DIMENSIONS)
        felt = TensorSpec(
            "affect", np.float32, ("B", "T", two), f"{' and '.join(DIMENSIONS)}, -1..1, if it learnt them"
        )
        return cls(
            inputs=(
                TensorSpec("faces", np.uint8, ("B", "T", face, face, 3), "the face crop at each step, RGB"),
                TensorSpec("scenes", np.uint8, ("B", "T", scene, scene, 3), "the whole picture made small, RGB"),
                TensorSpec(
                    "voice", np.float32, ("B", "T", window), f"the window ending there, {SAMPLE_RATE} Hz, -1..1"
                ),
                TensorSpec("present", np.float32, ("B", "T", modalities), f"0 or 1: {', '.join(MODALITIES)}"),
                TensorSpec("state", np.float32, ("B", "K"), "zeros at the beginning, then the last `state_out`"),
            ),
            outputs=(
                TensorSpec("logits", np.float32, ("B", "T", said), "of the emotions, in their order"),
                TensorSpec("state_out", np.float32, ("B", "K"), "after the last step"),
                TensorSpec("alone", np.float32, ("B", "T", modalities, said), "log-probabilities, each modality alone"),
                *([felt] if affect else []),
            ),
        )

    def zeros(self, **free: int) -> dict[str, npt.NDArray[Any]]:
        """All inputs, empty: nothing is present, the state is that of the beginning.

        Args:
            free: a number for each of B, T and K.
        """
        return {one.name: np.zeros(one.sizes(**free), one.dtype) for one in self.inputs}


INPUTS = tuple(one.name for one in GraphSpec.of(Input()).inputs)
"""Their names, in order."""


def outputs(*, affect: bool) -> tuple[str, ...]:
    """The names of the outputs, in order."""
    return tuple(one.name for one in GraphSpec.of(Input(), affect=affect).outputs)
