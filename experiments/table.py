"""The table of a comparison: scores with intervals, paired differences, costs; as CSV, Markdown and a figure."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.cells import BASE, Cell, Variation
from mmer import metrics
from mmer.data.clips import Clip
from mmer.evaluation.protocol import about, describe, resampled
from mmer.labels import EMOTIONS
from mmer.plots.palette import BLUE, FAINT, GREY, INK

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """A variation: scores are means over the seeds. UAR is the mean over the corpora tested."""

    group: str
    name: str
    against: str
    uar: float
    seeds_low: float
    seeds_high: float
    """95% interval of Student's t over the seeds: what another training of the same would give."""
    low: float
    high: float
    """95% interval of a bootstrap over the test speakers: what other people would give."""
    difference: float
    """To the variation that it is compared with."""
    difference_low: float
    difference_high: float
    """95% interval of the same bootstrap, of the same speakers in both."""
    better: int
    """Seeds of which this variation is the better one."""
    parameters: int
    macs_per_s: float
    graph_bytes: int
    cpu_ms_per_s: float


def rows(
    variations: Sequence[Variation],
    cells: Mapping[str, Sequence[Cell]],
    times: Mapping[str, float],
    test: Sequence[Clip],
    resamples: int,
) -> list[Row]:
    """Score all cells on the test clips.

    Args:
        cells: of each variation, by its name, those of all seeds in one order.
        times: CPU milliseconds of each variation's graph for a second of live input.
        test: the clips that the cells answer about, in their order.
        resamples: of the speakers.
    """
    from scipy.stats import t

    names = [v.name for v in variations]
    seeds = len(cells[names[0]])
    uars, again = _scores(np.array([[c.answers for c in cells[n]] for n in names]), test, resamples)
    mean, drawn = uars.mean(1), again.mean(2)
    half = t.ppf(0.975, seeds - 1) * uars.std(1, ddof=1) / np.sqrt(seeds) if seeds > 1 else np.full(len(names), np.nan)
    result = []
    for i, variation in enumerate(variations):
        other, cell = names.index(variation.against), cells[variation.name][0]
        low, high = metrics.percentile_interval(drawn[:, i])
        difference_low, difference_high = metrics.percentile_interval(drawn[:, i] - drawn[:, other])
        result.append(
            Row(
                group=variation.group,
                name=variation.name,
                against=variation.against,
                uar=float(mean[i]),
                seeds_low=float(mean[i] - half[i]),
                seeds_high=float(mean[i] + half[i]),
                low=low,
                high=high,
                difference=float(mean[i] - mean[other]),
                difference_low=difference_low,
                difference_high=difference_high,
                better=int((uars[i] > uars[other]).sum()),
                parameters=cell.parameters,
                macs_per_s=cell.macs_per_s,
                graph_bytes=cell.graph_bytes,
                cpu_ms_per_s=times[variation.name],
            )
        )
    return result


def _scores(answers: npt.NDArray[np.int64], test: Sequence[Clip], resamples: int) -> tuple[Floats, Floats]:
    """UAR of answers [v, s, n] as [v, s], and of resampled speakers as [resamples, v, s]; the mean over the corpora."""
    variations, seeds, _ = answers.shape
    truth, corpus = np.array([c.target for c in test]), np.array([c.corpus for c in test])
    uars, again = [], []
    for name in sorted(set(corpus.tolist())):
        own = np.flatnonzero(corpus == name)
        ways = np.eye(len(EMOTIONS))[answers[..., own]].reshape(variations * seeds, len(own), len(EMOTIONS))
        people = [c.person for c in test if c.corpus == name]
        uars.append(metrics.uar(np.stack([metrics.soft_confusion(truth[own], way) for way in ways])))
        again.append(metrics.uar(metrics.bootstrap(truth[own], ways, people, resamples, seed=0)))
    return (
        np.mean(uars, 0).reshape(variations, seeds),
        np.mean(again, 0).reshape(resamples, variations, seeds),
    )


@dataclass(frozen=True)
class Missing:
    """A modality that is not there when the base is tested, against one that was trained without it."""

    modality: str
    taken: float
    """UAR of the base without it, the mean over the seeds."""
    untrained: float
    """UAR of what was trained without it."""
    difference: float
    difference_low: float
    difference_high: float
    """taken - untrained, with the 95% interval of the bootstrap over the test speakers, the same in both."""


def missing(
    variations: Sequence[Variation], cells: Mapping[str, Sequence[Cell]], test: Sequence[Clip], resamples: int
) -> list[Missing]:
    """For each variation that is the base without a modality: what the base says where that is taken away."""
    base, result = variations[0], []
    for variation in variations[1:]:
        gone = set(base.params.model.modalities) - set(variation.params.model.modalities)
        if len(gone) != 1 or not all(gone <= set(cell.without) for cell in cells[base.name]):
            continue
        (modality,) = gone
        answers = [[c.without[modality] for c in cells[base.name]], [c.answers for c in cells[variation.name]]]
        uars, again = _scores(np.array(answers), test, resamples)
        (taken, untrained), drawn = uars.mean(1), again.mean(2)
        low, high = metrics.percentile_interval(drawn[:, 0] - drawn[:, 1])
        result.append(Missing(modality, float(taken), float(untrained), float(taken - untrained), low, high))
    return result


