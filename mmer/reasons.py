"""An explanation as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmer.explain import Explanation
from mmer.figures import COLOURS, FAINT, INK
from mmer.labels import EMOTIONS

if TYPE_CHECKING:
    from mmer.recognizer import Prediction

LINES = {"face": ("#22262e", "-"), "scene": ("#22262e", ":"), "voice": ("#22262e", "--")}


def draw(prediction: Prediction, explanation: Explanation, out: Path) -> None:
    """Over time, the probabilities and what each modality brought; beside them the crop that counted most, and where a
    patch on it would have cost most.

    Args:
        prediction: with its crops.
        out: the picture to write; the ending says the format (png, svg, pdf).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    lines, shown, reasons, looked = figure.subplots(2, 2, width_ratios=[4, 1], sharex=False).flat
    times = np.array([step.t for step in prediction.steps])
    chances = np.array([step.probabilities for step in prediction.steps])
    for k, name in enumerate(EMOTIONS):
        of_this = name == explanation.emotion
        lines.plot(times, chances[:, k], color=COLOURS[name], lw=2.6 if of_this else 1.2, label=name)
    lines.set(ylim=(0, 1), ylabel="probability")
    lines.set_title(
        f"{explanation.emotion}: what spoke for it", loc="left", color=COLOURS[explanation.emotion], weight="bold"
    )
    lines.legend(frameon=False, fontsize=7, ncols=4, loc="upper right", labelcolor=INK)
    for name, brought in explanation.brought.items():
        colour, style = LINES[name]
        reasons.plot(times, brought, color=colour, ls=style, lw=1.6, label=name)
    reasons.axhline(0, color=FAINT, lw=1)
    reasons.set(xlabel="seconds", ylabel=f"brought to\n{explanation.emotion}, nats")
    reasons.legend(frameon=False, fontsize=7, loc="upper right", labelcolor=INK)
    for axes in (lines, reasons):
        axes.tick_params(colors=INK, length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.set_xlim(0, times[-1])
    for axes in (shown, looked):
        axes.set_axis_off()
    if explanation.step is not None and explanation.saliency is not None:
        crop = prediction.crops[explanation.step]
        at = f"{prediction.steps[explanation.step].t:.1f} s"
        if crop is not None:
            shown.imshow(crop)
            looked.imshow(crop.mean(axis=-1), cmap="gray", vmin=0, vmax=255)
            extent = (0, crop.shape[1], crop.shape[0], 0)
            most = max(float(np.abs(explanation.saliency).max()), 1e-6)
            looked.imshow(
                explanation.saliency, cmap="PuOr_r", vmin=-most, vmax=most, alpha=0.55, extent=extent,
                interpolation="bicubic",
            )  # fmt: skip
        shown.set_title(f"the face at {at}", fontsize=8, color=INK)
        looked.set_title("covered here, it says so less", fontsize=8, color=INK)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)
