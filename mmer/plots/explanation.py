"""An explanation as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmer.labels import EMOTIONS, ModalityName
from mmer.plots.palette import COLOURS, FAINT, GREY, INK
from mmer.runtime.explain import Explanation

#: Told apart by dash as well as by grey, since colour says the emotion.
LINES: dict[ModalityName, tuple[str, str]] = {"face": (INK, "-"), "scene": (GREY, ":"), "voice": (GREY, "--")}
MARKED = 8
"""Clips of fewer steps have their steps marked: one alone would not be seen as a line."""


def plot_explanation(
    explanation: Explanation, out: Path, *, step_s: float, title: str = "", note: str = "", show_face: bool = True
) -> None:
    """Over time, the probabilities and what each modality brought; beside them the face that counted most, and where a
    patch on it would have cost most.

    Args:
        out: the picture to write; the ending says the format (png, svg, pdf).
        step_s: between two steps.
        title: of the clip.
        note: what must be known before it is believed.
        show_face: if not, a drawn outline stands for it, so that the picture shows nobody.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    looked_at = explanation.saliency is not None
    figure = Figure(figsize=(11, 5), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    if looked_at:
        both = figure.subplots(2, 2, width_ratios=[3.4, 1])
        (lines, shown), (reasons, looked) = both
        _face(shown, looked, explanation, step_s, show_face)
    else:
        lines, reasons = figure.subplots(2, 1)
    times = step_s * np.arange(1, len(explanation.probabilities) + 1)
    mark = "o" if len(times) < MARKED else ""
    for k, name in enumerate(EMOTIONS):
        width = 2.8 if name == explanation.emotion else 1.3
        lines.plot(times, explanation.probabilities[:, k], color=COLOURS[name], lw=width, marker=mark, ms=4, label=name)
    lines.set(ylim=(0, 1.02), ylabel="probability")
    colour = COLOURS[explanation.emotion]
    lines.set_title(f"{explanation.emotion}: what spoke for it", loc="left", color=colour, weight="bold", fontsize=14)
    if title:  # in a row of its own: a clip's name may be as long as the axes
        figure.suptitle(title, x=0.99, ha="right", color=GREY, fontsize=8)
    for name, values in explanation.contributions.items():
        colour, style = LINES[name]
        reasons.plot(times, values, color=colour, ls=style, lw=1.8, marker=mark, ms=4, label=name)
    reasons.axhline(0, color=FAINT, lw=1.5, zorder=0)
    reasons.margins(y=0.12)
    reasons.set(xlabel="seconds", ylabel="nats")
    told = f"what the probability of {explanation.emotion} owes to each: above 0 it spoke for it, below against it"
    reasons.set_title(told, loc="left", fontsize=9, color=INK)
    for axes in (lines, reasons):
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), labelcolor=INK)
        axes.tick_params(colors=INK, length=0)
        axes.spines[:].set_visible(False)
        axes.grid(axis="y", color=FAINT, lw=0.6)
        axes.set_xlim(times[0] - 0.5 * step_s, times[-1] + 0.5 * step_s)
    if note:
        figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color=GREY)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Software": None} if out.suffix == ".png" else None)


def _face(shown: Any, looked: Any, explanation: Explanation, step_s: float, show_face: bool) -> None:
    """The face above, and below it the same under the saliency; the outline alone where it may not be shown."""
    assert explanation.saliency is not None
    assert explanation.step is not None
    at = f"at {(explanation.step + 1) * step_s:.1f} s"
    for axes in (shown, looked):
        axes.set_axis_off()
    if show_face and explanation.face is not None:
        shown.imshow(explanation.face, extent=(0, 1, 1, 0))
        shown.set_title(f"the face {at}", fontsize=8, color=INK)
        looked.imshow(explanation.face.mean(axis=-1), cmap="gray", vmin=0, vmax=255, extent=(0, 1, 1, 0))
    most = max(float(np.abs(explanation.saliency).max()), 1e-6)
    over = looked.imshow(
        explanation.saliency, cmap="PuOr_r", vmin=-most, vmax=most, alpha=0.6, extent=(0, 1, 1, 0),
        interpolation="bicubic",
    )  # fmt: skip
    if not show_face:
        for line in _outline():
            looked.plot(*line.T, color=INK, lw=1.3, alpha=0.7)
        looked.set(xlim=(0, 1), ylim=(1, 0))
        shown.text(0.5, 0, f"the face {at}:\nnot shown, an outline\nstands for it", ha="center", fontsize=8, color=GREY)
        shown.set(xlim=(0, 1), ylim=(0, 1))
    looked.set_title(f"covered here, it says {explanation.emotion} …", fontsize=8, color=INK)
    bar = looked.figure.colorbar(over, ax=looked, orientation="horizontal", shrink=0.7, pad=0.02, aspect=30)
    bar.set_ticks([-most, most], labels=["more", "less"], fontsize=7)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, colors=INK)


def _outline() -> list[npt.NDArray[np.float64]]:
    """Anybody's face as lines [n, 2], about where a crop has it: head, eyes, brows, nose, mouth."""
    turn = np.linspace(0, 2 * np.pi, 80)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    half = np.linspace(-1, 1, 20)
    eyes = [circle * (0.075, 0.035) + (x, 0.4) for x in (0.31, 0.69)]
    brows = [np.stack([x + 0.11 * half, 0.3 + 0.02 * half**2], axis=1) for x in (0.31, 0.69)]
    nose = np.array([[0.5, 0.42], [0.455, 0.62], [0.5, 0.64], [0.545, 0.62]])
    mouth = np.stack([0.5 + 0.14 * half, 0.79 - 0.02 * half**2], axis=1)
    return [circle * (0.44, 0.56) + (0.5, 0.47), *eyes, *brows, nose, mouth]