def missing_markdown(found: Sequence[Missing]) -> str:
    """The table of missing modalities as Markdown; nothing where there is none."""
    if not found:
        return ""
    lines = [["not there in the test", "UAR", "trained without it", "difference"], ["---", "---:", "---:", "---:"]]
    lines += [
        [
            one.modality,
            f"{one.taken:.3f}",
            f"{one.untrained:.3f}",
            f"{one.difference:+.3f} ({one.difference_low:+.3f} to {one.difference_high:+.3f})",
        ]
        for one in found
    ]
    return "\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write_csv(table: Sequence[Row], path: Path) -> None:
    """A line for each variation, and all numbers."""
    with path.open("w", newline="") as file:
        lines = csv.DictWriter(file, list(vars(table[0])), lineterminator="\n")
        lines.writeheader()
        lines.writerows({k: round(v, 4) if isinstance(v, float) else v for k, v in vars(row).items()} for row in table)


def markdown(table: Sequence[Row], told: str, seeds: int) -> str:
    """The table as Markdown, with what must be known to read it."""
    header = [
        "", "UAR", "over seeds", "over speakers", "against", "difference", "better in", "parameters",
        "M multiply-adds /s", "graph, MB", "CPU ms /s",
    ]  # fmt: skip
    lines = [header, ["---"] + ["---:"] * (len(header) - 1)]
    group = ""
    for row in table:
        if row.group != group:
            group = row.group
            lines.append([f"**{group}**", *[""] * (len(header) - 1)])
        compared = row.name != row.against
        lines.append(
            [
                row.name,
                f"{row.uar:.3f}",
                f"{row.seeds_low:.3f} to {row.seeds_high:.3f}" if seeds > 1 else "",
                f"{row.low:.3f} to {row.high:.3f}",
                row.against if compared else "",
                f"{row.difference:+.3f} ({row.difference_low:+.3f} to {row.difference_high:+.3f})" if compared else "",
                f"{row.better} of {seeds}" if compared else "",
                f"{row.parameters:,}",
                f"{row.macs_per_s / 1e6:.1f}",
                f"{row.graph_bytes / 1e6:.2f}",
                f"{row.cpu_ms_per_s:.1f}",
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{told}\n"


def in_words(
    variations: Sequence[Variation], test: Sequence[Clip], seeds: int, resamples: int, left_out: list[str]
) -> str:
    """How the numbers came about."""
    base = variations[0].params
    without = f" Left out, since their weights are not here: {', '.join(left_out)}." if left_out else ""
    note = about(test, base.train.pairing).get("note", "")
    return (
        f"Of {seeds} trainings each (seeds 0 to {seeds - 1}), {base.train.epochs} epochs, the best one chosen on the "
        f"validation speakers, tested on {describe(test)}. UAR: mean over the seeds. Over seeds: 95% of "
        f"Student's t over the {seeds} trainings. Over speakers: 95% of {resamples} resamples of "
        f"{resampled(test)}. Difference: paired, the same resamples in both; better in: seeds of which the "
        "variation is the better one. Multiply-adds and CPU milliseconds are for a second of live input, the latter of "
        f"the float32 graph alone on one core.{without}" + (f" Note: {note}." if note else "")
    )


def draw(table: Sequence[Row], test: Sequence[Clip], path: Path) -> None:
    """Differences with their intervals, below each other in groups, and what each variation costs."""
    from matplotlib.figure import Figure

    shown = [row for row in table if row.name != row.against]
    groups = list(dict.fromkeys(row.group for row in shown))
    figure = Figure(figsize=(8.4, 1.6 + 0.27 * (len(shown) + len(groups))), dpi=150, layout="constrained")
    axes = figure.subplots()
    base = table[0]
    y, places, labels = 0.0, [], []
    right = max(0.02, *(abs(v) for row in shown for v in (row.difference_low, row.difference_high)))
    for group in groups:
        axes.text(-right, y, group, fontsize=8, fontweight="bold", color=INK, va="center")
        for row in (r for r in shown if r.group == group):
            y += 1
            sure = row.difference_low > 0 or row.difference_high < 0
            axes.plot([row.difference_low, row.difference_high], [y, y], color=BLUE if sure else GREY, lw=1.3)
            axes.plot([row.difference], [y], "o", color=BLUE if sure else GREY, ms=5)
            spent = f"{row.parameters / 1e6:.2f} M, {row.cpu_ms_per_s:.1f} ms/s"
            axes.text(right * 1.06, y, spent, fontsize=7.5, color=GREY, va="center")
            places.append(y)
            labels.append(row.name if row.against == BASE else f"{row.name}\n(against {row.against})")
        y += 1.2
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_yticks(places, labels, fontsize=8)
    axes.set(
        xlim=(-right, right * 1.5),
        ylim=(y, -0.8),
        xlabel="difference of UAR, with 95% over speakers",
    )
    axes.grid(axis="x", color=FAINT, lw=0.6, zorder=0)
    axes.set_axisbelow(True)
    costs = f"base: UAR {base.uar:.3f}, {base.parameters / 1e6:.2f} M parameters, {base.cpu_ms_per_s:.1f} ms/s of CPU"
    tested = about(test, "none")
    told = "; ".join([tested["tested"], *([tested["note"]] if "note" in tested else [])])
    axes.set_title(f"{costs}\n{told}", loc="left", fontsize=9, color=INK)
    figure.savefig(path, metadata={"Software": None})
