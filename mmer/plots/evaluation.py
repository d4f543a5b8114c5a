"""The figures of an evaluation, drawn from its report alone: one style, and the same bytes for the same report."""

from __future__ import annotations

import itertools
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmer.plots.palette import BLUE, FAINT, GREY, INK, ORANGE, SKY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


LINES = (BLUE, ORANGE, "#009e73", "#cc79a7", SKY)


def plot_evaluation(report: dict[str, Any], folder: Path) -> None:
    """Write confusion.png, subsets.png, slices.png and calibration.png.

    Args:
        report: what `mmer.evaluation.scores.evaluate` returns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    charts = {"confusion": _confusion, "subsets": _subsets, "slices": _slices, "calibration": _calibration}
    for name, chart in charts.items():
        # Without this matplotlib writes its version into the file.
        chart(report).savefig(folder / f"{name}.png", metadata={"Software": None})


def plot_speakers(report: dict[str, Any], path: Path) -> None:
    """Write one figure: the UAR of each speaker as a point, worst to best, and the folds' mean with its interval.

    Args:
        report: what `mmer.evaluation.cross_validation.report` returns.
    """
    rows = sorted(report["speakers"], key=lambda row: (row["uar"], row["corpus"], row["speaker"]))
    several = len(report["corpora"]) > 1
    figure, axes = _canvas(7.2, 1.9 + 0.2 * len(rows), f"UAR by speaker, {report['n_folds']} folds", report)
    axes.axvspan(report["uar_low"], report["uar_high"], color=ORANGE, alpha=0.12, lw=0, zorder=0)
    axes.axvline(report["uar"], color=ORANGE, lw=1, zorder=1)
    axes.scatter([row["uar"] for row in rows], range(len(rows)), 26, color=BLUE, zorder=3, clip_on=False)
    names = [f"{row['corpus']} {row['speaker']}" if several else row["speaker"] for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=7.5)
    axes.set(xlim=(0, 1), ylim=(-0.7, len(rows) - 0.3), xlabel="UAR of the speaker's clips")
    axes.set_title("orange: mean over the folds and its 95% interval", loc="left", fontsize=9, color=INK, pad=10)
    axes.grid(axis="x", color=FAINT, lw=0.6, zorder=0)
    figure.savefig(path, metadata={"Software": None})


def plot_cross_corpus(report: dict[str, Any], path: Path) -> None:
    """Write one figure: the UAR on each corpus that was left out as a point with its interval, best first, and where it
    is known that within the corpus.

    Args:
        report: what `mmer.evaluation.cross_corpus.report` returns.
    """
    rows = sorted(report["by_corpus"].items(), key=lambda row: (-row[1]["uar"], row[0]))
    figure, axes = _canvas(7.2, 1.9 + 0.42 * len(rows), "UAR on a corpus that was left out", report)
    axes.axvline(report["uar"], color=ORANGE, lw=1, alpha=0.6, zorder=1)
    for y, (_, scores) in enumerate(rows):
        axes.plot([scores["chance"]] * 2, [y - 0.3, y + 0.3], color=GREY, lw=1, ls=":", zorder=1)
        if scores["within"] is not None:
            axes.plot(scores["within"], y, "D", ms=5.5, color=INK, mec="white", zorder=5)
        axes.plot(scores["uar"], y, "o", ms=6, color=BLUE, zorder=4)
        _interval(axes, y, scores, at=1.02)
    within = any(scores["within"] is not None for _, scores in rows)
    marks = ["orange: mean over the corpora; dotted: chance", *["diamond: trained on other speakers of it"] * within]
    axes.set_title("\n".join(marks), loc="left", fontsize=9, color=INK, pad=10)
    told = [", ".join(filter(None, (name, scores["language"]))) for name, scores in rows]
    axes.set_yticks(
        range(len(rows)), [f"{name}  (n={scores['n']:,})" for name, (_, scores) in zip(told, rows, strict=True)]
    )
    axes.set_ylim(len(rows) - 0.4, -0.6)
    _uar_axis(axes)
    figure.savefig(path, metadata={"Software": None})


def plot_robustness(report: dict[str, Any], path: Path) -> None:
    """Write one figure: a panel for each kind of trouble, a line for each corpus, with its interval.

    Args:
        report: what `mmer.evaluation.robustness.measure` returns.
    """
    curves = report["curves"]
    kinds = list(dict.fromkeys(curve["kind"] for curve in curves))
    colours = dict(zip(sorted({curve["corpus"] for curve in curves}), itertools.cycle(LINES)))
    columns = min(3, max(1, len(kinds)))
    height = 0.9 + 2.6 * max(1, -(-len(kinds) // columns))
    figure, panels = _panels(3.6 * columns, height, "UAR as it gets worse", report, len(kinds), columns)
    for axes, kind in zip(panels, kinds, strict=True):
        own = [curve for curve in curves if curve["kind"] == kind]
        for curve in own:
            _curve(axes, curve, colours[curve["corpus"]])
        levels = [point["level"] for point in own[0]["points"]]
        axes.set_xticks(range(len(levels) + 1), ["clean", *(f"{level:g}" for level in levels)], fontsize=8)
        axes.set(ylim=(0, 1), xlabel=own[0]["axis"])
        axes.set_title(kind, loc="left", fontsize=10, color=INK)
        axes.axhline(1 / own[0]["n_classes"], color=GREY, lw=1, ls=":", zorder=1)
        axes.grid(axis="y", color=FAINT, lw=0.6, zorder=0)
        axes.legend(frameon=False, fontsize=7, loc="best", labelcolor=INK)
    figure.savefig(path, metadata={"Software": None})


def _curve(axes: Axes, curve: dict[str, Any], colour: str) -> None:
    """Everything together (thick, with its interval), the spoilt modality alone (thin), all but it (dashes)."""
    states = [curve["clean"], *curve["points"]]
    places = range(len(states))

    def line(given: str, key: str) -> list[float]:
        return [np.nan if state[given][key] is None else state[given][key] for state in states]

    mixed = curve["without"] is not None
    told = f"{curve['corpus']} (n={curve['n']:,})"
    axes.fill_between(places, line("together", "uar_low"), line("together", "uar_high"), color=colour, alpha=0.13, lw=0)
    axes.plot(places, line("together", "uar"), "o-", color=colour, lw=2, ms=3.5, label=told, zorder=4)
    if mixed:
        axes.plot(places, line("alone", "uar"), color=colour, lw=1, label=f"{curve['modality']} alone", zorder=3)
        axes.axhline(curve["without"]["uar"], color=colour, lw=1, ls="--", label=f"without {curve['modality']}")


def _confusion(report: dict[str, Any]) -> Figure:
    """Shares of each true emotion (the colour) and numbers of clips (small)."""
    table = report["confusion"]
    counts = np.array(table["counts"])
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axes = _canvas(6.6, 6.4, "What was taken for what", report)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        if counts[row, column]:
            at: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "color": "white" if shares[row, column] > 0.55 else INK,
            }
            axes.text(column, row + 0.02, f"{shares[row, column]:.0%}", fontsize=10, **at)
            axes.text(column, row + 0.34, f"{counts[row, column]}", fontsize=6.5, **at)
    ticks = range(len(counts))
    axes.set_xticks(ticks, table["labels"], rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, [f"{e}  (n={n})" for e, n in zip(table["labels"], counts.sum(1), strict=True)])
    axes.set_xlabel("predicted")
    axes.set_ylabel("intended")
    axes.spines[:].set_visible(False)
    return figure


def _subsets(report: dict[str, Any]) -> Figure:
    """UAR of each set of modalities as a bar, with its interval."""
    names = list(report["subsets"])
    whole = names[-1].count("+")
    rows = [
        (name.replace("+", " + "), scores, ORANGE if name.count("+") == whole else SKY if "+" in name else BLUE)
        for name, scores in report["subsets"].items()
    ]
    figure, axes = _canvas(7.2, 1.6 + 0.42 * len(rows), "UAR by modality", report)
    for y, (_, scores, colour) in enumerate(rows):
        if scores["uar"] is not None:
            axes.barh(y, scores["uar"], 0.62, color=colour, zorder=2)
        _interval(axes, y, scores)
    # Where people judged exactly these clips, given the same.
    judged = [(y, report["votes"].get(name)) for y, name in enumerate(names)]
    people = [(y, told["raters"]["uar"]) for y, told in judged if told and told["n"] == rows[y][1]["n"]]
    if people:
        axes.plot(*zip(*((uar, y) for y, uar in people), strict=True), "D", ms=6, color=INK, mec="white", zorder=5)
        axes.set_title("diamond: one person, given the same", loc="left", fontsize=9, color=INK, pad=10)
    axes.set_yticks(range(len(rows)), [f"{name}  (n={scores['n']})" for name, scores, _ in rows])
    axes.invert_yaxis()
    _score_axis(axes, report)
    return figure


def _slices(report: dict[str, Any]) -> Figure:
    """UAR of each slice as a point with its interval, by what divides the clips; the line is all clips."""
    whole = {key: report[key] for key in ("uar", "uar_low", "uar_high")} | {"n": report["n_clips"]}
    groups = {"all clips": {"": whole}} | report["slices"]
    if len(report["by_corpus"]) > 1:
        groups["corpus"] = report["by_corpus"]
    height = sum(len(slices) + 0.5 for slices in groups.values())
    figure, axes = _canvas(7.2, 1.6 + 0.32 * height, "UAR by slice", report)
    axes.axvline(report["uar"], color=ORANGE, lw=1, alpha=0.6, zorder=1)
    places, labels, y = [], [], 0.0
    for group, slices in groups.items():
        for value, scores in slices.items():
            places.append(y)
            labels.append(f"{group}{value and ': '}{value}  (n={scores['n']})")
            if scores["uar"] is not None:
                axes.plot(scores["uar"], y, "o", ms=6, color=BLUE if value else ORANGE, zorder=4)
            _interval(axes, y, scores)
            y += 1
        y += 0.5
    axes.set_yticks(places, labels)
    axes.set_ylim(y - 1, -0.7)
    _score_axis(axes, report)
    return figure


def _calibration(report: dict[str, Any]) -> Figure:
    """For each set of modalities: how often the answer is right where the network is so and so sure, and how often it
    is so sure; in grey, before its temperatures were fitted.
    """
    subsets = {name: scores for name, scores in report["subsets"].items() if scores["calibration"]}
    columns = min(4, len(subsets))
    rows = -(-len(subsets) // columns)
    size = 5.6 if len(subsets) == 1 else 2.9
    figure, panels = _panels(
        size * columns, 0.9 + size * rows, "Is it as right as it is sure?", report, len(subsets), columns
    )
    for place, (axes, (name, scores)) in enumerate(zip(panels, subsets.items(), strict=True)):
        before, told = scores["uncalibrated"], f"ECE {scores['ece']:.3f}"
        axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--", zorder=1)
        if before:
            _reliability(axes, before["calibration"], GREY)
            told += f", {before['ece']:.3f} uncalibrated (grey)"
        n = np.array(scores["calibration"]["n"])
        axes.bar((np.arange(len(n)) + 0.5) / len(n), n / n.max() * 0.15, 0.9 / len(n), color=FAINT, zorder=0)
        _reliability(axes, scores["calibration"], BLUE)
        axes.set_title(
            f"{name.replace('+', ' + ')} (n={scores['n']:,})\n{told}", loc="left", fontsize=8.5, color=INK, pad=8
        )
        axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        axes.set_aspect("equal")
        if place + columns >= len(subsets):
            axes.set_xlabel("confidence of the answer", fontsize=8)
        if place % columns == 0:
            axes.set_ylabel("share of right answers", fontsize=8)
    return figure


def _reliability(axes: Axes, bins: dict[str, Any], colour: str) -> None:
    """One line; the size of a point says how many clips it stands for."""
    n = np.array(bins["n"])
    filled = n > 0
    sure, right = (np.array(bins[key], float)[filled] for key in ("confidence", "accuracy"))
    axes.plot(sure, right, "-", color=colour, lw=1.2, zorder=3)
    axes.scatter(sure, right, 8 + 70 * n[filled] / n.max(), color=colour, edgecolors="white", clip_on=False, zorder=4)


def _canvas(width: float, height: float, title: str, report: dict[str, Any]) -> tuple[Figure, Axes]:
    """One chart in the style that all share; what was scored stands at the foot."""
    figure, (axes,) = _panels(width, height, title, report, 1, 1)
    return figure, axes


def _panels(
    width: float, height: float, title: str, report: dict[str, Any], count: int, columns: int
) -> tuple[Figure, list[Axes]]:
    """So many charts, in rows of `columns`."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    told = "; ".join(part for part in (report["tested"], report.get("note")) if part)
    foot = textwrap.wrap(told, round(width * 15))
    # Inches kept free at the foot for the note and at the head for the title.
    free, head = 0.16 + 0.14 * len(foot), 0.45 if count == 1 else 0.6
    layout = ConstrainedLayoutEngine(rect=(0.01, free / height, 0.98, 1 - (free + head) / height))
    figure = Figure(figsize=(width, height), dpi=150, layout=layout, facecolor="white")
    figure.text(0.02, 1 - 0.36 / height, title, fontsize=13, fontweight="bold", color=INK)
    figure.text(0.02, 0.1 / height, "\n".join(foot), fontsize=8, color=GREY)
    panels = list(figure.subplots(-(-count // columns), columns, squeeze=False).flat)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.tick_params(length=0, labelcolor=INK)
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure, panels[:count]


def _interval(axes: Axes, y: float, scores: dict[str, Any], at: float | None = None) -> None:
    """The interval as a thin line, and the numbers at its right, or at a place where no other mark is."""
    if scores["uar"] is None:
        axes.text(0.01, y, "too few for a score", va="center", fontsize=8, color=GREY)
        return
    low, high = scores["uar_low"], scores["uar_high"]
    told = f"{scores['uar']:.2f}"
    if low is not None:
        axes.plot([low, high], [y, y], color=INK, lw=1.3, solid_capstyle="butt", zorder=3)
        told += f"  ({low:.2f} to {high:.2f})"
    if at is None:
        at = (scores["uar"] if high is None else max(high, scores["uar"])) + 0.015
    axes.text(at, y, told, va="center", fontsize=8)


def _score_axis(axes: Axes, report: dict[str, Any]) -> None:
    """The UAR from 0 to 1, with the line of chance: one over the emotions that occur."""
    chance = 1 / sum(scores["n"] > 0 for scores in report["per_class"].values())
    axes.axvline(chance, color=GREY, lw=1, ls=":", zorder=1)
    axes.annotate("chance", (chance, 1), xycoords=("data", "axes fraction"), fontsize=7.5, color=GREY, ha="center")
    _uar_axis(axes)


def _uar_axis(axes: Axes) -> None:
    """The UAR from 0 to 1."""
    axes.set_xlim(0, 1.25)  # room for the numbers
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_xlabel("UAR (95% interval over speakers)")
    axes.grid(axis="x", color=FAINT, lw=0.6, zorder=0)
    axes.set_axisbelow(True)
