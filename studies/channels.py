"""What a voice branch keeps of what it knows where a voice is louder, softer, over a telephone, coded, or not alone.

    python -m studies.channels --data release/data release some/other/model

Test voices of each corpus (those of one fold, or all of a corpus that is named with --whole) go through each channel
and through each model's graph, with nothing seen. UAR is over the emotions that the corpus has; its interval is
over resamples of the speakers. The table goes to standard output, the curves of gain to --plot.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly
from tqdm import tqdm

from mmer import metrics
from mmer.data.clips import MANIFEST, Clip, read_manifest
from mmer.data.samples import load_sample
from mmer.labels import EMOTIONS
from mmer.runtime.graph import GRAPH, Graph
from mmer.runtime.grid import SAMPLE_RATE, step_count
from mmer.runtime.results import pool
from mmer.runtime.spec import GraphSpec
from mmer.runtime.voice import hear
from mmer.training.augment import noise
from mmer.training.channels import mu_law
from mmer.training.codecs import CODECS, coded

Pcm = npt.NDArray[np.int16]
Channel = Callable[[list[Pcm]], list[Pcm]]
GAINS = (-20, -12, 0, 12, 24, 30)
LATER_S = 0.1
OPUS = next(codec for codec in CODECS if codec.name == "Opus, 12 kbit/s")


@dataclass(frozen=True)
class Heard:
    """What a model said of clips."""

    probabilities: npt.NDArray[np.float32]
    """[n, 7]."""
    uar: float
    low: float
    high: float
    neutral_angry: float
    """Share of the neutral clips that it took for angry."""


def gain(voices: list[Pcm], decibels: float) -> list[Pcm]:
    """Louder or softer; what does not fit 16 bits is clipped."""
    return [_pcm(voice * 10 ** (decibels / 20)) for voice in voices]


def telephone(voices: list[Pcm]) -> list[Pcm]:
    """8 kHz, 300 to 3,400 Hz, mu-law, at -20 dBFS."""
    found = []
    for voice in voices:
        narrow = resample_poly(voice.astype(np.float64) / 32768, 1, 2)
        spectrum, hertz = np.fft.rfft(narrow), np.fft.rfftfreq(len(narrow), 1 / 8000)
        spectrum[(hertz < 300) | (hertz > 3400)] = 0
        line = np.fft.irfft(spectrum, len(narrow))
        line *= 10 ** (-20 / 20) / max(float(np.sqrt(np.mean(line**2))), 1e-9)
        found.append(_pcm(32768 * resample_poly(mu_law(np.clip(line, -1, 1).astype(np.float32)), 2, 1))[: len(voice)])
    return found


def over(voices: list[Pcm], other: Callable[[int, np.random.Generator], npt.NDArray[Any]], snr_db: float) -> list[Pcm]:
    """With another sound, so many dB below the voice."""
    rng, found = np.random.default_rng(0), []
    for voice in voices:
        x, y = voice.astype(np.float64), other(len(voice), rng).astype(np.float64)
        y *= np.sqrt(np.mean(x**2) / max(float(np.mean(y**2)), 1e-9)) * 10 ** (-snr_db / 20)
        found.append(_pcm(x + y))
    return found


def later(voices: list[Pcm]) -> list[Pcm]:
    """A recording that begins a tenth of a second later."""
    return [voice[round(LATER_S * SAMPLE_RATE) :] for voice in voices]


def channels(voices: list[Pcm]) -> dict[str, Channel]:
    """By name."""

    def babble(length: int, rng: np.random.Generator) -> npt.NDArray[Any]:
        some = [voices[k].astype(np.float64) for k in rng.integers(0, len(voices), 6)]
        each = [np.resize(v, length) / max(float(np.sqrt(np.mean(v**2))), 1e-9) for v in some]
        together: npt.NDArray[Any] = np.sum(each, axis=0)
        return together

    found: dict[str, Channel] = {"as recorded": lambda given: given}
    found |= {f"{decibels:+d} dB": partial(gain, decibels=decibels) for decibels in GAINS if decibels}
    return found | {
        "telephone at -20 dBFS": telephone,
        OPUS.name: partial(coded, codec=OPUS),
        "babble, 10 dB": partial(over, other=babble, snr_db=10),
        "noise of a room, 10 dB": partial(over, other=noise, snr_db=10),
        "begun 0.1 s later": later,
    }


def listen(graph: Graph, voices: list[Pcm]) -> npt.NDArray[np.float32]:
    """Probabilities [n, 7] of voices with nothing seen."""
    spec, info = GraphSpec.of(graph.info.input), graph.info
    found = []
    for voice in voices:
        steps = step_count(len(voice) / SAMPLE_RATE, info.input.step_s)
        windows, active = hear(voice, steps, info.input, info.media.silence_dbfs)
        arrays = spec.zeros(B=1, T=steps, K=graph.state_size)
        arrays["voice"], arrays["present"][0, :, 2] = windows[None], active
        found.append(pool(graph(arrays)["logits"][0], active))
    return np.stack(found)


def judge(probabilities: npt.NDArray[np.float32], clips: Sequence[Clip]) -> Heard:
    """Scores over the emotions that these clips have."""
    truth = np.array([clip.target for clip in clips])
    answers = metrics.one_hot(probabilities)
    again = metrics.bootstrap(truth, answers, [clip.person for clip in clips], 1000, 0)
    low, high = metrics.percentile_interval(metrics.uar(again))
    neutral = probabilities.argmax(1)[truth == EMOTIONS.index("neutral")]
    angry = float((neutral == EMOTIONS.index("angry")).mean()) if len(neutral) else float("nan")
    return Heard(probabilities, float(metrics.uar(metrics.soft_confusion(truth, answers))), low, high, angry)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m studies.channels", description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", type=Path, help="folders that hold mmer.onnx")
    parser.add_argument("--data", type=Path, default=Path("release/data"), help="default: %(default)s")
    parser.add_argument("--corpora", nargs="+", default=["ravdess"], metavar="NAME", help="default: ravdess")
    parser.add_argument("--whole", nargs="*", default=[], metavar="NAME", help="corpora of which all is test")
    parser.add_argument("--fold", type=int, default=1, help="that is tested, where a clip has no split; default 1")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="UAR over gain")
    given = parser.parse_args()
    graphs = {path.as_posix(): Graph(path / GRAPH) for path in given.models}
    curves: dict[str, list[float]] = {}
    for corpus in [*given.corpora, *given.whole]:
        listed = [clip for clip in read_manifest(given.data / "processed" / corpus / MANIFEST) if clip.has_voice]
        clips = [clip for clip in listed if corpus in given.whole or clip.fold == given.fold]
        voices = [load_sample(given.data / "processed" / clip.sample, ["voice"]).voice for clip in clips]
        people = len({clip.person for clip in clips})
        print(f"\n## {corpus}: {len(clips)} clips of {people} speakers\n")
        print(
            "| channel | "
            + " | ".join(f"{name}: UAR (95%) | neutral taken for angry | other label" for name in graphs)
            + " |"
        )
        print("| --- |" + " ---: | ---: | ---: |" * len(graphs))
        usual: dict[str, npt.NDArray[np.intp]] = {}
        for name, channel in tqdm(channels(voices).items(), desc=corpus, leave=False):
            cells = []
            for model, graph in graphs.items():
                heard = judge(listen(graph, channel(voices)), clips)
                labels = heard.probabilities.argmax(1)
                moved = float((labels != usual.setdefault(model, labels)).mean())
                cells.append(
                    f"{heard.uar:.3f} ({heard.low:.3f}–{heard.high:.3f}) | {heard.neutral_angry:.0%} | {moved:.0%}"
                )
                if name == "as recorded" or name.endswith(" dB"):
                    curves.setdefault(f"{model}, {corpus}", []).append(heard.uar)
            print(f"| {name} | " + " | ".join(cells) + " |")
    if given.plot:
        plot(curves, given.plot)


def plot(curves: dict[str, list[float]], path: Path) -> None:
    """UAR over gain, a line for each model and corpus."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    order = [0, *(decibels for decibels in GAINS if decibels)]
    for name, scores in curves.items():
        points = sorted(zip(order, scores[: len(order)], strict=False))
        axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.set(xlabel="gain, dB", ylabel="UAR", ylim=(0, 1))
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _pcm(x: npt.NDArray[Any]) -> Pcm:
    return np.clip(np.round(x), -32768, 32767).astype(np.int16)


if __name__ == "__main__":
    main()
