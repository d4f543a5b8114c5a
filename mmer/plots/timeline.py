"""The timeline of a prediction as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmer.labels import EMOTIONS
from mmer.plots.palette import COLOURS, FAINT, GREY, INK

if TYPE_CHECKING:
    from mmer.runtime.results import Prediction


THUMBNAILS = 12
SILENCE, LOUD = -60.0, 0.0
"""dB of full scale: the ends of the voice strip."""


def plot_timeline(prediction: Prediction, out: Path) -> None:
    """Draw a clip: the face along the top, the seven probabilities over time, below them the voice and whether a face
    was in sight. The prediction must hold its crops (`keep_crops=True`) for the faces to be shown.

    Args:
        out: the picture to write; the ending says the format (png, svg, pdf).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps = prediction.steps
    times = np.array([s.t for s in steps])
    step_s = prediction.model.input.step_s
    start, end = times[0] - step_s, times[-1]
    figure = Figure(figsize=(11, 5.4), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    faces, lines, voice, sight = figure.subplots(
        4, 1, sharex=True, gridspec_kw={"height_ratios": [1.1, 5, 1, 0.28], "hspace": 0.03}
    )
    _title(lines, faces, prediction)
    _faces(faces, prediction, start, end)

    probabilities = np.array([s.probabilities for s in steps])
    edges = np.append(start, times)
    leader = EMOTIONS.index(prediction.label) if prediction.label else -1
    for k, name in enumerate(EMOTIONS):
        colour, values = COLOURS[name], np.append(probabilities[:1, k], probabilities[:, k])
        lines.plot(edges, values, color=colour, lw=2.6 if k == leader else 1.5, label=name, zorder=3 + (k == leader))
        lines.fill_between(edges, values, color=colour, alpha=0.16 if k == leader else 0.05, lw=0)
    lines.set_ylim(0, 1)
    lines.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    lines.set_ylabel("probability")
    lines.grid(axis="y", color=FAINT, lw=0.7)
    lines.legend(loc="upper left", bbox_to_anchor=(1.005, 1), frameon=False, labelcolor=INK)

    levels = np.clip([s.voice_dbfs for s in steps], SILENCE, LOUD)
    heard = np.array([s.present["voice"] for s in steps])
    voice.bar(times - step_s, levels - SILENCE, step_s, align="edge", color=np.where(heard, "#4b5563", FAINT), lw=0)
    voice.set_ylim(0, LOUD - SILENCE)
    voice.set_yticks([0, 30, 60], ["−60", "", "0 dB"], fontsize=7)
    voice.set_ylabel("voice")

    looked = np.array([s.present["face"] for s in steps])
    for at, there in zip(times - step_s, looked, strict=True):
        sight.axvspan(at, at + step_s, color="#4b5563" if there else "none", lw=0)
        if not there:
            sight.axvspan(at, at + step_s, facecolor="white", edgecolor="#b9bec8", hatch="////", lw=0)
    sight.set_yticks([])
    sight.set_ylabel("face", rotation=0, ha="right", va="center")
    sight.set_xlabel("seconds")
    sight.set_xlim(start, end)
    for axes in (faces, lines, voice, sight):
        axes.tick_params(colors=INK, length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(FAINT)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)


def _title(lines: Any, top: Any, prediction: Prediction) -> None:
    """What the clip is as a whole; below the legend, what it lacked."""
    name = Path(prediction.path).name.encode(errors="backslashreplace").decode()  # it may hold what is no text
    if prediction.label is None:
        told = "nothing to go by"
    else:
        told = f"{prediction.label}  {float(prediction.probabilities.max()):.0%}"
    top.set_title(
        told, loc="left", color=COLOURS.get(prediction.label or "", INK), fontsize=17, fontweight="bold", pad=10
    )
    top.set_title(name, loc="right", color=GREY, fontsize=9, pad=10)
    notes = [f"without {' and '.join(prediction.missing)}"] if prediction.missing else []
    if prediction.model.drawings:
        notes.append("trained on drawn people:\nno evidence about real ones")
    lines.text(1.02, 0.02, "\n".join(notes), transform=lines.transAxes, fontsize=8, color=GREY, va="bottom")


def _faces(axes: Any, prediction: Prediction, start: float, end: float) -> None:
    """Up to a dozen faces, each at its own time; a place without one is left empty with a mark."""
    axes.set_yticks([])
    axes.set_ylim(0, 1)
    axes.tick_params(bottom=False)
    if not prediction.crops:
        axes.set_visible(False)
        return
    places = np.linspace(start, end, THUMBNAILS + 1)
    times = np.array([s.t for s in prediction.steps])
    width = (end - start) / THUMBNAILS
    for left in places[:-1]:
        k = int(np.abs(times - (left + width / 2)).argmin())
        crop = prediction.crops[k]
        inset = axes.inset_axes((left + 0.06 * width, 0.02, 0.88 * width, 0.96), transform=axes.transData)
        inset.set_axis_off()
        if crop is not None:
            inset.imshow(crop, interpolation="bilinear")
        else:
            inset.text(0.5, 0.5, "–", transform=inset.transAxes, ha="center", va="center", color="#9aa1ad")
