"""Pictures of a high dynamic range (what telephones film) as ones of the standard range, which models are trained on.

Here and not by ffmpeg's filters, which not every ffmpeg is built with, and on pictures that are shrunk already.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from mmer.runtime.types import Floats, Picture

Transfer = Literal["pq", "hlg"]
"""The curve from numbers to light: SMPTE ST 2084, or ARIB STD-B67, both as ITU-R BT.2100 has them."""

DARKEST_WHITE, BRIGHTEST_WHITE = 100.0, 203.0
"""Between these, in cd/m2, lies what is white in the standard range: the one is a studio's old rule, the other that of
ITU-R BT.2408. Which one a film means, its pictures tell."""

HLG_PEAK, HLG_GAMMA = 1000.0, 1.2
"""Of the display that HLG is shown on, cd/m2, and its system gamma."""

KNEE = 0.8
"""Share of white up to which nothing is compressed."""

_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
"""Of BT.2020's primaries."""

_TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
"""From BT.2020's primaries to BT.709's (ITU-R BT.2087)."""


class ToneMap:
    """Of one film, whose pictures come in order: what was bright in it so far decides how bright the next is shown."""

    def __init__(self, transfer: Transfer) -> None:
        self._light = _pq() if transfer == "pq" else _hlg()
        self._scene = transfer == "hlg"
        self._white, self._peak = DARKEST_WHITE, 1.0
        self._shown = np.rint(255 * (np.arange(65536) / 65535) ** (1 / 2.4)).astype(np.uint8)  # BT.1886

    def __call__(self, rgb: npt.NDArray[np.uint16]) -> Picture:
        """uint16 [H, W, 3] in the film's own curve to uint8 [H, W, 3]."""
        light = self._light[rgb]
        if self._scene:
            light *= HLG_PEAK * np.power(light @ _LUMINANCE, HLG_GAMMA - 1)[..., None]
        light = np.maximum(light @ _TO_709.T, 0)
        most = light.max(-1)
        bright = float(np.percentile(most[::2, ::2], 99.5))
        self._white = max(self._white, min(bright, BRIGHTEST_WHITE))
        self._peak = max(self._peak, bright / self._white)
        most /= self._white
        light *= (_compressed(most, self._peak) / np.maximum(most, 1e-6) / self._white)[..., None]
        shown: Picture = self._shown[(np.minimum(light, 1) * 65535).astype(np.uint16)]
        return shown


def _compressed(most: Floats, peak: float) -> Floats:
    """0 to `peak` into 0 to 1: as it is below the knee, above it with a slope that begins at 1 (Reinhard's curve)."""
    reach = (peak - KNEE) / (1 - KNEE)
    over = np.maximum(most - KNEE, 0) / (1 - KNEE)
    return np.where(most > KNEE, KNEE + (1 - KNEE) * over * (1 + over / reach**2) / (1 + over), most)


def _pq() -> Floats:
    """Light in cd/m2 for each of 65,536 numbers."""
    m1, m2, c1, c2, c3 = 1305 / 8192, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
    power = (np.arange(65536) / 65535) ** (1 / m2)
    found: Floats = (10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)).astype(np.float32)
    return found


def _hlg() -> Floats:
    """The scene's light, 0 to 1, for each of 65,536 numbers."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    number = np.arange(65536) / 65535
    found: Floats = np.where(number <= 0.5, number**2 / 3, (np.exp((number - c) / a) + b) / 12).astype(np.float32)
    return found
