"""The grid of steps that clips and streams share.

Step k, from 0, stands at (k + 1) * step_s and has the newest frame that is not later, and the voice window that ends
there: so everything is causal, and a clip and a live stream are the same computation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
"""Of every voice in this project, Hz, mono."""


def step_count(duration_s: float, step_s: float) -> int:
    """Steps in a clip: those whose time has come when it ends, and at least one."""
    return max(1, int(duration_s / step_s + 1e-6))


def voice_windows(voice: npt.NDArray[np.int16], steps: int, step_s: float, window_s: float) -> npt.NDArray[np.float32]:
    """The voice window that ends at each step.

    Args:
        voice: int16 [N] at 16 kHz; where it is shorter than the steps last, silence follows.

    Returns:
        float32 [steps, W] in -1..1, W = window_s * 16,000; the first windows are padded with zeros on the left.
    """
    hop, width = round(step_s * SAMPLE_RATE), round(window_s * SAMPLE_RATE)
    line = np.zeros(width + steps * hop, np.float32)
    used = voice[: steps * hop]
    line[width : width + len(used)] = used.astype(np.float32) / 32768
    return np.stack([line[k * hop : k * hop + width] for k in range(1, steps + 1)])
